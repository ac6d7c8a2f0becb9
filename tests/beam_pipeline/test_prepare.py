"""The preparing half from end to end: every row accounted for, the same bytes every time."""

import contextlib
import csv
import json
import shutil

import pybase64
import pytest

from cliptune import main
from tests.beam_pipeline.conftest import EXAMPLES, SOME, contents, examples, ledger, write_manifest
from transforms import encode, storage
from transforms.encode import Payload

BAD_ROWS = [
    {"id": "no-text", "audio_path": SOME[0]["audio_path"], "text": ""},
    {"id": "nowhere", "audio_path": "clips/nowhere.wav", "text": "x"},
    {"id": SOME[0]["id"], "audio_path": SOME[1]["audio_path"], "text": "the id is taken"},
]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """A dataset of SOME, prepared once."""
    folder = tmp_path_factory.mktemp("reference")
    for row in SOME:
        (folder / row["audio_path"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(EXAMPLES / row["audio_path"], folder / row["audio_path"])
    write_manifest(folder / "m.jsonl", SOME)
    with contextlib.chdir(folder):
        assert main(["prepare", "--manifest", "m.jsonl", "--output", "out", "--verify"]) == 0
    return folder / "out"


def test_examples_decode_back_and_say_what_the_manifest_says(reference):
    wanted = {row["id"]: row["text"] for row in SOME}
    rows = ledger(reference)
    assert sorted(row["clip_id"] for row in rows) == sorted(wanted)
    for split in ("train", "validation"):
        accepted = [row for row in rows if row["split"] == split]
        lines = examples(reference, split)
        assert len(lines) == len(accepted) > 0
        for row, line in zip(accepted, lines, strict=True):
            assert line["contents"][1]["parts"][0]["text"] == wanted[row["clip_id"]]
            blob = line["contents"][0]["parts"][1]["inline_data"]
            samples, rate = encode.decode_payload(Payload(pybase64.b64decode(blob["data"]), blob["mime_type"]))
            assert (rate, samples.ndim, len(samples)) == (16_000, 1, row["num_samples"])


def test_two_runs_are_byte_identical_in_every_file(reference, folder, prepare, monkeypatch):
    monkeypatch.chdir(folder)
    assert prepare("m.jsonl", "out").status == 0
    assert contents(folder / "out") == contents(reference)


@pytest.mark.parametrize("flags", [[], ["--direct_runner_bundle_repeat=1"], ["--runner=BundleBasedDirectRunner"]])
def test_the_bytes_do_not_depend_on_order_runner_or_threads(reference, folder, prepare, flags, monkeypatch):
    monkeypatch.chdir(folder)
    write_manifest(folder / "m.jsonl", SOME[::-1])
    assert prepare("m.jsonl", "out", "--clip_threads=3", *flags).status == 0
    ours, theirs = contents(folder / "out"), contents(reference)
    shards = [name for name in theirs if name.endswith(".jsonl")]
    assert len(shards) == 3
    assert all(ours[name] == theirs[name] for name in [*shards, "dataset.json", "report.json", "run.json"])


def test_every_row_is_accounted_for(folder, prepare):
    write_manifest(folder / "m.jsonl", SOME + BAD_ROWS)
    with (folder / "m.jsonl").open("a") as file:
        file.write("no row\n")
    run = prepare(folder / "m.jsonl", folder / "out")
    assert (run.status, run.json["rows"]) == (3, len(SOME) + 4)
    assert run.json["accepted"] + run.json["rejected"] == run.json["rows"]
    assert run.json["reasons"] == {"bad_row": 1, "duplicate_id": 1, "missing_text": 1, "not_found": 1}
    sources = [int(row["source"].rpartition(":")[2]) for row in ledger(folder / "out")]
    assert sorted(sources) == list(range(1, len(SOME) + 5))
    letters = [json.loads(line) for line in (folder / "out/rejected.jsonl").read_text().splitlines()]
    assert {letter["reject_reason"] for letter in letters} == set(run.json["reasons"])
    assert next(letter for letter in letters if letter["reject_reason"] == "not_found")["id"] == "nowhere"
    for word in ("missing_text", "rejected.jsonl", "--max_rejected_fraction=0.05"):
        assert word in run.stderr


def test_mended_dead_letters_are_a_manifest(folder, prepare):
    write_manifest(folder / "m.jsonl", SOME[:5] + BAD_ROWS[1:2])
    prepare(folder / "m.jsonl", folder / "out")
    mended = (folder / "out/rejected.jsonl").read_text().replace("clips/nowhere.wav", SOME[0]["audio_path"])
    (folder / "mended.jsonl").write_text(mended)
    assert prepare(folder / "mended.jsonl", folder / "out2").json["accepted"] == 1


@pytest.mark.parametrize(("fraction", "status"), [("0.25", 0), ("0.24", 3)])
def test_too_many_rejected_on_both_sides(folder, prepare, fraction, status):
    write_manifest(folder / "m.jsonl", SOME[:3] + BAD_ROWS[:1])
    run = prepare(folder / "m.jsonl", folder / "out", f"--max_rejected_fraction={fraction}")
    assert (run.status, run.json["rejected"]) == (status, 1)
    assert (folder / "out/dataset.json").exists()


def test_a_second_run_reuses_everything(folder, prepare):
    write_manifest(folder / "m.jsonl", SOME[:6])
    assert prepare(folder / "m.jsonl", folder / "out").json["reused"] == 0
    before = {path: path.stat().st_ino for path in (folder / "out/train").iterdir()}
    run = prepare(folder / "m.jsonl", folder / "out")
    assert run.json["reused"] == 6
    assert "6 of 6 clips were ready from an earlier run" in run.stderr
    assert {path: path.stat().st_ino for path in (folder / "out/train").iterdir()} == before


def test_only_what_is_damaged_is_written_again(folder, prepare):
    prepare(folder / "m.jsonl", folder / "out")
    before = contents(folder / "out")
    shard = next((folder / "out/validation").glob("*.jsonl"))
    kept = next((folder / "out/train").glob("*.jsonl"))
    inode = kept.stat().st_ino
    shard.write_bytes(shard.read_bytes()[:-100])
    run = prepare(folder / "m.jsonl", folder / "out")
    assert 0 < run.json["reused"] < len(SOME)
    assert contents(folder / "out") == before
    assert kept.stat().st_ino == inode


def test_other_manifests_give_the_same_examples(reference, folder, prepare):
    with (folder / "m.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["key", "file", "words"])
        writer.writerows([row["id"], row["audio_path"], row["text"]] for row in SOME)
    flags = ("--id_column=key", "--audio_column=file", "--text_column=words")
    run = prepare(folder / "m.csv", folder / "out", *flags)
    every = {json.dumps(line) for split in ("train", "validation") for line in examples(folder / "out", split)}
    theirs = {json.dumps(line) for split in ("train", "validation") for line in examples(reference, split)}
    assert (run.status, every) == (0, theirs)


def test_a_folder_of_pairs(folder, prepare):
    for row in SOME[:4]:
        (folder / row["audio_path"]).with_suffix(".txt").write_text(row["text"], encoding="utf-8")
    run = prepare(folder / "clips", folder / "out", "--max_rejected_fraction=1")
    assert run.json["accepted"] == 4
    texts = {line["contents"][1]["parts"][0]["text"] for line in examples(folder / "out", "train")}
    assert texts == {row["text"] for row in SOME[:4]}


@pytest.mark.parametrize(
    ("flags", "mime"),
    [
        (["--audio_format=wav", "--json_names=camelCase", "--prompt=Say it."], "audio/wav"),
        (["--audio_format=mp3", "--bitrate=48", "--keep_silence"], "audio/mp3"),
        (["--audio_format=aac", "--sample_rate=24000"], "audio/x-aac"),
        (["--over_duration=trim", "--max_duration=1", "--validation_fraction=0"], "audio/flac"),
    ],
)
def test_the_flags_do_what_they_say(folder, prepare, flags, mime):
    write_manifest(folder / "m.jsonl", SOME[:8])
    run = prepare(folder / "m.jsonl", folder / "out", "--verify", *flags)
    assert run.status == 0
    rows = ledger(folder / "out")
    assert {row["mime_type"] for row in rows} == {mime}
    user = examples(folder / "out", "train")[0]["contents"][0]["parts"]
    if mime == "audio/wav":
        assert user[0]["text"] == "Say it."
        assert user[1]["inlineData"]["mimeType"] == mime
    if mime == "audio/flac":
        assert max(row["num_samples"] for row in rows) == 16_000
        assert all(row["split"] == "train" for row in rows)
    if mime == "audio/mp3":
        assert {(row["trimmed_start_samples"], row["trimmed_end_samples"]) for row in rows} == {(0, 0)}


def test_a_segment_is_cut_out_of_a_recording(folder, prepare):
    long = max(SOME, key=lambda row: (folder / row["audio_path"]).stat().st_size)
    rows = [{**long, "id": f"s{i}", "offset": i / 2, "duration": 0.5} for i in range(3)]
    write_manifest(folder / "m.jsonl", rows)
    run = prepare(folder / "m.jsonl", folder / "out", "--keep_silence")
    assert run.json["accepted"] + run.json["reasons"].get("silent", 0) == 3
    assert {row["num_samples"] for row in ledger(folder / "out")} <= {8_000, None}


def test_manifest_audio_and_output_in_a_bucket(folder, prepare, bucket, reference):
    for row in SOME:
        storage.write_bytes(f"{bucket}/in/{row['audio_path']}", (folder / row["audio_path"]).read_bytes())
    storage.write_bytes(f"{bucket}/in/m.jsonl", (folder / "m.jsonl").read_bytes())
    run = prepare(f"{bucket}/in/m.jsonl", f"{bucket}/out")
    assert run.status == 0
    for name, content in contents(reference).items():
        if name.endswith(".jsonl"):
            assert storage.read_bytes(f"{bucket}/out/{name}") == content
    assert json.loads(storage.read_bytes(f"{bucket}/out/dataset.json"))["accepted"] == len(SOME)
    assert prepare(f"{bucket}/in/m.jsonl", f"{bucket}/out").json["reused"] == len(SOME)
