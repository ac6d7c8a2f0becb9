"""Metrics: the numbers of jiwer, of scikit-learn's definitions by hand, and of JSON's fields."""

import jiwer
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.settings import JSON, LABELS, TEXT, Task
from tuning.evaluation import align, metrics

WORDS = st.lists(st.sampled_from(["one", "two", "drei", "四", "é"]), max_size=8).map(" ".join)
PAIRS = st.lists(st.tuples(WORDS.filter(bool), WORDS), min_size=1, max_size=6)


def value(metric, pairs):
    counts = np.array([metric.counts(*pair) for pair in pairs])
    sums = np.bincount(counts[counts >= 0], minlength=metric.width) if metric.width else counts.sum(axis=0)
    return float(metric.value(sums.astype(float)))


@given(PAIRS)
def test_word_errors_are_those_of_jiwer(pairs):
    theirs = jiwer.process_words([pair[0] for pair in pairs], [pair[1] for pair in pairs])
    sums = np.array([metrics.WER.counts(*pair) for pair in pairs]).sum(axis=0)
    ours = [theirs.substitutions, theirs.deletions, theirs.insertions]
    assert [*sums] == [*ours, theirs.hits + theirs.substitutions + theirs.deletions]
    assert value(metrics.WER, pairs) == pytest.approx(theirs.wer)


@given(PAIRS)
def test_character_errors_are_those_of_jiwer(pairs):
    assert value(metrics.CER, pairs) == pytest.approx(
        jiwer.cer([pair[0] for pair in pairs], [pair[1] for pair in pairs])
    )


@pytest.mark.parametrize(
    ("target", "answer", "edits"),
    [
        ("the cat sat", "the cat sat", (0, 0, 0)),
        ("the cat sat", "the bat sat", (1, 0, 0)),
        ("the cat sat", "the sat", (0, 1, 0)),
        ("the cat sat", "oh the cat sat down", (0, 0, 2)),
        ("the cat sat", "", (0, 3, 0)),
        ("", "thank you", (0, 0, 2)),
    ],
)
def test_edits(target, answer, edits):
    found = align.edits(target.split(), answer.split())
    assert (found.substitutions, found.deletions, found.insertions) == edits


def test_a_rate_of_nothing_is_no_number():
    assert np.isnan(value(metrics.WER, [("", "thank you")]))


def test_spans_are_the_texts_in_their_order():
    found = align.spans(["a", "b", "c", "d"], ["a", "x", "c", "d", "e"])
    assert [(span.kind, span.target, span.answer) for span in found] == [
        ("equal", ("a",), ("a",)),
        ("replace", ("b",), ("x",)),
        ("equal", ("c", "d"), ("c", "d")),
        ("insert", (), ("e",)),
    ]


def test_labels():
    accuracy, macro = metrics.of_task(Task("l", "?", LABELS, ("en", "es", "no")))
    pairs = [("en", "en"), ("en", "es"), ("es", "es"), ("es", "Spanish, I think"), ("en", "en ")]
    assert value(accuracy, pairs) == 3 / 5
    # en: 2 right of 3 meant and 2 answered; es: 1 right of 2 meant and 2 answered; no: never there.
    assert value(macro, pairs) == pytest.approx((2 * 2 / 5 + 2 * 1 / 4) / 2)


def test_json():
    schema = {"type": "object", "required": ["room"]}
    field_f1, exact, valid = metrics.of_task(Task("j", "?", JSON, schema=schema))
    pairs = [
        ('{"room": 1, "names": ["a", "b"]}', '{"names": ["a", "c"], "room": 1.0}'),
        ('{"room": 2}', '{"room": 2}'),
        ('{"room": 3}', "three"),
        ('{"room": 4}', '{"hall": 4}'),
    ]
    assert value(field_f1, pairs) == pytest.approx(2 * 3 / (6 + 5))
    assert (value(exact, pairs), value(valid, pairs)) == (1 / 4, 2 / 4)


def test_every_kind_of_target_has_metrics_of_names_of_their_own():
    tasks = [Task("t", "?", TEXT), Task("l", "?", LABELS, ("a", "b")), Task("j", "?", JSON)]
    names = [metric.name for task in tasks for metric in metrics.of_task(task)]
    assert len({*names}) == len(names) == 7
