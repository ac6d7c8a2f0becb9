"""Manifests as people have them: what becomes a clip, what is refused, and where the finger points."""

import gzip
import json

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transforms import manifest
from transforms.clip import Clip, ClipRejected, Outcome, RejectReason, UserError
from transforms.manifest import Manifest, ManifestSettings

GOOD = {"id": "a", "audio_path": "a.wav", "text": "hello"}


def read(path, **settings):
    """The rows of a manifest, named as the user would name it: relative."""
    return list(manifest.read(Manifest(path.name, str(path), path.is_dir()), ManifestSettings(**settings)))


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
        (gzip.compress(CSV.encode(), mtime=0), "m.csv.gz"),
        ("\ufeff" + lines(GOOD, {"id": "b", "audio_path": "x/b.wav", "text": "world"}), "m.jsonl"),
        (lines(GOOD, {"id": "b", "audio_path": "x/b.wav", "text": "world"}).replace("\n", "\r\n"), "m.jsonl"),
    ],
)
def test_the_same_rows_in_every_format(tmp_path, content, name):
    assert summary(read(written(tmp_path, content, name))) == [A, B]


def test_parquet(tmp_path):
    path = tmp_path / "m.parquet"
    pq.write_table(pa.table({"id": ["a", "b"], "audio_path": ["a.wav", "x/b.wav"], "text": ["hello", "world"]}), path)
    assert summary(read(path)) == [A, B]


def test_a_folder_of_pairs(tmp_path):
    folder = tmp_path / "pairs"
    (folder / "x").mkdir(parents=True)
    for name, content in {
        "a.WAV": "", "a.txt": "hello\n", "x/b.mp3": "", "x/b.txt": "\ufeffworld\r\n",
        "alone.wav": "", "text.txt": "nothing to hear", "notes.md": "", ".hidden": "",
    }.items():  # fmt: skip
        (folder / name).write_text(content)
    assert summary(read(folder)) == [
        ("a", "pairs/a.WAV", "hello"),
        ("pairs:2", RejectReason.MISSING_TEXT),
        ("pairs:3", RejectReason.MISSING_AUDIO),
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
    assert summary(read(written(tmp_path, content, "metadata.csv"))) == clips


def test_the_speaker_of_a_list_without_a_header(tmp_path):
    (clip,) = read(written(tmp_path, "x/a.wav|anna|yes\n", "filelist.txt"))
    assert clip.group == "anna"


def kaldi(tmp_path, **files):
    folder = tmp_path / "data"
    folder.mkdir()
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content)
    return read(folder)


def test_a_kaldi_folder(tmp_path):
    rows = kaldi(
        tmp_path,
        wav_scp="u1 a.wav\nu2 sox b.mp3 -t wav - |\nu3 /data/c d.wav\nu4 e.wav\n",
        text="u1 hello there\nu2 x\nu3\tworld\nu9 nobody said this\n",
        utt2spk="u1 anna\n",
    )
    assert summary(rows) == [
        ("u1", "data/a.wav", "hello there"),
        ("data/wav.scp:2", RejectReason.PATH_NOT_ALLOWED),
        ("u3", "/data/c d.wav", "world"),
        ("data/wav.scp:4", RejectReason.MISSING_TEXT),
        ("data/text:4", RejectReason.MISSING_AUDIO),
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
        ("data/segments:3", RejectReason.MISSING_AUDIO),
        ("data/segments:4", RejectReason.BAD_FIELD),
        ("data/segments:5", RejectReason.BAD_FIELD),
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
    rows = read(written(tmp_path, ",".join(header) + "\na.wav,hello\n", "m.csv"))
    assert summary(rows) == [clip]


def test_columns_can_be_named(tmp_path):
    content = "key2;x\n".replace(";", ",") + "a.wav,hello\n"
    assert summary(read(written(tmp_path, content), columns={"audio": "key2", "text": "x"})) == [
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
    (clip,) = read(written(tmp_path, lines({**GOOD, **fields})))
    assert getattr(clip, attribute) == value


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"text": ""}, RejectReason.MISSING_TEXT),
        ({"text": " \n"}, RejectReason.MISSING_TEXT),
        ({"text": None}, RejectReason.MISSING_TEXT),
        ({"text": 7}, RejectReason.BAD_FIELD),
        ({"text": True}, RejectReason.BAD_FIELD),
        ({"text": ["a"]}, RejectReason.BAD_FIELD),
        ({"audio_path": None}, RejectReason.MISSING_AUDIO),
        ({"audio_path": ""}, RejectReason.MISSING_AUDIO),
        ({"audio_path": 7}, RejectReason.BAD_FIELD),
        ({"audio_path": "http://127.0.0.1/x.wav"}, RejectReason.PATH_NOT_ALLOWED),
        ({"audio_path": "s3://bucket/x.wav"}, RejectReason.PATH_NOT_ALLOWED),
        ({"id": "i" * 1_025}, RejectReason.BAD_FIELD),
        ({"split": "test"}, RejectReason.BAD_FIELD),
        ({"offset": -1}, RejectReason.BAD_FIELD),
        ({"offset": "soon"}, RejectReason.BAD_FIELD),
        ({"offset": 1, "duration": 0}, RejectReason.BAD_FIELD),
        ({"prompt": 1.5}, RejectReason.BAD_FIELD),
    ],
)
def test_a_rows_fault_costs_the_row_and_carries_its_line(tmp_path, fields, reason):
    rows = read(written(tmp_path, lines(GOOD, {**GOOD, "id": "b", **fields}, {**GOOD, "id": "c"})))
    assert [row.source for row in rows] == ["m.jsonl:1", "m.jsonl:2", "m.jsonl:3"]
    assert [type(row) for row in rows] == [Clip, Outcome, Clip]
    assert rows[1].reason == reason
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
    rows = read(written(tmp_path, good + b"\n" + line + b"\n" + good + b"\n"))
    assert [row.source for row in rows] == ["m.jsonl:1", "m.jsonl:2", "m.jsonl:3"]
    assert rows[1].reason == RejectReason.BAD_ROW
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
        (clip,) = read(written(tmp_path, content, name))
        assert clip.target == text


def test_a_lone_quote_in_a_tsv_does_not_swallow_the_next_row(tmp_path):
    content = 'path\tsentence\na.wav\t"Quote\nb.wav\tnext\n'
    assert [row.target for row in read(written(tmp_path, content, "m.tsv"))] == ['"Quote', "next"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "empty"),
        ("\n \n", "empty"),
        ("id,audio_path,text\n", "no rows"),
        ("id,sound,words\na,a.wav,hello\n", "missing column audio.*--audio_column"),
        ("id,audio_path,words\na,a.wav,hello\n", "missing column text.*--text_column"),
        ("id,audio_path,audio_path,text\na,b,c,d\n", "stands twice"),
        (gzip.compress(CSV.encode() * 100, mtime=0)[:-20], "damaged or cut short"),
        (b"PAR1 nothing else", "Parquet"),
        ("[1, 2", "JSON array"),
    ],
)
def test_a_files_fault_names_the_file(tmp_path, content, told):
    with pytest.raises(UserError, match=rf"^m\.jsonl.*{told}"):
        read(written(tmp_path, content))


def test_locate_takes_names_before_patterns(tmp_path):
    for name in ("a[1].jsonl", "a1.jsonl", "b.jsonl"):
        (tmp_path / name).write_text("{}")
    assert [m.name for m in manifest.locate(["a[1].jsonl"], str(tmp_path))] == ["a[1].jsonl"]
    assert [m.name for m in manifest.locate(["*.jsonl", "b.jsonl"], str(tmp_path))] == [
        "a1.jsonl", "a[1].jsonl", "b.jsonl",
    ]  # fmt: skip
    assert len(manifest.locate(["b.jsonl", "./b.jsonl", "./*b.jsonl"], str(tmp_path))) == 1
    for missing in ("none.jsonl", "none*.jsonl"):
        with pytest.raises(UserError, match="none"):
            manifest.locate([missing], str(tmp_path))


@pytest.mark.parametrize(
    ("path", "confined"),
    [("a.wav", True), ("../a.wav", True), ("/data/a.wav", False)],
)
def test_absolute_paths_in_a_manifest_on_this_machine_are_its_authors_own(tmp_path, path, confined):
    (clip,) = read(written(tmp_path, lines({**GOOD, "audio_path": path})))
    assert clip.confined == confined


def test_a_manifest_from_a_bucket_names_no_file_of_this_machine(bucket):
    from transforms import storage  # noqa: PLC0415

    storage.write_bytes(f"{bucket}/m.jsonl", lines({**GOOD, "audio_path": "/etc/x.wav"}, GOOD).encode())
    uri = f"{bucket}/m.jsonl"
    first, second = manifest.read(Manifest(uri, uri, is_folder=False), ManifestSettings())
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
    roots = manifest.allowed_roots(
        [Manifest("inside/m.csv", str(tmp_path / "inside/m.csv"), is_folder=False)], ManifestSettings(), str(tmp_path)
    )
    if allowed:
        manifest.check_allowed(str(tmp_path / path), roots)
    else:
        with pytest.raises(ClipRejected) as refusal:
            manifest.check_allowed(str(tmp_path / path), roots)
        assert refusal.value.reason == RejectReason.PATH_NOT_ALLOWED
    more = manifest.allowed_roots(
        [Manifest("inside/m.csv", "", is_folder=False)], ManifestSettings(allow_path=(str(tmp_path),)), str(tmp_path)
    )
    manifest.check_allowed(str(tmp_path / path), more)
