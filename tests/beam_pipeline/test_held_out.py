"""Rows that are marked as held out: a split of its own, which is checked and asked, and never sent to a job."""

import json

import pytest

from cliptune.main import main
from tests.beam_pipeline.conftest import FEW, SOME, contents, examples, ledger, write_manifest
from transforms.dataset.description import DatasetDescription

MARKS = ["train", "test", "dev-other", "test-clean", "train-clean-100"]
TEST_TEXTS = {FEW[1]["text"], FEW[3]["text"]}


@pytest.fixture
def marked(folder, prepare):
    """A dataset of five clips, two of them held out for test."""
    rows = [{**clip, "split": mark} for clip, mark in zip(FEW, MARKS, strict=True)]
    run = prepare(write_manifest(folder / "t.jsonl", rows), folder / "out", "--verify")
    assert run.status == 0, run.stderr
    return folder / "out", run


def texts(output, split):
    return {example["contents"][1]["parts"][0]["text"] for example in examples(output, split)}


def test_marked_rows_are_a_split_of_their_own(marked):
    out, run = marked
    assert texts(out, "test") == TEST_TEXTS
    assert not TEST_TEXTS & (texts(out, "train") | texts(out, "validation"))
    assert [path.name for path in sorted((out / "test").iterdir())] == [
        "test-00000-of-00001.jsonl", "test-00000-of-00001.outcomes.json",
    ]  # fmt: skip
    described = DatasetDescription.load((out / "dataset.json").read_bytes())
    counts = {"train": 2, "validation": 1, "test": 2}
    assert {name: split.examples for name, split in described.splits.items()} == counts
    assert {name: split["examples"] for name, split in run.json["splits"].items()} == counts
    assert [row["split"] for row in ledger(out)] == ["train"] * 2 + ["validation"] + ["test"] * 2
    assert any(line.startswith("test ") for line in run.stderr.splitlines())


def test_a_rerun_finds_it_finished(marked, prepare):
    out, _ = marked
    first = contents(out)
    run = prepare(out.parent / "t.jsonl", out)
    assert run.json["reused"] == 5
    assert contents(out) == first


def test_a_damaged_shard_of_it_is_found_and_written_again(marked, prepare, capfd):
    out, _ = marked
    shard = out / "test" / "test-00000-of-00001.jsonl"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-2] + b"x\n")
    assert main(["check", str(out)]) == 1
    assert "test/test-00000-of-00001.jsonl:2" in capfd.readouterr().out
    prepare(out.parent / "t.jsonl", out)
    assert shard.read_bytes() == whole


def test_check_counts_it_and_no_job_gets_it(marked, capfd):
    out, _ = marked
    assert main(["check", str(out)]) == 0
    assert json.loads(capfd.readouterr().out)["splits"]["test"]["examples"] == 2
    assert main(["tune", str(out), "--emulator", "--epochs=1"]) == 0
    joined = {path.name: path.read_text(encoding="utf-8") for path in (out / "tuning").glob("*.jsonl")}
    assert joined.keys() == {"train.jsonl", "validation.jsonl"}
    assert not any(json.dumps(text, ensure_ascii=False) in lines for text in TEST_TEXTS for lines in joined.values())
    capfd.readouterr()
    assert main(["predict", str(out), "--emulator", "--split=test"]) == 0
    report = json.loads(capfd.readouterr().out)
    assert (report["split"], report["asked"]) == ("test", 2)
    assert list(out.glob("tuning/runs/*/predictions-test-tuned-*.jsonl"))


def test_without_marks_there_is_none(reference, capfd):
    assert not (reference / "test").exists()
    assert b'"test"' not in (reference / "dataset.json").read_bytes()
    assert main(["predict", str(reference), "--emulator", "--split=test", "--model=base"]) == 1
    assert "has no test split: no row of its manifest is marked for it" in capfd.readouterr().err


def test_validation_is_chosen_of_what_is_not_held_out(folder, prepare):
    rows = [{**clip, "speaker": "", "split": "test" if index < 4 else ""} for index, clip in enumerate(SOME)]
    splits = prepare(write_manifest(folder / "t.jsonl", rows), folder / "out").json["splits"]
    assert splits["test"]["examples"] == 4
    assert splits["validation"]["examples"] == 2  # a tenth of the other twenty


def test_overwriting_takes_it_away(marked, prepare):
    out, _ = marked
    (out / "test" / "mine.txt").write_text("not from prepare")
    prepare(write_manifest(out.parent / "u.jsonl", FEW), out, "--overwrite")
    assert [path.name for path in (out / "test").iterdir()] == ["mine.txt"]
