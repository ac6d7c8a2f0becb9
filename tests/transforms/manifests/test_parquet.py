"""Parquet: the rows of the table, whatever their columns hold; recordings inside are neither read nor copied."""

import datetime
import decimal
import gzip
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.transforms.manifests.written import A, B, rows_of, summary
from transforms.clip import Clip
from transforms.errors import UserError
from transforms.manifests import parquet
from transforms.storage import inside

COLUMNS = {"id": ["a", "b"], "audio_path": ["a.wav", "x/b.wav"], "text": ["hello", "world"]}
HUB = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
FAR = 2**62


def table(tmp_path, columns, **options):
    path = tmp_path / "m.parquet"
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), path, **options)
    return path


@pytest.mark.parametrize("gzipped", [False, True])
def test_the_rows_of_a_table(tmp_path, gzipped):
    path = table(tmp_path, COLUMNS)
    if gzipped:
        path.write_bytes(gzip.compress(path.read_bytes()))
    assert summary(rows_of(path)) == [A, B]


ODD = {
    "a time out of range": pa.array([0, FAR], pa.timestamp("us")),
    "nanoseconds": pa.array([1, None], pa.timestamp("ns")),
    "an unknown zone": pa.array([1, 2], pa.timestamp("us", tz="Mars/Olympus")),
    "a day out of range": pa.array([0, 2**31 - 1], pa.date32()),
    "a time of day": pa.array([1, None], pa.time64("ns")),
    "a duration": pa.array([1, FAR], pa.duration("us")),
    "decimals": pa.array([decimal.Decimal("1.10"), None]),
    "a map": pa.array([[("k", 1)], [("k", 2), ("k", 3)]], pa.map_(pa.string(), pa.int64())),
    "a dictionary": pa.array(["x", None]).dictionary_encode(),
    "nulls": pa.nulls(2),
    "no numbers": pa.array([float("nan"), float("inf")]),
    "views": pa.array(["x", None], pa.string_view()),
    "an extension": pa.array([b"0" * 16, None], pa.uuid()),
    "64 bits": pa.array([2**64 - 1, None], pa.uint64()),
    "bytes": pa.array([b"x", b"\xff"]),
    "so many bytes": pa.array([b"xx", b"\xff\xff"], pa.binary(2)),
    "lists of bytes": pa.array([[b"\xff"], None]),
    "a time within": pa.array([{"a": [FAR]}, None], pa.struct([("a", pa.list_(pa.timestamp("us")))])),
    "a picture": pa.array([{"bytes": b"\xff", "path": "a.png"}, None], HUB),
}


@pytest.mark.parametrize("kind", ODD)
def test_no_value_of_another_column_costs_a_row(tmp_path, kind):
    for odd in ("odd", "a.b", "id"):
        rows = rows_of(table(tmp_path, {**COLUMNS, odd: ODD[kind]}))
        assert all(isinstance(json.loads(row.row), dict) for row in rows)
        if odd != "id":
            assert summary(rows) == [A, B]


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("column", ["audio_path", "text", "offset"])
def test_no_value_of_a_column_that_counts_ends_a_run(tmp_path, kind, column):
    rows = rows_of(table(tmp_path, {**COLUMNS, column: ODD[kind]}))
    assert len(rows) == 2
    for row in rows:
        assert isinstance(json.loads(row.row), dict)
        if isinstance(row, Clip):  # its text is one of the table, or of the values above that are texts
            assert column == "audio_path" or "#row" not in row.uri
            assert row.target in {*COLUMNS["text"], "x", "xx", "0" * 16}
        else:
            assert row.reason in {"bad_field", "missing_text", "missing_audio_path", "embedded_audio"}


def test_times_are_text_in_the_original_row(tmp_path):
    when = datetime.datetime(2026, 1, 2, 3, 4, 5)
    columns = {**COLUMNS, "text": ["", "world"], "when": pa.array([when, None], pa.timestamp("us"))}
    assert json.loads(rows_of(table(tmp_path, columns))[0].row)["when"] == "2026-01-02T03:04:05"


def test_bytes_that_are_text_are_text(tmp_path):
    columns = {name: pa.array([value.encode() for value in values]) for name, values in COLUMNS.items()}
    assert summary(rows_of(table(tmp_path, columns))) == [A, B]


def test_text_that_is_no_text_costs_its_row(tmp_path):
    texts = pa.Array.from_buffers(pa.string(), 2, pa.array([b"\xff\xfe", b"world"]).buffers())
    rows = rows_of(table(tmp_path, {**COLUMNS, "text": texts}))
    assert summary(rows) == [("m.parquet:1", "bad_field"), B]


@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize("column", ["audio", "file", "wav", "path"])
def test_recordings_as_hubs_name_them_by_their_path(tmp_path, column, statistics):
    audio = pa.array([{"bytes": None, "path": path} for path in COLUMNS["audio_path"]], HUB)
    columns = {"id": COLUMNS["id"], "text": COLUMNS["text"], column: audio}
    assert summary(rows_of(table(tmp_path, columns, write_statistics=statistics))) == [A, B]


NOISE = np.random.default_rng(7)
INSIDE = {
    "a hub's": (lambda: {"bytes": NOISE.bytes(200_000), "path": "a.wav"}, HUB),
    "a hub's without a path": (lambda: {"bytes": NOISE.bytes(200_000), "path": None}, HUB),
    "bytes alone": (lambda: NOISE.bytes(200_000), pa.binary()),
    "few bytes": (lambda: b"\xff" + NOISE.bytes(100), pa.binary()),
}
EMBEDDED = {
    "as many bytes each": (lambda: NOISE.bytes(200_000), pa.binary(200_000)),
    "in lists": (lambda: [NOISE.bytes(200_000)], pa.list_(pa.binary())),
    "samples": (
        lambda: {"array": NOISE.random(50_000), "path": "a.wav"},
        pa.struct([("array", pa.list_(pa.float64())), ("path", pa.string())]),
    ),
}


@pytest.mark.parametrize("kind", INSIDE)
@pytest.mark.parametrize("column", ["audio", "speech"])
def test_recordings_in_the_table_are_named_by_their_place(tmp_path, kind, column):
    make, form = INSIDE[kind]
    path = table(tmp_path, {"text": ["hello"] * 20, column: pa.array([make() for _ in range(20)], form)})
    leaf = f"{column}.bytes" if form == HUB else column
    name = "a.wav" if kind == "a hub's" else ""
    rows = rows_of(path)
    assert [row.uri for row in rows] == [f"m.parquet#row={number}:{leaf}:{name}/" for number in range(1, 21)]
    assert max(len(row.row) for row in rows) < 200
    # The row runs again as it is.
    (tmp_path / "rejected.jsonl").write_text("".join(row.row + "\n" for row in rows))
    assert [row.uri for row in rows_of(tmp_path / "rejected.jsonl")] == [row.uri for row in rows]


def test_recordings_lie_in_their_table_wherever_paths_start(tmp_path):
    audio = pa.array([{"bytes": b"\xff" * 9_000, "path": "a.wav"}, {"bytes": None, "path": "x/b.wav"}], HUB)
    path = table(tmp_path, {"id": COLUMNS["id"], "audio": audio, "text": COLUMNS["text"]})
    inside, outside = (row.uri for row in rows_of(path, audio_root="elsewhere"))
    assert (inside, outside) == (f"{path}#row=1:audio.bytes:a.wav/", "elsewhere/x/b.wav")


@pytest.mark.parametrize("name", ["my.audio", "a:b", "col#1", "50%", "x/y", "ü"])
def test_a_column_of_recordings_may_have_any_name(tmp_path, name):
    audio = pa.array([{"bytes": b"\xff" * 9_000, "path": None}] * 2, HUB)
    (uri, _) = (row.uri for row in rows_of(table(tmp_path, {name: audio, "text": COLUMNS["text"]})))
    place = inside.place_of(uri)
    assert place is not None
    assert (place.row, place.column) == (1, f"{name}.bytes")


def test_of_several_columns_of_recordings_one_must_be_named(tmp_path):
    audio = pa.array([{"bytes": b"\xff" * 9_000, "path": "a.wav"}] * 2, HUB)
    path = table(tmp_path, {"audio": audio, "noisy": audio, "text": COLUMNS["text"]})
    with pytest.raises(
        UserError, match=r"^m\.parquet: several columns hold recordings, 'audio', 'noisy'; name the one"
    ):
        rows_of(path)
    (uri, _) = (row.uri for row in rows_of(path, columns={"audio": "noisy"}))
    assert uri == "m.parquet#row=1:noisy.bytes:a.wav/"


def test_a_packed_table_does_not_tell_where_its_recordings_are(tmp_path):
    audio = pa.array([{"bytes": b"\xff" * 9_000, "path": "a.wav"}] * 2, HUB)
    path = table(tmp_path, {"audio": audio, "text": COLUMNS["text"]})
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert {row.reason for row in rows_of(path)} == {"embedded_audio"}


def test_what_datasets_says_of_columns_counts(tmp_path):
    features = {
        "audio": {"_type": "Audio"},
        "image": {"_type": "Image"},
        "label": {"_type": "ClassLabel", "names": ["no", "yes"]},
    }
    cells = pa.array([{"bytes": b"\xff" * 9_000, "path": None}] * 4, HUB)
    columns = pa.table({"audio": cells, "image": cells, "label": [1, 0, -1, 7]})
    told = {"huggingface": json.dumps({"info": {"features": features}})}
    rows = rows_of(table(tmp_path, columns.replace_schema_metadata(told)))
    assert [row.target if isinstance(row, Clip) else row.reason for row in rows] == [
        "yes",
        "no",
        "missing_text",
        "bad_field",
    ]
    for broken in (
        "{",
        "[]",
        '{"info": {"features": [1]}}',
        '{"info": {"features": {"label": {"_type": "ClassLabel"}}}}',
    ):
        table(tmp_path, columns.select(["audio", "label"]).replace_schema_metadata({"huggingface": broken}))
        assert {row.reason for row in rows_of(tmp_path / "m.parquet")} == {"bad_field"}


@pytest.mark.parametrize("kind", EMBEDDED)
def test_recordings_in_the_table_are_refused_and_not_copied(tmp_path, kind):
    make, form = EMBEDDED[kind]
    path = table(tmp_path, {"text": ["hello"] * 20, "audio": pa.array([make() for _ in range(20)], form)})
    rows = rows_of(path)
    assert {row.reason for row in rows} == {"embedded_audio"}
    assert (
        rows[0].detail
        == "the column 'audio' holds the recording itself, not its path; write it to a file and name that"
    )
    assert max(len(row.row) for row in rows) < 100
    # The rejected row is refused again, and for the same reason.
    (tmp_path / "rejected.jsonl").write_text("".join(row.row + "\n" for row in rows))
    assert {row.reason for row in rows_of(tmp_path / "rejected.jsonl")} == {"embedded_audio"}


class Counting(io.BytesIO):
    """A file that counts what is read of it."""

    count = 0

    def read(self, size=-1):
        content = super().read(size)
        self.count += len(content)
        return content


@pytest.mark.parametrize("kind", sorted((EMBEDDED | INSIDE).keys() - {"few bytes"}))
@pytest.mark.parametrize("rows_per_group", [5, 40])
def test_the_bytes_of_recordings_are_not_even_read(tmp_path, kind, rows_per_group):
    make, form = {**EMBEDDED, **INSIDE}[kind]
    columns = {"text": ["hello"] * 40, "audio": pa.array([make() for _ in range(40)], form)}
    path = table(tmp_path, columns, row_group_size=rows_per_group, use_dictionary=False)
    file = Counting(path.read_bytes())
    assert len(list(parquet.read(file, "m.parquet"))) == 40
    assert file.count < 200_000 < path.stat().st_size / 20


def test_where_some_recordings_are_inside_the_others_are_read(tmp_path):
    audio = pa.array([{"bytes": b"\xff" * 9_000, "path": "a.wav"}, {"bytes": None, "path": "x/b.wav"}], HUB)
    rows = rows_of(table(tmp_path, {"id": COLUMNS["id"], "audio": audio, "text": COLUMNS["text"]}))
    assert summary(rows) == [("a", "m.parquet#row=1:audio.bytes:a.wav/", "hello"), B]


def test_embeddings_are_not_carried_along(tmp_path):
    columns = {**COLUMNS, "text": ["", "world"], "embedding": [[0.5] * 100_000] * 2}
    rejected, clip = rows_of(table(tmp_path, columns))
    assert len(rejected.row) < 200
    assert len(clip.row) < 200


@pytest.mark.parametrize("at", [0, 30])
def test_a_damaged_page_costs_the_rows_of_its_group(tmp_path, at):
    names = [str(number) for number in range(30)]
    columns = {"id": names, "audio": [f"{name}.wav" for name in names], "text": [f"text {name}" * 9 for name in names]}
    path = table(tmp_path, columns, row_group_size=10, use_dictionary=False)
    place = pq.ParquetFile(path).metadata.row_group(1).column(2).data_page_offset + at
    content = bytearray(path.read_bytes())
    content[place : place + 60] = b"\xee" * 60
    path.write_bytes(content)
    rows = rows_of(path)
    assert [row.clip_id for row in rows if isinstance(row, Clip)] == names[:10] + names[20:]
    (rejected,) = (row for row in rows if not isinstance(row, Clip))
    assert (rejected.source, rejected.reason) == ("m.parquet:11", "bad_row")
    assert rejected.detail.startswith("rows 11 to 20 cannot be read: this part of the file is damaged")


def test_a_column_twice_is_the_files_fault(tmp_path):
    twice = pa.Table.from_arrays([pa.array(["a.wav"])] * 2 + [pa.array(["x"])], names=["audio", "audio", "text"])
    with pytest.raises(UserError, match=r"^m\.parquet: the column 'audio' stands twice"):
        rows_of(table(tmp_path, twice))
