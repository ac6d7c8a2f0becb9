"""Texts with times in them: labels, which are cues; and times in forms that are not read, which are no target."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LABEL = re.compile(r"([0-9]+(?:[.,][0-9]+)?)\t([0-9]+(?:[.,][0-9]+)?)(?:\t(.*))?")
_SPECTRAL = re.compile(r"\\\t")  # the frequencies of the label above
_CLOCK = r"(?:[0-9]+:)?[0-9]{1,2}:[0-9]{2}(?:[.,][0-9]+)?"
_EXACT_CLOCK = r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?[.,:;][0-9]{2,3}"
_SECONDS = r"[0-9]+[.,][0-9]+"
# Beginnings, and what the file holds then.
_BEGINNINGS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\{[0-9]+\}\{[0-9]+\}"), "subtitles (MicroDVD)"),
    (re.compile(r"<\?xml|<tt[ >]|<ANNOTATION_DOCUMENT"), "XML, as of subtitles or annotations"),
    (re.compile(r'\{\s*"(?:text|segments|language|task|monologues|results|words)"'), "JSON, as recognizers write it"),
    (re.compile(r"\{\\rtf"), "rich text (RTF)"),
    (re.compile(r"start[\t,]end[\t,]text", re.IGNORECASE), "a table of segments"),
    (re.compile(r"SPEAKER \S+ [0-9]+ [0-9.]+ [0-9.]+ "), "segments (RTTM)"),
)
# Lines, at any place, and what the file holds then.
_LINES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(rf"^[ \t\[(]*{_CLOCK}[ \t]*--+>[ \t]*{_CLOCK}", re.MULTILINE), "subtitles (SRT, or lines with times)"),
    (re.compile(rf"^{_CLOCK},{_CLOCK}$", re.MULTILINE), "subtitles (SBV)"),
    (re.compile(rf"^\[{_CLOCK}\]", re.MULTILINE), "lyrics or lines with times"),
    (re.compile(rf"^{_SECONDS}\t{_SECONDS}(?:\t|$)", re.MULTILINE), "labels among other lines"),
    (re.compile(rf"^.*{_EXACT_CLOCK}.*{_EXACT_CLOCK}", re.MULTILINE), "lines with times"),
    (re.compile(rf"^[\[(]?{_CLOCK}[\])]?\n|\n[\[(]?{_CLOCK}[\])]?$", re.MULTILINE), "lines with times"),
    (re.compile(rf"^(?:Speaker|SPEAKER|speaker) \w+,?[ \t]+[\[(]?{_CLOCK}", re.MULTILINE), "lines with times"),
)
# Every line, as of CTM and STM: perhaps names, then start and end, or start and length.
_SEGMENT = re.compile(rf"(?:\S+[ \t]+){{0,3}}{_SECONDS}[ \t,;]+{_SECONDS}(?:[ \t,;]|$)")
_MAX_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class Label:
    """A labelled segment of a recording.

    Attributes:
      line: 1-based line of the file.
      start: seconds from the recording's start.
      duration: seconds; 0 for a label of a point.
      text: of the label.
    """

    line: int
    start: float
    duration: float
    text: str


def labels(text: str) -> list[Label]:
    """The labels of a text, as Audacity exports them: start, end and text between tabs; [] if it is anything else."""
    lines = enumerate(text.splitlines(), start=1)
    found = [(n, _LABEL.fullmatch(line)) for n, line in lines if line.strip() and not _SPECTRAL.match(line)]
    return [_label(n, match) for n, match in found if match] if all(match for _, match in found) else []


def _label(line: int, match: re.Match[str]) -> Label:
    start, end = (float(match[group].replace(",", ".")) for group in (1, 2))
    return Label(line, start, round(end - start, 6), match[3] or "")


def kind_of(text: str) -> str:
    """What a text that holds times is; "" for any other."""
    shown = text.lstrip("\ufeff \t\r\n").replace("\r\n", "\n")[:_MAX_CHARS]
    kinds = (
        *(kind for pattern, kind in _BEGINNINGS if pattern.match(shown)),
        *(kind for pattern, kind in _LINES if pattern.search(shown)),
    )
    lines = [line for line in shown.splitlines() if line.strip()]
    segments = lines and all(map(_SEGMENT.match, lines))
    return kinds[0] if kinds else "lines with times" if segments else ""
