"""Work for a worker that converts several clips at a time. Workers find it by the name of this file."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from transforms.clip import Clip
from transforms.dataset import conversion
from transforms.dataset.sources import Stored
from transforms.settings import Settings
from transforms.storage import Storage
from transforms.workers.worker import Parent


def line_of(path: str) -> bytes:
    """A recording's line."""
    return conversion.convert(*clip_of(path), Settings(), verify=False).line


def clip_of(path: str) -> tuple[Clip, Stored]:
    """A clip, and where its recording is."""
    return Clip(path, path, "What was said."), Stored(path, Storage())


def several(task: bytes, parent: Parent) -> Sequence[bytes]:
    """What a worker does with a batch of recordings: two at a time."""
    with ThreadPoolExecutor(2) as threads:
        return [b"".join(threads.map(line_of, pickle.loads(task)))]
