"""Small files that unpack to a great deal, and files of nothing that are long on paper only."""

import io
import json
import zlib
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

GOOD = {"id": "good", "audio": "a.wav", "text": "a good row"}
LINE = json.dumps(GOOD).encode() + b"\n"
HEADER = b"id,audio,text\n"
ROW = b"good,a.wav,a good row\n"


def packed(parts: Iterable[bytes]) -> bytes:
    """The parts, gzipped, without ever holding them all."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join([packer.compress(part) for part in parts] + [packer.flush()])


def repeated(part: bytes, num_bytes: int) -> Iterable[bytes]:
    """A part again and again, up to so many bytes."""
    block = part * max(1, (1 << 20) // len(part))
    return (block for _ in range(num_bytes // len(block)))


def table(columns: dict[str, pa.Array], **options: Any) -> bytes:
    """A Parquet file."""
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, **options)
    return file.getvalue()


def one_text(num_rows: int, num_bytes: int) -> bytes:
    """A table in which every row has the same long text, which is stored once."""
    text = pa.DictionaryArray.from_arrays(pa.array([0] * num_rows, pa.int32()), pa.array(["x" * num_bytes]))
    options: dict[str, Any] = {"compression": "zstd", "dictionary_pagesize_limit": 1 << 30, "write_statistics": False}
    return table({"audio": pa.array(["a.wav"] * num_rows), "text": text}, **options)
