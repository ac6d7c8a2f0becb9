"""The bare library calls of one clip, by hand and as fast as they go: what `prepare_clip` is measured against.

Nothing here is the product's, and nothing is checked: no damage, no silence, no limits, no outcome.
"""

from __future__ import annotations

import io
from typing import Any

import av
import numpy as np
import pybase64
import soundfile
import soxr
from numpy.typing import NDArray

RATE = 16_000
# The beginnings of what libsndfile reads best; libavcodec's own Opus decoder is the faster one.
_SNDFILE = (b"RIFF", b"fLaC", b"OggS", b"FORM", b"ID3", b"\xff\xfb", b"\xff\xf3")
_BEFORE = (
    b'{"contents":[{"role":"user","parts":[{"text":"Transcribe this audio clip exactly as it is spoken."},'
    b'{"inline_data":{"mime_type":"audio/flac","data":"'
)
_AFTER = b'"}}]},{"role":"model","parts":[{"text":"What was said."}]}]}\n'


def prepare(content: bytes) -> bytes:
    """One clip, from its file's contents to its line."""
    samples, rate = decode(content)
    return line(encode(conform(samples, rate)))


def decode(content: bytes) -> tuple[NDArray[Any], int]:
    """Samples and their rate: int16 or float32, shape (num_samples, num_channels); of libav already mono."""
    if content.startswith(_SNDFILE) and b"OpusHead" not in content[:64]:
        return decode_with_sndfile(content)
    return decode_with_libav(content)


def decode_with_sndfile(content: bytes) -> tuple[NDArray[Any], int]:
    """Integers of 16 bits stay integers."""
    with soundfile.SoundFile(io.BytesIO(content)) as file:
        return file.read(dtype="int16" if file.subtype == "PCM_16" else "float32", always_2d=True), file.samplerate


def decode_with_libav(content: bytes) -> tuple[NDArray[Any], int]:
    """Mono: the mean of the planes of each frame, without a copy of the planes."""
    with av.open(io.BytesIO(content), "r") as container:
        frames = [_mono(frame) for frame in container.decode(container.streams.audio[0])]
        return np.concatenate(frames)[:, None], container.streams.audio[0].rate


def _mono(frame: av.AudioFrame) -> NDArray[np.float32]:
    if frame.format.name != "fltp":  # what decoders of AAC, Opus, AMR and WMA give
        raise ValueError(f"no decoder of speech gives {frame.format.name}")
    planes: list[Any] = list(frame.planes)
    total = np.frombuffer(planes[0], np.float32, frame.samples).copy()
    for plane in planes[1:]:
        total += np.frombuffer(plane, np.float32, frame.samples)
    total *= np.float32(1 / len(planes))
    return total


def conform(samples: NDArray[Any], rate: int) -> NDArray[np.int16]:
    """Mono, at 16 kHz, in 16 bits."""
    if rate == RATE and samples.dtype == np.int16 and samples.shape[1] == 1:
        return samples[:, 0]
    channels = samples.shape[1]
    mono = samples[:, 0].astype(np.float32)
    for channel in range(1, channels):
        mono += samples[:, channel]
    if samples.dtype != np.int16:
        mono *= np.float32(32_768 / channels)
    elif channels > 1:
        mono *= np.float32(1 / channels)
    if rate != RATE:
        mono = soxr.resample(mono, rate, RATE, "HQ")
    np.rint(mono, out=mono)
    np.clip(mono, -32_768, 32_767, out=mono)
    return mono.astype(np.int16)


def encode(samples: NDArray[np.int16]) -> bytes:
    """As FLAC of level 5."""
    stream = io.BytesIO()
    with soundfile.SoundFile(stream, "w", RATE, 1, "PCM_16", format="FLAC", compression_level=0.625) as file:
        file.write(samples)
    return stream.getvalue()


def line(payload: bytes) -> bytes:
    """The payload in base64, between the texts."""
    return b"".join((_BEFORE, pybase64.b64encode(payload), _AFTER))
