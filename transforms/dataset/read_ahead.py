"""Reading sources in gs:// before their clips are decoded, so that requests overlap with work."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from concurrent.futures import Executor, Future

from transforms import reasons
from transforms.clip import Clip
from transforms.dataset.sources import Ahead
from transforms.errors import ClipRejected
from transforms.ordered import when_done
from transforms.storage import Storage, uris

# The longest file that waits in memory for its decoding. A longer one is read when it is decoded: the delay of one
# request counts little beside the time of its transfer.
MAX_WAITING_BYTES = 4 << 20


def begin(
    clips: Iterable[Clip],
    base: str,
    storage: Storage,
    reader: Executor | None,
    window: int,
    without: frozenset[str] = frozenset(),
) -> Generator[Future[bytes | None]]:
    """The read of each clip's source, in order, when it is done. At most `window` have begun and not been taken.

    Args:
      clips: whose sources are read.
      base: absolute folder that relative paths start from.
      storage: reads them.
      reader: runs the reads; None for none.
      without: buckets of which nothing is read.
      window: bounds the requests at a time, and the memory to `window` times `MAX_WAITING_BYTES`.
    """

    def read_of(clip: Clip) -> Ahead:
        uri = uris.absolute(clip.uri, base)
        # Reading a local file ahead gains nothing, and of a recording only a segment is needed.
        if reader is None or not uris.is_gcs(uri) or clip.offset is not None or uris.bucket_of(uri) in without:
            return _nothing()
        return reader.submit(_read_unless_long, uri, storage)

    return when_done(map(read_of, clips), window)


def _nothing() -> Ahead:
    nothing: Ahead = Future()
    nothing.set_result(None)
    return nothing


def _read_unless_long(uri: str, storage: Storage) -> bytes | None:
    try:
        return storage.read_audio(uri, MAX_WAITING_BYTES)
    except ClipRejected as refusal:
        if refusal.reason == reasons.FILE_TOO_LARGE:
            return None
        raise
