"""VCTK: a text of each utterance in txt/p225, its recordings in wav48_silence_trimmed/p225, by two microphones."""

from __future__ import annotations

from collections.abc import Iterator

from transforms import reasons
from transforms.errors import ClipRejected
from transforms.manifests.keyed import by_stem, files_of
from transforms.manifests.lines import CERTAIN, UNLIKE
from transforms.manifests.pairs import text_of
from transforms.manifests.row import Fields, Row
from transforms.storage import Storage, uris

_FOLDERS = ("wav48_silence_trimmed", "wav48", "wav16")
# One of the two is enough, and a clip twice in a dataset counts twice. Of a few speakers, the second one failed.
_MICROPHONES = ("_mic1", "_mic2", "")


def likeness(folder: str, storage: Storage) -> int:
    """Certain from the folder of texts and that of recordings."""
    has_texts = storage.is_folder(uris.join(folder, "txt"))
    return CERTAIN if has_texts and _recordings(folder, storage) else UNLIKE


def _recordings(folder: str, storage: Storage) -> str:
    return next((each for each in _FOLDERS if storage.is_folder(uris.join(folder, each))), "")


def read(folder: str, name: str, storage: Storage) -> Iterator[Row]:
    """A row for every utterance, as the first microphone has it, else the second.

    Args:
      folder: absolute path or gs:// URI.
      name: as the user wrote it.
      storage: reads the files.
    """
    files, top = files_of(folder, storage), _recordings(folder, storage)
    recordings = by_stem(file for file in files if file.startswith(f"{top}/"))
    for file in files:
        if not (file.startswith("txt/") and file.endswith(".txt")):
            continue
        stem = file.removeprefix("txt/").removesuffix(".txt")
        found = [recordings.pop(f"{top}/{stem}{microphone}", None) for microphone in _MICROPHONES]
        audio = next(filter(None, found), None)
        fields: Fields = {**_fields(stem), "audio": audio}
        if audio is None:
            yield Row(1, fields, ClipRejected(reasons.MISSING_AUDIO, f"{file} has no recording in {top}/"), file=file)
            continue
        try:
            yield Row(1, {**fields, "text": text_of(file, folder, name, storage)}, file=file)
        except ClipRejected as fault:
            yield Row(1, fields, fault, file=file)
    yield from _untold(recordings, top)


def _untold(recordings: dict[str, str], top: str) -> Iterator[Row]:
    """A row for every utterance without a text, as the corpus has of its last speaker."""
    stems: dict[str, str] = {}
    for stem, file in recordings.items():
        plain = stem.removeprefix(f"{top}/").removesuffix("_mic1").removesuffix("_mic2")
        stems.setdefault(plain, file)
    for stem, file in stems.items():
        why = ClipRejected(reasons.MISSING_TEXT, f"{file} has no txt/{stem}.txt")
        yield Row(1, {**_fields(stem), "audio": file}, why, file=file)


def _fields(stem: str) -> Fields:
    key = stem.rpartition("/")[2]
    return {"id": key, "speaker": key.partition("_")[0]}
