"""Folders of pairs: one file without the other is a rejected row."""

# ruff: noqa: E501 -- tables of files as they stand

import gzip

import orjson
import pytest

from tests.transforms.manifests.written import rows_of, summary
from transforms import reasons
from transforms.clip import Clip
from transforms.errors import StorageError, UserError
from transforms.manifests import locate, read
from transforms.manifests.columns import ManifestSettings
from transforms.manifests.cues import CueSettings
from transforms.manifests.locate import Manifest
from transforms.storage import Storage


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


def test_a_folder_without_audio_is_no_manifest(tmp_path):
    (tmp_path / "pairs").mkdir()
    (tmp_path / "pairs/a.txt").write_text("hello")
    with pytest.raises(UserError, match=r"^pairs: a folder must hold pairs"):
        rows_of(tmp_path / "pairs")


@pytest.mark.parametrize(
    ("stems", "splits"),
    [
        (["train-clean/anna/a", "dev/b", "test/c"], ["validation", "test", "train"]),
        (["train/a", "c"], ["", ""]),
        (["train/a", "anna/b"], ["", ""]),
        (["test/a", "test/b"], ["", ""]),  # one folder tells nothing
    ],
)
def test_folders_of_pairs_that_are_named_after_splits(tmp_path, stems, splits):
    for stem in stems:
        path = tmp_path / "pairs" / stem
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".wav").touch()
        path.with_suffix(".txt").write_text("hello")
    assert [row.split for row in rows_of(tmp_path / "pairs")] == splits


def paired(tmp_path, text, name="a.txt", **settings):
    folder = tmp_path / "pairs"
    folder.mkdir()
    (folder / "a.wav").write_text("")
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return rows_of(folder, **settings)


def spans(clips):
    """The clips' names say which cues they hold; their segments are as much longer as they may be cut."""
    return [(clip.clip_id, clip.target) for clip in clips]


ALONE = {"cues": CueSettings(join_cues=0)}


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        (
            "0.000000\t1.500000\thello there\n1.500000\t3.0\tworld\n",
            [("a@0+1.5", "hello there"), ("a@1.5+1.5", "world")],
        ),
        ("0.5\t2\tonly one\n", [("a@0.5+1.5", "only one")]),
        ("0.5\t2.5\tone\n\\\t100.0\t3000.0\n3\t4\ttwo\n", [("a@0.5+2", "one"), ("a@3+1", "two")]),  # with frequencies
        ("0,5\t2,25\tcommas\r\n3\t4\tso what\r\n", [("a@0.5+1.75", "commas"), ("a@3+1", "so what")]),
        ("1234.567891\t1234.667891\tlate", [("a@1234.567891+0.1", "late")]),
    ],
)
def test_labels_beside_a_recording_are_its_segments(tmp_path, text, segments):
    clips = paired(tmp_path, text, **ALONE)
    assert spans(clips) == segments
    assert {(clip.uri, clip.group) for clip in clips} == {("pairs/a.wav", "a.wav")}


def test_labels_that_follow_one_another_are_joined(tmp_path):
    (clip,) = paired(tmp_path, "1\t2\thello there\n2.5\t3.0\tworld\n")
    assert (clip.clip_id, clip.target, clip.source) == ("a@1+2", "hello there world", "pairs/a.txt:1")
    assert (clip.offset, clip.duration, clip.cut_start, clip.cut_end) == (0.5, 3, 0.5, 0.5)


def test_a_label_that_is_no_segment_costs_its_row_and_carries_its_line(tmp_path):
    rows = paired(tmp_path, "1.0\t1.0\ta point\n1.0\t2.0\t\n3.0\t2.0\tbackwards\n4\t5\tgood\n")
    assert summary(rows) == [
        ("pairs/a.txt:1", reasons.BAD_FIELD.name),
        ("pairs/a.txt:2", reasons.MISSING_TEXT.name),
        ("pairs/a.txt:3", reasons.BAD_FIELD.name),
        ("a@4+1", "pairs/a.wav", "good"),
    ]


SRT = "1\n00:00:01,000 --> 00:00:02,000\nhello\n\n2\n00:00:02,000 --> 00:00:03,000\nworld"


@pytest.mark.parametrize(
    "text",
    [
        SRT,
        "\ufeff" + SRT.replace("\n", "\r\n"),
        SRT.encode("utf-16"),
        "A title\n\n" + SRT,
        "WEBVTT\n\n00:01.000 --> 00:02.000\nhello\n\n00:02.000 --> 00:03.000\nworld",
        "[00:01.000 --> 00:02.000]  hello\n[00:02.000 --> 00:03.000]  world\n",  # what Whisper prints
        "0:00:01.000,0:00:02.000\nhello\n\n0:00:02.000,0:00:03.000\nworld\n",
        "start\tend\ttext\n1000\t2000\thello\n2000\t3000\tworld",
        "1.0\t2.0\thello\n2.0\t3.0\tworld",
        '{"text": "hello world", "segments": [{"start": 1.0, "end": 2, "text": " hello"}, '
        '{"start": 2, "end": 3.0, "text": " world"}]}',
    ],
)
def test_a_txt_with_cues_is_read_as_what_it_is(tmp_path, text):
    assert summary(paired(tmp_path, text)) == [("a@1+2", "pairs/a.wav", "hello world")]


@pytest.mark.parametrize(
    "text",
    [
        "{0}{25}hello",
        "0:00\nhello\n0:03\nworld",
        "Speaker 1  0:03\nhello",
        "<?xml version='1.0'?><transcript/>",
        '{"text": "hello", "segments": "none"}',
        "{\\rtf1\\ansi hello}",
        "00:00:01.000\t00:00:02.000\thello",
        "0.5\t2.5\thello\nmore text\n",
        "0.5 2.5 hello\n2.5 3.5 world\n",
        "a 1 0.0 0.5 hello\na 1 0.5 0.5 world\n",  # a CTM, if its name says so
        "a 1 spk 0.0 1.5 hello\n",  # an STM
        "SPEAKER a 1 0.0 1.0 <NA> <NA> s <NA> <NA>",  # RTTM
    ],
)
def test_times_in_a_form_that_is_not_read_are_no_target(tmp_path, text):
    (row,) = paired(tmp_path, text)
    assert (row.source, row.reason) == ("pairs:1", reasons.TIMED_TEXT.name)
    assert row.detail.startswith("a.txt holds ")
    assert orjson.loads(row.row)["text"] is None  # or the rejected row, run again, would be accepted


@pytest.mark.parametrize(
    "text",
    [
        "12:30 is the time",
        "it is 12:30",
        "1 2 3",
        "7",
        "12:30",
        "two\nlines",
        "a\ttab",
        "1.5 or 2.5?",
        "3.5 is more than 2.5",
        "from 9:30 to 10:15",
        "[laughs] hello",
        "{hm} hello",
        "he said --> look",
        "Speaker one: hello",
        "hello é 你好",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_text_with_numbers_is_a_target(tmp_path, text, encoding):
    (clip,) = paired(tmp_path, text.encode(encoding))
    assert clip.target == text


def test_what_systems_leave_in_folders_is_no_row(tmp_path):
    folder = tmp_path / "pairs"
    for name in (
        "a.wav",
        "a.txt",
        "._a.wav",
        "._a.txt",
        ".DS_Store",
        "Thumbs.db",
        "desktop.ini",
        "__MACOSX/._a.wav",
        "__MACOSX/b.wav",
        "sub/._c.wav",
        "sub/c.wav",
        "sub/c.txt",
        ".Trash-1000/z.wav",
        "@eaDir/a.wav/a.wav",
        ".ipynb_checkpoints/a.txt",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("hello")
    assert summary(rows_of(folder)) == [("a", "pairs/a.wav", "hello"), ("sub/c", "pairs/sub/c.wav", "hello")]


@pytest.mark.parametrize("marker", ["", "clips/", "clips"])
@pytest.mark.parametrize("name", ["clips", "clips/"])
def test_an_empty_object_that_stands_for_a_folder_is_none_of_its_files(bucket, marker, name):
    storage = Storage()
    for path, content in {"clips/a.wav": b"x", "clips/a.txt": b"hello", "clips/sub/": b"", "clips/b.wav/": b""}.items():
        storage.write_bytes(f"{bucket}/{path}", content)
    if marker:
        storage.write_bytes(f"{bucket}/{marker}", b"")
    (manifest,) = locate.locate([f"{bucket}/{name}"], "/", storage)
    assert manifest.is_folder
    assert summary(read.rows(manifest, ManifestSettings(), storage)) == [("a", f"{bucket}/clips/a.wav", "hello")]


def test_a_pattern_matches_nothing_that_systems_leave(bucket, tmp_path):
    storage = Storage()
    for folder in (bucket, str(tmp_path)):
        for name in ("m.csv", "._m.csv", "Thumbs.db", ".DS_Store"):
            storage.write_bytes(f"{folder}/{name}", b"x")
        assert [found.uri for found in locate.locate([f"{folder}/*"], "/", storage)] == [f"{folder}/m.csv"]
        assert [found.uri for found in locate.locate([f"{folder}/._*"], "/", storage)] == [f"{folder}/._m.csv"]


def test_a_text_on_a_disk_that_fails_is_not_the_rows_fault(tmp_path):
    (tmp_path / "a.wav").write_text("")
    (tmp_path / "a.txt").symlink_to("/proc/self/mem")
    with pytest.raises(StorageError, match=r"/a\.txt': the disk or network drive failed to read the file \(EIO\)$"):
        rows_of(tmp_path)


def folder_of(tmp_path, files):
    for name, content in files.items():
        (tmp_path / "pairs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pairs" / name).write_text(content)
    return tmp_path / "pairs"


LONG = "1\n00:00:01,000 --> 00:00:02,000\nhello\n\n2\n00:01:00,000 --> 00:01:03,000\nworld"
TSV = "start\tend\ttext\n1000\t2000\thello\n60000\t63000\tworld\n"
GRID = '"ooTextFile"\n"TextGrid"\n0\n9\n<exists>\n2\n"IntervalTier"\n"words"\n0\n9\n1\n1\n2\n"hi"\n"IntervalTier"\n"phones"\n0\n9\n1\n1\n2\n"h"'
TWO_TIERS = GRID.replace("phones", "notes")
META = '{"speaker": "x", "rate": 16000}'


@pytest.mark.parametrize(
    ("files", "rows"),
    [
        ({"a.wav": "", "a.srt": SRT, "a.txt": "hello, world"}, [("a", "hello, world")]),  # no longer than a clip
        ({"a.wav": "", "a.srt": LONG, "a.txt": "hello, world"}, [("a@1+1", "hello"), ("a@60+3", "world")]),
        ({"a.mp4": "", "a.srt": LONG, "a.vtt": "WEBVTT\n\n" + LONG.replace(",", "."), "a.tsv": TSV, "a.txt": "hello world",
          "a.json": '{"text": "", "segments": [{"start": 1, "end": 2.0, "text": "hello"}], "language": "en"}'},
         [("a", "hello world")]),
        ({"a.wav": "", "a.TextGrid": GRID, "a.lab": "Hi!"}, [("a", "Hi!")]),
        ({"a.wav": "", "a.TextGrid": TWO_TIERS, "a.txt": "Hi!"}, [("a", "Hi!")]),
        ({"a.wav": "", "a.json": META, "a.txt": "hello"}, [("a", "hello")]),
        ({"a.wav": "", "a.json": META, "a.srt": SRT}, [("a@1+2", "hello world")]),
        ({"a.wav": "", "a.json": '{"text": "hello"}', "a.srt": SRT}, [("a@1+2", "hello world")]),
        ({"a.wav": "", "a.lab": "hello"}, [("a", "hello")]),  # as the Montreal aligner has it
        ({"a.wav": "", "a.lab": "hello", "a.txt": "Hello!"}, [("a", "Hello!")]),
        ({"a.wav": "", "a.lab": "0 1200000 sil\n1200000 2400000 hh\n"}, [("pairs:1", "timed_text")]),
        ({"a.wav": "", "a.json": META}, [("pairs:1", "missing_text")]),
        ({"a.wav": "", "a.json": '{"text": "hello"}'}, [("pairs:1", "timed_text")]),
        ({"a.wav": "", "a.srt": "", "a.txt": "hello"}, [("a", "hello")]),
        ({"a.wav": "", "a.srt": "nothing"}, [("pairs:1", "bad_field")]),
        ({"a.wav": "", "a.rttm": "SPEAKER a 1 0.0 1.0 <NA> <NA> s <NA> <NA>"}, [("pairs:1", "timed_text")]),
        ({"a.wav": "", "metadata.json": META, "a.srt": SRT}, [("a@1+2", "hello world")]),
        ({"a.wav": "", "a.txt": "x", "b.srt": SRT}, [("a", "x"), ("pairs:2", "missing_audio_path")]),
        ({"a.wav": "", "a.wav.srt": SRT}, [("a@1+2", "hello world")]),
        ({"x/My talk [id].webm": "", "x/My talk [id].en.vtt": "WEBVTT\n\n" + SRT.replace(",", ".")},
         [("x/My talk [id]@1+2", "hello world")]),
        ({"a.wav": "", "a.en.srt": SRT, "a.de.srt": SRT}, [("pairs:1", "bad_field")]),
        ({"a.wav": "", "a.en.srt": SRT, "a.en-orig.srt": SRT}, [("a@1+2", "hello world")]),  # as video sites have both
        ({"a.wav": "", "a.srt": SRT, "a.de.srt": "1\n00:00:01,000 --> 00:00:02,000\nhallo"}, [("a@1+2", "hello world")]),
        ({"train/a.wav": "", "train/a.srt": SRT, "test/b.wav": "", "test/b.srt": SRT},
         [("test/b@1+2", "hello world"), ("train/a@1+2", "hello world")]),
    ],
)  # fmt: skip
def test_of_several_files_beside_a_recording_one_counts(tmp_path, files, rows):
    found = rows_of(folder_of(tmp_path, files))
    assert [(row.clip_id, row.target) if isinstance(row, Clip) else (row.source, row.reason) for row in found] == rows


def test_the_name_of_a_file_of_cues_may_say_the_language(tmp_path):
    (clip,) = rows_of(folder_of(tmp_path, {"a.wav": "", "a.pt-BR.srt": SRT}))
    assert (clip.language, clip.source) == ("pt-BR", "pairs/a.pt-BR.srt:2")
    (clip,) = rows_of(folder_of(tmp_path / "x", {"a.wav": "", "a.en-orig.srt": SRT, "a.en.srt": SRT}))
    assert clip.language == "en"


def test_folders_of_cues_may_be_named_after_splits(tmp_path):
    found = rows_of(folder_of(tmp_path, {"train/a.wav": "", "train/a.srt": SRT, "test/b.wav": "", "test/b.srt": SRT}))
    assert [clip.split for clip in found] == ["test", "train"]


def test_several_tiers_stop_the_run_unless_one_is_named(tmp_path):
    folder = folder_of(tmp_path, {"a.wav": "", "a.TextGrid": TWO_TIERS})
    with pytest.raises(UserError, match=r"^a\.TextGrid: several tiers: words \(1\), notes \(1\); say by --tier=NAME"):
        rows_of(folder)
    assert spans(rows_of(folder, cues=CueSettings(tiers=("notes",)))) == [("a@1+1", "h")]


def alone(tmp_path, name, content, beside="a.wav", **settings):
    (tmp_path / beside).parent.mkdir(exist_ok=True, parents=True)
    (tmp_path / beside).write_text("")
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return rows_of(tmp_path / name, **settings)


WORDS = [{"start": 1, "end": 2.0, "text": "hello"}, {"start": 2.5, "end": 3, "text": "world"}]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.srt", SRT),
        ("a.srt", SRT.encode("utf-16")),
        ("a.en.srt", SRT),
        ("a.wav.srt", SRT),
        ("a.srt.gz", gzip.compress(SRT.encode())),
        ("a.vtt", "WEBVTT\n\n" + SRT.replace(",", ".")),
        ("a.txt", "1.0\t2.0\thello\n2.5\t3.0\tworld\n"),
        ("a.tsv", "start\tend\ttext\n1000\t2000\thello\n2500\t3000\tworld\n"),
        ("a.json", orjson.dumps({"text": "hello world", "segments": WORDS})),
        ("a.json", orjson.dumps({"text": "hello world", "segments": WORDS}, option=orjson.OPT_INDENT_2)),
        ("a.json", orjson.dumps(WORDS)),
        ("a.json", orjson.dumps({"text": "x" * 70_000, "segments": WORDS})),  # longer than the look at its beginning
        ("a.TextGrid", GRID.replace('2\n"hi"', '3\n"hello world"')),
    ],
)
def test_a_file_of_cues_is_a_manifest_of_the_recording_beside_it(tmp_path, name, content):
    (clip,) = alone(tmp_path, name, content)
    assert (clip.clip_id, clip.uri, clip.target, clip.group) == ("a@1+2", "a.wav", "hello world", "a.wav")
    assert clip.source.startswith(f"{name}:")


def test_an_audio_root_is_relative_to_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "x").mkdir()
    monkeypatch.chdir(tmp_path / "x")
    (clip,) = alone(tmp_path / "x", "c.srt", SRT, "sounds/c.mp3", audio_root="sounds")
    assert clip.uri == "sounds/c.mp3"
    monkeypatch.chdir("/")  # as a worker has it, which is told the command's folder
    manifest = Manifest(f"{tmp_path}/x/c.srt", f"{tmp_path}/x/c.srt", is_folder=False)
    (clip,) = read.rows(manifest, ManifestSettings(audio_root="x/sounds", base=str(tmp_path)), Storage())
    assert clip.uri == "x/sounds/c.mp3"


def test_without_a_recording_beside_it_a_file_of_cues_says_what_it_needs(tmp_path):
    with pytest.raises(
        UserError, match=r"^b\.srt: a file of cues, and there is no recording of its name beside it, such as b\.wav"
    ):
        alone(tmp_path, "b.srt", SRT)
    (clip,) = alone(tmp_path, "c.srt", SRT, "sounds/c.mp3", audio_root=str(tmp_path / "sounds"))
    assert clip.uri == f"{tmp_path}/sounds/c.mp3"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.TextGrid", GRID[:-30], "a.TextGrid: it is damaged: in line 15 there is a quote, where a string is to be"),
        ("a.srt", SRT.encode() + b"\xff", "a.srt is not valid UTF-8; save it as UTF-8"),
        ("a.TextGrid", TWO_TIERS, "a.TextGrid: several tiers: words (1), notes (1)"),
    ],
)
def test_a_damaged_file_of_cues_is_one_line(tmp_path, name, content, told):
    with pytest.raises(UserError) as found:
        alone(tmp_path, name, content)
    assert str(found.value).startswith(told)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "m.jsonl",
            '{"audio": "a.wav", "text": "hi", "start": 1, "end": 2}\n{"audio": "a.wav", "text": "you", "start": 3, "end": 4}\n',
        ),
        (
            "m.json",
            '[{"audio_filepath": "a.wav", "text": "hi", "start": 1, "end": 2}, {"audio_filepath": "a.wav", "text": "you", "start": 3, "end": 4}]',
        ),
        ("m.tsv", "start\tend\ttext\taudio\n1\t2\thi\ta.wav\n3\t4\tyou\ta.wav\n"),
        ("m.csv", "audio,text,start,end\na.wav,hi,1,2\na.wav,you,3,4\n"),
    ],
)
def test_a_table_of_segments_is_none(tmp_path, name, content):
    """Its rows name their recording, so each is a clip as it stands."""
    assert [(clip.offset, clip.duration, clip.target) for clip in alone(tmp_path, name, content)] == [
        (1, 1, "hi"),
        (3, 1, "you"),
    ]
