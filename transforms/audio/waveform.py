"""Decoded audio, and the bounds that both decoders keep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transforms import reasons
from transforms.errors import ClipRejected

MIN_SAMPLE_RATE = 4_000
MAX_SAMPLE_RATE = 768_000
MAX_CHANNELS = 64
MAX_DECODED_BYTES = 192 << 20

Samples = NDArray[np.float32] | NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Waveform:
    """Decoded audio.

    Attributes:
      samples: float32 in ±1, or int16, shape (num_samples, num_channels).
      sample_rate: Hz, of the source.
      source_format: container and codec, e.g. "wav/pcm_16" or "mp4/aac".
    """

    samples: Samples
    sample_rate: int
    source_format: str


def check_stream(sample_rate: int, channels: int) -> None:
    """Refuses what no recording has, before anything is allocated for it.

    Raises:
      ClipRejected: BAD_SAMPLE_RATE or DECODE_FAILED.
    """
    if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
        raise ClipRejected(
            reasons.BAD_SAMPLE_RATE,
            f"the sample rate is {sample_rate} Hz, outside {MIN_SAMPLE_RATE}-{MAX_SAMPLE_RATE} Hz (invalid header)",
        )
    if not 1 <= channels <= MAX_CHANNELS:
        raise ClipRejected(
            reasons.DECODE_FAILED, f"the header claims {channels} channels, over {MAX_CHANNELS} (invalid)"
        )


def as_floats(samples: Samples) -> NDArray[np.float32]:
    """Samples with full scale 1, float32 of the same shape."""
    return samples * np.float32(2.0**-15) if samples.dtype == np.int16 else samples.astype(np.float32, copy=False)


def too_large(what: str) -> ClipRejected:
    """The refusal of a recording that would not fit in memory when decoded."""
    return ClipRejected(
        reasons.FILE_TOO_LARGE, f"decoded, the {what} file takes over the limit of {MAX_DECODED_BYTES:,} bytes"
    )
