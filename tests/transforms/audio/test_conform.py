from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.sounds import tone
from transforms import reasons
from transforms.audio import conform
from transforms.audio.waveform import Waveform
from transforms.clip import ONLY_CHANNEL
from transforms.errors import ClipRejected
from transforms.settings import Settings

RATE = 16_000


def wave(samples, rate=RATE):
    samples = np.asarray(samples)
    samples = samples if samples.dtype == np.int16 else samples.astype(np.float32)
    return Waveform(samples if samples.ndim == 2 else samples[:, None], rate, "test")


def refusal(samples, rate=RATE, **settings):
    with pytest.raises(ClipRejected) as raised:
        conform.conform(wave(samples, rate), Settings(**settings))
    return raised.value.reason


@pytest.mark.parametrize(
    ("channels", "mono"),
    [
        ([[1, 2]], [1.5]),
        ([[32_767, 32_767]], [32_767]),  # no overflow at full scale
        ([[-32_768, -32_768]], [-32_768]),
        ([[300, 0, 0]], [100]),
    ],
)
def test_mono_is_the_mean(channels, mono):
    samples = np.array(channels, np.int16)
    assert (conform.to_mono(samples) * 32_768).tolist() == pytest.approx(mono)
    assert (conform.to_mono(samples.astype(np.float32) / np.float32(32_768)) * 32_768).tolist() == pytest.approx(mono)


@given(hnp.arrays(np.int16, st.tuples(st.integers(1, 50), st.integers(1, 3))), st.sampled_from("CF"))
def test_mono_is_the_mean_whatever_the_order_in_memory(samples, order):
    laid_out = np.array(samples, order=order)
    mean = samples.sum(axis=1, dtype=np.int64) / samples.shape[1] / 32_768
    assert conform.to_mono(laid_out).tolist() == pytest.approx(mean, abs=2**-23)
    assert np.array_equal(laid_out, samples)


@given(hnp.arrays(np.int16, st.integers(1, 400)))
def test_16_bit_samples_come_through_unchanged(samples):
    assert np.array_equal(conform.to_int16(conform.to_mono(samples[:, None])), samples)


@pytest.mark.parametrize(
    ("value", "rounded"),
    [(1.0, 32_767), (-1.0, -32_768), (7.5, 32_767), (-7.5, -32_768), (0.6 / 32_768, 1), (0.4 / 32_768, 0)],
)
def test_to_int16_rounds_and_saturates_and_never_wraps(value, rounded):
    assert conform.to_int16(np.array([value], np.float32)).tolist() == [rounded]


def padded(before, after, seconds=1.0, peak=0.5, floor=0.0):
    rng = np.random.default_rng(0)
    quiet = [rng.normal(0, floor, round(length * RATE)) for length in (before, after)]
    return np.concatenate([quiet[0], tone(440, RATE, seconds, peak), quiet[1]])


@pytest.mark.parametrize("floor", [0.0, 0.0003])  # digital silence; noise at −70 dBFS
@pytest.mark.parametrize("peak", [0.9, 0.05])
@pytest.mark.parametrize(("before", "after"), [(2.0, 3.0), (0.0, 1.0), (1.0, 0.0)])
def test_silence_is_trimmed_and_a_margin_is_kept_on_both_sides(before, after, peak, floor):
    result = conform.conform(wave(padded(before, after, peak=peak, floor=floor)), Settings())
    kept_before = before - result.trimmed_start_samples / RATE
    kept_after = after - result.trimmed_end_samples / RATE
    assert kept_before == pytest.approx(min(before, 0.1), abs=0.011)
    assert kept_after == pytest.approx(min(after, 0.1), abs=0.011)
    assert len(result.samples) == round((1.0 + kept_before + kept_after) * RATE)


def test_a_pause_in_the_middle_stays():
    samples = np.concatenate([tone(440, RATE, 1.0), np.zeros(5 * RATE), tone(440, RATE, 1.0)])
    assert len(conform.conform(wave(samples), Settings()).samples) == 7 * RATE


def test_soft_onsets_are_not_cut():
    fade = np.linspace(0, 1, RATE) ** 2
    result = conform.conform(wave(np.concatenate([np.zeros(RATE), tone(440, RATE, 1.0) * fade])), Settings())
    # The fade crosses −45 dB of its peak at 75 ms; the margin lies before that.
    assert result.trimmed_start_samples / RATE < 1.0


JFK = Path(__file__).parents[3] / "examples/clips/whisper_jfk/jfk.flac"


def voice(level, seconds=5.0):
    """The first seconds of a voice, at a level in dBFS."""
    samples, rate = soundfile.read(JFK, dtype="float32", always_2d=True)
    samples = conform.resample(samples.mean(axis=1), rate, RATE)[: round(seconds * RATE)].astype(np.float64)
    return samples / np.sqrt(np.mean(samples**2)) * 10 ** (level / 20)


def noise_of(level, seconds, seed=0):
    return np.random.default_rng(seed).normal(0, 10 ** (level / 20), round(seconds * RATE))


def as_16_bit(samples):
    return np.rint(np.clip(samples, -1, 32_767 / 32_768) * 32_768).astype(np.int16)


@pytest.mark.parametrize("floor", [-200.0, -90.0, -75.0])
@pytest.mark.parametrize("level", [-58.0, -60.0, -64.0])
@pytest.mark.parametrize("order", [("beep", "voice"), ("voice", "beep"), ("beep", "voice", "beep")])
def test_a_quiet_voice_beside_a_loud_beep_is_kept(order, level, floor):
    parts = {"beep": tone(1_000, RATE, 0.5, 1.0), "voice": voice(level, 11.0)}
    samples = np.concatenate([part for name in order for part in (parts[name], np.zeros(RATE // 4))][:-1])
    samples = as_16_bit(samples + noise_of(floor, len(samples) / RATE))
    result = conform.conform(wave(samples), Settings())
    assert len(samples) - len(result.samples) <= 0.3 * RATE  # the breath before the first word


@pytest.mark.parametrize("share", [0.45, 0.55])
def test_half_of_what_sounds_is_the_limit_on_both_sides(share):
    """A loud tone, and behind a pause a tone at −60 dBFS, so that the loud one has this share of both."""
    loud, quiet = tone(400, RATE, 0.6, 0.9), tone(400, RATE, 0.6 / share - 0.6, 0.0014)
    result = conform.conform(wave(np.concatenate([loud, np.zeros(RATE // 2), quiet])), Settings())
    assert result.trimmed_end_samples == (0 if share < 0.5 else len(quiet) + RATE // 2 - RATE // 10)


@pytest.mark.parametrize(("level", "kept"), [(-64.5, True), (-65.5, False)])
def test_what_sounds_begins_at_65_dB_below_full_scale(level, kept):
    quiet = tone(400, RATE, 2.0, np.sqrt(2) * 10 ** (level / 20))
    result = conform.conform(wave(np.concatenate([tone(400, RATE, 0.5, 0.9), quiet])), Settings())
    assert (result.trimmed_end_samples == 0) == kept


@pytest.mark.parametrize(("pad", "kept"), [(10.0, 25.0), (15.0, 5.2)])
def test_steady_noise_around_a_voice_does_not_make_it_too_long(pad, kept):
    """Where all fits, nothing is lost; else noise is no sound."""
    samples = np.concatenate([noise_of(-60, pad), voice(-10, 5.0), noise_of(-60, pad, 1)])
    assert len(conform.conform(wave(samples), Settings()).samples) == pytest.approx(kept * RATE, abs=0.5 * RATE)


def test_a_voice_around_a_beep_that_is_too_long_is_refused_and_not_cut_to_the_beep():
    samples = np.concatenate([tone(1_000, RATE, 0.5, 1.0), np.tile(voice(-58, 11.0), 3)])
    assert refusal(as_16_bit(samples)) == reasons.TOO_LONG


@pytest.mark.parametrize("gain", [-20.0, -30.0, -40.0, -45.0])
def test_a_voice_is_trimmed_alike_at_any_level(gain):
    padding = np.zeros(RATE)
    samples = np.concatenate([padding, voice(-20.0, 11.0), padding])
    loud, quiet = (conform.conform(wave(as_16_bit(samples * 10 ** (db / 20))), Settings()) for db in (0.0, gain))
    assert 0 <= len(loud.samples) - len(quiet.samples) <= 0.3 * RATE


def test_keep_silence_keeps_it():
    result = conform.conform(wave(padded(1.0, 1.0)), Settings(trim_silence=False))
    assert (len(result.samples), result.trimmed_start_samples, result.trimmed_end_samples) == (3 * RATE, 0, 0)


def test_silent_edges_on_a_dc_offset_are_trimmed_and_the_offset_is_left():
    result = conform.conform(wave(padded(2.0, 2.0) + 0.1), Settings())
    assert len(result.samples) == pytest.approx(1.2 * RATE, abs=400)
    assert result.samples[0] == pytest.approx(0.1 * 32_768, abs=2)


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(RATE), reasons.SILENT),
        (np.full(RATE, 0.5), reasons.SILENT),  # DC only
        (np.random.default_rng(0).uniform(-1, 1, RATE) / 32_768, reasons.SILENT),  # dither only
        (np.full(RATE, np.nan), reasons.NOT_FINITE),
        (np.where(np.arange(RATE) == 9, np.nan, tone(440, RATE, 1.0)), reasons.NOT_FINITE),
        (np.where(np.arange(RATE) == 9, np.inf, tone(440, RATE, 1.0)), reasons.NOT_FINITE),
        (tone(440, RATE, 1.0) * 32_768, reasons.NOT_FINITE),  # integers stored as floats
        (np.stack([tone(440, RATE), -tone(440, RATE)], axis=1), reasons.OPPOSITE_PHASE),
        (np.ones(1), reasons.SILENT),
        (tone(440, RATE, 10 / RATE), reasons.TOO_SHORT),
    ],
)
def test_refusals(samples, reason):
    assert refusal(samples) == reason


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
@pytest.mark.parametrize(("rest", "accepted"), [(0.0204, True), (0.0196, False)])
def test_the_limit_of_cancellation(rest, accepted, dtype):
    """Of two channels of which the second cancels all but `rest` of the first, the mean has half of that."""
    channels = np.stack([tone(440, RATE), (rest - 1) * tone(440, RATE)], axis=1)
    stereo = (channels * (32_768 if dtype == np.int16 else 1)).astype(dtype)
    if accepted:
        assert len(conform.conform(wave(stereo), Settings()).samples)
    else:
        assert refusal(stereo) == reasons.OPPOSITE_PHASE


def test_a_clip_is_not_changed_by_conforming_it():
    for samples in (padded(1.0, 1.0), np.repeat(padded(1.0, 1.0)[:, None], 2, axis=1)):
        source = wave(samples)
        before = source.samples.copy()
        conform.conform(source, Settings())
        assert np.array_equal(source.samples, before)


def test_a_tone_that_only_a_bad_resampler_would_hear_is_silence():
    # Faded in and out: a tone that begins at once begins with a click, which is a sound.
    assert refusal(tone(15_000, 48_000) * np.hanning(96_000), 48_000) == reasons.SILENT


@pytest.mark.parametrize(("level", "accepted"), [(-68.0, True), (-72.0, False)])
def test_the_limit_of_silence(level, accepted):
    samples = tone(440, RATE, peak=np.sqrt(2) * 10 ** (level / 20))
    if accepted:
        assert len(conform.conform(wave(samples), Settings()).samples)
    else:
        assert refusal(samples) == reasons.SILENT


def word(level, floor, seconds=0.3, whole=3.0):
    """A word in the middle of noise, both at levels in dBFS, as 16 bits with dither."""
    samples = noise_of(floor, whole) + np.random.default_rng(1).triangular(-1, 0, 1, round(whole * RATE)) / 32_768
    spoken = tone(300, RATE, seconds, np.sqrt(2) * 10 ** (level / 20))
    at = len(samples) // 3
    samples[at : at + len(spoken)] += spoken
    return as_16_bit(samples)


@pytest.mark.parametrize(
    ("samples", "accepted"),
    [
        (word(-60, -95), True),  # on the whole −70 dBFS
        (word(-64, -95), True),
        (word(-69.5, -95), True),
        (word(-70.5, -95), False),  # the word itself is below the limit
        (word(-62, -85), True),
        (word(-65, -82), False),  # less than 20 dB over its floor
        (word(-62, -95, seconds=0.11), True),
        (word(-62, -95, seconds=0.08), False),  # a click is no word
        (word(-62, -95, whole=60.0), True),
        (word(-62, -200), True),  # digital silence around it, but for the dither
    ],
)
def test_one_quiet_word_over_its_own_floor_is_no_silence(samples, accepted):
    if not accepted:
        assert refusal(samples) == reasons.SILENT
        return
    result = conform.conform(wave(samples), Settings(max_duration=90))
    at = len(samples) // 3
    assert result.trimmed_start_samples <= at - RATE // 20
    assert len(samples) - result.trimmed_end_samples >= at + RATE // 10


@pytest.mark.parametrize("level", [-71.0, -75.0, -85.0, -95.0])
@pytest.mark.parametrize("kind", ["hum", "white", "brown", "drift", "step", "slow", "dither", "nothing"])
def test_what_is_below_the_limit_and_holds_no_word_stays_silent(kind, level):
    length = 3 * RATE
    rng = np.random.default_rng(2)
    times = np.arange(length) / RATE
    shapes = {
        "hum": np.sin(2 * np.pi * 50 * times) + 0.3 * np.sin(2 * np.pi * 150 * times),
        "white": rng.normal(0, 1, length),
        "brown": np.cumsum(rng.normal(0, 1, length)),
        "drift": np.exp(-times / 0.2),  # a microphone that was switched on
        "step": (times > 1.5) * 1.0,
        "slow": np.sin(2 * np.pi * 2 * times),
        "dither": rng.triangular(-1, 0, 1, length),
        "nothing": np.full(length, 1e-9),
    }
    centred = shapes[kind] - shapes[kind].mean()
    samples = centred / max(1e-6, np.sqrt(np.mean(centred**2))) * 10 ** (level / 20) + 0.01
    assert refusal(samples) == reasons.SILENT
    assert refusal(as_16_bit(samples + rng.uniform(-0.5, 0.5, length) / 32_768)) == reasons.SILENT


@pytest.mark.parametrize(("seconds", "accepted"), [(0.1, True), (0.0999, False)])
def test_min_duration_on_both_sides(seconds, accepted):
    samples = tone(440, RATE, seconds)
    if accepted:
        assert len(conform.conform(wave(samples), Settings()).samples) == 1_600
    else:
        assert refusal(samples) == reasons.TOO_SHORT


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000])
def test_max_duration_on_both_sides(rate):
    exact = tone(440, rate, 30.0)
    result = conform.conform(wave(exact, rate), Settings())
    assert 479_990 <= len(result.samples) <= 480_000  # resampling may round up; the payload is never longer
    longer = tone(440, rate, 30.01)
    assert refusal(longer, rate) == reasons.TOO_LONG
    assert len(conform.conform(wave(longer, rate), Settings(over_duration="trim")).samples) == 480_000


def test_trimming_comes_before_the_limit():
    assert len(conform.conform(wave(padded(20.0, 20.0, seconds=25.0)), Settings()).samples) == pytest.approx(
        25.2 * RATE
    )


@given(st.integers(1, 8), st.sampled_from([8_000, 22_050, 44_100, 48_000]))
def test_the_level_does_not_depend_on_channels_or_rate(channels, rate):
    samples = np.repeat(tone(440, rate, 0.5)[:, None], channels, axis=1)
    rms = np.sqrt(np.mean((conform.conform(wave(samples, rate), Settings()).samples / 32_768.0) ** 2))
    assert 20 * np.log10(rms / (0.5 / np.sqrt(2))) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_a_channel_is_cut_out_as_it_is(dtype):
    stereo = Waveform(np.array([[1, -2], [3, -4]], dtype), 16_000, "wav/pcm_16")
    for channel, expected in ((0, [[1], [3]]), (1, [[-2], [-4]])):
        alone = conform.one_channel(stereo, channel)
        assert alone.samples.tolist() == expected
        assert (alone.samples.dtype, alone.samples.flags.c_contiguous) == (dtype, True)


def test_the_only_channel_is_the_whole_recording():
    mono = Waveform(np.ones((3, 1), np.int16), 16_000, "wav/pcm_16")
    assert conform.one_channel(mono, 0) is mono
    assert conform.one_channel(mono, ONLY_CHANNEL) is mono


@pytest.mark.parametrize(("channels", "channel"), [(1, 1), (2, 2), (2, ONLY_CHANNEL)])
def test_a_channel_that_is_not_there_or_not_clear(channels, channel):
    with pytest.raises(ClipRejected) as fault:
        conform.one_channel(Waveform(np.ones((3, channels), np.int16), 16_000, "wav/pcm_16"), channel)
    assert fault.value.reason == reasons.NO_SUCH_CHANNEL
