"""Manifests as people have them: one row a format, and which format a manifest is of."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO

from transforms.errors import NotARegularFileError, OutsideError, StorageError, UserError
from transforms.manifests import (
    aishell,
    arrow,
    common_voice,
    cue_files,
    deepspeech,
    delimited,
    encodings,
    fleurs,
    foreign,
    gigaspeech,
    json_object,
    jsonl,
    kaldi,
    label_studio,
    lhotse,
    librispeech,
    pairs,
    parquet,
    shards,
    speechbrain,
    vctk,
    webdataset,
    xlsx,
)
from transforms.manifests.cues import JOINED, CueSettings
from transforms.manifests.lines import BEGINNING_BYTES, CERTAIN, Beginning, encoding_of
from transforms.manifests.reading import Reading
from transforms.manifests.row import Row
from transforms.manifests.tool import Beside, Tool, first_of, retold
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
      title: what people call it; "" for its name.
      is_text: whether it may be saved in another encoding than UTF-8.
      is_guessed: whether spreadsheets write it, in an encoding that nothing in it names.
    """

    name: str
    summary: str
    likeness: Callable[[Beginning], int]
    read: Callable[[BinaryIO, str], Iterator[Row]]
    title: str = ""
    is_text: bool = False
    is_guessed: bool = False


@dataclass(frozen=True, slots=True)
class FolderFormat:
    """A format of manifests that are a folder.

    Attributes:
      name: unique in `FORMATS`.
      summary: what such a folder is, in a few words, for help and docs.
      likeness: how much a folder looks like this format; as for files.
      read: streams the rows of a folder; takes its URI, its name for messages, and what reads its files.
      title: what people call it; "" for its name.
      is_corpus: whether such a folder may be one of the parts of a corpus, and be named after a split.
      read_cues: in the place of `read`, of a format with cues; takes also how these become clips.
    """

    name: str
    summary: str
    likeness: Callable[[str, Storage], int]
    read: Callable[[str, str, Storage], Iterator[Row]]
    title: str = ""
    is_corpus: bool = False
    read_cues: Callable[[str, str, Storage, CueSettings], Iterator[Row]] | None = None


def _delimited(name: str, title: str, summary: str, delimiter: str) -> FileFormat:
    likeness = partial(delimited.likeness, delimiter=delimiter)
    return FileFormat(
        name, summary, likeness, partial(delimited.read, delimiter=delimiter), title, is_text=True, is_guessed=True
    )


def _read_lhotse(uri: str, name: str, storage: Storage) -> Iterator[Row]:
    def rows_of(file: str, spelled: str) -> Iterator[Row]:
        return read_manifest(file, is_folder=False, beside=Beside(spelled, file, uri, False, storage), storage=storage)

    return lhotse.read(uri, name, storage, rows_of)


_ROWS: tuple[FileFormat | FolderFormat | Tool, ...] = (
    FileFormat("jsonl", "JSONL: one JSON object a line", jsonl.likeness, jsonl.read, "JSONL", is_text=True),
    FileFormat(
        "json_array", "a JSON array of objects", jsonl.array_likeness, jsonl.read_array, "JSON array", is_text=True
    ),
    _delimited("csv", "CSV", "CSV with a header", ","),
    _delimited("tsv", "TSV", "TSV with a header", "\t"),
    _delimited("pipe", "cells between |", "cells between |: with a header, LJSpeech's metadata.csv, or PATH|text", "|"),
    _delimited(
        "semicolon",
        "CSV with semicolons",
        "CSV with semicolons, as spreadsheets of much of Europe write it",
        ";",
    ),
    FileFormat("parquet", "Parquet, with paths or recordings in it", parquet.likeness, parquet.read, "Parquet"),
    FileFormat("arrow", "Arrow, as `datasets` saves it to a disk", arrow.likeness, arrow.read, "Arrow"),
    FileFormat(
        "webdataset",
        "a WebDataset shard: a tar of KEY.wav + KEY.txt or KEY.json",
        webdataset.likeness,
        webdataset.read,
        "WebDataset",
    ),
    FileFormat(
        "json_list",
        "a JSON object with one list of objects in it",
        json_object.list_likeness,
        json_object.read_list,
        "list in a JSON object",
        is_text=True,
    ),
    FileFormat(
        "json_map",
        "a JSON object with a row behind each id",
        json_object.map_likeness,
        json_object.read_map,
        "JSON object of rows",
        is_text=True,
    ),
    FileFormat(
        "json_objects",
        "JSON objects over several lines, one after the other",
        json_object.rows_likeness,
        json_object.read_rows,
        "JSON objects",
        is_text=True,
    ),
    FileFormat("xlsx", "an Excel workbook (.xlsx) with one list in it", xlsx.likeness, xlsx.read, "Excel"),
    common_voice.TABLE,
    common_voice.SPONTANEOUS,
    deepspeech.TABLE,
    speechbrain.TABLE,
    fleurs.TABLE,
    gigaspeech.TABLE,
    label_studio.TASKS,
    label_studio.TABLE,
    lhotse.CUTS,
    lhotse.SUPERVISIONS,
    lhotse.RECORDINGS,
    FolderFormat("kaldi", "a Kaldi data folder: wav.scp and text", kaldi.likeness, kaldi.read, "Kaldi folder"),
    FolderFormat(
        "common_voice_folder",
        "a folder of Common Voice: validated.tsv, train.tsv … and clips/",
        common_voice.likeness,
        common_voice.read,
        "Common Voice",
        is_corpus=True,
    ),
    FolderFormat(
        "lhotse_folder",
        "a folder of Lhotse's supervisions and recordings, or cuts",
        lhotse.likeness,
        _read_lhotse,
        "Lhotse",
        is_corpus=True,
    ),
    FolderFormat(
        "fleurs_folder",
        "a folder of FLEURS: train.tsv … and audio/",
        fleurs.likeness,
        fleurs.read,
        "FLEURS",
        is_corpus=True,
    ),
    FolderFormat(
        "mls", "Multilingual LibriSpeech", librispeech.mls_likeness, librispeech.read_mls, "MLS", is_corpus=True
    ),
    FolderFormat(
        "librispeech",
        "LibriSpeech: *.trans.txt beside the recordings of each chapter",
        librispeech.likeness,
        librispeech.read,
        "LibriSpeech",
        is_corpus=True,
    ),
    FolderFormat(
        "vctk", "VCTK: txt/ and wav48_silence_trimmed/ or wav48/", vctk.likeness, vctk.read, "VCTK", is_corpus=True
    ),
    FolderFormat(
        "aishell", "AISHELL-1: transcript/ and wav/", aishell.likeness, aishell.read, "AISHELL", is_corpus=True
    ),
    FolderFormat(
        "pairs",
        "a folder of NAME.wav + NAME.txt, or NAME.srt …",
        pairs.likeness,
        pairs.read,
        "folder of recordings with texts beside them",
        read_cues=pairs.read,
    ),
)
FORMATS: dict[str, FileFormat | FolderFormat | Tool] = {row.name: row for row in _ROWS}


def read_manifest(
    uri: str, is_folder: bool, beside: Beside, storage: Storage, reading: Reading | None = None
) -> Iterator[Row]:
    """Streams the rows of a manifest as `read_rows`; those that a known tool wrote, in Cliptune's words.

    Args:
      uri: absolute path or gs:// URI.
      is_folder: whether it is a folder of files.
      beside: its name, and what lies beside it.
      storage: reads the files.
      reading: is told what the manifest is, and counts its rows; None if nobody asks.
    """
    reading = Reading(beside.name) if reading is None else reading
    # Who names a manifest may name a link; what lies beside it was put there by whoever made it.
    near = storage.within([uris.parent(uri)]) if storage.folders is None else storage
    beside = replace(beside, rows_of=lambda other, name: read_rows(other, name, is_folder=False, storage=near))
    if is_folder:
        yield from reading.counted(_read_folder(uri, beside.name, storage, reading, beside.split, beside.cues))
        return
    rows = read_rows(uri, beside.name, is_folder, storage, reading, beside.encoding, beside.cues)
    first, rows = first_of(rows)
    if first is not None and (tool := _tool_of(first)) is not None:
        rows, by = retold(rows, tool, beside), reading.title
        reading.title = f"{tool.title} ({by})"
    yield from reading.counted(rows)


def _tool_of(first: Row) -> Tool | None:
    """The tool that wrote a table, told by its first row. Rejected rows are in Cliptune's words already."""
    if "reject_reason" in first.fields:
        return None
    return next((row for row in FORMATS.values() if isinstance(row, Tool) and row.wrote(first)), None)


def read_rows(
    uri: str,
    name: str,
    is_folder: bool,
    storage: Storage,
    reading: Reading | None = None,
    encoding: str = "",
    cues: CueSettings = JOINED,
) -> Iterator[Row]:
    """Streams the rows of one manifest: each row's line and fields, or the reason why it is no row.

    Args:
      uri: absolute path or gs:// URI.
      name: as the user wrote it.
      is_folder: whether it is a folder of files.
      storage: reads the files.
      reading: is told what the manifest is; None if nobody asks.
      encoding: of a text without a byte order mark; "" for UTF-8, or what is certain.
      cues: how cues become clips.

    Raises:
      UserError: the manifest as a whole cannot be used; the text names it.
    """
    reading = Reading(name) if reading is None else reading
    if is_folder:
        yield from _read_folder(uri, name, storage, reading, cues=cues)
        return
    try:
        # Shards in a bucket may be long, and little of them is read. What is none for all its name, is read as a whole.
        is_shard = uri.endswith(shards.ENDINGS)
        with storage.open_parts(uri) if is_shard else storage.open_read(uri) as stream:
            if (rows := _read_cues(stream, uri, name, storage, reading, cues)) is None:
                rows = _read_file(stream, name, reading, encoding)
            yield from rows
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


def _read_folder(
    uri: str, name: str, storage: Storage, reading: Reading, split: str = "", cues: CueSettings = JOINED
) -> Iterator[Row]:
    """The rows of a folder. Its files are read if they lie in it, or in another folder that is allowed.

    Rows of a part of a corpus are of the `split` that its folder is named after, if they say nothing else.
    """
    folders = [row for row in FORMATS.values() if isinstance(row, FolderFormat)]
    try:
        # Looking costs requests in a bucket: the first that is certain is it.
        form = next((row for row in folders if row.likeness(uri, storage) >= CERTAIN), None)
        form = form or max(folders, key=lambda row: row.likeness(uri, storage))
        reading.title = form.title or form.name
        rows = form.read_cues(uri, name, storage, cues) if form.read_cues else form.read(uri, name, storage)
        if form.is_corpus and split:
            rows = (replace(row, fields={"split": split, **row.fields}) if row.fields else row for row in rows)
        yield from rows
    except (NotARegularFileError, IsADirectoryError, PermissionError) as fault:
        file = uris.join(name, uris.below(uri, str(fault.filename)))
        remedy = f"; {_ALLOWED}" if isinstance(fault, OutsideError) else ""
        raise UserError(f"{file}: {fault.strerror}{remedy}") from None


def _read_cues(
    stream: BinaryIO, uri: str, name: str, storage: Storage, reading: Reading, cues: CueSettings
) -> Iterator[Row] | None:
    """The rows of a file of cues; None for any other."""
    packed = stream.read(len(_GZIP)) == _GZIP
    stream.seek(0)
    content = unpacked(stream, name) if packed else stream
    beginning = _beginning(content, name)
    rows = cue_files.read(content, uri, name, storage, cues) if cue_files.begins(beginning) else None
    reading.title = cue_files.TITLE if rows is not None else ""
    stream.seek(0)
    return rows


def _read_file(stream: BinaryIO, name: str, reading: Reading, encoding: str) -> Iterator[Row]:
    packed = stream.read(len(_GZIP)) == _GZIP
    stream.seek(0)
    content = unpacked(stream, name) if packed else stream
    beginning = _beginning(content, name)
    if not beginning.content.strip(_BLANK):
        raise UserError(f"{name}: the manifest is empty")
    form = _format_of(beginning)
    sure = form.likeness(beginning)
    if sure <= CERTAIN and (what := foreign.described(beginning, known=sure == CERTAIN)):
        raise UserError(f"{name}: no manifest but {what}")
    if form.is_text:
        content, written = _as_utf_8(content, name, form, encoding)
        form = _format_of(_beginning(content, name)) if encoding else form
        reading.notes += [encodings.title_of(written)] if written else []
    reading.title = form.title or form.name
    yield from form.read(content, name)


def _beginning(content: BinaryIO, name: str) -> Beginning:
    content.seek(0)
    beginning = Beginning(name, content.read(BEGINNING_BYTES))
    content.seek(0)
    return beginning


def _as_utf_8(content: BinaryIO, name: str, form: FileFormat, encoding: str) -> tuple[BinaryIO, str]:
    """A text in an encoding that its readers know, and the name of the one that it is in; "" for UTF-8.

    Raises:
      UserError: it is not in UTF-8, and which encoding it is in is not certain; or not in the one that is named.
    """
    marked = encoding_of(content.read(4))
    content.seek(0)
    if marked != "utf-8":
        return content, "" if marked == "utf-8-sig" else marked.removesuffix("-le").removesuffix("-be")
    if encoding:
        encodings.refuse_utf_8(content, name, encoding)
    elif form.is_guessed:
        encoding = encodings.detected(content, name)
    return (encodings.recoded(content, encoding), encoding) if encoding else (content, "")


def _format_of(beginning: Beginning) -> FileFormat:
    """The format that the manifest looks like most; its name hardly counts."""
    files = (row for row in FORMATS.values() if isinstance(row, FileFormat))
    return max(files, key=lambda row: row.likeness(beginning))
