"""Segments: every way in which tables tell where in its recording a clip lies, and what contradicts itself."""

import io
from datetime import time, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.transforms.manifests.written import lines, rows_of, written
from transforms import reasons
from transforms.clip import Outcome
from transforms.manifests import segments
from transforms.manifests.columns import Columns, ManifestSettings

ROW = {"id": "a", "audio": "talk.wav", "text": "hello"}


def told(tmp_path, fields, **settings):
    """Offset and duration of the one row, or the reason and detail of its refusal."""
    (row,) = rows_of(written(tmp_path, lines({**ROW, **fields})), **settings)
    return (row.reason, row.detail) if isinstance(row, Outcome) else (row.offset, row.duration)


@pytest.mark.parametrize(
    ("fields", "segment"),
    [
        ({}, (None, None)),
        ({"start": 4, "end": 8.5}, (4.0, 4.5)),
        ({"start_time": "4", "end_time": "8.5"}, (4.0, 4.5)),
        ({"begin": 4, "end": 8.5}, (4.0, 4.5)),
        ({"begin_time": 4, "end_time": 8.5}, (4.0, 4.5)),
        ({"startTime": 4, "endTime": 8.5}, (4.0, 4.5)),
        ({"Start Time": 4, "End Time": 8.5}, (4.0, 4.5)),
        ({"Start (s)": 4, "Stop (s)": 8.5}, (4.0, 4.5)),
        ({"start_sec": 4, "end_sec": 8.5}, (4.0, 4.5)),
        ({"tmin": 4, "tmax": 8.5}, (4.0, 4.5)),
        ({"start_ms": 4_000, "end_ms": 8_500}, (4.0, 4.5)),
        ({"startMs": 4_000, "endMs": 8_500}, (4.0, 4.5)),
        ({"offset_ms": 4_000, "duration_ms": 4_500}, (4.0, 4.5)),
        ({"start_us": 4_000_000, "end_us": 8_500_000}, (4.0, 4.5)),
        ({"start_time_ms": 4_000, "duration": 4.5}, (4.0, 4.5)),
        ({"offset": 4, "duration": 4.5}, (4.0, 4.5)),
        ({"offset": 4, "end": 8.5}, (4.0, 4.5)),
        ({"onset": 4, "duration": 4.5}, (4.0, 4.5)),
        ({"onset": 4, "offset": 8.5}, (4.0, 4.5)),  # sound events: the offset is the end
        ({"offset": 4}, (4.0, None)),
        ({"start": 4, "end": None}, (4.0, None)),
        ({"end": 8.5}, (0.0, 8.5)),
        ({"end": 8.5, "duration": 8.5}, (0.0, 8.5)),
        ({"duration": 8.5}, (None, None)),  # NeMo: of the whole recording
        ({"offset": None, "duration": 8.5}, (None, None)),
        ({"offset": 0, "duration": 8.5}, (0.0, 8.5)),
        ({"start": 0.1, "end": 0.3}, (0.1, 0.2)),
        # Spellings that agree, but for their rounding.
        ({"start": 4, "start_ms": 4_012, "end": 8.5}, (4.0, 4.5)),
        ({"start": 4, "end": 8.5, "duration": 4.5}, (4.0, 4.5)),
        ({"start": 4, "end": 8.52, "duration": 4.5}, (4.0, 4.5)),
        # Spellings of one time.
        ({"start": "00:01:02.5", "end": "00:01:04"}, (62.5, 1.5)),
        ({"start": "01:02,500", "end": "01:04,000"}, (62.5, 1.5)),
        ({"start": "0,500", "end": "12,25"}, (0.5, 11.75)),  # as spreadsheets of half of Europe write decimals
        ({"start": "0 days 00:01:02.500000", "end": "0 days 00:01:04"}, (62.5, 1.5)),
        ({"start": "P0DT0H1M2.5S", "end": "PT1M4S"}, (62.5, 1.5)),
        ({"start": "4s", "end": "8500 ms"}, (4.0, 4.5)),
        ({"start_ms": "00:00:04", "end_ms": 8_500}, (4.0, 4.5)),  # what is spelled out needs no unit
    ],
)
def test_the_segment_of_a_row(tmp_path, fields, segment):
    assert told(tmp_path, fields) == segment


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"start": 4, "end": 4}, "end must be after the clip's start at 4 s, got 4 s"),
        ({"start": 4, "end": 3}, "end must be after the clip's start at 4 s, got 3 s"),
        ({"end": 0}, "end must be after the clip's start at 0 s, got 0 s"),
        ({"offset": 1, "duration": 0}, "duration must be above 0 s, got 0"),
        ({"start": "", "end": 3}, "end says where the clip ends, and start is empty"),
        ({"start": -1, "end": 3}, "start must be seconds from 0 on, got '-1'"),
        ({"start": 1, "end": "soon"}, "end must be seconds from 0 on, got 'soon'"),
        ({"start": "1_0", "end": 20}, "start must be seconds from 0 on, got '1_0'"),
        ({"start": True, "end": 20}, "start must be seconds from 0 on, got 'True'"),
        ({"start": [1], "end": 20}, "start must be seconds from 0 on, got '[1]'"),
        ({"start": 4, "start_time": 5, "end": 8}, "start is 4 s, start_time is 5 s"),
        ({"start": 4, "start_ms": 4, "end": 8}, "start is 4 s, start_ms is 0.004 s"),
        ({"start": 4, "end": 8, "end_time": 9}, "end is 8 s, end_time is 9 s"),
        ({"start": 4, "end": 8, "duration": 3}, "start is 4 s, end is 8 s, duration is 3 s"),
        ({"end": 8, "duration": 3}, "end is 8 s, duration is 3 s"),
    ],
)
def test_a_segment_that_cannot_be(tmp_path, fields, words):
    reason, detail = told(tmp_path, fields)
    assert (reason, words in detail) == (reasons.BAD_FIELD.name, True), detail


def test_the_tolerance_of_two_spellings_on_both_sides(tmp_path):
    assert told(tmp_path, {"start": 4, "start_time": 4.05, "end": 8}) == (4.0, 4.0)
    assert told(tmp_path, {"start": 4, "start_time": 4.051, "end": 8})[0] == reasons.BAD_FIELD.name


def test_named_columns_alone_count(tmp_path):
    fields = {"start": 4, "begin": 1, "end": 8, "until": 2}
    assert told(tmp_path, fields, columns={"offset": "begin", "end": "until"}) == (1.0, 1.0)
    # A column that a flag names for one purpose serves no other.
    assert told(tmp_path, {"start": 4, "end": 8}, columns={"offset": "end", "duration": "start"}) == (8.0, 4.0)


@pytest.mark.parametrize(
    ("kind", "start", "end"),
    [
        (pa.duration("ms"), timedelta(seconds=62.5), timedelta(seconds=64)),
        (pa.duration("us"), timedelta(seconds=62.5), timedelta(seconds=64)),
        (pa.time32("ms"), time(0, 1, 2, 500_000), time(0, 1, 4)),
        (pa.decimal128(6, 2), Decimal("62.50"), Decimal(64)),
        (pa.float32(), 62.5, 64),
        (pa.int16(), 62, 64),
    ],
)
def test_times_of_parquet(tmp_path, kind, start, end):
    columns = {"start": pa.array([start], kind), "end": pa.array([end], kind)}
    stream = io.BytesIO()
    pq.write_table(pa.table({"audio": ["talk.wav"], "text": ["hello"], **columns}), stream)
    (clip,) = rows_of(written(tmp_path, stream.getvalue(), "m.parquet"))
    assert clip.offset in (62.0, 62.5)
    assert clip.offset + clip.duration == 64


def test_a_clip_without_an_id_is_named_by_its_segment(tmp_path):
    rows = [{**ROW, "start": start, "end": start + 4} for start in (0, 4.25, 12_345.61, 12_345.64)]
    for row in rows:
        del row["id"]
    assert [clip.clip_id for clip in rows_of(written(tmp_path, lines(*rows)))] == [
        "talk.wav@0+4",
        "talk.wav@4.25+4",
        "talk.wav@12345.61+4",  # two names, though six digits are alike
        "talk.wav@12345.64+4",
    ]


def test_segments_of_one_recording_are_one_group(tmp_path):
    rows = [{**ROW, "id": "a", "start": 0, "end": 4}, {**ROW, "id": "b", "end": 3}, {**ROW, "id": "c"}]
    assert [clip.group for clip in rows_of(written(tmp_path, lines(*rows)))] == ["talk.wav", "talk.wav", ""]
    own = {**ROW, "start": 0, "end": 4, "speaker": "anna"}
    assert rows_of(written(tmp_path, lines(own)))[0].group == "anna"


@pytest.mark.parametrize(
    ("name", "counted"),
    [("start_sample", True), ("endFrame", True), ("offset_samples", True), ("start", False), ("num_samples", False)],
)
def test_columns_that_count_samples_are_known(name, counted):
    assert bool(segments.counted_in_samples({name: 1})) == counted


def test_a_row_without_times_is_whole():
    assert segments.segment(Columns.of(ROW, ManifestSettings())) == segments.WHOLE
