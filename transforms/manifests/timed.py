"""Texts with times in them: labels, which are segments; subtitles and tiers, which are no target."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LABEL = re.compile(r"([0-9]+(?:[.,][0-9]+)?)\t([0-9]+(?:[.,][0-9]+)?)(?:\t(.*))?")
_SPECTRAL = re.compile(r"\\\t")  # the frequencies of the label above
_CLOCK = r"(?:[0-9]+:)?[0-9]{1,2}:[0-9]{2}(?:[.,][0-9]+)?"
# Beginnings, and what the file holds then.
_KINDS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"WEBVTT"), "subtitles (WebVTT)"),
    (re.compile(rf"(?:[0-9]+\s*\n)?{_CLOCK}[ \t]*--+>[ \t]*{_CLOCK}"), "subtitles (SRT)"),
    (re.compile(rf"{_CLOCK},{_CLOCK}\s*\n"), "subtitles (SBV)"),
    (re.compile(r"\[Script Info\]"), "subtitles (SSA)"),
    (re.compile(r"\{[0-9]+\}\{[0-9]+\}"), "subtitles (MicroDVD)"),
    (re.compile(rf"(?:\[[a-z]+:[^\]\n]*\]\s*)*\[{_CLOCK}\]"), "lyrics with times (LRC)"),
    (re.compile(rf"\[{_CLOCK} *(?:-->|-) *{_CLOCK}\]"), "lines with times"),
    (re.compile(r'(?:File type = )?"ooTextFile'), "a Praat TextGrid"),
    (re.compile(r"<\?xml|<tt[ >]|<ANNOTATION_DOCUMENT"), "XML, as of subtitles or annotations"),
    (re.compile(r'\{\s*"(?:text|segments|language|task|monologues|results|words)"'), "JSON, as recognizers write it"),
    (re.compile(r"\{\\rtf"), "rich text (RTF)"),
    (re.compile(rf"{_CLOCK}\t{_CLOCK}\t"), "lines with times"),
)


@dataclass(frozen=True, slots=True)
class Label:
    """A labelled segment of a recording.

    Attributes:
      start: seconds from the recording's start.
      duration: seconds; 0 for a label of a point.
      text: of the label.
    """

    start: float
    duration: float
    text: str


def labels(text: str) -> list[Label]:
    """The labels of a text, as Audacity exports them: start, end and text between tabs; [] if it is anything else."""
    lines = [line for line in text.splitlines() if line.strip() and not _SPECTRAL.match(line)]
    found = [_LABEL.fullmatch(line) for line in lines]
    return [_label(match) for match in found if match] if all(found) else []


def _label(match: re.Match[str]) -> Label:
    start, end = (float(match[group].replace(",", ".")) for group in (1, 2))
    return Label(start, round(end - start, 6), match[3] or "")


def kind_of(text: str) -> str:
    """What a text that holds times is; "" for any other."""
    beginning = text.lstrip("\ufeff \t\r\n").replace("\r\n", "\n")[:2_000]
    return next((kind for pattern, kind in _KINDS if pattern.match(beginning)), "")
