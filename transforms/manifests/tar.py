"""The members of a tar, a header at a time. Contents are passed over, and what a header claims is bounded.

The library's own reader holds every header, and takes into memory what extended headers say that they have.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

BLOCK = 512
# Of a long name, or of an extended header: names have four thousand characters at most.
_MAX_EXTENDED_BYTES = 1 << 20
_REGULAR = b"0\0" + b"7"
_KINDS = {b"1": "a hard link", b"2": "a link", b"3": "a device", b"4": "a device", b"6": "a pipe", b"S": "sparse"}
_SPARSE = "GNU.sparse."


class DamagedError(Exception):
    """From here on the archive cannot be read. The text says why."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an archive.

    Attributes:
      name: with its folders.
      offset, size: of its contents in the archive.
      kind: "" for a regular file, else what it is, in words.
    """

    name: str
    offset: int
    size: int
    kind: str = ""


def is_header(block: bytes) -> bool:
    """Whether a block is the header of a member."""
    return len(block) == BLOCK and block.strip(b"\0") != b"" and _checksum(block) == _number(block[148:156])


def members(stream: BinaryIO) -> Iterator[Member]:
    """The members of an open archive but its folders, in their order.

    Raises:
      DamagedError: what follows is no header, or the archive ends within a member.
    """
    end = stream.seek(0, os.SEEK_END)
    at = 0
    everywhere: dict[str, str] = {}
    told: dict[str, str] = {}
    while at + BLOCK <= end:
        stream.seek(at)
        block = stream.read(BLOCK)
        if not block.strip(b"\0"):
            return
        if not is_header(block):
            raise DamagedError("what follows is no header of a member")
        size = _number(block[124:136])
        at += BLOCK
        kind = block[156:157]
        if kind in b"xgLK" and kind:
            _refuse_end(at, size, end)
            content = _extended(stream, size)
            if kind in b"xg":
                (told if kind == b"x" else everywhere).update(_records(content))
            elif kind == b"L":
                told["path"] = _text(content)
        else:
            facts = {**everywhere, **told}
            told = {}
            size = _digits(facts["size"]) if "size" in facts else size
            size = 0 if kind in b"123456" and kind else size
            _refuse_end(at, size, end)
            if kind != b"5":
                yield Member(facts.get("path") or _name(block), at, size, _kind(kind, facts))
        at += -(-size // BLOCK) * BLOCK
    if at < end:
        raise DamagedError("the archive ends within a header")


def _refuse_end(at: int, size: int, end: int) -> None:
    if size < 0 or at + size > end:
        raise DamagedError("the archive ends within a member, or a member claims too much")


def _extended(stream: BinaryIO, size: int) -> bytes:
    if size > _MAX_EXTENDED_BYTES:
        raise DamagedError(f"a header of {size:,} bytes")
    return stream.read(size)


def _records(content: bytes) -> dict[str, str]:
    """The records of an extended header, each of which begins with its length."""
    found: dict[str, str] = {}
    at = 0
    while at < len(content):
        digits = content[at : at + 20].partition(b" ")[0]
        length = _digits(digits.decode("ascii", "replace"))
        if not len(digits) + 1 < length <= len(content) - at:
            raise DamagedError("an extended header that is none")
        name, _, value = content[at + len(digits) + 1 : at + length - 1].partition(b"=")
        found[_text(name)] = _text(value)
        at += length
    return found


def _kind(kind: bytes, facts: dict[str, str]) -> str:
    if any(name.startswith(_SPARSE) for name in facts):
        return "sparse"
    return "" if kind in _REGULAR or not kind else _KINDS.get(kind, "no regular file")


def _name(block: bytes) -> str:
    name, prefix = _text(block[:100]), _text(block[345:500]) if block[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _text(content: bytes) -> str:
    return content.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _digits(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise DamagedError("a length that is no number")
    return int(text)


def _number(content: bytes) -> int:
    """A number in octal digits, or in binary behind a mark; -1 for what is none."""
    if content[:1] == b"\x80":
        return int.from_bytes(content[1:], "big")
    digits = content.strip(b" \0")
    try:
        return int(digits, 8) if digits else 0
    except ValueError:
        return -1


def _checksum(block: bytes) -> int:
    """The sum of a header's bytes, of which those of the sum itself count as blanks."""
    return sum(block) - sum(block[148:156]) + 8 * 0x20
