"""The curve of error against size: against curves that are known, against scipy's, and by simulation."""

import numpy as np
import pytest
from scipy.optimize import curve_fit

from tuning.evaluation import power_law
from tuning.evaluation.bootstrap import Resamples

SIZES = np.array([125.0, 250.0, 500.0, 1_000.0])
NONE = np.zeros((0, 4))


def truth(floor, scale, exponent, sizes):
    return floor + scale * (sizes / 1_000) ** -exponent


CURVES = [
    (0.05, 0.10, 0.5),
    (0.00, 0.20, 0.25),  # no floor: the bound is where the truth is
    (0.10, 0.02, 1.0),
    (0.20, -0.05, 0.5),  # more examples make it worse
    (0.15, 0.00, 0.5),  # nor better nor worse
]


@pytest.mark.parametrize(("floor", "scale", "exponent"), CURVES)
def test_a_curve_that_is_known_is_found(floor, scale, exponent):
    errors = truth(floor, scale, exponent, SIZES)
    found = power_law.fit(SIZES, errors)
    for size in (125, 1_000, 2_000, 4_000):
        assert found.at(size) == pytest.approx(truth(floor, scale, exponent, size), abs=1e-3)
    assert power_law.gain(SIZES, errors, NONE, 2_000).value == pytest.approx(
        truth(floor, scale, exponent, 1_000) - truth(floor, scale, exponent, 2_000), abs=1e-3
    )


@pytest.mark.parametrize(("floor", "scale", "exponent"), CURVES[:3])
def test_no_curve_of_scipy_fits_better(floor, scale, exponent):
    """Within the same bounds; the grid of exponents costs next to nothing."""
    dice = np.random.default_rng(0)
    for _ in range(20):
        errors = truth(floor, scale, exponent, SIZES) + dice.normal(0, 0.005, 4)
        ours = power_law.fit(SIZES, errors)
        law, _ = curve_fit(
            lambda n, a, b, c: truth(a, b, c, n),
            SIZES,
            errors,
            p0=(0.01, 0.1, 0.5),
            bounds=([0, -2, 0.05], [2, 2, 2]),
            max_nfev=10_000,
        )
        theirs = ((truth(law[0], law[1], law[2], SIZES) - errors) ** 2).sum()
        assert ((np.array([ours.at(n) for n in SIZES]) - errors) ** 2).sum() <= theirs + 1e-5


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e6])
def test_the_unit_of_the_size_changes_nothing(unit):
    errors = np.array([0.5, 0.4, 0.33, 0.29])
    one, other = power_law.fit(SIZES, errors), power_law.fit(SIZES * unit, errors)
    assert one.at(2_000) == pytest.approx(other.at(2_000 * unit), rel=1e-9)


@pytest.mark.parametrize("errors", [[0.5, 0.4, 0.35, 0.3], [0.9, 0.5, 0.45, 0.44], [0.2, 0.21, 0.18, 0.19]])
def test_a_doubling_gains_between_a_quarter_and_all_of_the_last_one(errors):
    fitted = power_law.fit(SIZES, np.array(errors))
    last = fitted.at(500) - fitted.at(1_000)
    following = fitted.at(1_000) - fitted.at(2_000)
    assert abs(last) / 4 - 1e-12 <= abs(following) <= abs(last)
    assert last * following >= 0


def test_no_error_is_below_nothing():
    assert power_law.fit(SIZES, np.array([0.4, 0.2, 0.05, 0.0])).floor >= 0


def test_what_is_all_the_same_gains_nothing_with_certainty():
    drawn = np.repeat(np.linspace(0.1, 0.3, 50)[:, None], 4, axis=1)
    found = power_law.gain(SIZES, np.full(4, 0.2), drawn, 2_000)
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_the_last_point_is_foretold_or_not():
    errors = truth(0.05, 0.1, 0.5, SIZES)
    drawn = errors + np.random.default_rng(0).normal(0, 0.002, (500, 4))
    assert not power_law.miss(SIZES, errors, drawn).decided
    bent = np.array([0, 0, 0, 0.05])  # it got worse where it should have got better
    found = power_law.miss(SIZES, errors + bent, drawn + bent)
    assert found.decided
    assert found.value == pytest.approx(-0.05, abs=0.003)


def test_the_largest_is_the_last_wherever_it_stands():
    errors = truth(0.05, 0.1, 0.5, SIZES) + np.array([0, 0.001, 0, 0.01])
    order = [3, 0, 2, 1]
    mixed, sorted_ = power_law.miss(SIZES[order], errors[order], NONE), power_law.miss(SIZES, errors, NONE)
    assert mixed.value == pytest.approx(sorted_.value, rel=1e-12)  # the order of sums is the library's


def test_resamples_without_a_rate_are_left_out():
    errors = truth(0.05, 0.1, 0.5, SIZES)
    drawn = errors + np.random.default_rng(0).normal(0, 0.002, (100, 4))
    holes = np.concatenate([drawn, np.full((7, 4), np.nan)])
    assert power_law.gain(SIZES, errors, holes, 2_000) == power_law.gain(SIZES, errors, drawn, 2_000)


@pytest.mark.sweep
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("floor", "scale", "exponent"), [CURVES[0], CURVES[1], CURVES[2], CURVES[4]])
def test_intervals_cover_the_truth_of_simulated_datasets(floor, scale, exponent):
    """60 speakers of 20 to 60 words, some harder than others: at least 92 of 100 intervals hold what doubling gains."""
    dice, covered, found = np.random.default_rng(1), 0, 0
    gained = truth(floor, scale, exponent, 1_000) - truth(floor, scale, exponent, 2_000)
    for seed in range(300):
        words = dice.integers(20, 60, 60)
        hard = dice.gamma(10, 0.1, (60, 1)) * dice.gamma(100, 0.01, (60, 4))
        wrong = dice.binomial(words[:, None], np.clip(truth(floor, scale, exponent, SIZES) * hard, 0, 1))
        drawn = Resamples(np.concatenate([wrong, words[:, None]], axis=1).astype(float), seed)
        rates = (drawn.whole[:4] / drawn.whole[4], drawn.drawn[:, :4] / drawn.drawn[:, 4:])
        interval = power_law.gain(SIZES, *rates, 2_000)
        covered += interval.low <= gained <= interval.high
        found += interval.decided
    assert covered >= 0.92 * 300
    # Where there is nothing to gain, it is seldom said that there is; where there is, it is found.
    assert found <= 0.07 * 300 if scale == 0 else found >= 0.9 * 300
