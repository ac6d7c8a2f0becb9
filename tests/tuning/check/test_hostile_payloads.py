"""Payloads of a stranger's dataset, whose native decoder crashes or hangs, cost one line and not the command."""

import json

import pybase64
import pytest

from tests import misbehaving
from transforms.dataset import headers
from transforms.workers.bounds import Bounds
from transforms.workers.pool import Pool
from tuning.providers.vertex import rows


def line(content, mime_type="audio/wav"):
    audio = {"inline_data": {"mime_type": mime_type, "data": pybase64.b64encode(content).decode()}}
    turns = [{"role": "user", "parts": [{"text": "p"}, audio]}, {"role": "model", "parts": [{"text": "t"}]}]
    return json.dumps({"contents": turns}).encode()


def detail_of(content):
    problems, _ = rows.check_line(line(content), "f:1")
    return [problem.detail for problem in problems]


@pytest.mark.parametrize(
    ("deed", "why"),
    [
        ("crash", "its process was ended by SIGSEGV"),
        ("hang in native code", "it took longer than the limit of 3 s"),
        ("bomb", "it needs more than the limit of 160 MiB of memory"),
        ("exit", "its process ended with status 3"),
    ],
)
def test_what_a_payload_does_to_its_decoder_is_a_problem_of_its_line(monkeypatch, deed, why):
    limits = Bounds(cpu_seconds=2, wall_seconds=3, memory_bytes=160 << 20)
    pool = Pool(misbehaving.work, 1, limits)
    with monkeypatch.context() as patch:
        patch.setattr(headers, "_pool", lambda: pool)
        assert detail_of(deed.encode()) == [f"the data is damaged: reading its header did not end well: {why}"]
    pool.close()


def test_a_chunk_that_hangs_libsndfile_for_ever_is_found_damaged(monkeypatch):
    """A LIST that claims nearly 2^32 bytes inside another: the reader goes back and forth in it."""
    inner = b"LIST" + (0xFFFFFFF4).to_bytes(4, "little") + b"INFO"
    outer = b"LIST" + (len(inner) + 4).to_bytes(4, "little") + b"INFO" + inner
    fmt = b"fmt " + bytes.fromhex("10000000 0100 0100 803e0000 007d0000 0200 1000")
    content = b"RIFF\xff\xff\x00\x00WAVE" + fmt + outer + b"data" + (64).to_bytes(4, "little") + bytes(64)
    pool = Pool(headers._in_worker, 1, Bounds(cpu_seconds=1, wall_seconds=60))
    monkeypatch.setattr(headers, "_pool", lambda: pool)
    why = "it took longer than the limit of 1 s of processor time"
    assert detail_of(content) == [f"the data is damaged: reading its header did not end well: {why}"]
    pool.close()
