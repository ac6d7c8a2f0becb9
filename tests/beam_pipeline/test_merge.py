"""Merging mended rows into a dataset: the same bytes as if they had been right from the start."""

import contextlib
import json
import shutil
from pathlib import Path

import pytest
import soundfile

from cliptune.main import main
from tests.beam_pipeline.conftest import Run, contents, ledger
from tests.envelopes import report_of
from tests.sounds import tone
from transforms.storage import Storage

# What a dataset knows of its merges, which one that was right from the start does not have.
OF_MERGES = ("manifests.json", "mended.jsonl")
GOOD = 9
ENGINES = [[], ["--runner=BundleBasedDirectRunner"]]


def wrong(clip_id, **fields):
    return {"id": clip_id, "audio_path": f"audio/{clip_id}.wav", "text": f"words of {clip_id}", **fields}


RIGHT = [wrong(f"clip{index}") for index in range(GOOD)]
# Each wrong row, and how it is mended.
MENDED = [
    (wrong("typing", audio_path="audio/tipping.wav"), wrong("typing")),
    (wrong("silent", text=""), wrong("silent")),
    (wrong("typed", text=7), wrong("typed", text="seven")),
    ('{"id": "cut", "audio_path"', wrong("cut")),
    (wrong("clip0", audio_path="audio/double.wav"), wrong("double")),
    (wrong("elsewhere", audio_path="../../secret.wav"), wrong("elsewhere")),
]


def write(path, rows):
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture
def folder(tmp_path, monkeypatch, small_shards):
    """Recordings; `m.jsonl` with the good rows and the first wrong ones, `other/n.jsonl` with the others."""
    (tmp_path / "audio").mkdir()
    names = [row["id"] for row in RIGHT] + [right["id"] for _, right in MENDED] + ["late", "new"]
    for index, name in enumerate(names):
        soundfile.write(tmp_path / f"audio/{name}.wav", tone(300 + 50 * index, 8_000), 16_000)
    (tmp_path / "other").mkdir()
    shutil.copytree(tmp_path / "audio", tmp_path / "other/audio")
    monkeypatch.chdir(tmp_path)
    fill(0)
    return tmp_path


def fill(side):
    """Writes the manifests with the wrong rows (side 0) or the right ones (1)."""
    rows = [each[side] for each in MENDED]
    write(Path("m.jsonl"), RIGHT[:5] + rows[:3])
    write(Path("other/n.jsonl"), rows[3:] + RIGHT[5:])


def first(prepare, output="out", *flags):
    run: Run = prepare("m.jsonl", output, "--manifest=other/n.jsonl", "--max_rejected_fraction=1", *flags)
    assert run.status == 0, run.stderr
    return run


@pytest.fixture
def merge(capfd):
    def call(manifest, output="out", *flags):
        capfd.readouterr()
        words = ["--manifest", str(manifest), "--merge_into", str(output), "--max_rejected_fraction=1", *flags]
        try:
            status = main(["prepare", *words])
        except SystemExit as end:
            status = int(end.code or 0)
        captured = capfd.readouterr()
        assert "Traceback" not in captured.err, captured.err
        return Run(status, report_of(captured.out, status), captured.err)

    return call


def mend(path, *, ids=None, destination=None):
    """Mends the rows of `rejected.jsonl`, in place or in a copy."""
    rights = {right["id"]: right for _, right in MENDED} | {"clip0": wrong("double")}
    found = []
    for line in path.read_text().splitlines():
        letter = json.loads(line)
        why = {name: value for name, value in letter.items() if name.startswith("reject_")}
        clip_id = letter.get("id", "cut")
        found.append({**rights[clip_id], **why} if ids is None or clip_id in ids else letter)
    write(destination or path, found)


@pytest.mark.parametrize("engine", ENGINES, ids=["in this process", "elsewhere"])
def test_a_merged_dataset_is_as_if_it_had_been_right_from_the_start(folder, prepare, merge, engine):
    assert first(prepare).json["rejected"] == len(MENDED)
    mend(folder / "out/rejected.jsonl")
    merged = merge("out/rejected.jsonl", "out", *engine)
    assert (merged.status, merged.json["accepted"], merged.json["rejected"]) == (0, GOOD + len(MENDED), 0)
    fill(1)
    assert first(prepare, "right").json["rejected"] == 0
    assert contents(folder / "out", OF_MERGES) == contents(folder / "right", OF_MERGES)


def test_a_second_merge_of_the_same_rows_changes_nothing(folder, prepare, merge):
    first(prepare)
    mend(folder / "out/rejected.jsonl", destination=folder / "mended.jsonl")
    assert merge("mended.jsonl").json["rejected"] == 0
    once = contents(folder / "out")
    for manifest in ("mended.jsonl", "out/rejected.jsonl"):
        again = merge(manifest)
        assert (again.status, again.json["reused"]) == (0, GOOD + len(MENDED))
        assert contents(folder / "out") == once


def test_rows_are_mended_in_rounds(folder, prepare, merge):
    first(prepare)
    for ids in (["typing"], ["cut", "clip0"], ["silent"], ["typed", "elsewhere"]):
        before = len((folder / "out/rejected.jsonl").read_text().splitlines())
        mend(folder / "out/rejected.jsonl", ids=ids)
        assert merge("out/rejected.jsonl").json["rejected"] == before - len(ids)
    fill(1)
    first(prepare, "right")
    assert contents(folder / "out", OF_MERGES) == contents(folder / "right", OF_MERGES)


def test_a_recording_that_appears_needs_no_edit(folder, prepare, merge):
    """And a merge from another folder finds the dataset's manifests."""
    write(folder / "m.jsonl", [*RIGHT, wrong("late", audio_path="audio/later.wav"), wrong("silent", text="")])
    prepare("m.jsonl", "out", "--max_rejected_fraction=1")
    shutil.copy(folder / "audio/late.wav", folder / "audio/later.wav")
    (folder / "deeper").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder / "deeper")
        run = merge("../out/rejected.jsonl", "../out")
    assert (run.json["accepted"], run.json["reasons"]) == (GOOD + 1, {"missing_text": 1})
    prepare("m.jsonl", "right", "--max_rejected_fraction=1")
    assert contents(folder / "out", OF_MERGES) == contents(folder / "right", OF_MERGES)


def test_a_row_taken_out_of_the_letters_stays_rejected_as_it_was(folder, prepare, merge):
    first(prepare)
    before = {row["source"]: row for row in ledger(folder / "out") if row["status"] == "rejected"}
    letters = (folder / "out/rejected.jsonl").read_text().splitlines()
    write(folder / "few.jsonl", [line for line in letters if '"typing"' in line])
    mend(folder / "few.jsonl")
    assert merge("few.jsonl").json["rejected"] == len(MENDED) - 1
    after = {row["source"]: row for row in ledger(folder / "out") if row["status"] == "rejected"}
    assert {source: row["reason"] for source, row in after.items()} == {
        source: row["reason"] for source, row in before.items() if row["clip_id"] != "typing"
    }


def test_rows_that_no_manifest_had_are_added(folder, prepare, merge):
    first(prepare)
    write(folder / "more.jsonl", [wrong("new"), wrong("late", audio_path="audio/none.wav")])
    assert merge("more.jsonl").json["rows"] == GOOD + len(MENDED) + 2
    once = contents(folder / "out")
    assert merge("more.jsonl").json["accepted"] == GOOD + 1
    assert contents(folder / "out") == once
    letters = (folder / "out/rejected.jsonl").read_text()
    (folder / "out/rejected.jsonl").write_text(letters.replace("none.wav", "late.wav"))
    assert merge("out/rejected.jsonl").json["accepted"] == GOOD + 2
    rows = {row["clip_id"]: row["source"] for row in ledger(folder / "out")}
    assert (rows["new"], rows["late"]) == ("added.jsonl:1", "added.jsonl:2")


def test_equal_audio_is_compared_anew(folder, prepare, merge):
    write(folder / "m.jsonl", [*RIGHT, wrong("typing", audio_path="audio/tipping.wav")])
    prepare("m.jsonl", "out", "--max_rejected_fraction=1", "--dedupe=audio")
    letters = (folder / "out/rejected.jsonl").read_text()
    (folder / "out/rejected.jsonl").write_text(letters.replace("tipping", "clip0"))
    assert merge("out/rejected.jsonl").json["reasons"] == {"duplicate_audio": 1}
    write(folder / "m.jsonl", [*RIGHT, wrong("typing", audio_path="audio/clip0.wav")])
    prepare("m.jsonl", "right", "--max_rejected_fraction=1", "--dedupe=audio")
    assert contents(folder / "out", OF_MERGES) == contents(folder / "right", OF_MERGES)


def test_settings_are_those_of_the_dataset(folder, prepare, merge):
    flags = ["--sample_rate=8000", "--prompt=Write it down."]
    first(prepare, "out", *flags)
    mend(folder / "out/rejected.jsonl")
    assert merge("out/rejected.jsonl").json["rejected"] == 0
    fill(1)
    first(prepare, "right", *flags)
    assert contents(folder / "out", OF_MERGES) == contents(folder / "right", OF_MERGES)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--sample_rate=8000"], "--sample_rate=8000 contradicts --merge_into out, which was made with 16000"),
        (["--audio_root=audio"], "--audio_root=audio contradicts --merge_into out, which was made with None"),
        (["--text_column=words"], "--text_column=words contradicts --merge_into out, which was made with None"),
        (["--output=other"], "--merge_into must be the same as --output"),
        (["--overwrite"], "--overwrite must be left out with --merge_into"),
    ],
)
def test_flags_that_contradict_the_dataset(folder, prepare, merge, flags, told):
    first(prepare)
    before = contents(folder / "out")
    run = merge("out/rejected.jsonl", "out", *flags)
    assert (run.status, run.stdout) == (2, "")
    assert told in run.stderr
    assert contents(folder / "out") == before


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda folder: (folder / "m.jsonl").unlink(), "m.jsonl: there is no such manifest, file or folder; the data"),
        (
            lambda folder: write(folder / "m.jsonl", RIGHT),
            "m.jsonl, other/n.jsonl: changed since out was made (15 rows",
        ),
        (
            lambda folder: write(folder / "out/rejected.jsonl", ["{"]),
            "out/rejected.jsonl:1: the line is not valid JSON",
        ),
        (lambda folder: shutil.rmtree(folder / "out"), "--merge_into out: there is no dataset"),
        (lambda folder: (folder / "out/run.json").unlink(), "--merge_into out: there is no dataset"),
        (lambda folder: (folder / "out/manifests.json").unlink(), "run the command that made it once more"),
        (
            lambda folder: write(folder / "out/rejected.jsonl", [wrong("x", reject_source="x:7", reject_reason=None)]),
            "x:7: no row of out is from there (1 such rows)",
        ),
    ],
)
def test_what_cannot_be_merged_is_told_in_one_line(folder, prepare, merge, change, told):
    first(prepare)
    change(folder)
    run = merge("out/rejected.jsonl")
    assert (run.status, run.stdout, run.stderr.count("\n")) == (1, "", 1)
    assert told in run.stderr


def test_a_merge_in_a_bucket(gcs, folder, prepare, merge):
    """With manifests on this machine and the dataset in a bucket."""
    storage, out = Storage(), "gs://cliptune-test/out"
    first(prepare, out)
    (folder / "letters.jsonl").write_bytes(storage.read_bytes(f"{out}/rejected.jsonl"))
    mend(folder / "letters.jsonl")
    assert merge("letters.jsonl", out).json["rejected"] == 0
    again = merge(f"{out}/rejected.jsonl", out)
    assert (again.status, again.json["reused"]) == (0, GOOD + len(MENDED))
    fill(1)
    first(prepare, "right")
    found = {each.removeprefix(f"{out}/"): storage.read_bytes(each) for each in storage.list_files(out)}
    assert {name: found[name] for name in found if name not in OF_MERGES} == contents(folder / "right", OF_MERGES)


@pytest.mark.sweep
@pytest.mark.parametrize(
    "moment", ["mended.jsonl", "run.json", "-of-00004.jsonl", ".outcomes.json", "rejected.jsonl", "dataset.json"]
)
def test_a_killed_merge_is_finished_by_the_next(folder, prepare, merge, monkeypatch, moment):
    first(prepare)
    mend(folder / "out/rejected.jsonl", destination=folder / "mended.jsonl")
    replace = Path.replace

    def stopped(path, target):
        if str(target).endswith(moment):
            raise KeyboardInterrupt
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stopped)
        with contextlib.suppress(KeyboardInterrupt, BaseException):
            merge("mended.jsonl")
    assert merge("mended.jsonl").json["rejected"] == 0
    fill(1)
    first(prepare, "right")
    assert contents(folder / "out", OF_MERGES) == contents(folder / "right", OF_MERGES)
