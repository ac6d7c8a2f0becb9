import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms import text

DOCS = Path(__file__).parents[2] / "docs/text.md"


@pytest.mark.parametrize("step", text.STEPS)
def test_each_step_does_what_its_example_says_and_the_docs_show_it(step):
    _, before, after = text.STEPS[step]
    assert text.normalize(before, [step]) == after
    assert re.search(rf"^\| `{step}` \| .* \| .*{re.escape(after)}.* \|$", DOCS.read_text(), re.MULTILINE)


@given(st.text(), st.lists(st.sampled_from(sorted(text.STEPS))))
def test_a_second_time_changes_nothing(given_text, steps):
    once = text.normalize(given_text, steps)
    assert text.normalize(once, steps[-1:]) == once


@given(st.text())
def test_without_steps_a_text_is_as_it_was(given_text):
    assert text.normalize(given_text, ()) == given_text


@pytest.mark.parametrize(
    ("given_text", "left"),
    [
        ("Hello, world!", "Hello world"),
        ("l'eau, d’or", "l'eau d’or"),
        ("'quoted' - dash", "quoted dash"),
        ("¿Qué? ¡Sí!", "Qué Sí"),
        ("。日本、語", "日本語"),
        ("$5 + 5%", "$5 + 5"),  # money and sums are symbols, a percent sign is punctuation to Unicode
        ("...", ""),
    ],
)
def test_punctuation(given_text, left):
    assert text.normalize(given_text, ["strip_punctuation"]) == left


def test_the_order_is_the_users():
    assert text.normalize("A\u0301!", ["casefold", "nfc"]) == "á!"
