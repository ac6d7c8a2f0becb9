"""Manifests as people have them: what becomes a clip, what is refused, and where the finger points."""

import gzip
import itertools
import json

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transforms import reasons
from transforms.clip import Clip, Outcome
from transforms.errors import ClipRejected, UserError
from transforms.manifests import read
from transforms.manifests.read import Manifest, ManifestSettings
from transforms.manifests.row import ALIASES
from transforms.settings import Task
from transforms.storage import Storage

storage = Storage()

GOOD = {"id": "a", "audio_path": "a.wav", "text": "hello"}


def rows_of(path, **settings):
    """The rows of a manifest, named as the user would name it: relative."""
    return list(read.rows(Manifest(path.name, str(path), path.is_dir()), ManifestSettings(**settings), Storage()))


def written(tmp_path, content, name="m.jsonl"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def lines(*rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def summary(rows):
    return [(row.clip_id, row.uri, row.target) if isinstance(row, Clip) else (row.source, row.reason) for row in rows]


A = ("a", "a.wav", "hello")
B = ("b", "x/b.wav", "world")
CSV = "id,audio_path,text\na,a.wav,hello\nb,x/b.wav,world\n"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (lines(GOOD, {"id": "b", "audio_path": "x/b.wav", "text": "world"}), "m.jsonl"),
        (json.dumps([GOOD, {"id": "b", "audio_path": "x/b.wav", "text": "world"}]), "m.json"),
        (CSV, "m.csv"),
        (CSV.replace(",", "\t"), "m.tsv"),
        (CSV.replace(",", "|"), "m.csv"),
        (CSV, "m.txt"),  # the name decides nothing
        (CSV.replace("\n", "\r\n"), "m.csv"),
        (CSV.replace("\n", "\r"), "m.csv"),
        ("\ufeff" + CSV, "m.csv"),
        (CSV.encode("utf-16"), "m.csv"),
        (CSV.removesuffix("\n"), "m.csv"),
        (CSV.replace("\n", "\n\n"), "m.csv"),
        (gzip.compress(CSV.encode()), "m.csv.gz"),
        ("\ufeff" + lines(GOOD, {"id": "b", "audio_path": "x/b.wav", "text": "world"}), "m.jsonl"),
        (lines(GOOD, {"id": "b", "audio_path": "x/b.wav", "text": "world"}).replace("\n", "\r\n"), "m.jsonl"),
    ],
)
def test_the_same_rows_in_every_format(tmp_path, content, name):
    assert summary(rows_of(written(tmp_path, content, name))) == [A, B]


def test_parquet(tmp_path):
    path = tmp_path / "m.parquet"
    pq.write_table(pa.table({"id": ["a", "b"], "audio_path": ["a.wav", "x/b.wav"], "text": ["hello", "world"]}), path)
    assert summary(rows_of(path)) == [A, B]


def test_a_folder_of_pairs(tmp_path):
    folder = tmp_path / "pairs"
    (folder / "x").mkdir(parents=True)
    for name, content in {
        "a.WAV": "", "a.txt": "hello\n", "x/b.mp3": "", "x/b.txt": "\ufeffworld\r\n",
        "alone.wav": "", "text.txt": "nothing to hear", "notes.md": "", ".hidden": "",
    }.items():  # fmt: skip
        (folder / name).write_text(content)
    assert summary(rows_of(folder)) == [
        ("a", "pairs/a.WAV", "hello"),
        ("pairs:2", reasons.MISSING_TEXT.name),
        ("pairs:3", reasons.MISSING_AUDIO.name),
        ("x/b", "pairs/x/b.mp3", "world"),
    ]


@pytest.mark.parametrize(
    ("content", "clips"),
    [
        ("LJ1|He said 5|He said five\n", [("LJ1", "wavs/LJ1.wav", "He said five")]),
        ("LJ2|Yes|\n", [("LJ2", "wavs/LJ2.wav", "Yes")]),
        ("LJ1|yes\n", [("LJ1", "wavs/LJ1.wav", "yes")]),
        ("x/a.wav|yes\n", [("x/a.wav", "x/a.wav", "yes")]),
        ("x/a.wav|anna|yes\n", [("x/a.wav", "x/a.wav", "yes")]),
        ('a.wav|a lone " quote\n', [("a.wav", "a.wav", 'a lone " quote')]),
        ("a.wav|yes\na|b|c|d\n", [("a.wav", "a.wav", "yes"), ("metadata.csv:2", "bad_row")]),
    ],
)  # fmt: skip
def test_lists_without_a_header(tmp_path, content, clips):
    assert summary(rows_of(written(tmp_path, content, "metadata.csv"))) == clips


def test_the_speaker_of_a_list_without_a_header(tmp_path):
    (clip,) = rows_of(written(tmp_path, "x/a.wav|anna|yes\n", "filelist.txt"))
    assert clip.group == "anna"


def kaldi(tmp_path, **files):
    folder = tmp_path / "data"
    folder.mkdir()
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content)
    return rows_of(folder)


def test_a_kaldi_folder(tmp_path):
    rows = kaldi(
        tmp_path,
        wav_scp="u1 a.wav\nu2 sox b.mp3 -t wav - |\nu3 /data/c d.wav\nu4 e.wav\n",
        text="u1 hello there\nu2 x\nu3\tworld\nu9 nobody said this\n",
        utt2spk="u1 anna\n",
    )
    assert summary(rows) == [
        ("u1", "data/a.wav", "hello there"),
        ("data/wav.scp:2", reasons.PATH_NOT_ALLOWED.name),
        ("u3", "/data/c d.wav", "world"),
        ("data/wav.scp:4", reasons.MISSING_TEXT.name),
        ("data/text:4", reasons.MISSING_AUDIO.name),
    ]
    assert rows[0].group == "anna"


def test_segments_of_a_kaldi_folder(tmp_path):
    rows = kaldi(
        tmp_path,
        wav_scp="r1 a.wav\n",
        segments="u1 r1 0.5 2.25\nu2 r1 3 -1\nu3 r2 0 1\nu4 r1 soon 2\nu5 r1 2 1\n",
        text="u1 one\nu2 two\nu3 three\nu4 four\nu5 five\n",
    )
    assert [(row.clip_id, row.uri, row.offset, row.duration) for row in rows[:2]] == [
        ("u1", "data/a.wav", 0.5, 1.75),
        ("u2", "data/a.wav", 3.0, None),
    ]
    assert [(row.source, row.reason) for row in rows[2:]] == [
        ("data/segments:3", reasons.MISSING_AUDIO.name),
        ("data/segments:4", reasons.BAD_FIELD.name),
        ("data/segments:5", reasons.BAD_FIELD.name),
    ]


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
            (clip,) = rows_of(written(tmp_path, lines(row_with(column, alias))))
            assert value_of(column, clip) == VALUES[column], alias


@pytest.mark.parametrize("column", ALIASES)
def test_a_column_that_is_named_wins_over_every_alias(tmp_path, column):
    decoys = dict.fromkeys(ALIASES[column], "9")
    (clip,) = rows_of(written(tmp_path, lines({**row_with(column, "ours"), **decoys})), columns={column: "ours"})
    assert value_of(column, clip) == VALUES[column]


@pytest.mark.parametrize("column", ALIASES)
def test_of_two_aliases_the_first_in_the_table_wins(tmp_path, column):
    for first, second in itertools.pairwise(ALIASES[column]):
        (clip,) = rows_of(written(tmp_path, lines({second: "9", **row_with(column, first)})))
        assert value_of(column, clip) == VALUES[column], (first, second)


# What a row says in each column; "9" is what is not to be read.
VALUES = {
    **{name: f"the {name}" for name in ALIASES},
    "split": "validation",
    "offset": 1.5,
    "duration": 2.5,
}


def row_with(column, name):
    """A good row whose `column` goes by `name`, and all others by their own."""
    others = {other: VALUES[other] for other in ("id", "audio", "text", "offset") if other != column}
    return {**others, name: VALUES[column]}


def value_of(column, clip):
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
        ({"audio_path": "http://127.0.0.1/x.wav"}, reasons.PATH_NOT_ALLOWED),
        ({"audio_path": "s3://bucket/x.wav"}, reasons.PATH_NOT_ALLOWED),
        ({"id": "i" * 1_025}, reasons.BAD_FIELD),
        ({"split": "test"}, reasons.BAD_FIELD),
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


@pytest.mark.parametrize(
    "line",
    [
        b"{'id': 'python repr'}",
        b"not json",
        b'{"cut": ',
        b"[1, 2]",
        b'"text"',
        b"\0" * 20,
        b'{"text": "\xe9"}',  # Latin-1
        b'{"text": "\\ud800"}',
        b"[" * 100_000,
        b'{"id": ' + b"9" * 5_000 + b"x}",
    ],
)
def test_a_line_that_is_no_row_costs_one_row(tmp_path, line):
    good = json.dumps(GOOD).encode()
    rows = rows_of(written(tmp_path, good + b"\n" + line + b"\n" + good + b"\n"))
    assert [row.source for row in rows] == ["m.jsonl:1", "m.jsonl:2", "m.jsonl:3"]
    assert rows[1].reason == reasons.BAD_ROW.name
    assert rows[1].detail


@pytest.mark.parametrize(
    "text",
    [
        "line\u2028para\u2029nel\u0085end",
        "two\nlines",
        "مرحبا שלום",
        "e\u0301 is not é",
        "NA",
        "null",
        "007",
        "1e3",
        '=HYPERLINK("x")',
        "a lone \" quote, and a ' too",
        "  spaces stay  ",
        "tab\there",
        "x" * 200_000,
    ],
)
def test_texts_go_through_exactly_as_given(tmp_path, text):
    quoted = '"' + text.replace('"', '""') + '"'
    for content, name in (
        (lines({**GOOD, "text": text}), "m.jsonl"),
        (f"id,audio_path,text\na,a.wav,{quoted}\n", "m.csv"),
    ):
        (clip,) = rows_of(written(tmp_path, content, name))
        assert clip.target == text


def test_a_lone_quote_in_a_tsv_does_not_swallow_the_next_row(tmp_path):
    content = 'path\tsentence\na.wav\t"Quote\nb.wav\tnext\n'
    assert [row.target for row in rows_of(written(tmp_path, content, "m.tsv"))] == ['"Quote', "next"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "empty"),
        ("\n \n", "empty"),
        ("id,audio_path,text\n", "no rows"),
        ("id,sound,words\na,a.wav,hello\n", "missing column audio.*--audio_column"),
        ("id,audio_path,words\na,a.wav,hello\n", "missing column text.*--text_column"),
        ("id,audio_path,audio_path,text\na,b,c,d\n", "stands twice"),
        (gzip.compress(CSV.encode() * 100)[:-20], "damaged or cut short"),
        (b"PAR1 nothing else", "Parquet"),
        ("[1, 2", "JSON array"),
    ],
)
def test_a_files_fault_names_the_file(tmp_path, content, told):
    with pytest.raises(UserError, match=rf"^m\.jsonl.*{told}"):
        rows_of(written(tmp_path, content))


def test_locate_takes_names_before_patterns(tmp_path):
    for name in ("a[1].jsonl", "a1.jsonl", "b.jsonl"):
        (tmp_path / name).write_text("{}")
    assert [m.name for m in read.locate(["a[1].jsonl"], str(tmp_path), Storage())] == ["a[1].jsonl"]
    assert [m.name for m in read.locate(["*.jsonl", "b.jsonl"], str(tmp_path), Storage())] == [
        "a1.jsonl", "a[1].jsonl", "b.jsonl",
    ]  # fmt: skip
    assert len(read.locate(["b.jsonl", "./b.jsonl", "./*b.jsonl"], str(tmp_path), Storage())) == 1
    for missing in ("none.jsonl", "none*.jsonl"):
        with pytest.raises(UserError, match="none"):
            read.locate([missing], str(tmp_path), Storage())


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


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("inside/a.wav", True),
        ("inside/../inside/a.wav", True),
        ("outside/a.wav", False),
        ("inside/../outside/a.wav", False),
        ("inside/link.wav", False),
        ("inside-neighbour/a.wav", False),
    ],
)
def test_confined_paths_stay_in_the_allowed_folders(tmp_path, path, allowed):
    for folder in ("inside", "outside", "inside-neighbour"):
        (tmp_path / folder).mkdir()
    (tmp_path / "inside/link.wav").symlink_to(tmp_path / "outside/a.wav")
    roots = read.allowed_roots(
        [Manifest("inside/m.csv", str(tmp_path / "inside/m.csv"), is_folder=False)], ManifestSettings(), str(tmp_path)
    )
    if allowed:
        read.check_allowed(str(tmp_path / path), roots)
    else:
        with pytest.raises(ClipRejected) as refusal:
            read.check_allowed(str(tmp_path / path), roots)
        assert refusal.value.reason == reasons.PATH_NOT_ALLOWED
    more = read.allowed_roots(
        [Manifest("inside/m.csv", "", is_folder=False)], ManifestSettings(allow_path=(str(tmp_path),)), str(tmp_path)
    )
    read.check_allowed(str(tmp_path / path), more)
