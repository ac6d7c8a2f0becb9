"""Intervals: those of scipy, and of the coverage that they promise."""

import numpy as np
import pytest
import scipy.stats

from tuning.evaluation import metrics
from tuning.evaluation.answers import Answer, System
from tuning.evaluation.bootstrap import Interval, Resamples
from tuning.evaluation.clips import HeldOut
from tuning.evaluation.scores import score

ERRORS = lambda sums: sums[..., 0] / sums[..., 1]  # noqa: E731


def groups(dice, count, rate=0.1, spread=3.0):
    """Errors and words of groups, each with a rate of its own."""
    words = dice.integers(20, 200, count)
    rates = dice.beta(rate * spread * 10, (1 - rate) * spread * 10, count)
    return np.stack([dice.binomial(words, rates), words], axis=1).astype(float)


@pytest.mark.parametrize("count", [2, 7, 40, 300])
def test_it_is_the_interval_of_scipy(count):
    sums = groups(np.random.default_rng(count), count)
    theirs = scipy.stats.bootstrap(
        (sums[:, 0], sums[:, 1]),
        lambda errors, words, axis: errors.sum(axis) / words.sum(axis),
        paired=True, vectorized=True, n_resamples=1_000, method="BCa", rng=np.random.default_rng(5),
    ).confidence_interval  # fmt: skip
    ours = Resamples(sums, 5).interval(ERRORS)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-12)
    assert ours.value == pytest.approx(sums[:, 0].sum() / sums[:, 1].sum())


def test_of_a_thousand_datasets_the_intervals_cover_as_many_as_they_promise():
    dice, rate = np.random.default_rng(1), 0.1
    found = [Resamples(groups(dice, 60, rate), seed, 1_000).interval(ERRORS) for seed in range(1_000)]
    covered = sum((interval.low or 0) <= rate <= (interval.high or 0) for interval in found)
    assert 930 <= covered <= 970


def test_blocks_of_resamples_are_those_of_one_block(monkeypatch):
    sums = groups(np.random.default_rng(2), 50)
    whole = Resamples(sums, 3).drawn
    monkeypatch.setattr("tuning.evaluation.bootstrap._CELLS", 700)
    assert np.array_equal(Resamples(sums, 3).drawn, whole)


def test_the_same_seed_is_the_same_interval():
    sums = groups(np.random.default_rng(4), 30)
    assert Resamples(sums, 9).interval(ERRORS) == Resamples(sums, 9).interval(ERRORS)
    assert Resamples(sums, 9).interval(ERRORS) != Resamples(sums, 10).interval(ERRORS)


@pytest.mark.parametrize(
    ("sums", "interval"),
    [
        ([[1.0, 4.0]], Interval(0.25)),  # one group tells nothing of others
        ([[0.0, 0.0], [0.0, 0.0]], Interval(None)),
        ([[0.0, 4.0], [0.0, 5.0]], Interval(0.0, 0.0, 0.0)),
        ([[2.0, 4.0]] * 9, Interval(0.5, 0.5, 0.5)),
    ],
)
def test_where_there_is_little_to_say(sums, interval):
    with np.errstate(invalid="ignore"):
        assert Resamples(np.array(sums), 1).interval(ERRORS) == interval


def test_a_resample_without_a_denominator_is_left_out():
    sums = np.array([[0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 5]], dtype=float)  # two of three targets are empty
    found = Resamples(sums, 1).interval(metrics.WER.value)
    assert found.value == 3 / 5
    assert found.low is not None


def test_an_interval_is_decided_if_it_leaves_out_nothing():
    assert [Interval(1, *ends).decided for ends in ((0.1, 2), (-1, 2), (-2, -0.1), (0, 2))] == [
        True,
        False,
        True,
        False,
    ]
    assert not Interval(1).decided


@pytest.mark.parametrize("count", [7, 40])
def test_a_difference_of_two_systems_is_the_paired_one_of_scipy_over_groups(count):
    dice = np.random.default_rng(count)
    clips = [HeldOut(f"c{n}", "", "", "", "one two three", group=f"s{n % count}") for n in range(4 * count)]
    errors_of = {"one two three": 0, "one two": 1, "one too free": 2}
    said = [[dice.choice([*errors_of]) for _ in clips] for _ in range(2)]
    systems = [
        System(name, {clip.clip_id: Answer(str(text)) for clip, text in zip(clips, texts, strict=True)})
        for name, texts in zip("ab", said, strict=True)
    ]
    (scores,) = score(clips, systems, {}, "none", 5)
    ours = scores.difference(scores.resamples(), "a", "b", metrics.WER)
    errors = [[errors_of[str(text)] for text in texts] for texts in said]
    one, other = np.array(errors).reshape(2, 4, count).sum(axis=1)
    words = np.full(count, 4 * 3)
    theirs = scipy.stats.bootstrap(
        (one, other, words),
        lambda a, b, words, axis: a.sum(axis) / words.sum(axis) - b.sum(axis) / words.sum(axis),
        paired=True, vectorized=True, n_resamples=1_000, method="BCa", rng=np.random.default_rng(5),
    ).confidence_interval  # fmt: skip
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-12)
    assert ours.value == pytest.approx((one.sum() - other.sum()) / words.sum())


def test_where_bca_is_not_defined_it_is_the_percentile_interval_of_scipy():
    """No resample is below a distance of 0, which that of all groups is."""
    sums = groups(np.random.default_rng(3), 12)
    whole = ERRORS(sums.sum(axis=0))
    ours = Resamples(sums, 5).interval(lambda drawn: abs(ERRORS(drawn) - whole))
    theirs = scipy.stats.bootstrap(
        (sums[:, 0], sums[:, 1]),
        lambda errors, words, axis: abs(errors.sum(axis) / words.sum(axis) - whole),
        paired=True, vectorized=True, n_resamples=1_000, method="percentile", rng=np.random.default_rng(5),
    ).confidence_interval  # fmt: skip
    assert (ours.value, ours.low, ours.high) == pytest.approx((0, theirs.low, theirs.high), rel=1e-12)
