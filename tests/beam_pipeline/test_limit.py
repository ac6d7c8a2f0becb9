"""`prepare --limit N`: the same N clips at any time, on any runner, before merges and after."""

import json

import pytest

from tests.beam_pipeline.conftest import SOME, contents, lines, prepare, write_manifest
from tests.beam_pipeline.test_merge import merge
from transforms.dataset import assign
from transforms.storage import Storage

__all__ = ["merge", "prepare"]  # fixtures
NAMES = sorted((row["id"] for row in SOME), key=assign.order_key)
ALL = ("--validation_fraction=0", "--max_rejected_fraction=1")


def ids(output, split="train"):
    """The ids of a split in its order, with no clip left out."""
    paths = sorted((output / split).glob("*.outcomes.json"))
    return [outcome["clip_id"] for path in paths for outcome in json.loads(path.read_text())["outcomes"]]


def without_run(output):
    return contents(output, without=("run.json", "manifests.json", "report.html", "checksums.json", "dataset.json"))


def test_it_is_the_beginning_of_the_whole_and_a_part_of_a_larger_one(folder, prepare, small_shards):
    whole = prepare(folder / "m.jsonl", folder / "whole", *ALL)
    five, nine = (prepare(folder / "m.jsonl", folder / str(n), f"--limit={n}", *ALL) for n in (5, 9))
    assert (five.json["rows"], nine.json["rows"]) == (5, 9)
    assert (ids(folder / "5"), ids(folder / "9")) == (NAMES[:5], NAMES[:9])
    assert lines(folder / "5", "train") == lines(folder / "whole", "train")[:5]
    assert lines(folder / "9", "train") == lines(folder / "whole", "train")[:9]
    assert len({run.json["fingerprint"] for run in (whole, five, nine)}) == 3


def test_rows_that_nobody_samples_change_nothing_and_as_many_as_there_are_is_all(folder, prepare, small_shards):
    prepare(folder / "m.jsonl", folder / "five", "--limit=5")
    later = [row for row in SOME if row["id"] in NAMES[:5]]  # the manifest before the others were there
    prepare(write_manifest(folder / "early.jsonl", later), folder / "early")
    assert ids(folder / "five") == ids(folder / "early")
    prepare(folder / "m.jsonl", folder / "all", f"--limit={len(SOME)}")
    prepare(folder / "m.jsonl", folder / "more", f"--limit={len(SOME) + 1}")
    prepare(folder / "m.jsonl", folder / "plain")
    assert contents(folder / "all") == contents(folder / "more") == contents(folder / "plain")


def test_a_rerun_reuses_it_and_another_limit_is_another_dataset(folder, prepare):
    first = prepare(folder / "m.jsonl", folder / "out", "--limit=5")
    again = prepare(folder / "m.jsonl", folder / "out", "--limit=5")
    assert (again.json["reused"], again.json["fingerprint"]) == (5, first.json["fingerprint"])
    other = prepare(folder / "m.jsonl", folder / "out", "--limit=6")
    assert (other.status, "--overwrite" in other.stderr) == (1, True)
    assert prepare(folder / "m.jsonl", folder / "out", "--limit=6", "--overwrite").json["rows"] == 6


def test_held_out_clips_are_a_share_of_the_sample(folder, prepare):
    rows = [{**SOME[0], "id": f"clip{number}", "group": f"{number}"} for number in range(60)]
    write_manifest(folder / "many.jsonl", rows)
    run = prepare(folder / "many.jsonl", folder / "out", "--limit=40", "--validation_fraction=0.1")
    assert run.json["rows"] == 40
    # Their audio is that of the others, for which examples are left out; that a clip is held out is decided before.
    assert {split: len(ids(folder / "out", split)) for split in ("train", "validation")} == {
        "train": 36,
        "validation": 4,
    }


def test_mended_rows_of_a_sample_are_merged_into_it(folder, prepare, merge, small_shards, monkeypatch):
    monkeypatch.chdir(folder)
    wrong = [{**row, "audio_path": "gone.wav"} if row["id"] == NAMES[2] else row for row in SOME]
    wrong = [{**row, "text": None} if row["id"] == NAMES[3] else row for row in wrong]
    write_manifest(folder / "m.jsonl", wrong)
    assert prepare("m.jsonl", "out", "--limit=5", *ALL).json["rejected"] == 2
    letters = [json.loads(line) for line in (folder / "out/rejected.jsonl").read_text().splitlines()]
    right = {row["id"]: row for row in SOME}
    # One gets another id, whose place is behind the last of the sample: it was chosen all the same.
    last = {**right[NAMES[3]], "id": max((f"{n}" for n in range(99)), key=assign.order_key)}
    mended = {NAMES[2]: right[NAMES[2]], NAMES[3]: last}
    write_manifest(folder / "mended.jsonl", [{**letter, **mended[letter["id"]]} for letter in letters])
    run = merge("mended.jsonl")
    assert (run.status, run.json["rows"], run.json["accepted"]) == (0, 6, 6), run.stderr  # five clips, and no clip
    assert set(ids(folder / "out")) == {*NAMES[:3], *NAMES[4:6], last["id"]}
    refused = merge("mended.jsonl", "out", "--limit=9")
    assert (refused.status, "left out with --merge_into" in refused.stderr) == (2, True)
    # A row that is added is one more, whatever its place.
    write_manifest(folder / "one.jsonl", [{**right[NAMES[-1]], "audio_path": str(folder / SOME[0]["audio_path"])}])
    assert merge("one.jsonl").json["rows"] == 7


@pytest.mark.parametrize("number", ["0", "-1", "x", "1.5"])
def test_a_limit_is_a_whole_number_above_zero(prepare, number):
    run = prepare("m.jsonl", "out", f"--limit={number}")
    assert (run.status, "limit" in run.stderr, run.stderr.count("\n")) == (2, True, 1)


def test_in_a_bucket_it_is_the_same(bucket, folder, prepare):
    storage = Storage()
    for row in SOME:
        storage.write_bytes(f"{bucket}/{row['audio_path']}", (folder / row["audio_path"]).read_bytes())
    storage.write_bytes(f"{bucket}/m.jsonl", (folder / "m.jsonl").read_bytes())
    far = prepare(f"{bucket}/m.jsonl", f"{bucket}/out", "--limit=5")
    here = prepare(folder / "m.jsonl", folder / "out", "--limit=5")
    assert (far.json["rows"], far.json["fingerprint"]) == (5, here.json["fingerprint"])
