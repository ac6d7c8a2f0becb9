"""Words of rows: which split a cell names, as the corpora of the field spell it."""

import pytest

from transforms.manifests import words


@pytest.mark.parametrize(
    ("split", "cells"),
    [
        ("train", "train|Training|TRAIN|train-clean-100|train_other_500|train.clean.360|en_train|train[:90%]"),
        ("validation", "validation|valid|val|dev|Development|dev-clean|dev-other|dev_dt_05|cv-dev"),
        ("test", "test|Testing|test-clean|test-other|eval|evaluation|holdout|held-out|held_out|hold out|test_dev93"),
    ],
)  # fmt: skip
def test_cells_that_name_a_split(split, cells):
    assert {cell: words.split_of(cell) for cell in cells.split("|")} == dict.fromkeys(cells.split("|"), split)


@pytest.mark.parametrize(
    "cell",
    ["", "XL", "clean", "validated", "latest", "contest", "7", "tset", "trainval", "device", "not in train", "non-test",
     "train/test", "train+dev", "we ran a test on some users"],
)  # fmt: skip
def test_cells_that_name_none(cell):
    assert words.split_of(cell) is None


@pytest.mark.parametrize(
    ("cell", "speaks"), [("not in train", True), ("train+dev", True), ("XL", False), ("latest", False)]
)
def test_cells_that_speak_of_splits_are_not_passed_over(cell, speaks):
    assert words.speaks_of_splits(cell) == speaks
