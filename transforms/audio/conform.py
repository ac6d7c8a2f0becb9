"""Conforming: from a waveform to mono at the dataset's rate, trimmed and within its limits."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from transforms import reasons
from transforms.audio.waveform import Waveform
from transforms.errors import ClipRejected
from transforms.settings import Settings

INT16_SCALE = 32_768.0
# Float audio is nominally within ±1. Lossy decoders overshoot it a little; integers stored as floats exceed it a
# thousandfold.
MAX_FLOAT_PEAK = 16.0
# −70 dBFS RMS. Dither and a resampler's residue are below it; voices are not.
SILENT_RMS = 10 ** (-70 / 20)
# Channels cancel if one is audible and their mean is 40 dB lower.
CANCELLATION = 10 ** (-40 / 20)
FRAMES_PER_SECOND = 100
# A frame counts as sound from 45 dB below the loudest one, and never below −65 dBFS.
TRIM_BELOW_PEAK_DB = 45.0
TRIM_FLOOR_DB = -65.0
# Kept on both sides, for soft onsets and releases are below the threshold.
TRIM_MARGIN_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Conformed:
    """A clip as its payload will hold it.

    Attributes:
      samples: int16, shape (num_samples,), at the dataset's rate.
      trimmed_start_samples: cut from the start, at the dataset's rate.
      trimmed_end_samples: cut from the end, at the dataset's rate.
    """

    samples: NDArray[np.int16]
    trimmed_start_samples: int
    trimmed_end_samples: int


def conform(waveform: Waveform, settings: Settings) -> Conformed:
    """Downmixes, resamples, trims and bounds a clip.

    Raises:
      ClipRejected: not finite, silent, channels that cancel, too short or too long.
    """
    mono = to_mono(waveform.samples)
    _require_finite(mono)
    at_rate = resample(mono, waveform.sample_rate, settings.sample_rate)
    # DC is no sound: it is left out of the judgement and left in the audio.
    centred = at_rate - at_rate.mean(dtype=np.float64).astype(np.float32) if at_rate.size else at_rate
    _require_sound(centred, waveform)
    start, end = sound_bounds(centred, settings.sample_rate) if settings.trim_silence else (0, len(at_rate))
    end = _bounded_end(start, end, waveform.sample_rate, settings)
    return Conformed(to_int16(at_rate[start:end]), start, len(at_rate) - end)


def to_mono(samples: NDArray[np.float32] | NDArray[np.int16]) -> NDArray[np.float32]:
    """The mean of the channels.

    Args:
      samples: float32 in ±1 or int16, shape (num_samples, num_channels).

    Returns:
      float32 in ±1, shape (num_samples,).
    """
    channels = samples.shape[1]
    scale = 1.0 / (channels * (INT16_SCALE if samples.dtype == np.int16 else 1.0))
    # Adding columns is thirty times as fast as mean(axis=1) on a narrow array.
    total = samples[:, 0].astype(np.float32)
    for channel in range(1, channels):
        total += samples[:, channel]
    total *= np.float32(scale)
    return total


def resample(mono: NDArray[np.float32], rate: int, to_rate: int) -> NDArray[np.float32]:
    """Resamples once, with soxr's HQ filter: aliases stay under −140 dB."""
    if rate == to_rate:
        return mono
    resampled: NDArray[np.float32] = soxr.resample(mono, rate, to_rate, "HQ")
    return resampled


def to_int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Rounds to the nearest 16-bit value, saturating at full scale."""
    scaled = np.rint(samples * np.float32(INT16_SCALE))
    saturated: NDArray[np.int16] = np.clip(scaled, -32_768, 32_767).astype(np.int16)
    return saturated


def sound_bounds(samples: NDArray[np.float32], sample_rate: int) -> tuple[int, int]:
    """Where sound begins and ends, with a margin on both sides.

    Args:
      samples: float32 without DC, shape (num_samples,).
      sample_rate: Hz.

    Returns:
      Start and end (exclusive) in samples. The whole if nothing stands out.
    """
    frame = sample_rate // FRAMES_PER_SECOND
    num_frames = len(samples) // frame
    if not num_frames:
        return 0, len(samples)
    framed = samples[: num_frames * frame].reshape(num_frames, frame)
    level = 10 * np.log10(np.einsum("ij,ij->i", framed, framed) / frame + 1e-12)
    loud = np.flatnonzero(level >= max(level.max() - TRIM_BELOW_PEAK_DB, TRIM_FLOOR_DB))
    if not loud.size:
        return 0, len(samples)
    margin = round(TRIM_MARGIN_SECONDS * sample_rate)
    # The rest behind the last whole frame counts as part of that frame.
    end = len(samples) if loud[-1] == num_frames - 1 else (int(loud[-1]) + 1) * frame + margin
    return max(0, int(loud[0]) * frame - margin), min(len(samples), end)


def _require_finite(mono: NDArray[np.float32]) -> None:
    peak = float(np.abs(mono).max()) if mono.size else 0.0
    if not math.isfinite(peak):
        raise ClipRejected(reasons.NOT_FINITE, "the audio holds values that are not finite numbers (NaN or infinite)")
    if peak > MAX_FLOAT_PEAK:
        raise ClipRejected(
            reasons.NOT_FINITE, f"float samples reach {peak:.0f}, where full scale is 1: values out of scale"
        )


def _require_sound(centred: NDArray[np.float32], waveform: Waveform) -> None:
    rms = _rms(centred)
    if waveform.samples.shape[1] > 1:
        loudest = max(_channel_rms(waveform.samples[:, channel]) for channel in range(waveform.samples.shape[1]))
        if loudest >= SILENT_RMS and rms < loudest * CANCELLATION:
            raise ClipRejected(
                reasons.OPPOSITE_PHASE,
                "the channels cancel: each has sound, their mean is silent (opposite phase)",
            )
    if rms < SILENT_RMS:
        raise ClipRejected(reasons.SILENT, f"nothing audible: the level is {_decibels(rms)}, below −70 dBFS (silence)")


def _channel_rms(channel: NDArray[np.float32] | NDArray[np.int16]) -> float:
    scale = INT16_SCALE if channel.dtype == np.int16 else 1.0
    samples = channel.astype(np.float32)
    return _rms(samples - samples.mean(dtype=np.float64).astype(np.float32)) / scale


def _rms(samples: NDArray[np.float32]) -> float:
    return math.sqrt(float(np.einsum("i,i->", samples, samples, dtype=np.float64)) / max(1, len(samples)))


def _decibels(rms: float) -> str:
    return f"{20 * math.log10(rms):.0f} dBFS" if rms > 0 else "zero"


def _bounded_end(start: int, end: int, source_rate: int, settings: Settings) -> int:
    """The end of the payload.

    Raises:
      ClipRejected: the clip is shorter or longer than the settings allow.
    """
    rate = settings.sample_rate
    seconds = (end - start) / rate
    if seconds < settings.min_duration:
        raise ClipRejected(
            reasons.TOO_SHORT,
            f"{seconds:.3f} s of sound, below the limit min_duration={settings.min_duration:g} s",
        )
    limit = math.floor(settings.max_duration * rate)
    # Resampling rounds lengths up, so a recording of exactly the limit may be some samples over it.
    slack = math.ceil(rate / source_rate)
    if end - start > limit + slack and settings.over_duration == "reject":
        raise ClipRejected(
            reasons.TOO_LONG, f"{seconds:.3f} s of sound, over the limit max_duration={settings.max_duration:g} s"
        )
    return min(end, start + limit)
