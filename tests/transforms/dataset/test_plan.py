"""What is fixed before anything is decoded: splits and shards, whatever the order of the rows."""

from dataclasses import replace

import pytest

from transforms import reasons
from transforms.clip import Clip, rejected
from transforms.dataset import assign, plan
from transforms.dataset.plan import make_plan
from transforms.settings import Settings

CLIPS = [Clip(f"c{index}", "a.wav", "t", f"m:{index}") for index in range(100)]
FIFTH = Settings(validation_fraction=0.2)


def splits(clips, found):
    """How many clips each split has."""
    names = [assign.split_of(clip, found.validation_keys) for clip in clips]
    return {split: names.count(split) for split in ("train", "validation")}


def test_the_hash_chooses_where_no_row_does():
    assert splits(CLIPS, make_plan(CLIPS, FIFTH)) == {"train": 80, "validation": 20}


@pytest.mark.parametrize("mark", ["train", "validation"])
def test_a_row_that_names_its_split_wins_over_the_hash(mark):
    """One is enough: whoever marks validation clips has chosen them all."""
    marked = [replace(CLIPS[0], split=mark), *CLIPS[1:]]
    found = make_plan(marked, FIFTH)
    assert found.validation_keys == frozenset()
    assert splits(marked, found) == {"train": 100 - (mark == "validation"), "validation": int(mark == "validation")}


@pytest.mark.parametrize(("clips", "shards"), [(1, 1), (10, 1), (11, 2), (100, 10)])
def test_a_split_has_as_many_shards_as_its_clips_fill(clips, shards):
    rows = [replace(clip, split="validation") for clip in CLIPS[:clips]]
    assert make_plan(rows, FIFTH, shard_clips=10).num_shards == {"train": 0, "validation": shards, "rejected": 1}


def test_the_size_of_a_shard_is_looked_up_when_a_plan_is_made(monkeypatch):
    monkeypatch.setattr(plan, "CLIPS_PER_SHARD", 50)
    assert make_plan(CLIPS, Settings(validation_fraction=0.0)).num_shards["train"] == 2


def test_rows_that_are_no_clips_are_counted_apart():
    bad = rejected(CLIPS[0], reasons.BAD_ROW, "no row")
    found = make_plan([bad, CLIPS[1]], FIFTH)
    assert (found.rows, found.num_shards, found.prompts) == (2, {"train": 1, "validation": 0, "rejected": 1}, {"": 1})


def test_a_prompt_that_says_what_the_settings_say_is_the_same_prompt():
    rows = [replace(CLIPS[0], prompt=prompt) for prompt in ("", FIFTH.prompt, "another")]
    assert make_plan(rows, FIFTH).prompts == {"": 2}


@pytest.mark.parametrize(
    ("ids", "doubled"), [("abc", ""), ("abca", "a"), ("abcbabab", "ab"), ("", "")], ids=lambda ids: ids or "none"
)
def test_the_ids_of_several_clips_are_known(ids, doubled):
    found = make_plan([Clip(name, "a.wav", "t") for name in ids], FIFTH)
    assert found.doubled == frozenset(map(assign.order_key, doubled))
    assert found.has_doubled_ids() == bool(doubled)
    assert "".join(name for name in "abc" if found.may_be_doubled(name)) == doubled


def test_the_id_of_a_row_that_is_no_clip_doubles_none():
    assert make_plan([CLIPS[0], rejected(CLIPS[0], reasons.BAD_ROW, "no row")], FIFTH).doubled == frozenset()


@pytest.mark.parametrize(("limit", "known"), [(3, True), (2, False)])
def test_too_many_ids_of_several_clips_are_not_listed(limit, known, monkeypatch):
    monkeypatch.setattr(plan, "MAX_DOUBLED_IDS", limit)
    found = make_plan([Clip(name, "a.wav", "t") for name in "aabbccd"], FIFTH)
    assert (found.doubled is not None) == known
    assert [found.may_be_doubled(name) for name in "abcd"] == [True, True, True, not known]
    assert found.has_doubled_ids()


@pytest.mark.parametrize(("marks", "torn"), [(("train", "train"), 0), (("train", "validation"), 1), (("", ""), 0),
                                             (("", "validation"), 1), (("", "train"), 0)])  # fmt: skip
def test_a_group_in_both_splits_is_torn(marks, torn):
    rows = [replace(clip, group="anna", split=mark) for clip, mark in zip(CLIPS, marks, strict=False)]
    assert make_plan(rows, FIFTH).torn_groups == torn


def test_the_plan_does_not_depend_on_the_order_of_the_rows():
    rows = [Clip(f"c{i}", "a.wav", "t", f"m:{i}", group=f"g{i % 7}") for i in range(100)]
    plans = [make_plan(order, Settings()) for order in (rows, rows[::-1], rows[50:] + rows[:50])]
    assert plans[0] == plans[1] == plans[2]
    assert make_plan(rows[1:], Settings()).rows_digest != plans[0].rows_digest


def test_shards_of_both_splits_are_counted_after_the_split():
    assert make_plan(CLIPS, FIFTH, shard_clips=20).num_shards == {"train": 4, "validation": 1, "rejected": 1}


def test_each_clip_of_a_group_counts():
    grouped = [replace(clip, group=f"g{index % 10}") for index, clip in enumerate(CLIPS)]
    assert make_plan(grouped, FIFTH, shard_clips=20).num_shards == {"train": 4, "validation": 1, "rejected": 1}


@pytest.mark.parametrize(("bad", "shards"), [(1, 1), (10, 1), (11, 2), (20, 2), (21, 3)])
def test_rejects_have_as_many_shards_as_they_fill(bad, shards, monkeypatch):
    monkeypatch.setattr(plan, "REJECTS_PER_SHARD", 10)
    rows = [rejected(clip, reasons.BAD_ROW, "no row") for clip in CLIPS[:bad]]
    assert make_plan(rows, FIFTH).num_shards == {"train": 0, "validation": 0, "rejected": shards}


def test_long_rows_fill_a_shard_before_it_has_all_its_clips(monkeypatch):
    monkeypatch.setattr(plan, "MAX_SHARD_BYTES", 1_000)
    long = [replace(clip, row="x" * 400, split="train") for clip in CLIPS[:10]]
    assert make_plan(long, FIFTH, shard_clips=20).num_shards["train"] == 4
    rows = [rejected(clip, reasons.BAD_ROW, "no row") for clip in long]
    assert make_plan(rows, FIFTH).num_shards["rejected"] == 4
    assert make_plan([replace(long[0], row="x" * 9_000)], FIFTH).num_shards["train"] == 1  # of one row


def test_clips_of_one_id_have_as_many_shards_as_other_rejects(monkeypatch):
    monkeypatch.setattr(plan, "REJECTS_PER_SHARD", 10)
    same = [replace(clip, clip_id="x") for clip in CLIPS[:12]]
    assert make_plan(same[:11], FIFTH).num_shards["rejected"] == 1
    assert make_plan(same, FIFTH).num_shards["rejected"] == 2


def test_every_prompt_of_a_row_counts():
    rows = [replace(CLIPS[0], prompt=prompt) for prompt in ("", "one", "another")]
    assert make_plan(rows, FIFTH).prompts == {"": 3}


def test_the_digest_is_the_sum_of_the_rows_in_256_bits():
    """So that it is the same in any order, and no row cancels another."""
    single = [int(make_plan([clip], FIFTH).rows_digest, 16) for clip in CLIPS]
    for count in range(2, 10):
        assert make_plan(CLIPS[:count], FIFTH).rows_digest == f"{sum(single[:count]) % 2**256:064x}"
