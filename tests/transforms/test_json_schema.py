"""JSON targets and schemas that would lead a reader astray: each is a fault of its row or its file, in one line."""

import json

import pytest

from transforms import json_schema, reasons, tasks
from transforms.errors import ClipRejected, UserError
from transforms.json_rules import Rules
from transforms.json_schema import JsonError
from transforms.settings import Task

FREE = Task("t", "Say it.", "json")


def nested(depth, leaf="0"):
    return "[" * depth + leaf + "]" * depth


def refused(call, *args):
    with pytest.raises(ClipRejected) as refusal:
        call(*args)
    assert refusal.value.reason == reasons.BAD_TARGET
    assert "\n" not in refusal.value.detail
    return refusal.value.detail


LISTS: object = {"type": "array", "items": {"$ref": "#"}}
DYNAMIC: object = {"$dynamicAnchor": "x", "type": "array", "items": {"$dynamicRef": "#x"}}


@pytest.mark.parametrize("schema", [None, {}, LISTS, DYNAMIC])
@pytest.mark.parametrize(
    ("depth", "accepted"), [(128, True), (129, False), (300, False), (1_020, False), (2_000, False)]
)
def test_how_deep_a_target_may_be(depth, accepted, schema):
    task, text = Task("t", "Say it.", "json", (), schema), nested(depth - 1, "[]")
    value = json.loads(text) if depth < 900 else None
    if accepted:
        tasks.check_target(task, text)
        assert tasks.target_text(task, value) == text
        return
    assert refused(tasks.check_target, task, text).startswith("the target of task t must be JSON, got '[[[")
    if value is not None:
        assert (
            refused(tasks.target_text, task, value) == "the target of task t must be JSON: it is nested over 128 deep"
        )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"a": 1, "b": 2, "a": 1}', "the key 'a' is given twice"),
        ('[{"x": {"": 1, "": 1}}]', "the key '' is given twice"),
        ("NaN", "unexpected character"),
        ("[Infinity]", "unexpected character"),
        ("-Infinity", ""),
        ("1e400", "infinity"),
        ("1" * 5_000, ""),
        ('"\\ud800"', "surrogate"),
        ('{"\\udfff": 1}', "surrogate"),
        ("\ud800", ""),
        ("", ""),
        ("{", ""),
        ("'x'", ""),
        ("\x00", ""),
    ],
)
def test_texts_that_are_no_json(text, told):
    assert told in refused(tasks.check_target, FREE, text)


NOT_JSON = {
    "nan": float("nan"),
    "inf": [float("inf")],
    "-inf": {"a": {"b": -float("inf")}},
    "over 64 bits": 1 << 64,
    "under 64 bits": [-(1 << 63) - 1],
    "5,000 digits": 10**5_000,
    "surrogate": ["\ud800"],
    "surrogate as a key": {"\udfff": 1},
    "bytes": b"x",
    "a number as a key": {1: 2},
    "nothing as a key": {None: 1},
    "set": {1, 2},
    "complex": 1j,
    "ellipsis": ...,
}


@pytest.mark.parametrize("value", NOT_JSON.values(), ids=NOT_JSON)
def test_values_that_json_has_not(value):
    refused(tasks.target_text, FREE, value)


@pytest.mark.parametrize("value", [None, True, 7, (1 << 64) - 1, 0.5, [], {}, {"é": ["\U0001f600"]}])
def test_values_that_json_has(value):
    text = tasks.target_text(FREE, value)
    assert text == (None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    if text is not None:
        tasks.check_target(FREE, text)


def file_of(schema):
    return json.dumps({"t": {"prompt": "Say it.", "schema": schema}}).encode()


def deep(depth, keyword):
    schema: object = {"type": "null"}
    for _ in range(depth):
        schema = {keyword: [schema] if keyword == "allOf" else {"a": schema} if keyword == "properties" else schema}
    return schema


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"$ref": "#"}, "refers to itself in a circle: '#'"),
        ({"$dynamicRef": "#"}, "refers to itself in a circle"),
        (
            {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
            "circle: '#/$defs/a', '#/$d",
        ),
        ({"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}}, "in a circle: '#/$defs/a'"),
        ({"anyOf": [{"type": "null"}, {"not": {"$ref": "#"}}]}, "in a circle"),
        ({"properties": {"x": {"if": {"$ref": "#/properties/x"}}}}, "in a circle"),
        ({"dependentSchemas": {"x": {"$ref": "#"}}}, "in a circle"),
        ({"$anchor": "a", "oneOf": [{"$ref": "#a"}]}, "in a circle: '#a'"),
        ({"$id": "https://example.com/s", "$ref": "#"}, "in a circle"),
        ({"$ref": "#/$defs/nothing"}, "refers to '#/$defs/nothing', and there is no such part"),
        ({"$ref": "#nothing"}, "refers to '#nothing', and there is no such part"),
        ({"$ref": "#/$defs/x/0", "$defs": {"x": {"type": "null"}}}, "no such part"),
        ({"items": {"$dynamicRef": "#nothing"}}, "no such part"),
        ({"$ref": "http://127.0.0.1:9/s"}, "refers to 'http://127.0.0.1:9/s'; only parts of itself"),
        ({"$ref": "other.json#/x"}, "only parts of itself"),
        ({"items": {"$ref": ""}}, "only parts of itself"),
        ({"$ref": 7}, "$['$ref']: 7 is not of type 'string'"),
        ({"pattern": "("}, "$.pattern: '(' is not a 'regex'"),
        ({"patternProperties": {r"\p{L}": {}}}, "is not a 'regex'"),
        ({"maximum": 10**30}, "must be JSON: Integer exceeds 64-bit range"),
        ({"const": "\ud800"}, "half a surrogate pair"),
        ({"properties": {"\ud800": {}}}, "half a surrogate pair"),
        (deep(124, "allOf"), "is nested too deep"),
    ],
)
def test_schemas_that_lead_astray(schema, told):
    with pytest.raises(UserError) as fault:
        tasks.load(file_of(schema), "tasks.yaml")
    assert str(fault.value).startswith("tasks.yaml")
    assert "\n" not in str(fault.value)
    assert told in str(fault.value)


NULL = {"type": "null"}
IN_TURNS = {
    "$ref": "#/$defs/a",
    "$defs": {"a": {"items": {"$ref": "#/$defs/b"}}, "b": {"items": {"$ref": "#/$defs/a"}, "type": "array"}},
}


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        ({"type": ["object", "null"], "properties": {"n": {"$ref": "#"}}}, '{"n":{"n":null}}', '{"n":{"n":1}}'),
        ({"type": "array", "items": {"$dynamicRef": "#"}}, "[[],[[]]]", "[[],[1]]"),
        ({"$dynamicAnchor": "n", "type": "array", "items": {"$dynamicRef": "#n"}}, "[[]]", "[1]"),
        (IN_TURNS, "[[[[]]]]", "[[[1]]]"),
        ({"$id": "https://example.com/s", "items": {"$ref": "#/$defs/n"}, "$defs": {"n": NULL}}, "[null]", "[1]"),
        ({"properties": {"$ref": {"type": "null"}}}, '{"$ref":null}', '{"$ref":1}'),
        ({"enum": [{"$ref": "http://example.com"}, {"pattern": "("}]}, '{"$ref":"http://example.com"}', "1"),
        ({"not": {}}, None, "1"),
        (True, "1", None),
        (False, None, "1"),
        ({"allOf": [{"$ref": "#/$defs/n"}, {"$ref": "#/$defs/n"}], "$defs": {"n": NULL}}, "null", "1"),
        ({"propertyNames": {"$ref": "#/$defs/k"}, "$defs": {"k": {"pattern": "^a"}}}, '{"ab":1}', '{"b":1}'),
        ({"maximum": (1 << 63) - 1}, "9223372036854775807", "9223372036854775808"),
        ({"multipleOf": 0.5}, "1e308", "0.25"),
        (deep(40, "allOf"), "null", "1"),
    ],
)  # fmt: skip
def test_schemas_that_look_like_it_and_do_not(schema, right, wrong):
    (task,) = tasks.load(file_of(schema), "tasks.yaml")
    if right is not None:
        tasks.check_target(task, right)
    if wrong is not None:
        assert "breaks its schema" in refused(tasks.check_target, task, wrong)


LAUGHS = b"a: &a [1]\n" + b"".join(b"%c: &%c [%s]\n" % (n, n, b"*%c," % (n - 1) * 8) for n in range(98, 122))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'a: {prompt: "\\ud800"}', "half a surrogate pair"),
        (b'"\\udfff": {prompt: x}', "half a surrogate pair"),
        (b'a: {prompt: x, labels: [a, "\\udc00"]}', "half a surrogate pair"),
        (b"a: {prompt: x, labels: [1, 2]}", "labels must be text"),
        (b"a: {prompt: x, labels: [" + b"9" * 5_000 + b", b]}", "t.yaml"),
        (b"a: {prompt: x, schema: {maximum: .inf}}", "it holds inf, which JSON has not"),
        (b"a: {prompt: x, schema: {const: .nan}}", "it holds nan, which JSON has not"),
        (b"a: {prompt: x, schema: {const: 1, const: 2}}", "'const' is given twice"),
        (b"a: &a {prompt: x, schema: *a}", "t.yaml"),
        (b"a: {prompt: x, schema: {enum: &e [*e]}}", "unconstructable recursive"),
        (b"a: {prompt: x, schema: {const: !!binary aGk=}}", "must be JSON"),
        (b"a: " + b"[" * 1_000 + b"]" * 1_000, "nested too deep"),
        (b"a: {prompt: x, schema: " + b"{items: " * 1_000 + b"{}" + b"}" * 1_000 + b"}", "nested too deep"),
        (b"a: {prompt: x, schema: {const: " + b"[" * 200 + b"]" * 200 + b"}}", "nested"),
        (LAUGHS, "over 200,000 values"),
    ],
    ids=lambda value: ascii(value)[:40],
)  # fmt: skip
def test_files_that_lead_astray(content, told):
    with pytest.raises(UserError) as fault:
        tasks.load(content, "t.yaml")
    assert str(fault.value).startswith("t.yaml")
    assert "\n" not in str(fault.value)
    assert told in str(fault.value)


def test_a_target_that_is_too_deep_for_its_schema_is_the_rows_fault(monkeypatch):
    def endless(*_):
        return endless()

    monkeypatch.setattr(Rules, "broken", endless)
    task = Task("t", "Say it.", "json", (), {})
    assert refused(tasks.check_target, task, "1").endswith("$: it is nested too deep for the schema")


def test_a_tree_may_have_many_values_but_not_any_number():
    json_schema.check_tree([0] * (json_schema.MAX_VALUES - 1))
    with pytest.raises(JsonError, match="over 1,000,000 values"):
        json_schema.check_tree([0] * json_schema.MAX_VALUES)
