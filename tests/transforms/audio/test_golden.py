"""Sweeps and speech through every format, against references that share no code with what is tested."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.sounds import FORMATS, encoded
from transforms.audio import conform, decode
from transforms.settings import Settings

UNTRIMMED = Settings(trim_silence=False)
JFK = next((Path(__file__).parents[3] / "examples/clips/whisper_jfk").iterdir())
LOSSLESS_CODECS = ("pcm", "flac", "alac", "wavpack", "tta", "sox", "float", "double")
# Formats whose own codec changes the wave: what is left of its shape.
SPEECH_CODECS = {"gsm": 0.94, "amr": 0.7, "3gp amr": 0.7, "real audio": 0.97}


def resampled(samples, rate, to_rate):
    """Band-limited resampling by the discrete Fourier transform: slow, and exact for what repeats."""
    spectrum = np.fft.rfft(samples)
    count = round(len(samples) * to_rate / rate)
    bins = np.zeros(count // 2 + 1, complex)
    kept = min(len(bins), len(spectrum))
    bins[:kept] = spectrum[:kept]
    return np.fft.irfft(bins, count) * count / len(samples)


def through(samples, form):
    """What the pipeline makes of samples that were stored in a format, as floats at 16 kHz."""
    wave = decode.decode(encoded(samples, form), max_duration=30.0, name_hint=f"x.{form.extension}")
    return conform.conform(wave, UNTRIMMED).samples / 32_768, wave.source_format.rpartition("/")[2]


FINE = 8


def alike(found, reference):
    """Gain (dB), delay (samples, in eighths) and correlation of two waves where they are most alike."""
    # A codec's delay is whole at the source's rate and seldom at ours.
    found, reference = (resampled(wave, 1, FINE) for wave in (found, reference))
    size = 1 << (len(found) + len(reference)).bit_length()
    cross = np.fft.irfft(np.fft.rfft(found, size) * np.conj(np.fft.rfft(reference, size)), size)
    delay = int(np.argmax(cross))
    delay -= size if delay > size // 2 else 0
    a, b = found[max(0, delay) :], reference[max(0, -delay) :]
    a, b = a[: min(len(a), len(b))], b[: min(len(a), len(b))]
    gain = 20 * np.log10(np.linalg.norm(a) / np.linalg.norm(b))
    return gain, delay / FINE, float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.fixture(scope="module")
def speech():
    samples, rate = soundfile.read(JFK)
    samples = samples if samples.ndim == 1 else samples.mean(axis=1)
    return samples[: 5 * rate] * 0.9, rate


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_speech_keeps_its_shape_its_level_and_its_place(form, speech):
    samples, rate = speech
    source = resampled(samples, rate, form.rate)
    reference = resampled(source, form.rate, 16_000)
    found, codec = through(source, form)
    gain, delay, correlation = alike(found, reference)
    lossless = codec.startswith(LOSSLESS_CODECS) and codec != "pcm_u8"
    assert correlation >= (0.9995 if lossless else SPEECH_CODECS.get(form.name, 0.98)), correlation
    assert abs(gain) <= (0.1 if form.name not in SPEECH_CODECS else 3.0)
    late = 16_000 * form.seconds[1]
    assert -32 <= delay <= (1 if lossless else max(32, late))


@pytest.mark.parametrize("form", [form for form in FORMATS if form.rate >= 44_100], ids=lambda form: form.name)
def test_a_sweep_comes_out_flat(form):
    """A chirp from 100 to 7,000 Hz, whose value at any time is known."""
    seconds, low, high = 3.0, 100.0, 7_000.0

    def chirp(rate):
        time = np.arange(round(seconds * rate)) / rate
        return 0.5 * np.sin(2 * np.pi * (low * time + (high - low) / (2 * seconds) * time**2))

    found, codec = through(chirp(form.rate), form)
    gain, delay, correlation = alike(found, chirp(16_000))
    lossless = codec.startswith(LOSSLESS_CODECS)
    assert abs(gain) <= 0.1
    assert correlation >= (0.9999 if lossless else 0.95), correlation
    start = max(0, round(delay))
    body = found[start + 2_000 : start + round(seconds * 16_000) - 2_000]
    envelope = [np.sqrt(2 * np.mean(part**2)) for part in np.array_split(body, 40)]
    assert np.ptp(20 * np.log10(envelope)) <= (0.3 if lossless else 1.5)


def test_the_reference_is_sound():
    """The resampler of the tests, on a tone whose samples are known at both rates."""
    tone = np.sin(2 * np.pi * 1_000 * np.arange(48_000) / 48_000)
    expected = np.sin(2 * np.pi * 1_000 * np.arange(16_000) / 16_000)
    assert np.abs(resampled(tone, 48_000, 16_000) - expected).max() < 1e-9
    stream = io.BytesIO()
    soundfile.write(stream, tone, 48_000, "FLOAT", format="WAV")
    wave = decode.decode(stream.getvalue(), max_duration=30.0)
    ours = conform.resample(conform.to_mono(wave.samples), 48_000, 16_000)
    assert np.abs(ours[500:-500] - expected[500:-500]).max() < 1e-4
