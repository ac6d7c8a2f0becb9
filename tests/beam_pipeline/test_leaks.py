"""No audio is both held out and trained on: one recording's rows share a split, equal payloads lose one side."""

import json
import shutil

import pytest

from cliptune.main import main
from tests.beam_pipeline.conftest import FEW, contents, ledger, lines, write_manifest
from transforms.dataset.sidecar import Sidecar

FIRST = FEW[0]["audio_path"]
COPIES = [f"copy{number}.{FIRST.rpartition('.')[2]}" for number in (1, 2)]


def row(number, split=None, audio=FIRST, **more):
    marked = {"split": split} if split else {}
    return {"id": f"clip-{number}", "audio_path": audio, "text": f"text {number}", **marked, **more}


@pytest.fixture
def copies(folder):
    """The recordings, and copies of the first under other names."""
    for name in COPIES:
        shutil.copy(folder / FIRST, folder / name)
    return folder


ROWS = [
    row(1, "train"),
    row(2, "validation", COPIES[0]),
    row(3, "test", COPIES[1]),
    row(4, "validation", FEW[1]["audio_path"]),
    row(5, "test", FEW[2]["audio_path"]),
    row(6, "test", FEW[1]["audio_path"]),
    row(7, "test", FEW[2]["audio_path"]),  # twice in one split: no leak
]


def prepared(folder, prepare, rows=ROWS, *flags):
    return prepare(write_manifest(folder / "t.jsonl", rows), folder / "out", "--max_rejected_fraction=1", *flags)


def test_the_held_out_side_of_equal_audio_is_dropped(copies, prepare, capfd):
    run = prepared(copies, prepare)
    assert run.json["reasons"] == {"audio_in_train": 3}
    told = {row["clip_id"]: (row["split"], row["reason"], row["detail"]) for row in ledger(copies / "out")}
    first = f"the same audio as 'clip-1' ({copies}/t.jsonl:1), which is in the train split"
    assert told["clip-2"] == ("validation", "audio_in_train", first)
    assert told["clip-3"] == ("test", "audio_in_train", first)
    assert "'clip-4'" in told["clip-6"][2]
    assert [told[f"clip-{number}"][1] for number in (1, 4, 5, 7)] == [None] * 4
    assert [len(lines(copies / "out", split)) for split in ("train", "validation", "test")] == [1, 1, 2]
    letters = [json.loads(line) for line in (copies / "out" / "rejected.jsonl").read_text().splitlines()]
    assert sorted(letter["text"] for letter in letters) == ["text 2", "text 3", "text 6"]
    main(["check", str(copies / "out")])
    assert "audio_in_both_splits" not in capfd.readouterr().out


@pytest.mark.parametrize("flags", [[], ["--dedupe=audio"]])
def test_again_it_is_the_same(copies, prepare, flags):
    prepared(copies, prepare, ROWS, *flags)
    first = contents(copies / "out")
    assert prepared(copies, prepare, ROWS, *flags).json["reused"] == 7
    (copies / "out" / "dataset.json").unlink()
    prepared(copies, prepare, ROWS, *flags)
    assert contents(copies / "out") == first


def test_a_run_that_ended_between_shard_and_sidecar_ends_the_same(copies, prepare):
    prepared(copies, prepare)
    first = contents(copies / "out")
    (path,) = (copies / "out" / "validation").glob("*.json")
    path.write_bytes(Sidecar.load(path.read_bytes()).dump().replace(b'"bytes":', b'"bytes":1'))
    (copies / "out" / "dataset.json").unlink()
    prepared(copies, prepare)
    assert contents(copies / "out") == first


def test_rows_of_one_recording_share_a_split(folder, prepare):
    rows = [
        row(f"{number}-{part}", None, clip["audio_path"], start=part / 10, end=part / 10 + 0.2)
        for number, clip in enumerate(FEW)
        for part in range(5)
    ] + [row(f"whole {number}-{n}", None, clip["audio_path"]) for number, clip in enumerate(FEW) for n in range(2)]
    run = prepared(folder, prepare, rows)
    splits: dict[str, set[str]] = {}
    for found in ledger(folder / "out"):
        splits.setdefault(found["uri"], set()).add(found["split"])
    assert sorted(map(len, splits.values())) == [1] * 5
    assert {"train", "validation"} == set.union(*splits.values())
    (warning,) = (line for line in run.json["warnings"] if "were asked for" in line)
    assert "validation has 2" in warning


def test_the_share_is_not_spoken_of_where_it_is_as_asked_for(reference):
    assert json.loads((reference / "report.json").read_text())["warnings"] == []
