"""Ogg's pages (RFC 3533), read without decoding: where streams begin, and whether the last page is whole."""

from __future__ import annotations

import io
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import BinaryIO

from transforms.audio import tags
from transforms.audio.walk import steps

MAGIC = b"OggS\x00"
_BEGINNING = re.compile(rb"OggS\x00[\x02\x06]")
_HEADER_BYTES = 27
_MAX_PAGE_BYTES = _HEADER_BYTES + 255 + 255 * 255
_BEGINS = 0x02
_ENDS = 0x04
# Identification, comments and setup: what Vorbis has in front of its sound.
_VORBIS_HEADERS = 3


@dataclass(frozen=True, slots=True)
class Page:
    """One page.

    Attributes:
      start: where it begins, in bytes.
      end: where it ends by its own header, be it behind the end of the file.
      flags: of its header.
      packets: that end on it.
      goes_on: whether its last packet goes on with the next page.
    """

    start: int
    end: int
    flags: int
    packets: int
    goes_on: bool

    @property
    def begins_stream(self) -> bool:
        """Whether it is the first of its stream."""
        return bool(self.flags & _BEGINS)

    @property
    def ends_stream(self) -> bool:
        """Whether it is marked as the last of its stream. Many writers never set the mark."""
        return bool(self.flags & _ENDS)


def pages(content: bytes) -> Iterator[Page]:
    """The pages in their order. Behind a page that is not whole, the next one is searched."""
    at = content.find(MAGIC)
    for _ in steps():
        if at < 0 or (page := _page(content, at)) is None:
            return
        yield page
        at = page.end if content[page.end : page.end + len(MAGIC)] == MAGIC else content.find(MAGIC, at + 1)


def parts(content: bytes) -> Iterator[int]:
    """Where the pages end that follow one another from the beginning on."""
    end = 0
    for page in pages(content):
        if page.start != end:
            break
        end = page.end
    yield min(end, len(content))


def _page(content: bytes, at: int) -> Page | None:
    count = content[at + 26] if at + _HEADER_BYTES <= len(content) else None
    lacing = content[at + _HEADER_BYTES : at + _HEADER_BYTES + (count or 0)]
    if count is None or len(lacing) < count:
        # The file ends within the header.
        return Page(at, len(content) + 1, content[at + 5] if at + 5 < len(content) else 0, 0, True)
    end = at + _HEADER_BYTES + count + sum(lacing)
    return Page(at, end, content[at + 5], sum(size < 255 for size in lacing), bool(lacing) and lacing[-1] == 255)


def links(content: bytes) -> list[int]:
    """Where the parts of a chained file begin. Streams that sound together begin together, and are one part."""
    if len(_BEGINNING.findall(content)) < 2:
        return [0]
    starts, before = [0], True
    for page in pages(content):
        if page.begins_stream and not before:
            starts.append(page.start)
        before = page.begins_stream
    return starts


def is_chained(recording: BinaryIO) -> bool:
    """Whether the last page is of another stream than those with which the recording begins.

    Only the beginning and the end are read. Of a whole file, `links` says more.
    """
    recording.seek(0)
    head = recording.read(_MAX_PAGE_BYTES)
    recording.seek(max(0, recording.seek(0, io.SEEK_END) - _MAX_PAGE_BYTES))
    tail = recording.read()
    first = {_serial(head, page) for page in takewhile(lambda page: page.begins_stream, pages(head))}
    return not {_serial(tail, page) for page in list(pages(tail))[-1:]} <= first


def _serial(content: bytes, page: Page) -> bytes:
    return content[page.start + 14 : page.start + 18]


def is_whole(content: bytes) -> bool:
    """Whether the file ends with a whole page, and no packet is left unfinished on it.

    Phones and recorders of radio stations never mark their last page as such. A file that was cut seldom ends with a
    page; if it does, nothing can tell.
    """
    last = next(iter(deque(pages(content), maxlen=1)), None)
    if last is None or last.end > len(content):
        return False
    behind, end = tags.tags_end(content, last.end), tags.audio_end(content)
    return last.ends_stream or (not last.goes_on and tags.is_filling(content, behind, end))


def has_sound_beside_headers(content: bytes) -> bool:
    """Whether Vorbis's first sound is on the page on which its headers end, where libvorbis overlooks it."""
    packets = 0
    for page in pages(content):
        packets += page.packets
        if packets >= _VORBIS_HEADERS:
            return packets > _VORBIS_HEADERS
    return False
