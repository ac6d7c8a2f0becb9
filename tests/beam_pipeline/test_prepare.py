"""The preparing half from end to end: every row accounted for, the same bytes every time."""

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pybase64
import pytest
import soundfile

from beam_pipeline import prepare as verb
from beam_pipeline.requests import PrepareRequest
from tests import forked
from tests.beam_pipeline.conftest import EXAMPLES, FEW, SOME, contents, examples, ledger, lines, write_manifest
from tests.beam_pipeline.test_latency import prepare_interrupted
from tests.envelopes import report_of
from transforms.audio import encode
from transforms.dataset import plan
from transforms.dataset.clip_workers import ClipWorkers
from transforms.errors import StorageError
from transforms.payloads import Payload
from transforms.settings import DEFAULT_PROMPT
from transforms.storage import Storage

storage = Storage()

storage = Storage()

SPLITS = ("train", "validation")
BAD_ROWS = [
    {"id": "no-text", "audio_path": SOME[0]["audio_path"], "text": ""},
    {"id": "nowhere", "audio_path": "clips/nowhere.wav", "text": "x"},
    {"id": SOME[0]["id"], "audio_path": SOME[1]["audio_path"], "text": "the id is taken"},
]
SHORT = {name: value for name, value in FEW[2].items() if name != "speaker"}
# Recordings that already are what a payload is.
CONFORMING = [
    row
    for row in SOME
    if row["audio_path"].endswith((".wav", ".flac"))
    for info in [soundfile.info(EXAMPLES / row["audio_path"])]
    if (info.samplerate, info.channels, info.subtype) == (16_000, 1, "PCM_16")
]


def payload(line):
    """The samples, rate and MIME type that an example carries."""
    blob = line["contents"][0]["parts"][1]["inline_data"]
    return *encode.decode_payload(Payload(pybase64.b64decode(blob["data"]), blob["mime_type"])), blob["mime_type"]


def test_examples_decode_back_and_say_what_the_manifest_says(reference):
    wanted = {row["id"]: row["text"] for row in SOME}
    rows = ledger(reference)
    assert sorted(row["clip_id"] for row in rows) == sorted(wanted)
    for split in SPLITS:
        accepted = [row for row in rows if row["split"] == split]
        assert len(examples(reference, split)) == len(accepted) > 0
        for row, line in zip(accepted, examples(reference, split), strict=True):
            user, model = line["contents"]
            assert (user["role"], user["parts"][0]) == ("user", {"text": DEFAULT_PROMPT})
            assert model == {"role": "model", "parts": [{"text": wanted[row["clip_id"]]}]}
            samples, rate, mime = payload(line)
            assert (rate, mime, samples.dtype) == (16_000, "audio/flac", np.int16)
            assert samples.shape == (row["num_samples"],)


def test_the_ledger_leads_to_every_line(reference):
    for row in ledger(reference):
        shard = sorted((reference / row["split"]).glob("*.jsonl"))[row["shard_index"]]
        line = shard.read_bytes().splitlines(keepends=True)[row["line_index"]]
        assert (len(line), row["status"], row["reason"]) == (row["line_bytes"], "accepted", None)


def test_a_shard_without_clips_is_written_too(reference):
    """Else whoever counts the files of 0..5-of-00006 takes the dataset for incomplete."""
    sizes = [path.stat().st_size for path in sorted((reference / "train").glob("train-0000?-of-00006.jsonl"))]
    assert (len(sizes), 0 in sizes) == (6, True)
    assert len(list((reference / "train").iterdir())) == 12


def test_samples_of_a_conforming_recording_are_untouched(folder, prepare):
    assert len(CONFORMING) >= 3
    write_manifest(folder / "m.jsonl", CONFORMING)
    assert prepare(folder / "m.jsonl", folder / "out", "--keep_silence", "--verify").status == 0
    for row, line in zip(ledger(folder / "out"), examples(folder / "out", "train"), strict=True):
        original, _ = soundfile.read(folder / row["uri"].removeprefix(f"{folder}/"), dtype="int16")
        assert np.array_equal(payload(line)[0], original)


def test_two_runs_are_byte_identical_in_every_file(reference, folder, prepare, small_shards, monkeypatch):
    monkeypatch.chdir(folder)
    assert prepare("m.jsonl", "out").status == 0
    assert contents(folder / "out") == contents(reference)


@pytest.mark.parametrize("flags", [[], ["--direct_runner_bundle_repeat=1"], ["--runner=BundleBasedDirectRunner"]])
def test_the_bytes_do_not_depend_on_order_runner_or_threads(
    reference, folder, prepare, flags, small_shards, monkeypatch
):
    monkeypatch.chdir(folder)
    write_manifest(folder / "m.jsonl", SOME[::-1])
    run = prepare("m.jsonl", "out", "--clip_workers=3", *flags)
    assert run.status == 0
    ours, theirs = contents(folder / "out"), contents(reference)
    assert sorted(ours) == sorted(theirs)
    # All but "manifest:line", which is another after reversing: in the sidecars, the ledger and their checksums.
    same = [name for name in theirs if not name.endswith((".outcomes.json", ".parquet", "checksums.json"))]
    assert len([name for name in same if name.startswith(SPLITS)]) >= 6
    assert all(ours[name] == theirs[name] for name in same)


def test_a_bundle_that_runs_twice_reuses_nothing_from_an_earlier_run(folder, prepare):
    write_manifest(folder / "m.jsonl", FEW)
    run = prepare(folder / "m.jsonl", folder / "out", "--direct_runner_bundle_repeat=1")
    assert (run.json["reused"], "from an earlier run" in run.stderr) == (0, False)


def test_concatenated_shards_do_not_depend_on_their_number(reference, folder, prepare, monkeypatch):
    monkeypatch.chdir(folder)
    assert prepare("m.jsonl", "out").status == 0
    assert [len(list((folder / "out" / split).glob("*.jsonl"))) for split in SPLITS] == [1, 1]
    assert all(lines(folder / "out", split) == lines(reference, split) for split in SPLITS)
    described = [json.loads((output / "dataset.json").read_text()) for output in (folder / "out", reference)]
    assert described[0]["fingerprint"] == described[1]["fingerprint"]


def test_every_row_is_accounted_for_once(folder, prepare, small_shards):
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
    assert {letter["reject_reason"]: letter.get("id") for letter in letters} == {
        **{"missing_text": "no-text", "not_found": "nowhere"},
        **{"duplicate_id": SOME[0]["id"], "bad_row": None},
    }
    for word in ("missing_text", "rejected.jsonl", "--max_rejected_fraction=0.05"):
        assert word in run.stderr


TWICE = [{**row, "id": SOME[index // 2]["id"], "split": split} for index, row in enumerate(SOME) for split in SPLITS]


def test_doubled_ids_are_the_same_whether_they_are_listed_or_all_ids_are_compared(
    folder, prepare, small_shards, monkeypatch
):
    """Across manifests and splits."""
    write_manifest(folder / "a.jsonl", SOME + TWICE[:5])
    write_manifest(folder / "b.jsonl", TWICE[5:])
    flags = [f"--manifest={folder}/b.jsonl", "--max_rejected_fraction=1"]
    first = prepare(folder / "a.jsonl", folder / "listed", *flags)
    monkeypatch.setattr(plan, "MAX_DOUBLED_IDS", 0)
    assert prepare(folder / "a.jsonl", folder / "compared", *flags).json["reasons"] == first.json["reasons"]
    assert first.json["reasons"] == {"duplicate_id": len(TWICE)}
    assert contents(folder / "listed") == contents(folder / "compared")


def test_mended_dead_letters_are_a_manifest(folder, prepare):
    write_manifest(folder / "m.jsonl", FEW + BAD_ROWS[1:2])
    prepare(folder / "m.jsonl", folder / "out")
    mended = (folder / "out/rejected.jsonl").read_text().replace("clips/nowhere.wav", SOME[0]["audio_path"])
    (folder / "mended.jsonl").write_text(mended)
    assert prepare(folder / "mended.jsonl", folder / "out2").json["accepted"] == 1


@pytest.mark.parametrize(
    ("good", "bad", "fraction", "status"),
    [
        (3, 1, "0.25", 0),
        (3, 1, "0.24", 3),
        (3, 0, "0", 0),
        (3, 1, "0", 3),
        (19, 1, None, 0),  # the default: 5 %
        (18, 1, None, 3),
        (0, 2, "1", 0),
        (21, 29, "0.58", 0),  # 0.58 * 50 is 28.999999999999996
    ],
)
def test_too_many_rejected_on_both_sides(folder, prepare, good, bad, fraction, status):
    rows = [{**SHORT, "id": f"good {index}"} for index in range(good)]
    write_manifest(folder / "m.jsonl", rows + [{**BAD_ROWS[1], "id": f"bad {index}"} for index in range(bad)])
    flags = [] if fraction is None else [f"--max_rejected_fraction={fraction}"]
    run = prepare(folder / "m.jsonl", folder / "out", *flags)
    assert (run.status, run.json["accepted"], run.json["rejected"]) == (status, good, bad)
    assert ("of the rows were rejected" in run.stderr) == (status == 3)
    assert (folder / "out/dataset.json").exists()


def on_disk(output):
    """What tells that a file was written again."""
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in output.rglob("*") if path.is_file()}


def test_a_second_run_reuses_everything(finished, prepare):
    before = on_disk(finished)
    run = prepare("m.jsonl", "out")
    assert (run.status, run.json["reused"]) == (0, len(SOME))
    assert f"{len(SOME)} of {len(SOME)} clips were ready from an earlier run" in run.stderr
    shards = {path for path in before if path.parent.name in (*SPLITS, "rejected")}
    assert len(shards) >= 13
    assert {path: on_disk(finished)[path] for path in shards} == {path: before[path] for path in shards}


def _cut(path):
    path.write_bytes(path.read_bytes()[:-2])


def _flip(path):
    content = path.read_bytes()
    path.write_bytes(content[:40] + bytes([content[40] ^ 1]) + content[41:])


@pytest.mark.parametrize("damage", [Path.unlink, _cut, _flip])
@pytest.mark.parametrize("suffix", [".jsonl", ".outcomes.json"])
def test_only_what_is_damaged_is_written_again(finished, prepare, damage, suffix, reference):
    places = Counter((row["split"], row["shard_index"]) for row in ledger(finished / "out"))
    (split, index), rows = places.most_common(1)[0]
    pair = sorted((finished / "out" / split).glob(f"{split}-{index:05d}-of-*"))
    damage(next(path for path in pair if path.name.endswith(suffix)))
    before = on_disk(finished / "out")
    run = prepare("m.jsonl", "out")
    assert (run.status, run.json["reused"]) == (0, len(SOME) - rows)
    assert contents(finished / "out") == contents(reference)
    after = {path: mark for path, mark in on_disk(finished / "out").items() if path.parent.parent.name == "out"}
    assert sorted(path for path in after if after[path] != before.get(path) and "ledger" not in path.parts) == pair


@pytest.mark.parametrize("flags", [[], ["--prompt=Another.", "--overwrite"]])
def test_dataset_json_comes_last_and_every_sidecar_after_its_shard(finished, prepare, flags, monkeypatch):
    written, write = [], Storage.write
    (finished / "out/report.html").unlink()  # else nothing would be written

    def note(self, uri):
        # What is being changed is no complete dataset. To claim it changes nothing yet.
        assert uri.endswith("run.json") or not (finished / "out/dataset.json").exists()
        written.append(str(Path(uri).relative_to(finished / "out")))
        return write(self, uri)

    monkeypatch.setattr(Storage, "write", note)
    assert prepare("m.jsonl", "out", *flags).status == 0
    assert (written[0], written[-1]) == ("run.json" if flags else "manifests.json", "dataset.json")
    kept = () if flags else (*SPLITS, "rejected/", "run.json")
    every = [name for name in contents(finished / "out") if not name.startswith(kept)]
    assert sorted(written) == sorted(every)
    for name in written:
        if name.endswith(".jsonl") and name != "rejected.jsonl":
            assert written.index(name) < written.index(name.replace(".jsonl", ".outcomes.json"))


@pytest.mark.parametrize(
    ("name", "least_reused"),
    [
        ("run.json", 0),
        ("train/train-00001-of-00002.jsonl", 0),
        ("train/train-00001-of-00002.outcomes.json", 0),
        ("rejected.jsonl", len(FEW)),
        ("report.json", len(FEW)),
        ("dataset.json", len(FEW)),
    ],
)
def test_a_run_that_fails_anywhere_is_finished_by_the_next(
    folder, prepare, name, least_reused, small_shards, monkeypatch
):
    write_manifest(folder / "m.jsonl", FEW)
    assert prepare(folder / "m.jsonl", folder / "whole").status == 0
    write = Storage.write

    def fail(self, uri):
        if uri.endswith(f"/out/{name}"):
            raise StorageError("the disk is away")
        return write(self, uri)

    with monkeypatch.context() as patch:
        patch.setattr(Storage, "write", fail)
        failed = prepare(folder / "m.jsonl", folder / "out")
    assert (failed.status, failed.stdout) == (1, "")
    assert "cliptune prepare: the disk is away" in failed.stderr
    assert not (folder / "out/dataset.json").exists()
    run = prepare(folder / "m.jsonl", folder / "out")
    assert (run.status, least_reused <= run.json["reused"] <= len(FEW)) == (0, True)
    assert contents(folder / "out") == contents(folder / "whole")


def test_an_interrupted_run_says_how_to_go_on_and_is_finished_by_the_next(finished, prepare, reference):
    words = ["--manifest", "m.jsonl", "--output", "out", "--overwrite"]
    done = forked.run(prepare_interrupted, ClipWorkers, "convert", True, *words, folder=finished)
    assert (done.returncode, report_of(done.stdout, 1)) == (1, "")
    assert done.stderr == "cliptune prepare: stopped; the same command goes on from here\n"
    assert not (finished / "out/dataset.json").exists()
    assert prepare("m.jsonl", "out", "--overwrite").status == 0
    assert contents(finished / "out") == contents(reference)


def _csv(folder):
    with (folder / "m.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["key", "file", "words", "speaker"])
        writer.writerows([row["id"], row["audio_path"], row["text"], row.get("speaker")] for row in SOME)
    return "m.csv", "--id_column=key", "--audio_column=file", "--text_column=words"


def _elsewhere(folder):
    (folder / "lists").mkdir()
    (folder / "m.jsonl").rename(folder / "lists/m.jsonl")
    return "lists/m.jsonl", f"--audio_root={folder}"


def _in_two(folder):
    write_manifest(folder / "a.jsonl", SOME[:7])
    write_manifest(folder / "b.jsonl", SOME[7:])
    return "[ab].jsonl"


@pytest.mark.parametrize("make", [_csv, _elsewhere, _in_two])
def test_other_manifests_of_the_same_clips_give_the_same_lines(reference, folder, prepare, make, monkeypatch):
    monkeypatch.chdir(folder)
    manifest, *flags = [given] if isinstance(given := make(folder), str) else given
    assert prepare(manifest, "out", *flags).status == 0
    assert all(lines(folder / "out", split) == lines(reference, split) for split in SPLITS)


def test_a_folder_of_pairs(folder, prepare):
    for row in FEW:
        (folder / row["audio_path"]).with_suffix(".txt").write_text(row["text"], encoding="utf-8")
    run = prepare(folder / "clips", folder / "out", "--max_rejected_fraction=1")
    assert (run.json["accepted"], run.json["reasons"]) == (len(FEW), {"missing_text": len(SOME) - len(FEW)})
    texts = [line["contents"][1]["parts"][0]["text"] for line in examples(folder / "out", "train")]
    assert sorted(texts) == sorted(row["text"] for row in FEW)


def _flags(folder, prepare, rows, *flags):
    write_manifest(folder / "m.jsonl", rows)
    assert prepare(folder / "m.jsonl", folder / "out", "--verify", *flags).status == 0
    return ledger(folder / "out"), examples(folder / "out", "train")


@pytest.mark.parametrize(
    ("flags", "mime"),
    [
        (["--audio_format=wav"], "audio/wav"),
        (["--audio_format=mp3", "--bitrate=48"], "audio/mp3"),
        (["--audio_format=aac", "--sample_rate=24000"], "audio/x-aac"),
    ],
)
def test_audio_format(folder, prepare, flags, mime):
    rows, made = _flags(folder, prepare, FEW, *flags)
    assert {row["mime_type"] for row in rows} == {payload(line)[2] for line in made} == {mime}


def test_prompt_and_json_names(folder, prepare):
    _, made = _flags(folder, prepare, FEW, "--prompt=Say „it“.", "--json_names=camelCase")
    for line in made:
        text, blob = line["contents"][0]["parts"]
        assert text == {"text": "Say „it“."}
        assert (list(blob), list(blob["inlineData"])) == (["inlineData"], ["mimeType", "data"])


def test_over_duration_cuts_at_the_limit_or_rejects(folder, prepare):
    rows, _ = _flags(folder, prepare, FEW, "--over_duration=trim", "--max_duration=0.5", "--validation_fraction=0")
    assert max(row["num_samples"] for row in rows) == 8_000
    run = prepare(folder / "m.jsonl", folder / "out2", "--max_duration=0.5", "--max_rejected_fraction=1")
    cut = sum(row["num_samples"] == 8_000 for row in rows)
    assert run.json["reasons"] == {"too_long": cut} != {"too_long": 0}


def test_silence_is_trimmed_or_kept(folder, prepare):
    trimmed, _ = _flags(folder, prepare, FEW)
    assert any(row["trimmed_start_samples"] + row["trimmed_end_samples"] for row in trimmed)
    prepare(folder / "m.jsonl", folder / "out2", "--keep_silence")
    for kept, row in zip(ledger(folder / "out2"), trimmed, strict=True):
        assert (kept["trimmed_start_samples"], kept["trimmed_end_samples"]) == (0, 0)
        assert kept["num_samples"] == row["num_samples"] + row["trimmed_start_samples"] + row["trimmed_end_samples"]


@pytest.mark.parametrize(("fraction", "count"), [(0, 0), (0.1, 2), (0.2, 4), (0.5, 4)])  # Vertex allows a fifth
def test_validation_fraction(folder, prepare, fraction, count):
    rows = [{**row, "speaker": ""} for row in SOME[:20]]
    outcomes, _ = _flags(folder, prepare, rows, f"--validation_fraction={fraction}")
    assert Counter(row["split"] for row in outcomes) == Counter({"validation": count, "train": 20 - count})


def test_a_segment_is_cut_out_of_a_recording(folder, prepare):
    source = max(CONFORMING, key=lambda row: (folder / row["audio_path"]).stat().st_size)
    original, _ = soundfile.read(folder / source["audio_path"], dtype="int16")
    offsets = {f"s{i}": 1 + i / 2 for i in range(3)}
    rows = [{**source, "id": name, "offset": offset, "duration": 0.5} for name, offset in offsets.items()]
    outcomes, made = _flags(folder, prepare, rows, "--keep_silence")
    for row, line in zip(outcomes, made, strict=True):
        start = int(offsets[row["clip_id"]] * 16_000)
        assert np.array_equal(payload(line)[0], original[start : start + 8_000])


def test_manifest_audio_and_output_in_a_bucket(folder, prepare, bucket, reference, small_shards):
    for row in SOME:
        storage.write_bytes(f"{bucket}/in/{row['audio_path']}", (folder / row["audio_path"]).read_bytes())
    storage.write_bytes(f"{bucket}/in/m.jsonl", (folder / "m.jsonl").read_bytes())
    assert prepare(f"{bucket}/in/m.jsonl", f"{bucket}/out").status == 0
    names = {uri.removeprefix(f"{bucket}/out/") for uri in storage.list_files(f"{bucket}/out")}
    local = contents(reference)
    assert names == set(local)
    for name in [name for name in names if name.endswith(".jsonl")] + ["dataset.json", "report.json"]:
        assert storage.read_bytes(f"{bucket}/out/{name}") == local[name], name
    assert prepare(f"{bucket}/in/m.jsonl", f"{bucket}/out").json["reused"] == len(SOME)


def test_the_processor_time_of_each_stage_is_counted_for_each_converted_clip(folder):
    write_manifest(folder / "m.jsonl", [*FEW, BAD_ROWS[1]])
    request = PrepareRequest((str(folder / "m.jsonl"),), str(folder / "out"), max_rejected_fraction=1)
    first, again = (verb.run(request) for _ in range(2))
    assert list(first.cpu) == ["read", "decode", "conform", "encode", "line", "write"]
    assert {spent.count for spent in first.cpu.values()} == {len(FEW)}
    assert all(0 < spent.longest <= spent.total for spent in first.cpu.values())
    assert again.cpu == {}
