"""Payloads: 16-bit mono samples as FLAC or WAV bytes, and back."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import soundfile
from numpy.typing import NDArray

# Names on Vertex's list of audio types; Python's mimetypes gives others.
MIME_TYPES: dict[str, str] = {"flac": "audio/flac", "wav": "audio/wav"}

# libsndfile's 0.625 is FLAC level 5: lower levels are slower and larger.
_FLAC_LEVEL_5 = 0.625


@dataclass(frozen=True, slots=True)
class Payload:
    """Audio as it stands in an example.

    Attributes:
      content: a whole FLAC or WAV file.
      mime_type: from `MIME_TYPES`.
    """

    content: bytes
    mime_type: str


def encode(samples: NDArray[np.int16], sample_rate: int, audio_format: str) -> Payload:
    """Encodes without loss; the same samples give the same bytes.

    Args:
      samples: int16, shape (num_samples,).
      sample_rate: Hz.
      audio_format: a key of `MIME_TYPES`.
    """
    stream = io.BytesIO()
    level = {"compression_level": _FLAC_LEVEL_5} if audio_format == "flac" else {}
    with soundfile.SoundFile(
        stream, "w", samplerate=sample_rate, channels=1, format=audio_format.upper(), subtype="PCM_16", **level
    ) as file:
        file.write(samples)
    return Payload(stream.getvalue(), MIME_TYPES[audio_format])


def decode_payload(content: bytes) -> tuple[NDArray[np.int16], int]:
    """The samples, shape (num_samples,) or (num_samples, num_channels), and the rate of a payload."""
    samples, sample_rate = soundfile.read(io.BytesIO(content), dtype="int16")
    return samples, int(sample_rate)
