"""Clips are converted in processes that may die: a crash, a hang or a bomb costs one clip.

A worker reads files on this machine itself. For all else it asks this process, so that it needs no network and no
account.
"""

from __future__ import annotations

import io
import pickle
import signal
import struct
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

from transforms import reasons, records, region
from transforms.clip import Clip, Outcome
from transforms.dataset.converted import Converted
from transforms.dataset.dissected import Dissection
from transforms.dataset.sources import MAX_AUDIO_BYTES, Stored
from transforms.errors import ClipRejected
from transforms.payloads import Payload
from transforms.settings import Settings
from transforms.storage import Part, Storage, Version, inside, uris
from transforms.workers import bounds
from transforms.workers.bounds import Bounds
from transforms.workers.pool import Pool, WorkerDied
from transforms.workers.worker import Parent

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_READ, _SIZE, _RANGE = b"read", b"size", b"rang"
_SPAN = struct.Struct("<QQ")
_AS_NOTED = b"as noted"
# One question fetches as much as a decoder reads in a while.
_BUFFER_BYTES = 1 << 17
_PART_BYTES = 4 << 20
# What a clip needs beside its source, its samples and their copies, which are counted as so many times the source.
_NEEDED_BYTES, _NEEDED_TIMES = 32 << 20, 5
# Who has a file of this length, and not enough memory for it, has a large file and not a fault of ours.
_LARGE_BYTES = 128 << 20
_OUTCOME_VALUES = attrgetter(*(field.name for field in fields(Outcome)))


class ClipWorkers:
    """A pool of workers that convert clips of one dataset."""

    def __init__(self, settings: Settings, verify: bool, size: int, limits: Bounds = bounds.DEFAULT) -> None:
        """Makes the pool; workers start when they are needed.

        Args:
          settings: of the dataset.
          verify: whether each payload is decoded again and compared.
          size: workers at a time.
          limits: what each may take for one clip.
        """
        self._pool = Pool(_Work(settings, verify), size, limits)

    def convert(self, clip: Clip, source: Stored) -> Converted:
        """As `conversion.convert`, which a worker does; whatever happens there, this process is not harmed.

        Raises:
          ClipRejected: DECODER_FAULT also for a clip that a worker has died of.
        """
        if (clip.offset is not None or source.place is not None) and not uris.is_gcs(source.uri):
            source.look()
        parts = self._asked(pickle.dumps((clip, source.uri, source.folders)), clip, source)
        version, *told = orjson.loads(parts[0])
        if version is not None:
            source.note(Version(*version))
        return _result(told, parts)

    def dissect(self, clip: Clip, source: Stored) -> tuple[Dissection, Payload | None]:
        """As `dissect.dissect`, which a worker does; of a clip that it dies of, there is a reason and no step."""
        try:
            parts = self._asked(pickle.dumps(_ToDissect(clip, source.uri, source.folders)), clip, source)
        except ClipRejected as refusal:
            return Dissection((), refusal.reason.name, refusal.detail), None
        found, mime_type = orjson.loads(parts[0])
        return records.convert(found, Dissection), Payload(parts[1], mime_type) if mime_type else None

    def _asked(self, task: bytes, clip: Clip, source: Stored) -> Sequence[bytes]:
        """What a worker answers about a clip.

        Raises:
          ClipRejected: it has died of it.
        """
        with _Desk(source) as desk:
            try:
                return self._pool.run(task, desk.answer, _needs(clip, source))
            except WorkerDied as death:
                if source.version is None:
                    source.look()
                # Of a file that is mapped into memory, one page was not to be had.
                if death.exit_code == -signal.SIGBUS:
                    detail = "the file became shorter while it was read, or the disk failed on it"
                    raise ClipRejected(reasons.UNREADABLE, detail) from None
                if death.exit_code == bounds.OUT_OF_MEMORY and (size := source.size()) > _LARGE_BYTES:
                    raise _too_large(size) from None
                raise ClipRejected(reasons.DECODER_FAULT, f"decoding did not end well: {death.detail}") from None

    def is_as_noted(self, payload: Payload, num_samples: int) -> bool:
        """Decodes the payload of an earlier run, and compares its rate, channels and length with what was noted then.

        Strangers make datasets, too: a payload that a worker dies of is none that was noted.
        """
        try:
            (answer,) = self._pool.run(pickle.dumps(_Noted(payload, num_samples)), _no_answer)[:1]
        except (WorkerDied, ClipRejected):
            return False
        return answer == _AS_NOTED

    def close(self) -> None:
        """Ends the workers; conversions that are under way raise CancelledError."""
        self._pool.close()


def _result(told: Sequence[Any], parts: Sequence[bytes]) -> Converted:
    """The inverse of `packed` and `_refused`."""
    if not parts[1]:
        reason, detail = told
        raise ClipRejected(reasons.REASONS[reason], detail)
    outcome, mime_type, cpu_ns = told
    payload = Payload(parts[2], mime_type) if mime_type else None
    return Converted(parts[1], Outcome(*outcome), payload, tuple(cpu_ns))


def _too_large(size: int) -> ClipRejected:
    """The refusal of a large file that needs all the memory there is, and more, besides itself."""
    most = f"the limit of {bounds.DEFAULT.memory_bytes >> 20:,} MiB of memory"
    what = f"decoding it takes more than {most}, {size >> 20:,} MiB for the file itself"
    detail = f"{what}: leave out its pictures, other tracks and tags, or cut it into clips"
    return ClipRejected(reasons.FILE_TOO_LARGE, detail)


def _needs(clip: Clip, source: Stored) -> int:
    """Bytes of memory that converting the clip is expected to take; 0 for no more than most clips."""
    if clip.offset is not None:  # parts of its source are read
        return 0
    return _NEEDED_BYTES + _NEEDED_TIMES * source.size()


class _Desk:
    """Answers what a worker asks about a recording."""

    def __init__(self, source: Stored) -> None:
        self._source = source
        self._file: BinaryIO | None = None
        self._stack = ExitStack()

    def __enter__(self) -> _Desk:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def answer(self, question: bytes) -> bytes:
        """The whole recording, if it is here already, b"" if it is to be asked for in parts; its size; or a part.

        Raises:
          ClipRejected, StorageError, UserError: as `Storage.read_audio`.
        """
        if question == _READ and self._source.place is not None:
            return self._part()
        if question == _READ:
            content = self._source.waiting()
            if content is None:
                self._file = self._stack.enter_context(self._source.open_whole())
                return b""
            self._source.note(Version.of(content))
            return content
        if self._file is None:
            self._file = self._stack.enter_context(self._source.open())
        if question == _SIZE:
            return self._file.seek(0, io.SEEK_END).to_bytes(8, "little")
        start, size = _SPAN.unpack(question.removeprefix(_RANGE))
        self._file.seek(start)
        return self._file.read(size)

    def _part(self) -> bytes:
        """A recording inside another file, if it is here already."""
        content = self._source.waiting()
        if content is None:
            return b""
        self._source.note(content.version if isinstance(content, Part) else None)
        return content


def packed(converted: Converted, version: Version | None = None) -> Sequence[bytes]:
    """A result, as the parts of a message, with the version of the file that the worker has read itself."""
    payload = converted.payload
    told = [_OUTCOME_VALUES(converted.outcome), payload.mime_type if payload else "", converted.cpu_ns]
    return orjson.dumps([version and [*version], *told]), converted.line, payload.content if payload else b""


def _refused(refusal: ClipRejected, version: Version) -> Sequence[bytes]:
    """A refusal as a message, with the version of the file that the worker has read itself."""
    return (orjson.dumps([[*version], refusal.reason.name, refusal.detail]),)


def unpacked(task: bytes) -> tuple[Clip, str, tuple[str, ...] | None]:
    """The clip of a task, the URI of its recording, and the folders in which that must lie."""
    clip, uri, folders = pickle.loads(task)
    return clip, uri, folders


@dataclass(frozen=True, slots=True)
class _Noted:
    """A payload of an earlier run, and how many samples its sidecar tells of."""

    payload: Payload
    num_samples: int


def _no_answer(question: bytes) -> bytes:
    raise AssertionError(question)


@dataclass(frozen=True, slots=True)
class _ToDissect:
    """A clip whose steps are asked for, the URI of its recording, and the folders in which that must lie."""

    clip: Clip
    uri: str
    folders: tuple[str, ...] | None


def _dissected(asked: _ToDissect, settings: Settings, parent: Parent) -> Sequence[bytes]:
    from transforms.dataset import dissect  # noqa: PLC0415 -- decoders are for workers only

    found, payload = dissect.dissect(asked.clip, _Asked(asked.uri, asked.folders, parent), settings)
    told = orjson.dumps([found, payload.mime_type if payload else ""])
    return told, payload.content if payload else b""


@dataclass(frozen=True)
class _Work:
    """What a worker does, in its process."""

    settings: Settings
    verify: bool

    def __call__(self, task: bytes, parent: Parent) -> Sequence[bytes]:
        from transforms.dataset import conversion  # noqa: PLC0415 -- decoders are for workers only

        if isinstance(noted := pickle.loads(task), _Noted):
            return [_AS_NOTED if conversion.is_as_noted(noted.payload, noted.num_samples, self.settings) else b""]
        if isinstance(noted, _ToDissect):
            return _dissected(noted, self.settings, parent)
        clip, uri, folders = unpacked(task)
        source = _Asked(uri, folders, parent)
        try:
            converted = conversion.convert(clip, source, self.settings, self.verify)
        except ClipRejected as refusal:
            # Whether memory was short the worker itself asks of what is raised.
            if source.version is None or isinstance(refusal.__cause__, MemoryError):
                raise
            return _refused(refusal, source.version)
        with region.closed():
            return packed(converted, source.version)


@dataclass(slots=True)
class _Asked:
    """A recording as a worker has it: a file of this machine, or one that its parent reads for it.

    Attributes:
      uri: absolute path or gs:// URI.
      folders: in which a file of this machine must lie, as `Storage` has them.
      parent: reads what this process may not.
      version: of a file that this process has read whole.
    """

    uri: str
    folders: tuple[str, ...] | None
    parent: Parent
    version: Version | None = None

    def read(self) -> bytes:
        if inside.place_of(self.uri) is not None:
            return self._inside()
        if uris.is_gcs(self.uri):
            content = self.parent.ask(_READ)
            if content:
                return content
            return _all(_Parts(self.parent))
        with self.parent.clock.paused():
            content = self._storage().read_audio(self.uri, MAX_AUDIO_BYTES)
        self.version = Version.of(content)
        return content

    def _inside(self) -> bytes:
        content = self.parent.ask(_READ) if uris.is_gcs(self.uri) else b""
        if content:
            return content
        with self.open() as recording:
            return recording.read()

    def open(self) -> BinaryIO:
        place = inside.place_of(self.uri)
        if place is None:
            return self._opened(self.uri)
        from transforms.dataset import members  # noqa: PLC0415 -- most recordings are files of their own

        return members.opened(self._opened(place.file), place)

    def _opened(self, uri: str) -> BinaryIO:
        if uris.is_gcs(uri):
            return io.BufferedReader(_Parts(self.parent), _BUFFER_BYTES)
        with self.parent.clock.paused():
            return self._storage().open_audio(uri)

    def _storage(self) -> Storage:
        return Storage(folders=self.folders)


def _all(parts: _Parts) -> bytes:
    """All of a recording, in memory once: `read` would hold the parts, and then the whole beside them."""
    whole = io.BytesIO()
    while part := parts.read(_PART_BYTES):
        whole.write(part)
    return whole.getvalue()


class _Parts(io.RawIOBase):
    """A recording that its parent reads, a part at a time."""

    def __init__(self, parent: Parent) -> None:
        self._parent = parent
        self._size = int.from_bytes(parent.ask(_SIZE), "little")
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError("a position before the beginning")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        target = memoryview(buffer).cast("B")
        wanted = min(len(target), max(0, self._size - self._at), _PART_BYTES)
        content = self._parent.ask(_RANGE + _SPAN.pack(self._at, wanted)) if wanted else b""
        target[: len(content)] = content
        self._at += len(content)
        return len(content)
