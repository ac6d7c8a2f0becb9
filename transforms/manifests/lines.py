"""Manifests as text: how they begin, their numbered lines, and lines that are no rows."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, BinaryIO

from transforms import reasons
from transforms.errors import ClipRejected
from transforms.manifests.row import Row

# The longest line that is taken for one row; texts are kilobytes, never this.
MAX_LINE_BYTES = 32 << 20
BEGINNING_BYTES = 1 << 16
# The likeness of a manifest that cannot be of a format, and of one that can be of no other (see `formats.FileFormat`).
UNLIKE, CERTAIN = -1, 1 << 30
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a manifest's format is told by.

    Attributes:
      name: of the manifest, as the user wrote it.
      content: its first 64 KiB, unpacked.
    """

    name: str
    content: bytes

    def text(self) -> str:
        """The beginning without byte order mark and white space in front."""
        return self.content.decode(encoding_of(self.content), errors="replace").lstrip("\ufeff \t\r\n")

    def first_line(self) -> str:
        """The first line with anything in it."""
        return re.split(r"[\r\n]", self.text(), maxsplit=1)[0]


def encoding_of(start: bytes) -> str:
    """The encoding that a file's byte order mark names; UTF-8 without one."""
    return next((encoding for bom, encoding in _BOMS if start.startswith(bom)), "utf-8")


def numbered(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    r"""Numbered lines without their ends: \n, \r\n or a lone \r; U+2028 ends none."""
    encoding = encoding_of(stream.read(4))
    stream.seek(0)
    source: IO[bytes] = stream
    if encoding == "utf-16":
        source = io.BytesIO(stream.read().decode("utf-16", errors="replace").encode())
    lone = _lone_returns(source)
    number = 0
    while line := source.readline(MAX_LINE_BYTES + 1):
        for part in line.rstrip(b"\r\n").split(b"\r") if lone else [line.rstrip(b"\r\n")]:
            number += 1
            yield number, part.removeprefix(b"\xef\xbb\xbf") if number == 1 else part


def _lone_returns(stream: IO[bytes]) -> bool:
    """Whether lines end with a carriage return alone, as on old Macs."""
    start = stream.read(BEGINNING_BYTES)
    stream.seek(0)
    return b"\r" in start and b"\n" not in start


def bad_row(number: int, text: str, detail: str) -> Row:
    """A line that is no row: BAD_ROW."""
    return Row(number, {}, ClipRejected(reasons.BAD_ROW, detail), text[:2_000])
