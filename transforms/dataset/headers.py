"""What the header of a payload says. Strangers make payloads, too, so a worker reads it, which may die."""

from __future__ import annotations

import atexit
import functools
from collections.abc import Sequence

import orjson

from transforms import reasons
from transforms.audio import sniff
from transforms.errors import ClipRejected
from transforms.payloads import Outline
from transforms.workers.bounds import Bounds
from transforms.workers.pool import Pool, WorkerDied
from transforms.workers.worker import Parent

# A header is read in milliseconds; frames of MP3 are counted in a second per hundred megabytes.
LIMITS = Bounds(cpu_seconds=10, wall_seconds=30, memory_bytes=512 << 20)
_AT_A_TIME = 2


def read(content: bytes) -> Outline:
    """The outline of a payload; whatever happens, this process is not harmed.

    Raises:
      ClipRejected: it is no audio; DECODER_FAULT for one that a worker has died of.
    """
    try:
        name, mime_types, *rest = orjson.loads(_pool().run(content, _no_answer)[0])
    except WorkerDied as death:
        raise ClipRejected(reasons.DECODER_FAULT, f"reading its header did not end well: {death.detail}") from None
    return Outline(name, tuple(mime_types), *rest)


def may_be_raw(content: bytes) -> str:
    """What a payload is that is called headerless; "" for what may be so."""
    try:
        return read(content).format
    except ClipRejected as refusal:
        return "" if sniff.is_raw(content, refusal) else refusal.detail


@functools.cache
def _pool() -> Pool:
    """One for this process, as the nursery is."""
    pool = Pool(_in_worker, _AT_A_TIME, LIMITS)
    atexit.register(pool.close)
    return pool


def _no_answer(question: bytes) -> bytes:
    raise AssertionError(question)


def _in_worker(content: bytes, parent: Parent) -> Sequence[bytes]:
    from transforms import region  # noqa: PLC0415 -- decoders are for workers only
    from transforms.audio import outline  # noqa: PLC0415

    with region.closed():
        found = outline.outline(content)
        return [orjson.dumps([found.format, found.mime_types, found.seconds, found.fault, found.cut])]
