"""Reading sources in gs:// before their clips are decoded, so that requests overlap with work."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from concurrent.futures import Executor, Future
from threading import Lock

from transforms import reasons
from transforms.clip import Clip
from transforms.dataset.sources import Ahead
from transforms.errors import ClipRejected
from transforms.ordered import when_done
from transforms.storage import Storage, inside, uris
from transforms.storage.inside import Place

# The longest file that waits in memory for its decoding. A longer one is read when it is decoded: the delay of one
# request counts little beside the time of its transfer.
MAX_WAITING_BYTES = 4 << 20
# All that wait. What finds no room is read when it is decoded.
ROOM_BYTES = 160 << 20


class Room:
    """The memory of what has been read ahead and not been decoded."""

    def __init__(self, num_bytes: int = ROOM_BYTES) -> None:
        self._free = num_bytes
        self._lock = Lock()

    def take(self, num_bytes: int) -> bool:
        """Takes so much, if it is free; does not wait, for those who have the rest may wait for the caller."""
        with self._lock:
            taken = num_bytes <= self._free
            self._free -= num_bytes * taken
        return taken

    def give_back(self, num_bytes: int) -> None:
        """Gives back some of what was taken."""
        with self._lock:
            self._free += num_bytes

    def leave(self, ahead: Ahead | None) -> None:
        """Gives back what a read has taken, when its clip is prepared."""
        if ahead is not None and ahead.done() and not ahead.cancelled() and ahead.exception() is None:
            self.give_back(len(ahead.result() or b""))


def begin(
    clips: Iterable[Clip],
    base: str,
    storage: Storage,
    reader: Executor | None,
    window: int,
    without: frozenset[str] = frozenset(),
    room: Room | None = None,
) -> Generator[Future[bytes | None]]:
    """The read of each clip's source, in order, when it is done. At most `window` have begun and not been taken.

    Args:
      clips: whose sources are read.
      base: absolute folder that relative paths start from.
      storage: reads them.
      reader: runs the reads; None for none.
      window: bounds the requests at a time.
      without: buckets of which nothing is read.
      room: bounds the memory; of its own if none is given. Each read that is taken from here is to `leave` it.
    """
    room = room or Room()

    def read_of(clip: Clip) -> Ahead:
        uri = uris.absolute(clip.uri, base)
        # Reading a local file ahead gains nothing, and of a recording only a segment is needed.
        if reader is None or not uris.is_gcs(uri) or clip.offset is not None or uris.bucket_of(uri) in without:
            return _nothing()
        place = inside.place_of(uri)
        if place is None:
            return reader.submit(_read_unless_long, uri, storage, room)
        if place.row or place.size > MAX_WAITING_BYTES:  # of a table, only a worker finds where a value lies
            return _nothing()
        return reader.submit(_read_part, place, storage, room)

    return when_done(map(read_of, clips), window)


def _nothing() -> Ahead:
    nothing: Ahead = Future()
    nothing.set_result(None)
    return nothing


def _read_part(place: Place, storage: Storage, room: Room) -> bytes | None:
    if not room.take(place.size):
        return None
    content = None
    try:
        content = storage.read_audio_part(place.file, place.offset, place.size)
    finally:
        room.give_back(place.size - len(content or b""))
    return content


def _read_unless_long(uri: str, storage: Storage, room: Room) -> bytes | None:
    if not room.take(MAX_WAITING_BYTES):
        return None
    content = None
    try:
        content = storage.read_audio(uri, MAX_WAITING_BYTES)
    except ClipRejected as refusal:
        if refusal.reason != reasons.FILE_TOO_LARGE:
            raise
    finally:
        room.give_back(MAX_WAITING_BYTES - len(content or b""))
    return content
