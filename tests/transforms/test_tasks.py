"""Tasks: the file that names them, and what a row's text must be in each."""

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from transforms import reasons, tasks
from transforms.errors import ClipRejected, UserError
from transforms.settings import Task

FILE = b"""\
transcribe:
  prompt: Transcribe this.
language:
  prompt: Which language?
  labels: [en, es, "no"]
  system_instruction: Answer with a code.
booking:
  prompt: Extract the booking.
  schema:
    type: object
    required: [room]
    properties: {room: {$ref: '#/$defs/number'}, "note": {type: string}}
    additionalProperties: false
    $defs: {number: {type: integer, minimum: 1}}
anything:
  prompt: Describe it as JSON.
  target: json
"""
TASKS = tasks.load(FILE, "tasks.yaml")
TRANSCRIBE, LANGUAGE, BOOKING, ANYTHING = TASKS


def test_a_file_is_its_tasks_in_order():
    schema = {
        "type": "object",
        "required": ["room"],
        "properties": {"room": {"$ref": "#/$defs/number"}, "note": {"type": "string"}},
        "additionalProperties": False,
        "$defs": {"number": {"type": "integer", "minimum": 1}},
    }
    assert (
        Task("transcribe", "Transcribe this."),
        Task("language", "Which language?", "labels", ("en", "es", "no"), None, "Answer with a code."),
        Task("booking", "Extract the booking.", "json", (), schema),
        Task("anything", "Describe it as JSON.", "json"),
    ) == TASKS


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "t.yaml: must be a mapping of task names, got nothing"),
        (b"- a", "t.yaml: must be a mapping of task names, got ['a']"),
        (b"a: [", "t.yaml:1: not YAML: "),
        (b"a:\n  prompt: x\n\tb: 1", "t.yaml:3: not YAML: "),
        (b"\xff\xfea: {prompt: x}", "t.yaml: "),
        (b'a:\n  prompt: "\\ud83d"', "t.yaml:2: half a surrogate pair is no character"),
        (b"a: !!python/object/apply:os.system [ls]", "t.yaml:1: not YAML: could not determine a constructor"),
        (b"a: 1", "t.yaml: task a must be a mapping with a prompt, got 1"),
        (b"a: {}", "t.yaml: task a: prompt must be text, got nothing"),
        (b"a: {prompt: ' '}", "t.yaml: task a: prompt must be text, got ' '"),
        (b"a: {prompt: 3}", "t.yaml: task a: prompt must be text, got 3"),
        (b"no: {prompt: x}", "t.yaml: a task's name must be text, got False; put it in quotes"),
        (b"a: {prompt: x, lables: [b, c]}", "t.yaml: task a: unknown key 'lables' (did you mean 'labels'?)"),
        (b"a: {prompt: x, zzz: 1}", "t.yaml: task a: unknown key 'zzz'; it may have prompt, target, labels, schema"),
        (b"a: {prompt: x, target: number}", "t.yaml: task a: target must be one of text, labels, json, got 'number'"),
        (
            b"a: {prompt: x, labels: [en, no]}",
            "t.yaml: task a: labels must be text without spaces around it, got False",
        ),
        (b"a: {prompt: x, labels: [1, 2]}", "labels must be text without spaces around it, got 1; use quotes"),
        (b"a: {prompt: x, labels: [b]}", "t.yaml: task a: labels must be a list of two or more, each once, got ['b']"),
        (b"a: {prompt: x, labels: [b, b]}", "labels must be a list of two or more, each once, got ['b', 'b']"),
        (b"a: {prompt: x, labels: {b: c}}", "labels must be a list of two or more, each once, got {'b': 'c'}"),
        (b"a: {prompt: x, target: labels}", "t.yaml: task a: labels and target: labels go together"),
        (b"a: {prompt: x, target: text, labels: [b, c]}", "task a: labels and target: labels go together"),
        (b"a: {prompt: x, target: text, schema: {}}", "t.yaml: task a: a schema goes with target: json"),
        (b"a: {prompt: x, schema: {type: strin}}", "t.yaml: task a: schema $.type: 'strin' is not valid"),
        (b"a: {prompt: x, schema: 7}", "t.yaml: task a: schema $: 7 is not of type"),
        (b"a: {prompt: x, schema: {properties: {1: {}}}}", "t.yaml: task a: schema"),
        (
            b"a: {prompt: x, schema: {$ref: 'http://127.0.0.1:9/s.json'}}",
            "t.yaml: task a: schema refers to 'http://127.0.0.1:9/s.json'; only parts of itself",
        ),
        (b"a: {prompt: x, prompt: y}", "t.yaml:1: 'prompt' is given twice in one mapping"),
        (b"a: {prompt: x}\na: {prompt: y}", "t.yaml:1: 'a' is given twice in one mapping"),
        (b"a: {prompt: x}\nb: {prompt: x}", "t.yaml: tasks a and b have the same prompt; give each its own"),
        (b"? [a]\n: {prompt: x}", "t.yaml"),
    ],
)
def test_a_file_that_breaks_a_rule_is_refused_with_the_task_and_the_rule(content, told):
    with pytest.raises(UserError) as refusal:
        tasks.load(content, "t.yaml")
    assert told in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_file_in_the_spelling_of_json_is_read_as_json():
    (task,) = tasks.load(b'{"a": {"prompt": "\\ud83d\\ude00", "system_instruction": "\\u00e9"}}', "t.json")
    assert (task.prompt, task.system_instruction) == ("😀", "é")


def test_equal_prompts_under_other_system_instructions_are_two_tasks():
    found = tasks.load(b"a: {prompt: x}\nb: {prompt: x, system_instruction: Be brief.}", "t.yaml")
    assert [task.name for task in found] == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "among", "task"),
    [
        ("language", TASKS, LANGUAGE),
        ("", (BOOKING,), BOOKING),
        ("anything", (), None),
        ("", (), None),
    ],
)
def test_a_row_finds_its_task(name, among, task):
    assert tasks.find(name, among) == task


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", "task must be one of transcribe, language, booking, anything; the row has no task"),
        ("Languages", "the row has 'Languages' (did you mean 'language'?)"),
        ("zzz", "the row has 'zzz'"),
    ],
)
def test_a_row_without_a_known_task_is_refused(name, told):
    with pytest.raises(ClipRejected, match="unknown_task") as refusal:
        tasks.find(name, TASKS)
    assert refusal.value.detail.endswith(told)


@pytest.mark.parametrize(
    ("task", "target"),
    [
        (None, "anything at all"),
        (TRANSCRIBE, "anything at all"),
        (LANGUAGE, "en"),
        (LANGUAGE, "no"),
        (BOOKING, '{"room": 1}'),
        (BOOKING, '{ "room": 7, "note": "é" }'),
        (ANYTHING, "null"),
        (ANYTHING, "[1.5]"),
        (ANYTHING, '"text"'),
    ],
)
def test_a_target_of_its_kind_passes(task, target):
    tasks.check_target(task, target)


@pytest.mark.parametrize(
    ("task", "target", "told"),
    [
        (LANGUAGE, "En", "the target of task language must be one of en, es, no, got 'En' (did you mean 'en'?)"),
        (LANGUAGE, "en ", "got 'en ' (did you mean 'en'?)"),
        (LANGUAGE, "zulu", "must be one of en, es, no, got 'zulu'"),
        (
            Task("m", "?", "labels", tuple(f"label {n}" for n in range(40))),
            "x",
            "must be one of its 40 labels, got 'x'",
        ),
        (BOOKING, "room 7", "the target of task booking must be JSON, got 'room 7'"),
        (BOOKING, '{"room": 7', "must be JSON, got '{\"room\": 7'"),
        (ANYTHING, "NaN", "must be JSON, got 'NaN'"),
        (BOOKING, "{}", "the target of task booking breaks its schema: $: 'room' is a required property"),
        (BOOKING, '{"room": 0}', "breaks its schema: $.room: 0 is less than the minimum of 1"),
        (BOOKING, '{"room": "7"}', "$.room: '7' is not of type 'integer'"),
        (BOOKING, '{"room": 7, "x": 1}', "'x' was unexpected"),
    ],
)
def test_a_target_of_another_kind_is_refused(task, target, told):
    with pytest.raises(ClipRejected) as refusal:
        tasks.check_target(task, target)
    assert refusal.value.reason == reasons.BAD_TARGET
    assert told in refusal.value.detail


@pytest.mark.parametrize(
    ("task", "value", "text"),
    [
        (BOOKING, {"room": 7, "note": "é"}, '{"room":7,"note":"é"}'),
        (ANYTHING, 3, "3"),
        (ANYTHING, [True], "[true]"),
        (BOOKING, '{ "room": 7 }', '{ "room": 7 }'),
        (BOOKING, None, None),
        (TRANSCRIBE, {"room": 7}, {"room": 7}),
        (None, 3, 3),
    ],
)
def test_json_that_a_manifest_holds_unquoted_becomes_its_text(task, value, text):
    assert tasks.target_text(task, value) == text


def test_the_example_of_the_docs_is_one():
    text = (Path(__file__).parents[2] / "docs/tasks.md").read_text(encoding="utf-8")
    found = tasks.load(re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[0].encode(), "tasks.yaml")
    rows = [json.loads(line) for line in re.findall(r"```json\n(.*?)```", text, re.DOTALL)[0].splitlines()]
    assert [row["task"] for row in rows] == [task.name for task in found]
    for row, task in zip(rows, found, strict=True):
        tasks.check_target(task, str(tasks.target_text(task, row["text"])))
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == [field.name for field in fields(Task)][1:]
