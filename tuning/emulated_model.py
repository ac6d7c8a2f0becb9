"""What the emulator's "models" answer: honestly, that nothing was learned."""

from __future__ import annotations

import functools
import io
from hashlib import sha256
from typing import Any

import pybase64
import soundfile

from transforms import storage
from transforms.clip import UserError
from tuning import rows
from tuning.emulated_jobs import EmulatorError


def answer(training_uri: str | None, model: str, body: dict[str, Any]) -> dict[str, Any]:
    """The answer to a generateContent request.

    Args:
      training_uri: what the model "was tuned on"; None for a base model.
      model: its resource name.
      body: the request.
    """
    blob = _audio(body)
    if blob is None:
        text = "[emulator] no audio was sent; nothing was learned and nothing is predicted"
    else:
        known = _remembered(training_uri) if training_uri is not None else {}
        text = known.get(sha256(blob[0]).digest()) or _heard(*blob)
    return {
        "candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP"}],
        "modelVersion": model,
    }


def _audio(body: dict[str, Any]) -> tuple[bytes, str] | None:
    """The first inline audio and its type."""
    for turn in body.get("contents") or []:
        for part in turn.get("parts") or []:
            blob = part.get("inlineData") or part.get("inline_data")
            if blob:
                data = str(blob.get("data", "")).replace("-", "+").replace("_", "/")
                return pybase64.b64decode(data), str(blob.get("mimeType") or blob.get("mime_type"))
    return None


def _heard(content: bytes, mime_type: str) -> str:
    try:
        seconds = f"{soundfile.info(io.BytesIO(content)).duration:.1f} s"
    except soundfile.LibsndfileError:
        seconds = f"{len(content):,} bytes"
    return f"[emulator] heard {seconds} of {mime_type}; nothing was learned, so nothing is predicted"


@functools.lru_cache(maxsize=1)
def _remembered(training_uri: str) -> dict[bytes, str]:
    """Target by sha256 of the audio: what the emulator calls training."""
    known = {}
    try:
        with storage.open_read(training_uri.removeprefix("file://")) as stream:
            for line in stream:
                row = rows.parse(line)
                target = "".join(part.text or "" for part in row.contents[-1].parts or [])
                for part in (part for turn in row.contents for part in turn.parts or [] if part.inline_data):
                    known[sha256((part.inline_data and part.inline_data.data) or b"").digest()] = target
    except (OSError, UserError, rows.SchemaError) as fault:
        raise EmulatorError(404, f"the training data is not there any more: {fault}") from None
    return known
