"""Subtitles: SRT, WebVTT, SBV, SubStation Alpha and lyrics with times, as tools write them.

What belongs to the format is taken away: tags, override codes, positions, entities, numbers of cues. What people wrote
stays: notes in brackets, dashes of a dialogue, notes of music, credits.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from transforms.manifests.cues import Cue, Tier, Transcript, fault, joined

_CLOCK = r"(?:\d{1,9}[ \t]*:[ \t]*)?\d{1,2}[ \t]*:[ \t]*\d{1,2}(?:[ \t]*[.,][ \t]*\d{1,9})?"
_ARROW = r"[ \t]*(?:-{1,3}|[–—=])>[ \t]*"
TIMING = re.compile(
    rf"[ \t]*(?P<open>[\[(]?)[ \t]*(?P<start>{_CLOCK}){_ARROW}(?P<end>{_CLOCK})(?![\d:])[\])]?(?P<rest>.*)"
)
# What can be no other line: times of another spelling, frames, times below 0.
_LIKE_TIMING = re.compile(rf"[ \t]*(?=[-\d:.,; \t]*\d:)[-\d:.,; \t]+{_ARROW}[-\d]")
# Captions that roll repeat themselves all the time; people do now and then.
_ENOUGH_REPEATS = 2
# Where in its line a cue's times, or the sign of a drawing, end.
_MAX_TIMING_CHARS = 300
_SBV = re.compile(
    r"(?P<open>)[ \t]*(?P<start>\d{1,9}:\d{2}:\d{2}\.\d+),(?P<end>\d{1,9}:\d{2}:\d{2}\.\d+)[ \t]*(?P<rest>)"
)
_LYRIC = re.compile(r"[ \t]*((?:\[\d{1,9}:\d{1,2}(?:[.:]\d{1,3})?\][ \t]*)+)(.*)")
_LYRIC_TIME = re.compile(r"\[(\d{1,9}):(\d{1,2})(?:[.:](\d{1,3}))?\]")
_LYRIC_TAG = re.compile(r"[ \t]*\[([a-zA-Z#]+):([^\]]*)\][ \t]*")
_WORD_TIME = re.compile(r"<\d+:\d{2}(?::\d{2})?(?:[.:]\d+)?>")
_TAG = re.compile(r"</?(?:[biucsv]|rt|ruby|lang|font|span|em|strong)(?:[.\s][^<>]*)?/?>", re.IGNORECASE)
_READING = re.compile(r"<rt\b[^<>]*>[^<]*</rt>", re.IGNORECASE)
_VOICE = re.compile(r"<v(?:\.[^\s<>]*)?\s+([^\s<>][^<>]*)>", re.IGNORECASE)
_OVERRIDE = re.compile(r"\{\\[^{}]*\}")
_DRAWING = re.compile(r"\{[^{}]*\\p[1-9][^{}]*\}")
# What WhisperX puts before the text of a speaker.
_DIARIZED = re.compile(r"\[(SPEAKER_\d+)\]:?[ \t]*")
_LANGUAGE = re.compile(r"Language:[ \t]*([A-Za-z]{2,3}(?:-[A-Za-z0-9]+)*)[ \t]*", re.IGNORECASE)
_NOTHING_SAID = re.compile(r"[\W_♪♫♬♩]*")


@dataclass(frozen=True, slots=True)
class _Block:
    """A cue as it stands.

    Attributes:
      line: of its times.
      times: as they are written.
      span: start and end in seconds; None for times that are not understood.
      lines: of its text.
    """

    line: int
    times: str
    span: tuple[float, float] | None
    lines: tuple[str, ...]


def lines_of(text: str) -> list[str]:
    r"""Its lines; \n, \r\n and \r end one, and nothing else."""
    return re.split(r"\r\n|\r|\n", text)


def read(text: str) -> Transcript:
    """The cues of SRT and WebVTT, and of SBV."""
    lines = lines_of(text)
    is_vtt = text.lstrip("\ufeff \t\r\n").startswith("WEBVTT")
    blocks = _without_repeats(list(_blocks(lines, is_vtt)))
    language = _language(lines) if is_vtt else ""
    return Transcript((Tier("", tuple(cue for block in blocks for cue in _cue(block))),), language)


def is_timed(text: str) -> bool:
    """Whether it is WebVTT, or a line of it has the times of a cue."""
    return text.startswith("WEBVTT") or any(map(_timing, lines_of(text)))


def _timing(line: str) -> re.Match[str] | None:
    return TIMING.match(line, 0, _MAX_TIMING_CHARS) or _SBV.fullmatch(line, 0, _MAX_TIMING_CHARS)


def _blocks(lines: Sequence[str], is_vtt: bool) -> Iterator[_Block]:
    starts = [n for n, line in enumerate(lines) if _timing(line) or _LIKE_TIMING.match(line, 0, _MAX_TIMING_CHARS)]
    numbered = bool(starts) and any(line.strip().isdecimal() for line in lines[: starts[0]])
    for at, end in pairwise([*starts, len(lines)]):
        match = _timing(lines[at])
        body: Sequence[str] = lines[at + 1 : end]
        if match and match["open"]:  # the text stands in the same line
            body = [lines[at][match.start("rest") :], *body]
        if is_vtt and "" in body:
            body = body[: body.index("")]
        elif end < len(lines):
            body = _without_number(body, numbered)
        span = (seconds(match["start"]), seconds(match["end"])) if match else None
        yield _Block(at + 1, lines[at].strip(), span, tuple(line for line in body if line.strip()))


def _without_number(body: Sequence[str], numbered: bool) -> Sequence[str]:
    """A cue's lines without the number of the next one."""
    while body and not body[-1].strip():
        body = body[:-1]
    return body[:-1] if numbered and body and body[-1].strip().isdecimal() else body


def seconds(clock: str) -> float:
    """A time such as 1:02:03,450 in seconds."""
    *above, last = re.sub(r"[ \t]", "", clock).replace(",", ".").split(":")
    whole = 0
    for part in above:
        whole = whole * 60 + int(part)
    return round(whole * 60 + float(last), 9)


def _without_repeats(blocks: list[_Block]) -> list[_Block]:
    """Captions that roll: each cue begins with what the one before showed last, and only the rest is new."""
    shown = [[plain(line) for line in block.lines] for block in blocks]
    pairs = [(one, two) for one, two in pairwise(shown) if one and two]
    # A cue of one line may be said twice; in captions that roll, most of those of several begin with the last line.
    repeats = sum(len(two) > 1 and two[0] == one[-1] for one, two in pairs)
    timed = any(_WORD_TIME.search(line) for block in blocks for line in block.lines)
    if not repeats or (not timed and (repeats < _ENOUGH_REPEATS or repeats * 3 < len(pairs))):
        return blocks
    found, last = [], ""
    for block, lines in zip(blocks, shown, strict=True):
        found.append(replace(block, lines=tuple(block.lines[n] for n, line in enumerate(lines) if n or line != last)))
        last = lines[-1] if lines else last
    return found


def _cue(block: _Block) -> Iterator[Cue]:
    raw = "\n".join(block.lines)
    voices = {voice.strip() for voice in _VOICE.findall(raw)}
    text = plain(raw)
    speaker = html.unescape(voices.pop()) if len(voices) == 1 else ""
    if diarized := _DIARIZED.match(text):
        speaker, text = diarized[1], text[diarized.end() :]
    if _NOTHING_SAID.fullmatch(text):
        return
    if block.span is None:
        detail = f"the times {block.times[:60]!r} are not understood: write them as 00:01:02,500 --> 00:01:04,000"
        yield fault(block.line, text, block.times[:200], detail)
    else:
        yield Cue(block.line, *block.span, text, speaker)


def plain(text: str) -> str:
    """A cue's text without the markup of its format, on one line."""
    shown = _OVERRIDE.sub("", _TAG.sub("", _WORD_TIME.sub("", _READING.sub("", text))))
    # Marks of direction and blanks of all kinds are layout; words keep single spaces between them.
    shown = re.sub(r"[\u200b\u200e\u200f\u202a-\u202e\ufeff]", "", html.unescape(shown))
    return joined(part for line in lines_of(shown) if (part := " ".join(line.split())))


def _language(lines: Iterable[str]) -> str:
    for line in lines:
        if not line:
            return ""
        if match := _LANGUAGE.fullmatch(line):
            return match[1]
    return ""


def is_lyrics(text: str) -> bool:
    """Whether each line begins with its time or is a tag, as in LRC."""
    lines = [line for line in lines_of(text) if line.strip()]
    return any(map(_LYRIC.match, lines)) and all(_LYRIC.match(line) or _LYRIC_TAG.fullmatch(line) for line in lines)


def read_lyrics(text: str) -> Transcript:
    """The lines of LRC. Each ends where the next begins; the last one where the recording does."""
    found: list[tuple[float, int, str]] = []
    shift = 0.0
    for number, line in enumerate(lines_of(text), start=1):
        tag = _LYRIC_TAG.fullmatch(line)
        if tag and tag[1].lower() == "offset" and re.fullmatch(r"[+-]?\d{1,9}", tag[2].strip()):
            shift = int(tag[2]) / 1_000
        if match := _LYRIC.match(line):
            found += [(time, number, plain(match[2])) for time in map(_lyric_time, _LYRIC_TIME.findall(match[1]))]
    found.sort()
    ends: list[float | None] = [time for time, _, _ in found[1:]]
    cues = [
        Cue(number, max(0.0, round(time - shift, 6)), end if end is None else round(end - shift, 6), words)
        for (time, number, words), end in zip(found, [*ends, None], strict=True)
        if words and not _NOTHING_SAID.fullmatch(words)
    ]
    return Transcript((Tier("", tuple(cues)),), ordered=False)


def _lyric_time(groups: tuple[str, str, str]) -> float:
    minutes, whole, part = groups
    return round(int(minutes) * 60 + float(f"{whole}.{part or 0}"), 6)


def read_alpha(text: str) -> Transcript:
    """The dialogue of SubStation Alpha (.ass, .ssa). Comments and drawings are none."""
    names: list[str] = []
    cues: list[Cue] = []
    in_events = False
    for number, line in enumerate(lines_of(text), start=1):
        kind, _, rest = line.strip().partition(":")
        if line.strip().startswith("["):
            in_events = line.strip().lower() == "[events]"
        elif in_events and kind == "Format":
            names = [name.strip().lower() for name in rest.split(",")]
        elif in_events and kind == "Dialogue" and names:
            cells = dict(zip(names, rest.split(",", len(names) - 1), strict=False))
            cues += _dialogue(number, cells)
    return Transcript((Tier("", tuple(cues)),), ordered=False)


def _dialogue(number: int, cells: dict[str, str]) -> Iterator[Cue]:
    raw = cells.get("text", "")
    shown = re.sub(r"\{[^{}]*\}", "", raw)
    text = plain(re.sub(r"\\[Nn]", "\n", shown).replace(r"\h", " "))
    if _DRAWING.search(raw, 0, _MAX_TIMING_CHARS) or _NOTHING_SAID.fullmatch(text):
        return
    start, end = cells.get("start", "").strip(), cells.get("end", "").strip()
    if not all(re.fullmatch(_CLOCK, time) for time in (start, end)):
        yield fault(
            number, text, f"{start} to {end}"[:200], f"the times {start[:30]!r} and {end[:30]!r} are not understood"
        )
        return
    speaker = cells.get("name", cells.get("actor", "")).strip()
    yield Cue(number, seconds(start), seconds(end), text, speaker)
