"""Sounds in which nobody speaks: what they are called, at the level they are meant to have, the same everywhere."""

from hashlib import sha256

import numpy as np
import pytest

from transforms.audio import level, probes

SECONDS, RATE = 3.0, 16_000
# Change VERSION with them: answers about the former sounds say nothing of these.
GOLDEN = {
    "digital_silence": ("55873fecc61a79e8", -120.0),
    "room_noise": ("27e4bc4873f37098", -58.8),
    "white_noise": ("32a141768779d332", -30.8),
    "pink_noise": ("f898e819cdae60bc", -35.3),
    "hum": ("fd28c5c3e207f36a", -35.5),
    "tone": ("7aadc2895da663c5", -23.0),
    "music": ("553d3332de91427d", -20.8),
}


def power_below(samples, pitch):
    power = np.abs(np.fft.rfft(samples.astype(float))) ** 2
    return power[: int(pitch * SECONDS)].sum() / power.sum()


@pytest.mark.parametrize("kind", probes.KINDS)
def test_every_sound_is_what_it_was(kind):
    found = probes.samples(kind, SECONDS, RATE)
    assert found.dtype == np.int16
    assert found.shape == (48_000,)
    digest, loud = GOLDEN[kind]
    assert (sha256(found.tobytes()).hexdigest()[:16], level.of(found).rms_dbfs) == (digest, loud)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("kind", probes.KINDS)
def test_a_sound_has_the_length_that_is_asked_for_and_never_clips(kind, rate):
    for seconds in (0.05, 1.0):
        found = probes.samples(kind, seconds, rate)
        assert len(found) == round(seconds * rate)
        assert np.abs(found.astype(int)).max() < 20_000


def test_white_noise_is_white_and_pink_noise_is_pink():
    white, pink = (probes.samples(kind, SECONDS, RATE) for kind in ("white_noise", "pink_noise"))
    assert power_below(white, 800) == pytest.approx(0.1, abs=0.01)
    octaves = [power_below(pink, 2 * pitch) - power_below(pink, pitch) for pitch in (100, 200, 400, 800, 1_600)]
    assert max(octaves) < 2.5 * min(octaves)


def test_a_hum_is_of_the_mains_and_a_tone_is_one():
    hum, tone = (probes.samples(kind, SECONDS, RATE) for kind in ("hum", "tone"))
    assert power_below(hum, 45) < 0.01
    assert power_below(hum, 55) > 0.6
    assert power_below(tone, 439) < 0.01
    assert power_below(tone, 442) > 0.99
