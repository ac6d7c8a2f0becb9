"""Cues: what is said from when to when in a recording; files of them; and how they are to become clips."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from transforms import reasons
from transforms.errors import ClipRejected, UserError

# How far beyond its cues a clip may begin and end: subtitles appear late and vanish early.
WINDOW_SECONDS = 0.5
# Scripts without spaces between words: Thai to Myanmar, Khmer, and from CJK punctuation to ideographs.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u312f\u31f0-\u9fff\uf900-\ufaff\uff00-\uff9f]")
# Tiers of aligners that hold sounds, not words.
_SOUNDS = ("phones", "phone", "phonemes", "phoneme", "segments", "syllables", "mau")


@dataclass(frozen=True, slots=True)
class CueSettings:
    """How cues become clips.

    Attributes:
      max_duration: seconds that a clip may last.
      join_cues: seconds up to which neighbours become one clip; 0 for never; None for `max_duration`.
      tiers: those that are read, of files with tiers; () for the only one.
      folder: absolute, where the recording of a file of cues is that is a manifest of its own; "" for beside it.
    """

    max_duration: float = 30.0
    join_cues: float | None = None
    tiers: tuple[str, ...] = ()
    folder: str = ""

    @property
    def window(self) -> float:
        """Seconds beyond its cues within which a clip is cut."""
        return min(WINDOW_SECONDS, self.max_duration / 20)

    @property
    def longest(self) -> float:
        """Seconds from the first to the last cue of several that are joined."""
        room = self.max_duration - 2 * self.window
        return room if self.join_cues is None else min(self.join_cues, room)


JOINED = CueSettings()


@dataclass(frozen=True, slots=True)
class Cue:
    """What is said in a part of a recording.

    Attributes:
      line: 1-based line of its file; of files without lines its number.
      start: seconds from the recording's start.
      end: seconds; None where the file does not say.
      text: without markup.
      speaker: who says it; "" for unknown.
      fault: why it cannot be a clip; None for nothing.
      times: its times as they are written, if they cannot be told.
    """

    line: int
    start: float
    end: float | None
    text: str
    speaker: str = ""
    fault: ClipRejected | None = None
    times: str = ""


@dataclass(frozen=True, slots=True)
class Tier:
    """Cues of one kind, or of one speaker.

    Attributes:
      name: in its file; "" for the only one of a file without tiers.
      cues: in the order of the file.
    """

    name: str
    cues: tuple[Cue, ...]


@dataclass(frozen=True, slots=True)
class Transcript:
    """A file of cues.

    Attributes:
      tiers: those that have cues.
      language: that is spoken, as the file says; "" if it does not.
      ordered: whether cues follow one another in the file, so that one before another's start is a fault.
      dependent: tiers that depend on others, which are read only if they are named.
      others: tiers that cannot be read, such as those of points, for messages.
      media: name of the recording, as the file says; "" if it does not.
    """

    tiers: tuple[Tier, ...]
    language: str = ""
    ordered: bool = True
    dependent: tuple[Tier, ...] = ()
    others: tuple[str, ...] = ()
    media: str = ""

    @property
    def seconds(self) -> float:
        """From the first cue's start to the last one's end."""
        cues = [cue for tier in self.tiers for cue in tier.cues if cue.fault is None]
        return max((cue.end or cue.start for cue in cues), default=0.0) - min((cue.start for cue in cues), default=0.0)


def spoken(tier: Tier, among_others: bool) -> Iterable[Cue]:
    """The cues of a tier. One among others is named after its speaker, and so is one of an aligner, "Anna - words"."""
    whose, dash, _ = tier.name.rpartition(" - ")
    speaker = whose.strip() if dash else tier.name if among_others else ""
    return (replace(cue, speaker=cue.speaker or speaker) for cue in tier.cues) if speaker else tier.cues


def chosen(transcript: Transcript, file: str, settings: CueSettings) -> list[Tier]:
    """The tiers that are meant.

    Raises:
      ClipRejected, UserError: as `rows`.
    """
    tiers = list(transcript.tiers)
    if not tiers and not (settings.tiers and transcript.dependent):
        other = f" in tiers of intervals; it has {', '.join(transcript.others)}" if transcript.others else ""
        raise ClipRejected(reasons.MISSING_TEXT, f"{file} has no text{other}")
    if len(tiers) == 1 and not tiers[0].name:
        return tiers
    if settings.tiers:
        tiers += transcript.dependent
        wanted = {name.casefold() for name in settings.tiers}
        found = [tier for tier in tiers if tier.name in settings.tiers] or [
            tier for tier in tiers if tier.name.casefold() in wanted
        ]
        if not found:
            named = ", ".join(settings.tiers)
            raise ClipRejected(reasons.MISSING_TEXT, f"{file} has no tier {named} with text; it has {_named(tiers)}")
        return found
    said = [tier for tier in tiers if tier.name.rpartition(" - ")[2].strip().casefold() not in _SOUNDS]
    if len(said) == 1:
        return said
    raise UserError(f"{file}: several tiers: {_named(tiers)}; say by --tier=NAME, or NAME,NAME, which is what is said")


def _named(tiers: Iterable[Tier]) -> str:
    named = [f"{tier.name[:60] or '(no name)'} ({len(tier.cues):,})" for tier in tiers]
    return ", ".join(named[:12]) + (" …" if len(named) > 12 else "")


def joined(texts: Iterable[str]) -> str:
    """Texts as one, with a space between them unless both are of a script that has none."""
    found = ""
    for text in texts:
        unspaced = found and text and _UNSPACED.match(found[-1]) and _UNSPACED.match(text[0])
        found = f"{found}{text}" if not found or not text or unspaced else f"{found} {text}"
    return found


def fault(line: int, text: str, times: str, detail: str) -> Cue:
    """A cue whose times cannot be told."""
    return Cue(line, 0.0, None, text, fault=ClipRejected(reasons.BAD_FIELD, detail), times=times)
