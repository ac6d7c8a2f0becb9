"""GigaSpeech.json: recordings with their segments; punctuation is spelled as tags."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from transforms import reasons
from transforms.errors import ClipRejected
from transforms.manifests.row import Fields, Row
from transforms.manifests.tool import Beside, Retell, Tool
from transforms.manifests.words import split_of

# As its authors explain them.
_TAGS = {"<COMMA>": ",", "<PERIOD>": ".", "<QUESTIONMARK>": "?", "<EXCLAMATIONPOINT>": "!"}
_MARK = re.compile(rf"\s*({'|'.join(_TAGS)})")
# Of segments that have no words at all.
_NO_WORDS = re.compile(r"\s*(<(SIL|MUSIC|NOISE|OTHER)>\s*)+")
_OF_RECORDING = ("title", "url", "source", "category")


def _wrote(row: Row) -> bool:
    segments = row.fields.get("segments")
    first = segments[0] if isinstance(segments, list) and segments else None
    return "path" in row.fields and isinstance(first, dict) and {"sid", "begin_time", "end_time"} <= first.keys()


def _retell(beside: Beside) -> Retell:
    return _segments


def _segments(row: Row) -> Iterator[Row]:
    """A row for every segment of a recording."""
    recording = row.fields
    segments = recording.get("segments")
    if not isinstance(segments, list) or not segments:
        raise ClipRejected(reasons.MISSING_TEXT, "the recording has no segments")
    for segment in segments:
        yield _segment(row, recording, segment)


def _segment(row: Row, recording: Fields, segment: dict[str, Any]) -> Row:
    text = segment.get("text_tn")
    fields: Fields = {
        "id": segment.get("sid"),
        "audio": recording.get("path"),
        "begin_time": segment.get("begin_time"),
        "end_time": segment.get("end_time"),
        "text": _MARK.sub(lambda found: _TAGS[found[1]], text) if isinstance(text, str) else text,
        # Its segments mostly name no speaker.
        "group": recording.get("aid"),
        "split": _split([*(segment.get("subsets") or ()), *(recording.get("subsets") or ())]),
        **{name: recording[name] for name in _OF_RECORDING if name in recording},
    }
    if isinstance(text, str) and _NO_WORDS.fullmatch(text):
        return replace(row, fields=fields, fault=ClipRejected(reasons.MISSING_TEXT, f"no words, only {text.strip()}"))
    return replace(row, fields=fields)


def _split(subsets: list[str]) -> str:
    named = (split_of(str(name)) for name in subsets)
    return next(filter(None, named), "train")


TABLE = Tool(
    "gigaspeech",
    "GigaSpeech.json: recordings with their segments; <COMMA> and its kin become marks",
    "GigaSpeech",
    _wrote,
    _retell,
)
