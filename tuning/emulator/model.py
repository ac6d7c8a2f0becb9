"""The answers of the emulator's "models". They say that nothing was learned."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import pybase64

from transforms import limits
from transforms.dataset import headers
from transforms.errors import ClipRejected, UserError
from transforms.storage import Storage
from tuning.emulator.jobs import EmulatorError
from tuning.emulator.scenario import Learns, Scenario
from tuning.providers.vertex import rows


def answer(
    training_uri: str | None,
    job: str,
    model: str,
    body: dict[str, Any],
    storage: Storage,
    played: Scenario,
) -> dict[str, Any]:
    """The answer to a generateContent request.

    Args:
      training_uri: the training file of the model; None for a base model.
      job: name of the job that tuned the model; "" for a base model.
      model: resource name of the model.
      body: the request.
      storage: reads the training file.
      played: says whether a question has one recording at most, and what is known of other clips.
    """
    if played.strict and len(_audio_parts(body)) > 1:
        raise EmulatorError(400, "A request may have one audio file at most.")
    known = _remembered(training_uri, job, storage) if training_uri is not None else {}
    blob, uri = _audio(body)
    if blob is not None:
        text = _learned(sha256(blob[0]).hexdigest(), known, played.learns, storage) or _heard(*blob)
    elif uri is not None:
        text = (
            _learned(uri, known, played.learns, storage)
            or f"[emulator] was shown {uri}; nothing was learned, so nothing is predicted"
        )
    else:
        text = "[emulator] no audio was sent; nothing was learned and nothing is predicted"
    most = (body.get("generationConfig") or body.get("generation_config") or {}).get("maxOutputTokens")
    shown = text if most is None else text[: int(most) * limits.CHARS_PER_TOKEN]
    reason = "STOP" if shown == text else "MAX_TOKENS"
    return {
        "candidates": [{"content": {"role": "model", "parts": [{"text": shown}]}, "finishReason": reason}],
        "modelVersion": model,
        "usageMetadata": _usage(body, blob, shown),
    }


def _usage(body: dict[str, Any], blob: tuple[bytes, str] | None, answer: str) -> dict[str, int]:
    """The tokens at the documented rates. Audio behind a URI is not read, and not counted."""
    parts = [part for turn in body.get("contents") or [] for part in turn.get("parts") or []]
    chars = sum(len(part.get("text") or "") for part in parts)
    read = limits.expected_tokens((_seconds(blob[0]) or 0.0) if blob else 0.0, chars)
    written = limits.expected_tokens(0.0, len(answer))
    return {"promptTokenCount": read, "candidatesTokenCount": written, "totalTokenCount": read + written}


def _audio_parts(body: dict[str, Any]) -> list[dict[str, Any]]:
    parts = [part for turn in body.get("contents") or [] for part in turn.get("parts") or []]
    names = ("inlineData", "inline_data", "fileData", "file_data")
    return [part for part in parts if any(part.get(name) for name in names)]


def _audio(body: dict[str, Any]) -> tuple[tuple[bytes, str] | None, str | None]:
    """The first inline audio with its type, or the first URI."""
    for turn in body.get("contents") or []:
        for part in turn.get("parts") or []:
            blob = part.get("inlineData") or part.get("inline_data")
            if blob:
                data = str(blob.get("data", "")).replace("-", "+").replace("_", "/")
                return (_decoded(data), str(blob.get("mimeType") or blob.get("mime_type"))), None
            file = part.get("fileData") or part.get("file_data")
            if file:
                return None, str(file.get("fileUri") or file.get("file_uri"))
    return None, None


def _decoded(data: str) -> bytes:
    try:
        return pybase64.b64decode(data)
    except ValueError:
        raise EmulatorError(400, "Base64 decoding failed for inline data.") from None


def _heard(content: bytes, mime_type: str) -> str:
    seconds = _seconds(content)
    length = f"{len(content):,} bytes" if seconds is None else f"{seconds:.1f} s"
    return f"[emulator] heard {length} of {mime_type}; nothing was learned, so nothing is predicted"


def _seconds(content: bytes) -> float | None:
    try:
        return headers.read(content).seconds
    except ClipRejected:
        return None


def _learned(audio: str, known: Mapping[str, str], learns: Learns | None, storage: Storage) -> str | None:
    """What a model says of a clip: what it was tuned on, or of another one about as much as the scenario lets it."""
    if audio in known or learns is None or not known:
        return known.get(audio)
    targets = (_remembered(file, "", storage).get(audio) for file in learns.files)
    target = next(filter(None, targets), None)
    return None if target is None else _spoilt(audio, target, len(known) ** -learns.power)


def _spoilt(audio: str, target: str, wrong: float) -> str:
    """The target with some words replaced. Those that one model gets wrong, a worse one does, too."""

    def draw(number: int) -> float:
        return int.from_bytes(sha256(f"{audio} {number}".encode()).digest()[:8], "big") / 2**64

    return " ".join("[wrong]" if draw(number) < wrong else word for number, word in enumerate(target.split()))


@functools.lru_cache(maxsize=4)
def _remembered(training_uri: str, job: str, storage: Storage) -> dict[str, str]:
    """The emulator's "training": the target of each training example, by the sha256 or URI of its audio.

    `job` is part of the cache's key, because the training file may be rewritten for the next job.
    """
    known: dict[str, str] = {}
    try:
        with storage.anywhere().open_read(training_uri.removeprefix("file://")) as stream:
            for line in stream:
                problems, facts = rows.check_line(line.removesuffix(b"\n"), job)
                if facts.audio is not None and not problems:
                    last = rows.parse(line).contents[-1]
                    known[facts.audio] = "".join(part.text or "" for part in last.parts or [])
    except (OSError, UserError) as fault:
        raise EmulatorError(404, f"the training data is not there any more: {fault}") from None
    return known
