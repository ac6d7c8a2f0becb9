"""What native decoders read through: as much as there is, however much a damaged header asks for."""

import io
import struct

import numpy as np
import pytest
import soundfile

from tests import audio_bombs
from transforms import reasons
from transforms.audio import decode, streams
from transforms.audio.streams import Remembering, Spliced
from transforms.errors import ClipRejected

CONTENT = bytes(range(256)) * 4
# More than any address space has.
ENDLESS = (1 << 63) - 1 - 64


@pytest.mark.parametrize("size", [0, 1, 1_023, 1_024, 1_025, ENDLESS, -1])
@pytest.mark.parametrize("start", [0, 100, 1_024, 2_000])
def test_no_more_is_asked_of_a_file_than_it_has(tmp_path, size, start):
    (tmp_path / "x").write_bytes(CONTENT)
    for recording in ((tmp_path / "x").open("rb"), io.BytesIO(CONTENT)):
        with recording:
            heard = Remembering(recording)
            heard.seek(start)
            assert heard.read(size) == (CONTENT[start:] if size < 0 else CONTENT[start : start + size])
            heard.raise_fault()


def test_nor_of_a_header_and_what_follows_it():
    heard = Remembering(Spliced(io.BytesIO(CONTENT), b"head", 1_000, 1_010))
    assert heard.read(ENDLESS) == b"head" + CONTENT[1_000:1_010]
    heard.raise_fault()


@pytest.mark.parametrize("size", [0x7FFFFFF0, 0xC3000022])
def test_a_chunk_that_claims_gigabytes_is_damage_of_its_file(tmp_path, size):
    stream = io.BytesIO()
    soundfile.write(stream, np.zeros(24_000), 24_000, "PCM_16", format="SVX")
    content = stream.getvalue()
    path = tmp_path / "x.iff"
    path.write_bytes(
        content.replace(b"ANNO" + content[content.index(b"ANNO") + 4 :][:4], b"ANNO" + struct.pack(">I", size))
    )
    for offset in (0.1, 1e6):
        with path.open("rb") as recording, pytest.raises(ClipRejected) as caught:
            decode.decode_segment(recording, offset=offset, duration=0.1, max_duration=30.0)
        assert caught.value.reason == reasons.DECODE_FAILED


def test_a_stream_is_sought_so_often_and_no_more(monkeypatch):
    monkeypatch.setattr(streams, "MAX_SEEKS", 3)
    heard = Remembering(io.BytesIO(CONTENT))
    assert [heard.seek(at) for at in (5, 7, 9)] == [5, 7, 9]
    heard.raise_fault()
    assert (heard.seek(1), heard.seek(2), heard.read(4)) == (-1, -1, b"")
    with pytest.raises(ClipRejected, match="over 3 parts") as refused:
        heard.raise_fault()
    assert refused.value.reason == reasons.DECODE_FAILED


@pytest.mark.parametrize(
    "parts",
    [
        lambda: [audio_bombs.sound("avi mp3"), audio_bombs.chunk(b"idx1", b"01wb" + bytes(12)) * 20_000],
        lambda: audio_bombs.fragments_that_go_back(500),
    ],
    ids=["indices of an AVI", "fragments of an MP4"],
)
def test_parts_that_a_decoder_visits_one_by_one_are_counted(tmp_path, monkeypatch, parts):
    audio_bombs.Bomb(parts, frozenset()).write(tmp_path / "x")
    monkeypatch.setattr(streams, "MAX_SEEKS", 1_000)
    with pytest.raises(ClipRejected, match="over 1,000 parts"):
        decode.decode((tmp_path / "x").read_bytes(), max_duration=60.0)


def test_an_index_out_of_order_takes_nothing_from_a_recording(tmp_path):
    parts = audio_bombs.matroska(lambda: audio_bombs.cues_that_go_back(1_000))
    audio_bombs.Bomb(parts, frozenset()).write(tmp_path / "x")
    whole = (tmp_path / "x").read_bytes()
    plain = decode.decode(audio_bombs.sound("matroska flac"), max_duration=60.0).samples
    assert np.array_equal(decode.decode(whole, max_duration=60.0).samples, plain)
