"""Schemas that take for ever: the rules say what the library says, or that they cannot tell."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from tests.transforms.test_json_schema import file_of, refused
from transforms import bounds, json_rules, json_schema, tasks
from transforms.errors import UserError
from transforms.json_rules import Rules, TooManyStepsError

VALUES = st.recursive(
    st.sampled_from([0, 1, 1.0, True, False, None, "a", "b", "ab", "", 2.5]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)


def _schemas(inner):
    one, named = inner, st.dictionaries(st.sampled_from(["a", "^b", "(a+)+$", "."]), inner, max_size=2)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["string", "array", "object", "number", "boolean"]),
            "enum": st.lists(VALUES, min_size=1, max_size=3),
            "const": VALUES,
            "pattern": st.sampled_from(["a", "^b$", "(a+)+$"]),
            "patternProperties": named,
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
            "additionalProperties": one,
            "unevaluatedProperties": one,
            "uniqueItems": st.booleans(),
            "items": one,
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "not": one,
            "required": st.just(["a"]),
        },
    )


SCHEMAS = st.recursive(st.sampled_from([True, False, {}, {"type": "string"}]), _schemas, max_leaves=5)


@given(SCHEMAS, VALUES)
def test_the_rules_say_what_the_library_says(schema, value):
    found = best_match(Draft202012Validator(schema).iter_errors(value))
    try:
        told = Rules(schema).broken(value)
    except TooManyStepsError as fault:  # a pattern that may take for ever, which it tells rather than tries
        assert "may take too long beside unevaluated ones" in str(fault)
        return
    assert told == (f"{found.json_path}: {found.message[:300]}" if found else "")


LAUGHS = {f"a{i}": {"allOf": [{"$ref": f"#/$defs/a{i - 1}"}] * 2} for i in range(1, 60)}
IN_DEPTH = {"type": "array", "anyOf": [{"items": {"$ref": "#"}}] * 2}


@pytest.mark.parametrize(
    ("schema", "target"),
    [
        ({"$defs": {"a0": True, **LAUGHS}, "$ref": "#/$defs/a59"}, '"x"'),
        (IN_DEPTH, "[" * 100 + "1" + "]" * 100),
        (
            {
                "unevaluatedProperties": False,
                "properties": {"x": {"$ref": "#"}},
                "allOf": [{"properties": {"x": {"$ref": "#"}}}],
            },
            '{"x":' * 30 + "1" + "}" * 30,
        ),
        ({"anyOf": [{"type": "integer"}] * 2_000}, json.dumps("x" * 300_000)),
        ({"patternProperties": {"^(a+)+$": {}, "^(b+)+$": {}}}, json.dumps({f"{'a' * 40}{i}": 1 for i in range(999)})),
        (
            {"patternProperties": {"^(a+)+$": {}}, "unevaluatedProperties": False},
            json.dumps({"a" * 60 + "!": 1}),
        ),
    ],
    ids=["laughs", "anyOf in depth", "unevaluated in depth", "long errors", "many long searches", "unevaluated"],
)  # fmt: skip
def test_rules_that_take_for_ever_are_the_rows_fault(schema, target, monkeypatch):
    monkeypatch.setattr(json_rules, "MAX_STEPS", 100_000)
    (task,) = tasks.load(file_of(schema), "tasks.yaml")
    detail = refused(tasks.check_target, task, target)
    assert detail.startswith("the target of task t breaks its schema: it cannot be told: ")
    assert len(detail) < 400


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        ({"uniqueItems": True}, [{"a": i} for i in range(20_000)], [{"a": i % 19_999} for i in range(20_000)]),
        ({"items": {"enum": [[i] for i in range(5_000)]}}, [[i % 5_000] for i in range(20_000)], [[-1]]),
        ({"pattern": "^(a+)+$"}, "a" * 10_000, "a" * 10_000 + "!"),
        ({"items": {"$ref": "#/$defs/a"}, "$defs": {"a": {"type": "integer"}}}, [1] * 5_000, [1] * 4_999 + ["x"]),
        ({"additionalProperties": {"maximum": 5}}, {str(i): 1 for i in range(20_000)}, {"a": 6}),
    ],
)
def test_large_values_and_schemas_that_are_right_are_judged(schema, right, wrong):
    (task,) = tasks.load(file_of(schema), "tasks.yaml")
    tasks.check_target(task, json.dumps(right))
    assert "cannot be told" not in refused(tasks.check_target, task, json.dumps(wrong))


def test_a_schema_that_takes_too_long_again_and_again_stops_the_run(monkeypatch):
    monkeypatch.setattr(json_rules, "MAX_STEPS", 1_000)
    (task,) = tasks.load(file_of({"$comment": "its own", **IN_DEPTH}), "tasks.yaml")
    deep = "[" * 50 + "1" + "]" * 50
    for _ in range(json_schema.MAX_OVERRUNS):
        refused(tasks.check_target, task, deep)
    with pytest.raises(UserError, match="cannot be held against over 10 targets: it takes more than 1,000 steps"):
        tasks.check_target(task, deep)


def test_steps_are_those_of_one_value(monkeypatch):
    monkeypatch.setattr(json_rules, "MAX_STEPS", 100)
    rules = Rules({"items": {"type": "integer"}})
    for _ in range(3):
        assert rules.broken([1] * 60) == ""
    with pytest.raises(TooManyStepsError):
        rules.broken([1] * 100)
    assert rules.broken([1] * 60) == ""


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"a: {prompt: x}\n#" + b" " * bounds.MAX_SETTINGS_BYTES, "over the limit of 2,097,152 for a tasks file"),
        (file_of({"pattern": "a{99999999999999999999}"}), "has a pattern with a number that is too large"),
        (b"a: &a {prompt: x}\nb: {<<: [*a, *a]}", "t.yaml"),
        (b"{" + b"".join(b"k%d: 1, " % i for i in range(20_000)) + b"k7: 1}", "'k7' is given twice"),
        (b"a: !!python/object/apply:os.system [ls]", "t.yaml:1: not YAML"),
    ],
    ids=["long", "repeats", "merges", "many keys", "tags"],
)
def test_tasks_files_that_take_for_ever(content, told):
    with pytest.raises(UserError) as fault:
        tasks.load(content, "t.yaml")
    assert told in str(fault.value)
    assert "\n" not in str(fault.value)
    if content.startswith(b"a: {prompt: x}"):
        tasks.load(content[: bounds.MAX_SETTINGS_BYTES], "t.yaml")
