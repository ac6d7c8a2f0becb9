"""Rows of manifests as clips: the columns, their types and rules, and where a rejected row stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import orjson

from transforms import reasons, tasks
from transforms.clip import Clip, Outcome
from transforms.errors import ClipRejected, UserError
from transforms.manifests import columns, dead_letters
from transforms.manifests.columns import ManifestSettings
from transforms.manifests.dead_letters import Opened
from transforms.manifests.formats import read_rows
from transforms.manifests.locate import Manifest
from transforms.manifests.row import Fields, Row
from transforms.storage import Storage, uris

MAX_ID_CHARS = 1_024


def rows(manifest: Manifest, settings: ManifestSettings, storage: Storage) -> Iterator[Clip | Outcome]:
    """Streams a manifest's rows: a clip, or the outcome of a row that cannot be one.

    Raises:
      UserError: the manifest as a whole cannot be used.
    """
    given = settings
    if settings.audio_root is None:
        settings = replace(settings, audio_root=manifest.folder())
    found: dict[str, str] | None = None
    mended = dead_letters.mended(settings.mended, storage)
    for row in read_rows(manifest.uri, manifest.name, manifest.is_folder, storage):
        source = f"{uris.join(manifest.name, row.file) if row.file else manifest.name}:{row.line}"
        if source in mended:
            row = dead_letters.in_place_of(row, mended[source])  # noqa: PLW2901
        is_letter = dead_letters.is_one(row.fields)
        letter = dead_letters.opened(row, given, settings, manifest) if is_letter else Opened(row, settings)
        if row.fault is None and found is None and not is_letter:
            found = columns.find_columns(row.fields, manifest, settings)
        try:
            if letter.row.fault is not None:
                raise letter.row.fault
            yield letter.confined(_clip(letter.row.fields, source, manifest, letter.settings))
        except ClipRejected as fault:
            yield _rejected(letter.row, source, letter.settings, fault)
    if found is None:
        _nothing_read(manifest, storage)


def _nothing_read(manifest: Manifest, storage: Storage) -> None:
    """Refuses a manifest without rows. One whose rows are all faulty is reported row by row."""
    if next(iter(read_rows(manifest.uri, manifest.name, manifest.is_folder, storage)), None) is None:
        raise UserError(f"{manifest.name}: the manifest has no rows")


def _clip(fields: Fields, source: str, manifest: Manifest, settings: ManifestSettings) -> Clip:
    """The clip that a row describes.

    Raises:
      ClipRejected: a field is missing or of the wrong type.
    """
    path = columns.text("audio", fields, settings, reasons.MISSING_AUDIO)
    task_name = columns.optional("task", fields, settings).strip()
    task = tasks.find(task_name, settings.tasks)
    target = columns.text("text", fields, settings, reasons.MISSING_TEXT, task)
    tasks.check_target(task, target)
    offset, duration = _segment(fields, settings)
    return Clip(
        clip_id=_clip_id(fields, settings, path, offset, duration),
        uri=_audio_uri(path, settings),
        target=target,
        source=source,
        row=_row_json(fields),
        prompt=columns.optional("prompt", fields, settings) or (task.prompt if task else ""),
        system_instruction=columns.optional("system_instruction", fields, settings)
        or (task.system_instruction if task else ""),
        task=task.name if task else task_name,
        # The examples that one recording gives several tasks belong into one split.
        group=columns.optional("group", fields, settings) or (_place(path, offset, duration) if task_name else ""),
        split=columns.split(fields, settings),
        offset=offset,
        duration=duration,
        # An absolute path in a manifest on this machine was written for this machine. A relative path, and any path in
        # a manifest from a bucket, may have come with a dataset from elsewhere.
        confined=not path.startswith("/") or uris.is_gcs(manifest.uri),
    )


def _clip_id(
    fields: Fields, settings: ManifestSettings, path: str, offset: float | None, duration: float | None
) -> str:
    clip_id = columns.optional("id", fields, settings)
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
    offset = columns.seconds("offset", fields, settings)
    if offset is None:
        return None, None
    duration = columns.seconds("duration", fields, settings)
    if duration == 0:
        raise ClipRejected(reasons.BAD_FIELD, "duration must be above 0 s, got 0")
    return offset, duration


def _audio_uri(path: str, settings: ManifestSettings) -> str:
    """The audio as the user would name it: relative if the manifest's own name is relative."""
    scheme = uris.scheme_of(path)
    if scheme and not uris.is_gcs(path):
        raise ClipRejected(reasons.UNSUPPORTED_SCHEME, f"unsupported scheme {scheme}://: {uris.instead_of(path)}")
    if scheme or path.startswith("/"):
        return _possible(path)
    root = settings.audio_root
    return _possible(f"{root.rstrip('/') or root}/{path}" if root else path)


def _possible(uri: str) -> str:
    """The URI, if a file can have it: the storage need not be asked for one that none can have."""
    if fault := uris.impossible(uri):
        raise ClipRejected(reasons.NOT_FOUND, f"{uris.shown(uri)} is not found: {fault}")
    return uri


def _row_json(fields: Fields) -> str:
    return orjson.dumps(fields, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _rejected(row: Row, source: str, settings: ManifestSettings, fault: ClipRejected) -> Outcome:
    """The outcome of a row that is no clip, with as much of the row as can be read."""
    clip_id = columns.value_of("id", row.fields, settings)
    uri = columns.value_of("audio", row.fields, settings)
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
