"""Common Voice: its tables name recordings that lie in the folder clips/ beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from transforms.manifests import delimited
from transforms.manifests.lines import CERTAIN, UNLIKE
from transforms.manifests.row import Fields, Row
from transforms.manifests.tool import Beside, Retell, Tool, parted, renamed
from transforms.storage import Storage, uris

_CLIPS = "clips"
# The corpus parted by its makers: no sentence and no speaker of one part is in another.
_PARTS = {"train.tsv": "train", "dev.tsv": "validation", "test.tsv": "test"}
_VALIDATED = "validated.tsv"


def _wrote(row: Row) -> bool:
    return {"client_id", "path", "sentence"} <= row.fields.keys() and (
        "locale" in row.fields or "up_votes" in row.fields
    )


def _wrote_spontaneous(row: Row) -> bool:
    return {"client_id", "audio_file", "transcription"} <= row.fields.keys()


@dataclass(slots=True)
class _Below:
    """Puts the folder of the recordings before the names in a column, if they lie there.

    Attributes:
      beside: what lies beside the manifest.
      column: that has the names.
      folder: of the recordings.
    """

    beside: Beside
    column: str
    folder: str
    _looked: list[bool] = field(default_factory=list)

    def __call__(self, row: Row) -> list[Row]:
        """The row with a path that leads to its recording."""
        fields = row.fields
        name = fields.get(self.column)
        if isinstance(name, str) and name.strip() and "/" not in name and self._is_below(name):
            fields = {**fields, self.column: f"{self.folder}/{name}"}
        return [replace(row, fields=fields)]

    def _is_below(self, name: str) -> bool:
        """Whether recordings lie in their folder; not where paths start, as --audio_root=…/clips has it."""
        if not self._looked:
            self._looked.append(self.beside.first_of([name, f"{self.folder}/{name}"]) != 0)
        return self._looked[0]


def _retell(beside: Beside) -> Retell:
    below = _Below(beside, "path", _CLIPS)
    # With --audio_root, these tables have always been read as tables like others.
    return below if beside.is_given else parted(below, beside)


def _retell_spontaneous(beside: Beside) -> Retell:
    below = _Below(beside, "audio_file", "audios")

    def retell(row: Row) -> list[Row]:
        # Its prompt is the question that a speaker answered, not that of an example.
        return below(replace(row, fields=renamed(row.fields, prompt="question")))

    return below if beside.is_given or "prompt" in dict(beside.columns) else retell


TABLE = Tool("common_voice", "a TSV of Common Voice, with clips/ beside it", "Common Voice", _wrote, _retell)
SPONTANEOUS = Tool(
    "common_voice_spontaneous",
    "a TSV of Common Voice's spontaneous speech, with audios/ beside it",
    "Common Voice, spontaneous speech",
    _wrote_spontaneous,
    _retell_spontaneous,
)


def likeness(folder: str, storage: Storage) -> int:
    """Certain from a table of validated or trained sentences, and the folder of recordings."""
    tables = any(storage.exists(uris.join(folder, file)) for file in (_VALIDATED, *_PARTS))
    return CERTAIN if tables and storage.is_folder(uris.join(folder, _CLIPS)) else UNLIKE


def read(folder: str, name: str, storage: Storage) -> Iterator[Row]:
    """The rows of train.tsv, dev.tsv and test.tsv, each with its split; without these, of validated.tsv.

    Args:
      folder: absolute path or gs:// URI.
      name: as the user wrote it.
      storage: reads the files.
    """
    parts: dict[str, str] = {file: split for file, split in _PARTS.items() if storage.exists(uris.join(folder, file))}
    for file, split in (parts or {_VALIDATED: ""}).items():
        with storage.open_read(uris.join(folder, file)) as stream:
            for row in delimited.read(stream, uris.join(name, file), "\t"):
                fields = _below(row.fields, split) if row.fault is None else row.fields
                yield replace(row, fields=fields, file=file)


def _below(fields: Fields, split: str) -> Fields:
    named = {"path": f"{_CLIPS}/{fields['path']}"} if fields.get("path") else {}
    return {**fields, **named, **({"split": split} if split else {})}
