"""Whole files appended to one another: decoders read the first and are silent about the others."""

from __future__ import annotations

import contextlib
import functools
import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import BinaryIO, cast

from transforms import reasons
from transforms.audio import formats, tags
from transforms.audio.format import Format
from transforms.errors import ClipRejected

_MAX_FILLING_BYTES = 8
# Fragments of a minute and a half; of more, the whole is searched at once.
_MAX_PARTS = 1 << 14
_BEGINNING_BYTES = _READ_AHEAD_BYTES = 1 << 16
# That a file may begin with.
_MOST_ZEROS = 4


def refuse_joined(content: bytes, form: Format) -> None:
    """Refuses a file behind which another one follows.

    Args:
      content: the whole file, or a map of it in memory.
      form: what its beginning is.

    Raises:
      ClipRejected: JOINED_FILES, with the byte at which the next one begins.
    """
    _refuse(following(content, form), form)


def refuse_joined_recording(recording: BinaryIO, form: Format, start: int) -> None:
    """As `refuse_joined`, of a recording on this machine; one elsewhere would have to be fetched whole for it.

    Args:
      recording: of which segments are decoded. It is searched once, however many there are.
      form: what its beginning is.
      start: where the audio begins, behind tags.
    """
    with contextlib.suppress(OSError):
        descriptor = recording.fileno()
        status = os.fstat(descriptor)
        identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        _refuse(_following_in(_File(identity, descriptor), form, start), form)


def refuse_behind(content: bytes, form: Format, at: int) -> None:
    """Refuses a file that does not tell where it ends, and behind which another one of any format follows.

    Args:
      content: the whole file.
      form: what its beginning is.
      at: where a decoder stopped, which reads a little ahead; 0 where nothing tells.

    Raises:
      ClipRejected: JOINED_FILES.
    """
    searched = form.again is not None and not form.exact_samples  # by `following`
    # Containers whose decoders go on may hold the headers of other formats.
    if not searched and not form.joins and next(_parts(content, form), None) is None:
        _refuse(_anywhere(content, form, max(1, at - _READ_AHEAD_BYTES)), form)


def _anywhere(content: bytes, form: Format, at: int) -> tuple[int, str] | None:
    """The first beginning of a file from a byte on, with which its decoder does not go on."""
    found = (
        (where, other.name)
        for other in formats.FORMATS
        if other.again is not None and not (other.name == form.name and other.joins)
        if (where := other.again.search(content, at)) is not None
    )
    return min(found, default=None)


def _refuse(found: tuple[int, str] | None, form: Format) -> None:
    if found is not None:
        at, name = found
        detail = f"several files in one: behind the {form.name} file another one follows ({name}), at byte {at:,}"
        raise ClipRejected(reasons.JOINED_FILES, detail)


@dataclass(frozen=True, slots=True)
class _File:
    """A file that is open now, known by what it was when it was."""

    identity: tuple[int, int, int, int]
    descriptor: int = field(compare=False)


@functools.lru_cache(maxsize=256)
def _following_in(file: _File, form: Format, start: int) -> tuple[int, str] | None:
    with _Mapped(file.descriptor, 0, access=mmap.ACCESS_READ) as memory:
        return following(cast(bytes, memory), form, start)


class _Mapped(mmap.mmap):
    """A map of a file in memory that can what those who read files' bytes ask of them, and `mmap` itself cannot."""

    def startswith(self, prefix: bytes, start: int = 0, end: int | None = None) -> bool:
        stop = len(self) if end is None else min(end, len(self))
        return stop - start >= len(prefix) and self[start : start + len(prefix)] == prefix

    def endswith(self, suffix: bytes, start: int = 0, end: int | None = None) -> bool:
        stop = len(self) if end is None else min(end, len(self))
        return stop - start >= len(suffix) and self[stop - len(suffix) : stop] == suffix

    def rstrip(self, of: bytes) -> bytes:
        return self[:].rstrip(of)


def following(content: bytes, form: Format, start: int = 0) -> tuple[int, str] | None:
    """Where another file begins behind the first, and its format; None for a file that stands alone.

    Args:
      content: the whole file, or a map of it in memory.
      form: what its beginning is.
      start: where the audio begins, behind tags.

    Parts that lead to the file's end are only asked whether they are the beginning of a file: what is within them is
    theirs. Where they do not, because the header does not count or lies, the whole is searched.
    """
    end, once = 0, set[bytes]()
    for end in () if start else islice(_parts(content, form), _MAX_PARTS):
        if end and (begun := _begun(content, end, form)):
            return begun
        box = content[end + 4 : end + 8]
        if box in once:
            return end, form.name
        once.update({box}.intersection(form.once))
    # Behind the last part there may be tags; and if its length is odd, it may lack the byte that fills it up.
    led = tags.audio_end(content) <= end <= len(content) + _MAX_FILLING_BYTES
    if form.again is None or form.joins or led:
        return None
    if form.exact_samples:  # where the samples end, the decoder stops; what then is left is searched for other formats
        at = form.again.search(content, start + 1)
        return None if at is None else (at, form.name)
    return _anywhere(content, form, start + 1)


def _parts(content: bytes, form: Format) -> Iterator[int]:
    if form.parts is not None:
        yield from form.parts(content)
    elif form.end is not None and (end := form.end(content)) is not None:
        yield end


def _begun(content: bytes, at: int, form: Format) -> tuple[int, str] | None:
    """Where another file begins here, or behind zeros or tags, and its format."""
    rest = content[at : at + _BEGINNING_BYTES]
    if not rest:
        return None
    zeros = len(rest) - len(rest.lstrip(b"\0"))
    for skipped in dict.fromkeys((0, *range(zeros, max(-1, zeros - _MOST_ZEROS), -1))):
        beginning = rest[skipped:]
        found = formats.beginning(tags.without_tags(beginning))
        if found is not None and _is_another(found, beginning, form):
            return at + skipped, found.name
    return None


def _is_another(found: Format, beginning: bytes, form: Format) -> bool:
    """Whether it is not the same file that goes on here, or one with which the decoder goes on."""
    if found.name != form.name:
        return True
    return form.again is not None and not form.joins and form.again.at(beginning, 0)
