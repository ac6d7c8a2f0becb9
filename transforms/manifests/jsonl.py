"""JSONL: one JSON object a line; and the JSON array of objects that people write instead."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import BinaryIO

import orjson

from transforms.errors import UserError
from transforms.manifests.lines import CERTAIN, MAX_LINE_BYTES, UNLIKE, Beginning, bad_row, numbered
from transforms.manifests.row import Row

_EXTENSIONS = (".jsonl", ".json", ".ndjson")


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
            yield _row(number, line)


def _row(number: int, line: bytes) -> Row:
    text = line.decode("utf-8", errors="replace")
    if len(line) > MAX_LINE_BYTES:
        return bad_row(number, text, f"the line is longer than {MAX_LINE_BYTES:,} bytes")
    try:
        tree = orjson.loads(line)
    except orjson.JSONDecodeError as fault:
        return bad_row(number, text, f"the line is not valid JSON in UTF-8 (invalid: {_without_position(str(fault))})")
    except RecursionError:
        return bad_row(number, text, "the line is not valid JSON (invalid: too deeply nested)")
    if not isinstance(tree, dict):
        return bad_row(number, text, f"the line must be a JSON object, got {type(tree).__name__}")
    return Row(number, tree)


def _without_position(message: str) -> str:
    return message.partition(":")[0]


def read_array(stream: BinaryIO, name: str) -> Iterator[Row]:
    """A row for every element, numbered from 1.

    Raises:
      UserError: the file is not valid JSON.
    """
    try:
        tree = json.loads(stream.read().decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise UserError(
            f"{name}: begins like a JSON array but is not valid JSON; write one JSON object a line"
        ) from None
    for number, fields in enumerate(tree, start=1):
        if isinstance(fields, dict):
            yield Row(number, fields)
        else:
            yield bad_row(number, json.dumps(fields), f"the element must be a JSON object, got {type(fields).__name__}")
