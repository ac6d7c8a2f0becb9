"""What tuning will cost, told as a range and never as Google's word."""

import json

import pytest

from tests.tuning.test_rows import ANSWER, PROMPT, blob, model, row, uri, user
from transforms import storage
from tuning import check, models
from tuning.estimate import Tokens, estimate
from tuning.rows import Facts, check_line

PRICED = models.MODELS["gemini-3.1-flash-lite"]
UNPRICED = models.MODELS["gemini-3.5-flash"]


def tokens(*facts):
    total = Tokens()
    for each in facts:
        total.add(each)
    return total


@pytest.mark.parametrize(
    ("facts", "expected", "upper"),
    [
        (Facts(), 0, 0),
        (Facts(seconds=1.0, audio="x"), 32, 35),
        (Facts(seconds=30.0, audio="x"), 960, 1_050),
        (Facts(seconds=0.01, audio="x"), 0, 0),
        (Facts(text_chars=4, text_bytes=4), 1, 4),
        (Facts(text_chars=5, text_bytes=5), 2, 5),  # a part of a token is one
        (Facts(text_chars=4, text_bytes=12), 1, 12),  # 日本語 has three bytes a character
    ],
)
def test_the_tokens_of_an_example(facts, expected, upper):
    assert tokens(facts) == Tokens(expected, upper, 0)


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
    train = Tokens(1_000_000, 2_000_000)
    cost = estimate(train, PRICED, epochs)
    assert cost.as_dict() == {
        "base_model": "gemini-3.1-flash-lite",
        "epochs": epochs,
        "tokens": 1_000_000 * epochs,
        "upper_tokens": 2_000_000 * epochs,
        "price_per_million": 3.0,
        "cost": 3.0 * epochs,
        "upper_cost": 6.0 * epochs,
        "note": "$3 a million tokens, reported by users, 2026-11; not Google's word",
    }


@pytest.mark.parametrize(
    ("base_model", "price", "line"),
    [
        (
            PRICED,
            None,
            "gemini-3.1-flash-lite: 3,000,000–6,000,000 tokens in 3 epochs, $9.00–$18.00 "
            "($3 a million tokens, reported by users, 2026-11; not Google's word)",
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
            "gemini-3.5-flash: 3,000,000–6,000,000 tokens in 3 epochs; its price is not known "
            "(--price_per_million tells it)",
        ),
        (
            UNPRICED,
            1_000.0,
            "gemini-3.5-flash: 3,000,000–6,000,000 tokens in 3 epochs, $3,000.00–$6,000.00 "
            "(price given by --price_per_million)",
        ),
    ],
)
def test_the_line_for_people(base_model, price, line):
    assert estimate(Tokens(1_000_000, 2_000_000), base_model, 3, price).line() == line


def test_only_the_training_split_of_a_dataset_is_paid_for(prepared):
    findings = check.check(check.files_of(prepared.name))
    examples = [
        json.loads(line)["contents"]
        for shard in prepared.splits["train"]
        for line in storage.read_bytes(storage.join(prepared.uri, shard.path)).splitlines()
    ]
    texts = [turns[0]["parts"][0]["text"] + turns[1]["parts"][0]["text"] for turns in examples]
    train = findings.splits["train"].tokens
    assert len(texts) == 22
    # Half a second of sound each: 16 tokens expected, 18 (17.5) at most.
    assert train == Tokens(sum(16 + -(-len(text) // 4) for text in texts), sum(18 + len(text) for text in texts), 0)
