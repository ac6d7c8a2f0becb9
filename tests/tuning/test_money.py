"""Every amount of money that a command prints stands beside its price, the source of the price and the day it is of."""

import json
import re

import pytest
import soundfile

from tests.cliptune.test_commands import run
from tests.sounds import tone
from tuning import asking, cost
from tuning.asking import AskingEstimate, Size, Spent
from tuning.cost import Tokens
from tuning.providers.vertex import PROVIDER as VERTEX
from tuning.providers.vertex import models

__all__ = ["run"]  # a fixture

SOURCE = "transcribed, Google's pricing page, as others have copied it, as of 2026-09"
AMOUNT = re.compile(r"\$[0-9]")
# A price that the user gives is its own source, which is named.
GIVEN = ("price given by --price_per_million", "price given by prices.json", "--input_price and --output_price")


def sourceless(stderr):
    """The lines with money that do not say whose it is. The rows of a table have their sources below it."""
    table = [line for line in stderr.splitlines() if line.startswith("gemini-")]
    for model in {line.split()[0] for line in table if AMOUNT.search(line)}:
        assert re.search(rf"^  {re.escape(model)}: .*({re.escape(SOURCE)}|{'|'.join(GIVEN)})", stderr, re.MULTILINE)
    lines = [line for line in stderr.splitlines() if AMOUNT.search(line) and line not in table]
    return [line for line in lines if SOURCE not in line and not any(words in line for words in GIVEN)]


@pytest.fixture
def tuned(run, out):
    assert run("tune", out, "--emulator", "--epochs", 2)[0] == 0
    return out


COMMANDS = {
    "check": ["check"],
    "check --estimate": ["check", "--estimate"],
    "a price of one's own": ["check", "--estimate", "--price_per_million", "7"],
    "3.5 Flash": ["check", "--base_model", "gemini-3.5-flash"],
    "3.5 Flash-Lite": ["check", "--base_model", "gemini-3.5-flash-lite"],
    "tune": ["tune", "--emulator", "--epochs", "2"],
    "tune --dry_run": ["tune", "--project=p", "--staging_location=gs://bucket/s", "--dry_run"],
    "tune --max_cost": ["tune", "--emulator", "--epochs", "3", "--max_cost", "0.000001"],
    "watch": ["watch", "--emulator"],
    "jobs": ["jobs", "--emulator"],
    "predict": ["predict", "--emulator"],
    "predict --model base": ["predict", "--emulator", "--model", "base"],
    "predict --max_cost": ["predict", "--emulator", "--split", "train", "--max_cost", "0.000001"],
    "predict at one's own price": ["predict", "--emulator", "--input_price", "1", "--output_price", "2"],
    "predict at half a price": ["predict", "--emulator", "--input_price", "1"],
}
WITHOUT_MONEY = {"jobs", "3.5 Flash-Lite"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_amount_names_its_source(run, tuned, name):
    verb, *flags = COMMANDS[name]
    status, _, stderr = run(verb, tuned, *flags)
    assert (status, bool(AMOUNT.search(stderr))) == (1 if "--max_cost" in name else 0, name not in WITHOUT_MONEY), (
        stderr
    )
    assert sourceless(stderr) == []


def test_recordings_and_report_and_stdout_name_it_too(run, tuned, tmp_path):
    clip = tmp_path / "new.wav"
    soundfile.write(clip, tone(440, 16_000, 1.0), 16_000)
    status, _, stderr = run("predict", tuned, "--emulator", "--audio", clip)
    assert (status, sourceless(stderr)) == (0, [])
    assert "$" not in (tuned / "report.json").read_text()
    assert SOURCE in json.loads(run("check", tuned)[1])["estimate"]["note"]
    assert SOURCE in json.loads(run("predict", tuned, "--emulator")[1])["price"]


@pytest.mark.parametrize(
    ("name", "dollars"),
    [
        ("gemini-3.5-flash", 10.0),
        ("gemini-3.1-flash-lite", 3.0),
        ("gemini-3.5-flash-lite", None),
        ("gemini-2.5-flash", 5.0),
        ("gemini-2.5-flash-lite", 1.5),
        ("gemini-2.5-pro", 25.0),
    ],
)
def test_a_million_tokens_cost_the_price_and_an_unknown_one_nothing_is_said_of(name, dollars):
    for tokens in (999_999, 1_000_000, 1_000_001):
        train = Tokens(expected=tokens, upper=2 * tokens, lower=tokens // 2)
        found = cost.estimate(train, VERTEX, models.find(name), 3)
        costs = (found.lower_cost, found.cost, found.upper_cost)
        if dollars is None:
            assert (costs, "$" in found.line(), found.range) == ((None, None, None), False, "price not known")
            continue
        parts = (tokens // 2, tokens, 2 * tokens)
        assert costs == pytest.approx([3 * part * dollars / 1e6 for part in parts])
        assert f"${dollars:g} a million tokens, {SOURCE}" in found.line()
        counted = found.beside(tokens)
        assert f"in 3 epochs ${3 * tokens * dollars / 1e6:,.2f}; " in counted
        assert counted.endswith(f"{found.range}; ${dollars:g} a million tokens, {SOURCE}")


@pytest.mark.parametrize(
    ("name", "tuned", "read", "written"),
    [
        ("gemini-3.5-flash", True, 2.25, 13.50),
        ("gemini-3.5-flash", False, 1.50, 9.00),
        ("gemini-3.1-flash-lite", True, 0.375, 2.25),
        ("gemini-3.1-flash-lite", False, 0.25, 1.50),
    ],
)
def test_a_million_tokens_asked_cost_the_price_tuned_half_as_much_again(name, tuned, read, written):
    price = asking.price_of(VERTEX, name, tuned)
    assert price.of(1_000_000, 0) == pytest.approx(read)
    assert price.of(0, 1_000_000) == pytest.approx(written)
    spent = Spent(read=1_000_000, written=1_000_000)
    assert f": {asking.dollars(read + written)} (" in spent.line(price)
    assert SOURCE in spent.line(price)
    estimate = AskingEstimate.of([Size(10.0, 40, 80)], 100, price)
    assert estimate.cost == pytest.approx(((320 + 10) * read + 20 * written) / 1e6)
    assert estimate.upper_cost == pytest.approx(((350 + 40) * read + 100 * written) / 1e6)


@pytest.mark.parametrize(
    "name", ["gemini-3.5-flash-lite", "gemini-2.5-flash", "gemini-2.5-flash-lite", "gemini-2.5-pro", ""]
)
@pytest.mark.parametrize("tuned", [True, False])
def test_answers_whose_price_nobody_knows_have_none(name, tuned):
    price = asking.price_of(VERTEX, name, tuned)
    assert (price.read, price.written, price.of(1, 1)) == (None, None, None)
    assert "$" not in AskingEstimate.of([Size(1.0, 1, 1)], 10, price).line() + Spent(1, 1).line(price)
