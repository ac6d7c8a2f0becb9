"""What tools and the makers of corpora write goes in as it lies, here and in a bucket, and is told in one line."""

from pathlib import Path

import pytest

from tests.beam_pipeline.conftest import ledger
from tests.corpora import CORPORA
from transforms.clip import Clip
from transforms.errors import UserError
from transforms.manifests import allowed, locate, read
from transforms.manifests.columns import ManifestSettings
from transforms.manifests.formats import FORMATS
from transforms.manifests.reading import Reading
from transforms.storage import Storage


def uploaded(folder, bucket):
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            Storage().write_bytes(f"{bucket}/{path.relative_to(folder)}", path.read_bytes())
    return bucket


@pytest.fixture
def written(tmp_path, request, monkeypatch):
    """Writes a corpus, here or into a bucket; the folder's name."""

    def write(corpus, place):
        folder = tmp_path / "corpus"
        folder.mkdir()
        corpus.write(folder)
        monkeypatch.chdir(tmp_path)
        return "corpus" if place == "folder" else uploaded(folder, f"{request.getfixturevalue('bucket')}/corpus")

    return write


def named(corpus, folder):
    return [f"{folder}/{name}" if name else folder for name in corpus.manifests]


@pytest.mark.parametrize("place", ["folder", "bucket"])
@pytest.mark.parametrize("name", CORPORA)
def test_rows_are_read_as_their_tool_means_them(written, name, place):
    corpus = CORPORA[name]
    folder = written(corpus, place)
    root = next((flag.partition("=")[2].format(folder) for flag in corpus.flags if "audio_root" in flag), None)
    settings, base = ManifestSettings(audio_root=root), str(Path.cwd())
    manifests = allowed.confined(locate.locate(named(corpus, folder), base, Storage()), settings, base)
    settings = read.survey(manifests, settings, Storage())
    readings = [Reading(manifest.name) for manifest in manifests]
    rows = [
        row
        for manifest, reading in zip(manifests, readings, strict=True)
        for row in read.rows(manifest, settings, Storage(), reading)
    ]
    clips = [row for row in rows if isinstance(row, Clip)]
    below = [row.source.removeprefix(folder).removeprefix("/") for row in clips]
    told = [
        (source, row.target, row.split, row.group, row.language, row.offset, row.duration, row.channel)
        for source, row in zip(below, clips, strict=True)
    ]
    assert told == [
        (each.source, each.text, each.split, each.group, each.language, each.offset, each.duration, each.channel)
        for each in corpus.rows
    ]
    rejected = [row for row in rows if not isinstance(row, Clip)]
    assert [(row.source.removeprefix(f"{folder}/"), row.reason) for row in rejected] == list(corpus.rejected)
    found = [reading.recognised() for reading in readings]
    assert {each.format for each in found} == {corpus.title}
    assert (max(each.columns for each in found), sum(each.rows for each in found)) == (corpus.columns, len(rows))


@pytest.mark.parametrize("place", ["folder", "bucket"])
def test_corpora_become_one_dataset(tmp_path, prepare, request, monkeypatch, place):
    together = [corpus for corpus in CORPORA.values() if not corpus.flags and not corpus.again]
    names, told = [], []
    for index, corpus in enumerate(together):
        (tmp_path / f"c{index}").mkdir()
        corpus.write(tmp_path / f"c{index}")
        names += named(corpus, f"c{index}")
        told.append((f"c{index}/", corpus))
    monkeypatch.chdir(tmp_path)
    at = ""
    if place == "bucket":
        at = f"{uploaded(tmp_path, request.getfixturevalue('bucket'))}/"
    first, *others = [f"{at}{name}" for name in names]
    run = prepare(first, tmp_path / "out", *(f"--manifest={name}" for name in others), "--max_rejected_fraction=0.2")
    assert run.status == 0, run.stderr
    rows = {row["source"].removeprefix(at): row for row in ledger(tmp_path / "out")}
    for folder, corpus in told:
        for each in corpus.rows:
            source = f"{folder}{each.source}" if not each.source.startswith(":") else f"{folder[:-1]}{each.source}"
            assert (rows[source]["status"], rows[source]["target_chars"]) == ("accepted", len(each.text)), rows[source]
            assert not each.split or rows[source]["split"] == each.split
        for source, reason in corpus.rejected:
            assert rows[f"{folder}{source}"]["reason"] == reason
    assert f"{len(names):,} manifests read as" not in run.stderr
    assert "1 manifest read as Common Voice: 10 columns, 4 rows" in run.stderr


def test_every_format_is_proved():
    """Shards with recordings in them are in `tests/hub.py`."""
    others = {"lhotse_recordings", "arrow", "webdataset"}
    assert {corpus.form for corpus in CORPORA.values()} == set(FORMATS) - others


@pytest.mark.parametrize("file", ["recordings.jsonl.gz", "supervisions.jsonl.gz"])
def test_what_lies_beside_a_manifest_leads_to_no_other_folder(tmp_path, file):
    """A link that came with a corpus opens nothing, whether it is named as the corpus or found beside it."""
    CORPORA["Lhotse's supervisions"].write(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / file).rename(tmp_path / "elsewhere" / file)
    (tmp_path / "in").mkdir()
    for each in tmp_path.glob("*.gz"):
        each.rename(tmp_path / "in" / each.name)
    (tmp_path / "in" / file).symlink_to(tmp_path / "elsewhere" / file)
    for name in ("in", *(["in/supervisions.jsonl.gz"] if file.startswith("recordings") else [])):
        (found,) = locate.locate([name], str(tmp_path), Storage())
        with pytest.raises(UserError, match=r"leads out"):
            list(read.rows(found, ManifestSettings(), Storage()))


def test_every_format_stands_in_the_page_with_an_example():
    page = (Path(__file__).parents[2] / "docs/manifests.md").read_text(encoding="utf-8")
    told = {
        cell.strip() for line in page.splitlines() if line.startswith("| ") for cell in line.split("|")[1].split(", ")
    }
    told |= {line.split("|")[1].strip() for line in page.splitlines() if line.startswith("| ")}
    titles = {row.title for row in FORMATS.values() if row.name != "lhotse_recordings"}
    assert {title.replace("|", "<code>&#124;</code>") for title in titles} - told == set()


@pytest.mark.parametrize(
    ("name", "manifests", "splits"),
    [
        ("Common Voice, one table", ["train.tsv", "dev.tsv", "test.tsv"], ["train", "train", "validation", "test"]),
        ("Common Voice, one table", ["train.tsv", "validated.tsv"], [""] * 6),
        ("Common Voice, one table", ["test.tsv"], [""]),
        ("FLEURS, one table", ["test.tsv", "train.tsv"], ["test", "train"]),
        ("LibriSpeech", ["train-clean-100/", "dev-clean"], ["train", "train", "validation"]),
        ("LibriSpeech", ["train-clean-100"], ["", ""]),
        ("MLS", ["train", "test"], ["train", "test"]),
        ("DeepSpeech", ["train.csv", "dev.csv"], ["train"] * 2 + ["validation"] * 2),
        ("Lhotse's cuts", ["cuts_train.jsonl.gz", "cuts_dev.jsonl.gz"], ["train"] * 4 + ["validation"] * 4),
        # What has always been read without splits is.
        ("JSONL", ["train.jsonl", "test.jsonl"], [""] * 4),
    ],
)
def test_parts_that_are_named_after_splits_are_these_if_there_are_several(tmp_path, name, manifests, splits):
    CORPORA[name].write(tmp_path)
    for file in manifests:
        if not (tmp_path / file).exists():
            (tmp_path / file).write_bytes((tmp_path / CORPORA[name].manifests[0]).read_bytes())
    found = locate.locate([f"{tmp_path}/{file}" for file in manifests], "/", Storage())
    settings = read.survey(found, ManifestSettings(), Storage())
    rows = [row for manifest in found for row in read.rows(manifest, settings, Storage())]
    assert [row.split if isinstance(row, Clip) else row for row in rows] == splits


@pytest.mark.parametrize(
    ("files", "settings", "told"),
    [
        # Recordings of Common Voice beside their table, or where --audio_root says.
        ({"m.tsv": "client_id\tpath\tsentence\tlocale\nanna\ta.mp3\tHi\ten\n", "a.mp3": ""}, {}, ("a.mp3", "Hi")),
        (
            {"train.tsv": "client_id\tpath\tsentence\tlocale\nanna\ta.mp3\tHi\ten\n", "clips/a.mp3": ""},
            {"audio_root": "clips"},
            ("a.mp3", "Hi"),
        ),
        # Columns that flags name.
        (
            {"m.csv": "ID,duration,wav,spk_id,wrd\na,1,a.wav,1,HI\n"},
            {"columns": {"text": "wrd", "id": "ID"}},
            ("a", "HI"),
        ),
        (
            {"m.tsv": "1\ta.wav\tHi\thi\th i\t160\tMALE\n"},
            {"columns": {"audio": "column2", "text": "column3"}},
            ("a.wav", "Hi"),
        ),
        # A table of annotations with plain paths keeps the ids of its tasks.
        (
            {"m.csv": "audio,id,transcription,annotator,annotation_id,created_at\na.wav,7,Hi,1,70,2024-05-01\n"},
            {},
            ("7", "Hi"),
        ),
        # Columns of a plain manifest that a tool has, too.
        (
            {"m.jsonl": '{"id": "a", "recording_id": "r", "start": 0, "duration": 1, "audio": "a.wav", "text": "Hi"}'},
            {},
            ("a", "Hi"),
        ),
        ({"m.jsonl": '{"audio": "a.wav", "text": "Hi", "segments": [{"start": 0, "end": 1}]}'}, {}, ("a.wav", "Hi")),
        # Folders of pairs with files of other names in them.
        ({"a.wav": "", "a.txt": "Hi", "cuts.jsonl": "{}", "x.trans.txt": "x"}, {}, ("a", "Hi")),
        ({"train/a.wav": "", "train/a.txt": "Hi", "audio/notes": ""}, {}, ("train/a", "Hi")),
    ],
)
def test_what_has_always_been_read_is_read_as_it_was(tmp_path, files, settings, told):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    first = next(iter(files))
    name = first if first.rpartition(".")[2] in ("csv", "tsv", "jsonl") else "."
    found = locate.locate([name], str(tmp_path), Storage())
    given = ManifestSettings(**{**settings, "base": str(tmp_path)})
    surveyed = read.survey(found, given, Storage())
    clip = next(row for manifest in found for row in read.rows(manifest, surveyed, Storage()) if isinstance(row, Clip))
    assert (clip.clip_id, clip.target, clip.split) == (*told, "")


@pytest.mark.parametrize("flags", [(), ("--dry_run",)])
def test_what_was_recognised_is_said_once_and_in_the_dry_runs_json(tmp_path, prepare, monkeypatch, flags):
    CORPORA["CSV with semicolons"].write(tmp_path)
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # a finished dataset says it, too
        run = prepare("m.csv", "out", *flags)
        assert run.stderr.splitlines().count("m.csv: read as CSV with semicolons: 3 columns, 2 rows") == 1
    expected = [{"manifest": "m.csv", "format": "CSV with semicolons", "columns": 3, "rows": 2}]
    assert run.json.get("manifests") == (expected if flags else None)
