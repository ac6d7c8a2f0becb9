"""Whole files appended to one another: refused with the place, or both come out; what only looks like it stays."""

import io
import mmap
import re
import struct
import tempfile
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from tests.sounds import BY_NAME, FORMATS, encoded, level_db, run_ffmpeg, tone
from transforms import reasons
from transforms.audio import decode, formats, joined, sniff
from transforms.errors import ClipRejected

# What decoders go on with: streams of frames, and containers whose decoders expect it.
WHOLE = (
    "flac in ogg", "ogg opus", "mp3", "mp3 without a header", "mp2", "webm opus", "matroska flac", "aac adts",
    "avi mp3", "ac3", "eac3", "dts", "aac latm", "mpeg-ps mp2", "mpeg-ts aac",
)  # fmt: skip
SINGLE = [form for form in FORMATS if form.name not in (*WHOLE, "ogg vorbis", "gsm", "g722")]


def parts(form, rate=None):
    other = replace(form, rate=rate or form.rate)
    return encoded(tone(700, form.rate, 1.0), form), encoded(tone(900, other.rate, 1.0), other)


def refusal(content, name="x"):
    with pytest.raises(ClipRejected) as caught:
        decode.decode(content, max_duration=30.0, name_hint=name)
    return caught.value


@pytest.mark.parametrize("form", SINGLE, ids=lambda form: form.name)
def test_a_second_file_is_refused_with_the_byte_at_which_it_begins(form):
    first, second = parts(form)
    refused = refusal(first + second)
    assert refused.reason == reasons.JOINED_FILES
    assert refused.detail.endswith(f"({sniff.sniff(second).name}), at byte {len(first):,}")


@pytest.mark.parametrize("form", SINGLE, ids=lambda form: form.name)
def test_it_is_found_behind_junk_too_and_three_are_as_two(form):
    first, second = parts(form)
    for content in (first + bytes(3) + second, first + b"TAG" + bytes(125) + second, first + second + first):
        assert refusal(content).reason == reasons.JOINED_FILES


@pytest.mark.parametrize("name", WHOLE)
def test_what_decoders_go_on_with_comes_out_whole(name):
    form = BY_NAME[name]
    first, second = parts(form)
    wave = decode.decode(first + second, max_duration=30.0)
    samples = wave.samples.mean(axis=1) / (32_768 if wave.samples.dtype == np.int16 else 1)
    assert len(samples) / wave.sample_rate == pytest.approx(2.0, abs=0.2)
    for frequency, half in ((700, samples[: len(samples) // 2]), (900, samples[len(samples) // 2 :])):
        assert abs(level_db(half, frequency, wave.sample_rate) - 20 * np.log10(0.5)) < 1


SEARCHED = ["wav 16-bit", "aiff", "flac 16-bit", "m4a aac", "mp4 aac, fragmented", "caf", "au", "w64", "true audio"]


@pytest.mark.parametrize("name", SEARCHED)
def test_segments_of_such_a_file_are_refused_in_either_part(name, tmp_path):
    first, second = parts(BY_NAME[name])
    path = tmp_path / "x"
    for content in (first + second, b"ID3\x04\0\0\0\0\0\x0a" + bytes(10) + first + second):
        path.write_bytes(content)
        for offset in (0.2, 1.3):
            with path.open("rb") as recording, pytest.raises(ClipRejected) as caught:
                decode.decode_segment(recording, offset=offset, duration=0.5, max_duration=30.0)
            assert caught.value.reason == reasons.JOINED_FILES


def test_a_recording_is_searched_once_for_all_its_segments(tmp_path, monkeypatch):
    path, searched = tmp_path / "x.flac", []
    path.write_bytes(encoded(tone(700, 48_000, 2.0), BY_NAME["flac 16-bit"]))
    monkeypatch.setattr(joined, "following", lambda *_: searched.append(1))
    for _ in range(3):
        with path.open("rb") as recording:
            decode.decode_segment(recording, offset=0.5, duration=0.5, max_duration=30.0)
    assert len(searched) == 1


def with_size(wav, size):
    return re.sub(rb"data....", b"data" + struct.pack("<I", size), wav, count=1, flags=re.DOTALL)


@pytest.mark.parametrize("size", [0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 300])
def test_sizes_that_a_stream_leaves_hide_no_second_file(size):
    first, second = parts(BY_NAME["wav 16-bit"])
    listed = b"LIST" + struct.pack("<I", 12) + b"INFOISFT\0\0\0\0"
    for between in (b"", listed):
        refused = refusal(with_size(first, size) + between + with_size(second, size))
        assert refused.reason == reasons.JOINED_FILES
    # of which the first was cut, so that its samples reach into the second
    assert refusal(first[:-1_000] + second).reason == reasons.JOINED_FILES


def test_an_odd_part_need_not_be_filled_up():
    wav = io.BytesIO()
    soundfile.write(wav, tone(700, 8_000, 0.5)[:-1], 8_000, "PCM_U8", format="WAV")
    content = wav.getvalue()
    bare = content[: 44 + 3_999]
    assert refusal(bare + content).reason == refusal(content + content).reason == reasons.JOINED_FILES
    assert len(decode.decode(bare, max_duration=30.0).samples) == 3_999


@pytest.mark.parametrize("second", ["flac 16-bit", "m4a aac", "ogg opus", "aiff", "webm opus"])
@pytest.mark.parametrize("first", ["wav 16-bit", "aiff", "m4a aac", "caf", "au"])
def test_the_second_may_be_in_another_format(first, second):
    content = encoded(tone(700, 44_100, 1.0), BY_NAME[first]) + encoded(tone(900, 44_100, 1.0), BY_NAME[second])
    assert refusal(content).reason == reasons.JOINED_FILES


def chunk(name, contents):
    return name + struct.pack("<I", len(contents)) + contents + bytes(len(contents) % 2)


def test_what_is_within_a_part_is_no_file_behind_another():
    """A cover, an archive or a preview in a chunk of metadata is the recording's own."""
    wav, flac = (encoded(tone(700, 48_000, 1.0), BY_NAME[name]) for name in ("wav 16-bit", "flac 16-bit"))
    for content in (wav, flac):
        held = wav + chunk(b"iXML", b"a note " + content)
        assert len(decode.decode(held, max_duration=30.0).samples) == 48_000
    m4a = encoded(tone(700, 44_100, 1.0), BY_NAME["m4a aac"])
    box = struct.pack(">I4s", 8 + len(m4a), b"free") + m4a
    assert len(decode.decode(m4a + box, max_duration=30.0).samples) == 44_100


@pytest.mark.parametrize("options", [("-f", "ogg"), ("-f", "matroska"), ("-live", "1", "-f", "matroska")])
def test_a_container_may_hold_the_header_of_another_format(options):
    content = run_ffmpeg(encoded(tone(700, 48_000, 1.0), BY_NAME["wav 16-bit"]), "-c:a", "flac", *options)
    assert content.find(b"fLaC", 1) > 0
    assert len(decode.decode(content, max_duration=30.0).samples) == 48_000


@pytest.mark.parametrize(
    "form", [form for form in FORMATS if form.name not in ("gsm", "g722")], ids=lambda form: form.name
)
def test_tags_zeros_and_trailers_are_no_second_file(form):
    content = parts(form)[0]
    for trailer in (b"TAG" + bytes(125), bytes(4_096), b"ID3\x04\0\0\0\0\0\x0a" + bytes(10)):
        assert joined.following(content + trailer, sniff.sniff(content)) is None


@pytest.mark.sweep
@pytest.mark.parametrize("form", [form for form in formats.FORMATS if form.again], ids=lambda form: form.name)
def test_each_beginning_that_is_looked_for_is_that_of_its_own_format(form):
    own = [encoded(tone(700, each.rate, 0.5), each) for each in FORMATS]
    names = [sniff.sniff(content, f"x.{each.extension}").name for content, each in zip(own, FORMATS, strict=True)]
    found = {name for content, name in zip(own, names, strict=True) if form.again.at(content, 0)}
    assert found <= {form.name}
    assert found or form.name not in names


METHODS = st.sampled_from(["startswith", "endswith"])


@given(st.binary(min_size=1, max_size=12), METHODS, st.binary(max_size=4), st.integers(0, 14), st.integers(0, 14))
def test_a_file_in_memory_answers_as_its_bytes_do(content, method, part, start, end):
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        with joined._Mapped(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
            assert getattr(memory, method)(part, start, end) == getattr(content, method)(part, start, end)
            assert getattr(memory, method)(part) == getattr(content, method)(part)
            assert memory.rstrip(b"\0") == content.rstrip(b"\0")


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_a_segment_of_any_recording_is_searched_without_a_fault(form, tmp_path):
    path = tmp_path / f"whole.{form.extension}"
    path.write_bytes(encoded(tone(440, form.rate, 1.0), form))
    with path.open("rb") as recording:
        head = recording.read(1 << 16)
        found = sniff.sniff(head, path.name)
        joined.refuse_joined_recording(recording, found, found.start(head))
