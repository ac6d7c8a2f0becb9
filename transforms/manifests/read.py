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
from transforms.manifests import columns, dead_letters, embedded, headerless, linked, original, sample, segments, words
from transforms.manifests import survey as table
from transforms.manifests.columns import Columns, ManifestSettings
from transforms.manifests.dead_letters import Opened
from transforms.manifests.formats import read_manifest
from transforms.manifests.lines import readable
from transforms.manifests.locate import Manifest
from transforms.manifests.reading import Reading
from transforms.manifests.row import ALIASES, Fields, Row
from transforms.manifests.segments import Segment
from transforms.manifests.shards import Shards
from transforms.manifests.tool import Beside, are_named_after_splits
from transforms.storage import Storage, inside, uris

MAX_ID_CHARS = 1_024


def rows(
    manifest: Manifest, settings: ManifestSettings, storage: Storage, reading: Reading | None = None
) -> Iterator[Clip | Outcome]:
    """Streams a manifest's rows: a clip, or the outcome of a row that cannot be one.

    Args:
      manifest: to read.
      settings: how it is read.
      storage: reads it.
      reading: is told what the manifest is, and counts its rows; None if nobody asks.

    Raises:
      UserError: the manifest as a whole cannot be used.
    """
    found: dict[str, str] | None = None
    first: Opened | None = None
    chosen = dead_letters.mended(settings.mended, storage) if settings.last_place is not None else {}
    for opened, source in _opened(manifest, settings, storage, reading):
        if opened.row.fault is None and found is None and not opened.is_letter:
            embedded.refuse_several(opened.row, opened.settings, manifest.name)
            fields = embedded.columns_of(opened.row, opened.settings).fields
            found = columns.find_columns(fields, manifest, opened.settings)
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
            found = embedded.columns_of(opened.row, opened.settings)
            return {column: name for column in ALIASES if (name := found.name(column)) is not None}
    return {}


def _opened(
    manifest: Manifest,
    settings: ManifestSettings,
    storage: Storage,
    reading: Reading | None = None,
    linked_too: bool = True,
) -> Iterator[tuple[Opened, str]]:
    """The rows and their places: mended ones in the place of others, dead letters as what they were.

    With `linked_too`, those of files that rows name in the place of a text, too.
    """
    prefix, root = settings.shards.prefix(manifest.uri), settings.audio_root
    read = replace(settings, audio_root=manifest.folder() if root is None else root, id_prefix=prefix)
    mended = dead_letters.mended(settings.mended, storage)
    split = settings.shards.split_of(manifest.uri)
    named = headerless.named(_read(manifest, settings, storage, reading), manifest.name, settings.columns)
    if linked_too and not manifest.is_folder:
        named = linked.opened(named, manifest, settings, _root(manifest, settings), storage)
    for row in named:
        source = manifest.source(row)
        now = dead_letters.in_place_of(row, mended[source]) if source in mended else row
        if now.inside and settings.audio_root is not None:  # which is for paths: what is inside lies here
            top = uris.parent(manifest.uri)
            now = replace(now, inside={column: f"{top}/{place}" for column, place in now.inside.items()})
        is_letter = dead_letters.is_one(now.fields)
        if split and now.fault is None and not is_letter:
            now = replace(now, fields={**now.fields, "split": split})
        yield dead_letters.opened(now, settings, read, manifest) if is_letter else Opened(now, read), source


def survey(manifests: Iterable[Manifest], settings: ManifestSettings, storage: Storage) -> ManifestSettings:
    """The settings with what a look at all rows tells. Folders are not looked at: their readers know what they hold.

    Raises:
      UserError: as `rows`; or columns contradict each other, or tell too little.
    """
    manifests = list(manifests)
    files = [manifest for manifest in manifests if not manifest.is_folder]
    settings = replace(
        settings,
        files_are_splits=are_named_after_splits(each.name for each in manifests),
        shards=Shards.of({manifest.uri: manifest.name for manifest in files}),
    )
    looked_at = (pair for manifest in files for pair in _columns(manifest, settings, storage))
    return replace(settings, layout=table.survey(looked_at, settings))


def _columns(manifest: Manifest, settings: ManifestSettings, storage: Storage) -> Iterator[tuple[Columns, str]]:
    """The columns of each row that may become a clip, and its place. Dead letters know what their own table told."""
    for opened, source in _opened(manifest, settings, storage, linked_too=False):
        if opened.row.fault is None and not opened.is_letter:
            try:
                row = embedded.with_path(embedded.columns_of(opened.row, settings), opened.row)
            except ClipRejected:
                continue
            yield row, source


def _read(manifest: Manifest, settings: ManifestSettings, storage: Storage, reading: Reading | None) -> Iterator[Row]:
    """The rows as their reader finds them."""
    if readable(manifest.name) != manifest.name:
        raise UserError(f"{uris.shown(manifest.name)}: the name is not valid UTF-8; rename it")
    line = 0
    try:
        within = replace(storage, folders=manifest.folders)
        beside = _beside(manifest, settings, within)
        for row in read_manifest(manifest.uri, manifest.is_folder, beside, within, reading):
            line = row.line
            yield row
    except (CliptuneError, GeneratorExit):
        raise
    except Exception as fault:
        raise UserError(f"{manifest.name}: cannot be read behind row {line} ({_raised(fault)})") from fault


def _root(manifest: Manifest, settings: ManifestSettings) -> str:
    """The absolute folder that relative paths start from: that of --audio_root, else the manifest's."""
    given = settings.audio_root
    return uris.parent(manifest.uri) if given is None else uris.absolute(given, settings.base or os.getcwd())  # noqa: PTH109


def _beside(manifest: Manifest, settings: ManifestSettings, storage: Storage) -> Beside:
    """What a reader may know of what lies beside a manifest."""
    root, is_given = _root(manifest, settings), settings.audio_root is not None
    # Who names the columns reads a table like others.
    may_be = settings.files_are_splits and not {"audio", "text"} & settings.columns.keys()
    named = words.split_of(uris.stem(manifest.name)) if may_be else None
    flags = tuple(settings.columns.items())
    return Beside(
        manifest.name,
        manifest.uri,
        root,
        is_given,
        storage,
        named or "",
        flags,
        settings.encoding,
        cues=replace(settings.cues, folder=root if is_given else ""),
    )


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
        found = embedded.with_path(embedded.columns_of(row, settings), row)
        return opened.confined(_clip(found, source, manifest))
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
    linked.refuse(row)
    tasks.check_target(task, target)
    segment, channel = segments.segment(row), columns.channel(row)
    cut_start, cut_end = segments.cuts(row, segment)
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
        kept_columns=original.kept(row),
        cut_start=cut_start,
        cut_end=cut_end,
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
        return f"{row.settings.id_prefix}{place}"
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
    if fault := uris.impossible(inside.file_of(uri)):
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
        kept_columns=original.kept(found) or None,
        row=content,
    )


def _beginning(fields: Fields) -> str:
    """The beginning of a row that is too long, for people."""
    return ", ".join(f"{name[:100]}: {str(value)[:200]}" for name, value in islice(fields.items(), 10))[:2_000]


def _named(value: object) -> str:
    return readable(value) if isinstance(value, (str, int)) else ""
