"""Rows of manifests as clips: the columns, their types and rules, and where a rejected row stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import orjson

from transforms import reasons, tasks
from transforms.clip import Clip, Outcome
from transforms.errors import ClipRejected, UserError
from transforms.manifests import columns, segments
from transforms.manifests import survey as table
from transforms.manifests.columns import ManifestSettings
from transforms.manifests.formats import read_rows
from transforms.manifests.locate import Manifest
from transforms.manifests.row import Fields, Row
from transforms.manifests.segments import Segment
from transforms.storage import Storage, uris

MAX_ID_CHARS = 1_024


def rows(manifest: Manifest, settings: ManifestSettings, storage: Storage) -> Iterator[Clip | Outcome]:
    """Streams a manifest's rows: a clip, or the outcome of a row that cannot be one.

    Raises:
      UserError: the manifest as a whole cannot be used.
    """
    if settings.audio_root is None:
        settings = replace(settings, audio_root=manifest.folder())
    found: dict[str, str] | None = None
    for row in read_rows(manifest.uri, manifest.name, manifest.is_folder, storage):
        source = f"{uris.join(manifest.name, row.file) if row.file else manifest.name}:{row.line}"
        if row.fault is None and found is None:
            found = columns.find_columns(row.fields, manifest, settings)
        try:
            if row.fault is not None:
                raise row.fault
            yield _clip(row.fields, source, manifest, settings)
        except ClipRejected as fault:
            yield _rejected(row, source, settings, fault)
    if found is None:
        _nothing_read(manifest, storage)


def survey(manifests: Iterable[Manifest], settings: ManifestSettings, storage: Storage) -> ManifestSettings:
    """The settings with what a look at all rows tells. Folders are not looked at: their readers know what they hold.

    Raises:
      UserError: as `rows`; or columns contradict each other, or tell too little.
    """
    files = (manifest for manifest in manifests if not manifest.is_folder)
    looked_at = (
        (row.fields, f"{manifest.name}:{row.line}")
        for manifest in files
        for row in read_rows(manifest.uri, manifest.name, manifest.is_folder, storage)
        if row.fault is None
    )
    return replace(settings, layout=table.survey(looked_at, settings))


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
    segment, channel = segments.segment(fields, settings), columns.channel(fields, settings)
    return Clip(
        clip_id=_clip_id(fields, settings, _place(path, channel, segment)),
        uri=_audio_uri(path, settings),
        target=target,
        source=source,
        row=_row_json(fields),
        prompt=columns.optional("prompt", fields, settings) or (task.prompt if task else ""),
        system_instruction=columns.optional("system_instruction", fields, settings)
        or (task.system_instruction if task else ""),
        task=task.name if task else task_name,
        group=columns.optional("group", fields, settings) or _recording(path, task_name, segment, channel, settings),
        split=columns.split(fields, settings),
        offset=segment.offset,
        duration=segment.duration,
        # An absolute path in a manifest on this machine was written for this machine. A relative path, and any path in
        # a manifest from a bucket, may have come with a dataset from elsewhere.
        confined=not path.startswith("/") or uris.is_gcs(manifest.uri),
        channel=channel,
    )


def _clip_id(fields: Fields, settings: ManifestSettings, place: str) -> str:
    """The row's own id; else where its audio is. The whole path, for two folders may hold files of one name."""
    clip_id = columns.optional("id", fields, settings)
    if not clip_id:
        return place
    if len(clip_id) > MAX_ID_CHARS:
        raise ClipRejected(reasons.BAD_FIELD, f"id has {len(clip_id):,} characters, over the limit of {MAX_ID_CHARS:,}")
    return clip_id


def _place(path: str, channel: int | None, segment: Segment) -> str:
    """Where a clip is: two channels of a recording, or two segments, are two clips."""
    return f"{path}{segment.place}" if channel is None or channel < 0 else f"{path}#{channel}{segment.place}"


def _recording(path: str, task_name: str, segment: Segment, channel: int | None, settings: ManifestSettings) -> str:
    """The group of a row that names none: its recording, if others may share it; all of them belong into one split."""
    is_part = segment.offset is not None or channel is not None
    return path if task_name or is_part or columns.is_repeated(path, settings) else ""


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
