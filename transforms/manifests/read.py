"""Rows of manifests as clips: the columns, their types and rules, and where a rejected row stands."""

from __future__ import annotations

import functools
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import orjson

from transforms import reasons, tasks
from transforms.clip import Clip, Outcome
from transforms.errors import ClipRejected, UserError
from transforms.manifests.formats import read_rows
from transforms.manifests.row import ALIASES, Fields, Row
from transforms.reasons import Reason
from transforms.settings import Task
from transforms.storage import Storage, uris

SPLITS = {
    "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
}  # fmt: skip
MAX_ID_CHARS = 1_024


@dataclass(frozen=True, slots=True)
class Manifest:
    """One manifest of a run.

    Attributes:
      name: as the user wrote it; sources are "name:line".
      uri: absolute path or gs:// URI, for workers with another working folder.
      is_folder: whether it is a folder, or a prefix in gs://. Looked up once, for a bucket must list its objects.
    """

    name: str
    uri: str
    is_folder: bool

    def folder(self) -> str:
        """The folder that relative audio paths start from, as the user would write it."""
        return self.name if self.is_folder else uris.parent(self.name)


@dataclass(frozen=True, slots=True)
class ManifestSettings:
    """How manifests are read.

    Attributes:
      audio_root: where relative audio paths start; None for their manifest's folder.
      allow_path: folders that audio may lie in besides.
      columns: names of columns, by their key in `ALIASES`; for the others their aliases are looked for.
      tasks: that rows may name; () for a dataset without a tasks file.
    """

    audio_root: str | None = None
    allow_path: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    tasks: tuple[Task, ...] = ()


def locate(patterns: Sequence[str], base: str, storage: Storage) -> list[Manifest]:
    """The manifests that --manifest names: files, globs, folders of pairs.

    An existing file of exactly the given name is never taken for a glob.

    Raises:
      UserError: nothing is there; the text says which.
    """
    found: dict[str, Manifest] = {}
    for pattern in patterns:
        for manifest in _matching(pattern, base, storage):
            same = manifest.uri if uris.is_gcs(manifest.uri) else os.path.normpath(manifest.uri)
            found.setdefault(same, manifest)
    return list(found.values())


def _matching(pattern: str, base: str, storage: Storage) -> list[Manifest]:
    uri = uris.absolute(pattern, base)
    try:
        if storage.exists(uri):
            return [Manifest(pattern, uri, is_folder=False)]
        if storage.is_folder(uri):
            return [Manifest(pattern, uri, is_folder=True)]
    except PermissionError:
        raise UserError(f"{pattern}: no permission to read this manifest") from None
    if not re.search(r"[*?\[]", pattern):
        raise UserError(f"{pattern}: there is no such manifest, file or folder")
    matches = storage.match(uri)
    if not matches:
        raise UserError(f"{pattern}: no manifest matches this pattern")
    start = base.rstrip("/") + "/"
    names = matches if uri == pattern else [match.removeprefix(start) for match in matches]
    return [Manifest(name, match, is_folder=False) for name, match in zip(names, matches, strict=True)]


def rows(manifest: Manifest, settings: ManifestSettings, storage: Storage) -> Iterator[Clip | Outcome]:
    """Streams a manifest's rows: a clip, or the outcome of a row that cannot be one.

    Raises:
      UserError: the manifest as a whole cannot be used.
    """
    if settings.audio_root is None:
        settings = replace(settings, audio_root=manifest.folder())
    columns: dict[str, str] | None = None
    for row in read_rows(manifest.uri, manifest.name, manifest.is_folder, storage):
        source = f"{uris.join(manifest.name, row.file) if row.file else manifest.name}:{row.line}"
        if row.fault is None and columns is None:
            columns = _columns(row.fields, manifest, settings)
        try:
            if row.fault is not None:
                raise row.fault
            yield _clip(row.fields, source, manifest, settings)
        except ClipRejected as fault:
            yield _rejected(row, source, settings, fault)
    if columns is None:
        _nothing_read(manifest, storage)


def _nothing_read(manifest: Manifest, storage: Storage) -> None:
    """Refuses a manifest without rows. One whose rows are all faulty is reported row by row."""
    if next(iter(read_rows(manifest.uri, manifest.name, manifest.is_folder, storage)), None) is None:
        raise UserError(f"{manifest.name}: the manifest has no rows")


def _columns(fields: Fields, manifest: Manifest, settings: ManifestSettings) -> dict[str, str]:
    """The columns found in a manifest's first row.

    Raises:
      UserError: there is none for the audio, or one named by a flag is missing.
    """
    found = {}
    for column in dict.fromkeys(("audio", "text", *settings.columns)):  # rows may do without the others
        name = _name_of(column, fields, settings)
        if name is None:
            chosen = settings.columns.get(column)
            wanted = repr(chosen) if chosen else f"{column}: {', '.join(ALIASES[column])}"
            there = ", ".join(list(fields)[:12]) or "none"
            raise UserError(f"{manifest.name}: missing column {wanted}; it has {there}. Name it with --{column}_column")
        found[column] = name
    return found


def _name_of(column: str, fields: Fields, settings: ManifestSettings) -> str | None:
    """The name that `column` has in this row; None if it has none."""
    chosen = settings.columns.get(column)
    if chosen is not None:
        return chosen if chosen in fields else None
    return _usual_name(column, tuple(fields))


@functools.lru_cache(maxsize=64)  # rows of a manifest have the same fields
def _usual_name(column: str, names: tuple[str, ...]) -> str | None:
    lower = {name.lower(): name for name in reversed(names)}
    return next((lower[alias.lower()] for alias in ALIASES[column] if alias.lower() in lower), None)


def _value(column: str, fields: Fields, settings: ManifestSettings) -> object:
    name = _name_of(column, fields, settings)
    return None if name is None else fields[name]


def _clip(fields: Fields, source: str, manifest: Manifest, settings: ManifestSettings) -> Clip:
    """The clip that a row describes.

    Raises:
      ClipRejected: a field is missing or of the wrong type.
    """
    path = _text("audio", fields, settings, reasons.MISSING_AUDIO)
    task_name = _optional("task", fields, settings).strip()
    task = tasks.find(task_name, settings.tasks)
    target = _text("text", fields, settings, reasons.MISSING_TEXT, task)
    tasks.check_target(task, target)
    offset, duration = _segment(fields, settings)
    return Clip(
        clip_id=_clip_id(fields, settings, path, offset, duration),
        uri=_audio_uri(path, settings),
        target=target,
        source=source,
        row=_row_json(fields),
        prompt=_optional("prompt", fields, settings) or (task.prompt if task else ""),
        system_instruction=_optional("system_instruction", fields, settings)
        or (task.system_instruction if task else ""),
        task=task.name if task else task_name,
        # The examples that one recording gives several tasks belong into one split.
        group=_optional("group", fields, settings) or (_place(path, offset, duration) if task_name else ""),
        split=_split(fields, settings),
        offset=offset,
        duration=duration,
        # An absolute path in a manifest on this machine was written for this machine. A relative path, and any path in
        # a manifest from a bucket, may have come with a dataset from elsewhere.
        confined=not path.startswith("/") or uris.is_gcs(manifest.uri),
    )


def _text(column: str, fields: Fields, settings: ManifestSettings, reason: Reason, task: Task | None = None) -> str:
    value = tasks.target_text(task, _value(column, fields, settings))
    word = {"audio": "the audio path", "text": "the text (transcript)"}[column]
    if value is None:
        raise ClipRejected(reason, f"{word} is missing: the row has no {column} field, or it is null")
    if not isinstance(value, str):
        raise ClipRejected(reasons.BAD_FIELD, f"{word} must be a string, got type {type(value).__name__}")
    if not value.strip():
        raise ClipRejected(reason, f"{word} is empty")
    return _encodable(value, word)


def _encodable(value: str, word: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ClipRejected(reasons.BAD_FIELD, f"{word} holds half a surrogate pair, which is no character") from None
    return value


def _optional(column: str, fields: Fields, settings: ManifestSettings) -> str:
    value = _value(column, fields, settings)
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise ClipRejected(reasons.BAD_FIELD, f"{column} must be a string, got type {type(value).__name__}")
    return _encodable(value, column)


def _clip_id(
    fields: Fields, settings: ManifestSettings, path: str, offset: float | None, duration: float | None
) -> str:
    clip_id = _optional("id", fields, settings)
    if not clip_id:
        return _place(path, offset, duration)
    if len(clip_id) > MAX_ID_CHARS:
        raise ClipRejected(reasons.BAD_FIELD, f"id has {len(clip_id):,} characters, over the limit of {MAX_ID_CHARS:,}")
    return clip_id


def _place(path: str, offset: float | None, duration: float | None) -> str:
    """Where the audio is, as the row has it. The whole path, for two folders may hold files of one name."""
    return path if offset is None else f"{path}@{offset:g}+{'' if duration is None else f'{duration:g}'}"


def _segment(fields: Fields, settings: ManifestSettings) -> tuple[float | None, float | None]:
    """Offset and duration of a clip within its recording.

    In manifests of NeMo's style `duration` is that of the whole recording, so it counts only beside an offset.
    """
    offset = _seconds("offset", fields, settings)
    if offset is None:
        return None, None
    duration = _seconds("duration", fields, settings)
    if duration == 0:
        raise ClipRejected(reasons.BAD_FIELD, "duration must be above 0 s, got 0")
    return offset, duration


def _seconds(column: str, fields: Fields, settings: ManifestSettings) -> float | None:
    value = _value(column, fields, settings)
    if value is None or value == "":
        return None
    try:
        seconds = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        seconds = math.nan
    if not 0 <= seconds < 1e9:
        raise ClipRejected(reasons.BAD_FIELD, f"{column} must be seconds from 0 on, got {str(value)[:40]!r}")
    return seconds


def _split(fields: Fields, settings: ManifestSettings) -> str:
    value = _optional("split", fields, settings).strip().lower()
    if not value:
        return ""
    if value not in SPLITS:
        raise ClipRejected(reasons.BAD_FIELD, f"split must be one of {', '.join(SPLITS)}, got {value[:40]!r}")
    return SPLITS[value]


def _audio_uri(path: str, settings: ManifestSettings) -> str:
    """The audio as the user would name it: relative if the manifest's own name is relative."""
    if uris.is_gcs(path) or path.startswith("/"):
        return path
    if scheme := uris.scheme_of(path):
        raise ClipRejected(
            reasons.PATH_NOT_ALLOWED,
            f"unsupported scheme {scheme}://: nothing is fetched from there; copy the audio to a folder or to gs://",
        )
    root = settings.audio_root
    return f"{root.rstrip('/') or root}/{path}" if root else path


def _row_json(fields: Fields) -> str:
    return orjson.dumps(fields, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _rejected(row: Row, source: str, settings: ManifestSettings, fault: ClipRejected) -> Outcome:
    """The outcome of a row that is no clip, with as much of the row as can be read."""
    clip_id = _value("id", row.fields, settings)
    uri = _value("audio", row.fields, settings)
    try:
        original = _row_json(row.fields) if row.fields else orjson.dumps({"line": row.text}).decode()
    except TypeError:  # text that is no Unicode
        original = orjson.dumps({"line": ascii(row.fields)}).decode()
    return Outcome(
        clip_id=_readable(clip_id),
        source=source,
        uri=_readable(uri) or None,
        status="rejected",
        reason=fault.reason.name,
        detail=fault.detail,
        row=original,
    )


def _readable(value: object) -> str:
    text = value if isinstance(value, str) else str(value) if isinstance(value, int) else ""
    return text.encode("utf-8", errors="replace").decode()
