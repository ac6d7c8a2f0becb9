"""Folders of pairs: NAME.wav and NAME.txt side by side, at any depth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from transforms import reasons
from transforms.audio.formats import by_extension
from transforms.errors import ClipRejected, UserError
from transforms.manifests.row import Fields, Row
from transforms.manifests.words import split_of
from transforms.storage import Storage


def likeness(folder: str, storage: Storage) -> int:
    """Any folder may hold pairs: 0, so that every other format of folders comes first."""
    return 0


def read(folder: str, name: str, storage: Storage) -> Iterator[Row]:
    """A row for every pair; one file without the other is a rejected row.

    Args:
      folder: absolute path or gs:// URI.
      name: as the user wrote it.
      storage: reads the files.

    Raises:
      UserError: there is no audio file in the folder.
    """
    root = folder.rstrip("/") + "/"
    stems: dict[str, dict[str, str]] = {}
    for uri in storage.list_files(folder):
        relative = uri.removeprefix(root)
        stem, _, extension = relative.rpartition(".")
        kind = "text" if extension.lower() == "txt" else "audio" if by_extension(extension.lower()) else ""
        if kind and stem:
            stems.setdefault(stem, {}).setdefault(kind, relative)
    if not any("audio" in pair for pair in stems.values()):
        raise UserError(f"{name}: a folder must hold pairs such as NAME.wav and NAME.txt; there is no audio file in it")
    by_split = _folders_are_splits(stems)
    for number, (stem, pair) in enumerate(sorted(stems.items()), start=1):
        row = _row(number, stem, pair, root, storage)
        yield replace(row, fields={**row.fields, "split": stem.partition("/")[0]}) if by_split else row


def _folders_are_splits(stems: Iterable[str]) -> bool:
    """Whether all pairs lie in folders such as train/ and test/, and in more than one."""
    splits = {split_of(folder) if inside else None for folder, inside, _ in (stem.partition("/") for stem in stems)}
    return None not in splits and len(splits) > 1


def _row(number: int, stem: str, pair: dict[str, str], root: str, storage: Storage) -> Row:
    fields: Fields = {"id": stem, "audio": pair.get("audio")}
    if "audio" not in pair:
        return Row(number, fields, ClipRejected(reasons.MISSING_AUDIO, f"{pair['text']} has no audio file beside it"))
    if "text" not in pair:
        return Row(number, fields, ClipRejected(reasons.MISSING_TEXT, f"{pair['audio']} has no {stem}.txt beside it"))
    try:
        # One final newline belongs to the file, not to the text.
        text = storage.read_bytes(root + pair["text"]).decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
    except (UnicodeDecodeError, OSError) as fault:
        detail = "is not valid UTF-8" if isinstance(fault, UnicodeDecodeError) else "cannot be read"
        return Row(number, fields, ClipRejected(reasons.BAD_FIELD, f"{pair['text']} {detail}"))
    return Row(number, {**fields, "text": text})
