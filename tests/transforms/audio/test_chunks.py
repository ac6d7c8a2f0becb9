"""The chunks of a WAV decide what is sound in it, and libsndfile is led nowhere by the others."""

import contextlib
import io
import itertools
import struct
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from tests.sounds import BY_NAME, encoded, tone
from transforms import reasons
from transforms.audio import chunks, decode, plain
from transforms.audio.chunks import W64_DATA
from transforms.errors import ClipRejected

SAMPLES = (tone(700, 8_000, 1.0) * 32_767).astype("<i2")
UNTOLD = [0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


def chunk(name, contents, size=None):
    size = len(contents) if size is None else size
    return name + struct.pack("<I", size) + contents + bytes(len(contents) % 2)


def wav(*parts, riff=None):
    body = b"WAVE" + chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 8_000, 16_000, 2, 16)) + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body) if riff is None else riff) + body


def data(size=None):
    return chunk(b"data", SAMPLES.tobytes(), size)


def whole(content):
    return decode.decode(content, max_duration=30.0).samples


def segment(content):
    stream = io.BytesIO(content)
    return decode.decode_segment(stream, offset=0.0, duration=None, max_duration=30.0).samples


LISTED = b"INFO" + chunk(b"ICMT", b"Recorded with a field recorder. " * 1_000)
COVER = b"ID3\x03\0\0\0\0\x7f\x7f" + np.random.default_rng(0).bytes(30_000)
METADATA = {
    "a comment": chunk(b"LIST", LISTED),
    "a cover": chunk(b"id3 ", COVER),
    "a cover of odd length": chunk(b"id3 ", COVER + b"x"),
    "a cut cover": chunk(b"id3 ", COVER)[:-500],
    "several": chunk(b"bext", bytes(602)) + chunk(b"LIST", LISTED) + chunk(b"_PMX", b"<x/>" * 9),
    "one that nobody knows": chunk(b"xyzw", COVER),
    "zeros behind it": chunk(b"LIST", LISTED) + bytes(64),
}


@pytest.mark.parametrize("behind", METADATA.values(), ids=METADATA)
@pytest.mark.parametrize("read", [whole, segment])
def test_behind_an_empty_data_chunk_metadata_is_no_sound(behind, read):
    for riff in (None, 0):
        with pytest.raises(ClipRejected) as caught:
            read(wav(chunk(b"data", b""), behind, riff=riff))
        assert caught.value.reason == reasons.TOO_SHORT
        assert "it has no samples" in caught.value.detail


@pytest.mark.parametrize("size", UNTOLD)
@pytest.mark.parametrize("riff", [0, 36, 0xFFFFFFFF])
@pytest.mark.parametrize("read", [whole, segment])
def test_what_a_killed_recorder_or_a_stream_left_is_read_to_the_end(size, riff, read):
    assert np.array_equal(read(wav(data(size), riff=riff))[:, 0], SAMPLES)


@pytest.mark.parametrize("seed", range(40))
def test_loud_samples_that_nobody_counted_are_no_chunks(seed):
    loud = np.random.default_rng(seed).integers(0x20, 0x7F, 4_000, np.uint8).tobytes()  # all printable
    assert whole(wav(chunk(b"data", loud, 0))).size == 2_000


@pytest.mark.parametrize("size", UNTOLD)
@pytest.mark.parametrize("behind", ["a comment", "a cover", "several"])
@pytest.mark.parametrize("read", [whole, segment])
def test_metadata_behind_samples_that_nobody_counted_is_no_sound(size, behind, read):
    assert np.array_equal(read(wav(data(size), METADATA[behind]))[:, 0], SAMPLES)


def test_samples_in_a_second_data_chunk_are_those_of_the_file():
    assert np.array_equal(whole(wav(chunk(b"data", b""), data()))[:, 0], SAMPLES)


@pytest.mark.parametrize("order", list(itertools.permutations(["fmt", "data", "LIST"])))
def test_chunks_may_stand_in_any_order(order):
    parts = {"fmt": wav()[12:], "data": data(), "LIST": METADATA["a comment"]}
    body = b"WAVE" + b"".join(parts[name] for name in order)
    for read in (whole, segment):
        assert np.array_equal(read(b"RIFF" + struct.pack("<I", len(body)) + body)[:, 0], SAMPLES)


@pytest.mark.parametrize("name", [b"LIST", b"cue ", b"smpl", b"bext", b"id3 ", b"PEAK", b"exif", b"\0\0\0\0"])
@pytest.mark.parametrize("size", [0xFFFFFFF8, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000])
def test_libsndfile_never_sees_a_size_that_leads_nowhere(name, size, monkeypatch):
    seen = []

    def noted(stream):
        seen.append(stream.getvalue())
        raise soundfile.LibsndfileError(1)

    monkeypatch.setattr(soundfile, "SoundFile", noted)
    inner = chunk(name, b"LIST" + struct.pack("<I", size), 8)
    for content in (wav(chunk(name, b"", size), data()), wav(chunk(b"LIST", inner), data()), wav(data(), inner)):
        with contextlib.suppress(ClipRejected):
            whole(content)
    assert set(seen) <= {wav(data())}


ENDLESS = {
    "wav": b"RIFF\xff\xff\xff\xffWAVELIST\xf8\xff\xff\xffLIST\xf8\xff\xff\xff",
    "svx": b"FORM\0\0p\xdc16SVANNO\xff\xff\xff\xf8exiflabl\x7f\xff\xff\xf8VHDR\0\0\0\x14" + bytes(20),
    "aiff": b"FORM\0\0p\xdcAIFFANNO\xff\xff\xff\xf8APPL\xff\xff\xff\xf8",
    "caf": b"caff\0\x01\0\0desc\0\0\0\0\0\0\0\x20" + bytes(32) + b"info\x7f\xff\xff\xff\xff\xff\xff\xf8",
}


@pytest.mark.parametrize("content", ENDLESS.values(), ids=ENDLESS)
def test_files_whose_chunks_never_end_are_refused_at_once(content):
    """In a process of its own, whose processor time is limited: libsndfile would follow them for ever."""
    code = (
        "import io, resource, sys; resource.setrlimit(resource.RLIMIT_CPU, (20, 20))\n"
        "from transforms.audio import decode; from transforms.errors import ClipRejected\n"
        "content = sys.stdin.buffer.read()\n"
        "for read in (lambda: decode.decode(content, max_duration=30.0), lambda: decode.decode_segment(\n"
        "        io.BytesIO(content), offset=0.0, duration=1.0, max_duration=30.0)):\n"
        "    try: read()\n"
        "    except ClipRejected as refusal: print(refusal.reason.name)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], input=content, capture_output=True, timeout=100, check=True)
    assert run.stdout.split() == [b"decode_failed"] * 2


PLAIN = {"aiff": plain.aiff_plain, "svx": plain.svx_plain, "caf": plain.caf_plain, "w64": plain.w64_plain}


@pytest.mark.parametrize("name", PLAIN)
def test_what_leads_on_is_still_read_by_libsndfile(name):
    content = encoded(tone(700, 48_000, 1.0), BY_NAME[name])
    assert PLAIN[name](chunks.in_memory(content), len(content)) == (b"", 0, len(content))
    assert PLAIN[name](chunks.in_memory(content[:40]), 40) is None


# The name of the chunk of the samples, how its size is written, and that of none.
SIZED = {"aiff": (b"SSND", ">I", 8), "caf": (b"data", ">q", 4), "w64": (W64_DATA, "<q", 24)}


def resized(name, size, behind=None):
    """A second of a tone, and a chunk of metadata in its place if `behind`."""
    content = encoded(tone(700, 48_000, 1.0), BY_NAME[name])
    mark, form, empty = SIZED[name]
    at = content.index(mark) + len(mark)
    end = at + struct.calcsize(form)
    if behind is None:
        return content[:at] + struct.pack(form, size) + content[end:]
    head = 24 if name == "w64" else 0
    metadata = behind.ljust(len(mark), b"\0") + struct.pack(form, len(COVER) + head) + COVER
    return content[:at] + struct.pack(form, size) + content[end : end + empty - head] + metadata


@pytest.mark.parametrize("name", SIZED)
@pytest.mark.parametrize("read", [whole, segment])
def test_other_containers_are_empty_where_metadata_follow(name, read):
    with pytest.raises(ClipRejected) as caught:
        read(resized(name, SIZED[name][2], behind=b"info"))
    assert caught.value.reason == reasons.TOO_SHORT


@pytest.mark.parametrize(("name", "size"), [("aiff", 8), ("aiff", 0), ("caf", 4), ("caf", -1), ("w64", 24)])
@pytest.mark.parametrize("read", [whole, segment])
def test_other_containers_are_read_to_the_end_where_a_recorder_was_killed(name, size, read):
    expected = whole(encoded(tone(700, 48_000, 1.0), BY_NAME[name]))
    found = read(resized(name, size))
    assert len(found) == pytest.approx(len(expected), abs=8)
    assert np.array_equal(found[: len(expected) - 8], expected[:-8])


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
@pytest.mark.parametrize("read", [whole, segment])
def test_so_is_an_au_file_whose_samples_nobody_counted(size, read):
    content = encoded(tone(700, 48_000, 1.0), BY_NAME["au"])
    assert np.array_equal(read(content[:8] + struct.pack(">I", size) + content[12:]), whole(content))
    with pytest.raises(ClipRejected, match="it has no samples"):
        read(content[:8] + bytes(4) + content[12:24])


WAVS = ["wav 16-bit", "wav 24-bit", "wav 32-bit float", "wav A-law", "wav IMA ADPCM", "wav extensible", "rf64"]


@pytest.mark.parametrize("name", WAVS)
def test_a_segment_is_the_same_samples_with_metadata_in_front_and_without(name):
    content = encoded(tone(700, 44_100, 2.0), BY_NAME[name])
    at = content.index(b"data") if name != "rf64" else content.index(b"data", 60)
    listed = content[:at] + METADATA["a comment"] + content[at:]
    cut, same = (
        decode.decode_segment(io.BytesIO(each), offset=0.5, duration=1.0, max_duration=30.0).samples
        for each in (content, listed)
    )
    assert np.array_equal(cut, same)
    assert np.array_equal(whole(content), whole(listed))
