"""`cliptune merge A B` and `prepare --append`: byte for byte what one run over all their manifests makes."""

import shutil
from pathlib import Path

import pytest

from tests.beam_pipeline.conftest import SOME, contents, fill, ledger, write_manifest
from tests.beam_pipeline.test_suspects import run
from transforms.dataset.clip_workers import ClipWorkers
from transforms.storage import Storage

__all__ = ["run"]  # a fixture
FLAGS = ("--max_rejected_fraction=1",)
FIRST, SECOND = SOME[:12], SOME[12:]
GONE = {"id": "gone", "audio_path": "gone.wav", "text": "a"}
BAD = {"id": "bad", "audio_path": "x.wav"}


@pytest.fixture
def place(tmp_path, monkeypatch, small_shards):
    """The current folder, with the recordings."""
    monkeypatch.chdir(fill(tmp_path))
    return tmp_path


@pytest.fixture
def nothing_is_decoded(monkeypatch):
    """A switch: from then on, no worker may be asked for a clip whose recording is there."""

    def on():
        def refused(self, clip, source):
            assert clip.uri.endswith("gone.wav"), clip
            return convert(self, clip, source)

        convert = ClipWorkers.convert
        monkeypatch.setattr(ClipWorkers, "convert", refused)

    return on


def made(prepare, *flags, **manifests):
    """A dataset of each manifest by its name, and `whole` of all of them."""
    for name, rows in manifests.items():
        write_manifest(Path(f"{name}.jsonl"), rows)
        assert prepare(f"{name}.jsonl", name, *FLAGS, *flags).status == 0
    first, *others = (f"{name}.jsonl" for name in manifests)
    more = [f"--manifest={name}" for name in others]
    assert prepare(first, "whole", *more, *FLAGS, *flags).status == 0


GROUPED = [{**row, "group": f"g{number % 7}"} for number, row in enumerate(SOME)]
TWINS = [{**row, "id": f"{row['id']}-again"} for row in SOME[:3]]


@pytest.mark.parametrize(
    ("manifests", "flags"),
    [
        ({"a": FIRST, "b": SECOND}, []),
        ({"a": FIRST, "b": [*SECOND, GONE, BAD]}, []),  # rejected rows of both kinds
        ({"a": FIRST, "b": [*SECOND, *FIRST[:2]]}, []),  # ids in both: one of each stays
        ({"a": GROUPED[:12], "b": GROUPED[12:]}, ["--validation_fraction=0.2"]),  # groups in both
        ({"a": [{**row, "split": "test"} for row in FIRST], "b": SECOND}, []),
        ({"a": FIRST, "b": [*SECOND, *TWINS]}, ["--dedupe=audio"]),
        ({"a": FIRST, "b": [*SECOND, *TWINS]}, ["--audio_part=uri", "--audio_uri=gs://bucket/audio"]),
        ({"a": SOME[:5], "b": SOME[5:11], "c": SOME[11:]}, ["--audio_format=mp3", "--normalize_text=casefold"]),
    ],
    ids=["rows", "rejected", "ids", "groups", "splits", "dedupe", "uri", "three"],
)
def test_merged_datasets_are_as_if_made_together(place, prepare, run, nothing_is_decoded, manifests, flags):
    made(prepare, *flags, **manifests)
    nothing_is_decoded()
    done = run("merge", *manifests, "--output", "merged", *FLAGS)
    assert done.status == 0, done.stderr
    assert contents(place / "merged") == contents(place / "whole")
    if not any("split" in row for rows in manifests.values() for row in rows):  # else the rows say it themselves
        groups = [(row["group"], row["split"]) for row in ledger(place / "merged") if row["group"] and row["split"]]
        assert len(dict(groups)) == len(set(groups))


def test_lines_are_copied_though_the_recordings_are_gone(place, prepare, run):
    made(prepare, a=FIRST, b=SECOND)
    shutil.rmtree("clips")
    done = run("merge", "a", "b", "--output", "merged")
    assert (done.status, done.json["rejected"]) == (0, 0), done.stderr
    for split in ("train", "validation"):
        copied = [(place / name / split).glob("*.jsonl") for name in ("merged", "whole")]
        assert [path.read_bytes() for path in sorted(copied[0])] == [path.read_bytes() for path in sorted(copied[1])]


def test_a_line_that_was_changed_is_not_copied(place, prepare, run):
    made(prepare, a=FIRST, b=SECOND)
    for path in (place / "a/train").glob("*.jsonl"):
        path.write_bytes(path.read_bytes().replace(b"Transcribe", b"Translate!"))
    assert run("merge", "a", "b", "--output", "merged").status == 0
    assert contents(place / "merged") == contents(place / "whole")


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--sample_rate=8000"], "sample_rate: 16000 and 8000"),
        (["--prompt=Say it."], "prompt: "),
        (["--keep_silence"], "trim_silence: True and False"),
        (["--audio_root=clips/.."], "audio_root: "),
        (["--text_column=text"], "columns: {} and {'text': 'text'}"),
    ],
)
def test_different_settings_are_refused_by_their_names(place, prepare, run, flags, named):
    write_manifest(place / "a.jsonl", FIRST[:1])
    prepare("a.jsonl", "a", *FLAGS)
    prepare("a.jsonl", "b", *FLAGS, *flags)
    done = run("merge", "a", "b", "--output", "merged")
    assert (done.status, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert f"a and b differ in {named}" in done.stderr
    assert not (place / "merged").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["a"], "datasets must be two names or more"),
        (["a", "none"], "holds no finished dataset"),
        (["a", "b", "--output=a"], "it is one of the datasets"),
        (["a", "few"], "it holds a sample (--limit)"),
    ],
)
def test_what_cannot_be_merged_is_one_line(place, prepare, run, words, told):
    for name, flags in (("a", []), ("b", []), ("few", ["--limit=1"])):
        write_manifest(place / f"{name}.jsonl", FIRST[:2])
        prepare(f"{name}.jsonl", name, *FLAGS, *flags)
    before = contents(place)
    done = run("merge", *words, *([] if "--output=a" in words else ["--output=merged"]))
    assert (done.status in (1, 2), done.stdout, done.stderr.count("\n")) == (True, "", 1)
    assert told in done.stderr
    assert contents(place) == before


def test_a_manifest_that_has_changed_is_told(place, prepare, run):
    made(prepare, a=FIRST[:2], b=FIRST[2:4])
    write_manifest(place / "b.jsonl", FIRST[2:5])
    done = run("merge", "a", "b", "--output", "merged")
    assert (done.status, "b.jsonl: changed since b was made" in done.stderr) == (1, True)
    appended = prepare("a.jsonl", "b", "--append")
    assert (appended.status, "b.jsonl: changed since b was made" in appended.stderr) == (1, True)


@pytest.mark.parametrize("more", [SECOND, [*SECOND, GONE, *FIRST[:2]]], ids=["rows", "rejected and doubled"])
def test_appended_rows_are_as_if_they_had_always_been_there(place, prepare, more):
    made(prepare, "--sample_rate=8000", a=FIRST, b=more)
    done = prepare("b.jsonl", "a", "--append", *FLAGS)
    assert done.status == 0, done.stderr
    assert contents(place / "a") == contents(place / "whole")
    again = prepare("b.jsonl", "a", "--append", *FLAGS)
    assert (again.status, again.json["reused"]) == (0, done.json["rows"])
    assert contents(place / "a") == contents(place / "whole")


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--sample_rate=8000"], "--sample_rate=8000 contradicts --append to a, which was made with 16000"),
        (["--limit=1"], "--limit must be left out with --append"),
        (["--overwrite"], "--overwrite must be left out with --append"),
    ],
)
def test_a_dataset_keeps_its_settings(place, prepare, flags, told):
    write_manifest(place / "a.jsonl", FIRST[:1])
    prepare("a.jsonl", "a")
    before = contents(place)
    done = prepare("m.jsonl", "a", "--append", *flags)
    assert (done.status, done.stderr.count("\n"), told in done.stderr) == (2, 1, True), done.stderr
    assert contents(place) == before
    assert "none: there is no dataset" in prepare("m.jsonl", "none", "--append").stderr


def test_in_a_bucket_it_is_the_same(bucket, place, prepare, run):
    storage = Storage()
    for row in SOME[:8]:
        storage.write_bytes(f"{bucket}/{row['audio_path']}", (place / row["audio_path"]).read_bytes())
    for name, rows in (("a", SOME[:4]), ("b", SOME[4:8])):
        storage.write_bytes(f"{bucket}/{name}.jsonl", write_manifest(place / "m", rows).read_bytes())
        prepare(f"{bucket}/{name}.jsonl", f"{bucket}/{name}")
    whole = prepare(f"{bucket}/a.jsonl", f"{bucket}/whole", f"--manifest={bucket}/b.jsonl")
    done = run("merge", f"{bucket}/a", f"{bucket}/b", "--output", f"{bucket}/merged")
    assert done.json["fingerprint"] == whole.json["fingerprint"]
    added = prepare(f"{bucket}/b.jsonl", f"{bucket}/a", "--append")
    assert added.json["fingerprint"] == whole.json["fingerprint"]
