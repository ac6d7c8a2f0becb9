"""Where to cut between what is said: the quietest point of a window of the recording.

The window is the same for the clip before and the clip after. So is its quietest point, for it is looked for on a grid
that begins with the window, and not with the clip: every sample is in one of the two clips, and in no other.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from transforms.audio.conform import FRAMES_PER_SECOND, frame_energies, to_mono
from transforms.audio.waveform import Samples, Waveform

# Frames that are heard together: a stop within a word is about as long as one.
_FRAMES = 3
# Steps of level that count: of frames within one, the middle of the window is nearest to both cues' ends.
_STEP_DB = 3.0
_FLOOR = 1e-12


def cut(wave: Waveform, offset: float, duration: float | None, within_start: float, within_end: float) -> Waveform:
    """The segment without what lies before and behind the quietest points of its windows.

    Args:
      wave: the segment, as it was decoded. Behind the recording's end there is nothing.
      offset: seconds from the recording's start to the segment's.
      duration: seconds of the segment; None for one up to the recording's end, where no window is.
      within_start: seconds of the window at the segment's start.
      within_end: seconds of the window at its end.
    """
    rate = wave.sample_rate
    first = round(offset * rate)
    start, end = 0, len(wave.samples)
    if within_start:
        begins = _at(offset + within_start, rate) - first
        start = quietest(wave.samples[:begins], begins, rate)
    if within_end and duration is not None:
        behind, ends = (_at(offset + seconds, rate) - first for seconds in (duration - within_end, duration))
        end = behind + quietest(wave.samples[behind:ends], ends - behind, rate)
    kept: Samples = wave.samples[start : max(end, start)]
    return replace(wave, samples=kept)


def _at(seconds: float, rate: int) -> int:
    """The sample of the recording at a time, which may come of sums that were rounded."""
    return round(round(seconds, 6) * rate)


def quietest(window: Samples, num_samples: int, sample_rate: int) -> int:
    """The quietest point of a window: the middle of the quietest 30 ms.

    Args:
      window: shape (at most num_samples, num_channels); shorter where the recording ends.
      num_samples: of the whole window.
      sample_rate: Hz.

    Returns:
      Samples from the window's start. The end of a window that the recording's end cuts short; the middle of one that
      is too short to hear anything in.
    """
    frame = sample_rate // FRAMES_PER_SECOND
    if len(window) < num_samples - 1:  # segments are rounded to samples
        return num_samples
    if num_samples - 1 < _FRAMES * frame:
        return num_samples // 2
    mono = to_mono(window[: (num_samples - 1) // frame * frame]).reshape(-1, frame)
    energies = frame_energies((mono - mono.mean(axis=1, keepdims=True)).reshape(-1), sample_rate)
    heard = np.convolve(energies.astype(np.float64), np.ones(_FRAMES), "valid") / (_FRAMES * frame)
    levels = np.rint(10 * np.log10(heard + _FLOOR) / _STEP_DB)
    quiet = np.flatnonzero(levels == levels.min())
    nearest = int(quiet[np.argmin(np.abs(quiet - (len(levels) - 1) / 2))])
    return nearest * frame + _FRAMES * frame // 2
