"""Datasets with several tasks, and clips with the same audio: from the manifest to the report."""

import json
import shutil

import pytest
import yaml

from cliptune.main import main
from tests.beam_pipeline.conftest import FEW, SOME, contents, examples, ledger, write_manifest

TASKS = {
    "transcribe": {"prompt": "Transcribe this."},
    "length": {"prompt": "Is this long or short?", "labels": ["long", "short"]},
    "words": {"prompt": "List the words as JSON.", "schema": {"type": "array", "items": {"type": "string"}}},
}


def rows_of(clips=FEW):
    """Every clip in every task."""
    for clip in clips:
        yield {**clip, "id": f"{clip['id']}-t", "task": "transcribe"}
        label = "long" if len(clip["text"]) > 20 else "short"
        yield {**clip, "id": f"{clip['id']}-l", "task": "length", "text": label}
        yield {**clip, "id": f"{clip['id']}-w", "task": "words", "text": clip["text"].split()}


@pytest.fixture
def tasks(folder):
    (folder / "tasks.yaml").write_text(yaml.safe_dump(TASKS))
    return folder / "tasks.yaml"


def test_one_dataset_teaches_several_tasks(folder, tasks, prepare):
    manifest = write_manifest(folder / "t.jsonl", list(rows_of()))
    run = prepare(manifest, folder / "out", f"--tasks={tasks}")
    assert (run.status, run.json["accepted"], run.json["rejected"]) == (0, 15, 0)
    assert run.json["tasks"] == {name: {"examples": 5, "prompts": 1} for name in sorted(TASKS)}
    assert run.json["warnings"] == [] or "validation split is empty" in run.json["warnings"][0]
    taught: dict[str, list[str]] = {}
    for line in examples(folder / "out", "train") + examples(folder / "out", "validation"):
        prompt, answer = line["contents"][0]["parts"][0]["text"], line["contents"][1]["parts"][0]["text"]
        taught.setdefault(prompt, []).append(answer)
    assert sorted(taught["Transcribe this."]) == sorted(clip["text"] for clip in FEW)
    assert set(taught["Is this long or short?"]) <= {"long", "short"}
    assert sorted(map(json.loads, taught["List the words as JSON."])) == sorted(clip["text"].split() for clip in FEW)


def test_what_one_recording_teaches_in_several_tasks_stays_in_one_split(folder, tasks, prepare):
    rows = [{name: value for name, value in row.items() if name != "speaker"} for row in rows_of(SOME)]
    prepare(write_manifest(folder / "t.jsonl", rows), folder / "out", f"--tasks={tasks}")
    splits: dict[str, set[str]] = {}
    for row in ledger(folder / "out"):
        splits.setdefault(row["uri"], set()).add(row["split"])
    assert {len(found) for found in splits.values()} == {1}
    assert set.union(*splits.values()) == {"train", "validation"}
    assert main(["check", str(folder / "out")]) == 0


def test_targets_that_break_their_kind_cost_their_row(folder, tasks, prepare):
    clip = {"audio_path": FEW[0]["audio_path"], "speaker": "x"}
    rows = [
        {**clip, "id": "a", "task": "length", "text": "Short"},
        {**clip, "id": "b", "task": "words", "text": "no list"},
        {**clip, "id": "c", "task": "words", "text": [1]},
        {**clip, "id": "d", "task": "lenght", "text": "short"},
        {**clip, "id": "e", "text": "short"},
        {**clip, "id": "f", "task": "length", "text": "short"},
    ]
    run = prepare(
        write_manifest(folder / "t.jsonl", rows), folder / "out", f"--tasks={tasks}", "--max_rejected_fraction=1"
    )
    assert run.status == 0
    found = {row["clip_id"]: (row["reason"], row["source"].partition(":")[2]) for row in ledger(folder / "out")}
    assert found == {
        "a": ("bad_target", "1"),
        "b": ("bad_target", "2"),
        "c": ("bad_target", "3"),
        "d": ("unknown_task", "4"),
        "e": ("unknown_task", "5"),
        "f": (None, "6"),
    }


def test_only_texts_are_normalised(folder, tasks, prepare):
    manifest = write_manifest(folder / "t.jsonl", list(rows_of(FEW[:2])))
    prepare(manifest, folder / "out", f"--tasks={tasks}", "--normalize_text=strip_punctuation,casefold")
    answers = [line["contents"][1]["parts"][0]["text"] for line in examples(folder / "out", "train")]
    assert [clip["text"].split() for clip in FEW[:2]] in [
        order for lists in [[json.loads(text) for text in answers if text[0] == "["]] for order in (lists, lists[::-1])
    ]
    assert all(text == text.casefold() for text in answers if text[0] != "[")


def test_a_changed_task_is_another_dataset(folder, tasks, prepare):
    manifest = write_manifest(folder / "t.jsonl", list(rows_of()))
    prepare(manifest, folder / "out", f"--tasks={tasks}")
    before = contents(folder / "out")
    tasks.write_text(yaml.safe_dump({**TASKS, "transcribe": {"prompt": "Write down what is said."}}))
    run = prepare(manifest, folder / "out", f"--tasks={tasks}")
    assert run.status == 1
    assert "settings.tasks" in run.stderr
    assert contents(folder / "out") == before


@pytest.mark.parametrize(("name", "told"), [("nowhere.yaml", "there is no such file"), ("clips", "")])
def test_a_tasks_file_that_is_none(folder, prepare, name, told):
    run = prepare(folder / "m.jsonl", folder / "out", f"--tasks={folder / name}")
    assert (run.status, run.stdout) == (1, "")
    assert run.stderr.startswith(f"cliptune prepare: --tasks {folder / name}: ")
    assert told in run.stderr
    assert run.stderr.count("\n") == 1


def test_several_prompts_in_one_task_are_warned_about(folder, prepare):
    rows = [{**clip, "prompt": f"Transcribe, please{'.' * (index % 2)}"} for index, clip in enumerate(FEW)]
    run = prepare(write_manifest(folder / "t.jsonl", rows), folder / "out")
    assert "the rows have 2 different prompts; a task is learned best with one, word for word" in run.json["warnings"]
    assert "warning: the rows have 2 different prompts" in run.stderr


REPEATED = [
    *FEW,
    {**FEW[0], "id": "again", "audio_path": "copy.g722"},
    {**FEW[1], "id": "and-again"},
    {**FEW[1], "id": "and-once-more", "text": "another text"},
]


@pytest.fixture
def repeated(folder):
    shutil.copy(folder / FEW[0]["audio_path"], folder / "copy.g722")
    return write_manifest(folder / "t.jsonl", REPEATED)


def test_the_same_audio_under_other_ids_is_reported(folder, repeated, prepare):
    run = prepare(repeated, folder / "out")
    assert run.json["accepted"] == len(REPEATED)
    assert run.json["repeated_audio"]["clips"] == 3
    told = sorted(
        sorted(source.rpartition(":")[2] for source in found) for found in run.json["repeated_audio"]["examples"]
    )
    assert told == [["1", "6"], ["2", "7", "8"]]
    assert "3 clips have the same audio as another one; --dedupe=audio keeps one of each" in run.json["warnings"]


@pytest.mark.parametrize("flags", [[], ["--direct_runner_bundle_repeat=1"], ["--runner=BundleBasedDirectRunner"]])
def test_one_of_each_audio_can_be_kept(folder, repeated, prepare, small_shards, flags):
    run = prepare(repeated, folder / "out", "--dedupe=audio", "--max_rejected_fraction=1", *flags)
    assert (run.json["accepted"], run.json["reasons"]) == (5, {"duplicate_audio": 3})
    assert run.json["repeated_audio"] == {"clips": 0, "examples": []}
    rows = ledger(folder / "out")
    accepted = [row for row in rows if row["status"] == "accepted"]
    assert len({row["audio_sha256"] for row in accepted}) == len(accepted) == 5
    dropped = {row["clip_id"]: row["detail"] for row in rows if row["status"] == "rejected"}
    assert all("the same audio as '" in detail for detail in dropped.values())
    letters = [json.loads(line) for line in (folder / "out/rejected.jsonl").read_text().splitlines()]
    assert {letter["id"]: letter["audio_path"] for letter in letters} == {
        row["id"]: row["audio_path"] for row in REPEATED if row["id"] in dropped
    }
    assert main(["check", str(folder / "out")]) == 0


def test_the_same_clip_is_kept_in_any_order_and_by_every_run(folder, repeated, prepare, small_shards):
    flags = ("--dedupe=audio", "--max_rejected_fraction=1", "--validation_fraction=0")
    prepare(repeated, folder / "out", *flags)
    first = contents(folder / "out")
    again = prepare(repeated, folder / "out", *flags)
    assert contents(folder / "out") == first
    assert again.json["reused"] == len(REPEATED)
    write_manifest(folder / "t.jsonl", REPEATED[::-1])
    prepare(repeated, folder / "turned", *flags)
    for name in first:
        if name.endswith(".jsonl") and name != "rejected.jsonl":
            assert (folder / "turned" / name).read_bytes() == first[name]


def test_a_shard_that_is_left_between_two_writes_is_made_again(folder, repeated, prepare):
    flags = ("--dedupe=audio", "--max_rejected_fraction=1", "--validation_fraction=0")
    prepare(repeated, folder / "plain", "--validation_fraction=0")
    prepare(repeated, folder / "out", *flags)
    first = contents(folder / "out")
    name = "train/train-00000-of-00001.jsonl"
    # As a kill leaves it: the sidecar is of the shard before, the lines are of the shard after.
    sidecar = folder / "out" / name.replace(".jsonl", ".outcomes.json")
    tree = json.loads(sidecar.read_bytes())
    tree["sha256"] = json.loads((folder / "plain" / name.replace(".jsonl", ".outcomes.json")).read_bytes())["sha256"]
    sidecar.write_bytes(json.dumps(tree).encode())
    prepare(repeated, folder / "out", *flags)
    assert contents(folder / "out") == first


def test_a_group_that_the_manifest_puts_into_both_splits(folder, prepare, capfd):
    marks = ["train", "validation", "train", "train", "validation"]
    groups = ["anna", "anna", "ben", "ben", "carla"]
    rows = [{**clip, "speaker": group, "split": mark} for clip, group, mark in zip(FEW, groups, marks, strict=True)]
    manifest = write_manifest(folder / "t.jsonl", rows)
    run = prepare(manifest, folder / "out")
    told = "the manifest puts clips of 1 groups into several splits, which then test what was trained on"
    assert any(warning.startswith(told) for warning in run.json["warnings"])
    assert main(["check", str(folder / "out")]) == 0
    problems = json.loads(capfd.readouterr().out)["problems"]
    (problem,) = (problem for problem in problems if problem["rule"] == "group_in_both_splits")
    assert (problem["source"], problem["severity"]) == (f"{manifest}:1", "warning")
    assert problem["detail"] == f"group 'anna' is in both splits, at {manifest}:2 too; mark all its rows for one split"


def test_columns_of_other_names_can_be_named(folder, tasks, prepare):
    names = {"task": "kind", "speaker": "reader", "split": "fold", "prompt": "say"}
    rows = [{names.get(name, name): value for name, value in row.items()} | {"fold": "train"} for row in rows_of()]
    flags = ["--task_column=kind", "--group_column=reader", "--split_column=fold", f"--tasks={tasks}"]
    run = prepare(write_manifest(folder / "t.jsonl", rows), folder / "out", *flags)
    assert run.json["splits"]["validation"]["examples"] == 0
    assert {row["group"] for row in ledger(folder / "out")} == {clip["speaker"] for clip in FEW}
    run = prepare(folder / "t.jsonl", folder / "other", "--prompt_column=say")
    assert "missing column 'say'" in run.stderr
