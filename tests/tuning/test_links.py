"""No command reads or writes through a link in a stranger's dataset that leads out of it."""

import json
import shutil

import pytest

from transforms.errors import OutsideError, StorageError, UserError
from transforms.storage import Storage
from tuning import dataset
from tuning.check import files
from tuning.predictions import PredictionsFile


@pytest.fixture
def away(out, tmp_path):
    """Moves a file or folder of the dataset out of it, and puts a link in its place."""

    def moved(name):
        target = tmp_path / "away" / name
        target.parent.mkdir(parents=True)
        shutil.move(out / name, target)
        (out / name).symlink_to(target)
        return target

    return moved


def shard_of(out):
    return min(str(path.relative_to(out)) for path in (out / "train").glob("*.jsonl"))


@pytest.mark.parametrize("name", ["dataset.json", "train", "SHARD"])
def test_a_dataset_whose_files_lie_elsewhere_is_not_loaded(out, away, name):
    away(shard_of(out) if name == "SHARD" else name)
    with pytest.raises(UserError, match=r"is a link to a file outside|damaged .a link that leads out of the folder"):
        dataset.load(str(out), Storage())


@pytest.mark.parametrize("name", ["ledger", "ledger/ledger-00000-of-00001.parquet"])
def test_a_ledger_that_lies_elsewhere_is_not_read(out, prepared, away, name):
    away(name)
    with pytest.raises(UserError, match=r"ledger is damaged .a link that leads out of the folder"):
        list(prepared.ledger_rows(["clip_id"]))
    with pytest.raises(UserError, match=r"ledger is damaged .a link that leads out of the folder"):
        files.check(files.files_of(str(out), Storage()), Storage())


def test_a_shard_that_becomes_a_link_after_the_dataset_was_loaded_is_not_read(out, prepared, away):
    """What `check`, `join` and `predict` have looked at before they open it."""
    listed, shard = files.files_of(str(out), Storage()), shard_of(out)
    away(shard)
    with pytest.raises(UserError, match="a link that leads out of the folder"):
        files.check(listed, Storage())
    with pytest.raises(OutsideError):
        prepared.storage.concatenate([f"{out}/{shard}"], f"{out}/tuning/train.jsonl")
    assert not (out / "tuning/train.jsonl").exists()


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "train/../../x", "train//x", "train/x/", "./x", "", "a\0b"])
def test_dataset_json_names_no_file_outside(out, path):
    tree = json.loads((out / "dataset.json").read_text())
    tree["splits"]["train"]["shards"][0]["path"] = path
    del tree["checksum"]  # as of an earlier version
    (out / "dataset.json").write_text(json.dumps(tree))
    with pytest.raises(UserError, match=r"dataset.json is damaged \(.*must be below the dataset's folder"):
        dataset.load(str(out), Storage())


@pytest.mark.parametrize("path", ["..\\x", "train\\..\\x"])
def test_a_backslash_is_part_of_a_name(out, path):
    tree = json.loads((out / "dataset.json").read_text())
    tree["splits"]["train"]["shards"][0]["path"] = path
    del tree["checksum"]  # as of an earlier version
    (out / "dataset.json").write_text(json.dumps(tree))
    findings = files.check(files.files_of(str(out), Storage()), Storage())
    assert findings.counts["missing_shard"] == 1


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_answers_are_not_appended_through_a_link(out, prepared, tmp_path, monkeypatch, when):
    secret, path = tmp_path / "secret", out / "tuning/predictions.jsonl"
    secret.write_text("secret\n")
    path.parent.mkdir(exist_ok=True)

    def link():
        path.unlink(missing_ok=True)
        path.symlink_to(secret)

    link()
    if when == "meanwhile":
        write = PredictionsFile._write
        monkeypatch.setattr(PredictionsFile, "_write", lambda self: (write(self), link()))
        with pytest.raises(StorageError, match="symbolic links"):
            PredictionsFile(str(path), [], prepared.storage).__enter__()
    else:
        with PredictionsFile(str(path), [], prepared.storage):
            assert not path.is_symlink()
    assert secret.read_text() == "secret\n"


@pytest.mark.parametrize("name", ["joined.json", "job.json"])
def test_no_file_of_a_job_is_written_into_a_folder_elsewhere(out, prepared, tmp_path, name):
    (tmp_path / "elsewhere").mkdir()
    (out / "tuning").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutsideError):
        prepared.storage.write_bytes(prepared.tuning_uri(name), b"{}")
    assert not list((tmp_path / "elsewhere").iterdir())
