"""A large recording is in memory once, and quickly judged: tags, padding and length make nobody copy it or walk it."""

import tracemalloc

import pytest

from tests.sounds import BY_NAME, encoded, tone
from transforms import reasons
from transforms.audio import chunks, decode
from transforms.errors import ClipRejected

PADDING = 32 << 20
# Blocks that are read, and the samples of two seconds.
LEAST = 20 << 20


def id3(size):
    return b"ID3\x04\0\0" + bytes(size >> shift & 127 for shift in (21, 14, 7, 0)) + bytes(size)


def ape(size):
    return bytes(size) + b"APETAGEX" + b"".join(n.to_bytes(4, "little") for n in (2000, size + 32, 1, 0)) + bytes(8)


def sound(name):
    form = BY_NAME[name]
    return encoded(tone(440, form.rate), form)


def traced(content, name):
    """Bytes that were allocated at a time while it was decoded, beside the recording itself; and the refusal."""
    tracemalloc.start()
    refusal = None
    try:
        decode.decode(content, max_duration=30.0, name_hint=f"a.{BY_NAME[name].extension}")
    except ClipRejected as fault:
        refusal = fault.reason
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak, refusal


CONTAINERS = ["wav 16-bit", "wav 24-bit", "wav extensible", "aiff", "caf", "flac 16-bit", "ogg vorbis"]


@pytest.mark.parametrize("name", [*CONTAINERS, "mpeg-ts aac", "wavpack", "matroska flac"])
@pytest.mark.parametrize("padding", [bytes, ape])
def test_what_is_behind_the_sound_is_not_copied(name, padding):
    assert traced(sound(name) + padding(PADDING), name)[0] < LEAST


@pytest.mark.parametrize("name", CONTAINERS)
def test_what_is_in_front_of_it_is_not_copied(name):
    peak, refusal = traced(id3(PADDING) + sound(name), name)
    assert peak < LEAST
    assert refusal is None


def test_a_long_wav_with_chunks_beside_its_samples_is_not_copied():
    """As ffmpeg writes it."""
    wav = sound("wav 16-bit")
    head, size = wav[: wav.index(b"data")], PADDING // 4 * 4
    listed = b"LIST" + (4).to_bytes(4, "little") + b"INFO"
    content = head + listed + b"data" + size.to_bytes(4, "little") + b"\1\2" * (size // 2)
    peak, refusal = traced(content, "wav 16-bit")
    assert refusal == reasons.TOO_LONG
    assert peak < LEAST + (1 << 25)  # 90 seconds of samples


@pytest.mark.parametrize("name", ["mp3 without a header", "aac adts", "ac3", "mp2"])
@pytest.mark.parametrize("front", [b"", id3(10)])
def test_hours_of_frames_are_too_long_by_their_beginning(monkeypatch, name, front):
    frames = sound(name)
    monkeypatch.setattr(decode, "BEGINNING_BYTES", 80 * len(frames))
    monkeypatch.setattr(decode, "_decode_whole", lambda *_: pytest.fail("the whole was looked at"))
    assert traced(front + frames * 400, name)[1] == reasons.TOO_LONG


@pytest.mark.parametrize(("name", "kind"), [("wav 16-bit", chunks.RIFF), ("aiff", chunks.RIFX), ("caf", chunks.CAF)])
def test_zeros_behind_the_samples_are_not_taken_for_millions_of_chunks(name, kind):
    content = sound(name) + bytes(PADDING)
    assert len(list(kind.parts(content))) < 10
    decode.decode(content, max_duration=30.0)


def test_a_million_chunks_are_not_walked():
    wav = sound("wav 16-bit")
    at = wav.index(b"data")
    content = wav[:at] + b"abcd\0\0\0\0" * 1_000_000 + wav[at:]
    assert len(list(chunks.RIFF.chunks(chunks.in_memory(content)))) == chunks.MAX_CHUNKS


def test_thousands_of_streams_are_not_decoded_one_by_one():
    page = b"OggS\0%c" + bytes(8) + b"\1\0\0\0" + bytes(8) + b"\0"
    with pytest.raises(ClipRejected, match="over 1,000 follow one another"):
        decode.decode((page % 2 + page % 4) * 1_001, max_duration=30.0)
