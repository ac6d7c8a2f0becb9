"""Rows whose text is the name of a file, such as `talk.srt`: its cues are rows; of one without times, what it holds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from transforms import reasons
from transforms.bounds import MAX_LINE_BYTES
from transforms.errors import ClipRejected, NotARegularFileError, OutsideError, StorageError, TooLongError
from transforms.manifests import allowed, joining, segments, transcripts
from transforms.manifests.columns import Columns, ManifestSettings
from transforms.manifests.locate import Manifest
from transforms.manifests.row import Fields, Row
from transforms.storage import Storage, uris

# What is a file's name and no text; and what may be both, unless it is a path or named as the recording is.
_FILE = re.compile(r"[^\n\r\t\0]{1,1000}\.(?:textgrid|eaf|vtt|srt|ass|ssa|sbv|lrc|ttml|dfxp)", re.IGNORECASE)
_PERHAPS = re.compile(r"[^\s\0]{1,1000}\.(?:txt|json|json3|tsv|ctm|stm|lab)", re.IGNORECASE)
# What both end with, and hardly any text does.
_ENDS = re.compile(r"\.[A-Za-z0-9]{2,8}\Z")


def file_of(row: Columns) -> str:
    """The file that a row names in the place of its text; "" for a row with a text."""
    text = row.value("text")
    if not isinstance(text, str) or len(text) > 1_100:
        return ""
    name = text.strip()
    if not _ENDS.search(name):
        return ""
    audio = row.value("audio")
    if not isinstance(audio, str):
        return ""
    same = _stem(name) == _stem(audio)
    return name if _FILE.fullmatch(name) or (_PERHAPS.fullmatch(name) and ("/" in name or same)) else ""


def refuse(row: Columns) -> None:
    """Refuses a row that names a file in the place of its text, and whose file was not read.

    Raises:
      ClipRejected: TIMED_TEXT.
    """
    if name := file_of(row):
        detail = f"the text is the name of a file, {uris.shown(name)}; files are read for rows of a manifest, not for"
        raise ClipRejected(reasons.TIMED_TEXT, f"{detail} those of a rejected.jsonl and for segments")


def opened(
    rows: Iterable[Row], manifest: Manifest, settings: ManifestSettings, root: str, storage: Storage
) -> Iterator[Row]:
    """The rows of a manifest; of one that names a file in the place of its text, those that the file tells.

    Args:
      rows: of the manifest.
      manifest: that holds them.
      settings: how it is read.
      root: absolute folder at which relative paths start.
      storage: reads the files.
    """
    for row in rows:
        found = Columns.of(row.fields, settings)
        name = "" if row.fault is not None or "reject_source" in row.fields else file_of(found)
        if not name or _is_part(found):
            yield row
            continue
        try:
            content = _content(name, manifest, settings, root, storage)
            yield from _rows(row, found, name, content)
        except ClipRejected as fault:
            yield replace(row, fault=fault)


def _is_part(row: Columns) -> bool:
    try:
        return segments.segment(row) != segments.WHOLE
    except ClipRejected:
        return True


def _content(name: str, manifest: Manifest, settings: ManifestSettings, root: str, storage: Storage) -> bytes:
    """What a file holds, which lies where the recordings of the manifest may.

    Raises:
      ClipRejected: it cannot be read.
    """
    scheme = uris.scheme_of(name)
    if scheme and not uris.is_gcs(name):
        raise ClipRejected(reasons.UNSUPPORTED_SCHEME, f"unsupported scheme {scheme}://: {uris.instead_of(name)}")
    free = name.startswith("/") and not uris.is_gcs(manifest.uri)
    within = storage.anywhere() if free else storage.within([root, *settings.allow_path])
    shown = uris.shown(name)
    uri = uris.absolute(name, root)
    try:
        if within.leads_out(uri):  # of what lies there nothing is told
            raise allowed.refusal(name)
        return within.read_bytes(uri, MAX_LINE_BYTES)
    except OutsideError:
        raise allowed.refusal(name) from None
    except FileNotFoundError:
        raise ClipRejected(reasons.NOT_FOUND, f"the text names {shown}, and there is no such file") from None
    except (IsADirectoryError, PermissionError, NotARegularFileError):
        raise ClipRejected(reasons.UNREADABLE, f"the text names {shown}, which cannot be read") from None
    except TooLongError:
        raise ClipRejected(reasons.BAD_FIELD, f"{shown} is longer than {MAX_LINE_BYTES:,} bytes") from None
    except OSError as fault:
        raise StorageError(f"{manifest.name}: {shown} cannot be read: {fault.strerror}") from fault


def _rows(row: Row, columns: Columns, name: str, content: bytes) -> Iterator[Row]:
    """The rows that a file tells, each with the other columns of its row."""
    transcript = transcripts.read(content, name)
    text = str(columns.name("text"))
    if transcript is None:
        if not name.lower().endswith((".txt", ".lab")):
            raise ClipRejected(reasons.BAD_FIELD, f"{name} holds no cues that are understood")
        yield replace(row, fields={**row.fields, text: transcripts.said(content, name)})
        return
    audio = str(columns.name("audio"))
    times = {column for kind in ("offset", "end", "duration") for column in columns.names[kind]}
    kept = {column: value for column, value in row.fields.items() if column not in times}
    for cue in joining.rows(transcript, name, str(row.fields[audio]), columns.settings.cues):
        # Rows of one file that two rows of the manifest name are told apart by the latter's number.
        yield replace(cue, fields=_fields(kept, columns, cue.fields), file=f"{row.line}/{name.rpartition('/')[2]}")


def _fields(kept: Fields, columns: Columns, cue: Fields) -> Fields:
    """A cue's fields under the names of the manifest's columns; what the row says besides counts more."""
    found = dict(kept)
    for column in ("audio", "text"):
        found[str(columns.name(column))] = cue[column]
    place = str(cue["id"]).rpartition("@")[2]
    if (given := columns.name("id")) is not None and kept[given] not in (None, ""):
        found[given] = f"{kept[given]}@{place}"
    else:
        found["id"] = cue["id"]
    for column in ("group", "speaker", "language"):
        same = columns.name("language" if column == "language" else "group")
        if column in cue and same is None:
            found[column] = cue[column]
    return {**found, **{name: value for name, value in cue.items() if name.startswith(("offset", "duration", "cut_"))}}


def _stem(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[0]
