"""Parquet: a row of the table is a row of the manifest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from transforms.errors import UserError
from transforms.manifests.lines import CERTAIN, UNLIKE, Beginning
from transforms.manifests.row import Row

# Rows in memory at a time.
_BATCH_ROWS = 1_000


def likeness(beginning: Beginning) -> int:
    """Certain from the four bytes that every Parquet file begins with."""
    return CERTAIN if beginning.content.startswith(b"PAR1") else UNLIKE


def read(stream: BinaryIO, name: str) -> Iterator[Row]:
    """The table's rows, numbered from 1.

    Raises:
      UserError: the file is damaged.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415 -- slow to import, and most manifests are text

    try:
        file = pq.ParquetFile(stream)
        number = 0
        for batch in file.iter_batches(batch_size=_BATCH_ROWS):
            for fields in batch.to_pylist():
                number += 1
                yield Row(number, fields)
    except (OSError, ValueError) as fault:
        raise UserError(f"{name}: not a readable Parquet file ({type(fault).__name__})") from None
