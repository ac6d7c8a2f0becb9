"""Regular expressions of strangers: what `re` says, but in time."""

import re

import pyarrow.compute  # noqa: F401 -- at once, for it takes its time
import pytest
import regex  # noqa: F401 -- likewise
from hypothesis import given
from hypothesis import strategies as st

from transforms.patterns import Pattern, TooLongError

PARTS = [
    *("a", "b", "é", "-", ".", "|", "^", "$", "+", "*", "?", "{2}", "{,3}", "{1,}", r"\Z", r"\n"),
    *(r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", "[ab]", "[^a]", r"[\w-]", "(a|b)", "(a+)+", r"(\w+\s?)*"),
]
TEXTS = ["a", "b", "1", " ", "\n", "é", "_", "-", "٣", "aa", "\u2028", "²"]


@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=6), st.lists(st.sampled_from(TEXTS), max_size=8))
def test_it_says_what_re_says(parts, letters):
    pattern, text = "".join(parts), "".join(letters)
    try:
        expected = re.search(pattern, text) is not None
    except re.error:
        return
    assert Pattern(pattern).is_found(text) == expected
    found = Pattern(pattern)
    if found._re2 is not None:
        assert found._is_found_by_re2(text) == expected


LONG = 10_000


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        (r"^(a+)+$", "a" * LONG, True),
        (r"^(a+)+$", "a" * LONG + "!", False),
        (r"^(a|a)*$", "a" * LONG + "!", False),
        (r"^(\w+\s?)*$", "word " * LONG + "!", False),
        (r"^(([a-z])+.)+[A-Z]([a-z])+$", "a" * LONG, False),
        (r"(x+x+)+y", "x" * LONG, False),
        (r"(.*)*=(.*)*", "=" + "x" * LONG, True),
        (r"^(a?){60}a{60}$", "a" * 60, True),
        (r"^[\w.]+(\.\w+)*@[\w.]+$", "é.b@c.d", True),
        (r"^\d{4}-\d{2}-\d{2}$", "2026-01-31", True),
        (r"^(?!.*\.\.).+$", "x" * LONG + "..", False),  # a look-around, but one that is found in time
    ],
)
def test_expressions_that_take_for_ever_elsewhere(pattern, text, expected):
    assert Pattern(pattern).is_found(text) == expected


def test_what_nobody_can_tell_is_said(monkeypatch):
    monkeypatch.setattr("transforms.patterns.MAX_SECONDS", 0.01)
    with pytest.raises(TooLongError):
        Pattern(r"(x+x+)+(?=y)z").is_found("x" * LONG)
