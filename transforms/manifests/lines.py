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
_SURROGATES = re.compile("[\ud800-\udfff]")
_BOMS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\0\0", "utf-32"),  # before the mark that it begins with
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
# UTF-16 without a mark, whose every other byte is zero where the text is ASCII.
_UNMARKED = (
    (re.compile(rb"[^\0]\0[^\0]\0", re.DOTALL), "utf-16-le"),
    (re.compile(rb"\0[^\0]\0[^\0]", re.DOTALL), "utf-16-be"),
)


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

    def lines(self, at_most: int) -> list[str]:
        """The first lines with anything in them, without one that the beginning cuts."""
        found = [line for line in re.split(r"[\r\n]+", self.text(), maxsplit=at_most) if line.strip()]
        cut = len(self.content) >= BEGINNING_BYTES or len(found) > at_most
        return found[:-1] if cut and len(found) > 1 else found


def encoding_of(start: bytes) -> str:
    """The encoding that a file's first four bytes tell, by a byte order mark or by zeros; else UTF-8."""
    marked = next((encoding for bom, encoding in _BOMS if start.startswith(bom)), "")
    return marked or next((encoding for zeros, encoding in _UNMARKED if zeros.match(start)), "utf-8")


def numbered(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    r"""Numbered lines without their ends: \n, \r\n or a lone \r; U+2028 ends none."""
    encoding = encoding_of(stream.read(4))
    stream.seek(0)
    source: IO[bytes] = stream
    if not encoding.startswith("utf-8"):
        source = io.BytesIO(as_utf_8(stream.read()))
    lone = _lone_returns(source)
    number = 0
    while line := source.readline(MAX_LINE_BYTES + 1):
        for part in line.rstrip(b"\r\n").split(b"\r") if lone else [line.rstrip(b"\r\n")]:
            number += 1
            yield number, part.removeprefix(b"\xef\xbb\xbf") if number == 1 else part


def as_utf_8(content: bytes) -> bytes:
    """A file as UTF-8. What is no character becomes bytes that are none either, so that its line is refused."""
    encoding = encoding_of(content[:4])
    if encoding.startswith("utf-8"):
        return content.removeprefix(b"\xef\xbb\xbf")
    rest = len(content) % (4 if encoding == "utf-32" else 2)
    text = content[: len(content) - rest].decode(encoding, errors="surrogatepass")
    return text.encode(errors="surrogatepass") + (b"\xff" if rest else b"")


def _lone_returns(stream: IO[bytes]) -> bool:
    """Whether lines end with a carriage return alone, as on old Macs."""
    start = stream.read(BEGINNING_BYTES)
    stream.seek(0)
    return b"\r" in start and b"\n" not in start


def readable(text: object) -> str:
    """A text without half surrogate pairs, which stand for bytes that are no character, and which no file can hold."""
    return _SURROGATES.sub("\ufffd", str(text))


def bad_row(number: int, text: str, detail: str) -> Row:
    """A line that is no row: BAD_ROW."""
    return Row(number, {}, ClipRejected(reasons.BAD_ROW, detail), readable(text[:2_000]))
