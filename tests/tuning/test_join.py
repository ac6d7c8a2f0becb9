import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.tuning.conftest import prepare
from transforms import limits
from transforms.errors import UserError
from transforms.storage import Storage, uris
from tuning import dataset, join
from tuning.check import files

storage = Storage()


@pytest.fixture
def prepared(out):
    """A dataset that may write anywhere, for each test joins into a folder of its own."""
    return replace(dataset.load(str(out), storage), storage=storage)


def shards(prepared, split):
    return b"".join(storage.read_bytes(uris.join(prepared.uri, shard.path)) for shard in prepared.splits[split])


def joined(prepared, folder):
    plans = join.plan(prepared, folder)
    reused = join.join(prepared, plans, folder)
    return {plan.joined.split: plan.joined for plan in plans}, reused


def test_the_shards_of_each_split_become_one_file(prepared, tmp_path):
    files, reused = joined(prepared, str(tmp_path / "tuning"))
    assert not reused
    for split, count in (("train", 22), ("validation", 2)):
        content = (tmp_path / f"tuning/{split}.jsonl").read_bytes()
        assert content == shards(prepared, split)
        assert (files[split].examples, files[split].bytes, files[split].left_out) == (count, len(content), 0)


def test_the_note_holds_the_fingerprint_and_the_files(prepared, tmp_path):
    files, _ = joined(prepared, str(tmp_path))
    note = {"fingerprint": prepared.fingerprint, "splits": {split: asdict(file) for split, file in files.items()}}
    assert (tmp_path / "joined.json").read_text() == json.dumps(note, indent=2) + "\n"


def test_a_second_run_joins_nothing(prepared, tmp_path, monkeypatch):
    folder = str(tmp_path / "tuning")
    joined(prepared, folder)
    monkeypatch.setattr(Storage, "concatenate", None)
    assert joined(prepared, folder)[1]


@pytest.mark.parametrize("change", ["cut", "missing", "note"])
def test_what_is_not_as_noted_is_joined_again(prepared, tmp_path, change):
    folder = tmp_path / "tuning"
    joined(prepared, str(folder))
    if change == "cut":
        (folder / "train.jsonl").write_bytes(b"{}\n")
    else:
        (folder / {"missing": "train.jsonl", "note": "joined.json"}[change]).unlink()
    assert not joined(prepared, str(folder))[1]
    assert (folder / "train.jsonl").read_bytes() == shards(prepared, "train")


@pytest.mark.parametrize("examples", [22, 21, 9, 8, 7, 1])
def test_a_cut_by_examples_takes_whole_lines_from_the_beginning(prepared, tmp_path, monkeypatch, examples):
    monkeypatch.setitem(join.MAX_EXAMPLES, "train", examples)
    files, _ = joined(prepared, str(tmp_path))
    lines = shards(prepared, "train").splitlines(keepends=True)
    assert (tmp_path / "train.jsonl").read_bytes() == b"".join(lines[:examples])
    assert (files["train"].examples, files["train"].left_out) == (examples, 22 - examples)
    assert sorted(path.name for path in tmp_path.glob("*")) == ["joined.json", "out", "train.jsonl", "validation.jsonl"]


@pytest.mark.parametrize(("spare", "kept"), [(0, 12), (-1, 11), (1, 12)])
def test_a_cut_by_bytes_on_both_sides(prepared, tmp_path, monkeypatch, spare, kept):
    lines = shards(prepared, "train").splitlines(keepends=True)
    monkeypatch.setattr(limits, "MAX_FILE_BYTES", sum(map(len, lines[:12])) + spare)
    files, _ = joined(prepared, str(tmp_path))
    assert (tmp_path / "train.jsonl").read_bytes() == b"".join(lines[:kept])
    assert files["train"].left_out == 22 - kept


def test_what_is_checked_is_what_is_joined(prepared, tmp_path, monkeypatch):
    monkeypatch.setitem(join.MAX_EXAMPLES, "train", 10)
    findings = files.check(join.files_to_check(prepared, join.plan(prepared, str(tmp_path))), Storage())
    assert (findings.ok, findings.splits["train"].examples, findings.splits["validation"].examples) == (True, 10, 2)


def test_in_a_bucket_the_shards_are_composed(prepared, bucket):
    for uri in storage.list_files(prepared.uri):
        storage.write_bytes(uri.replace(prepared.uri, f"{bucket}/set"), storage.read_bytes(uri))
    remote = dataset.load(f"{bucket}/set", Storage())
    files, _ = joined(remote, remote.tuning_uri(""))
    assert storage.read_bytes(files["train"].uri) == shards(prepared, "train")
    assert storage.list_files(f"{bucket}/set/tuning") == [
        f"{bucket}/set/tuning/{name}" for name in ("joined.json", "train.jsonl", "validation.jsonl")
    ]
    assert joined(remote, remote.tuning_uri(""))[1]


@pytest.mark.parametrize("where", ["a bucket", "a folder into a bucket"])
@pytest.mark.parametrize("examples", [22, 21, 9, 8, 1])
def test_a_cut_in_a_bucket_is_the_same_and_leaves_nothing_behind(prepared, bucket, monkeypatch, where, examples):
    source = prepared
    if where == "a bucket":
        for uri in storage.list_files(prepared.uri):
            storage.write_bytes(uri.replace(prepared.uri, f"{bucket}/set"), storage.read_bytes(uri))
        source = dataset.load(f"{bucket}/set", Storage())
    monkeypatch.setitem(join.MAX_EXAMPLES, "train", examples)
    files, _ = joined(source, f"{bucket}/joined")
    lines = shards(prepared, "train").splitlines(keepends=True)
    assert storage.read_bytes(files["train"].uri) == b"".join(lines[:examples])
    assert storage.list_files(f"{bucket}/joined") == [
        f"{bucket}/joined/{name}" for name in ("joined.json", "train.jsonl", "validation.jsonl")
    ]


def test_the_validation_split_has_a_limit_of_its_own(prepared, tmp_path, monkeypatch):
    monkeypatch.setitem(join.MAX_EXAMPLES, "validation", 1)
    files, _ = joined(prepared, str(tmp_path))
    first = shards(prepared, "validation").splitlines(keepends=True)[0]
    assert (tmp_path / "validation.jsonl").read_bytes() == first
    assert {split: (file.examples, file.left_out) for split, file in files.items()} == {
        "train": (22, 0),
        "validation": (1, 1),
    }


def test_the_files_of_another_dataset_are_replaced(prepared, tmp_path):
    folder = str(tmp_path / "tuning")
    joined(prepared, folder)
    another = replace(prepared, description=replace(prepared.description, fingerprint="another"))
    assert not joined(another, folder)[1]
    assert joined(another, folder)[1]


def test_another_limit_is_another_file(prepared, tmp_path, monkeypatch):
    folder = tmp_path / "tuning"
    joined(prepared, str(folder))
    monkeypatch.setitem(join.MAX_EXAMPLES, "train", 5)
    assert not joined(prepared, str(folder))[1]
    assert (folder / "train.jsonl").read_bytes().count(b"\n") == 5


def test_a_run_that_died_while_it_wrote_is_not_believed(prepared, tmp_path, monkeypatch):
    folder = tmp_path / "tuning"
    joined(prepared, str(folder))
    (folder / "train.jsonl").unlink()

    def die(self, sources, uri):
        raise ZeroDivisionError

    monkeypatch.setattr(Storage, "concatenate", die)
    with pytest.raises(ZeroDivisionError):
        joined(prepared, str(folder))
    assert not (folder / "joined.json").exists()


def test_a_split_without_examples_has_no_file(tmp_path):
    prepared = dataset.load(str(prepare(tmp_path, 4, validation_fraction=0.0)), Storage())
    folder = uris.join(prepared.uri, "tuning")
    files, _ = joined(prepared, folder)
    assert files.keys() == {"train"}
    assert sorted(path.name for path in Path(folder).iterdir()) == ["joined.json", "train.jsonl"]


def test_a_shard_to_be_cut_that_is_not_there_is_one_line(prepared, out, monkeypatch):
    monkeypatch.setitem(join.MAX_EXAMPLES, "train", 1)
    (out / "train/train-00000-of-00003.jsonl").unlink()
    with pytest.raises(UserError, match=r"differs from its dataset\.json"):
        join.plan(prepared, str(out / "tuning"))
