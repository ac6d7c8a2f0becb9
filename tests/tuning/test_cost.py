"""What tuning will cost, told as a range and never as Google's word."""

import json
from contextlib import nullcontext
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tuning.providers.test_rows import ANSWER, PROMPT, blob, model, row, uri, user
from transforms.errors import UserError
from transforms.storage import Storage, uris
from tuning.check import files
from tuning.cost import Price, Tokens, estimate, given_prices, own_price, table
from tuning.providers.base import Facts
from tuning.providers.vertex import PROVIDER as VERTEX
from tuning.providers.vertex import models
from tuning.providers.vertex.rows import check_line

storage = Storage()

PRICED = models.MODELS["gemini-3.1-flash-lite"]
FLAG = "price given by --price_per_million"
UNPRICED = models.MODELS["gemini-3.5-flash-lite"]


def tokens(*facts):
    total = Tokens()
    for each in facts:
        total.add(each)
    return total


@pytest.mark.parametrize(
    ("facts", "lower", "expected", "upper"),
    [
        (Facts(), 0, 0, 0),
        (Facts(seconds=1.0, audio="x"), 30, 32, 35),
        (Facts(seconds=30.0, audio="x"), 900, 960, 1_050),
        (Facts(seconds=0.01, audio="x"), 0, 0, 0),
        (Facts(text_chars=4, text_bytes=4), 0, 1, 4),
        (Facts(text_chars=5, text_bytes=5), 0, 2, 5),  # a part of a token is one
        (Facts(text_chars=10, text_bytes=30), 1, 3, 30),  # 日本語 has three bytes a character
    ],
)
def test_the_tokens_of_an_example(facts, lower, expected, upper):
    assert tokens(facts) == Tokens(expected, upper, 0, lower)


@given(st.builds(Facts, st.floats(0, 3_600), st.integers(0, 10**5), st.integers(10**5, 10**6), st.just("x")))
def test_the_bounds_are_bounds(facts):
    assert facts.min_tokens <= facts.tokens <= facts.max_tokens


def test_audio_that_is_elsewhere_is_as_long_as_the_dataset_says():
    told = tokens(Facts(audio="gs://bucket/1"), Facts(audio="gs://bucket/2")).with_audio(10.0)
    assert told == Tokens(640, 700, 0, 600)


def test_tokens_add_up():
    one, other = Facts(1.5, 10, 12, "x"), Facts(2.5, 7, 7, "y")
    sums = [tokens(one), tokens(other)]
    assert tokens(one, other) == tokens(other, one)
    assert tokens(one, other).expected == sum(each.expected for each in sums)
    assert tokens(one, other).upper == sum(each.upper for each in sums)


@pytest.mark.parametrize(
    ("line", "unknown"),
    [
        (row(user(PROMPT, blob()), model(ANSWER)), 0),
        (row(user(PROMPT, uri()), model(ANSWER)), 1),
        (row(user(PROMPT, blob(bytes(100), "audio/pcm")), model(ANSWER)), 1),  # at a rate that nobody states
        (row(user(PROMPT), model(ANSWER)), 0),  # no audio at all
    ],
)
def test_audio_of_unknown_length_is_counted_apart(line, unknown):
    assert tokens(check_line(line, "f:1")[1]).unknown_audio == unknown


@pytest.mark.parametrize("epochs", [1, 3, 40])
def test_the_cost_is_proportional_to_the_epochs(epochs):
    train = Tokens(1_000_000, 2_000_000, 0, 500_000)
    cost = estimate(train, VERTEX, PRICED, epochs)
    assert asdict(cost) == {
        "base_model": "gemini-3.1-flash-lite",
        "epochs": epochs,
        "lower_tokens": 500_000 * epochs,
        "tokens": 1_000_000 * epochs,
        "upper_tokens": 2_000_000 * epochs,
        "price_per_million": 3.0,
        "lower_cost": 1.5 * epochs,
        "cost": 3.0 * epochs,
        "upper_cost": 6.0 * epochs,
        "note": "$3 a million tokens, transcribed, Google's pricing page, as others have copied it, as of 2026-09",
    }


@pytest.mark.parametrize(
    ("base_model", "price", "line"),
    [
        (
            PRICED,
            None,
            "gemini-3.1-flash-lite: 3,000,000–6,000,000 tokens in 3 epochs, $9.00–$18.00 "
            "($3 a million tokens, transcribed, Google's pricing page, as others have copied it, as of 2026-09)",
        ),
        (
            PRICED,
            1.25,
            "gemini-3.1-flash-lite: 3,000,000–6,000,000 tokens in 3 epochs, $3.75–$7.50 "
            "(price given by --price_per_million)",
        ),
        (
            UNPRICED,
            None,
            "gemini-3.5-flash-lite: 3,000,000–6,000,000 tokens in 3 epochs; its price is not known "
            "(--price_per_million or --prices tells it)",
        ),
        (
            UNPRICED,
            1_000.0,
            "gemini-3.5-flash-lite: 3,000,000–6,000,000 tokens in 3 epochs, $3,000.00–$6,000.00 "
            "(price given by --price_per_million)",
        ),
    ],
)
def test_the_line_for_people(base_model, price, line):
    assert (
        estimate(Tokens(1, 2_000_000, 0, 1_000_000), VERTEX, base_model, 3, price and Price(price, FLAG)).line() == line
    )


def test_only_the_training_split_of_a_dataset_is_paid_for(prepared):
    findings = files.check(files.files_of(prepared.name, Storage()), Storage())
    examples = [
        json.loads(line)["contents"]
        for shard in prepared.splits["train"]
        for line in storage.read_bytes(uris.join(prepared.uri, shard.path)).splitlines()
    ]
    texts = [turns[0]["parts"][0]["text"] + turns[1]["parts"][0]["text"] for turns in examples]
    train = findings.splits["train"].tokens
    assert len(texts) == 22
    # Half a second of sound each: 16 tokens expected, 18 (17.5) at most.
    assert train == Tokens(
        sum(16 + -(-len(text) // 4) for text in texts),
        sum(18 + len(text) for text in texts),
        0,
        sum(15 + len(text) // 10 for text in texts),
    )


@pytest.mark.parametrize(
    ("model", "max_cost", "told"),
    [
        (PRICED, 18.0, None),  # exactly the upper bound
        (PRICED, 17.99, r"max_cost must be at least the upper bound, \$18\.00, got 17\.99; raise it, or tune in fewer"),
        (UNPRICED, 1e9, "the price of gemini-3.5-flash-lite is not known; give it by --price_per_million"),
    ],
)
def test_what_may_cost_too_much_is_refused(model, max_cost, told):
    cost = estimate(Tokens(1_000_000, 2_000_000), VERTEX, model, 3)
    with pytest.raises(UserError, match=told) if told else nullcontext():
        cost.refuse_over(max_cost)


def test_the_table_has_every_model_in_one_to_five_epochs():
    rows = table(Tokens(1_000_000, 2_000_000), VERTEX, {"gemini-3.5-flash": Price(7.0, "mine")})
    assert [(row.base_model, row.epochs) for row in rows] == [(name, n) for name in models.MODELS for n in range(1, 6)]
    by_model = {row.base_model: row for row in rows if row.epochs == 5}
    assert by_model["gemini-3.5-flash"].upper_cost == 70.0
    assert by_model["gemini-3.1-flash-lite"].upper_cost == 30.0
    assert by_model["gemini-3.5-flash-lite"].range == "price not known"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"gemini-3.5-flash": 4.5}', None),
        ('{"gemini-3.5-flash": 1e6}', "got 1000000.0"),
        ('{"gemini-3.5-flash": 0}', "gemini-3.5-flash must be US dollars for a million tokens, got 0"),
        ('{"gemini-3.5-flash": "4"}', "must be US dollars for a million tokens, got '4'"),
        ('{"gemini-3.5-flash": true}', "got True"),
        ('{"gemini-3.5-flush": 4.5}', "did you mean gemini-3.5-flash"),
        ("[]", "must be an object"),
        ("{", "not JSON"),
        (None, "there is no such file"),
    ],
)
def test_prices_from_a_file(tmp_path, content, told):
    file = tmp_path / "prices.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UserError, match=told) if told else nullcontext():
        prices = given_prices(VERTEX, str(file), "gemini-3.1-flash-lite", 2.0)
        assert prices == {
            "gemini-3.5-flash": Price(4.5, f"price given by {file}"),
            "gemini-3.1-flash-lite": Price(2.0, FLAG),
        }


@pytest.mark.parametrize("price", [0.01, 1, 999_999.9])
def test_a_price_may_be_small_or_large(tmp_path, price):
    file = tmp_path / "prices.json"
    file.write_text(json.dumps({PRICED.name: price}))
    assert given_prices(VERTEX, str(file), PRICED.name, None) == {PRICED.name: Price(price, f"price given by {file}")}


def test_without_a_file_and_a_flag_there_are_no_prices():
    assert given_prices(VERTEX, None, PRICED.name, None) == {}


def test_a_price_that_nobody_knows_is_not_known():
    unknown = replace(PRICED, price_per_million=None)
    assert own_price(VERTEX, unknown) == Price(None, "not known")
    assert own_price(VERTEX, replace(PRICED, price_per_million=2.5)) == Price(
        2.5, "$2.5 a million tokens, transcribed, Google's pricing page, as others have copied it, as of 2026-09"
    )


def test_the_price_of_the_flag_wins_over_the_files_and_that_over_the_tables(tmp_path):
    file = tmp_path / "p.json"
    file.write_text(json.dumps({PRICED.name: 4.5, "gemini-2.5-pro": 6}))
    assert PRICED.price_per_million not in (None, 4.5, 7.0)
    for_file = Price(4.5, f"price given by {file}")
    assert given_prices(VERTEX, str(file), PRICED.name, None)[PRICED.name] == for_file
    both = given_prices(VERTEX, str(file), PRICED.name, 7.0)
    assert both == {PRICED.name: Price(7.0, FLAG), "gemini-2.5-pro": Price(6, f"price given by {file}")}
    tokens = Tokens(1_000_000, 1_000_000, 0, 1_000_000)
    assert estimate(tokens, VERTEX, PRICED, 1, both[PRICED.name]).cost == 7.0
    assert estimate(tokens, VERTEX, PRICED, 1, for_file).cost == 4.5
    assert estimate(tokens, VERTEX, PRICED, 1).cost == PRICED.price_per_million


@pytest.mark.parametrize(
    ("epochs", "billable", "told"),
    [
        (
            1,
            1_500,
            "the service counted 1,500 billable tokens, in 1 epochs $0.00; estimated were 1,000–2,000, $0.00–$0.01",
        ),
        (3, 1_500, "billable tokens, in 3 epochs $0.01; estimated were 1,000–2,000, $0.01–$0.02"),
        (3, 4_500, "billable tokens, in 3 epochs $0.01; estimated were 3,000–6,000, $0.01–$0.02"),  # of all epochs
        (3, 2_001, "estimated were 1,000–2,000, $0.01–$0.02: outside of the estimate"),
        (3, 999, "estimated were 1,000–2,000, $0.01–$0.02: outside of the estimate"),
        (3, 6_001, ": outside of the estimate"),
    ],
)
def test_the_estimate_stands_beside_what_the_service_counted(epochs, billable, told):
    cost = estimate(Tokens(1_500, 2_000, 0, 1_000), VERTEX, PRICED, epochs)
    assert told in cost.beside(billable)
    assert ("outside of the estimate" in cost.beside(billable)) == ("outside of the estimate" in told)


def test_a_count_that_fits_one_epoch_and_all_is_of_one_as_documented():
    cost = estimate(Tokens(2_000_000, 4_000_000, 0, 1_000_000), VERTEX, PRICED, 2)
    told = "the service counted 3,000,000 billable tokens, in 2 epochs $18.00; estimated were 1,000,000–4,000,000"
    assert cost.beside(3_000_000).startswith(told)
