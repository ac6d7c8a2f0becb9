"""Many keys in little memory: a bag that is as a sorted list."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from transforms.keys import Keys

KEYS = st.lists(st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2**56 - 1, 2**56, 2**64 - 1]))


@given(KEYS)
def test_a_bag_is_as_a_sorted_list(numbers):
    keys = Keys()
    for number in numbers:
        keys.add(number)
    assert ([*keys], len(keys), bool(keys)) == (sorted(numbers), len(numbers), bool(numbers))
    assert [*keys.counted()] == sorted(Counter(numbers).items())
    assert Counter(keys.repeats()) == Counter(numbers) - Counter(set(numbers))
