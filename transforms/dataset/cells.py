"""One value out of a Parquet file: of its row group no more is read than the pages that the value needs.

Writers keep the recordings of a whole row group in one page. So a page is unpacked, looked through and left; what it
packs is mapped into memory, not read.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Literal, cast

import numpy as np
from numpy.typing import NDArray

from transforms import reasons
from transforms.bounds import max_unpacked
from transforms.errors import ClipRejected
from transforms.manifests import footer
from transforms.manifests.footer import Leaf, TooLargeError

# Of a page, unpacked: what a worker has room for. Row groups of hub data sets have 100 MB at most.
MAX_PAGE_BYTES = 640 << 20
# Of a page, packed, that is read at once.
_SHORT_BYTES = 16 << 20
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3
_PLAIN, _PLAIN_DICTIONARY, _RLE_DICTIONARY = 0, 2, 8
_UNCOMPRESSED = 0
# By Parquet's numbers, as pyarrow has them.
_CODECS: dict[int, Literal["snappy", "gzip", "brotli", "zstd", "lz4_raw"]] = {
    1: "snappy",
    2: "gzip",
    4: "brotli",
    6: "zstd",
    7: "lz4_raw",
}


def read(file: BinaryIO, row: int, column: str) -> bytes:
    """The value of a row, counted from 1, in a column of bytes; of a nested one, its parts are joined by dots.

    Raises:
      ClipRejected: DECODE_FAILED, UNSUPPORTED_FORMAT or FILE_TOO_LARGE.
    """
    try:
        return _read(file, row, column)
    except (MemoryError, ClipRejected):
        raise
    except TooLargeError as fault:
        raise ClipRejected(reasons.FILE_TOO_LARGE, f"{fault}; write the table with smaller row groups") from None
    except Exception as fault:  # a damaged file raises all kinds
        detail = f"the part of the Parquet file that holds it is damaged ({type(fault).__name__})"
        raise ClipRejected(reasons.DECODE_FAILED, detail) from fault


def _read(file: BinaryIO, row: int, column: str) -> bytes:
    groups, levels = footer.read_with_levels(file)
    left = row - 1
    for group in groups:
        if left < group.num_rows:
            break
        left -= group.num_rows
    else:
        raise _nothing()
    for leaf, level in zip(group.leaves, levels, strict=True):
        if ".".join(leaf.parts) == column:
            if level.repetition or not level.is_bytes:
                break
            return _Column(file, leaf, level.definition).value(left)
    raise ClipRejected(reasons.DECODE_FAILED, f"the table has no column {column!r} of bytes")


def _nothing() -> ClipRejected:
    return ClipRejected(reasons.EMPTY_FILE, "the table has no recording in this row any more")


@dataclass(frozen=True, slots=True)
class _Page:
    """A page as it lies in its file.

    Attributes:
      at: where its contents begin.
      header: by the numbers of Thrift's fields.
    """

    at: int
    header: dict[int, Any]

    @property
    def num_values(self) -> int:
        """Of a page of data: with nulls."""
        return int((self.header.get(5) or self.header[8])[1])


@dataclass(frozen=True, slots=True)
class _Column:
    """A leaf of a row group.

    Attributes:
      file: that it lies in.
      leaf: where.
      definition: level of a value that is there.
    """

    file: BinaryIO
    leaf: Leaf
    definition: int

    def value(self, index: int) -> bytes:
        """The value of a row of the row group."""
        dictionary: _Page | None = None
        start, first = self._start(index)
        if start != self.leaf.start and (page := self._page(self.leaf.start)).header[1] == _DICTIONARY:
            dictionary = page
        index -= first
        for page in self._pages(start):
            if page.header[1] == _DICTIONARY:
                dictionary = page
            elif page.header[1] in (_DATA, _DATA_V2):
                if index < page.num_values:
                    return self._value_in(page, index, dictionary)
                index -= page.num_values
        raise ValueError("fewer values than rows")

    def _start(self, index: int) -> tuple[int, int]:
        """Where to look for a row, and the first row there: its page, where the file has a list of them."""
        pages = footer.page_starts(self.file, self.leaf)
        before = [page for page in pages if page[1] <= index]
        return before[-1] if before else (self.leaf.start, 0)

    def _pages(self, at: int) -> Iterator[_Page]:
        end = self.leaf.start + self.leaf.num_packed
        while self.leaf.start <= at < end:
            page = self._page(at)
            yield page
            at = page.at + page.header[3]

    def _page(self, at: int) -> _Page:
        header, length = footer.header(self.file, at)
        if header[2] < 0 or header[3] < 0:
            raise ValueError("a page of a negative length")
        return _Page(at + length, header)

    def _value_in(self, page: _Page, index: int, dictionary: _Page | None) -> bytes:
        with self._unpacked(page) as content:
            present, at, encoding = self._levels(page, content, index)
            if not present[index]:
                raise _nothing()
            number = int(present[:index].sum())
            if encoding == _PLAIN:
                return _plain(content[at:], number)
            if encoding not in (_PLAIN_DICTIONARY, _RLE_DICTIONARY) or dictionary is None:
                raise _unread("encoding")
            entry = int(_runs(content[at + 1 :], content[at], number + 1)[number])
        with self._unpacked(dictionary) as content:
            return _plain(content, entry)

    def _levels(self, page: _Page, content: memoryview, index: int) -> tuple[NDArray[np.bool_], int, int]:
        """Which of the first values are there, where the values begin, and how they are encoded."""
        if page.header[1] == _DATA_V2:
            facts = page.header[8]
            size, start, encoding = facts[5], facts[6], facts[4]
        else:
            encoding = page.header[5][2]
            size, start = (int.from_bytes(content[:4], "little"), 4) if self.definition else (0, 0)
        if not self.definition or (page.header[1] == _DATA_V2 and not size):
            return np.ones(index + 1, np.bool_), start + size, encoding
        runs = _runs(content[start : start + size], self.definition.bit_length(), index + 1)
        return runs == self.definition, start + size, encoding

    @contextmanager
    def _unpacked(self, page: _Page) -> Iterator[memoryview]:
        """The contents of a page."""
        size, packed = page.header[2], page.header[3]
        if size > min(MAX_PAGE_BYTES, max_unpacked(packed)):
            raise TooLargeError(f"the page that holds the recording has {size:,} bytes")
        with _mapped(self.file, page.at, packed) as content:
            plain = 0
            if page.header[1] == _DATA_V2:  # its levels are not compressed
                plain = page.header[8][5] + page.header[8][6]
            key = _identity(self.file, page.at) if size > _SHORT_BYTES else None
            if key is not None and key == _KEPT.key:
                yield _KEPT.content
            elif self.leaf.codec == _UNCOMPRESSED or (page.header[1] == _DATA_V2 and not page.header[8].get(7, True)):
                yield content
            else:
                unpacked = _decompressed(content[plain:], self.leaf.codec, size - plain)
                whole = memoryview(bytes(content[:plain]) + unpacked) if plain else memoryview(unpacked)
                if key is not None:
                    _KEPT.offer(key, whole)
                yield whole


@dataclass(slots=True)
class _Kept:
    """The last page of this process, unpacked in a file without a name: a table may be a single one.

    Attributes:
      key: of the page.
      content: mapped into memory.
      last: key of the page that was asked for before: only one that is asked for again is kept.
    """

    key: tuple[int, ...] = ()
    content: memoryview = field(default_factory=lambda: memoryview(b""))
    last: tuple[int, ...] = ()

    def offer(self, key: tuple[int, ...], content: memoryview) -> None:
        """Keeps a page that was asked for twice, one time after the other."""
        if key != self.last:
            self.last = key
            return
        self.key = ()
        with tempfile.TemporaryFile() as file:
            file.write(content)
            file.flush()
            self.content = memoryview(mmap.mmap(file.fileno(), len(content), access=mmap.ACCESS_READ))
        self.key = key


_KEPT = _Kept()


def _identity(file: BinaryIO, at: int) -> tuple[int, ...] | None:
    """What tells a page of a file on this machine from any other; None for one in a bucket."""
    try:
        status = os.fstat(file.fileno())
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, at


def _unread(what: str) -> ClipRejected:
    detail = (
        f"the column has an {what} that is not read; write the table with another program, or its recordings to files"
    )
    return ClipRejected(reasons.UNSUPPORTED_FORMAT, detail)


def _decompressed(content: memoryview, codec: int, size: int) -> Any:  # noqa: ANN401 -- a buffer of pyarrow's
    if codec not in _CODECS:
        raise _unread("old compression")
    if not size:
        return b""
    import pyarrow as pa  # noqa: PLC0415 -- a worker needs it for such recordings only

    return pa.decompress(pa.py_buffer(content), size, _CODECS[codec], memory_pool=pa.system_memory_pool())


@contextmanager
def _mapped(file: BinaryIO, at: int, size: int) -> Iterator[memoryview]:
    """A part of a file. If it is long, it is mapped into memory: of a file in a bucket, a copy on the disk."""
    if size <= _SHORT_BYTES:
        file.seek(at)
        content = file.read(size)
        if len(content) < size:
            raise ValueError("the file ends within a page")
        yield memoryview(content)
        return
    with ExitStack() as stack:
        try:
            descriptor, start = file.fileno(), at
        except OSError:
            copy = stack.enter_context(tempfile.TemporaryFile())
            _copy(file, at, cast(BinaryIO, copy), size)
            descriptor, start = copy.fileno(), 0
        before = start % mmap.ALLOCATIONGRANULARITY
        mapped = mmap.mmap(descriptor, before + size, access=mmap.ACCESS_READ, offset=start - before)
        yield memoryview(mapped)[before:]  # mapped until nobody holds a part of it


def _copy(file: BinaryIO, at: int, copy: BinaryIO, size: int) -> None:
    file.seek(at)
    while size:
        block = file.read(min(size, 1 << 20))
        if not block:
            raise ValueError("the file ends within a page")
        copy.write(block)
        size -= len(block)
    copy.flush()


def _plain(content: memoryview, number: int) -> bytes:
    """A value among others, of which each follows its length."""
    at = 0
    for _ in range(number):
        at += 4 + int.from_bytes(content[at : at + 4], "little")
    start, size = at + 4, int.from_bytes(content[at : at + 4], "little")
    if start + size > len(content):
        raise ValueError("a value that is longer than its page")
    return bytes(content[start : start + size])


def _runs(content: memoryview, width: int, count: int) -> NDArray[np.int64]:
    """The first numbers of a list in Parquet's hybrid of runs and packed bits."""
    found: list[NDArray[np.int64]] = []
    at = total = 0
    bytes_each = (width + 7) // 8
    while total < count:
        head = shift = 0
        while (byte := content[at]) & 0x80:
            head |= (byte & 0x7F) << shift
            shift, at = shift + 7, at + 1
        head |= byte << shift
        at += 1
        if head & 1:
            size = (head >> 1) * width
            bits = np.unpackbits(np.frombuffer(content[at : at + size], np.uint8), bitorder="little")
            values = bits[: len(bits) // width * width].reshape(-1, width).astype(np.int64) if width else bits[:0]
            part = values @ (1 << np.arange(width, dtype=np.int64))
        else:
            size = bytes_each
            value = int.from_bytes(content[at : at + size], "little")
            part = np.full(min(head >> 1, count - total), value, np.int64)
        if not len(part):
            raise ValueError("an empty run")
        at += size
        total += len(part)
        found.append(part)
    return np.concatenate(found)[:count]
