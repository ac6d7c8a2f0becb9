"""Audio columns as data-set hubs write them, {path, bytes} in place of a path; and recordings in place of paths."""

from __future__ import annotations

from transforms import reasons
from transforms.errors import ClipRejected
from transforms.manifests.columns import Columns

# What stands for bytes that were not read.
LEFT_OUT = "(left out)"
# No path or URI is longer; base64 is.
MAX_PATH_CHARS = 4_096
_PATHS = ("path", "file", "filename", "file_name", "uri", "audio_filepath")
_CONTENTS = ("bytes", "array", "content", "data")


def with_path(row: Columns) -> Columns:
    """The row with its audio as a path, where it has an object with a path; other rows as they are.

    Raises:
      ClipRejected: EMBEDDED_AUDIO, the row holds the recording itself.
    """
    name = row.name("audio")
    audio = None if name is None else row.fields[name]
    if name is None or audio is None:
        return row
    if _is_recording(audio):
        raise ClipRejected(
            reasons.EMBEDDED_AUDIO,
            f"the column {name!r} holds the recording itself, not its path; write it to a file and name that",
        )
    if not isinstance(audio, dict) or not any(key in audio for key in _PATHS):
        return row
    path = next((audio[key] for key in _PATHS if audio.get(key) is not None), None)
    return row._replace(fields={**row.fields, name: path})


def _is_recording(audio: object) -> bool:
    if isinstance(audio, dict):
        return any(audio.get(key) is not None for key in _CONTENTS)
    return isinstance(audio, str) and (len(audio) > MAX_PATH_CHARS or audio.startswith("data:"))
