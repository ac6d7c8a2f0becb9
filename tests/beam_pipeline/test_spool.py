"""Rows on the disk while they are shuffled."""

import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_pipeline.spool import Spool
from transforms.errors import StorageError

BLOCKS = [b"", b"a", bytes(100_000), b"b" * 3]


def test_every_block_comes_back_in_any_order_and_from_any_writer(tmp_path):
    writers, reader = [Spool(str(tmp_path)) for _ in range(2)], Spool(str(tmp_path))
    places = [(writer.put(block), block) for block in BLOCKS for writer in writers]
    for place, block in reversed(places):
        assert reader.get(place) == block
        assert len(place) < 50
    assert len(list(tmp_path.iterdir())) == 2
    assert writers[0].get(places[2][0]) == BLOCKS[1]


@given(st.lists(st.binary()))
def test_without_a_folder_blocks_stay_where_they_are(blocks):
    spool = Spool("")
    assert [spool.get(spool.put(block)) for block in blocks] == [spool.put(block) for block in blocks] == blocks


def test_a_closed_spool_begins_a_new_file(tmp_path):
    spool, reader = Spool(str(tmp_path)), Spool(str(tmp_path))
    places = []
    for block in (b"one", b"two"):
        places.append(spool.put(block))
        spool.close()
    assert [reader.get(place) for place in places] == [b"one", b"two"]


def test_what_the_system_writes_in_parts_is_whole(tmp_path, monkeypatch):
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, content, offset: write(file, content[:7], offset))
    spool = Spool(str(tmp_path))
    assert spool.get(spool.put(bytes(range(100)))) == bytes(range(100))


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(StorageError, match=r"cannot write to the temporary folder /.*: No space left on device"):
        Spool(str(tmp_path)).put(b"a")
