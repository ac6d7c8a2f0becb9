"""Decoding in-process with libav: the same as the ffmpeg program, from the stream alone, and from nothing else."""

import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from tests.sounds import BY_NAME, FORMATS, encoded, level_db, run_ffmpeg, tone
from transforms import reasons
from transforms.audio import conform, decode, ffmpeg, libav, sniff
from transforms.errors import ClipRejected, StorageError

ROOT = Path(__file__).parents[3]
LONGEST = 90.5


def sniffed(content, form):
    return sniff.sniff(content, f"x.{form.extension}")


def decoded(content, form, start=0.0, seconds=LONGEST):
    found = libav.decode(io.BytesIO(content), sniffed(content, form), seconds, start)
    assert found is not None
    return found


def as_floats(samples):
    return samples.astype(np.float32) / 32_768 if samples.dtype == np.int16 else samples


def noise(rate, seconds=1.0, channels=1):
    return np.random.default_rng(0).normal(0, 0.1, (round(rate * seconds), channels))


def wav(samples, rate, subtype="PCM_16"):
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, subtype, format="WAV")
    return stream.getvalue()


LIBAVS = [form for form in FORMATS if not sniffed(encoded(tone(440, form.rate, 0.5), form), form).sndfile]
# Where the program keeps the rest of the last frame, libav is told to leave out what the track does not declare.
KEPT_BY_THE_PROGRAM = {"mp4 aac, fragmented", "3gp amr"}


@pytest.mark.parametrize("form", LIBAVS, ids=lambda form: form.name)
def test_libav_and_the_program_give_the_same(form, tmp_path):
    content = encoded(noise(form.rate, 1.5, form.channels), form)
    (tmp_path / "x").write_bytes(content)
    with open(tmp_path / "x", "rb") as file:
        theirs = ffmpeg.decode(file, sniffed(content, form), LONGEST)
    ours = decoded(content, form)
    assert (ours.sample_rate, ours.codec) == (theirs.sample_rate, theirs.codec)
    assert (ours.broken, ours.damaged) == (theirs.broken, theirs.damaged) == (False, False)
    assert ours.declared_seconds == pytest.approx(theirs.declared_seconds, abs=0.011)
    longer = len(theirs.samples) - len(ours.samples)
    assert 0 < longer < 1_024 if form.name in KEPT_BY_THE_PROGRAM else longer == 0
    assert np.abs(as_floats(ours.samples) - theirs.samples[: len(ours.samples)]).max() < 1e-4


@pytest.mark.parametrize("form", LIBAVS, ids=lambda form: form.name)
def test_decoding_twice_gives_the_same_bytes(form):
    content = encoded(noise(form.rate, 0.5, form.channels), form)
    first, second = (decoded(content, form).samples.tobytes() for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("codec", "dtype"),
    [("pcm_u8", np.int16), ("pcm_s16le", np.int16), ("pcm_s24le", np.float32), ("pcm_f32le", np.float32),
     ("pcm_f64le", np.float32), ("alac", np.int16)],
)  # fmt: skip
def test_samples_of_up_to_16_bits_stay_integers_and_none_changes_its_value(codec, dtype):
    samples = np.arange(-128, 128, dtype=np.int16)[:, None] * np.array([[256, -256]], np.int16)
    content = run_ffmpeg(wav(samples, 16_000), "-c:a", codec, "-f", "mov")
    found = decoded(content, BY_NAME["mov pcm"]).samples
    assert found.dtype == dtype
    expected = samples if codec != "pcm_u8" else samples & ~0xFF
    assert np.array_equal(as_floats(found) * 32_768, np.float32(expected))


@pytest.mark.parametrize(("codec", "muxer"), [("flac", "matroska"), ("aac", "ipod"), ("pcm_s16le", "mov")])
@pytest.mark.parametrize("channels", [1, 2, 6, 8])
def test_every_channel_is_where_it_was(codec, muxer, channels):
    """PyAV counts nine planes where there are eight."""
    source = np.stack([tone(300 * (channel + 1), 16_000) for channel in range(channels)], axis=1)
    content = run_ffmpeg(wav(source, 16_000), "-c:a", codec, "-b:a", "512k", "-f", muxer)
    found = as_floats(decoded(content, BY_NAME["mov pcm"]).samples)
    assert found.shape[1] == channels
    # AAC keeps the low-frequency channel's lowest tones only.
    heard = [channel for channel in range(channels) if codec != "aac" or channel != 3]
    for channel in heard:
        assert abs(level_db(found[:, channel], 300 * (channel + 1), 16_000) - 20 * np.log10(0.5)) < 0.5


@pytest.mark.parametrize("seconds", [0.25, 0.99995, 1.0, 2.0])
def test_no_more_is_given_than_is_wanted(seconds):
    content = encoded(noise(16_000), replace(BY_NAME["mov pcm"], rate=16_000))
    assert len(decoded(content, BY_NAME["mov pcm"], seconds=seconds).samples) == min(16_000, round(seconds * 16_000))


def test_what_would_not_fit_in_memory_is_refused(monkeypatch):
    content = encoded(noise(16_000, 1.0, 2), replace(BY_NAME["mov pcm"], rate=16_000))
    monkeypatch.setattr(libav, "MAX_DECODED_BYTES", 64_000)
    assert len(decoded(content, BY_NAME["mov pcm"]).samples) == 16_000
    monkeypatch.setattr(libav, "MAX_DECODED_BYTES", 63_999)
    with pytest.raises(ClipRejected) as refusal:
        decoded(content, BY_NAME["mov pcm"])
    assert refusal.value.reason == reasons.FILE_TOO_LARGE


@pytest.mark.parametrize("start", [0.0, 0.00105, 0.5, 0.73, 1.4999])
@pytest.mark.parametrize("name", ["voc", "m4a alac", "caf alac", "mov pcm", "wavpack", "true audio", "flac in ogg"])
def test_a_segment_has_the_samples_that_the_whole_has_there(name, start):
    form = BY_NAME[name]
    content = encoded(noise(form.rate, 1.5, form.channels), form)
    whole = decoded(content, form).samples
    assert np.array_equal(decoded(content, form, start).samples, whole[round(start * form.rate) :])


@pytest.mark.parametrize("name", ["mpeg-ts aac", "mpeg-ps mp2"])
def test_a_segment_is_counted_from_where_the_containers_clock_starts(name):
    form = BY_NAME[name]
    content = encoded(np.concatenate([tone(each, form.rate, 1.0) for each in (300, 600, 900)]), form)
    with av.open(io.BytesIO(content), "r") as container:
        assert container.start_time > 400_000
    samples = conform.to_mono(decoded(content, form, 1.1, 0.8).samples)
    assert abs(level_db(samples, 600, form.rate) - 20 * np.log10(0.5)) < 0.5


def test_a_segment_of_a_long_remote_recording_reads_little_more_than_its_part():
    class Remote(io.BytesIO):
        num_bytes = 0

        def read(self, size=-1):
            content = super().read(size)
            self.num_bytes += len(content)
            return content

        def fileno(self):
            raise OSError("a recording elsewhere has none")

    content = encoded(noise(44_100, 120.0), BY_NAME["m4a aac"])
    recording = Remote(content)
    wave = decode.decode_segment(recording, offset=60.0, duration=2.0, max_duration=30.0)
    assert len(wave.samples) == 88_200
    assert recording.num_bytes < len(content) / 3


def joined(name, *changes):
    form = BY_NAME[name]
    parts = [replace(form, **change) for change in changes]
    return b"".join(encoded(noise(part.rate, 1.0, part.channels), part) for part in parts)


@pytest.mark.parametrize(
    ("name", "second"),
    [
        ("aac adts", {"rate": 22_050}),
        ("aac adts", {"channels": 1}),
        ("mp2", {"channels": 1}),
        ("ac3", {"rate": 32_000}),
        ("mp3 without a header", {"rate": 22_050}),
    ],
)
def test_a_stream_that_changes_on_the_way_is_left_to_the_program_and_whole(name, second):
    content = joined(name, {}, second)
    assert libav.decode(io.BytesIO(content), sniffed(content, BY_NAME[name]), LONGEST) is None
    wave = decode.decode(content, max_duration=30.0)
    assert abs(len(wave.samples) / wave.sample_rate - 2.0) < 0.13


def test_the_other_part_of_a_stream_that_changes_need_not_be_decoded():
    content = joined("aac adts", {}, {"rate": 22_050})
    assert len(decoded(content, BY_NAME["aac adts"], seconds=0.5).samples) == 22_050


def test_a_codec_that_nobody_decodes_is_refused():
    content = encoded(tone(440, 44_100), BY_NAME["m4a alac"]).replace(b"alac", b"xyzw")
    assert libav.decode(io.BytesIO(content), sniffed(content, BY_NAME["m4a alac"]), LONGEST) is None
    with pytest.raises(ClipRejected, match="no audio decoded"):
        decode.decode(content, max_duration=30.0)


def spoiled(content, fraction, length):
    at = round(len(content) * fraction)
    return content[:at] + bytes(length) + content[at + length :]


@pytest.mark.parametrize("name", ["m4a aac", "ac3", "wma"])
def test_a_packet_of_a_lossy_codec_that_does_not_decode_is_passed_over(name):
    form = BY_NAME[name]
    content = encoded(noise(form.rate, 2.0), form)
    whole, rest = decoded(content, form), decoded(spoiled(content, 0.5, 600), form)
    assert not rest.damaged
    assert 0.9 * len(whole.samples) < len(rest.samples) <= len(whole.samples)


@pytest.mark.parametrize("name", ["matroska flac", "m4a alac", "caf alac", "wavpack", "true audio"])
def test_a_packet_of_a_lossless_codec_that_does_not_decode_is_damage(name):
    form = BY_NAME[name]
    content = encoded(noise(form.rate, 2.0), form)
    assert not decoded(content, form).damaged
    with pytest.raises(ClipRejected) as refusal:
        decode.decode(spoiled(content, 0.5, 3_000), max_duration=30.0)
    assert refusal.value.reason == reasons.DECODE_FAILED


def test_a_track_of_which_nothing_decodes_is_none():
    content = bytearray(encoded(noise(44_100), BY_NAME["m4a aac"]))
    start = content.index(b"mdat") + 4
    content[start:-2_000] = b"\xff" * (len(content) - 2_000 - start)
    with pytest.raises(ClipRejected, match="no audio decoded"):
        decoded(bytes(content), BY_NAME["m4a aac"])


@pytest.mark.parametrize(("missing", "cut"), [(0, False), (188, True)])
def test_a_file_of_unknown_length_that_ends_within_a_packet_is_cut(missing, cut):
    content = encoded(noise(44_100), BY_NAME["mpeg-ts aac"])
    assert decoded(content[: len(content) - missing], BY_NAME["mpeg-ts aac"]).broken is cut


def test_a_storage_fault_is_not_taken_for_the_files_end():
    class Failing(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > 100_000:
                raise StorageError("the network is gone")
            return super().read(size)

    content = encoded(noise(44_100, 20.0), BY_NAME["aac adts"])
    with pytest.raises(StorageError, match="network"):
        decode.decode_segment(Failing(content), offset=2.0, duration=18.0, max_duration=30.0)


SCRIPT = """
import hashlib, os, sys
from pathlib import Path
from transforms.audio import decode

def digest():
    wave = decode.decode(Path(sys.argv[1]).read_bytes(), max_duration=30.0)
    return hashlib.sha256(wave.samples.tobytes()).hexdigest()

imported = len(os.listdir("/proc/self/task"))
ours = digest()
decoded = len(os.listdir("/proc/self/task"))
if os.fork() == 0:
    print(digest() == ours, flush=True)
    os._exit(0)
os.wait()
print(imported, decoded)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_no_thread_is_started_and_a_process_may_be_forked_before_and_after(tmp_path):
    path = tmp_path / "film.mp4"
    film = ("-f", "lavfi", "-i", "color=red:size=320x240:duration=1", "-map", "1:v", "-map", "0:a", "-f", "mp4")
    path.write_bytes(run_ffmpeg(wav(tone(440, 16_000, 1.0), 16_000), *film))
    command = [sys.executable, "-W", "error", "-c", SCRIPT, str(path)]
    without_blas = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True, env=without_blas)
    assert (done.stdout, done.stderr) == ("True\n1 1\n", "")


@pytest.mark.parametrize("form", LIBAVS, ids=lambda form: form.name)
def test_libavs_chatter_reaches_nobody(form, capfd):
    content = encoded(noise(form.rate), form)
    for fraction in (0.3, 0.6, 0.9):
        try:
            libav.decode(io.BytesIO(spoiled(content, fraction, 500)), sniffed(content, form), LONGEST)
        except ClipRejected as refusal:
            assert refusal.reason in (reasons.DECODE_FAILED, reasons.BAD_SAMPLE_RATE)
    assert capfd.readouterr() == ("", "")
