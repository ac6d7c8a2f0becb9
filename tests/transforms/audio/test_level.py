"""The level of a clip is the same on every machine, and what a meter shows."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.audio import level
from transforms.audio.level import Level

FULL_SINE = np.rint(32_767 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)).astype(np.int16)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (FULL_SINE, Level(-3.0, 0.0)),
        (FULL_SINE // 2, Level(-9.0, -6.0)),
        ([-32_768] * 10, Level(0.0, 0.0)),
        ([32_767] * 10, Level(0.0, 0.0)),
        ([1], Level(-90.3, -90.3)),
        ([1] + [0] * 1_000_000, Level(-120.0, -90.3)),  # -150.3 is below the lowest
        ([0] * 10, Level(-120.0, -120.0)),
        ([], Level(-120.0, -120.0)),
    ],
)
def test_the_level(samples, expected):
    found = level.of(np.array(samples, np.int16))
    assert found == expected
    assert "-0.0" not in (str(found.rms_dbfs), str(found.peak_dbfs))


@given(st.lists(st.integers(-32_768, 32_767), min_size=1, max_size=50), st.integers(1, 7))
def test_it_is_that_of_the_exact_sum_of_squares_however_it_is_added(values, at_a_time):
    samples = np.array(values, np.int16)
    mean = Fraction(sum(value * value for value in values), len(values) * 32_768**2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(level, "_AT_A_TIME", at_a_time)
        found = level.of(samples)
    assert found == level.of(samples[::-1].copy())
    assert found.rms_dbfs == (max(-120.0, round(10 * math.log10(mean), 1)) if mean else -120.0)
    assert found.rms_dbfs <= found.peak_dbfs


def test_the_longest_stretch_of_the_loudest_samples_is_added_up_exactly():
    samples = np.full(level._AT_A_TIME, -32_768, np.int16)
    assert level._squares(samples) == level._AT_A_TIME * 2**30 < 2**53
