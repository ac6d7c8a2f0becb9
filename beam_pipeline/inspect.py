"""One clip, step by step: what its recording is, what each step makes of it, and why it is refused."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from beam_pipeline.requests import InspectRequest
from transforms import records
from transforms.clip import Clip, Outcome, known_fields
from transforms.dataset import assign, example, merging
from transforms.dataset.clip_workers import ClipWorkers
from transforms.dataset.dissected import Dissection, Step
from transforms.dataset.output import DATASET_FILE, RUN_FILE, Output
from transforms.dataset.plan import REJECTED, ShardKey
from transforms.dataset.prepare_clip import in_words, uri_of, wanted
from transforms.dataset.sidecar import Sidecar
from transforms.dataset.sources import Stored
from transforms.errors import ClipRejected, UserError
from transforms.listener import SILENT, Listener
from transforms.manifests import allowed, locate, read
from transforms.manifests.columns import ManifestSettings
from transforms.payloads import Payload
from transforms.settings import Settings
from transforms.storage import Storage, uris
from transforms.workers import pool

FORMAT_VERSION = 1
# What stands for the text that a recording alone does not have.
NO_TEXT = "<its text>"
_LINE = re.compile(r"(.+):([1-9][0-9]{0,11})", re.DOTALL)
_SPLIT = "train|validation|test"
_SHARD = re.compile(rf"(.*?)(?:/({_SPLIT}))?/({_SPLIT})-(\d{{5,9}})-of-\d{{5,9}}\.jsonl", re.DOTALL)


@dataclass(frozen=True, slots=True)
class InspectReport:
    """One clip, as `cliptune inspect` prints it on stdout.

    Attributes:
      place: as the request names it.
      clip_id: of the clip; "" for a recording alone.
      source: "manifest:line" of its row; "" for a recording alone.
      uri: of its recording; "" if its row names none.
      steps: of its conversion now, up to the one that refuses it.
      reason: why it is refused now; "" if it is not.
      detail: what was found; "" likewise.
      example: the example without its base64: as the dataset has it, else as it would be; None for none.
      outcome: what the dataset has noted of it; None where no dataset is asked.
      saved: the file that its payload was written to; "" for none.
      format_version: version of these fields.
    """

    place: str
    clip_id: str
    source: str
    uri: str
    steps: tuple[Step, ...]
    reason: str
    detail: str
    example: dict[str, Any] | None
    outcome: dict[str, Any] | None
    saved: str = ""
    format_version: int = FORMAT_VERSION

    def as_dict(self) -> dict[str, Any]:
        """As the one line of stdout has it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Inspected:
    """A clip, and its payload.

    Attributes:
      report: about the clip.
      payload: its audio as the model hears it; None for a clip without.
    """

    report: InspectReport
    payload: Payload | None


@dataclass(frozen=True, slots=True)
class _Found:
    """What a place leads to: a row, how it is read, and what a dataset has of it."""

    row: Clip | Outcome
    output: Output
    outcome: Outcome | None = None
    line: bytes = b""


def run(request: InspectRequest, listener: Listener = SILENT) -> Inspected:
    """Shows a clip.

    Raises:
      UserError: there is no such clip, file, line or dataset; or what shows it cannot be read.
      StorageError: the storage failed, after retries.
    """
    storage, base = Storage(request.billing_project), str(Path.cwd())
    found = _find(request, storage, base, listener)
    dissected, payload = _dissected(found)
    tree = orjson.loads(dissected.example) if dissected.example else None
    if found.line:  # what is in the dataset, whatever its recording is now
        tree = orjson.loads(example.without_payload(found.line, found.output.settings))
        payload = _payload(found) or payload
    saved = _saved(request, payload, storage, base)
    row = found.row
    of_file = isinstance(row, Clip) and not row.source
    noted = None if found.outcome is None else {**known_fields(found.outcome)}
    (noted or {}).pop("row", None)
    names = ("", "") if of_file else (row.clip_id, row.source)
    report = InspectReport(
        request.place,
        *names,
        uri=row.uri or "",
        steps=dissected.steps,
        reason=dissected.reason,
        detail=dissected.detail,
        example=tree,
        outcome=noted,
        saved=saved,
    )
    return Inspected(report, payload)


def _dissected(found: _Found) -> tuple[Dissection, Payload | None]:
    """The steps of a clip; of a row that is none, why."""
    row, output = found.row, found.output
    if isinstance(row, Outcome):
        return Dissection((), row.reason or "", row.detail or ""), None
    try:
        clip, source = wanted(row, output.settings), Stored(uri_of(row, output), output.storage_of(row))
        with pool.running(), closing(ClipWorkers(output.settings, verify=False, size=1)) as workers:
            dissected, payload = workers.dissect(clip, source)
    except ClipRejected as refusal:
        told = in_words(refusal, row, output)
        return Dissection((), told.reason.name, told.detail), None
    return dissected, payload


def _find(request: InspectRequest, storage: Storage, base: str, listener: Listener) -> _Found:
    if request.clip_id is not None:
        return _of_id(uris.absolute(request.place.rstrip("/"), base), request.clip_id, storage, listener)
    place = uris.absolute(request.place, base)
    if storage.exists(place) and not storage.is_folder(place):
        return _of_file(request.place, place, storage)
    line = _LINE.fullmatch(place)
    if line is None:
        is_dataset = storage.exists(uris.join(place, DATASET_FILE))
        folder = "a folder, and no dataset" if storage.is_folder(place) else "no such file"
        what = "a dataset: name a clip of it, too" if is_dataset else folder
        raise UserError(f"{request.place}: {what}; inspect FILE, OUT ID, SHARD:LINE or MANIFEST:LINE")
    shard = _SHARD.fullmatch(line[1])
    if shard is not None:
        key = shard[3], int(shard[4])
        return _of_line(shard[1], key, int(line[2]), request.place, storage, listener)
    return _of_row(request, line[1], int(line[2]), storage, base)


def _of_file(name: str, uri: str, storage: Storage) -> _Found:
    """A recording without a row."""
    clip = Clip(name, uri, NO_TEXT, confined=False)
    return _Found(clip, Output("", uris.parent(uri), (), {}, Settings(), storage))


def _of_row(request: InspectRequest, uri: str, line: int, storage: Storage, base: str) -> _Found:
    """The row of a manifest: line N as rejections count it."""
    name = request.place.rpartition(":")[0]
    manifests = allowed.confined(locate.locate([name], base, storage), ManifestSettings(), base)
    settings = read.survey(manifests, ManifestSettings(request.audio_root), storage)
    output = Output("", base, allowed.allowed_roots(manifests, settings, base), {}, Settings(), storage)
    for manifest in manifests:
        for row in read.rows(manifest, settings, storage):
            if row.source.rpartition(":")[2] == str(line):
                return _Found(row, output)
    raise UserError(f"{request.place}: the manifest has no row there")


def _of_id(folder: str, clip_id: str, storage: Storage, listener: Listener) -> _Found:
    """The clip of a dataset with this id, accepted or rejected."""
    made, settings = _made(folder, storage)
    for key, sidecar in _sidecars(folder, clip_id, storage):
        for outcome in sidecar.outcomes:
            if outcome.clip_id == clip_id:
                return _with_row(folder, key, outcome, made, settings, storage, listener)
    raise UserError(f"{folder}: no clip of it has the id {clip_id!r}, and no rejected row")


def _of_line(folder: str, key: ShardKey, line: int, place: str, storage: Storage, listener: Listener) -> _Found:
    """The clip of a line of a shard."""
    made, settings = _made(folder, storage)
    for sidecar in (sidecar for found, sidecar in _sidecars(folder, "", storage, key[0]) if found == key):
        for outcome in sidecar.outcomes:
            if outcome.line_index == line - 1:
                return _with_row(folder, key, outcome, made, settings, storage, listener)
    raise UserError(f"{place}: the dataset has no example there")


def _made(folder: str, storage: Storage) -> tuple[merging.Made, Settings]:
    try:
        made, settings, _ = merging.load(folder, folder, storage)
    except UserError as fault:
        raise UserError(str(fault).removeprefix("--merge_into ")) from None
    return made, settings


def _sidecars(folder: str, clip_id: str, storage: Storage, split: str = "") -> Iterator[tuple[ShardKey, Sidecar]]:
    """The sidecars that may tell of a clip: the shard of its hash in each split, and all of rejected rows.

    Args:
      folder: of the dataset.
      clip_id: of the clip.
      storage: reads them.
      split: to have all of this split instead.

    Raises:
      UserError: one is damaged.
    """
    within, counts = storage.within([folder]), _counts(folder, storage)
    output = Output(folder, folder, (), counts, Settings(), within)
    for name, count in counts.items():
        every = itertools.count() if split or name == REJECTED else iter([assign.shard_index(clip_id, count)])
        for index in every if split in ("", name) else ():
            uri = output.sidecar_uri((name, index))
            try:
                yield (name, index), Sidecar.load(within.read_bytes(uri))
            except FileNotFoundError:  # there are no more, whatever is said of their number
                break
            except records.DAMAGES as fault:
                raise records.damaged(uri, fault, "it tells what became of clips", "run prepare again") from None


def _counts(folder: str, storage: Storage) -> dict[str, int]:
    """The shards of each split."""
    uri = uris.join(folder, RUN_FILE)
    try:
        run = records.object_of(storage.within([folder]).read_record(uri))
        return records.convert(run.get("num_shards"), dict[str, int])
    except (FileNotFoundError, *records.DAMAGES) as fault:
        raise records.damaged(uri, fault, "it tells of the shards", "run prepare again") from None


def _with_row(
    folder: str,
    key: ShardKey,
    outcome: Outcome,
    made: merging.Made,
    settings: Settings,
    storage: Storage,
    listener: Listener,
) -> _Found:
    """An outcome with the row that it is of, which the manifests hold, and its line."""
    output = Output(folder, made.base_of(folder), (), {}, settings, storage)
    row: Clip | Outcome = outcome
    try:
        rows, output = merging.reading_of(made, settings, folder, storage)
        row = next((each for each in rows if each.source == outcome.source), outcome)
    except UserError as fault:
        listener.say(f"{fault}: its steps are not known")
    if uris.is_gcs(folder):  # what a dataset from elsewhere says that may be read on this machine is not
        output = replace(output, allowed=())
    if key[0] == REJECTED or outcome.line_index is None:
        return _Found(row, output, outcome)
    line = _line(replace(output, num_shards=_counts(folder, storage)), key, outcome)
    return _Found(row, output, outcome, line)


def _line(output: Output, key: ShardKey, outcome: Outcome) -> bytes:
    with output.storage.within([output.folder]).open_read(output.shard_uri(key)) as stream:
        return next(itertools.islice(stream, outcome.line_index, None), b"")


def _payload(found: _Found) -> Payload | None:
    outcome, output = found.outcome, found.output
    mime_type = (outcome.mime_type if outcome else None) or ""
    try:
        if output.settings.audio_part == "inline":
            return example.payload(found.line, mime_type)
        path = example.path_of((outcome.audio_sha256 if outcome else None) or "", output.settings)
        return Payload(
            output.storage.within([output.folder]).read_bytes(uris.join(output.audio_folder(), path)), mime_type
        )
    except (FileNotFoundError, *records.DAMAGES):
        return None


def _saved(request: InspectRequest, payload: Payload | None, storage: Storage, base: str) -> str:
    """Writes the payload into the file that is asked for."""
    if request.save is None:
        return ""
    if payload is None:
        raise UserError(f"--save {request.save}: the clip has no payload; without --save, its steps say why")
    storage.write_bytes(uris.absolute(request.save, base), payload.content)
    return request.save
