"""Manifests that would take all memory or all time: refused where they do, and rows behind keep their numbers."""

import gc
import gzip
import io
import json
import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bombs import GOOD, HEADER, LINE, ROW, one_text, packed, repeated, table
from tests.transforms.manifests.written import rows_of, summary, written
from transforms import bounds, limits
from transforms.clip import Clip
from transforms.errors import UserError
from transforms.manifests import jsonl, parquet
from transforms.manifests.lines import numbered

MB = 1 << 20
CLIP = ("good", "a.wav", "a good row")


@pytest.mark.parametrize(
    ("name", "start", "bomb", "end"),
    [
        ("m.jsonl", LINE + b'{"id": "', b"x", b'"}\n' + LINE),
        ("m.jsonl", LINE, b" ", b"x\n" + LINE),
        ("m.csv", HEADER + ROW + b"b,b.wav,", b"x", b"\n" + ROW),
        ("m.csv", HEADER + ROW + b'b,b.wav,"', b"x", b'"\n' + ROW),
        ("m.tsv", (HEADER + ROW).replace(b",", b"\t") + b"b\tb.wav\t", b"x", b"\n" + ROW.replace(b",", b"\t")),
        ("m.json", b"[" + LINE + b",", b"", b""),
    ],
    ids=["JSONL", "blanks", "CSV", "a quoted cell", "TSV", "array"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_line_of_any_length_is_one_row_in_bounded_memory(tmp_path, monkeypatch, name, start, bomb, end, encoding):
    bound(monkeypatch, 4_096)
    text = [start.decode(), bomb.decode() * (2 * MB), end.decode()]
    if name == "m.json":
        text[1] = "[" + "{}," * MB + "1],"
        text[2] = LINE.decode() + "]"
    path = written(tmp_path, "".join(text).encode(encoding), name)
    del text
    tracemalloc.start()
    rows = rows_of(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [type(row) is Clip for row in rows] == [True, False, True]
    first = 1 if name.startswith("m.json") else 2
    assert [row.source for row in rows] == [f"{name}:{first + index}" for index in range(3)]
    assert "longer than 4,096" in rows[1].detail
    assert peak < MB


def bound(monkeypatch, num_bytes):
    for module in ("lines", "jsonl", "cells", "delimited", "parquet"):
        monkeypatch.setattr(f"transforms.manifests.{module}.MAX_LINE_BYTES", num_bytes)


@pytest.mark.parametrize("more", [0, 1])
def test_a_line_may_have_so_many_bytes_and_no_more(tmp_path, monkeypatch, more):
    bound(monkeypatch, 1_000)
    line = LINE.strip() + b" " * (1_000 - len(LINE.strip()) + more)
    rows = rows_of(written(tmp_path, LINE + line + b"\r\n" + LINE))
    assert [type(row) is Clip for row in rows] == [True, not more, True]


def test_blanks_in_an_array_are_nothing_however_many(tmp_path, monkeypatch):
    bound(monkeypatch, 1_000)
    blanks = " \n" * MB
    content = f"[{blanks}{json.dumps(GOOD)}{blanks},{blanks}{json.dumps(GOOD)}{blanks}]{blanks}"
    assert summary(rows_of(written(tmp_path, content))) == [CLIP, CLIP]


@given(
    st.lists(
        st.sampled_from(["[", "]", "{", "}", ",", '"', '\\"', "\\", " ", "1", '{"a":1}', '"x,]"', "é"]), max_size=30
    ),
    st.sampled_from([1, 2, 7]),
)
def test_an_array_is_read_alike_in_blocks_of_any_length(parts, size):
    content = ("[" + "".join(parts) + "]").encode()

    def read(num_bytes):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jsonl, "_BLOCK_BYTES", num_bytes)
            try:
                return [(row.line, row.fields, str(row.fault)) for row in jsonl.read_array(io.BytesIO(content), "m")]
            except UserError as fault:
                return str(fault)

    assert read(size) == read(MB)


def test_lines_of_old_macs_and_of_utf_16_have_numbers_of_their_own():
    text = "a\rb\r\rc" + "\r" * 70_000 + "d\r\n" + "e\rf"
    for encoding in ("utf-8", "utf-16", "utf-32"):
        found = [(number, line) for number, line in numbered(io.BytesIO(text.encode(encoding))) if line]
        assert found == [(1, b"a"), (2, b"b"), (4, b"c"), (70_004, b"d"), (70_005, b"e"), (70_006, b"f")]


@pytest.mark.parametrize("end", [b"\n", b" "])
def test_a_gzip_bomb_stops_where_it_is_known_for_one(tmp_path, monkeypatch, end):
    monkeypatch.setattr(bounds, "FREE_BYTES", 1 << 16)
    content = packed([LINE, *repeated(end, 4 * MB)])
    most = bounds.max_unpacked(len(content))
    with pytest.raises(UserError, match=rf"m.jsonl.gz: it unpacks to more than {most:,} bytes, over 200 times"):
        rows_of(written(tmp_path, content, "m.jsonl.gz"))


def test_a_list_that_packs_well_is_no_bomb(tmp_path, monkeypatch):
    monkeypatch.setattr(bounds, "FREE_BYTES", 0)
    lines = b"".join(json.dumps({**GOOD, "id": str(i)}).encode() + b"\n" for i in range(1_000))
    content = gzip.compress(lines)
    assert len(lines) > 10 * len(content)
    assert len(rows_of(written(tmp_path, content, "m.jsonl.gz"))) == 1_000


def columns(number):
    return [f"c{index}" for index in range(number - 3)]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("more", [0, 1])
def test_a_table_may_have_so_many_columns_and_no_more(tmp_path, monkeypatch, form, more):
    for module in ("jsonl", "cells", "delimited", "parquet"):
        monkeypatch.setattr(f"transforms.manifests.{module}.MAX_COLUMNS", 2_000)
    names = columns(2_000 + more)
    if form == "csv":
        content = ",".join(["id,audio,text", *names]).encode() + b"\n" + ROW
    elif form == "jsonl":
        content = LINE + json.dumps({**GOOD, **dict.fromkeys(names, 1)}).encode()
    else:
        content = table({name: pa.array([value]) for name, value in {**GOOD, **dict.fromkeys(names, "1")}.items()})
    path = written(tmp_path, content, f"m.{form}")
    if not more:
        assert summary(rows_of(path))[-1] == CLIP
    elif form == "jsonl":
        assert rows_of(path)[1].detail == "the line has 2,001 fields, over the limit of 2,000"
    else:
        with pytest.raises(UserError, match=f"m.{form}: the (header|table) has 2,001 columns, over the limit of 2,000"):
            rows_of(path)


def test_short_rows_of_a_wide_table_stay_short(tmp_path):
    header = "id,audio,text," + ",".join(f"column{index}" for index in range(20_000))
    rows = rows_of(written(tmp_path, f"{header}\n" + "a,a.wav\n" * 50, "m.csv"))
    assert {row.reason for row in rows} == {"missing_text"}
    assert len(rows[0].row) > 100_000  # the first shows all
    assert max(len(row.row) for row in rows[1:]) < 100


def test_quotes_that_never_close_cost_no_more_time_than_their_lines(tmp_path, monkeypatch):
    monkeypatch.setattr("transforms.manifests.cells._FREE_LOOKS", 500)
    unclear = "id\taudio\ttext\n" + 'a\t"b\n' + '""\\\n' * 500
    with pytest.raises(UserError, match=r"m.tsv:\d+: quotes open and do not close, line for line"):
        rows_of(written(tmp_path, unclear, "m.tsv"))
    common = "id\taudio\ttext\n" + 'a\ta.wav\t"Lone\n' * 1_000
    assert len(rows_of(written(tmp_path, common, "m.tsv"))) == 1_000


def test_a_text_that_a_table_stores_once_fills_no_memory_for_each_row(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "_MAX_BATCH_BYTES", MB)
    before = pa.total_allocated_bytes()
    rows = parquet.read(io.BytesIO(one_text(1_000, MB)), "m.parquet")
    most = 0
    for _ in range(4):
        assert len(next(rows).fields["text"]) == MB
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < 16 * MB  # not 1 GB


def test_parts_of_a_table_that_are_bombs_cost_their_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(bounds, "FREE_BYTES", 1 << 16)
    lists = pa.ListArray.from_arrays([0, 500_000], pa.array(np.zeros(500_000, np.int8)))
    columns = {"audio": pa.array(["a.wav"]), "text": pa.array(["x"])}
    options = {"compression": "zstd", "write_statistics": False}
    for content, told in (
        (table({**columns, "l": lists}, **options), "bytes of lists unpack to 500,000 values"),
        (table({**columns, "l": pa.array(["x" * MB])}, use_dictionary=False, **options), "unpacks to 1,048,"),
    ):
        (row,) = list(parquet.read(io.BytesIO(content), "m.parquet"))
        assert row.fault is not None
        assert row.fault.detail.startswith("row 1 are not read: in this part of the file, ")
        assert told in row.fault.detail


def test_a_table_of_more_rows_than_its_file_can_hold_is_refused(monkeypatch):
    monkeypatch.setattr(bounds, "FREE_BYTES", 1 << 16)
    content = table(
        {"audio": pa.nulls(500_000, pa.string()), "text": pa.nulls(500_000, pa.string())}, compression="zstd"
    )
    with pytest.raises(UserError, match=r"m.parquet: not a readable Parquet file \(it tells of more rows than"):
        list(parquet.read(io.BytesIO(content), "m.parquet"))


@pytest.mark.parametrize("more", [0, 1])
def test_the_text_beside_a_recording_may_be_so_long(tmp_path, monkeypatch, more):
    monkeypatch.setattr("transforms.manifests.pairs.MAX_LINE_BYTES", 1_000)
    folder = tmp_path / "pairs"
    folder.mkdir()
    written(folder, b"", "a.wav")
    written(folder, "x" * (1_000 + more), "a.txt")
    (row,) = rows_of(folder)
    if more:
        assert row.detail == "a.txt is longer than 1,000 bytes"
    else:
        assert row.target == "x" * 1_000


@pytest.mark.parametrize("more", [0, 4])
def test_texts_that_no_example_can_have_are_refused_before_they_wait_for_their_audio(tmp_path, more):
    text = "x" * (4 * limits.MAX_TOKENS_PER_EXAMPLE - 4 + more)
    row = {**GOOD, "text": text[4:], "prompt": "four", "system_instruction": "four"}
    (found,) = rows_of(written(tmp_path, json.dumps(row) + "\n"))
    if more:
        assert (found.reason, found.detail) == (
            "example_too_large",
            "524,292 characters are about 131,073 tokens, over the service's limit of 131,072",
        )
        assert json.loads(found.row)["text"] == text[4:]
    else:
        assert type(found) is Clip


@pytest.mark.parametrize("more", [0, 1])
def test_a_row_may_hold_so_many_bytes(tmp_path, monkeypatch, more):
    """In columns that are used: of the others, the first are kept."""
    monkeypatch.setattr(bounds, "MAX_ROW_BYTES", 20_000)
    monkeypatch.setattr(bounds, "MAX_UNUSED_BYTES", 3_000)
    row = {**GOOD, "text": "", "a": "x" * 1_000, "b": "x" * 2_500, "c": "x" * 1_900}
    kept = {**row, "b": "(2,502 bytes, left out)"}
    row["text"] = kept["text"] = "x" * (20_000 + more - len(json.dumps(kept, separators=(",", ":"))))
    found, after = rows_of(written(tmp_path, json.dumps(row).encode() + b"\n" + LINE))
    assert type(after) is Clip
    if more:
        assert (found.reason, found.detail) == (
            "bad_row",
            "the columns that are used have 20,001 bytes, over the limit of 20,000 for a row",
        )
        assert json.loads(found.row).keys() == {"line"}
        assert len(found.row) < 3_000
    else:
        assert json.loads(found.row) == kept


def test_rejected_rows_are_freed_at_once(tmp_path, monkeypatch):
    """An exception that is kept would hold its row until the garbage is collected: gigabytes, of long rows."""
    monkeypatch.setattr(bounds, "MAX_ROW_BYTES", 4_096)
    kinds = [json.dumps(GOOD), "[", json.dumps({**GOOD, "text": "x" * 9_000}), json.dumps({**GOOD, "text": 7})]
    path = written(tmp_path, "\n".join(kinds * 50))
    rows_of(path)
    gc.collect()
    gc.disable()
    try:
        assert len(rows_of(path)) == 200
        assert gc.collect() < 50
    finally:
        gc.enable()
