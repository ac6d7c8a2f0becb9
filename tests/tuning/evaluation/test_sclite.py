"""Edits held against those that NIST's sclite counted: `sclite.py` says how the fixture was made."""

import json
from pathlib import Path

from rapidfuzz.distance import Levenshtein

from tests.tuning.evaluation import sclite
from tuning.evaluation import align

ROWS = [json.loads(line) for line in sclite.FIXTURE.read_text(encoding="utf-8").splitlines()]
EDITS = ("substitutions", "deletions", "insertions")
PAGE = (Path(__file__).parents[3] / "docs/evaluate.md").read_text(encoding="utf-8")


def words(row):
    return row["target"].split(), row["answer"].split()


def ours(row):
    found = align.edits(*words(row))
    return [found.substitutions, found.deletions, found.insertions]


def theirs(row):
    return [row[name] for name in EDITS]


def test_the_fixture_is_of_the_pairs_that_it_says():
    assert [(row["target"], row["answer"]) for row in ROWS] == list(sclite.pairs())


def test_no_alignment_has_fewer_edits_than_ours_nor_less_weight_than_sclites():
    """To sclite a substitution weighs 4, and a deletion or an insertion 3: all that differs follows from it."""
    for row in ROWS:
        substitutions, deletions, insertions = theirs(row)
        least = Levenshtein.distance(*words(row), weights=(3, 3, 4))
        assert least == 4 * substitutions + 3 * (deletions + insertions), row
        assert sum(ours(row)) <= sum(theirs(row)), row
        assert row["correct"] + substitutions + deletions == len(words(row)[0]), row
        assert ours(row)[1] - ours(row)[2] == deletions - insertions, row  # the lengths decide it


def test_the_page_says_how_often_they_count_alike():
    alike = sum(ours(row) == theirs(row) for row in ROWS)
    as_many = sum(sum(ours(row)) == sum(theirs(row)) for row in ROWS)
    edits = [sum(sum(count(row)) for row in ROWS) for count in (ours, theirs)]
    total = sum(len(words(row)[0]) for row in ROWS)
    said = (
        f"Of {len(ROWS)} pairs of texts, {total:,} words, the three counts are sclite's in {alike}, "
        f"their sum in {as_many}; in all {edits[0]} edits against {edits[1]}."
    )
    assert said in " ".join(PAGE.split())


def test_what_sclite_counts_otherwise():
    replaced = next(row for row in ROWS if row["target"] == "one two three a b")
    assert (ours(replaced), theirs(replaced)) == ([5, 0, 0], [0, 3, 3])
