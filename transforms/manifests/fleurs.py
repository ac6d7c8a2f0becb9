"""FLEURS: tables without a header, and recordings in audio/train, audio/dev and audio/test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from transforms.manifests import delimited, headerless
from transforms.manifests.lines import CERTAIN, UNLIKE
from transforms.manifests.row import Fields, Row
from transforms.manifests.tool import Beside, Retell, Tool, parted
from transforms.storage import Storage, uris

# As its authors list them. The number of a sentence is no id: several speakers read it.
_COLUMNS = (
    "sentence_id", "file_name", "raw_transcription", "transcription", "characters", "num_samples", "gender",
)  # fmt: skip
_GENDERS = {"MALE", "FEMALE", "OTHER"}
_PARTS = {"train": "train", "dev": "validation", "test": "test"}


def _wrote(row: Row) -> bool:
    cells = [cell.strip() for cell in row.cells]
    has_all = len(cells) == len(_COLUMNS) and cells[0].isdigit() and headerless.is_path(cells[1])
    return has_all and cells[5].isdigit() and cells[6].upper() in _GENDERS


@dataclass(slots=True)
class _Named:
    """Names the cells, and finds out once where the recordings lie."""

    beside: Beside
    _folder: list[str] = field(default_factory=list)

    def __call__(self, row: Row) -> list[Row]:
        if not row.cells:
            return [row]
        fields = _fields(row)
        fields["file_name"] = self._below(str(fields["file_name"]))
        return [replace(row, fields=fields, cells=())]

    def _below(self, name: str) -> str:
        if not self._folder:
            stem = self.beside.stem
            folders = ["", f"audio/{stem}/", f"{stem}/", "audio/"]
            found = self.beside.first_of(f"{folder}{name}" for folder in folders)
            self._folder.append(folders[found or 0])
        return f"{self._folder[0]}{name}"


def _fields(row: Row) -> Fields:
    return dict(zip(_COLUMNS, row.cells, strict=False))


def _retell(beside: Beside) -> Retell:
    # Who names cells by their numbers, or by those of a first row, says what they are.
    if not {name for _, name in beside.columns} <= set(_COLUMNS):
        return lambda row: [row]
    return parted(_Named(beside), beside)


TABLE = Tool("fleurs", "a TSV of FLEURS, with audio/ beside it", "FLEURS", _wrote, _retell)


def likeness(folder: str, storage: Storage) -> int:
    """Certain from a table and the folder of its recordings."""
    parts = (part for part in _PARTS if storage.exists(uris.join(folder, f"{part}.tsv")))
    return CERTAIN if any(storage.is_folder(uris.join(folder, "audio", part)) for part in parts) else UNLIKE


def read(folder: str, name: str, storage: Storage) -> Iterator[Row]:
    """The rows of train.tsv, dev.tsv and test.tsv, each with its split.

    Args:
      folder: absolute path or gs:// URI.
      name: as the user wrote it.
      storage: reads the files.
    """
    for part, split in _PARTS.items():
        file = f"{part}.tsv"
        if not storage.exists(uris.join(folder, file)):
            continue
        with storage.open_read(uris.join(folder, file)) as stream:
            for row in delimited.read(stream, uris.join(name, file), "\t"):
                if row.fault is not None or not row.cells:
                    yield replace(row, file=file)
                    continue
                fields = _fields(row)
                fields["file_name"] = f"audio/{part}/{fields['file_name']}"
                yield replace(row, fields={**fields, "split": split}, file=file, cells=())
