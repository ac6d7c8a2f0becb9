"""Rows on their way to their shards: every one arrives, with no more than a block of them in one piece."""

from hypothesis import given
from hypothesis import strategies as st

from transforms.clip import Clip, Outcome, unpack
from transforms.dataset import blocks
from transforms.dataset.blocks import Blocks

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ROWS = st.builds(Clip, TEXTS, TEXTS, TEXTS, row=TEXTS) | st.builds(Outcome, TEXTS, TEXTS, TEXTS | st.none(), TEXTS)
KEYS = st.tuples(st.sampled_from(["train", "rejected"]), st.integers(0, 2))


@given(st.lists(st.tuples(KEYS, ROWS)), st.integers(1, 4))
def test_every_row_comes_out_once_in_the_order_of_its_shard(rows, size):
    waiting = Blocks(size)
    full = [(key, block) for key, row in rows if (block := waiting.add(key, row))]
    rest = list(waiting.rest())
    assert {len(unpack(block)) for _, block in full} <= {size}
    assert all(0 < len(unpack(block)) < size for _, block in rest)
    assert len({key for key, _ in rest}) == len(rest)
    for wanted in {key for key, _ in rows}:
        found = [row for key, block in full + rest if key == wanted for row in unpack(block)]
        assert found == [row for key, row in rows if key == wanted]
    assert list(waiting.rest()) == []


def test_a_text_with_every_kind_of_line_end_comes_back():
    clip = Clip("a", "a.wav", "one\ntwo\r\nthree\u2028four\\n,", row='{"text": "\\n"}')
    blocks = Blocks(2)
    blocks.add(("train", 0), clip)
    assert unpack(blocks.add(("train", 0), clip)) == [clip, clip]


def test_where_too_many_bytes_wait_every_block_is_full(monkeypatch):
    monkeypatch.setattr(blocks, "MAX_WAITING_BYTES", 1_000)
    waiting = Blocks(100)
    found = [waiting.add(("train", index), Clip(str(index), "a.wav", "x" * 300)) for index in range(20)]
    assert [len(unpack(block)) if block else 0 for block in found] == [0, 0] + [1] * 18
    assert len(list(waiting.rest())) == 2
