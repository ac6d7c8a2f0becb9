"""Rows of manifests as clips: the columns, their types and rules, and where a rejected row stands."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice

from transforms import limits, reasons, tasks
from transforms.clip import Clip, Outcome
from transforms.errors import ClipRejected, CliptuneError, UserError
from transforms.manifests import columns, dead_letters, embedded, headerless, original, sample, segments
from transforms.manifests import survey as table
from transforms.manifests.columns import Columns, ManifestSettings
from transforms.manifests.dead_letters import Opened
from transforms.manifests.formats import read_rows
from transforms.manifests.lines import readable
from transforms.manifests.locate import Manifest
from transforms.manifests.row import ALIASES, Fields, Row
from transforms.manifests.segments import Segment
from transforms.storage import Storage, uris

MAX_ID_CHARS = 1_024


def rows(manifest: Manifest, settings: ManifestSettings, storage: Storage) -> Iterator[Clip | Outcome]:
    """Streams a manifest's rows: a clip, or the outcome of a row that cannot be one.

    Raises:
      UserError: the manifest as a whole cannot be used.
    """
    found: dict[str, str] | None = None
    first: Opened | None = None
    chosen = dead_letters.mended(settings.mended, storage) if settings.last_place is not None else {}
    for opened, source in _opened(manifest, settings, storage):
        if opened.row.fault is None and found is None and not opened.is_letter:
            found = columns.find_columns(opened.row.fields, manifest, opened.settings)
        first = first or opened
        row = _outcome(opened, source, manifest)
        if manifest.whole or source in chosen or sample.is_taken(row, settings.last_place):
            yield row
    if found is None:
        _refuse_rowless(manifest, first)


def columns_of(manifest: Manifest, settings: ManifestSettings, storage: Storage) -> dict[str, str]:
    """The name that each column of a clip has in a manifest, by its first row that can be read; {} without one."""
    for opened, _ in _opened(manifest, settings, storage):
        if opened.row.fault is None:
            found = Columns.of(opened.row.fields, opened.settings)
            return {column: name for column in ALIASES if (name := found.name(column)) is not None}
    return {}


def _opened(manifest: Manifest, settings: ManifestSettings, storage: Storage) -> Iterator[tuple[Opened, str]]:
    """The rows and their places: mended ones in the place of others, dead letters as what they were."""
    read = settings if settings.audio_root is not None else replace(settings, audio_root=manifest.folder())
    mended = dead_letters.mended(settings.mended, storage)
    for row in headerless.named(_read(manifest, storage), manifest.name, settings.columns):
        source = manifest.source(row)
        now = dead_letters.in_place_of(row, mended[source]) if source in mended else row
        is_letter = dead_letters.is_one(now.fields)
        yield dead_letters.opened(now, settings, read, manifest) if is_letter else Opened(now, read), source


def survey(manifests: Iterable[Manifest], settings: ManifestSettings, storage: Storage) -> ManifestSettings:
    """The settings with what a look at all rows tells. Folders are not looked at: their readers know what they hold.

    Raises:
      UserError: as `rows`; or columns contradict each other, or tell too little.
    """
    files = (manifest for manifest in manifests if not manifest.is_folder)
    looked_at = (pair for manifest in files for pair in _columns(manifest, settings, storage))
    return replace(settings, layout=table.survey(looked_at, settings))


def _columns(manifest: Manifest, settings: ManifestSettings, storage: Storage) -> Iterator[tuple[Columns, str]]:
    """The columns of each row that may become a clip, and its place. Dead letters know what their own table told."""
    for opened, source in _opened(manifest, settings, storage):
        if opened.row.fault is None and not opened.is_letter:
            try:
                row = embedded.with_path(Columns.of(opened.row.fields, settings))
            except ClipRejected:
                continue
            yield row, source


def _read(manifest: Manifest, storage: Storage) -> Iterator[Row]:
    """The rows as their reader finds them."""
    if readable(manifest.name) != manifest.name:
        raise UserError(f"{uris.shown(manifest.name)}: the name is not valid UTF-8; rename it")
    line = 0
    try:
        within = replace(storage, folders=manifest.folders)
        for row in read_rows(manifest.uri, manifest.name, manifest.is_folder, within):
            line = row.line
            yield row
    except (CliptuneError, GeneratorExit):
        raise
    except Exception as fault:
        raise UserError(f"{manifest.name}: cannot be read behind row {line} ({_raised(fault)})") from fault


def _refuse_rowless(manifest: Manifest, first: Opened | None) -> None:
    """Refuses a manifest of which no line is a row. Rows that are none for another reason are reported one by one."""
    if first is None:
        raise UserError(f"{manifest.name}: the manifest has no rows")
    fault = first.row.fault
    if fault is not None and fault.reason == reasons.BAD_ROW and not first.is_letter:
        raise UserError(f"{manifest.name}: no line of it is a row; in line {first.row.line} {fault.detail}")


def _outcome(opened: Opened, source: str, manifest: Manifest) -> Clip | Outcome:
    """What becomes of one row, in memory: no network and no disk can fail here, so any exception is the row's fate."""
    row, settings = opened.row, opened.settings
    if row.fault is not None:  # not raised: its traceback would hold the row, until the garbage is collected
        return _rejected(row, source, settings, row.fault)
    try:
        return opened.confined(_clip(embedded.with_path(Columns.of(row.fields, settings)), source, manifest))
    except ClipRejected as fault:
        return _rejected(row, source, settings, fault)
    except CliptuneError:
        raise
    except Exception as fault:
        why = f"the row could not be turned into a clip ({_raised(fault)}); please report it"
        return _rejected(row, source, settings, ClipRejected(reasons.BAD_ROW, why))


def _raised(fault: Exception) -> str:
    """The class of an exception, and where it was raised."""
    frame = traceback.extract_tb(fault.__traceback__)[-1]
    return f"{type(fault).__name__} in {os.path.basename(frame.filename)}:{frame.lineno}"  # noqa: PTH119 -- text


def _clip(row: Columns, source: str, manifest: Manifest) -> Clip:
    """The clip that a row describes.

    Raises:
      ClipRejected: a field is missing or of the wrong type.
    """
    settings = row.settings
    path = columns.text("audio", row, reasons.MISSING_AUDIO)
    task_name = columns.optional("task", row).strip()
    task = tasks.find(task_name, settings.tasks)
    target = columns.text("text", row, reasons.MISSING_TEXT, task)
    tasks.check_target(task, target)
    segment, channel = segments.segment(row), columns.channel(row)
    prompt = columns.optional("prompt", row) or (task.prompt if task else "")
    system_instruction = columns.optional("system_instruction", row) or (task.system_instruction if task else "")
    _refuse_long_texts(target, prompt, system_instruction)
    return Clip(
        clip_id=_clip_id(row, _place(path, channel, segment)),
        uri=_audio_uri(path, settings),
        target=target,
        source=source,
        row=original.dump(row.fields, settings),
        prompt=prompt,
        system_instruction=system_instruction,
        task=task.name if task else task_name,
        group=columns.optional("group", row) or _recording(path, task_name, segment, channel, settings),
        split=columns.split(row),
        offset=segment.offset,
        duration=segment.duration,
        # An absolute path in a manifest on this machine was written for this machine. A relative path, and any path in
        # a manifest from a bucket, may have come with a dataset from elsewhere.
        confined=not path.startswith("/") or uris.is_gcs(manifest.uri),
        channel=channel,
        language=columns.language(row),
    )


def _refuse_long_texts(*texts: str) -> None:
    """Refuses texts that no example can have, whatever its audio: they need not wait in memory for it."""
    chars = sum(map(len, texts))
    tokens = limits.expected_tokens(0, chars)
    if tokens > limits.MAX_TOKENS_PER_EXAMPLE:
        most = f"over the service's limit of {limits.MAX_TOKENS_PER_EXAMPLE:,}"
        raise ClipRejected(reasons.EXAMPLE_TOO_LARGE, f"{chars:,} characters are about {tokens:,} tokens, {most}")


def _clip_id(row: Columns, place: str) -> str:
    """The row's own id; else where its audio is. The whole path, for two folders may hold files of one name."""
    clip_id = columns.optional("id", row)
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


def _rejected(row: Row, source: str, settings: ManifestSettings, fault: ClipRejected) -> Outcome:
    """The outcome of a row that is no clip, with as much of the row as can be read."""
    found = Columns.of(row.fields, settings)
    reason, detail = fault.reason.name, fault.detail
    try:
        content = original.dump(row.fields or {"line": row.text}, settings)
    except ClipRejected as too_long:
        reason, detail = too_long.reason.name, too_long.detail
        content = original.dump({"line": _beginning(row.fields)}, settings)
    return Outcome(
        clip_id=_named(found.value("id")),
        source=readable(source),
        uri=_named(found.value("audio"))[: embedded.MAX_PATH_CHARS] or None,
        status="rejected",
        reason=reason,
        detail=readable(detail),
        row=content,
    )


def _beginning(fields: Fields) -> str:
    """The beginning of a row that is too long, for people."""
    return ", ".join(f"{name[:100]}: {str(value)[:200]}" for name, value in islice(fields.items(), 10))[:2_000]


def _named(value: object) -> str:
    return readable(value) if isinstance(value, (str, int)) else ""
