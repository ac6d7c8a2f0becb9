"""Rows of manifests: what becomes a clip, what is refused, and where the finger points."""

import itertools

import orjson
import pytest

from tests.transforms.manifests.written import GOOD, lines, rows_of, summary, written
from transforms import reasons
from transforms.clip import Clip, Outcome
from transforms.errors import UserError
from transforms.manifests import locate, read
from transforms.manifests.columns import ManifestSettings
from transforms.manifests.locate import Manifest
from transforms.manifests.row import ALIASES, UNITS
from transforms.settings import Task
from transforms.storage import Storage

storage = Storage()
# Columns of which a row may have several, as long as they agree: see test_segments.
TIMES = ("offset", "end", "duration")


@pytest.mark.parametrize(
    ("header", "clip"),
    [
        (["file_name", "transcription"], ("a.wav", "a.wav", "hello")),  # Hugging Face audiofolder
        (["audio_filepath", "text"], ("a.wav", "a.wav", "hello")),  # NeMo
        (["path", "sentence"], ("a.wav", "a.wav", "hello")),  # Common Voice
        (["Audio_Path", "Text"], ("a.wav", "a.wav", "hello")),
    ],
)
def test_columns_are_found_by_the_names_of_the_field(tmp_path, header, clip):
    rows = rows_of(written(tmp_path, ",".join(header) + "\na.wav,hello\n", "m.csv"))
    assert summary(rows) == [clip]


def test_columns_can_be_named(tmp_path):
    content = "key2;x\n".replace(";", ",") + "a.wav,hello\n"
    assert summary(rows_of(written(tmp_path, content), columns={"audio": "key2", "text": "x"})) == [
        ("a.wav", "a.wav", "hello")
    ]


@pytest.mark.parametrize(
    ("fields", "attribute", "value"),
    [
        ({"prompt": "Say it."}, "prompt", "Say it."),
        ({"speaker": "anna"}, "group", "anna"),
        ({"client_id": 7}, "group", "7"),
        ({"split": "dev"}, "split", "validation"),
        ({"split": "train"}, "split", "train"),
        ({"split": "test"}, "split", "test"),
        ({"system_instruction": "Be brief."}, "system_instruction", "Be brief."),
        ({"offset": 1.5, "duration": 2}, "offset", 1.5),
        ({"offset": 1.5, "duration": 2}, "duration", 2.0),
        ({"offset": "1.5", "duration": ""}, "duration", None),
        ({"duration": 2}, "offset", None),  # the length of the whole recording
        ({"duration": 2}, "duration", None),
        ({"id": 12345}, "clip_id", "12345"),
        ({"id": None}, "clip_id", "a.wav"),
        ({"id": None, "offset": 1.5, "duration": 2}, "clip_id", "a.wav@1.5+2"),
    ],
)
def test_optional_columns(tmp_path, fields, attribute, value):
    (clip,) = rows_of(written(tmp_path, lines({**GOOD, **fields})))
    assert getattr(clip, attribute) == value


@pytest.mark.parametrize("column", ["prompt", "system_instruction"])
@pytest.mark.parametrize(
    ("own", "of_the_task", "taught"),
    [
        ("the row's", "the task's", "the row's"),
        ("the row's", None, "the row's"),
        (None, "the task's", "the task's"),
        ("", "the task's", "the task's"),  # an empty cell is none
        (None, None, ""),
    ],
)
def test_a_rows_own_words_win_over_its_tasks(tmp_path, column, own, of_the_task, taught):
    words = {"prompt": "x", column: of_the_task}
    named = (Task("t", **words),) if of_the_task else ()
    (clip,) = rows_of(written(tmp_path, lines({**GOOD, "task": "t" if named else "", column: own})), tasks=named)
    assert getattr(clip, column) == taught


def test_every_alias_finds_its_column(tmp_path):
    for column, aliases in ALIASES.items():
        assert column in aliases
        for alias in aliases:
            row = row_with(column, alias)
            if column in TIMES:
                row[alias] *= UNITS.get(alias.rpartition("_")[2], 1)
            (clip,) = rows_of(written(tmp_path, lines(row)))
            assert value_of(column, clip) == VALUES[column], alias


@pytest.mark.parametrize("column", ALIASES)
def test_a_column_that_is_named_wins_over_every_alias(tmp_path, column):
    decoys = dict.fromkeys(ALIASES[column], "9")
    (clip,) = rows_of(written(tmp_path, lines({**row_with(column, "ours"), **decoys})), columns={column: "ours"})
    assert value_of(column, clip) == VALUES[column]


@pytest.mark.parametrize("column", [column for column in ALIASES if column not in TIMES])
def test_of_two_aliases_the_first_in_the_table_wins(tmp_path, column):
    for first, second in itertools.pairwise(ALIASES[column]):
        (clip,) = rows_of(written(tmp_path, lines({second: "9", **row_with(column, first)})))
        assert value_of(column, clip) == VALUES[column], (first, second)


# What a row says in each column; "9" is what is not to be read.
VALUES = {
    **{name: f"the {name}" for name in ALIASES},
    "split": "validation",
    "offset": 1.5,
    "end": 4.0,
    "duration": 2.5,
    "channel": 0,
}


def row_with(column, name):
    """A good row whose `column` goes by `name`, and all others by their own."""
    others = {other: VALUES[other] for other in ("id", "audio", "text", "offset") if other != column}
    if column == "offset":
        others["duration"] = 2.5  # beside an onset, an offset would be the end
    return {**others, name: VALUES[column]}


def value_of(column, clip):
    if column == "end":
        return clip.offset + clip.duration
    return getattr(clip, {"id": "clip_id", "audio": "uri", "text": "target"}.get(column, column))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"text": ""}, reasons.MISSING_TEXT),
        ({"text": " \n"}, reasons.MISSING_TEXT),
        ({"text": None}, reasons.MISSING_TEXT),
        ({"text": 7}, reasons.BAD_FIELD),
        ({"text": True}, reasons.BAD_FIELD),
        ({"text": ["a"]}, reasons.BAD_FIELD),
        ({"audio_path": None}, reasons.MISSING_AUDIO),
        ({"audio_path": ""}, reasons.MISSING_AUDIO),
        ({"audio_path": 7}, reasons.BAD_FIELD),
        ({"audio_path": "http://127.0.0.1/x.wav"}, reasons.UNSUPPORTED_SCHEME),
        ({"audio_path": "s3://bucket/x.wav"}, reasons.UNSUPPORTED_SCHEME),
        ({"id": "i" * 1_025}, reasons.BAD_FIELD),
        ({"split": "tset"}, reasons.BAD_FIELD),
        ({"offset": -1}, reasons.BAD_FIELD),
        ({"offset": "soon"}, reasons.BAD_FIELD),
        ({"offset": 1, "duration": 0}, reasons.BAD_FIELD),
        ({"prompt": 1.5}, reasons.BAD_FIELD),
    ],
)
def test_a_rows_fault_costs_the_row_and_carries_its_line(tmp_path, fields, reason):
    rows = rows_of(written(tmp_path, lines(GOOD, {**GOOD, "id": "b", **fields}, {**GOOD, "id": "c"})))
    assert [row.source for row in rows] == ["m.jsonl:1", "m.jsonl:2", "m.jsonl:3"]
    assert [type(row) for row in rows] == [Clip, Outcome, Clip]
    assert rows[1].reason == reason.name
    assert orjson.loads(rows[1].row) == {**GOOD, "id": "b", **fields}


def test_locate_takes_names_before_patterns(tmp_path):
    for name in ("a[1].jsonl", "a1.jsonl", "b.jsonl"):
        (tmp_path / name).write_text("{}")
    assert [m.name for m in locate.locate(["a[1].jsonl"], str(tmp_path), Storage())] == ["a[1].jsonl"]
    assert [m.name for m in locate.locate(["*.jsonl", "b.jsonl"], str(tmp_path), Storage())] == [
        "a1.jsonl", "a[1].jsonl", "b.jsonl",
    ]  # fmt: skip
    assert len(locate.locate(["b.jsonl", "./b.jsonl", "./*b.jsonl"], str(tmp_path), Storage())) == 1
    for missing in ("none.jsonl", "none*.jsonl"):
        with pytest.raises(UserError, match="none"):
            locate.locate([missing], str(tmp_path), Storage())


@pytest.mark.parametrize(
    ("path", "confined"),
    [("a.wav", True), ("../a.wav", True), ("/data/a.wav", False)],
)
def test_absolute_paths_in_a_manifest_on_this_machine_are_its_authors_own(tmp_path, path, confined):
    (clip,) = rows_of(written(tmp_path, lines({**GOOD, "audio_path": path})))
    assert clip.confined == confined


def test_a_manifest_from_a_bucket_names_no_file_of_this_machine(bucket):

    storage.write_bytes(f"{bucket}/m.jsonl", lines({**GOOD, "audio_path": "/etc/x.wav"}, GOOD).encode())
    uri = f"{bucket}/m.jsonl"
    first, second = read.rows(Manifest(uri, uri, is_folder=False), ManifestSettings(), Storage())
    assert isinstance(first, Clip)
    assert isinstance(second, Clip)
    assert (first.uri, first.confined) == ("/etc/x.wav", True)
    assert second.uri == f"{bucket}/a.wav"
