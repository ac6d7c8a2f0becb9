"""AISHELL-1: all texts in one file of transcript/, the recordings in wav/train/S0002 and the like."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from transforms import reasons
from transforms.errors import ClipRejected
from transforms.manifests.keyed import files_of, is_recording, keyed
from transforms.manifests.lines import CERTAIN, UNLIKE
from transforms.manifests.row import Fields, Row
from transforms.manifests.words import are_splits
from transforms.storage import Storage, uris

_FOLDER = "transcript"
_NAME = "aishell_transcript"


def likeness(folder: str, storage: Storage) -> int:
    """Certain from the file of texts and the folder of recordings."""
    return CERTAIN if _texts(folder, storage) and storage.is_folder(uris.join(folder, "wav")) else UNLIKE


def _texts(folder: str, storage: Storage) -> str:
    names = storage.names(uris.join(folder, _FOLDER))
    return next((f"{_FOLDER}/{name}" for name in names if name.startswith(_NAME) and name.endswith(".txt")), "")


def read(folder: str, name: str, storage: Storage) -> Iterator[Row]:
    """A row for every text, with the spaces between its words, and for every recording without one.

    Args:
      folder: absolute path or gs:// URI.
      name: as the user wrote it.
      storage: reads the files.
    """
    files = (file for file in files_of(folder, storage) if file.startswith("wav/") and is_recording(file))
    recordings = {file.rpartition("/")[2].partition(".")[0]: file for file in files}
    by_split = are_splits({file.split("/")[1] for file in recordings.values()})
    texts = _texts(folder, storage)

    def fields(key: str) -> Fields:
        audio = recordings.pop(key, None)
        _, part, *rest = (audio or "wav//").split("/")
        # The recordings of a speaker have a folder, whose name is also in the key.
        speaker = rest[0] if len(rest) > 1 else key[6:11]
        return {"id": key, "audio": audio, "speaker": speaker, **({"split": part} if by_split and audio else {})}

    for line in keyed(folder, texts, storage):
        if isinstance(line, Row):
            yield replace(line, file=texts)
            continue
        number, key, text = line
        found = {**fields(key), "text": text}
        fault = (
            None if found["audio"] else ClipRejected(reasons.MISSING_AUDIO, f"there is no recording {key!r} in wav/")
        )
        yield Row(number, found, fault, file=texts)
    for key, file in list(recordings.items()):
        why = ClipRejected(reasons.MISSING_TEXT, f"{texts} has no line of {key!r}")
        yield Row(1, fields(key), why, file=file)
