"""`benchmarks/suspects.py`: its faults are what they are called; docs/suspects.md has the figures that it measures."""

import random
import re
from pathlib import Path

import pytest

from benchmarks import suspects

PAGE = (Path(__file__).parents[1] / "docs/suspects.md").read_text(encoding="utf-8")
TEXTS = [f"text number {number} of {number * 7}" for number in range(100)]


@pytest.mark.parametrize("fault", suspects.FAULTS)
def test_a_tenth_of_the_texts_is_wrong_and_the_same_ones_each_time(fault):
    plant = suspects.FAULTS[fault]
    wrong = plant(TEXTS, random.Random(1))
    assert len(wrong) == (100 if fault == "whole manifest" else 10)
    assert wrong == plant(TEXTS, random.Random(1))


def test_faults_are_what_they_are_called():
    swapped = suspects.swapped(TEXTS, random.Random(2))
    assert all(swapped[TEXTS.index(text)] == TEXTS[number] for number, text in swapped.items())
    shifted = suspects.shifted(TEXTS, random.Random(2))
    first, *others = sorted(shifted)
    assert others == [*range(first + 1, first + 10)]
    assert [shifted[number] for number in others] == TEXTS[first : first + 9]
    assert suspects.whole(TEXTS, random.Random(2))[5] == TEXTS[4]
    assert all(TEXTS[n].startswith(text) for n, text in suspects.cut(TEXTS, random.Random(2)).items())
    assert all(text in TEXTS for text in suspects.replaced(TEXTS, random.Random(2)).values())
    assert all(suspects.FOREIGN.startswith(text) for text in suspects.translated(TEXTS, random.Random(2)).values())


@pytest.mark.sweep
def test_the_page_has_what_is_found_by_rate_alone(tmp_path):
    recordings = suspects.prepared(suspects.EXAMPLES, tmp_path / "out")
    here, spoken = [clip for clip, _ in recordings], suspects.languages_of(suspects.EXAMPLES)
    languages = [spoken[clip.clip_id] for clip in here]
    for fault, plant in suspects.FAULTS.items():
        row = suspects.row(fault, suspects.measure(here, languages, [], plant))
        assert re.search(rf"^{re.escape(row.rstrip('|').rstrip())} \|", PAGE, re.MULTILINE), row
