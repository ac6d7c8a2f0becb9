"""Tasks files that change between runs and during one, on disk and in a bucket: a run has one version of them."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from beam_pipeline import embedded
from tests.beam_pipeline.conftest import FEW, contents, fill, write_manifest
from transforms.storage import Storage

TASKS: dict[str, dict[str, Any]] = {
    "transcribe": {"prompt": "Transcribe this."},
    "length": {"prompt": "Is this long or short?", "labels": ["long", "short"]},
    "words": {"prompt": "List the words as JSON.", "schema": {"type": "array", "items": {"type": "string"}}},
}
ROWS = [
    {**FEW[0], "id": "t", "task": "transcribe"},
    {**FEW[1], "id": "l", "task": "length", "text": "long"},
    {**FEW[2], "id": "w", "task": "words", "text": ["a", "b"]},
]
OTHERS = {
    "a prompt": {**TASKS, "transcribe": {"prompt": "Write down what is said."}},
    "an instruction": {**TASKS, "transcribe": {**TASKS["transcribe"], "system_instruction": "Be exact."}},
    "one more label": {**TASKS, "length": {**TASKS["length"], "labels": ["long", "short", "none"]}},
    "a rule": {**TASKS, "words": {**TASKS["words"], "schema": {"type": "array"}}},
    "one more task": {**TASKS, "other": {"prompt": "What is this?"}},
    "one task less": {name: TASKS[name] for name in ("transcribe", "length")},
    "another name": {"write": TASKS["transcribe"], **{name: TASKS[name] for name in ("length", "words")}},
}
# Of these a rerun makes the same.
SAME = {
    "written again": yaml.safe_dump(TASKS, sort_keys=False),
    "a comment": "# mine\n" + yaml.safe_dump(TASKS, sort_keys=False),
    "another style": json.dumps(TASKS, indent=1),
}
storage = Storage()


@pytest.fixture(params=["disk", "bucket"])
def tasks(request, tmp_path, monkeypatch):
    """The name of a tasks file; recordings and `m.jsonl` are in the current folder."""
    monkeypatch.chdir(tmp_path)
    fill(tmp_path, FEW[:3])
    write_manifest(tmp_path / "m.jsonl", ROWS)
    if request.param == "bucket":
        request.getfixturevalue("gcs")
    name = "tasks.yaml" if request.param == "disk" else "gs://cliptune-test/tasks.yaml"
    write(name, yaml.safe_dump(TASKS, sort_keys=False))
    return name


def write(name, text):
    if name.startswith("gs://"):
        storage.write_bytes(name, text.encode())
    else:
        with open(name, "w", encoding="utf-8") as file:  # in place: the file stays the same one
            file.write(text)


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_a_file_that_changed_between_two_runs_stops_the_second(tmp_path, tasks, prepare, other):
    assert prepare("m.jsonl", "out", f"--tasks={tasks}").status == 0
    before = contents(tmp_path / "out")
    write(tasks, yaml.safe_dump(other, sort_keys=False))
    run = prepare("m.jsonl", "out", f"--tasks={tasks}", "--max_rejected_fraction=1")
    assert (run.status, run.stdout, contents(tmp_path / "out")) == (1, "", before)
    assert run.stderr.startswith("cliptune prepare: ")
    assert "settings.tasks" in run.stderr
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize("text", SAME.values(), ids=SAME)
def test_a_file_that_says_the_same_stops_nothing(tmp_path, tasks, prepare, text):
    assert prepare("m.jsonl", "out", f"--tasks={tasks}").status == 0
    before = contents(tmp_path / "out")
    write(tasks, text)
    again = prepare("m.jsonl", "out", f"--tasks={tasks}")
    assert (again.json["reused"], contents(tmp_path / "out")) == (len(ROWS), before)


def test_how_it_is_spelled_is_no_setting(tmp_path, tasks, prepare):
    assert prepare("m.jsonl", "out", f"--tasks={tasks}").status == 0
    before = contents(tmp_path / "out")
    write("copy.yaml", yaml.safe_dump(TASKS, sort_keys=False))
    Path("link.yaml").symlink_to("copy.yaml")
    Path("a").mkdir()
    for spelled in ("./copy.yaml", str(tmp_path / "copy.yaml"), "a/../copy.yaml", "link.yaml", tasks):
        again = prepare("m.jsonl", "out", f"--tasks={spelled}")
        assert (again.json["reused"], contents(tmp_path / "out")) == (len(ROWS), before)


@pytest.mark.parametrize("text", [yaml.safe_dump(OTHERS["a prompt"]), ""], ids=["another", "empty"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_file_that_is_replaced_after_it_was_read_changes_nothing(tmp_path, tasks, prepare, monkeypatch, moment, text):
    """Before the pipeline runs, and while it does: run.json and each example are of the tasks that were read."""
    assert prepare("m.jsonl", "clean", f"--tasks={tasks}").status == 0
    run = embedded.run

    def meanwhile(job, options, listener):
        if moment == "before":
            write(tasks, text)
        found = run(job, options, listener)
        write(tasks, text)
        return found

    monkeypatch.setattr(embedded, "run", meanwhile)
    assert prepare("m.jsonl", "out", f"--tasks={tasks}").status == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "clean")
    assert prepare("m.jsonl", "out", f"--tasks={tasks}").status == 1


@pytest.mark.parametrize("change", ["rewritten", "removed"])
def test_a_file_that_changes_while_it_is_read_is_one_line(tmp_path, tasks, prepare, monkeypatch, change):
    """Half of it may be a tasks file, too."""
    read_bytes = Storage.read_bytes

    def late(self, uri, *args):
        content = read_bytes(self, uri, *args)
        if uri.endswith("/tasks.yaml") and change == "rewritten":
            write(tasks, yaml.safe_dump(OTHERS["a prompt"]))
        elif uri.endswith("/tasks.yaml"):
            storage.delete(uri)
        return content

    monkeypatch.setattr(Storage, "read_bytes", late)
    run = prepare("m.jsonl", "out", f"--tasks={tasks}")
    told = {"rewritten": "it changed while it was read; run this command again", "removed": "there is no such file"}
    assert run.stderr == f"cliptune prepare: --tasks {tasks}: {told[change]}\n"
    assert (run.status, run.stdout, (tmp_path / "out").exists()) == (1, "", False)
