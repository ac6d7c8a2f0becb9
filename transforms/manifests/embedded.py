"""Audio columns as data-set hubs write them, {path, bytes} in place of a path; and recordings in place of paths."""

from __future__ import annotations

from transforms import reasons
from transforms.errors import ClipRejected, UserError
from transforms.manifests.columns import Columns, ManifestSettings
from transforms.manifests.lines import readable
from transforms.manifests.row import Row

# What stands for bytes that were not read.
LEFT_OUT = "(left out)"
# No path or URI is longer; base64 is.
MAX_PATH_CHARS = 4_096
_PATHS = ("path", "file", "filename", "file_name", "uri", "audio_filepath")
CONTENTS = ("bytes", "array", "content", "data")
_AUDIO = "audio"
_MAX_NAME_CHARS = 255


def file_name(cell: object) -> str:
    """The name that a recording in a cell had as a file, which may tell its format; "" for none."""
    path = cell.get("path") if isinstance(cell, dict) else None
    name = path.rpartition("/")[2] if isinstance(path, str) else ""
    return readable(name) if len(name) <= _MAX_NAME_CHARS else ""


def columns_of(row: Row, settings: ManifestSettings) -> Columns:
    """The columns of a row. A column of recordings that has no usual name is the audio, where it is the only one."""
    found = Columns.of(row.fields, settings)
    if found.name(_AUDIO) is None and _AUDIO not in settings.columns and len(row.inside) == 1:
        return Columns.of({_AUDIO: row.fields.get(next(iter(row.inside))), **row.fields}, settings)
    return found


def refuse_several(row: Row, settings: ManifestSettings, name: str) -> None:
    """Refuses a table with several columns of recordings, unless a flag says which is meant.

    Raises:
      UserError: it names the columns.
    """
    if len(row.inside) > 1 and _AUDIO not in settings.columns:
        several = ", ".join(map(repr, row.inside))
        raise UserError(
            f"{name}: several columns hold recordings, {several}; name the one that is meant with --audio_column"
        )


def with_path(found: Columns, row: Row) -> Columns:
    """The columns with the audio as a path, where there is an object with a path or the recording itself.

    Args:
      found: the columns of the row.
      row: tells where its recordings are.

    Raises:
      ClipRejected: EMBEDDED_AUDIO, the row holds the recording itself, and its file does not tell where.
    """
    name = found.name(_AUDIO)
    audio = None if name is None else found.fields[name]
    if name is None or audio is None:
        return found
    only = next(iter(row.inside.values())) if name == _AUDIO and len(row.inside) == 1 else None
    place = row.inside.get(name, only)
    if place is not None and _is_recording(audio):
        fields = {**found.fields, name: place}
        if row.key and found.name("id") is None:
            return Columns.of({"id": f"{found.settings.id_prefix}{row.key}", **fields}, found.settings)
        return found._replace(fields=fields)
    if _is_recording(audio):
        raise ClipRejected(
            reasons.EMBEDDED_AUDIO,
            f"the column {name!r} holds the recording itself, not its path; write it to a file and name that",
        )
    if not isinstance(audio, dict) or not any(key in audio for key in _PATHS):
        return found
    path = next((audio[key] for key in _PATHS if audio.get(key) is not None), None)
    return found._replace(fields={**found.fields, name: path})


def _is_recording(audio: object) -> bool:
    if isinstance(audio, dict):
        return any(audio.get(key) is not None for key in CONTENTS)
    return isinstance(audio, str) and (len(audio) > MAX_PATH_CHARS or audio.startswith("data:"))
