"""Temporary files, for what an ffmpeg process reads and writes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

from transforms.errors import StorageError


@contextmanager
def file() -> Iterator[BinaryIO]:
    """A file without a name, which is gone at the end of the block.

    Raises:
      StorageError: there is no room for it, or no folder. That is no clip's fault.
    """
    try:
        with tempfile.TemporaryFile() as stream:
            yield cast(BinaryIO, stream)
    except OSError as fault:
        raise StorageError(f"cannot write a temporary file: {fault.strerror}; TMPDIR names another folder") from fault
