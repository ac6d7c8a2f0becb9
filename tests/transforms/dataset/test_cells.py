"""A value out of a Parquet file is the value that pyarrow reads, however the file was written."""

import io
import itertools
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transforms.dataset import cells
from transforms.errors import ClipRejected

NOISE = np.random.default_rng(7)
HUB = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
WRITERS: dict[str, dict[str, Any]] = {
    "a row group in one page, as pandas writes it": {},
    "without dictionaries": {"use_dictionary": False},
    "small row groups": {"row_group_size": 7},
    "many pages": {"data_page_size": 2_000, "write_batch_size": 5, "use_dictionary": False},
    "a dictionary that is given up": {"dictionary_pagesize_limit": 3_000, "write_batch_size": 5},
    "pages of the second kind": {"data_page_version": "2.0"},
    "pages of the second kind, many": {
        "data_page_version": "2.0",
        "data_page_size": 2_000,
        "write_batch_size": 5,
        "use_dictionary": False,
    },
    "cut by content, as hubs have it": {"use_content_defined_chunking": True, "write_page_index": True},
}
CODECS = [
    "none",
    "snappy",
    *(pytest.param(name, marks=pytest.mark.sweep) for name in ("gzip", "zstd", "brotli", "lz4")),
]


def values(count=40):
    """Some twice, some none, one empty, of many lengths."""
    found = [NOISE.bytes(int(size)) for size in NOISE.integers(1, 4_000, count)]
    found[3] = found[20]
    found[5] = b""
    return [None if number % 9 == 4 else value for number, value in enumerate(found)]


def column(kind, contents):
    if kind == "a struct":
        return pa.array([{"bytes": each, "path": None} for each in contents], HUB), "audio.bytes"
    if kind == "a struct that is null":
        return pa.array(
            [None if each is None else {"bytes": each, "path": "a"} for each in contents], HUB
        ), "audio.bytes"
    if kind == "bytes":
        return pa.array(contents, pa.binary()), "audio"
    return pa.array([each or b"x" for each in contents], pa.binary()), "audio"


def table_of(array, kind):
    required = kind == "bytes that are never null"
    schema = pa.schema([pa.field("text", pa.string()), pa.field("audio", array.type, nullable=not required)])
    return pa.table([pa.array(["x"] * len(array)), array], schema=schema)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("writer", WRITERS)
def test_each_value_of_each_writer(writer, codec):
    kinds = ("a struct", "a struct that is null", "bytes", "bytes that are never null")
    for kind in kinds if codec == "snappy" else kinds[:1]:
        array, path = column(kind, values())
        file = io.BytesIO()
        pq.write_table(table_of(array, kind), file, compression=codec, **WRITERS[writer])
        wanted = [each["bytes"] if isinstance(each, dict) else each for each in array.to_pylist()]
        for row, value in enumerate(wanted, start=1):
            if value is None:
                with pytest.raises(ClipRejected, match="no recording in this row"):
                    cells.read(file, row, path)
            else:
                assert cells.read(file, row, path) == value


@pytest.mark.parametrize("codec", ["none", "snappy"])
@pytest.mark.parametrize("writer", WRITERS)
def test_long_pages_are_mapped(tmp_path, monkeypatch, writer, codec):
    monkeypatch.setattr(cells, "_SHORT_BYTES", 0)
    array, column_path = column("a struct", values())
    path = tmp_path / "t.parquet"
    pq.write_table(table_of(array, "a struct"), path, compression=codec, **WRITERS[writer])
    with path.open("rb") as file:
        for stream in (file, io.BytesIO(path.read_bytes())):  # of the second, a copy is mapped
            for row in (1, 20, 40):
                assert cells.read(stream, row, column_path) == array[row - 1].as_py()["bytes"]


def test_a_long_page_that_is_asked_for_again_is_unpacked_twice_at_most(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "_SHORT_BYTES", 0)
    unpacked = []
    real = cells._decompressed

    def counted(*words):
        unpacked.append(words)
        return real(*words)

    monkeypatch.setattr(cells, "_decompressed", counted)
    recordings = [bytes([number]) * 1_000 for number in range(20)]
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"audio": recordings}), path, use_dictionary=False)
    with path.open("rb") as file:
        assert [cells.read(file, row, "audio") for row in range(1, 21)] == recordings
    assert len(unpacked) == 2
    # Another file in its place is read anew.
    pq.write_table(pa.table({"audio": recordings[::-1]}), tmp_path / "new", use_dictionary=False)
    (tmp_path / "new").replace(path)
    with path.open("rb") as file:
        assert [cells.read(file, row, "audio") for row in range(1, 21)] == recordings[::-1]


@pytest.mark.parametrize(
    ("row", "path"), [(41, "audio"), (1, "sound"), (1, "text.bytes"), (1, "number"), (1, "list.list.element")]
)
def test_what_is_not_there(row, path):
    columns = {"audio": pa.array(values()), "number": list(range(40)), "list": pa.array([[b"x"]] * 40)}
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    with pytest.raises(ClipRejected):
        cells.read(file, row, path)


def test_a_page_that_no_worker_has_room_for(monkeypatch):
    file = io.BytesIO()
    pq.write_table(pa.table({"audio": [b"x" * 1_000, b"y" * 1_000]}), file, use_dictionary=False, compression="none")
    monkeypatch.setattr(cells, "MAX_PAGE_BYTES", 2_100)
    assert cells.read(file, 2, "audio") == b"y" * 1_000
    monkeypatch.setattr(cells, "MAX_PAGE_BYTES", 2_000)
    with pytest.raises(ClipRejected, match="smaller row groups") as refusal:
        cells.read(file, 2, "audio")
    assert refusal.value.reason.name == "file_too_large"


@pytest.mark.parametrize("writer", WRITERS)
def test_damage_costs_the_clip_and_nothing_else(writer):
    array, path = column("a struct", values())
    file = io.BytesIO()
    pq.write_table(table_of(array, "a struct"), file, compression="snappy", **WRITERS[writer])
    whole = file.getvalue()
    for number, row in itertools.product(range(60), (1, 31)):
        content = bytearray(whole)
        for place in np.random.default_rng(number).integers(0, len(content), 20):
            content[place] ^= 0xFF
        try:
            assert isinstance(cells.read(io.BytesIO(bytes(content)), row, path), bytes)
        except ClipRejected as refusal:
            assert refusal.reason.name in {"decode_failed", "file_too_large", "empty_file", "unsupported_format"}
