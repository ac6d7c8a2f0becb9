"""One row of a manifest, and the usual names of its columns and files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transforms.errors import ClipRejected

Fields = dict[str, Any]
# The usual names of each column, tried in this order, in any case.
ALIASES: dict[str, tuple[str, ...]] = {
    "id": ("id", "clip_id", "utt_id", "utterance_id", "uttid", "key", "uid"),
    "audio": (
        "audio", "audio_path", "audio_filepath", "file_name", "filename", "path", "wav", "wav_path",
        "uri", "audio_uri", "audio_file", "file",
    ),
    "text": ("text", "transcript", "transcription", "sentence", "target", "normalized_text", "label"),
    "prompt": ("prompt",),
    "task": ("task", "task_name", "taskname"),
    "group": ("group", "speaker", "speaker_id", "client_id", "spk", "spk_id"),
    "split": ("split", "subset"),
    "offset": ("offset", "start"),
    "duration": ("duration",),
    "system_instruction": ("system_instruction", "systemInstruction"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it stands in its manifest.

    Attributes:
      line: 1-based line (of Parquet and folders: row) where it begins.
      fields: by column name.
      fault: why the line is no row; None for a row.
      text: the line itself, if it is no row.
      file: the file of a folder that it is in; "" for a manifest of one file.
      cells: of a row in a list without a header; () elsewhere. `fields` is then {} if the list does not tell them.
    """

    line: int
    fields: Fields
    fault: ClipRejected | None = None
    text: str = ""
    file: str = ""
    cells: tuple[str, ...] = ()
