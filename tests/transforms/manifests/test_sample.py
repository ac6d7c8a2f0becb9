"""A uniform sample: how many, which, and that more rows or a larger number take none away without need."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.clip import Clip, Outcome
from transforms.dataset import assign
from transforms.manifests import sample

ids = st.lists(st.text(max_size=5), min_size=1, max_size=60)


def clips(names):
    return [Clip(name, "a.wav", "text") for name in names]


def taken(rows, number):
    last = sample.last_place(rows, number)
    return [row.clip_id for row in rows if sample.is_taken(row, last)]


@given(ids, st.integers(1, 70))
def test_it_has_so_many_ids_or_all_of_them_and_the_first_of_the_dataset(names, number):
    names = [name or "x" for name in names]
    found = taken(clips(names), number)
    in_order = sorted(set(names), key=assign.order_key)
    assert sorted(set(found), key=assign.order_key) == in_order[:number]
    assert sorted(found) == sorted(name for name in names if name in set(in_order[:number]))  # every row of each id


@given(ids, st.integers(1, 40), st.integers(0, 40))
def test_a_larger_one_holds_the_smaller(names, number, more):
    rows = clips(names)
    assert set(taken(rows, number)) <= set(taken(rows, number + more))


@given(ids, ids, st.integers(1, 40))
def test_rows_that_are_added_only_take_places_before_the_last(names, added, number):
    before, after = set(taken(clips(names), number)), set(taken(clips(names + added), number))
    assert before - after == set() or len(after) == number
    assert after - before <= set(added)


@given(ids, st.integers(1, 40), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(names, number, chance):
    shuffled = chance.sample(names, len(names))
    assert sample.last_place(clips(names), number) == sample.last_place(clips(shuffled), number)


@pytest.mark.parametrize(("number", "last"), [(4, True), (5, False), (6, False)])
def test_all_rows_need_no_limit(number, last):
    assert (sample.last_place(clips("abcde"), number) is not None) == last


def test_rows_that_are_no_clips_are_sampled_in_the_same_way_and_count_for_nothing():
    faults = [Outcome("", f"m:{number}", None, "rejected", row=f'{{"n":{number}}}') for number in range(2_000)]
    good = clips(map(str, range(2_000)))
    rows: list[Clip | Outcome] = [*faults, *good]
    random.Random(1).shuffle(rows)
    last = sample.last_place(rows, 200)
    found = [row for row in rows if sample.is_taken(row, last)]
    assert sum(isinstance(row, Clip) for row in found) == 200
    assert 150 <= sum(isinstance(row, Outcome) for row in found) <= 250  # a tenth of them


def test_the_places_are_the_same_in_every_process():
    assert sample.last_place(clips(f"clip-{number}" for number in range(1_000)), 10) == 156_586_476_698_410_080
