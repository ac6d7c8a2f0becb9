"""Sounds in which nobody says a word, made by us: the same samples on every machine.

Noise is what a hash makes of the sound's name, so that no library's generator of random numbers decides it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import shake_256

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float64]

# Of whoever changes a sound: answers about the former one are asked for anew.
VERSION = 1
# Held twice as long each, these add up to noise whose power falls by 3 dB an octave (Voss).
_PINK_SOURCES = 12
# Triads of I, vi, IV and V in C, in Hz; a chord lasts half a second and dies away.
_CHORDS = ((261.63, 329.63, 392.00), (220.00, 261.63, 329.63), (174.61, 220.00, 261.63), (196.00, 246.94, 293.66))
_CHORD_SECONDS = 0.5


def _silence(num_samples: int, rate: int) -> Sound:
    return np.zeros(num_samples)


def _white(num_samples: int, rate: int) -> Sound:
    return 0.05 * _noise("white", num_samples)


def _room(num_samples: int, rate: int) -> Sound:
    return 0.002 * _noise("room", num_samples)


def _pink(num_samples: int, rate: int) -> Sound:
    parts = (_held(f"pink{number}", num_samples, 1 << number) for number in range(_PINK_SOURCES))
    return sum(parts, np.zeros(num_samples)) * (0.1 / _PINK_SOURCES)


def _hum(num_samples: int, rate: int) -> Sound:
    tones = (_sine(50.0 * harmonic, num_samples, rate) / harmonic for harmonic in (1, 2, 3, 5))
    return 0.02 * sum(tones, np.zeros(num_samples))


def _tone(num_samples: int, rate: int) -> Sound:
    return 0.1 * _sine(440.0, num_samples, rate)


def _music(num_samples: int, rate: int) -> Sound:
    seconds = np.arange(num_samples) / rate
    chord = (seconds / _CHORD_SECONDS).astype(int) % len(_CHORDS)
    notes = (
        np.where(chord == number, _sine(pitch, num_samples, rate), 0.0)
        for number, pitches in enumerate(_CHORDS)
        for pitch in pitches
    )
    return 0.15 * sum(notes, np.zeros(num_samples)) * np.exp(-4.0 * (seconds % _CHORD_SECONDS))


def _noise(name: str, num_samples: int) -> Sound:
    """Uniform in ±1."""
    drawn = np.frombuffer(shake_256(name.encode()).digest(2 * num_samples), "<i2")
    return drawn / 32_768.0


def _held(name: str, num_samples: int, length: int) -> Sound:
    return np.repeat(_noise(name, -(-num_samples // length)), length)[:num_samples]


def _sine(pitch: float, num_samples: int, rate: int) -> Sound:
    sound: Sound = np.sin(2 * np.pi * pitch * np.arange(num_samples) / rate)
    return sound


KINDS: Mapping[str, Callable[[int, int], Sound]] = {
    "digital_silence": _silence,
    "room_noise": _room,
    "white_noise": _white,
    "pink_noise": _pink,
    "hum": _hum,
    "tone": _tone,
    "music": _music,
}


def samples(kind: str, seconds: float, sample_rate: int) -> NDArray[np.int16]:
    """A sound: int16, shape (num_samples,).

    Args:
      kind: key of `KINDS`.
      seconds: that it lasts.
      sample_rate: Hz.
    """
    sound = KINDS[kind](round(seconds * sample_rate), sample_rate)
    return np.rint(sound * 32_767).astype(np.int16)
