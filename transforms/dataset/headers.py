"""What the header of a payload says. Strangers make payloads, too, so a worker reads it, which may die."""

from __future__ import annotations

import atexit
import functools
import io
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from transforms import reasons
from transforms.errors import ClipRejected
from transforms.workers.bounds import Bounds
from transforms.workers.pool import Pool, WorkerDied
from transforms.workers.worker import Parent

# A header is read in milliseconds; frames of MP3 are counted in a second per hundred megabytes.
LIMITS = Bounds(cpu_seconds=10, wall_seconds=30, memory_bytes=512 << 20)
_AT_A_TIME = 2


@dataclass(frozen=True, slots=True)
class Header:
    """A payload's header.

    Attributes:
      format: name of its format.
      mime_types: that its format has.
      seconds: that it lasts; None if the header does not tell, or is damaged.
    """

    format: str
    mime_types: tuple[str, ...]
    seconds: float | None


def read(content: bytes) -> Header:
    """The header of a payload; whatever happens, this process is not harmed.

    Raises:
      ClipRejected: it is no audio; DECODER_FAULT for one that a worker has died of.
    """
    try:
        name, mime_types, seconds = orjson.loads(_pool().run(content, _no_answer)[0])
    except WorkerDied as death:
        raise ClipRejected(reasons.DECODER_FAULT, f"reading its header did not end well: {death.detail}") from None
    return Header(name, tuple(mime_types), seconds)


@functools.cache
def _pool() -> Pool:
    """One for this process, as the nursery is."""
    pool = Pool(_in_worker, _AT_A_TIME, LIMITS)
    atexit.register(pool.close)
    return pool


def _no_answer(question: bytes) -> bytes:
    raise AssertionError(question)


def _in_worker(content: bytes, parent: Parent) -> Sequence[bytes]:
    import soundfile  # noqa: PLC0415 -- decoders are for workers only

    from transforms import region  # noqa: PLC0415
    from transforms.audio import sniff  # noqa: PLC0415

    with region.closed():
        form = sniff.sniff(content)
        if form.seconds is not None:
            seconds = form.seconds(content)
        else:
            try:
                info = soundfile.info(io.BytesIO(content))
                seconds = float(info.frames / info.samplerate)
            except soundfile.LibsndfileError:
                seconds = None
        return [orjson.dumps([form.name, sorted(form.mime_types), seconds])]
