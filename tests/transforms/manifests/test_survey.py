"""What only the whole table tells: columns that are none of ours, where channels are counted from, endless segments."""

import io
from datetime import date
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.transforms.manifests.written import lines, rows_of, written
from transforms import reasons
from transforms.clip import ONLY_CHANNEL, Outcome
from transforms.errors import UserError
from transforms.manifests import read, survey
from transforms.manifests.columns import ManifestSettings
from transforms.manifests.locate import Manifest
from transforms.storage import Storage

storage = Storage()


def surveyed(tmp_path, *rows, **settings):
    """The rows of a table, and what is said of its columns."""
    numbered = [{"id": str(n), "audio": f"{n}.wav", "text": "hello", **row} for n, row in enumerate(rows, start=1)]
    path = written(tmp_path, lines(*numbered))
    manifest, plain = Manifest(path.name, str(path), is_folder=False), ManifestSettings(**settings)
    found = read.survey([manifest], plain, storage)
    return list(read.rows(manifest, found, storage)), found.layout.remarks


def values(rows, attribute):
    return [row.reason if isinstance(row, Outcome) else getattr(row, attribute) for row in rows]


@pytest.mark.parametrize(
    ("cells", "splits", "remarks"),
    [
        ([{"split": "train"}, {"split": "test"}, {}], ["train", "test", ""], 0),
        ([{"subset": "train-clean-100"}, {"subset": "dev-other"}], ["train", "validation"], 0),
        ([{"partition": "Test"}, {"partition": "train"}], ["test", "train"], 0),
        ([{"subset": "XL"}, {"subset": "M"}], ["", ""], 1),  # GigaSpeech: a size
        ([{"partition": "north"}, {"partition": "south"}], ["", ""], 1),
        ([{"subset": 3}, {"subset": 4}], ["", ""], 1),
        ([{"subset": "XL", "set": "dev"}, {"subset": "M", "set": "train"}], ["validation", "train"], 1),
        ([{"split": "train"}, {"split": "tset"}], ["train", reasons.BAD_FIELD.name], 0),  # a slip among known words
        ([{"split": "not in train"}], [reasons.BAD_FIELD.name], 0),
        ([{"split": "train", "set": "test"}], [reasons.BAD_FIELD.name], 0),
        ([{"split": "train", "set": "train-other"}], ["train"], 0),
    ],
)
def test_columns_that_name_a_split_or_do_not(tmp_path, cells, splits, remarks):
    rows, said = surveyed(tmp_path, *cells)
    assert (values(rows, "split"), len(said)) == (splits, remarks)


def test_a_split_column_that_a_flag_names_is_obeyed(tmp_path):
    rows, said = surveyed(tmp_path, {"subset": "XL"}, columns={"split": "subset"})
    assert (values(rows, "split"), said) == ([reasons.BAD_FIELD.name], ())


@pytest.mark.parametrize(
    ("paths", "splits"),
    [
        (["train/a.wav", "test/b.wav", "dev-clean/x/c.wav"], ["train", "test", "validation"]),
        (["./train/a.wav", "test/b.wav"], ["train", "test"]),
        (["test/a.wav", "test/b.wav"], ["", ""]),  # one folder tells nothing
        (["train/a.wav", "anna/b.wav"], ["", ""]),
        (["train/a.wav", "b.wav"], ["", ""]),
        (["/train/a.wav", "/test/b.wav"], ["", ""]),
    ],
)
def test_folders_that_are_named_after_splits(tmp_path, paths, splits):
    rows, said = surveyed(tmp_path, *({"audio": path} for path in paths))
    assert values(rows, "split") == splits
    assert len(said) == any(splits)
    marked, _ = surveyed(tmp_path, *({"audio": path, "split": "train"} for path in paths))
    assert set(values(marked, "split")) == {"train"}  # a column says more than a folder


@pytest.mark.parametrize(
    ("cells", "channels"),
    [
        ([0, 1], [0, 1]),
        (["0", "1", "2"], [0, 1, 2]),
        ([1, 2], [0, 1]),  # no 0 anywhere: counted from 1
        ([1, 3], [0, 2]),
        ([1, 1], [ONLY_CHANNEL, ONLY_CHANNEL]),  # from 0 or from 1?
        ([2], [ONLY_CHANNEL]),
        ([0.0, 1.0], [0, 1]),
        (["left", "Right", "L", "r", "A", "b"], [0, 1, 0, 1, 0, 1]),
        (["ch0", "ch1"], [0, 1]),
        (["Channel 1", "Channel 2"], [0, 1]),
        (["mono", "left"], [None, 0]),
        ([None, "", 0], [None, None, 0]),
        ([[0, 1], [1], [0]], [None, 1, 0]),  # all of them is the mix
        ([0, "middle"], [0, reasons.BAD_FIELD.name]),
        ([0, True], [0, reasons.BAD_FIELD.name]),
        ([0, -1], [0, reasons.BAD_FIELD.name]),
        (["TED", "BBC"], [None, None]),  # broadcasters
        (["UCabc", 123456], [None, None]),
    ],
)
def test_channels(tmp_path, cells, channels):
    rows, said = surveyed(tmp_path, *({"channel": cell} for cell in cells))
    assert values(rows, "channel") == channels
    assert len(said) == (set(channels) == {None})


def test_channels_that_are_named_after_people_are_asked_about(tmp_path):
    rows = [{"audio": "call.wav", "channel": who} for who in ("agent", "customer")]
    with pytest.raises(UserError, match=r"m\.jsonl:2: column 'channel' has 'agent' and 'customer' of one recording"):
        surveyed(tmp_path, *rows)


def test_two_channels_of_a_recording_are_two_clips_of_one_group(tmp_path):
    rows = [{"id": None, "audio": "call.wav", "start": 1, "end": 2, "channel": channel} for channel in ("A", "B")]
    found, _ = surveyed(tmp_path, *rows)
    assert values(found, "clip_id") == ["call.wav#0@1+1", "call.wav#1@1+1"]
    assert values(found, "group") == ["call.wav", "call.wav"]


@pytest.mark.parametrize(
    ("fields", "seen"),
    [
        ([{"start": 0}, {"start": 4}], "m.jsonl:1: 1 rows say where their clip begins"),
        ([{"offset": 4}, {"offset": 0, "duration": 2}], ""),  # the last one runs to the end
        ([{"offset": 0, "duration": None}, {"offset": 3, "duration": 2}], "m.jsonl:1: 1 rows"),
        ([{"start": 4}, {"start": 4}], ""),
        ([{"start": 4}, {"audio": "b.wav", "start": 5}], ""),
        ([{"start": 4, "start_time": 5, "end": 8}, {"start": 4, "end": 8}], "m.jsonl:1: columns contradict each other"),
        ([{"start_sample": 0, "end_sample": 9}], "m.jsonl:1: start_sample, end_sample count samples"),
        ([{"start_sample": 0, "end_sample": 9, "start": 0, "end": 1}], ""),
        ([{"start_sample": None}], ""),
    ],
)
def test_tables_of_segments_that_cannot_be_understood(tmp_path, fields, seen):
    rows = [{"audio": "talk.wav", **row} for row in fields]
    if seen:
        with pytest.raises(UserError) as fault:
            surveyed(tmp_path, *rows)
        assert str(fault.value).startswith(seen)
    else:
        surveyed(tmp_path, *rows)


def test_a_stray_contradiction_costs_its_row_and_many_stop_the_run(tmp_path):
    good = [{"start": 0, "end": 4}] * 19
    bad = {"start": 0, "end": 4, "end_time": 9}
    rows, _ = surveyed(tmp_path, *good, bad)
    assert values(rows, "duration") == [4.0] * 19 + [reasons.BAD_FIELD.name]
    with pytest.raises(UserError, match="end is 4 s, end_time is 9 s"):
        surveyed(tmp_path, *good[1:], bad)


@pytest.mark.parametrize(
    ("fields", "durations"),
    [
        ([(0, 2, 11), (2, 4, 11), (4, 11, 11)], [2.0, 2.0, 7.0]),
        ([(0, 2, 11), (2, 4, 10)], None),  # no recording has two lengths
        ([(0, 2, 11), (2, 4, 3)], None),  # no recording ends before its segment
        ([(0, 2, 11)], None),  # once is no evidence
    ],
)
def test_a_duration_that_all_segments_share_is_that_of_the_recording(tmp_path, fields, durations):
    rows = [{"audio": "talk.wav", "start": start, "end": end, "duration": length} for start, end, length in fields]
    if durations is None:
        with pytest.raises(UserError, match="columns contradict each other"):
            surveyed(tmp_path, *rows)
        return
    found, said = surveyed(tmp_path, *rows)
    assert (values(found, "duration"), len(said)) == (durations, 1)


@pytest.mark.parametrize("column", ["end", "duration"])
def test_a_contradiction_is_settled_by_naming_a_column(tmp_path, column):
    rows = [{"start": 2, "end": 4, "duration": 9}]
    (clip,), _ = surveyed(tmp_path, *rows, columns={"offset": "start", column: column})
    assert (clip.offset, clip.duration) == (2.0, {"end": 2.0, "duration": 9.0}[column])


@pytest.mark.parametrize("when", ["2024-05-01T10:00:00Z", "2024-05-01", "01.05.2024 10:00", 1_714_557_600, 1.7e12])
def test_when_a_call_began_is_no_place_in_its_recording(tmp_path, when):
    rows, said = surveyed(tmp_path, {"start_time": when, "end_time": when})
    assert values(rows, "offset") == [None]
    assert len(said) == 2
    rows, _ = surveyed(tmp_path, {"start_time": when, "end_time": when}, {"start_time": 1, "end_time": 2})
    assert values(rows, "offset") == [reasons.BAD_FIELD.name, 1.0]


def test_recordings_that_several_rows_mean_are_groups(tmp_path):
    rows, _ = surveyed(tmp_path, {"audio": "a.wav"}, {"audio": "a.wav"}, {}, {"audio": "a.wav", "speaker": "anna"})
    assert values(rows, "group") == ["a.wav", "a.wav", "", "anna"]


def test_more_of_them_than_can_be_kept_make_every_recording_a_group(tmp_path, monkeypatch):
    monkeypatch.setattr(survey, "MAX_REPEATED", 1)
    rows = [{"audio": audio} for audio in ("a.wav", "a.wav", "b.wav", "b.wav", "c.wav")]
    assert values(surveyed(tmp_path, *rows)[0], "group") == ["a.wav", "a.wav", "b.wav", "b.wav", "c.wav"]
    assert values(surveyed(tmp_path, *rows[:3])[0], "group") == ["a.wav", "a.wav", ""]


@pytest.mark.parametrize(
    ("value", "group"),
    [("3", "3"), (3, "3"), (3.0, "3"), (-0.0, "0"), ("3.0", "3.0"), (None, ""), (2**53, str(2**53)),
     (1.5, reasons.BAD_FIELD.name), (1e300, reasons.BAD_FIELD.name), (True, reasons.BAD_FIELD.name)],
)  # fmt: skip
def test_numbers_as_tables_write_them(tmp_path, value, group):
    rows, _ = surveyed(tmp_path, {"speaker": value})
    assert values(rows, "group") == [group]


def test_dates_as_parquet_has_them_are_text(tmp_path):
    stream = io.BytesIO()
    columns = {"speaker": [date(2024, 5, 1)], "id": [Decimal("7.00")], "prompt": [float("nan")]}
    pq.write_table(pa.table({"audio": ["a.wav"], "text": ["hello"], **columns}), stream)
    (clip,) = rows_of(written(tmp_path, stream.getvalue(), "m.parquet"))
    assert (clip.group, clip.clip_id, clip.prompt) == ("2024-05-01", "7", "")
