"""`cliptune check --estimate`: what other numbers of clips like these would cost."""

import pytest

from tests.tuning.test_evaluate import Told
from tuning import cost
from tuning.check import check
from tuning.cost import Tokens
from tuning.providers import PROVIDERS
from tuning.requests import CheckRequest


def test_clips_epochs_and_models_cost_in_proportion(out):
    told = Told()
    found = check.run(CheckRequest(str(out), estimate=True), told)
    assert found.scales is not None
    assert found.estimates is not None
    assert [scale.examples for scale in found.scales] == [1_000, 10_000]
    for scale in found.scales:
        factor = scale.examples / found.splits["train"].examples
        for one, here in zip(scale.estimates, found.estimates, strict=True):
            assert (one.base_model, one.epochs) == (here.base_model, here.epochs)
            assert one.upper_tokens == pytest.approx(here.upper_tokens * factor, rel=1e-3)
            assert (one.upper_cost is None) == (here.upper_cost is None)
    heads = [line.split(", epochs")[0] for line in told.lines if ", epochs" in line]
    assert heads == ["1,000 clips like these", "10,000 clips like these", "these 22 clips"]


def test_without_being_asked_there_are_none(out):
    found = check.run(CheckRequest(str(out)))
    assert (found.estimates, found.scales) == (None, None)


@pytest.mark.parametrize(
    ("factor", "scaled"),
    [(1.0, (10, 21, 4)), (2.0, (20, 42, 8)), (0.5, (5, 11, 2)), (0.1, (1, 3, 0))],  # bounds never come nearer
)
def test_bounds_are_rounded_outwards(factor, scaled):
    found = Tokens(expected=10, upper=21, lower=4).scaled(factor)
    assert (found.expected, found.upper, found.lower) == scaled


def test_a_file_without_clips_has_nothing_to_go_by(tmp_path):
    assert cost.scales(Tokens(), 0, PROVIDERS["vertex"], {}) == ()
