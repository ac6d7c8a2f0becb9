"""`prepare --dry_run`: what would be made, without a byte being written, as near to the truth as a few clips tell."""

import base64
import json

import pytest

from tests.beam_pipeline.conftest import SOME, contents, examples, folder, ledger, prepare, write_manifest
from transforms.dataset import assign
from transforms.storage import Storage

__all__ = ["folder", "prepare"]  # fixtures
FLAGS = ("--max_rejected_fraction=1",)


def dry(prepare, manifest, output, *flags):
    run = prepare(manifest, output, "--dry_run", *flags)
    assert run.status == 0, run.stderr
    return run.json, run.json["preview"], run.stderr


def test_it_shows_the_examples_as_they_will_be_but_for_their_base64(folder, prepare):
    before = contents(folder)
    _, seen, told = dry(prepare, folder / "m.jsonl", folder / "out")
    assert contents(folder) == before
    prepare(folder / "m.jsonl", folder / "out")
    rows = {row["clip_id"]: row for row in ledger(folder / "out")}
    real = {}
    for split in ("train", "validation"):
        for row, tree in zip(_accepted(rows.values(), split), examples(folder / "out", split), strict=True):
            data = tree["contents"][0]["parts"][1]["inline_data"]
            data["data"] = f"<base64 of {len(base64.b64decode(data['data'])):,} bytes of FLAC>"
            real[row["clip_id"]] = (split, tree, row["line_bytes"], row["num_samples"] / 16_000)
    assert [each["source"] for each in seen["examples"]] == [f"{folder}/m.jsonl:{line}" for line in (1, 2, 3)]
    for each in seen["examples"]:
        assert (each["split"], each["example"], each["bytes"], each["seconds"]) == real[each["clip_id"]]
        assert json.dumps(each["example"], separators=(",", ":"), ensure_ascii=False)[:60] in told


def _accepted(rows, split):
    found = [row for row in rows if row["split"] == split and row["status"] == "accepted"]
    return sorted(found, key=lambda row: (row["shard_index"], row["line_index"]))


def test_it_counts_splits_and_says_which_columns_are_read(folder, prepare):
    rows = [{**row, "split": "test" if number < 4 else "train"} for number, row in enumerate(SOME)]
    write_manifest(folder / "m.jsonl", [*rows, {"id": "bad", "audio_path": "x.wav"}])
    tree, seen, told = dry(prepare, folder / "m.jsonl", folder / "out", "--group_column=speaker")
    assert seen["splits"] == {"train": len(SOME) - 4, "validation": 0, "test": 4, "rejected": 1}
    (manifest,) = seen["manifests"]
    assert (manifest["rows"], tree["rows"]) == (len(SOME) + 1, len(SOME) + 1)
    assert manifest["columns"].items() >= {"audio": "audio_path", "text": "text", "group": "speaker"}.items()
    assert "audio from audio_path" in told


def test_of_a_few_clips_the_estimate_is_what_they_will_be(folder, prepare):
    write_manifest(folder / "few.jsonl", [{**row, "duration": None} for row in SOME[:9]])
    _, seen, _ = dry(prepare, folder / "few.jsonl", folder / "out", "--validation_fraction=0")
    run = prepare(folder / "few.jsonl", folder / "out", "--validation_fraction=0")
    size, made = seen["estimate"], run.json["splits"]["train"]
    assert (size["tried"], size["rejected"], size["bytes"]) == (9, 0, made["bytes"])
    assert size["audio_seconds"] == pytest.approx(made["audio_seconds"], abs=0.01)
    assert size["told_seconds"] is None


def test_what_the_rows_say_of_their_length_is_added_up(folder, prepare):
    parts = [{**SOME[0], "id": f"part{number}", "offset": number / 10, "duration": 0.2} for number in range(3)]
    write_manifest(folder / "parts.jsonl", parts)
    assert dry(prepare, folder / "parts.jsonl", folder / "out")[1]["estimate"]["told_seconds"] == pytest.approx(0.6)


def test_a_row_that_would_be_rejected_says_why(folder, prepare):
    rows = [{"id": "none", "audio_path": "gone.wav", "text": "a"}, {"id": "bad", "audio_path": "x.wav"}, SOME[0]]
    write_manifest(folder / "m.jsonl", rows)
    _, seen, told = dry(prepare, folder / "m.jsonl", folder / "out", *FLAGS)
    assert [each["reason"] for each in seen["examples"]] == ["not_found", "missing_text", ""]
    assert [each["example"] is None for each in seen["examples"]] == [True, True, False]
    assert (seen["estimate"]["tried"], seen["estimate"]["rejected"]) == (2, 1)
    assert "1 of the 2 clips tried would be rejected" in told


def test_of_a_sample_it_tells_of_that_alone(folder, prepare):
    tree, seen, _ = dry(prepare, folder / "m.jsonl", folder / "out", "--limit=4")
    first = sorted((row["id"] for row in SOME), key=assign.order_key)[:4]
    assert (tree["rows"], sum(seen["splits"].values()), seen["estimate"]["tried"]) == (4, 4, 4)
    assert {each["clip_id"] for each in seen["examples"]} <= set(first)


def test_audio_by_uri_is_not_written_either(folder, prepare):
    flags = ("--audio_part=uri", "--audio_uri=gs://bucket/audio")
    _, seen, _ = dry(prepare, folder / "m.jsonl", folder / "out", *flags)
    assert not (folder / "out").exists()
    part = seen["examples"][0]["example"]["contents"][0]["parts"][1]
    assert part["file_data"]["file_uri"].startswith("gs://bucket/audio/")


def test_in_a_bucket_nothing_is_written(bucket, folder, prepare):
    storage = Storage()
    for row in SOME[:5]:
        storage.write_bytes(f"{bucket}/{row['audio_path']}", (folder / row["audio_path"]).read_bytes())
    storage.write_bytes(f"{bucket}/m.jsonl", write_manifest(folder / "m", SOME[:5]).read_bytes())
    before = storage.list_files(bucket)
    _, seen, _ = dry(prepare, f"{bucket}/m.jsonl", f"{bucket}/out")
    assert storage.list_files(bucket) == before
    assert [each["reason"] for each in seen["examples"]] == ["", "", ""]


@pytest.mark.parametrize("runner", ["PrismRunner", "FlinkRunner"])
def test_on_other_runners_it_is_the_same(folder, prepare, runner):
    here = dry(prepare, folder / "m.jsonl", folder / "out")[1]
    assert dry(prepare, folder / "m.jsonl", folder / "out", f"--runner={runner}")[1] == here
