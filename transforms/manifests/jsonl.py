"""JSONL: one JSON object a line; and the JSON array of objects that people write instead."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import orjson

from transforms.bounds import MAX_COLUMNS, MAX_LINE_BYTES
from transforms.errors import UserError
from transforms.manifests.lines import CERTAIN, UNLIKE, Beginning, bad_row, numbered, utf_8
from transforms.manifests.row import Row

_EXTENSIONS = (".jsonl", ".json", ".ndjson")
# What Python writes and orjson refuses: NaN, and integers beyond floats.
_ONLY_PYTHONS = re.compile(rb"\bNaN\b|\bInfinity\b|(?<!\d)\d{309}")
_BEYOND_64_BITS = 2.0**63
_MAX_DIGITS = 4_000
_BLOCK_BYTES = 1 << 16
# Strings, "open" where the block ends within one; and what begins, parts and ends elements.
_STRING = re.compile(rb'(?:[^"\\]|\\.)*+(?:"|(?P<open>))', re.DOTALL)
_MARKS = re.compile(rb'"' + _STRING.pattern + rb"|[\[\]{},]", re.DOTALL)


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
        if line.strip() or len(line) > MAX_LINE_BYTES:  # more may stand behind so many blanks
            yield row(number, line, "line")


def row(number: int, content: bytes, what: str) -> Row:
    """The row that a JSON object is; `what` it is, for messages."""
    text = content[:8_000].decode("utf-8", errors="replace")
    if len(content) > MAX_LINE_BYTES:
        return bad_row(number, text, f"the {what} is longer than {MAX_LINE_BYTES:,} bytes")
    try:
        tree = _parsed(content)
    except (ValueError, RecursionError) as fault:  # orjson's and Python's own are ValueErrors
        return bad_row(number, text, f"the {what} is not valid JSON in UTF-8 (invalid: {_in_words(fault)})")
    if not isinstance(tree, dict):
        return bad_row(number, text, f"the {what} must be a JSON object, got {type(tree).__name__}")
    if len(tree) > MAX_COLUMNS:
        return bad_row(number, text, f"the {what} has {len(tree):,} fields, over the limit of {MAX_COLUMNS:,}")
    return Row(number, tree)


def _parsed(content: bytes) -> object:
    """The tree; read by Python where orjson refuses what Python writes, or has made a float of an integer."""
    try:
        tree = orjson.loads(content)
    except orjson.JSONDecodeError:
        if _ONLY_PYTHONS.search(content) is None:
            raise
    else:
        numbers = [value for value in tree.values() if type(value) is float] if isinstance(tree, dict) else ()
        if not any(abs(value) >= _BEYOND_64_BITS for value in numbers):
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
    for number, element in enumerate(elements(utf_8(stream), name), start=1):
        yield row(number, element, "element")


def elements(stream: BinaryIO, name: str) -> Iterator[bytes]:
    """The elements of an array as they stand, however deep they are and whatever is in them."""
    array = Array()
    while block := stream.read(_BLOCK_BYTES):
        yield from array.elements(block)
        if array.ended and array.rest.strip():
            raise UserError(f"{name}: more follows the JSON array; write one JSON object a line")
    if not array.ended:
        raise UserError(f"{name}: begins like a JSON array but is not valid JSON; write one JSON object a line")


@dataclass(slots=True)
class Array:
    """An array that is read a block at a time.

    Attributes:
      depth: of the brackets and braces that are open.
      in_string: whether a string is.
      element: what has been read of an element; of one over `MAX_LINE_BYTES`, one byte more than these.
      rest: what has still to be read; once the array has ended, what follows it.
      ended: whether it has.
    """

    depth: int = 0
    in_string: bool = False
    element: bytearray = field(default_factory=bytearray)
    rest: bytes = b""
    ended: bool = False

    def elements(self, block: bytes) -> Iterator[bytes]:
        """The elements that end in the next block."""
        if self.ended:
            self.rest = block
            return
        block, self.rest = self.rest + block, b""
        start, at = 0, self._end_of_string(block)
        for mark in () if self.in_string else _MARKS.finditer(block, at):
            if mark.lastgroup:
                self.in_string, at = True, mark.end()
                break
            match mark[0]:
                case b"[" | b"{":
                    self.depth += 1
                    start = start if self.depth > 1 else mark.end()
                case b"]" | b"}":
                    self.depth -= 1
                    if not self.depth:
                        last = self._taken(block[start : mark.start()])
                        yield from [last] if last else []
                        self.ended, self.rest = True, block[mark.end() :]
                        return
                case b"," if self.depth == 1:
                    yield self._taken(block[start : mark.start()])
                    start = mark.end()
        # Of a string, the block may end with a backslash, whose character comes with the next one.
        end = at if self.in_string else len(block)
        self._add(block[start:end])
        self.rest = block[end:]

    def _end_of_string(self, block: bytes) -> int:
        """Where the string ends that was open at the end of the last block; 0 for none."""
        found = _STRING.match(block) if self.in_string else None
        self.in_string = found is not None and found.lastgroup is not None
        return found.end() if found else 0

    def _add(self, part: bytes) -> None:
        if not self.in_string and not part.strip():  # blanks beside an element are nothing, however many there are
            part = part[: bool(self.element) and not self.element.endswith(part[:1])]
        self.element += part[: MAX_LINE_BYTES + 1 - len(self.element)]

    def _taken(self, part: bytes) -> bytes:
        """The element that ends with `part`."""
        self._add(part)
        found = bytes(self.element).strip()
        self.element.clear()
        return found
