"""Manifests as people have them: one row a format, and which format a manifest is of."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from transforms.errors import NotARegularFileError, OutsideError, StorageError, UserError
from transforms.manifests import cue_files, delimited, foreign, jsonl, kaldi, pairs, parquet
from transforms.manifests.cues import JOINED, CueSettings
from transforms.manifests.lines import BEGINNING_BYTES, CERTAIN, Beginning
from transforms.manifests.row import Row
from transforms.manifests.unpacked import unpacked
from transforms.storage import Storage, uris

_GZIP = b"\x1f\x8b"
_ALLOWED = "put the file itself there, or pass --allow_path=FOLDER"
_BLANK = b"\xef\xbb\xbf \t\r\n"


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A format of manifests that are one file, gzipped or not.

    Attributes:
      name: unique in `FORMATS`.
      summary: what such a manifest is, in a few words, for help and docs.
      likeness: how much a beginning looks like this format. The highest number wins; of equal ones, the first row.
      read: streams the rows of an open file; takes the manifest's name for messages.
    """

    name: str
    summary: str
    likeness: Callable[[Beginning], int]
    read: Callable[[BinaryIO, str], Iterator[Row]]


@dataclass(frozen=True, slots=True)
class FolderFormat:
    """A format of manifests that are a folder.

    Attributes:
      name: unique in `FORMATS`.
      summary: what such a folder is, in a few words, for help and docs.
      likeness: how much a folder looks like this format; as for files.
      read: streams the rows of a folder; takes its URI, its name for messages, and what reads its files.
      read_cues: in the place of `read`, of a format with cues; takes also how these become clips.
    """

    name: str
    summary: str
    likeness: Callable[[str, Storage], int]
    read: Callable[[str, str, Storage], Iterator[Row]]
    read_cues: Callable[[str, str, Storage, CueSettings], Iterator[Row]] | None = None


def _delimited(name: str, summary: str, delimiter: str) -> FileFormat:
    return FileFormat(
        name,
        summary,
        partial(delimited.likeness, delimiter=delimiter),
        partial(delimited.read, delimiter=delimiter),
    )


_ROWS = (
    FileFormat("jsonl", "JSONL: one JSON object a line", jsonl.likeness, jsonl.read),
    FileFormat("json_array", "a JSON array of objects", jsonl.array_likeness, jsonl.read_array),
    _delimited("csv", "CSV with a header", ","),
    _delimited("tsv", "TSV with a header", "\t"),
    _delimited("pipe", "cells between |: with a header, LJSpeech's metadata.csv, or PATH|text", "|"),
    _delimited("semicolon", "CSV with semicolons, as spreadsheets of much of Europe write it", ";"),
    FileFormat("parquet", "Parquet", parquet.likeness, parquet.read),
    FolderFormat("kaldi", "a Kaldi data folder: wav.scp and text", kaldi.likeness, kaldi.read),
    FolderFormat("pairs", "a folder of NAME.wav + NAME.txt, or NAME.srt …", pairs.likeness, pairs.read, pairs.read),
)
FORMATS: dict[str, FileFormat | FolderFormat] = {row.name: row for row in _ROWS}


def read_rows(uri: str, name: str, is_folder: bool, storage: Storage, cues: CueSettings = JOINED) -> Iterator[Row]:
    """Streams the rows of one manifest: each row's line and fields, or the reason why it is no row.

    Args:
      uri: absolute path or gs:// URI.
      name: as the user wrote it.
      is_folder: whether it is a folder of files.
      storage: reads the files.
      cues: how cues become clips.

    Raises:
      UserError: the manifest as a whole cannot be used; the text names it.
    """
    if is_folder:
        yield from _read_folder(uri, name, storage, cues)
        return
    try:
        with storage.open_read(uri) as stream:
            yield from _read_file(stream, uri, name, storage, cues)
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"{name}: there is no such manifest") from None
    except PermissionError:
        raise UserError(f"{name}: no permission to read this manifest") from None
    except OutsideError as fault:
        raise UserError(f"{name}: {fault.strerror}; {_ALLOWED}") from None
    except NotARegularFileError as fault:
        raise UserError(f"{name}: {fault.strerror}") from None
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise UserError(f"{name}: the gzip file is damaged or cut short; fetch it again") from None
    except UnicodeDecodeError as fault:
        raise UserError(f"{name}: not valid {fault.encoding.upper()}; save it as UTF-8") from None
    except OSError as fault:
        raise StorageError(f"{name}: cannot be read: {fault.strerror or type(fault).__name__}") from fault


def _read_folder(uri: str, name: str, storage: Storage, cues: CueSettings) -> Iterator[Row]:
    """The rows of a folder. Its files are read if they lie in it, or in another folder that is allowed."""
    folders = [row for row in FORMATS.values() if isinstance(row, FolderFormat)]
    try:
        form = max(folders, key=lambda row: row.likeness(uri, storage))
        yield from form.read_cues(uri, name, storage, cues) if form.read_cues else form.read(uri, name, storage)
    except (NotARegularFileError, IsADirectoryError, PermissionError) as fault:
        file = uris.join(name, uris.below(uri, str(fault.filename)))
        remedy = f"; {_ALLOWED}" if isinstance(fault, OutsideError) else ""
        raise UserError(f"{file}: {fault.strerror}{remedy}") from None


def _read_file(stream: BinaryIO, uri: str, name: str, storage: Storage, cues: CueSettings) -> Iterator[Row]:
    packed = stream.read(len(_GZIP)) == _GZIP
    stream.seek(0)
    content = unpacked(stream, name) if packed else stream
    beginning = Beginning(name, content.read(BEGINNING_BYTES))
    content.seek(0)
    if not beginning.content.strip(_BLANK):
        raise UserError(f"{name}: the manifest is empty")
    if cue_files.begins(beginning) and (rows := cue_files.read(content, uri, name, storage, cues)) is not None:
        yield from rows
        return
    form = _format_of(beginning)
    if what := foreign.described(beginning, known=form.likeness(beginning) == CERTAIN):
        raise UserError(f"{name}: no manifest but {what}")
    yield from form.read(content, name)


def _format_of(beginning: Beginning) -> FileFormat:
    """The format that the manifest looks like most; its name hardly counts."""
    files = (row for row in FORMATS.values() if isinstance(row, FileFormat))
    return max(files, key=lambda row: row.likeness(beginning))
