"""What decoding must get right: whole, at its level, without aliases; or refused with a reason."""

import gzip
import io
import struct

import numpy as np
import pytest
import soundfile

from tests.sounds import BY_NAME, FORMATS, encoded, level_db, run_ffmpeg, tone
from transforms import reasons
from transforms.audio import conform, decode
from transforms.errors import ClipRejected, StorageError
from transforms.settings import Settings
from transforms.storage import Storage

storage = Storage()

UNTRIMMED = Settings(trim_silence=False)
LOSSLESS = ["wav 16-bit", "flac 16-bit", "w64", "aiff", "au", "caf", "m4a alac", "wavpack", "matroska flac"]


def decoded(content, form, max_duration=30.0):
    return decode.decode(content, max_duration=max_duration, name_hint=f"clip.{form.extension}")


def conformed(content, form):
    return conform.conform(decoded(content, form), UNTRIMMED).samples / 32768


def wav(samples, rate=16_000, subtype="PCM_16", kind="WAV"):
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, subtype, format=kind)
    return stream.getvalue()


def rejection(content, name="clip.wav", max_duration=30.0):
    with pytest.raises(ClipRejected) as refusal:
        decode.decode(content, max_duration=max_duration, name_hint=name)
    return refusal.value


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_a_tone_keeps_its_level_and_its_length(form):
    samples = conformed(encoded(tone(1000, form.rate, seconds=2.0, peak=0.5), form), form)
    assert abs(level_db(samples, 1000, 16_000) - 20 * np.log10(0.5)) <= form.gain_db
    early, late = form.seconds
    assert -early <= len(samples) / 16_000 - 2.0 <= late


@pytest.mark.parametrize("form", [form for form in FORMATS if form.rate >= 44_100], ids=lambda form: form.name)
def test_nothing_above_8_khz_comes_back_as_an_alias(form):
    above = tone(9_000, form.rate) + tone(300, form.rate, peak=0.1)
    samples = conformed(encoded(above, form), form)
    assert level_db(samples, 7_000, 16_000) - 20 * np.log10(0.5) <= form.alias_db
    assert abs(level_db(samples, 300, 16_000) - 20 * np.log10(0.1)) <= 0.3


@pytest.mark.parametrize("frequency", [8_100, 8_500, 9_000, 12_000, 15_000, 20_000, 23_000])
@pytest.mark.parametrize("rate", [22_050, 32_000, 44_100, 48_000, 96_000])
def test_tones_above_8_1_khz_leave_nothing_under_minus_80_db(frequency, rate):
    if frequency >= rate / 2:
        return
    loud = conform.resample(tone(frequency, rate).astype(np.float32), rate, 16_000)
    middle = loud[len(loud) // 4 : 3 * len(loud) // 4]
    assert 20 * np.log10(np.abs(middle).max() / 0.5 + 1e-12) <= -80


@pytest.mark.parametrize("fraction", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("form", [form for form in FORMATS if form.declares], ids=lambda form: form.name)
def test_a_file_that_was_cut_is_refused(form, fraction):
    content = encoded(tone(1000, form.rate), form)
    refusal = rejection(content[: int(len(content) * fraction)], f"clip.{form.extension}")
    assert refusal.reason in (reasons.TRUNCATED, reasons.DECODE_FAILED)


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_the_name_does_not_matter(form):
    if form.name == "g722":  # no byte of it says what it is
        return
    content = encoded(tone(1000, form.rate, seconds=0.5), form)
    assert decode.decode(content, max_duration=30.0, name_hint="clip.txt").samples.any()


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_formats_give_back_every_sample(name):
    form = BY_NAME[name]
    samples = np.random.default_rng(0).integers(-32_768, 32_767, (form.rate, 2), np.int16)
    stream = io.BytesIO()
    if form.sndfile[0]:
        soundfile.write(stream, samples, form.rate, form.sndfile[1], format=form.sndfile[0])
        content = stream.getvalue()
    else:
        content = run_ffmpeg(wav(samples, form.rate), *form.ffmpeg)
    wave = decoded(content, form)
    back = wave.samples if wave.samples.dtype == np.int16 else np.rint(wave.samples * 32_768).astype(np.int16)
    assert np.array_equal(back, samples)


def test_mono_is_the_mean_of_what_both_decoders_give():
    left, right = tone(400, 48_000), tone(700, 48_000, peak=0.25)
    for name in ("wav 16-bit", "ogg opus"):
        samples = conformed(encoded(np.stack([left, right], axis=1), BY_NAME[name]), BY_NAME[name])
        assert abs(level_db(samples, 400, 16_000) - 20 * np.log10(0.25)) < 0.1
        assert abs(level_db(samples, 700, 16_000) - 20 * np.log10(0.125)) < 0.1


@pytest.mark.parametrize(("seconds", "accepted"), [(90.0, True), (90.1, False)])
def test_a_recording_may_be_60_s_longer_than_the_limit_for_its_ends_may_be_silent(seconds, accepted):
    content = wav(tone(440, 8_000, seconds=seconds), 8_000)
    if accepted:
        assert len(decode.decode(content, max_duration=30.0).samples) == 90 * 8_000
    else:
        assert rejection(content).reason == reasons.TOO_LONG


def test_a_day_of_silence_in_a_small_flac_is_not_decoded_to_its_end(monkeypatch):
    monkeypatch.setattr("transforms.audio.sndfile.MAX_DECODED_BYTES", 1 << 24)
    content = wav(np.zeros(16_000 * 3_600, np.int16), kind="FLAC")
    assert len(content) < 200_000
    assert rejection(content).reason in (reasons.TOO_LONG, reasons.FILE_TOO_LARGE)


@pytest.mark.parametrize("kind", ["WAV", "FLAC"])
def test_what_would_not_fit_in_memory_is_refused(monkeypatch, kind):
    monkeypatch.setattr("transforms.audio.sndfile.MAX_DECODED_BYTES", 100_000)
    monkeypatch.setattr("transforms.audio.sndfile.BLOCK_BYTES", 10_000)
    assert len(decode.decode(wav(tone(440, 16_000, 3.1), kind=kind), max_duration=30).samples) == 49_600
    assert rejection(wav(tone(440, 16_000, 3.5), kind=kind)).reason == reasons.FILE_TOO_LARGE


def patched(content, at, value):
    return content[:at] + value + content[at + len(value) :]


TWO_SECONDS = wav(tone(440, 16_000))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (patched(TWO_SECONDS, 24, struct.pack("<I", 0)), reasons.DECODE_FAILED),
        (patched(TWO_SECONDS, 24, struct.pack("<I", 1)), reasons.BAD_SAMPLE_RATE),
        (patched(TWO_SECONDS, 24, struct.pack("<I", 3_999)), reasons.BAD_SAMPLE_RATE),
        (patched(TWO_SECONDS, 24, struct.pack("<I", 768_001)), reasons.BAD_SAMPLE_RATE),
        (patched(TWO_SECONDS, 22, struct.pack("<H", 0)), reasons.DECODE_FAILED),
        (patched(TWO_SECONDS, 22, struct.pack("<H", 65_535)), reasons.DECODE_FAILED),
        (patched(TWO_SECONDS, 40, struct.pack("<I", 1 << 30)), reasons.TRUNCATED),
        (TWO_SECONDS[:44], reasons.TRUNCATED),
        (wav(np.zeros(0)), reasons.TOO_SHORT),
        (TWO_SECONDS[:30], reasons.DECODE_FAILED),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), reasons.NOT_AUDIO),
        (b"%PDF-1.7\n" + bytes(200), reasons.NOT_AUDIO),
        (b"<!DOCTYPE html><html>", reasons.NOT_AUDIO),
        (b"version https://git-lfs.github.com/spec/v1\n", reasons.NOT_AUDIO),
        (b"1\n00:00:01,000 --> 00:00:02,000\nHello\n", reasons.NOT_AUDIO),
        (b"MThd\0\0\0\x06\0\x01\0\x01\0\x60MTrk", reasons.UNSUPPORTED_FORMAT),
        (bytes(100_000), reasons.NOT_AUDIO),
        (np.random.default_rng(1).bytes(300_000), reasons.NOT_AUDIO),
        (b"PK\x03\x04" + TWO_SECONDS, reasons.UNSUPPORTED_FORMAT),
        (gzip.compress(TWO_SECONDS, mtime=0)[:-200], reasons.TRUNCATED),
        (gzip.compress(b"no audio", mtime=0), reasons.NOT_AUDIO),
        (b"#EXTM3U\nfile:///etc/hostname\n", reasons.NOT_AUDIO),
        (b"ffconcat version 1.0\nfile 'x.wav'\n", reasons.NOT_AUDIO),
        (b"v=0\r\nm=audio 49170 RTP/AVP 0\r\n", reasons.NOT_AUDIO),
    ],
)
def test_refusals(content, reason):
    assert rejection(content).reason == reason


ID3 = b"ID3\x04\0\0\0\0\x01\0" + bytes(128)


@pytest.mark.parametrize("form", [form for form in FORMATS if form.name != "g722"], ids=lambda form: form.name)
def test_tags_in_front_of_any_format_are_passed_over(form):
    content = encoded(tone(1000, form.rate, 1.0), form)
    assert np.array_equal(decoded(ID3 + content, form).samples, decoded(content, form).samples)


@pytest.mark.parametrize("junk", [bytes(1_000), b"\xff\xfb" * 50, np.random.default_rng(3).bytes(700)])
def test_an_mp3_behind_junk_is_whole(junk):
    content = encoded(tone(1000, 44_100), BY_NAME["mp3"])
    wave = decode.decode(junk + content, max_duration=30)
    assert abs(len(wave.samples) / wave.sample_rate - 2.0) < 0.06


@pytest.mark.parametrize("name", ["x.raw", "x.pcm", "x.sln", "x.ulaw"])
def test_headerless_samples_are_refused_as_such(name):
    refusal = rejection(b"\x10\x00\xf0\xff" * 4_000, name)
    assert refusal.reason == reasons.UNSUPPORTED_FORMAT
    assert "headerless" in refusal.detail


def test_a_gzipped_wav_is_unpacked():
    wave = decode.decode(gzip.compress(TWO_SECONDS), max_duration=30)
    assert np.array_equal(wave.samples, decode.decode(TWO_SECONDS, max_duration=30).samples)


def test_a_gzip_bomb_is_refused(monkeypatch):
    monkeypatch.setattr(decode, "MAX_UNPACKED_BYTES", 1_000_000)
    assert rejection(gzip.compress(bytes(2_000_000))).reason == reasons.FILE_TOO_LARGE


@pytest.mark.parametrize("size", [0, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_wav_from_a_pipe_whose_sizes_are_placeholders_is_whole(size):
    content = patched(patched(TWO_SECONDS, 40, struct.pack("<I", size)), 4, struct.pack("<I", 0xFFFFFFFF))
    assert len(decode.decode(content, max_duration=30).samples) == 32_000


def test_a_flac_of_unknown_length_is_whole_or_refused():
    content = wav(np.random.default_rng(0).normal(0, 0.1, 32_000), kind="FLAC")
    packed = int.from_bytes(content[18:26], "big")
    unknown = patched(content, 18, ((packed >> 36) << 36).to_bytes(8, "big"))  # the total is the last 36 bits
    assert len(decode.decode(unknown, max_duration=30).samples) == 32_000
    assert rejection(patched(unknown, len(unknown) // 2, b"xxxxxxxx")).reason == reasons.DECODE_FAILED


def test_an_mp3_whose_header_lies_about_its_length_is_whole():
    form = BY_NAME["mp3"]
    content = encoded(tone(1000, form.rate), form)
    at = max(content.find(b"Xing"), content.find(b"Info")) + 8
    for claimed in (5, 100_000):
        samples = conformed(patched(content, at, struct.pack(">I", claimed)), form)
        assert abs(len(samples) / 16_000 - 2.0) < 0.06


def test_joined_mp3_files_are_whole_even_where_the_rate_changes():
    first = run_ffmpeg(wav(tone(1000, 44_100, 1.0), 44_100), "-c:a", "libmp3lame", "-f", "mp3")
    second = run_ffmpeg(wav(tone(1000, 22_050, 1.0), 22_050), "-c:a", "libmp3lame", "-f", "mp3")
    wave = decode.decode(first + second, max_duration=30)
    assert abs(len(wave.samples) / wave.sample_rate - 2.0) < 0.15


def test_vbr_mp3_without_a_header_is_whole():
    noise = np.random.default_rng(2).normal(0, 0.2, 44_100 * 5)
    mixed = np.concatenate([np.zeros(44_100 * 5), noise])
    options = ("-c:a", "libmp3lame", "-q:a", "0", "-write_xing", "0", "-f", "mp3")
    wave = decode.decode(run_ffmpeg(wav(mixed, 44_100), *options), max_duration=30)
    assert abs(len(wave.samples) / wave.sample_rate - 10.0) < 0.1


def test_big_endian_riff_is_not_noise():
    content = bytearray(TWO_SECONDS)
    content[:4] = b"RIFX"
    for at, width in ((4, 4), (16, 4), (20, 2), (22, 2), (24, 4), (28, 4), (32, 2), (34, 2), (40, 4)):
        content[at : at + width] = content[at : at + width][::-1]
    content[44:] = np.frombuffer(TWO_SECONDS[44:], "<i2").astype(">i2").tobytes()
    wave = decode.decode(bytes(content), max_duration=30)
    assert np.array_equal(wave.samples, decode.decode(TWO_SECONDS, max_duration=30).samples)


@pytest.mark.parametrize("options", [("-map", "0:a", "-map", "1:a"), ("-map", "1:a", "-map", "0:a")])
def test_of_several_tracks_the_first_with_sound_is_taken(tmp_path, options):
    (tmp_path / "silent.wav").write_bytes(wav(np.zeros(32_000)))
    form = ("-i", str(tmp_path / "silent.wav"), *options, "-c:a", "aac", "-f", "ipod")
    wave = decode.decode(run_ffmpeg(TWO_SECONDS, *form), max_duration=30)
    assert abs(level_db(conform.to_mono(wave.samples), 440, 16_000) - 20 * np.log10(0.5)) < 0.1


def test_video_and_cover_art_are_no_audio():
    film = ("-f", "lavfi", "-i", "color=red:size=64x64:duration=2", "-shortest")
    with_sound = run_ffmpeg(TWO_SECONDS, *film, "-map", "1:v", "-map", "0:a", "-f", "mp4")
    assert abs(len(decode.decode(with_sound, max_duration=30).samples) / 16_000 - 2.0) < 0.02
    without = run_ffmpeg(TWO_SECONDS, *film, "-map", "1:v", "-f", "mp4")
    refusal = rejection(without)
    assert refusal.reason == reasons.UNSUPPORTED_FORMAT
    assert "a film without sound: the mp4 file has no audio stream" in refusal.detail


SEGMENTED = ["wav 16-bit", "flac 24-bit", "aiff", "caf", "mp3", "m4a aac", "ogg vorbis", "webm opus", "m4a alac"]


@pytest.mark.parametrize("form", [BY_NAME[name] for name in SEGMENTED], ids=lambda form: form.name)
@pytest.mark.parametrize(("offset", "duration", "frequency"), [(2.0, 1.0, 700), (0.0, 1.0, 300), (5.0, None, 1300)])
def test_a_segment_is_cut_out_where_it_should_be(tmp_path, form, offset, duration, frequency):
    source = np.concatenate([tone(f, form.rate, 1.0) for f in (300, 500, 700, 900, 1100, 1300)])
    path = tmp_path / f"long.{form.extension}"
    path.write_bytes(encoded(source, form))
    with storage.open_audio(str(path)) as recording:
        wave = decode.decode_segment(recording, offset=offset, duration=duration, max_duration=30.0)
    mono = conform.to_mono(wave.samples)
    assert abs(len(mono) / wave.sample_rate - 1.0) < 0.03
    assert abs(level_db(mono, frequency, wave.sample_rate) - 20 * np.log10(0.5)) < 0.2


def test_a_segment_of_a_long_recording_reads_only_its_part(tmp_path):
    path = tmp_path / "long.wav"
    path.write_bytes(wav(tone(440, 16_000, 300.0)))
    read = []

    class Counting(io.FileIO):
        def readinto(self, buffer):
            count = super().readinto(buffer)
            read.append(count)
            return count

        def read(self, size=-1):
            content = super().read(size)
            read.append(len(content))
            return content

    with Counting(str(path)) as recording:
        wave = decode.decode_segment(recording, offset=200.0, duration=2.0, max_duration=30.0)
    assert len(wave.samples) == 32_000
    assert sum(read) < 300_000 < path.stat().st_size


@pytest.mark.parametrize(
    ("offset", "duration", "reason"),
    [
        (1.9, 1.0, reasons.TRUNCATED),
        (2.0, 1.0, reasons.TOO_SHORT),
        (1e6, None, reasons.TOO_SHORT),
        (1e15, None, reasons.TOO_SHORT),
    ],
)
@pytest.mark.parametrize("name", ["wav 16-bit", "m4a aac"])
def test_a_segment_that_is_not_in_the_recording_is_refused(tmp_path, name, offset, duration, reason):
    path = tmp_path / "short"
    path.write_bytes(encoded(tone(440, BY_NAME[name].rate), BY_NAME[name]))
    with storage.open_audio(str(path)) as recording, pytest.raises(ClipRejected) as refusal:
        decode.decode_segment(recording, offset=offset, duration=duration, max_duration=30.0)
    assert refusal.value.reason == reason


@pytest.mark.parametrize("name", ["wav 16-bit", "m4a aac"])
def test_a_segment_in_a_bucket(bucket, name):
    form = BY_NAME[name]
    source = np.concatenate([tone(f, form.rate, 1.0) for f in (300, 500, 700)])
    storage.write_bytes(f"{bucket}/long", encoded(source, form))
    with storage.open_audio(f"{bucket}/long") as recording:
        wave = decode.decode_segment(recording, offset=1.0, duration=1.0, max_duration=30.0)
    assert abs(level_db(conform.to_mono(wave.samples), 500, wave.sample_rate) - 20 * np.log10(0.5)) < 0.2


def test_a_storage_fault_during_a_segment_is_not_taken_for_the_files_end(tmp_path):
    class Failing(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > 50_000:
                raise StorageError("the network is gone")
            return super().read(size)

    with pytest.raises(StorageError, match="network"):
        decode.decode_segment(Failing(wav(tone(440, 16_000, 9.0))), offset=2.0, duration=4.0, max_duration=30.0)
