"""What inputs may take of memory and time, said once; `docs/manifests.md` has the same numbers as a table.

Each is far above what anybody means, and far below what a machine has.
"""

from __future__ import annotations

# The longest line, cell or element of a manifest, and the longest text beside a recording. Texts are kilobytes.
MAX_LINE_BYTES = 16 << 20
# Of a row as it is kept for `rejected.jsonl`. Texts that are longer than a tenth of this are over the service's limits.
MAX_ROW_BYTES = 4 << 20
# Of it in columns that are not used: what is over is left out.
MAX_UNUSED_BYTES = 1 << 20
# Of columns of a row that go along into the ledger.
MAX_KEPT_BYTES = 64 << 10
# Of the rows of a shard in the mean, which are in memory together.
MAX_SHARD_BYTES = 8 << 20
# Of a table, and fields of a row. Spreadsheets hold 16,384.
MAX_COLUMNS = 25_000
# Of the footer of a Parquet file, which tells of each column in each row group.
MAX_FOOTER_BYTES = 64 << 20
# Lists of rows unpack to five or fifty times their size. gzip reaches a thousand, of nothing but blanks.
MAX_EXPANSION = 200
FREE_BYTES = 256 << 20
# Of a file that is read whole, such as the sidecar of a shard whose rows are all rejected.
MAX_WHOLE_BYTES = 256 << 20
# Of a record of JSON: dataset.json has a few hundred bytes a shard, of which there are thousands at most.
MAX_RECORD_BYTES = 64 << 20
# Of a tasks file: ten thousand labels are a few hundred kilobytes.
MAX_SETTINGS_BYTES = 2 << 20
# Of all in it, what aliases stand for included.
MAX_SETTINGS_VALUES = 200_000


def max_unpacked(packed_bytes: int) -> int:
    """Bytes that a compressed file of so many may unpack to."""
    return MAX_EXPANSION * packed_bytes + FREE_BYTES
