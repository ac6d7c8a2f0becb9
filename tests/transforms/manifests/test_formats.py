"""Every format of manifests: told by the contents, the same rows, one row of a table."""

import gzip
import json
from dataclasses import replace

import pytest

from tests.transforms.manifests.written import CSV, GOOD, A, B, lines, rows_of, summary, written
from transforms.errors import UserError
from transforms.manifests import formats
from transforms.manifests.formats import FORMATS, FileFormat, FolderFormat
from transforms.manifests.lines import CERTAIN, UNLIKE
from transforms.manifests.row import Row


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
    assert summary(rows_of(written(tmp_path, content, name))) == [A, B]


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
        rows_of(written(tmp_path, content))


def test_a_format_is_one_row(tmp_path, monkeypatch):
    def read(stream, name):
        for number, line in enumerate(stream.read().decode().splitlines()[1:], start=2):
            yield Row(number, dict(zip(("id", "audio", "text"), line.split(";"), strict=True)))

    toy = FileFormat("toy", "lines below %TOY", lambda start: CERTAIN if start.text().startswith("%TOY") else -1, read)
    path = written(tmp_path, "%TOY\na;a.wav;hello\nb;x/b.wav;world\n", "m.txt")
    with pytest.raises(UserError, match="missing column"):
        rows_of(path)
    monkeypatch.setitem(FORMATS, toy.name, toy)
    assert summary(rows_of(path)) == [A, B]
    assert summary(rows_of(written(tmp_path, CSV))) == [A, B]


def test_a_format_of_folders_is_one_row(tmp_path, monkeypatch):
    def likeness(folder, storage):
        return CERTAIN if storage.exists(f"{folder}/toy") else UNLIKE

    def read(folder, name, storage):
        yield Row(7, {"id": "a", "audio": "a.wav", "text": storage.read_bytes(f"{folder}/toy").decode()}, file="toy")

    (tmp_path / "set").mkdir()
    (tmp_path / "set/toy").write_text("hello")
    monkeypatch.setitem(FORMATS, "toy", FolderFormat("toy", "a folder with a toy", likeness, read))
    (clip,) = rows_of(tmp_path / "set")
    assert (clip.uri, clip.target, clip.source) == ("set/a.wav", "hello", "set/toy:7")


def test_rows_are_looked_up_when_a_manifest_is_read(tmp_path, monkeypatch):
    csv = FORMATS["csv"]
    assert isinstance(csv, FileFormat)
    monkeypatch.setitem(formats.FORMATS, "csv", replace(csv, read=lambda stream, name: iter([Row(1, GOOD)])))
    assert summary(rows_of(written(tmp_path, CSV))) == [A]


def test_every_row_has_a_name_and_a_summary_of_its_own():
    assert [row.name for row in FORMATS.values()] == list(FORMATS)
    assert len({row.summary for row in FORMATS.values()}) == len(FORMATS)
