"""What has no magic number is recognised by what chance does not give: `benchmarks.headerless`, smaller."""

import io
from collections.abc import Callable

import numpy as np
import pytest
import soundfile
import soxr

from benchmarks import headerless
from tests.sounds import BY_NAME, encoded, tone
from transforms import reasons
from transforms.audio import decode, evidence, sniff, tags
from transforms.errors import ClipRejected


def test_no_raw_speech_and_no_bytes_of_chance_pass_and_no_recording_is_refused():
    raw, chance, alike, certain, _, real = headerless.rows(1_300)
    assert (raw.files, raw.found) == (650, {})
    assert (chance.files, chance.found) == (390, {})
    assert (alike.files, alike.found) == (130, {})
    assert (certain.files, certain.found) == (65, {})
    assert (real.files, real.found) == (130, {})


def pcm(samples, subtype, rate=8_000):
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, subtype, format="RAW", endian="FILE")
    return stream.getvalue()


SPEECH = [soxr.resample(samples, rate, 8_000) for samples, rate in headerless.speech()[:40]]


@pytest.mark.parametrize("silence", [0.0, 0.05, 0.1, 0.3, 1.0, 5.0])
@pytest.mark.parametrize("subtype", ["ALAW", "ULAW", "PCM_U8", "PCM_16"])
def test_headerless_speech_behind_silence_is_refused_by_any_name(subtype, silence):
    for number, samples in enumerate(SPEECH):
        content = pcm(np.concatenate([np.zeros(round(8_000 * silence)), samples]), subtype)
        with pytest.raises(ClipRejected) as caught:
            sniff.sniff(content, f"x.{('gsm', 'wav', 'alaw', 'raw', '')[number % 5]}")
        assert caught.value.reason in (reasons.NOT_AUDIO, reasons.UNSUPPORTED_FORMAT)


@pytest.mark.parametrize("value", range(0xD0, 0xE0))
@pytest.mark.parametrize("spread", [0.0, 0.4, 2.0])
def test_samples_that_stay_where_gsm_has_its_mark_are_not_gsm(value, spread):
    """A constant offset: every byte, or nearly every one, looks like a mark."""
    noise = np.random.default_rng(value).normal(value, spread, 33 * 200)
    assert not evidence.gsm_begins(np.clip(np.rint(noise), 0xD0, 0xDF).astype(np.uint8).tobytes())


def test_a_tone_whose_period_is_a_gsm_frame_is_not_gsm():
    for phase in np.linspace(0, 2 * np.pi, 64, endpoint=False):
        assert not evidence.gsm_begins(pcm(0.5 * np.sin(2 * np.pi * np.arange(16_000) / 33 + phase), "ALAW"))


def test_speech_in_gsm_is_recognised_by_no_name_and_in_part():
    for samples in SPEECH:
        content = pcm(samples[: len(samples) // 160 * 160], "GSM610")
        assert sniff.sniff(content).name == "gsm"
        assert sniff.sniff(content[: 33 * 20 + 7]).name == "gsm"  # the beginning of a long one
        assert sniff.sniff(pcm(np.concatenate([np.zeros(8_000), samples[:8_000]]), "GSM610")).name == "gsm"


@pytest.mark.parametrize(("count", "recognised"), [(4, False), (5, True)])
def test_a_tenth_of_a_second_is_enough(count, recognised):
    content = pcm(SPEECH[0][8_000:16_000], "GSM610")
    assert evidence.gsm_begins(content[: 33 * count]) is recognised


FRAMED: dict[str, Callable[[bytes], bool]] = {
    "aac adts": evidence.adts_begins,
    "mp3 without a header": evidence.mp3_begins,
    "mp2": evidence.mp2_begins,
    "aac latm": evidence.loas_begins,
    "ac3": evidence.ac3_begins,
    "eac3": evidence.ac3_begins,
    "dts": evidence.dts_begins,
    "mpeg-ts aac": evidence.mpegts_begins,
}


@pytest.mark.parametrize("name", FRAMED)
def test_one_frame_and_chance_are_not_enough(name):
    form = BY_NAME[name]
    content = encoded(tone(700, form.rate, 1.0), form)
    content = content[tags.audio_start(content) :]
    assert FRAMED[name](content)
    assert FRAMED[name](content[: len(content) // 2])  # the beginning of a long one
    for size in (0, 1, 4, 9, 20):
        assert not FRAMED[name](content[:size])
    assert not FRAMED[name](content[:64] + np.random.default_rng(0).bytes(5_000))


@pytest.mark.parametrize("seconds", [0.1, 0.15, 0.25])
@pytest.mark.parametrize("name", [name for name in FRAMED if name != "mpeg-ts aac"])
def test_short_recordings_are_recognised_by_their_end(name, seconds):
    form = BY_NAME[name]
    content = encoded(tone(700, form.rate, seconds), form)
    for trailer in (b"", b"TAG" + bytes(125)):
        wave = decode.decode(content + trailer, max_duration=30.0)
        assert len(wave.samples) / wave.sample_rate > seconds - 0.05


@pytest.mark.parametrize(
    "magic", [b"\x47", b"\xf0\x7e", b"\x64\xa3", b"\x0b\x77", b"\0\0\x01\xba", b"\x7f\xfe\x80\x01"]
)
def test_a_short_magic_alone_is_not_enough(magic):
    for behind in (bytes(4_000), magic * 1_000, np.random.default_rng(1).bytes(4_000)):
        with pytest.raises(ClipRejected):
            sniff.sniff(magic + behind)
