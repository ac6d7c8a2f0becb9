import io
from hashlib import sha256

import numpy as np
import pytest
import soundfile

from tests.sounds import BY_NAME, encoded, level_db, run_ffmpeg, tone
from transforms.audio import conform, decode, encode, frames, sniff, tags
from transforms.errors import PayloadError
from transforms.payloads import PAYLOADS, Payload
from transforms.settings import AUDIO_FORMATS, Settings

RATE = 16_000
TONE = np.rint(tone(440, RATE) * 32_768).astype(np.int16)


def settings(form, **others):
    bitrate = {"mp3": 64, "aac": 64}.get(form, 0)
    return Settings(**{"audio_format": form, "bitrate": bitrate, **others})


@pytest.mark.parametrize("form", AUDIO_FORMATS)
def test_every_payload_is_what_its_type_says_and_passes_its_own_verification(form):
    payload = encode.encode(TONE, settings(form))
    assert payload.mime_type == PAYLOADS[form].mime_type
    assert sniff.sniff(payload.content).name == form
    encode.verify(payload, TONE, settings(form))
    assert payload.content == encode.encode(TONE, settings(form)).content


@pytest.mark.parametrize("form", AUDIO_FORMATS)
def test_payloads_keep_level_and_length(form):
    samples, rate = encode.decode_payload(encode.encode(TONE, settings(form)))
    assert rate == RATE
    assert level_db(samples / 32_768, 440, RATE) == pytest.approx(20 * np.log10(0.5), abs=0.1)
    assert 0 <= (len(samples) - len(TONE)) / RATE <= (0.13 if form == "aac" else 0.0)  # ADTS cannot tell its padding


@pytest.mark.parametrize("form", ["flac", "wav"])
def test_lossless_payloads_hold_every_sample(form):
    noise = np.random.default_rng(0).integers(-32_768, 32_767, 12_345, np.int16)
    samples, _ = encode.decode_payload(encode.encode(noise, settings(form)))
    assert np.array_equal(samples, noise)


@pytest.mark.parametrize(
    ("form", "digest"),
    [
        ("flac", "2804ac14d06ff3bbd69f5037b450839297f63fb7ba7e75695ff4384346bbc046"),
        ("wav", "bd20a55ffcd84ac4cda1d0424474147a6fb721c0d31131a2f4189ba992f09cc0"),
    ],
)
def test_golden_payloads(form, digest):
    ramp = (np.arange(8_000, dtype=np.int64) * 7919 % 65_536 - 32_768).astype(np.int16)
    assert sha256(encode.encode(ramp, settings(form)).content).hexdigest() == digest


@pytest.mark.parametrize("form", ["mp3", "aac"])
@pytest.mark.parametrize("bitrate", [24, 48])
def test_lossy_payloads_have_the_wanted_bitrate(form, bitrate):
    noise = np.random.default_rng(0).normal(0, 3_000, 10 * RATE).astype(np.int16)
    payload = encode.encode(noise, settings(form, bitrate=bitrate))
    assert len(payload.content) * 8 / 10 / 1_000 == pytest.approx(bitrate, rel=0.1)


@pytest.mark.parametrize("form", ["flac", "wav", "mp3"])
def test_verification_finds_another_clips_payload(form):
    payload = encode.encode(TONE, settings(form))
    for other in (TONE[:-8_000], np.concatenate([TONE, TONE]), TONE // 4):
        with pytest.raises(PayloadError):
            encode.verify(payload, other, settings(form))


@pytest.mark.parametrize("form", ["mp3", "aac"])
@pytest.mark.parametrize("bitrate", [24, 64])
@pytest.mark.parametrize("kind", ["whistle", "offset", "click", "noise", "hiss", "square"])
def test_verification_passes_what_codecs_leave_out_of_odd_clips(form, bitrate, kind):
    rng, times = np.random.default_rng(0), np.arange(RATE) / RATE
    shapes = {
        "whistle": 0.9 * np.sin(2 * np.pi * 7_950 * times),
        "offset": 0.5 + 0.01 * np.sin(2 * np.pi * 300 * times),
        "click": (times == 0.5) * 0.9,
        "noise": rng.normal(0, 0.1, RATE),
        "hiss": np.diff(rng.normal(0, 0.1, RATE + 2), 2),
        "square": np.sign(np.sin(2 * np.pi * 100 * times)),
    }
    samples = np.rint(shapes[kind] * 32_767).clip(-32_768, 32_767).astype(np.int16)
    encode.verify(encode.encode(samples, settings(form, bitrate=bitrate)), samples, settings(form, bitrate=bitrate))


@pytest.mark.parametrize("form", ["mp3", "aac"])
@pytest.mark.parametrize(("louder_db", "accepted"), [(-4.0, False), (-2.0, True), (2.0, True), (4.0, False)])
def test_verification_finds_another_level_on_both_sides(form, louder_db, accepted):
    payload = encode.encode((TONE * 10 ** (louder_db / 20)).astype(np.int16), settings(form))
    if accepted:
        encode.verify(payload, TONE, settings(form))
        return
    with pytest.raises(PayloadError, match="louder than the clip"):
        encode.verify(payload, TONE, settings(form))


def passed(content, form, name="x", **others):
    wave = decode.decode(content, max_duration=30, name_hint=name)
    chosen = settings(form, **others)
    return encode.pass_through(content, wave, conform.conform(wave, chosen), chosen)


def flac(samples, rate=RATE, subtype="PCM_16"):
    stream = io.BytesIO()
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    with soundfile.SoundFile(stream, "w", rate, channels, subtype, format="FLAC") as file:
        file.title = "a title"
        file.artist = "a name that is nobody's business"
        file.write(samples)
    return stream.getvalue()


def test_conforming_flac_is_passed_on_without_its_tags():
    source = flac(TONE)
    payload = passed(source, "flac")
    assert payload is not None
    assert b"business" in source
    assert b"business" not in payload.content
    assert payload.content[-1_000:] == source[-1_000:]
    assert np.array_equal(encode.decode_payload(payload)[0], TONE)


def test_passing_on_decodes_nothing_again(monkeypatch):
    source = flac(TONE)
    wave = decode.decode(source, max_duration=30)
    conformed = conform.conform(wave, settings("flac"))
    monkeypatch.delattr(soundfile, "SoundFile")
    assert encode.pass_through(source, wave, conformed, settings("flac"))


def blocks(content):
    """The metadata blocks of a FLAC file, each with its header, the last one marked as such; and its frames."""
    at = 4
    found: list[bytes] = []
    while not found or not found[-1][0] & 0x80:
        end = at + 4 + int.from_bytes(content[at + 1 : at + 4], "big")
        found.append(content[at:end])
        at = end
    return found, content[at:]


def laid_out(*parts):
    return b"fLaC" + b"".join(parts)


(INFO, TAGS), FRAMES = blocks(flac(TONE))
LAST_INFO = b"\x80" + INFO[1:]
PADDING = b"\x81\0\0\x08" + bytes(8)


@pytest.mark.parametrize(
    ("content", "own"),
    [
        (laid_out(INFO, TAGS, FRAMES), True),
        (laid_out(LAST_INFO, FRAMES), True),
        (laid_out(INFO, PADDING, FRAMES), True),
        (laid_out(b"\x04" + TAGS[1:], LAST_INFO, FRAMES), False),  # not first
        (laid_out(INFO, LAST_INFO, FRAMES), False),  # twice
        (laid_out(b"\x80\0\0\x26" + INFO[4:] + bytes(4), FRAMES), False),  # too long
        (laid_out(INFO, PADDING, bytes(3), FRAMES), False),  # a gap, or a block that lies about its length
        (laid_out(INFO, TAGS[:-1]), False),  # the end within a block
        (laid_out(INFO), False),
        (laid_out(), False),
        (b"RIFF" + LAST_INFO + FRAMES, False),
    ],
)
def test_the_frames_of_a_flac_file_are_its_own_audio_if_it_is_laid_out_as_one(content, own):
    assert frames.flac_without_tags(content) == (laid_out(LAST_INFO, FRAMES) if own else None)


def test_flac_that_counts_other_samples_than_were_decoded_is_encoded_anew():
    content = flac(TONE)
    wave = decode.decode(content, max_duration=30)
    one_more = content[:18] + (int.from_bytes(content[18:26], "big") + 1).to_bytes(8, "big") + content[26:]
    conformed = conform.conform(wave, settings("flac"))
    assert encode.pass_through(one_more, wave, conformed, settings("flac")) is None


@pytest.mark.parametrize(
    ("content", "form"),
    [
        (flac(TONE, 22_050), "flac"),  # another rate
        (flac(np.stack([TONE, TONE], axis=1)), "flac"),  # two channels
        (flac(TONE, subtype="PCM_24"), "flac"),  # more bits
        (flac(np.concatenate([np.zeros(RATE, np.int16), TONE])), "flac"),  # to be trimmed
        (flac(TONE), "wav"),  # another format
        (flac(TONE) + b"junk behind the last frame", "wav"),
    ],
)
def test_what_does_not_conform_is_encoded_anew(content, form):
    assert passed(content, form) is None


def _lossy(form, bitrate):
    stream = io.BytesIO()
    soundfile.write(stream, TONE, RATE, "PCM_16", format="WAV")
    codec = {"mp3": ("-c:a", "libmp3lame", "-f", "mp3"), "aac": ("-c:a", "aac", "-f", "adts")}[form]
    return run_ffmpeg(stream.getvalue(), "-b:a", f"{bitrate}k", "-metadata", "title=secret", *codec)


@pytest.mark.parametrize("form", ["mp3", "aac"])
def test_conforming_lossy_audio_loses_nothing_a_second_time(form):
    source = _lossy(form, 32)
    payload = passed(source, form, bitrate=64)
    assert payload is not None
    assert payload.content == source[tags.audio_start(source) :]
    assert b"secret" not in payload.content
    encode.verify(payload, TONE, settings(form))


def test_lossy_audio_over_the_wanted_bitrate_is_encoded_anew():
    assert passed(_lossy("mp3", 128), "mp3", bitrate=32) is None


def test_a_segment_is_never_passed_through():
    wave = decode.decode(flac(TONE), max_duration=30)
    assert encode.pass_through(b"", wave, conform.conform(wave, Settings()), Settings()) is None


def test_stereo_aac_at_another_rate_is_encoded_anew():
    assert passed(encoded(tone(440, 44_100), BY_NAME["aac adts"]), "aac") is None


def test_a_damaged_payload_is_noticed():
    payload = encode.encode(TONE, settings("flac"))
    damaged = Payload(payload.content[:200] + bytes(8) + payload.content[208:], payload.mime_type)
    with pytest.raises((PayloadError, soundfile.LibsndfileError)):
        encode.verify(damaged, TONE, settings("flac"))
