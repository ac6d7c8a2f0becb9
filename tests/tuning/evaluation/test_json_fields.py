"""Fields of JSON: what is right in each, by hand; and laws."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tuning.evaluation.test_metrics import value
from transforms.settings import JSON, Task
from tuning.evaluation import json_fields, metrics, normalizers
from tuning.evaluation.json_fields import Comparer

SET = {"type": "array", "uniqueItems": True}
BAG = {"type": "array", "x-unordered": True}
SCHEMA = {
    "$defs": {"tags": SET, "stop": {"properties": {"via": {"$ref": "#/$defs/tags"}}}},
    "properties": {
        "tags": {"$ref": "#/$defs/tags"},
        "bag": BAG,
        "maybe": {"anyOf": [{"type": "null"}, SET]},
        "stops": {"type": "array", "items": {"$ref": "#/$defs/stop"}},
        "route": {**SET, "items": {"type": "object"}},
        "pair": {"prefixItems": [{"type": "string"}, SET]},
        "free": {},
    },
    "additionalProperties": SET,
}


def compared(target, answer, same=str, schema=SCHEMA):
    return Comparer(schema, same).compare(target, answer)


@pytest.mark.parametrize(
    ("target", "answer", "fields"),
    [
        ({"a": 1}, {"a": 1.0}, {".a": (1, 1, 1)}),  # numbers by value
        ({"a": 2**60 + 1}, {"a": 2**60}, {".a": (0, 1, 1)}),  # and not by the nearest float
        ({"a": 1}, {"a": True}, {".a": (0, 1, 1)}),
        ({"a": 1}, {"a": "1"}, {".a": (0, 1, 1)}),
        ({"a": 1, "b": 2}, {"a": 1}, {".a": (1, 1, 1), ".b": (0, 1, 0)}),  # missing
        ({"a": 1}, {"a": 1, "b": 2}, {".a": (1, 1, 1), ".b": (0, 0, 1)}),  # one too many
        ({"a": None}, {}, {".a": (0, 1, 0), "": (0, 0, 1)}),  # null is a value
        ({"a": {"b": {"c": "x"}}}, {"a": {"b": {"c": "y"}}}, {".a.b.c": (0, 1, 1)}),
        ({"a": {"b": 1}}, {"a": 1}, {".a.b": (0, 1, 0), ".a": (0, 0, 1)}),
        ({"a": []}, {"a": {}}, {".a": (0, 1, 1)}),
        ({"a": []}, {"a": []}, {".a": (1, 1, 1)}),
        ("yes", "yes", {"": (1, 1, 1)}),
        # A sequence: one that is left out makes no others wrong, but their order counts.
        ({"free": ["a", "b", "c"]}, {"free": ["b", "c"]}, {".free[]": (2, 3, 2)}),
        ({"free": ["a", "b"]}, {"free": ["b", "a"]}, {".free[]": (1, 2, 2)}),
        # A set, by reference, in an alternative, within items, in a place.
        ({"tags": ["a", "b"]}, {"tags": ["b", "a"]}, {".tags[]": (2, 2, 2)}),
        ({"tags": ["a"]}, {"tags": ["a", "a"]}, {".tags[]": (1, 1, 2)}),
        ({"bag": ["a", "b", "a"]}, {"bag": ["a", "a", "b"]}, {".bag[]": (3, 3, 3)}),
        ({"maybe": ["a", "b"]}, {"maybe": ["b", "a"]}, {".maybe[]": (2, 2, 2)}),
        ({"stops": [{"via": [1, 2]}]}, {"stops": [{"via": [2, 1]}]}, {".stops[].via[]": (2, 2, 2)}),
        ({"pair": ["x", [1, 2]]}, {"pair": ["x", [2, 1]]}, {".pair[]": (1, 1, 1), ".pair[][]": (2, 2, 2)}),
        ({"other": [1, 2]}, {"other": [2, 1]}, {".other[]": (2, 2, 2)}),  # additionalProperties
        # Objects of a set: those that share most are compared.
        (
            {"route": [{"city": "Rome", "day": 1}, {"city": "Oslo", "day": 2}]},
            {"route": [{"city": "Oslo", "day": 3}, {"city": "Rome", "day": 1}]},
            {".route[].city": (2, 2, 2), ".route[].day": (1, 2, 2)},
        ),
    ],
)
def test_each_field_is_counted(target, answer, fields):
    assert compared(target, answer) == fields


def test_texts_are_made_alike_by_the_normalizer():
    same = normalizers.find("cliptune")
    assert compared({"city": "Rome!"}, {"city": "rome"}, same) == {".city": (1, 1, 1)}
    assert compared({"City": 1}, {"city": 1}, same) == {".City": (0, 1, 0), ".city": (0, 0, 1)}  # keys are names


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["a", "b"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["tags", "free", "stops"]), inner),
    max_leaves=12,
)


@given(VALUES)
def test_a_value_is_right_in_every_field_of_itself(one):
    assert all(right == meant == said for right, meant, said in compared(one, one).values())


@given(VALUES, VALUES)
def test_no_more_is_right_than_was_meant_and_said_and_only_equals_are_wholly_right(one, other):
    found = compared(one, other).values()
    assert all(0 <= right <= min(meant, said) for right, meant, said in found)
    back = compared(other, one)
    assert {path: (meant, said) for path, (_, said, meant) in back.items()} == {
        path: (meant, said) for path, (_, meant, said) in compared(one, other).items()
    }


@given(st.lists(VALUES, max_size=5).flatmap(lambda items: st.tuples(st.just(items), st.permutations(items))))
def test_the_order_of_a_set_means_nothing(pair):
    one, other = pair
    assert all(right == meant for right, meant, _ in compared(one, other, schema=BAG).values())


def test_long_sets_are_compared_in_time(monkeypatch):
    """Each with each would be a hundred million comparisons; equal items are found all the same."""
    monkeypatch.setattr(json_fields, "_MAX_PAIRS", 3)
    one = [{"n": number} for number in range(10_000)]
    assert compared(one, [*reversed(one[:-2]), {"n": -1}, {"n": -2}], schema=BAG) == {"[].n": (9_998, 10_000, 10_000)}


@pytest.mark.parametrize("reference", ["#/$defs/a", "#/$defs/none", "other.json#/x", "#", "#/anyOf/0", "#/anyOf/9"])
def test_a_reference_that_leads_nowhere_or_in_a_circle_is_no_set(reference):
    schema = {"$defs": {"a": {"$ref": "#/$defs/a"}}, "anyOf": [{"$ref": reference}]}
    assert compared(["a", "b"], ["b", "a"], schema=schema) == {"[]": (1, 2, 2)}


@pytest.mark.parametrize(
    ("answer", "counts"),
    [
        ('{"tags":["b","a"]}', ((2, 2, 2), (1, 1), (1, 1))),
        ('```json\n{"tags":["b","a"]}\n```', ((0, 2, 0), (0, 1), (0, 1))),  # nothing is corrected unasked
        ("", ((0, 2, 0), (0, 1), (0, 1))),
        ('{"tags":["a"],"tags":["a","b"]}', ((0, 2, 0), (0, 1), (0, 1))),  # which of the two?
        ('{"tags":["a","a"]}', ((1, 2, 2), (0, 1), (0, 1))),  # breaks the schema
        ("NaN", ((0, 2, 0), (0, 1), (0, 1))),
        ("[" * 100_000, ((0, 2, 0), (0, 1), (0, 1))),
        ('"\ud800"', ((0, 2, 0), (0, 1), (0, 1))),
    ],
)
def test_an_answer_about_json(answer, counts):
    rows = metrics.of_task(Task("j", "?", JSON, schema=SCHEMA))
    assert tuple(tuple(row.counts('{"tags":["a","b"]}', answer)) for row in rows) == counts


def test_the_rates_are_of_sums():
    field_f1, exact, valid = metrics.of_task(Task("j", "?", JSON))
    pairs = [('{"a": 1, "b": 2}', '{"a": 1}'), ('{"a": 1}', '{"a": 1}'), ("[1]", "no")]
    assert value(field_f1, pairs) == pytest.approx(2 * 2 / (4 + 2))
    assert (value(exact, pairs), value(valid, pairs)) == (1 / 3, 2 / 3)
