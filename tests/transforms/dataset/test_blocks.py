"""Rows on their way to their shards: every one arrives, with no more than a block of them in one piece."""

from hypothesis import given
from hypothesis import strategies as st

from transforms.clip import Clip, Outcome, unpack
from transforms.dataset.blocks import Blocks

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ROWS = st.builds(Clip, TEXTS, TEXTS, TEXTS, row=TEXTS) | st.builds(Outcome, TEXTS, TEXTS, TEXTS | st.none(), TEXTS)
KEYS = st.tuples(st.sampled_from(["train", "rejected"]), st.integers(0, 2))


@given(st.lists(st.tuples(KEYS, ROWS)), st.integers(1, 4))
def test_every_row_comes_out_once_in_the_order_of_its_shard(rows, size):
    blocks = Blocks(size)
    full = [(key, block) for key, row in rows if (block := blocks.add(key, row))]
    rest = list(blocks.rest())
    assert {len(unpack(block)) for _, block in full} <= {size}
    assert all(0 < len(unpack(block)) < size for _, block in rest)
    assert len({key for key, _ in rest}) == len(rest)
    for wanted in {key for key, _ in rows}:
        found = [row for key, block in full + rest if key == wanted for row in unpack(block)]
        assert found == [row for key, row in rows if key == wanted]
    assert list(blocks.rest()) == []


def test_a_text_with_every_kind_of_line_end_comes_back():
    clip = Clip("a", "a.wav", "one\ntwo\r\nthree\u2028four\\n,", row='{"text": "\\n"}')
    blocks = Blocks(2)
    blocks.add(("train", 0), clip)
    assert unpack(blocks.add(("train", 0), clip)) == [clip, clip]
