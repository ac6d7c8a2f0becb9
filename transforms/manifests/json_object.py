"""JSON that is one object over many lines: a list of rows in it, rows by their ids, or one such row after another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import orjson

from transforms.bounds import MAX_LINE_BYTES
from transforms.errors import UserError
from transforms.manifests import jsonl
from transforms.manifests.headerless import is_path
from transforms.manifests.lines import CERTAIN, UNLIKE, Beginning, as_utf_8, bad_row, utf_8
from transforms.manifests.row import ALIASES, Fields, Row

_BLOCK_BYTES = 1 << 16
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{},:]|"', re.DOTALL)
_CLOSING = {b"{": b"}", b"[": b"]"}
_NEXT = re.compile(rb"\S")
# Lists lie no deeper than in {"result": {"data": [...]}}.
_MAX_DEPTH = 3
# More than certain: every such file also begins as JSONL does.
_MORE = CERTAIN + 1
_AUDIO = frozenset(ALIASES["audio"])
_OF_A_ROW = frozenset(alias for column in ("id", "audio", "text") for alias in ALIASES[column]) | {"supervisions"}


def list_likeness(beginning: Beginning) -> int:
    """More than certain of an object with a list of objects."""
    tree = _begun(beginning)
    return _MORE if tree is not None and not _is_row(tree) and _has_list(tree) else UNLIKE


def map_likeness(beginning: Beginning) -> int:
    """More than certain of an object of objects that name recordings."""
    tree = _begun(beginning)
    if tree is None or _is_row(tree):
        return UNLIKE
    rows = [value for value in tree.values() if isinstance(value, dict) and _AUDIO & value.keys()]
    return _MORE + 1 if len(rows) * 2 > len(tree) else UNLIKE  # such rows may have lists, too


def rows_likeness(beginning: Beginning) -> int:
    """More than certain of an object over several lines that is a row itself."""
    tree = _begun(beginning)
    return _MORE if tree is not None and _is_row(tree) and _is_over_lines(beginning) else UNLIKE


def _is_row(tree: dict[str, Any]) -> bool:
    return bool(_OF_A_ROW & tree.keys()) or any(isinstance(value, str) and is_path(value) for value in tree.values())


def _begun(beginning: Beginning) -> dict[str, Any] | None:
    """The object that a file begins with, as far as it has come; None for JSONL and for all else."""
    if not beginning.text().startswith("{") or not (_is_over_lines(beginning) or _is_alone(beginning)):
        return None
    tree = _as_far_as_it_goes(as_utf_8(beginning.content))
    return tree if isinstance(tree, dict) else None


def _is_over_lines(beginning: Beginning) -> bool:
    """Whether the first line ends where no object can end, and the next goes on with it."""
    first, *rest = beginning.lines(2)
    first, following = first.rstrip(), rest[0].lstrip() if rest else ""
    return first == "{" or first.endswith(("[", "{", ":")) or (first.endswith(",") and following.startswith('"'))


def _is_alone(beginning: Beginning) -> bool:
    """Whether all that can be seen of a file is one line."""
    return len(beginning.lines(2)) == 1


def _as_far_as_it_goes(content: bytes) -> object:
    """The beginning of a JSON text as a tree: up to the last comma, with all closed that is open there."""
    stack: list[bytes] = []
    at = 0
    for token in _TOKEN.finditer(content):
        mark = token[0]
        if mark in _CLOSING:
            stack.append(mark)
            at = token.end()
        elif mark in b"]}" and stack:
            stack.pop()
            at = token.end()
            if not stack:
                break
        elif mark == b",":
            at = token.start()
    try:
        return orjson.loads(content[:at] + b"".join(_CLOSING[mark] for mark in reversed(stack)))
    except orjson.JSONDecodeError:
        return None


def _has_list(tree: dict[str, Any], depth: int = 1) -> bool:
    for value in tree.values():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return True
        if isinstance(value, dict) and depth < _MAX_DEPTH and _has_list(value, depth + 1):
            return True
    return False


def read_list(stream: BinaryIO, name: str) -> Iterator[Row]:
    """A row for every element of the list, numbered from 1.

    Raises:
      UserError: the object does not end, or has two lists of objects.
    """
    lists: list[str] = []
    for number, (key, element) in enumerate(_Walk(utf_8(stream), name).elements(), start=1):
        if key not in lists:
            lists.append(key)
        if len(lists) > 1:
            both = f"it has two lists of objects, {lists[0]!r} and {lists[1]!r}"
            raise UserError(f"{name}: {both}; write the one that is meant to a file of its own")
        yield jsonl.row(number, element, "element")


def read_map(stream: BinaryIO, name: str) -> Iterator[Row]:
    """A row for every entry, numbered from 1, with its key as id.

    Raises:
      UserError: the object does not end.
    """
    for number, element in enumerate(jsonl.elements(utf_8(stream), name), start=1):
        yield _entry(jsonl.row(number, b"{%s}" % element, "entry"))


def _entry(row: Row) -> Row:
    if row.fault is not None:
        return row
    (key, value), *_ = row.fields.items()
    if not isinstance(value, dict):
        return bad_row(row.line, str(key), f"the entry must be a JSON object, got {type(value).__name__}")
    fields: Fields = {"id": key, **value}
    return Row(row.line, fields)


def read_rows(stream: BinaryIO, name: str) -> Iterator[Row]:
    """A row for every object, numbered from 1.

    Raises:
      UserError: one does not end.
    """
    content, number, source = b"", 0, utf_8(stream)
    while True:
        end = _end(content)
        if end:
            number += 1
            yield jsonl.row(number, content[:end].strip(), "object")
            content = content[end:]
        elif block := source.read(max(_BLOCK_BYTES, len(content))):
            content += block
            _refuse_endless(content, name)
        elif content.strip():
            raise UserError(f"{name}: begins like JSON objects but is not valid JSON; write one JSON object a line")
        else:
            return


def _end(content: bytes) -> int:
    """Where the first object ends; 0 if it does not."""
    depth = 0
    for token in _TOKEN.finditer(content):
        depth += (token[0] in _CLOSING) - (token[0] in (b"}", b"]"))
        if not depth:
            return token.end()
        if token[0] == b'"':
            return 0
    return 0


def _refuse_endless(content: bytes, name: str) -> None:
    if len(content) > MAX_LINE_BYTES + _BLOCK_BYTES:
        raise UserError(f"{name}: no list of rows in its first {MAX_LINE_BYTES:,} bytes; write one JSON object a line")


@dataclass(slots=True)
class _Walk:
    """A walk through an object to the lists of objects in it; what else is in it is small.

    Attributes:
      stream: the file as UTF-8.
      name: of the manifest, for messages.
      open: the brackets that are open, each with the key that it stands behind.
      content: what has been read and not been passed.
    """

    stream: BinaryIO
    name: str
    open: list[tuple[bytes, str]] = field(default_factory=list)
    content: bytes = b""

    def elements(self) -> Iterator[tuple[str, bytes]]:
        """Each element of every list of objects, with the list's key."""
        while True:
            found = self._step()
            if found == "list":
                key = self.open[-1][1]
                self.open.pop()
                for element in self._list():
                    yield key, element
            elif found == "end":
                if self.content.strip() or self.stream.read(_BLOCK_BYTES).strip():
                    raise UserError(f"{self.name}: more follows the JSON object; write one JSON object a line")
                return
            elif block := self.stream.read(max(_BLOCK_BYTES, len(self.content))):
                self.content += block
                _refuse_endless(self.content, self.name)
            else:
                raise UserError(f"{self.name}: the JSON object does not end; fetch or write the file again")

    def _step(self) -> str:
        """Goes on to the next list of objects, to the end of the object, or to that of what has been read."""
        before, key = list(self.open), ""
        last = b""
        for token in _TOKEN.finditer(self.content):
            mark = token[0]
            if mark == b'"':
                break
            if mark in _CLOSING:
                following = _NEXT.search(self.content, token.end())
                if following is None:
                    break
                may_be = len(self.open) <= _MAX_DEPTH and all(each == b"{" for each, _ in self.open)
                self.open.append((mark, key))
                if may_be and mark == b"[" and following[0] == b"{":
                    self.content = self.content[token.start() :]
                    return "list"
            elif mark in (b"]", b"}"):
                self.open.pop()
                if not self.open:
                    self.content = self.content[token.end() :]
                    return "end"
            elif mark == b":":
                key = last[1:-1].decode(errors="replace")
            last = mark
        self.open = before  # from here it is tried again, with more
        return "more"

    def _list(self) -> Iterator[bytes]:
        array = jsonl.Array()
        block = self.content
        while block:
            yield from array.elements(block)
            if array.ended:
                self.content = array.rest
                return
            block = self.stream.read(_BLOCK_BYTES)
        raise UserError(f"{self.name}: a list in it does not end; fetch or write the file again")
