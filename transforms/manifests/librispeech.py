"""LibriSpeech and its kin: the texts of a chapter, or of a whole part, beside or above its recordings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from transforms import reasons
from transforms.errors import ClipRejected
from transforms.manifests.keyed import by_stem, files_of, first_files, has_pairs, keyed, split_folders
from transforms.manifests.lines import CERTAIN, UNLIKE
from transforms.manifests.row import Fields, Row
from transforms.storage import Storage, uris

_CHAPTER = ".trans.txt"
_MLS = "transcripts.txt"


def likeness(folder: str, storage: Storage) -> int:
    """Certain from the texts of a chapter."""
    files = list(first_files(folder, storage))
    return CERTAIN if any(file.endswith(_CHAPTER) for file in files) and not has_pairs(files) else UNLIKE


def read(folder: str, name: str, storage: Storage) -> Iterator[Row]:
    """A row for every line of every `*.trans.txt`, and for every recording without one.

    Args:
      folder: of the corpus, of one of its parts, or of less: absolute path or gs:// URI.
      name: as the user wrote it.
      storage: reads the files.
    """
    files = files_of(folder, storage)
    yield from _rows(folder, files, [file for file in files if file.endswith(_CHAPTER)], storage)


def mls_likeness(folder: str, storage: Storage) -> int:
    """Certain from the texts of a part, and the folder of its recordings."""
    parts = (folder, *(uris.join(folder, part) for part in ("train", "dev", "test")))
    has_texts = (part for part in parts if storage.exists(uris.join(part, _MLS)))
    return CERTAIN if any(storage.is_folder(uris.join(part, "audio")) for part in has_texts) else UNLIKE


def read_mls(folder: str, name: str, storage: Storage) -> Iterator[Row]:
    """A row for every line of every `transcripts.txt`, and for every recording without one.

    Args:
      folder: of a language, or of one of its parts: absolute path or gs:// URI.
      name: as the user wrote it.
      storage: reads the files.
    """
    files = files_of(folder, storage)
    texts = [file for file in files if file.rpartition("/")[2] == _MLS]
    yield from _rows(folder, files, texts, storage)


def _rows(folder: str, files: list[str], texts: list[str], storage: Storage) -> Iterator[Row]:
    recordings = by_stem(files)
    by_split = split_folders([*texts, *recordings.values()])

    def fields(key: str, stem: str) -> Fields:
        split = {"split": stem.partition("/")[0]} if by_split else {}
        return {
            "id": key,
            "audio": recordings.pop(stem, None),
            "speaker": key.partition("-")[0].partition("_")[0],
            **split,
        }

    for file in texts:
        for line in keyed(folder, file, storage):
            if isinstance(line, Row):
                yield replace(line, file=file)
                continue
            number, key, text = line
            found = {**fields(key, _stem(file, key)), "text": text}
            fault = None if found["audio"] else ClipRejected(reasons.MISSING_AUDIO, f"there is no recording {key!r}")
            yield Row(number, found, fault, file=file)
    for stem, file in list(recordings.items()):
        why = ClipRejected(reasons.MISSING_TEXT, f"no line of the corpus has the text of {file}")
        yield Row(1, fields(stem.rpartition("/")[2], stem), why, file=file)


def _stem(file: str, key: str) -> str:
    """The path of a recording without its extension: in MLS, its key is its folders as well."""
    folder = file.rpartition("/")[0]
    if file.endswith(_CHAPTER):
        return f"{folder}/{key}" if folder else key
    return "/".join(filter(None, [folder, "audio", *key.split("_")[:2], key]))
