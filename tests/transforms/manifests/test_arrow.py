"""Arrow tables: rows as pyarrow has them, recordings by their place, and no table harms the program."""

import io
import json

import numpy as np
import pyarrow as pa
import pytest

from tests.transforms.manifests.test_parquet import ODD
from tests.transforms.manifests.written import rows_of
from transforms.clip import Clip
from transforms.errors import UserError
from transforms.manifests import arrow, flat
from transforms.storage import inside

NOISE = np.random.default_rng(7)
HUB = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
RECORDINGS = [NOISE.bytes(int(size)) for size in NOISE.integers(1, 3_000, 10)]
TEXTS = [f"text {number}" for number in range(10)]
COLUMNS = {
    "bytes and path": pa.array([{"bytes": each, "path": "a.wav"} for each in RECORDINGS], HUB),
    "path first": pa.array(
        [{"path": "a.wav", "bytes": each} for each in RECORDINGS],
        pa.struct([("path", pa.string()), ("bytes", pa.large_binary())]),
    ),
    "bytes": pa.array(RECORDINGS),
    "long bytes": pa.array(RECORDINGS, pa.large_binary()),
}


def save(tmp_path, columns, batch=4, file=False, metadata=None, **options):
    path = tmp_path / "m.arrow"
    table = (columns if isinstance(columns, pa.Table) else pa.table(columns)).replace_schema_metadata(metadata)
    make = pa.ipc.new_file if file else pa.ipc.new_stream
    with path.open("wb") as sink, make(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=batch)
    return path


def contents(path, rows):
    places = [place for row in rows if (place := inside.place_of(row.uri)) is not None]
    return [path.read_bytes()[place.offset : place.offset + place.size] for place in places]


@pytest.mark.parametrize("file", [False, True])
@pytest.mark.parametrize("kind", COLUMNS)
def test_each_recording_lies_where_its_row_says(tmp_path, kind, file):
    path = save(
        tmp_path, {"before": [[1, 2], None] * 5, "audio": COLUMNS[kind], "text": TEXTS, "after": ODD_NUMBERS}, file=file
    )
    rows = rows_of(path)
    assert [row.target for row in rows] == TEXTS
    assert [row.clip_id for row in rows] == [f"m.arrow:{number}" for number in range(1, 11)]
    assert contents(path, rows) == RECORDINGS


ODD_NUMBERS = pa.array([1.5, None] * 5)


def test_rows_without_bytes_have_a_path_or_nothing(tmp_path):
    cells = [{"bytes": b"x", "path": None}, {"bytes": None, "path": "a.wav"}, None, {"bytes": None, "path": None}]
    path = save(tmp_path, {"audio": pa.array(cells, HUB), "text": TEXTS[:4]})
    first, second, *none = rows_of(path)
    assert (contents(path, [first]), second.uri) == ([b"x"], "a.wav")
    assert [row.reason for row in none] == ["missing_audio_path"] * 2


def test_a_slice_of_a_table_is_its_rows(tmp_path):
    table = pa.table({"audio": COLUMNS["bytes and path"], "text": TEXTS}).slice(3, 5)
    path = save(tmp_path, table)
    rows = rows_of(path)
    assert ([row.target for row in rows], contents(path, rows)) == (TEXTS[3:8], RECORDINGS[3:8])


@pytest.mark.parametrize("kind", sorted(ODD.keys() - {"views"}))
def test_no_value_of_another_column_costs_a_row(tmp_path, kind):
    columns = {"audio": ["a.wav", "b.wav"], "text": TEXTS[:2]}
    for odd in ("odd", "id"):
        rows = rows_of(save(tmp_path, {odd: ODD[kind], **columns}))
        assert all(isinstance(json.loads(row.row), dict) for row in rows)
        if odd != "id":
            assert [(row.uri, row.target) for row in rows] == [("a.wav", "text 0"), ("b.wav", "text 1")]


def test_classes_have_names(tmp_path):
    told = {
        "info": {"features": {"label": {"_type": "ClassLabel", "names": ["no", "yes"]}, "audio": {"_type": "Audio"}}}
    }
    path = save(tmp_path, {"audio": COLUMNS["bytes"], "label": [0, 1] * 5}, metadata={"huggingface": json.dumps(told)})
    assert [row.target for row in rows_of(path)] == ["no", "yes"] * 5


UNREAD = {
    "views": (pa.array(["x"], pa.string_view()), r"string_view, which is not read"),
    "unions": (pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])]), "union, which is not read"),
}


@pytest.mark.parametrize("kind", UNREAD)
def test_a_table_that_is_not_read_stops_the_run(tmp_path, kind):
    column, why = UNREAD[kind]
    with pytest.raises(UserError, match=rf"^m\.arrow: not a readable Arrow table \(.*{why}"):
        rows_of(save(tmp_path, {"odd": column, "audio": ["a.wav"], "text": ["x"]}))


def test_a_compressed_table_stops_the_run(tmp_path):
    with pytest.raises(UserError, match="it is compressed; write it without compression, or as Parquet"):
        rows_of(save(tmp_path, {"audio": COLUMNS["bytes"], "text": TEXTS}, compression="zstd"))


def test_texts_of_a_batch_have_a_bound(tmp_path, monkeypatch):
    path = save(tmp_path, {"audio": ["a.wav"] * 10, "text": ["x" * 1_000] * 10}, batch=5)
    monkeypatch.setattr(arrow, "MAX_BATCH_BYTES", 5_000)
    with pytest.raises(UserError, match=r"the texts and numbers of a batch have over 5,000 bytes"):
        rows_of(path)


@pytest.mark.parametrize("kind", COLUMNS)
def test_damage_costs_rows_and_nothing_else(tmp_path, kind):
    whole = save(tmp_path, {"audio": COLUMNS[kind], "text": TEXTS}).read_bytes()
    for number in range(150):
        content = bytearray(whole)
        chance = np.random.default_rng(number)
        for place in chance.integers(0, len(content), 30):
            content[place] = chance.integers(0, 256)
        (tmp_path / "m.arrow").write_bytes(content)
        try:
            rows = rows_of(tmp_path / "m.arrow")
        except UserError as stop:
            assert str(stop).startswith("m.arrow: ")
            continue
        for row in rows:
            place = inside.place_of(row.uri) if isinstance(row, Clip) else None
            assert place is None or place.offset + place.size <= len(whole)


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.9, 0.99])
def test_a_table_that_is_cut_short_costs_what_is_behind(tmp_path, keep):
    path = save(tmp_path, {"audio": COLUMNS["bytes"], "text": TEXTS}, batch=1)
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    *rows, last = rows_of(path)
    assert [row.target for row in rows] == TEXTS[: len(rows)]
    assert (last.source, last.reason) == (f"m.arrow:{len(rows) + 1}", "bad_row")


def test_a_batch_that_tells_of_rows_without_end_is_damaged(tmp_path):
    path = save(tmp_path, {"nothing": pa.nulls(3), "audio": ["a.wav"] * 3, "text": TEXTS[:3]})
    content = path.read_bytes().replace((3).to_bytes(8, "little"), (1 << 60).to_bytes(8, "little"))
    path.write_bytes(content)
    with pytest.raises(UserError, match="it tells of more rows than it holds"):
        rows_of(path)


def test_a_message_leads_nowhere_else():
    for content in (b"", b"\xff" * 40, b"\xff\xff\xff\xff" + (1 << 30).to_bytes(4, "little") + bytes(8)):
        try:
            found = flat.message(io.BytesIO(content), 0)
        except flat.DamagedError:
            continue
        assert found is None
