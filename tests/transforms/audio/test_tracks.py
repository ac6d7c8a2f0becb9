"""Films and pauses: what counts is what the audio track declares, not the container's longest track."""

import io

import numpy as np
import pytest
import soundfile

from tests.sounds import level_db, run_ffmpeg, tone
from transforms import reasons
from transforms.audio import conform, decode
from transforms.errors import ClipRejected

RATE = 48_000
FILMS = {
    "mp4": ("-c:v", "mpeg4", "-c:a", "aac", "-f", "mp4"),
    "mp4, fragmented": ("-c:v", "mpeg4", "-c:a", "aac", "-movflags", "frag_keyframe+empty_moov", "-f", "mp4"),
    "mov": ("-c:v", "mpeg4", "-c:a", "pcm_s16le", "-f", "mov"),
    "mkv": ("-c:v", "mpeg4", "-c:a", "aac", "-f", "matroska"),
    "mkv, pcm": ("-c:v", "mpeg4", "-c:a", "pcm_s16le", "-f", "matroska"),
    "webm": ("-c:v", "libvpx", "-c:a", "libopus", "-f", "webm"),
    "avi": ("-c:v", "mpeg4", "-c:a", "libmp3lame", "-f", "avi"),
    "avi, pcm": ("-c:v", "mpeg4", "-c:a", "pcm_s16le", "-f", "avi"),
    "flv": ("-c:v", "flv1", "-c:a", "libmp3lame", "-ar", "44100", "-f", "flv"),
    "asf": ("-c:v", "wmv2", "-c:a", "wmav2", "-f", "asf"),
    "mpegts": ("-c:v", "mpeg2video", "-c:a", "mp2", "-f", "mpegts"),
    "rm": ("-c:v", "rv10", "-c:a", "ac3", "-f", "rm"),
}
PICTURE = ("-f", "lavfi", "-i", "testsrc=size=64x64:rate=10:duration=6", "-map", "1:v", "-map", "0:a")
# Priming and the rest of the last frame that MP3, AC-3 and WMA leave in.
LATE = 0.06


def wav(samples, rate=RATE):
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, "PCM_16", format="WAV")
    return stream.getvalue()


def film(name, *before, seconds=4.0, options=()):
    return run_ffmpeg(wav(tone(440, RATE, seconds)), *before, *PICTURE, *FILMS[name], *options)


def decoded(content):
    return decode.decode(content, max_duration=30.0)


def seconds_of(content):
    wave = decoded(content)
    return len(wave.samples) / wave.sample_rate


def segment(content, offset, duration):
    return decode.decode_segment(io.BytesIO(content), offset=offset, duration=duration, max_duration=30.0)


def is_truncated(content):
    try:
        decoded(content)
    except ClipRejected as refusal:
        return refusal.reason == reasons.TRUNCATED
    return False


@pytest.mark.parametrize("name", FILMS)
@pytest.mark.parametrize("seconds", [4.0, 5.6, 1.0])
def test_a_film_that_outlasts_its_sound_is_whole(name, seconds):
    assert -0.03 < seconds_of(film(name, seconds=seconds)) - seconds < LATE


@pytest.mark.parametrize("name", ["mp4", "mkv", "webm", "asf", "mpegts", "flv"])
def test_sound_that_begins_late_is_whole(name):
    content = film(name, "-itsoffset", "-1.5")  # the picture is first, and negative times are moved up
    assert -0.03 < seconds_of(content) - 4.0 < LATE


@pytest.mark.parametrize("name", ["mp4", "mkv", "webm", "avi", "flv", "asf"])
@pytest.mark.parametrize("share", [0.5, 0.8])
def test_a_film_that_was_cut_is_truncated(name, share):
    content = film(name, options=("-movflags", "+faststart") if name == "mp4" else ())
    assert is_truncated(content[: int(share * len(content))])


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_a_film_of_unknown_size_is_truncated_by_its_longest_track(share):
    content = bytearray(film("webm").replace(b"DURATION", b"ELSEWISE"))
    size = content.find(b"\x18\x53\x80\x67") + 4
    content[size : size + 8] = b"\x01" + b"\xff" * 7
    assert abs(seconds_of(bytes(content)) - 4.0) < 0.03
    assert is_truncated(bytes(content[: int(share * len(content))]))


def with_pause(*options):
    """Tones of 440 and 880 Hz, two seconds each, and between them two seconds without any packet."""
    samples = np.concatenate([tone(440, RATE, 2.0), np.zeros(2 * RATE), tone(880, RATE, 2.0)])
    return run_ffmpeg(wav(samples), "-af", "aselect='not(between(t,2.03,3.97))'", *options)


PAUSES = {
    "webm": ("-c:a", "libopus", "-f", "webm"),
    "mka": ("-c:a", "aac", "-f", "matroska"),
    "mka, pcm": ("-c:a", "pcm_s16le", "-f", "matroska"),
    "m4a": ("-c:a", "aac", "-f", "ipod"),
    "mov": ("-c:a", "aac", "-f", "mov"),
}


@pytest.mark.parametrize("name", PAUSES)
def test_a_pause_without_packets_is_silence_of_its_length(name):
    wave = decoded(with_pause(*PAUSES[name]))
    mono, rate = conform.to_mono(wave.samples), wave.sample_rate
    assert len(mono) / rate == pytest.approx(6.0, abs=0.05)
    assert level_db(mono[: int(1.9 * rate)], 440, rate) > -10
    assert np.abs(mono[int(2.3 * rate) : int(3.7 * rate)]).max() < 0.01
    assert level_db(mono[int(4.2 * rate) : int(5.9 * rate)], 880, rate) > -10


@pytest.mark.parametrize("name", PAUSES)
@pytest.mark.parametrize(("offset", "duration", "sounding"), [(1.0, 2.0, 1.0), (3.0, 2.0, 1.0), (1.5, 3.5, 1.5)])
def test_a_segment_keeps_the_pause_within_it(name, offset, duration, sounding):
    wave = segment(with_pause(*PAUSES[name]), offset, duration)
    rate = wave.sample_rate
    assert len(wave.samples) / rate == pytest.approx(duration, abs=0.05)
    frames = np.abs(conform.to_mono(wave.samples)[: int(duration * 100) * (rate // 100)]).reshape(-1, rate // 100)
    assert (frames.max(axis=1) > 0.1).mean() * duration == pytest.approx(sounding, abs=0.15)


@pytest.mark.parametrize("name", ["webm", "mka", "m4a"])
def test_packets_that_are_damaged_are_no_pause(name):
    content = bytearray(run_ffmpeg(wav(np.random.default_rng(0).normal(0, 0.2, 6 * RATE)), *PAUSES[name]))
    middle, size = len(content) // 2, len(content) // 4
    content[middle : middle + size] = bytes(size)
    with pytest.raises(ClipRejected):
        decoded(bytes(content))


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_the_delay_of_an_encoder_is_no_missing_sound(rate):
    content = run_ffmpeg(wav(tone(440, rate, 1.0), rate), "-c:a", "aac", "-f", "ipod")
    wave = decoded(content)
    assert (len(wave.samples), wave.sample_rate) == (rate, rate)


def test_an_edit_list_leaves_out_what_it_says(tmp_path):
    (tmp_path / "whole.m4a").write_bytes(run_ffmpeg(wav(tone(440, RATE, 4.0)), "-c:a", "aac", "-f", "ipod"))
    cut = ("-ss", "1.2", "-t", "1.5", "-i", str(tmp_path / "whole.m4a"), "-map", "1:a", "-c", "copy", "-f", "ipod")
    assert seconds_of(run_ffmpeg(wav(tone(440, RATE, 0.1)), *cut)) == pytest.approx(1.5, abs=0.03)
