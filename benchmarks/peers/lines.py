"""What the programs share, as a user would write it: no more than numpy and soundfile need be installed."""

from __future__ import annotations

import base64
import io
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import soundfile

RATE = 16_000
CORES = 2


def paths(manifest: str) -> list[str]:
    """The recordings of a manifest."""
    return [json.loads(line)["audio_path"] for line in Path(manifest).read_text(encoding="utf-8").splitlines()]


def read(content: bytes) -> tuple[Any, int]:
    """Samples, float32 of shape (num_samples, num_channels), and their rate; by PyAV what libsndfile does not read."""
    try:
        samples, rate = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError:
        samples, rate = _read_with_libav(content)
    return samples, rate


def _read_with_libav(content: bytes) -> tuple[Any, int]:
    import av  # noqa: PLC0415 -- not all of them need it
    import numpy as np  # noqa: PLC0415

    with av.open(io.BytesIO(content), "r") as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
        return np.concatenate(frames, axis=1).T, container.streams.audio[0].rate


def flac(samples: Any) -> bytes:  # noqa: ANN401 -- an array of numpy or a tensor
    """Mono samples at 16 kHz as FLAC of 16 bits."""
    stream = io.BytesIO()
    soundfile.write(stream, samples, RATE, "PCM_16", format="FLAC")
    return stream.getvalue()


def contents(payload: bytes) -> list[dict[str, Any]]:
    """The turns of an example."""
    audio = {"inline_data": {"mime_type": "audio/flac", "data": base64.b64encode(payload).decode()}}
    turn = {"role": "user", "parts": [{"text": "Transcribe this audio clip exactly as it is spoken."}, audio]}
    return [turn, {"role": "model", "parts": [{"text": "What was said."}]}]


def line(payload: bytes) -> str:
    """The line of an example."""
    return json.dumps({"contents": contents(payload)}) + "\n"


def write(out: str, lines: Iterable[str]) -> None:
    """Writes the lines."""
    with open(out, "w", encoding="utf-8") as file:
        file.writelines(lines)


def arguments() -> Sequence[str]:
    """Manifest and output."""
    return sys.argv[1:3]
