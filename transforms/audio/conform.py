"""Conforming: from a waveform to mono at the dataset's rate, trimmed and within its limits."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import soxr
from numpy.typing import NDArray

from transforms import reasons
from transforms.audio.waveform import Samples, Waveform
from transforms.errors import ClipRejected
from transforms.settings import Settings

INT16_SCALE = 32_768.0
# Float audio is nominally within ±1. Lossy decoders overshoot it a little; integers stored as floats exceed it a
# thousandfold.
MAX_FLOAT_PEAK = 16.0
# −70 dBFS RMS. Dither and a resampler's residue are below it; voices are not.
SILENT_DB = -70.0
SILENT_RMS = 10 ** (SILENT_DB / 20)
# One quiet word in a long recording: the loudest 0.1 s reach the limit, and are this far over the recording's floor.
WORD_FRAMES = 10
WORD_OVER_FLOOR_DB = 20.0
FLOOR_PERCENTILE = 10
# Channels cancel if one is audible and their mean is 40 dB lower.
CANCELLATION = 10 ** (-40 / 20)
# Energies are added up in 32 bits first; what is this close to a limit is measured again in 64.
QUICK_MARGIN = 1.01
FRAMES_PER_SECOND = 100
# A frame counts as sound from 45 dB below the loudest one, and never below −65 dBFS, unless the clip is so quiet that
# this is not 20 dB below its words.
TRIM_BELOW_PEAK_DB = 45.0
TRIM_FLOOR_DB = -65.0
TRIM_BELOW_WORD_DB = 20.0
# Frames of noise differ less in level than those of a voice do.
STEADY_DB = 6.0
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
    samples, rate = waveform.samples, settings.sample_rate
    peak = _peak(samples)
    at_rate = resample(_finite_mono(samples, peak), waveform.sample_rate, rate)
    # DC is no sound: it is left out of the judgement and left in the audio.
    centred = at_rate - at_rate.mean(dtype=np.float64).astype(np.float32) if at_rate.size else at_rate
    energies = frame_energies(centred, rate)
    _require_sound(centred, energies, peak, waveform, rate)
    longest = settings.max_duration * rate
    start, end = sound_bounds(energies, len(centred), rate, longest) if settings.trim_silence else (0, len(at_rate))
    end = _bounded_end(start, end, waveform.sample_rate, settings)
    # 16-bit mono at the dataset's rate comes through as it is.
    as_is = samples.dtype == np.int16 and samples.shape[1] == 1 and waveform.sample_rate == rate
    kept = samples[start:end, 0].astype(np.int16, copy=False) if as_is else to_int16(at_rate[start:end])
    return Conformed(kept, start, len(at_rate) - end)


def one_channel(waveform: Waveform, channel: int) -> Waveform:
    """One channel of a waveform, as if it had been recorded alone.

    Args:
      waveform: with any number of channels.
      channel: from 0; below 0 for that of a waveform which has only one.

    Raises:
      ClipRejected: NO_SUCH_CHANNEL.
    """
    there = waveform.samples.shape[1]
    if there == 1 and channel <= 0:
        return waveform
    if channel < 0:
        detail = f"every row says the same number, and the recording has {there} channels: say left or right"
        raise ClipRejected(reasons.NO_SUCH_CHANNEL, detail)
    if channel >= there:
        detail = f"the row names channel {channel}, counted from 0; the recording has {there}"
        raise ClipRejected(reasons.NO_SUCH_CHANNEL, detail)
    samples: Samples = waveform.samples[:, channel : channel + 1].copy()
    return replace(waveform, samples=samples)


def to_mono(samples: Samples) -> NDArray[np.float32]:
    """The mean of the channels.

    Args:
      samples: float32 in ±1 or int16, shape (num_samples, num_channels).

    Returns:
      float32 in ±1, shape (num_samples,); of one channel of floats a view.
    """
    total = _sum(samples) if samples.shape[1] > 1 else samples[:, 0].astype(np.float32, copy=False)
    divisor = samples.shape[1] * (INT16_SCALE if samples.dtype == np.int16 else 1.0)
    return total if divisor == 1.0 else np.multiply(total, np.float32(1.0 / divisor), out=total)


def _sum(samples: Samples) -> NDArray[np.float32]:
    """The sum of the channels, of which there are several."""
    if samples.dtype == np.int16 and samples.shape[1] == 2 and samples.flags.c_contiguous:
        # Both samples of a frame as one integer, which is twice as fast as reading every second one.
        frames = samples.view(np.int32)[:, 0]
        return ((frames >> 16) + frames.astype(np.int16)).astype(np.float32)
    # Adding columns is thirty times as fast as mean(axis=1) on a narrow array.
    total = np.add(samples[:, 0], samples[:, 1], dtype=np.float32)
    for channel in range(2, samples.shape[1]):
        total += samples[:, channel]
    return total


def resample(mono: NDArray[np.float32], rate: int, to_rate: int) -> NDArray[np.float32]:
    """Resamples once, with soxr's HQ filter: aliases stay under −140 dB."""
    if rate == to_rate:
        return mono
    resampled: NDArray[np.float32] = soxr.resample(mono, rate, to_rate, "HQ")
    return resampled


def to_int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Rounds to the nearest 16-bit value, saturating at full scale."""
    scaled = samples * np.float32(INT16_SCALE)
    np.rint(scaled, out=scaled)
    np.clip(scaled, -32_768, 32_767, out=scaled)
    return scaled.astype(np.int16)


def frame_energies(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """The energy of each whole frame of 10 ms: float32, shape (num_frames,)."""
    frame = sample_rate // FRAMES_PER_SECOND
    framed = samples[: len(samples) // frame * frame].reshape(-1, frame)
    energies: NDArray[np.float32] = np.einsum("ij,ij->i", framed, framed)
    return energies


def sound_bounds(
    energies: NDArray[np.float32], num_samples: int, sample_rate: int, longest: float = math.inf
) -> tuple[int, int]:
    """Where sound begins and ends, with a margin on both sides.

    Behind a loud beep, a quiet voice would count as silence. So what lies outside is judged by itself if more of it is
    above `TRIM_FLOOR_DB` than of what lies inside.

    Args:
      energies: of the frames of a clip without DC, from `frame_energies`.
      num_samples: of the clip.
      sample_rate: Hz.
      longest: samples that a clip may have. Steady noise outside, which makes it longer, is left out.

    Returns:
      Start and end (exclusive) in samples. The whole if nothing stands out.
    """
    if not energies.size:
        return 0, num_samples
    frame = sample_rate // FRAMES_PER_SECOND
    levels = _levels(energies, frame)
    start, end = _bounds(levels, num_samples, sample_rate)
    inside = slice(start // frame, -(-end // frame))
    sounds = levels >= TRIM_FLOOR_DB
    if 2 * np.count_nonzero(sounds[inside]) >= np.count_nonzero(sounds):
        return start, end
    outside = np.delete(levels, inside)
    quiet = levels.copy()
    quiet[inside] = -math.inf
    quiet_start, quiet_end = _bounds(quiet, num_samples, sample_rate)
    both = min(start, quiet_start), max(end, quiet_end)
    return (start, end) if both[1] - both[0] > longest and _is_steady(outside) else both


def _levels(energies: NDArray[np.float32], frame: int) -> NDArray[np.float32]:
    """The level of each frame, dBFS."""
    levels: NDArray[np.float32] = 10 * np.log10(energies / frame + 1e-12)
    return levels


def _bounds(levels: NDArray[np.float32], num_samples: int, sample_rate: int) -> tuple[int, int]:
    """As `sound_bounds`, from the levels alone."""
    frame = sample_rate // FRAMES_PER_SECOND
    loud = np.flatnonzero(levels >= max(levels.max() - TRIM_BELOW_PEAK_DB, _trim_floor(levels)))
    margin = round(TRIM_MARGIN_SECONDS * sample_rate)
    # The rest behind the last whole frame counts as part of that frame.
    end = num_samples if loud[-1] == len(levels) - 1 else (int(loud[-1]) + 1) * frame + margin
    return max(0, int(loud[0]) * frame - margin), min(num_samples, end)


def _trim_floor(levels: NDArray[np.float32]) -> float:
    limit = TRIM_FLOOR_DB + TRIM_BELOW_WORD_DB
    if np.count_nonzero(levels >= limit) >= WORD_FRAMES:  # nearly every clip
        return TRIM_FLOOR_DB
    return min(TRIM_FLOOR_DB, _word_level(levels) - TRIM_BELOW_WORD_DB)


def _word_level(levels: NDArray[np.float32]) -> float:
    """The level that as many frames reach as the shortest word has, dBFS; of a shorter clip the lowest."""
    frames = min(WORD_FRAMES, len(levels))
    return float(np.partition(levels, -frames)[-frames])


def _is_steady(levels: NDArray[np.float32]) -> bool:
    low, high = np.percentile(levels, (10, 90))
    return bool(high - low < STEADY_DB)


def _peak(samples: Samples) -> float:
    """The largest magnitude in any channel, full scale being 1; NaN if one is not a number."""
    if not samples.size:
        return 0.0
    scale = INT16_SCALE if samples.dtype == np.int16 else 1.0
    return float(np.maximum(float(samples.max()), -float(samples.min()))) / scale


def _finite_mono(samples: Samples, peak: float) -> NDArray[np.float32]:
    mono = to_mono(samples)
    if not peak <= MAX_FLOAT_PEAK:  # NaN is not
        _require_finite(mono)
    return mono


def _require_finite(mono: NDArray[np.float32]) -> None:
    peak = float(np.abs(mono).max()) if mono.size else 0.0
    if not math.isfinite(peak):
        raise ClipRejected(reasons.NOT_FINITE, "the audio holds values that are not finite numbers (NaN or infinite)")
    if peak > MAX_FLOAT_PEAK:
        raise ClipRejected(
            reasons.NOT_FINITE, f"float samples reach {peak:.0f}, where full scale is 1: values out of scale"
        )


def _require_sound(
    centred: NDArray[np.float32], energies: NDArray[np.float32], peak: float, waveform: Waveform, rate: int
) -> None:
    several = waveform.samples.shape[1] > 1
    # No channel is louder than the peak. Nearly every clip is so loud that its frames settle the question.
    limit = max(SILENT_RMS, peak * CANCELLATION if several else 0.0)
    if math.sqrt(float(energies.sum()) / max(1, len(centred))) > limit * QUICK_MARGIN:
        return
    rms = _rms(centred)
    if several:
        loudest = max(_channel_rms(waveform.samples[:, channel]) for channel in range(waveform.samples.shape[1]))
        if loudest >= SILENT_RMS and rms < loudest * CANCELLATION:
            raise ClipRejected(
                reasons.OPPOSITE_PHASE,
                "the channels cancel: each has sound, their mean is silent (opposite phase)",
            )
    if rms < SILENT_RMS and not has_word(centred, rate):
        raise ClipRejected(
            reasons.SILENT,
            f"nothing audible: the level is {_decibels(rms)}, below −70 dBFS, and nothing stands out of it (silence)",
        )


def has_word(samples: NDArray[np.float32], sample_rate: int) -> bool:
    """Whether a clip that is silent on the whole holds one quiet word.

    Args:
      samples: float32, shape (num_samples,).
      sample_rate: Hz.
    """
    frame = sample_rate // FRAMES_PER_SECOND
    framed = samples[: len(samples) // frame * frame].reshape(-1, frame)
    if len(framed) < WORD_FRAMES:
        return False
    # Each without its own DC: a microphone that is switched on leaves a slope, which is no sound.
    levels = _levels(frame_energies((framed - framed.mean(axis=1, keepdims=True)).reshape(-1), sample_rate), frame)
    word = _word_level(levels)
    return word >= max(SILENT_DB, float(np.percentile(levels, FLOOR_PERCENTILE)) + WORD_OVER_FLOOR_DB)


def _channel_rms(channel: Samples) -> float:
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
