"""Knobs far out of range, by flag and from Python: refused before anything is read, on both sides of each limit."""

import math
from typing import Any

import numpy as np
import pytest

from tests.cliptune.test_commands import run
from tests.cliptune.test_requests import request_of
from transforms.errors import UsageError
from tuning.requests import MAX_EPOCHS, MULTIPLIERS, CheckRequest, PredictRequest, TuneRequest

__all__ = ["run"]  # a fixture
LEAST, MOST = MULTIPLIERS


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        (
            "epochs",
            [1, 3, MAX_EPOCHS, np.int64(5)],
            [0, -1, MAX_EPOCHS + 1, 10**9, math.nan, math.inf, 2.5, 3.0, True, "3", None, [3]],
        ),
        (
            "learning_rate_multiplier",
            [None, LEAST, 0.5, 1, MOST, np.float64(2.0)],
            [
                0,
                -1.0,
                math.nextafter(LEAST, 0),
                math.nextafter(MOST, 1e9),
                1e6,
                math.nan,
                math.inf,
                -math.inf,
                True,
                "1",
            ],
        ),
        ("adapter_size", [None, 1, 16, np.int32(4)], [4.0, 2.5, True, "4", math.nan]),
        ("max_cost", [None, 1e-9, 20, 1e12], [0, -1, math.nan, math.inf, True, "20"]),
        ("price_per_million", [None, 1e-9, 25, 999_999.0], [0, -3.0, 1e6, 1e300, math.nan, math.inf, True, "3"]),
        ("timeout", [None, 0.1, 10**6], [0, -1, math.nan, math.inf]),
    ],
)
def test_a_request_from_python_checks_itself(field: Any, good: list[Any], bad: list[Any]):
    for value in good:
        TuneRequest("dataset", **{field: value})
    for value in bad:
        with pytest.raises(UsageError, match=f"^{field} must be ") as told:
            TuneRequest("dataset", **{field: value})
        assert (told.value.field, "\n" in str(told.value)) == (field, False)


@pytest.mark.parametrize("price", ["input_price", "output_price"])
def test_prices_of_asking_have_the_bounds_of_the_others(price: Any):
    below: dict[str, Any] = {price: 999_999.0}
    PredictRequest("dataset", **below)
    wrong: list[Any] = [0, -1, 1e6, math.nan, math.inf, "3", False]
    for value in wrong:
        with pytest.raises(UsageError, match=f"^{price} must be "):
            PredictRequest("dataset", **{price: value})


@pytest.mark.parametrize("epochs", [0, MAX_EPOCHS + 1])
def test_an_estimate_of_epochs_that_nobody_can_tune_is_none(epochs):
    with pytest.raises(UsageError, match=r"^epochs must be "):
        CheckRequest("dataset", epochs=epochs)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--epochs=0"], "--epochs must be 1 or more, got 0"),
        (["--epochs=-5"], "--epochs must be 1 or more, got -5"),
        (["--epochs=101"], "--epochs must be at most 100, for each epoch is paid"),
        (["--epochs=1000000000"], "--epochs must be at most 100"),
        (["--epochs=nan"], "invalid whole number value: 'nan'"),
        (["--learning_rate_multiplier=0"], "--learning_rate_multiplier must be above 0, got 0.0"),
        (["--learning_rate_multiplier=-1"], "--learning_rate_multiplier must be above 0, got -1.0"),
        (["--learning_rate_multiplier=0.009"], "--learning_rate_multiplier must be from 0.01 to 100"),
        (["--learning_rate_multiplier=1e6"], "--learning_rate_multiplier must be from 0.01 to 100"),
        (["--learning_rate_multiplier=nan"], "--learning_rate_multiplier must be above 0, got nan"),
        (["--learning_rate_multiplier=inf"], "--learning_rate_multiplier must be above 0, got inf"),
        (["--adapter_size=many"], "invalid int value"),
        (["--price_per_million=1e300"], "--price_per_million must be US dollars for a million tokens, below 1,000,000"),
    ],
)
def test_a_flag_far_out_of_range_is_one_line(run, tmp_path, words, told):
    """Of a folder that is not there: nothing was looked at."""
    status, stdout, stderr = run("tune", tmp_path / "none", "--emulator", *words)
    assert (status, stdout) == (2, "")
    assert told in stderr.splitlines()[-1]


@pytest.mark.parametrize(("size", "status"), [(1, 0), (3, 1), (16, 0), (32, 1), (0, 1), (-4, 1)])
def test_an_adapter_size_is_one_that_the_model_has(run, out, size, status):
    words = ("--project=p", "--staging_location=gs://bucket/s", "--dry_run", f"--adapter_size={size}")
    found, _, stderr = run("tune", out, *words)
    assert found == status
    assert ("adapter_size of gemini-3.1-flash-lite must be one of 1, 2, 4, 8, 16" in stderr) is bool(status)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"epochs": 3}, {"epochs": np.int64(3)}),
        ({"adapter_size": 4}, {"adapter_size": np.int64(4)}),
        ({"learning_rate_multiplier": 1}, {"learning_rate_multiplier": 1.0}),
        ({"learning_rate_multiplier": 2.0}, {"learning_rate_multiplier": np.float64(2)}),
    ],
)
def test_equal_knobs_are_one_request(one: dict[str, Any], other: dict[str, Any]):
    """Another spelling of a number would be another digest, and a second paid job."""
    first, second = TuneRequest("d", **one), TuneRequest("d", **other)
    assert repr(first) == repr(second)
    assert repr(TuneRequest("d", **one)) == repr(
        request_of("tune", "d", *(f"--{name}={value}" for name, value in one.items()))
    )
