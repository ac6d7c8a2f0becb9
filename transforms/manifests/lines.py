"""Manifests as text: how they begin, their numbered lines, and lines that are no rows."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from transforms import reasons
from transforms.bounds import MAX_LINE_BYTES
from transforms.errors import ClipRejected
from transforms.manifests.row import Row

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BEGINNING_BYTES = 1 << 16
_BLOCK_BYTES = 1 << 16
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
    r"""Numbered lines without their ends: \n, \r\n or a lone \r; U+2028 ends none.

    Of a line over `MAX_LINE_BYTES`, one byte more than these comes, so that it is known for what it is.
    """
    start = stream.read(BEGINNING_BYTES)
    stream.seek(0)
    source = utf_8(stream)
    if _has_lone_returns(as_utf_8(start)):
        source = _buffered(_with_newlines(_blocks(source)))
    number = 0
    while line := source.readline(MAX_LINE_BYTES + 1):
        number += 1
        end = line
        while len(end) > MAX_LINE_BYTES and not end.endswith(b"\n"):  # the rest of the line is not held
            end = source.readline(MAX_LINE_BYTES + 1)
        line = line.rstrip(b"\r\n")
        yield number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line


def utf_8(stream: BinaryIO) -> BinaryIO:
    """An open text as UTF-8, a block at a time, as `as_utf_8` has it; with the mark of one that is UTF-8 already."""
    encoding = encoding_of(stream.read(4))
    stream.seek(0)
    return stream if encoding.startswith("utf-8") else _buffered(_recoded(_blocks(stream), encoding))


def as_utf_8(content: bytes) -> bytes:
    """A file as UTF-8. What is no character becomes bytes that are none either, so that its line is refused."""
    encoding = encoding_of(content[:4])
    if encoding.startswith("utf-8"):
        return content.removeprefix(b"\xef\xbb\xbf")
    return b"".join(_recoded(iter([content]), encoding))


def _recoded(blocks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)(errors="surrogatepass")
    for block in blocks:
        yield decoder.decode(block).encode(errors="surrogatepass")
    if decoder.getstate()[0]:  # the file ends within a character
        yield b"\xff"


def _with_newlines(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The blocks with a newline in the place of every other line end."""
    kept = b""
    for block in blocks:
        whole = (kept + block).removesuffix(b"\r")
        kept = b"\r" if len(whole) < len(kept + block) else b""
        yield whole.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    yield kept and b"\n"


def _has_lone_returns(start: bytes) -> bool:
    """Whether lines end with a carriage return alone, as on old Macs."""
    return b"\r" in start and b"\n" not in start


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: stream.read(_BLOCK_BYTES), b"")


def _buffered(blocks: Iterator[bytes]) -> BinaryIO:
    return io.BufferedReader(_Joined(blocks), _BLOCK_BYTES)


class _Joined(io.RawIOBase):
    """Blocks of bytes as one stream."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        super().__init__()
        self._blocks = blocks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        if not self._rest:
            self._rest = memoryview(next(filter(None, self._blocks), b""))
        view = memoryview(buffer).cast("B")
        size = min(len(view), len(self._rest))
        view[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def readable(text: object) -> str:
    """A text without half surrogate pairs, which stand for bytes that are no character, and which no file can hold."""
    return _SURROGATES.sub("\ufffd", str(text))


def bad_row(number: int, text: str, detail: str) -> Row:
    """A line that is no row: BAD_ROW."""
    return Row(number, {}, ClipRejected(reasons.BAD_ROW, detail), readable(text[:2_000]))
