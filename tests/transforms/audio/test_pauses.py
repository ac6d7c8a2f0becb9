"""Clips are cut at the quietest point of the window between them: at the same sample before and behind it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.audio import decode, pauses
from transforms.audio.waveform import Waveform

RATE = 16_000
RNG = np.random.default_rng(3)


def noise(seconds, level=8_000, rate=RATE):
    return RNG.integers(-level, level + 1, round(seconds * rate)).astype(np.int16)


def mono(*parts):
    return np.concatenate(parts)[:, None]


@pytest.mark.parametrize(
    ("window", "seconds"),
    [
        (mono(noise(0.2), noise(0.1, 20), noise(0.2)), 0.25),
        (mono(noise(0.05), noise(0.1, 20), noise(0.35)), 0.1),
        (mono(noise(0.2), noise(0.1, 20) + np.int16(3_000), noise(0.2)), 0.25),  # with DC, which is no sound
        (mono(np.zeros(RATE // 2, np.int16)), 0.25),  # all is quiet: the middle
        (mono(noise(0.5)), 0.25),
        (np.repeat(mono(noise(0.1), noise(0.1, 20), noise(0.3)), 2, axis=1), 0.15),  # stereo
        (mono(noise(0.2), noise(0.1, 20), noise(0.2)).astype(np.float32) / 32_768, 0.25),
        (mono(noise(0.02)), 0.01),  # too short to hear anything in it: the middle
    ],
)
def test_the_quietest_point_of_a_window(window, seconds):
    assert pauses.quietest(window, len(window), RATE) / RATE == pytest.approx(seconds, abs=0.035)


def test_a_window_that_the_recordings_end_cuts_short_is_kept_whole():
    window = mono(noise(0.1), noise(0.1, 0), noise(0.1))
    assert pauses.quietest(window, len(window) + 2, RATE) == len(window) + 2
    assert pauses.quietest(window, len(window) + 1, RATE) < len(window)  # a sample is rounding


@given(
    rate=st.sampled_from([8_000, 11_025, 16_000, 22_050, 44_100, 48_000]),
    begins=st.integers(0, 2_000_000),
    low=st.integers(300_000, 900_000),
    width=st.integers(1, 500_000),
)
def test_the_clip_before_and_the_clip_after_are_cut_at_the_same_sample(rate, begins, low, width):
    """Times are whole microseconds, as rows have them."""
    start, low, high = begins / 1e6, (begins + low) / 1e6, (begins + low + width) / 1e6
    sound = mono(np.random.default_rng(width).integers(-9_000, 9_000, round(4.5 * rate)).astype(np.int16))

    def segment(offset, duration, within_start, within_end):
        first = round(offset * rate)
        more = decode.BEYOND_SECONDS if within_end else 0.0
        wave = Waveform(sound[first : first + round((duration + more) * rate)], rate, "wav/pcm_16")
        return pauses.cut(wave, offset, duration, within_start, within_end).samples

    window = round(high - low, 6)
    before = segment(start, round(high - start, 6), 0.0, window)
    after = segment(low, round(4.2 - low, 6), window, 0.0)
    whole = sound[round(start * rate) : round(low * rate) + round(round(4.2 - low, 6) * rate)]
    assert np.array_equal(np.concatenate([before, after]), whole)


def test_a_clip_without_an_end_is_cut_at_its_start():
    sound = mono(noise(0.2), noise(0.1, 20), noise(1))
    wave = Waveform(sound, RATE, "wav/pcm_16")
    kept = pauses.cut(wave, 3.0, None, 0.5, 0.0).samples
    assert len(sound) - len(kept) == pytest.approx(0.25 * RATE, abs=0.035 * RATE)
    assert np.array_equal(kept, sound[-len(kept) :])
