"""Folders of pairs: NAME.wav and NAME.txt side by side, at any depth. A .txt with Audacity's labels is its segments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from transforms import reasons
from transforms.audio.formats import by_extension
from transforms.bounds import MAX_LINE_BYTES
from transforms.errors import ClipRejected, NotARegularFileError, OutsideError, StorageError, TooLongError, UserError
from transforms.manifests import timed
from transforms.manifests.lines import as_utf_8
from transforms.manifests.row import Fields, Row
from transforms.manifests.words import are_splits
from transforms.storage import Storage, uris

# No example may be longer, and a text in another encoding takes at most twice as many bytes there.
# Folders and files that systems make beside people's own.
_NOT_OURS = {"__MACOSX", "@eaDir", "Thumbs.db", "desktop.ini", "$RECYCLE.BIN"}


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
        if is_hidden(relative):
            continue
        stem, _, extension = relative.rpartition(".")
        kind = "text" if extension.lower() == "txt" else "audio" if by_extension(extension.lower()) else ""
        if kind and stem:
            stems.setdefault(stem, {}).setdefault(kind, relative)
    if not any("audio" in pair for pair in stems.values()):
        raise UserError(f"{name}: a folder must hold pairs such as NAME.wav and NAME.txt; there is no audio file in it")
    by_split = are_splits({folder if inside else "" for folder, inside, _ in (stem.partition("/") for stem in stems)})
    for number, (stem, pair) in enumerate(sorted(stems.items()), start=1):
        for row in _pair(number, stem, pair, folder, name, storage):
            yield replace(row, fields={**row.fields, "split": stem.partition("/")[0]}) if by_split else row


def is_hidden(relative: str) -> bool:
    """Whether systems keep notes of their own there: .DS_Store, ._a.wav beside a.wav, __MACOSX, @eaDir."""
    return any(part.startswith(".") or part in _NOT_OURS for part in relative.split("/"))


def _pair(number: int, stem: str, pair: dict[str, str], folder: str, name: str, storage: Storage) -> Iterator[Row]:
    """The row of a pair, or one of each label."""
    row = _row(number, stem, pair, folder, name, storage)
    text = row.fields.get("text", "")
    if row.fault is None and (labels := timed.labels(text)):
        for label in labels:
            place = f"{stem}@{label.start:.10g}+{label.duration:.10g}"
            fields = {"id": place, "audio": pair["audio"], "offset": label.start, "duration": label.duration}
            yield Row(label.line, {**fields, "text": label.text}, file=pair["text"])
    elif row.fault is None and (kind := timed.kind_of(text)):
        fault = ClipRejected(reasons.TIMED_TEXT, f"{pair['text']} holds {kind}, not the text of the recording")
        yield Row(number, {**row.fields, "text": None}, fault)
    else:
        yield row


def _row(number: int, stem: str, pair: dict[str, str], folder: str, name: str, storage: Storage) -> Row:
    fields: Fields = {"id": stem, "audio": pair.get("audio")}
    if "audio" not in pair:
        return Row(number, fields, ClipRejected(reasons.MISSING_AUDIO, f"{pair['text']} has no audio file beside it"))
    if "text" not in pair:
        return Row(number, fields, ClipRejected(reasons.MISSING_TEXT, f"{pair['audio']} has no {stem}.txt beside it"))
    try:
        return Row(number, {**fields, "text": text_of(pair["text"], folder, name, storage)})
    except ClipRejected as fault:
        return Row(number, fields, fault)


def text_of(file: str, folder: str, name: str, storage: Storage) -> str:
    """The text beside a recording.

    Raises:
      ClipRejected: BAD_FIELD or PATH_NOT_ALLOWED.
    """
    try:
        # One final newline belongs to the file, not to the text.
        content = as_utf_8(storage.read_bytes(uris.join(folder, file), MAX_LINE_BYTES))
        return content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ClipRejected(reasons.BAD_FIELD, f"{file} is not valid UTF-8") from None
    except OutsideError:
        detail = f"{file} is a link that leads out of the manifest's folder and the allowed ones"
        raise ClipRejected(reasons.PATH_NOT_ALLOWED, detail) from None
    except (FileNotFoundError, IsADirectoryError, PermissionError, NotARegularFileError):
        raise ClipRejected(reasons.BAD_FIELD, f"{file} cannot be read") from None
    except TooLongError:
        raise ClipRejected(reasons.BAD_FIELD, f"{file} is longer than {MAX_LINE_BYTES:,} bytes") from None
    except OSError as fault:
        raise StorageError(f"{name}/{file}: cannot be read: {fault.strerror}") from fault
