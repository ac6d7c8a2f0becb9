"""The JSON of one recording: of Whisper, its API, faster-whisper, WhisperX, whisper.cpp, Hugging Face's pipelines."""

from __future__ import annotations

from collections.abc import Sequence

from tuning.evaluation.scripts import unspaced

_TIMES = ({"start", "end"}, {"timestamps"}, {"offsets"}, {"timestamp"})
# A row of a table with a text of its own beside the answer is not one recording's result.
_ANSWERS = {"prediction", "pred_text", "predicted", "hypothesis", "hyp", "answer", "output", "generated_text"}


def text(tree: object) -> str | None:
    """The whole text of a result; None for other JSON."""
    if not isinstance(tree, dict):
        return _joined(tree)
    if tree.keys() & _ANSWERS:
        return None
    if isinstance(tree.get("text"), str):
        return str(tree["text"])
    several = (_joined(tree.get(name)) for name in ("segments", "transcription", "chunks"))
    found = next((text for text in several if text is not None), None)
    is_silent = tree.get("segments") == [] and "text" not in tree
    return "" if found is None and is_silent else found


def _joined(segments: object) -> str | None:
    """The texts of segments with their times; None for another list."""
    if not isinstance(segments, list) or not segments:
        return None
    timed = [part for part in segments if isinstance(part, dict) and "text" in part]
    if len(timed) < len(segments) or not all(any(times <= part.keys() for times in _TIMES) for part in timed):
        return None
    return _as_one([str(part["text"]) for part in timed])


def _as_one(texts: Sequence[str]) -> str:
    """Whisper's segments bear the blanks between them; where none does, they have been taken away."""
    has_blanks = any(text != text.strip() for text in texts)
    return "".join(texts) if has_blanks or unspaced("".join(texts)) else " ".join(texts)
