"""Order, shards and splits are decided by hashes alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms import limits
from transforms.clip import Clip
from transforms.dataset import assign
from transforms.keys import Keys

GROUP_SIZES = st.dictionaries(
    st.integers(0, 2**64 - 1), st.integers(1, 40) | st.integers(1, 6_000), min_size=1, max_size=60
)


def keys_of(group_sizes):
    found = Keys()
    for key, size in group_sizes.items():
        for _ in range(size):
            found.add(key)
    return found


@pytest.mark.parametrize(
    ("clip_id", "key"),
    [
        ("", 0xE4A6A0577479B2B4),  # as `b2sum -l 64` prints it: the order may never change
        ("clip-1", 0xC581D2AAD421ECF6),
        ("клип", 0x4B584312A3AA4EBE),
    ],
)
def test_order_key_is_pinned(clip_id, key):
    assert assign.order_key(clip_id) == key


@given(st.sets(st.text(st.characters(codec="utf-8"), min_size=1)), st.integers(1, 50))
def test_concatenated_shards_do_not_depend_on_their_number(clip_ids, num_shards):
    def order(clip_id):
        return assign.order_key(clip_id), clip_id

    shards = sorted(clip_ids, key=lambda c: (assign.shard_index(c, num_shards), order(c)))
    assert shards == sorted(clip_ids, key=order)


@given(st.text(st.characters(codec="utf-8")), st.integers(1, 1000))
def test_shard_index_is_below_the_number_of_shards(clip_id, num_shards):
    assert 0 <= assign.shard_index(clip_id, num_shards) < num_shards


@given(GROUP_SIZES, st.floats(0, 0.5))
def test_validation_stays_within_its_caps(group_sizes, fraction):
    total = sum(group_sizes.values())
    chosen = assign.choose_validation(keys_of(group_sizes), fraction)
    size = sum(group_sizes[key] for key in chosen)
    assert chosen <= set(group_sizes)
    assert size <= max(fraction * total + 0.5, min(group_sizes.values()))
    assert limits.validation_fits(size, total - size)
    smallest = min(group_sizes.values())
    if fraction > 0 and total >= 20 and len(group_sizes) > 1 and limits.validation_fits(smallest, total - smallest):
        assert 0 < size < total


@pytest.mark.parametrize(
    ("clips", "chosen"),
    [(19, 0), (20, 1)],  # 2 % of either rounds to none; from 20 clips on validation is never empty
)
def test_validation_is_never_empty_from_twenty_clips_on(clips, chosen):
    assert len(assign.choose_validation(keys_of(dict.fromkeys(range(clips), 1)), 0.02)) == chosen


def test_validation_never_exceeds_five_thousand_clips() -> None:
    assert len(assign.choose_validation(keys_of(dict.fromkeys(range(60_000), 1)), 0.1)) == 5_000


def test_clips_of_one_group_share_a_split() -> None:
    clips = [Clip(f"c{i}", "a.wav", "t", group="anna") for i in range(9)]
    keys = {assign.split_key(clip) for clip in clips}
    assert len(keys) == 1
    assert {assign.split_of(clip, frozenset(keys)) for clip in clips} == {"validation"}
    assert {assign.split_of(clip, frozenset()) for clip in clips} == {"train"}


def test_a_split_column_wins_over_the_hash() -> None:
    clip = Clip("c", "a.wav", "t", split="train")
    assert assign.split_of(clip, frozenset({assign.split_key(clip)})) == "train"


@pytest.mark.parametrize(
    ("clip_id", "group", "key"),
    [
        ("clip-1", "", 0x432C4B1C3B3F118B),  # salted, so that the split says nothing of the place
        ("clip-1", "anna", 0x2559F4960744A5D),
    ],
)
def test_split_key_is_pinned(clip_id, group, key):
    assert assign.split_key(Clip(clip_id, "a.wav", "t", group=group)) == key


@pytest.mark.parametrize(("clip_id", "shard"), [("", 14), ("clip-1", 12), ("клип", 4)])
def test_of_sixteen_shards_the_first_digit_of_the_key_is_the_number(clip_id, shard):
    assert assign.shard_index(clip_id, 16) == shard


@pytest.mark.parametrize(
    ("groups", "clips_each", "fraction", "chosen"),
    [
        (100, 1, 0.2, 20),
        (100, 1, 0.9, 20),  # never more than a fifth
        (100, 1, 0.0, 0),
        (1, 40, 0.1, 0),  # the only group is for training
        (2, 40, 0.1, 1),
        (2, 1_000, 0.1, 1),
        (2, 1_001, 0.1, 0),  # over 1,000 clips, and over 30 % of those for training: the service would refuse it
        (5, 1_001, 0.1, 1),
        (5, 5_001, 0.1, 0),
    ],
)
def test_how_many_groups_are_chosen(groups, clips_each, fraction, chosen):
    assert len(assign.choose_validation(keys_of(dict.fromkeys(range(groups), clips_each)), fraction)) == chosen
