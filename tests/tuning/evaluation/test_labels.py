"""Labels: what an answer counts as, who is taken for whom, and what scikit-learn's definitions say by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.settings import LABELS, Task
from tuning.evaluation import bootstrap, labels, metrics, normalizers
from tuning.evaluation.answers import Answer, System
from tuning.evaluation.bootstrap import Dense, Resamples, Sparse
from tuning.evaluation.clips import HeldOut
from tuning.evaluation.labels import Labels, LabelScores, Unparsable
from tuning.evaluation.scores import score

OURS = normalizers.find("cliptune")
LANGUAGES = Labels(("en", "es", "no"), str)


@pytest.mark.parametrize(
    ("names", "same", "answer", "label"),
    [
        (("en", "es"), str, "en", "en"),
        (("en", "es"), str, " en\n", "en"),  # white space around an answer is nobody's
        (("en", "es"), str, "EN", None),  # nothing is corrected unless it is asked for
        (("en", "es"), str, "en.", None),
        (("en", "es"), OURS, "EN.", "en"),
        (("en", "es"), OURS, "the language is en", None),
        (("Yes", "yes", "no"), OURS, "yes", "yes"),  # what the normaliser makes alike is told apart as it is written
        (("Yes", "yes", "no"), OURS, "YES", None),
        (("Yes", "yes", "no"), OURS, "No!", "no"),
        (("+", "-"), OURS, "+", "+"),
        (("+", "-"), OURS, "*", None),
        (("+", "-"), OURS, "", None),
        (("straße", "weg"), OURS, "STRASSE", "straße"),
    ],
)
def test_an_answer_is_the_label_that_it_is_written_as(names, same, answer, label):
    assert Labels(names, same).find(answer) == label


@pytest.mark.parametrize(
    ("answer", "closest"),
    [
        ("The language is en.", "en"),
        ("en or es", None),  # names two
        ("EN", "en"),
        ("eng", "en"),
        ("klingon", None),
        ("", None),
        ("x" * 1_000_000, None),
    ],
)
def test_the_closest_label_is_named(answer, closest):
    assert LANGUAGES.closest(answer) == closest


def test_the_confusion_matrix_has_a_row_for_each_label_that_is_there():
    pairs = [("en", "en"), ("en", "es"), ("es", "es"), ("es", "Spanish"), ("en", ""), ("en", "en ")]
    assert labels.confusion(LANGUAGES, pairs) == {
        "en": LabelScores(4, {"en": 2, "es": 1}, 0, 1, 1.0, 0.5, 2 * 2 / 6),
        "es": LabelScores(2, {"es": 1}, 1, 0, 0.5, 0.5, 0.5),
    }
    assert labels.confusion(LANGUAGES, [("en", "no")]) == {
        "en": LabelScores(1, {"no": 1}, 0, 0, None, 0.0, 0.0),
        "no": LabelScores(0, {}, 0, 0, 0.0, None, 0.0),
    }


def test_answers_that_are_no_label_are_counted_and_the_most_frequent_shown():
    said = ["en", "English", "English", "", " ", "EN", *(f"nothing {number}" for number in range(30))]
    count, shown = labels.unparsable(LANGUAGES, said)
    assert count == 33
    assert len(shown) == labels.SHOWN
    assert shown[:2] == (Unparsable("English", 2, None), Unparsable("EN", 1, "en"))


LABEL = st.sampled_from(["en", "es", "no", "", "what"])


@given(st.lists(st.tuples(st.sampled_from(["en", "es", "no"]), LABEL), min_size=1, max_size=12))
def test_macro_f1_is_the_mean_of_the_rows_of_the_confusion_matrix(pairs):
    clips = [HeldOut(f"c{n}", "m:1", "", "", target, task="l", kind=LABELS) for n, (target, _) in enumerate(pairs)]
    system = System("x", {f"c{n}": Answer(said) for n, (_, said) in enumerate(pairs)})
    task = Task("l", "?", LABELS, LANGUAGES.names)
    (scores,) = score(clips, [system], {"l": task}, "none", 1)
    accuracy, macro = (scores.interval(scores.resamples(), "x", metric).value for metric in scores.metrics)
    rows = labels.confusion(LANGUAGES, pairs).values()
    assert macro == pytest.approx(np.mean([row.f1 for row in rows]))
    assert accuracy == pytest.approx(sum(target == said for target, said in pairs) / len(pairs))


def test_sparse_sums_are_those_of_dense_ones(monkeypatch):
    dice = np.random.default_rng(3)
    rows, columns = dice.integers(0, 40, 500), dice.integers(0, 9, 500)
    sums = np.zeros((40, 9))
    np.add.at(sums, (rows, columns), 1)
    dense, sparse = Resamples(Dense(sums), 5), Resamples(Sparse(rows, columns, 40, 9), 5)
    assert np.array_equal(dense.drawn, sparse.drawn)
    first = dense.replicates(metrics._mean_f1)
    monkeypatch.setattr(bootstrap, "_CELLS", 50)  # five groups at a time
    second = sparse.replicates(metrics._mean_f1)
    assert first.point == second.point
    assert np.array_equal(first.without, second.without)
    assert first.interval() == second.interval()


def test_of_a_thousand_labels_no_more_is_kept_than_of_two():
    """A count of each label for each clip would be 2.4 GB for a hundred thousand clips."""
    names = tuple(f"l{number}" for number in range(1_000))
    clips = [HeldOut(f"c{n}", "m:1", "", "", names[n], task="l", kind=LABELS) for n in range(1_000)]
    system = System("x", {clip.clip_id: Answer(clip.target) for clip in clips})
    (scores,) = score(clips, [system], {"l": Task("l", "?", LABELS, names)}, "none", 1)
    assert scores.counts.shape == (1_000, 2)
    assert scores.wide["x", "macro_f1"].shape == (1_000, 3)
    assert scores.interval(scores.resamples(), "x", scores.metrics[1]).value == 1
