"""The ledger, which has every manifest row once with its outcome, as Parquet."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from hashlib import file_digest
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from transforms.clip import Outcome
from transforms.dataset.checksums import Recorder
from transforms.dataset.plan import LEDGER_ROWS_PER_FILE
from transforms.storage import Storage, uris

ROWS_PER_FILE = LEDGER_ROWS_PER_FILE
ROWS_PER_GROUP = 10_000
ROWS_PER_BATCH = 1_000  # of a reader: a row is a dictionary, of kilobytes

_FILE = re.compile(r"/ledger-[0-9]{5,}-of-[0-9]{5,}\.parquet$")

# Columns in the order of the contract; the original row is in rejected.jsonl.
_COLUMNS: list[pa.Field[Any]] = [
    pa.field("clip_id", pa.string(), nullable=False),
    pa.field("source", pa.string(), nullable=False),
    pa.field("uri", pa.string()),
    pa.field("status", pa.string(), nullable=False),
    pa.field("reason", pa.string()),
    pa.field("detail", pa.string()),
    pa.field("split", pa.string()),
    pa.field("shard_index", pa.int32()),
    pa.field("line_index", pa.int32()),
    pa.field("line_bytes", pa.int64()),
    pa.field("line_sha256", pa.string()),
    pa.field("mime_type", pa.string()),
    pa.field("audio_bytes", pa.int64()),
    pa.field("audio_sha256", pa.string()),
    pa.field("audio_crc32c", pa.string()),
    pa.field("source_bytes", pa.int64()),
    pa.field("source_crc32c", pa.string()),
    pa.field("source_format", pa.string()),
    pa.field("source_sample_rate", pa.int32()),
    pa.field("source_channels", pa.int32()),
    pa.field("source_samples", pa.int64()),
    pa.field("num_samples", pa.int64()),
    pa.field("trimmed_start_samples", pa.int64()),
    pa.field("trimmed_end_samples", pa.int64()),
    pa.field("target_chars", pa.int64()),
    pa.field("task", pa.string()),
    pa.field("group", pa.string()),
    pa.field("language", pa.string()),
    pa.field("kept_columns", pa.string()),
    pa.field("rms_dbfs", pa.float64()),
    pa.field("peak_dbfs", pa.float64()),
]
SCHEMA = pa.schema(_COLUMNS)
# Only where columns of manifests are kept: the ledgers of all other datasets are what they were before any could be.
_KEPT = "kept_columns"


def write_ledger(
    outcomes: Iterable[Outcome], folder: str, rows: int, files: Storage | Recorder, keeps_columns: bool = False
) -> int:
    """Writes the ledger's files. One row group is in memory at a time.

    Args:
      outcomes: of every manifest row, in the dataset's order. They are taken to their end.
      folder: local or gs:// folder of the files.
      rows: how many outcomes there will be, which fixes the number of files.
      files: writes the files.
      keeps_columns: whether it has the column of those that are kept.

    Returns:
      The rows written, and those that were too many.
    """
    schema = SCHEMA if keeps_columns else SCHEMA.remove(SCHEMA.get_field_index(_KEPT))
    num_files = max(1, -(-rows // ROWS_PER_FILE))
    stream = iter(outcomes)
    written = sum(
        _write_file(
            itertools.islice(stream, ROWS_PER_FILE),
            uris.join(folder, f"ledger-{index:05d}-of-{num_files:05d}.parquet"),
            files,
            schema,
        )
        for index in range(num_files)
    )
    return written + sum(1 for _ in stream)


def _write_file(outcomes: Iterator[Outcome], uri: str, files: Storage | Recorder, schema: pa.Schema) -> int:
    written = 0
    with files.write(uri) as stream, pq.ParquetWriter(stream, schema, compression="zstd") as writer:
        while group := list(itertools.islice(outcomes, ROWS_PER_GROUP)):
            writer.write_table(_table(group, schema))
            written += len(group)
    return written


def _table(outcomes: list[Outcome], schema: pa.Schema) -> pa.Table:
    columns = {name: [getattr(outcome, name) for outcome in outcomes] for name in schema.names}
    return pa.table(columns, schema=schema)


def read_ledger(
    folder: str, storage: Storage, columns: list[str] | None = None, sha256: Mapping[str, str] | None = None
) -> Iterator[dict[str, object]]:
    """The ledger's rows, as dictionaries, in the dataset's order.

    Args:
      folder: local or gs:// folder of the files.
      storage: reads the files.
      columns: that are wanted; None for all.
      sha256: of each file that is wanted, hexadecimal, by its name; None for all files as they are.

    Raises:
      FileNotFoundError, IsADirectoryError, NotARegularFileError, PermissionError: a file is no file.
      ValueError: a file is no ledger, or not that with this checksum.
    """
    # Others may lie there, of whoever put them.
    there = filter(_FILE.search, storage.list_files(folder)) if sha256 is None else ()
    wanted = dict.fromkeys(there) if sha256 is None else _below(folder, sha256)
    for uri, checksum in wanted.items():
        with storage.open_read(uri) as stream:
            try:
                yield from _rows(stream, columns, checksum)
            except (pa.ArrowException, OSError, KeyError, ValueError) as fault:
                raise ValueError(f"{uris.below(folder, uri)}: {_in_words(fault)}") from None


def _below(folder: str, sha256: Mapping[str, str]) -> dict[str, str | None]:
    return {uris.join(folder, name): checksum for name, checksum in sorted(sha256.items())}


def _rows(stream: BinaryIO, columns: list[str] | None, checksum: str | None) -> Iterator[dict[str, object]]:
    if checksum is not None and file_digest(cast(io.BufferedIOBase, stream), "sha256").hexdigest() != checksum:
        raise ValueError("altered since the dataset was made")
    stream.seek(0)
    file = pq.ParquetFile(stream)
    found = file.schema_arrow
    for field in SCHEMA:
        if field.name not in found.names and not field.nullable:
            raise ValueError(f"{field.name}: missing")
        if field.name in found.names and found.field(field.name).type != field.type:
            raise ValueError(f"{field.name}: expected {field.type}, got {found.field(field.name).type}")
    unknown = dict.fromkeys(columns or SCHEMA.names)  # an earlier version had fewer columns
    for batch in file.iter_batches(ROWS_PER_BATCH, columns=columns):
        yield from ({**unknown, **row} for row in batch.to_pylist())


def _in_words(fault: Exception) -> str:
    """One line of a message, of which pyarrow's have several."""
    return next(iter(str(fault).splitlines()), type(fault).__name__)
