"""JSONL: one JSON object a line; and the JSON array of objects that people write instead."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import orjson

from transforms.errors import UserError
from transforms.manifests.lines import CERTAIN, MAX_LINE_BYTES, UNLIKE, Beginning, as_utf_8, bad_row, numbered
from transforms.manifests.row import Row

_EXTENSIONS = (".jsonl", ".json", ".ndjson")
# What Python writes and orjson refuses: NaN, and integers beyond floats.
_ONLY_PYTHONS = re.compile(rb"\bNaN\b|\bInfinity\b|\d{309}")
_BEYOND_64_BITS = 2.0**63
_MAX_DIGITS = 4_000
# Strings, and what begins, parts and ends elements.
_MARKS = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\Z)|[\[\]{},]', re.DOTALL)


def likeness(beginning: Beginning) -> int:
    """Certain from the first brace on; the name decides only where no line has a delimiter."""
    # A file of zeros is what a full disk leaves of JSONL.
    if beginning.text().startswith("{") or beginning.first_line().startswith("\0"):
        return CERTAIN
    return 1 if beginning.name.lower().removesuffix(".gz").endswith(_EXTENSIONS) else UNLIKE


def array_likeness(beginning: Beginning) -> int:
    """Certain from the first bracket on."""
    return CERTAIN if beginning.text().startswith("[") else UNLIKE


def read(stream: BinaryIO, name: str) -> Iterator[Row]:
    """A row for every line that is not blank."""
    for number, line in numbered(stream):
        if line.strip():
            yield _row(number, line, "line")


def _row(number: int, content: bytes, what: str) -> Row:
    text = content[:8_000].decode("utf-8", errors="replace")
    if len(content) > MAX_LINE_BYTES:
        return bad_row(number, text, f"the {what} is longer than {MAX_LINE_BYTES:,} bytes")
    try:
        tree = _parsed(content)
    except (ValueError, RecursionError) as fault:  # orjson's and Python's own are ValueErrors
        return bad_row(number, text, f"the {what} is not valid JSON in UTF-8 (invalid: {_in_words(fault)})")
    if not isinstance(tree, dict):
        return bad_row(number, text, f"the {what} must be a JSON object, got {type(tree).__name__}")
    return Row(number, tree)


def _parsed(content: bytes) -> object:
    """The tree; read by Python where orjson refuses what Python writes, or has made a float of an integer."""
    try:
        tree = orjson.loads(content)
    except orjson.JSONDecodeError:
        if _ONLY_PYTHONS.search(content) is None:
            raise
    else:
        values = tree.values() if isinstance(tree, dict) else ()
        if not any(type(value) is float and abs(value) >= _BEYOND_64_BITS for value in values):
            return tree
    return json.loads(content.decode(), parse_int=_integer, parse_constant=_constant)


def _integer(digits: str) -> int | str:
    # Python makes no integer of more digits than these, nor text of it.
    return int(digits) if len(digits) <= _MAX_DIGITS else digits


def _constant(word: str) -> Any:  # noqa: ANN401 -- NaN is what pandas writes for a cell without a value
    return None if word == "NaN" else word


def _in_words(fault: Exception) -> str:
    if isinstance(fault, RecursionError):
        return "too deeply nested"
    return "not UTF-8" if isinstance(fault, UnicodeDecodeError) else str(fault).partition(":")[0]


def read_array(stream: BinaryIO, name: str) -> Iterator[Row]:
    """A row for every element, numbered from 1.

    Raises:
      UserError: the array does not end.
    """
    content = as_utf_8(stream.read())
    for number, element in enumerate(_elements(content, name), start=1):
        yield _row(number, element, "element")


def _elements(content: bytes, name: str) -> Iterator[bytes]:
    """The elements of an array as they stand, however deep they are and whatever is in them."""
    depth = start = 0
    for mark in _MARKS.finditer(content):
        match mark[0]:
            case b"[" | b"{":
                depth += 1
                start = start if depth > 1 else mark.end()
            case b"]" | b"}":
                depth -= 1
                if not depth:
                    last = content[start : mark.start()].strip()
                    yield from [last] if last else []
                    if content[mark.end() :].strip():
                        raise UserError(f"{name}: more follows the JSON array; write one JSON object a line")
                    return
            case b"," if depth == 1:
                yield content[start : mark.start()].strip()
                start = mark.end()
    raise UserError(f"{name}: begins like a JSON array but is not valid JSON; write one JSON object a line")
