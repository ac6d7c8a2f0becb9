"""Files of cues: which format one is of, told by its contents, and what it says when."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from transforms import reasons, region
from transforms.errors import ClipRejected
from transforms.manifests import elan, recognized, subtitles, textgrid, timed, ttml
from transforms.manifests.cues import Cue, Tier, Transcript
from transforms.manifests.lines import as_utf_8

# What may lie beside a recording, the best first: made by hand, then with the most in it. A .txt comes last.
EXTENSIONS = (
    *("textgrid", "eaf", "json", "json3", "vtt", "srt", "ass", "ssa", "sbv", "lrc", "stm", "ctm", "tsv"),
    *("ttml", "dfxp", "sub", "rttm"),
)
# Of these, what is no transcript is another file of a recording, and no fault.
OFTEN_OTHERS = ("json", "tsv")
# What holds a text as a rule; aligners call it a .lab.
PLAIN = ("txt", "lab")
# Days of speech, a word a line.
MAX_LINES = 1_000_000
_TABLE = re.compile(r"start\tend\ttext", re.IGNORECASE)
_TEXT_BEGINS = re.compile(r"[\ufeff \t\r\n]*")
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_HTK = re.compile(r"[ \t]*\d+[ \t]+\d+[ \t]+\S")
_CTM = re.compile(rf"\S+[ \t]+\S+[ \t]+({_NUMBER})[ \t]+({_NUMBER})[ \t]+(\S+)(?:[ \t].*)?")
_STM = re.compile(rf"\S+[ \t]+\S+[ \t]+(\S+)[ \t]+({_NUMBER})[ \t]+({_NUMBER})[ \t]*(?:<[^>]*>)?[ \t]*(.*)")


@dataclass(frozen=True, slots=True)
class Kind:
    """A format of cues.

    Attributes:
      name: for people.
      fits: whether a text is of it.
      read: its cues.
    """

    name: str
    fits: Callable[[str], object]
    read: Callable[[str], Transcript]


def read(content: bytes, file: str) -> Transcript | None:
    """The cues of a file; None for one that holds no times.

    Args:
      content: all of it.
      file: its name, for messages; of it, the extensions of NIST's lists count, which have no other mark.

    Raises:
      ClipRejected: BAD_FIELD for damage, TIMED_TEXT for times that are not read, DECODER_FAULT for a fault of ours.
    """
    try:
        with region.closed():
            return _read(content, file)
    except ClipRejected as fault:
        named = fault.detail.startswith(file)
        raise ClipRejected(fault.reason, fault.detail if named else f"{file}: {fault.detail}") from None


def _read(content: bytes, file: str) -> Transcript | None:
    if sum(map(content.count, (b"\n", b"\r"))) > MAX_LINES:
        raise ClipRejected(reasons.BAD_FIELD, f"{file} has over {MAX_LINES:,} lines")
    head = content[:4_096].lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith((b"{", b"[")) and (found := recognized.read(as_utf_8(content))) is not None:
        return found
    text = _text(content, file)
    shown = text[_TEXT_BEGINS.match(text).end() :]  # type: ignore[union-attr]
    if elan.BEGINS.match(shown):
        return elan.read(content)
    if ttml.BEGINS.match(shown):
        return ttml.read(content)
    kind = next((kind for kind in (*_by_name(file), *_KINDS) if kind.fits(shown)), None)
    if kind is not None:
        return kind.read(text)
    if what := timed.kind_of(text) or _of_htk(text, file):
        raise ClipRejected(reasons.TIMED_TEXT, f"{file} holds {what}, not the text of the recording")
    return None


def said(content: bytes, file: str) -> str:
    """What a text without times says. One newline at its end belongs to the file.

    Raises:
      ClipRejected: BAD_FIELD, it is not valid UTF-8.
    """
    return _text(content, file).removesuffix("\n").removesuffix("\r")


def _text(content: bytes, file: str) -> str:
    try:
        return as_utf_8(content).decode()
    except UnicodeDecodeError:
        raise ClipRejected(reasons.BAD_FIELD, f"{file} is not valid UTF-8; save it as UTF-8") from None


def _one_tier(cues: Iterator[Cue], *, ordered: bool = True) -> Transcript:
    found = tuple(cues)
    return Transcript((Tier("", found),) if found else (), ordered=ordered)


def _labels(text: str) -> Transcript:
    """Audacity's labels: those of points, and those without text, are kept to be told of."""
    return _one_tier(
        Cue(label.line, label.start, round(label.start + label.duration, 6), label.text.strip())
        for label in timed.labels(text)
    )


def _table(text: str) -> Transcript:
    """The table that Whisper writes, in milliseconds; of numbers with a point, in seconds."""
    lines = list(enumerate(subtitles.lines_of(text), start=1))
    start = next(n for n, line in lines if line.strip())
    rows = [(n, line.split("\t", 2)) for n, line in lines if n > start and line.strip()]
    whole = all(cell.isdecimal() for _, cells in rows for cell in cells[:2])
    return _one_tier(cue for n, cells in rows for cue in _of_table(n, cells, 1_000 if whole else 1))


def _of_table(number: int, cells: list[str], unit: int) -> Iterator[Cue]:
    try:
        start, end = (float(cell) / unit for cell in cells[:2])
    except ValueError:
        raise ClipRejected(reasons.BAD_FIELD, f"line {number} has no start and end before its text") from None
    if len(cells) > 2 and (text := subtitles.plain(cells[2])):
        yield Cue(number, start, end, text)


def _nist(text: str, pattern: re.Pattern[str]) -> Transcript:
    """Lists of NIST's scorer: words of a CTM, with start and length; turns of an STM, with start and end."""
    found = []
    for number, line in enumerate(subtitles.lines_of(text), start=1):
        if not line.strip() or line.startswith(";;"):
            continue
        match = pattern.fullmatch(line.strip())
        if match is None:
            raise ClipRejected(reasons.BAD_FIELD, f"line {number} is not as in the others")
        if pattern is _CTM:
            start = float(match[1])
            found.append(Cue(number, start, round(start + float(match[2]), 6), match[3]))
        elif match[4].strip() and match[4].strip() != "ignore_time_segment_in_scoring":
            found.append(Cue(number, float(match[2]), float(match[3]), match[4].strip(), match[1]))
    return _one_tier(iter(found), ordered=False)


def _of_htk(text: str, file: str) -> str:
    """What a .lab with times holds: of words or of sounds, it does not say; "" for a text."""
    lines = [line for line in subtitles.lines_of(text) if line.strip()]
    is_htk = file.lower().endswith(".lab") and lines and all(map(_HTK.match, lines))
    return "labels of HTK, which may be of sounds" if is_htk else ""


def _by_name(file: str) -> tuple[Kind, ...]:
    pattern = {"ctm": _CTM, "stm": _STM}.get(file.rpartition(".")[2].lower())
    return () if pattern is None else (Kind("NIST", bool, partial(_nist, pattern=pattern)),)


_KINDS = (
    Kind("TextGrid", textgrid.BEGINS.match, textgrid.read),
    Kind("SubStation Alpha", re.compile(r"\[Script Info\]").match, subtitles.read_alpha),
    Kind("labels", timed.labels, _labels),
    Kind("table of segments", _TABLE.match, _table),
    Kind("SRT, WebVTT", subtitles.is_timed, subtitles.read),
    Kind("LRC", subtitles.is_lyrics, subtitles.read_lyrics),
)
