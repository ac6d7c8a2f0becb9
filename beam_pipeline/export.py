"""A dataset as files: its payloads, and beside them the manifests that `prepare` and Hugging Face's audiofolder read.

Payloads come first, each whole or not there, and the manifests last: what was killed has no manifest, and the same
command goes on.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from beam_pipeline.requests import ExportRequest
from transforms import records
from transforms.clip import Outcome
from transforms.dataset import assign, example, sidecar
from transforms.dataset.description import DatasetDescription
from transforms.dataset.output import DATASET_FILE, Output
from transforms.errors import UserError
from transforms.listener import SILENT, Listener
from transforms.manifests.places import real_path
from transforms.ordered import map_ordered
from transforms.payloads import Payload
from transforms.report import finished
from transforms.settings import Settings, Task
from transforms.storage import Storage, uris

FORMAT_VERSION = 1
MARK_FILE, MANIFEST_FILE, TASKS_FILE = "export.json", "metadata.jsonl", "tasks.yaml"
# More files than this in a folder are slow to list, and refused by the Hub.
_PER_FOLDER = 10_000
_NAME_CHARS = 80
_FILES_AT_A_TIME, _AHEAD = 16, 32
_OURS = re.compile(
    r"(train|validation|test)/(?:[0-9a-f]{2}/)?(?:[A-Za-z0-9._-]+-[0-9a-f]{16}\.[0-9a-z]+|metadata\.jsonl)"
)
_COLUMNS = ("prompt", "system_instruction", "task", "group", "language")


@dataclass(frozen=True, slots=True)
class ExportMark:
    """What an export is of, and whether it is whole: `DIR/export.json`.

    Attributes:
      format_version: of this file.
      fingerprint: of all examples of the dataset, hexadecimal.
      complete: whether all files are there.
    """

    format_version: int
    fingerprint: str
    complete: bool


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written, as `cliptune export` prints it on stdout.

    Attributes:
      dataset: as the request names it.
      destination: as the request names it.
      fingerprint: of all examples of the dataset, hexadecimal.
      files: payloads, one a clip.
      bytes: of all payloads.
      splits: clips of each.
      manifests: of the splits that have clips, to be prepared from.
      reused: payloads that an earlier run of the same command had written.
      format_version: version of these fields.
    """

    dataset: str
    destination: str
    fingerprint: str
    files: int
    bytes: int
    splits: dict[str, int]
    manifests: tuple[str, ...]
    reused: int
    format_version: int = FORMAT_VERSION

    def as_dict(self) -> dict[str, Any]:
        """As the one line of stdout has it."""
        return asdict(self)


def run(request: ExportRequest, listener: Listener = SILENT) -> ExportReport:
    """Writes a finished dataset as audio files and manifests.

    Raises:
      UserError: there is no finished dataset, it is damaged, or the destination holds something else.
      StorageError: the storage failed, after retries.
    """
    base, storage = str(Path.cwd()), Storage(request.billing_project)
    folder, place = (uris.absolute(name.rstrip("/") or name, base) for name in (request.dataset, request.destination))
    _refuse_inside(folder, place, request)
    source = _source(folder, storage.within([folder]))
    goal = storage.within([place])
    mark = ExportMark(FORMAT_VERSION, source.description.fingerprint, complete=False)
    resumed = _begin(mark, place, goal, request)
    counts = {name: split.examples for name, split in source.description.splits.items()}
    with tempfile.TemporaryDirectory(prefix="cliptune-export-") as scratch:
        export = _Export(source, place, goal, Path(scratch), resumed)
        with listener.progress("exporting", sum(counts.values()), "clips") as update:
            for split in source.description.splits:
                export.payloads(split, update)
        manifests = export.manifests()
    if source.settings.tasks:
        goal.write_bytes(uris.join(place, TASKS_FILE), _tasks(source.settings.tasks))
    goal.write_bytes(uris.join(place, MARK_FILE), records.pretty(asdict(mark) | {"complete": True}))
    named = tuple(f"{request.destination.rstrip('/')}/{name}" for name in manifests)
    totals = export.files, export.size, counts, named, export.reused
    return ExportReport(request.dataset, request.destination, mark.fingerprint, *totals)


def _refuse_inside(folder: str, place: str, request: ExportRequest) -> None:
    """Refuses to mix the files with those of the dataset."""
    place, folder = real_path(place), real_path(folder)
    for inner, outer in ((place, folder), (folder, place)):
        if f"{inner}/".startswith(f"{outer}/"):
            raise UserError(f"{request.destination}: it and {request.dataset} must lie apart; name another folder")


@dataclass(frozen=True, slots=True)
class _Source:
    """The dataset that is exported."""

    description: DatasetDescription
    settings: Settings
    output: Output


def _source(folder: str, storage: Storage) -> _Source:
    finished.load(folder, storage)
    uri = uris.join(folder, DATASET_FILE)
    try:
        description = DatasetDescription.load(storage.read_record(uri))
        settings = records.convert(description.settings, Settings)
    except records.DAMAGES as fault:
        raise records.damaged(uri, fault, "it describes the dataset", "run prepare again") from None
    num_shards = {name: len(split.shards) for name, split in description.splits.items()}
    return _Source(description, settings, Output(folder, folder, (), num_shards, settings, storage))


def _begin(mark: ExportMark, place: str, storage: Storage, request: ExportRequest) -> bool:
    """Takes the destination; whether an earlier run of the same export has begun there.

    Raises:
      UserError: it holds something else.
    """
    uri = uris.join(place, MARK_FILE)
    try:
        found: ExportMark | None = records.load(storage.read_record(uri), ExportMark, FORMAT_VERSION)
    except (FileNotFoundError, *records.DAMAGES):
        found = None
    there = [name.removeprefix(f"{place}/") for name in storage.list_files(place)]
    resumed = found is not None and found.fingerprint == mark.fingerprint
    if there and not resumed and not request.overwrite:
        what = "holds another export" if found else "is not empty"
        raise UserError(f"{request.destination}: it {what}; name another folder, or pass --overwrite")
    # Manifests go first: without them nothing looks whole.
    stale = sorted((name for name in there if _OURS.fullmatch(name)), key=lambda name: not name.endswith(MANIFEST_FILE))
    for name in stale if not resumed else [name for name in stale if name.endswith(MANIFEST_FILE)]:
        storage.delete(uris.join(place, name))
    storage.write_bytes(uri, records.pretty(asdict(mark)))
    return resumed


@dataclass(slots=True)
class _Export:
    """An export under way.

    Attributes:
      source: the dataset.
      place: absolute folder of the files.
      storage: writes them.
      scratch: folder of this machine in which manifests wait.
      resumed: whether files that are there are of this export.
      files: payloads that are there now.
      size: bytes of these.
      reused: of these, those that were there.
      used: columns that some row has a value for.
    """

    source: _Source
    place: str
    storage: Storage
    scratch: Path
    resumed: bool
    files: int = 0
    size: int = 0
    reused: int = 0
    used: set[str] | None = None

    def payloads(self, split: str, update: Callable[[int, str], None]) -> None:
        """Writes the payloads of a split, and its manifest into the scratch folder."""
        many = self.source.description.splits[split].examples > _PER_FOLDER
        self.used = self.used or set()
        with (
            (self.scratch / split).open("wb") as rows,
            ThreadPoolExecutor(_FILES_AT_A_TIME, thread_name_prefix="export") as executor,
        ):
            work = lambda found: self._clip(split, many, *found)  # noqa: E731 -- of this split
            for row, size, was_there in map_ordered(executor, work, self._lines(split), _AHEAD):
                self.files, self.size, self.reused = self.files + 1, self.size + size, self.reused + was_there
                self.used |= {name for name in _COLUMNS if row[name] is not None}
                rows.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
                update(self.files, "")

    def _lines(self, split: str) -> Iterator[tuple[Outcome, bytes]]:
        """The accepted clips of a split with their lines.

        Raises:
          UserError: a line is not the one that was written.
        """
        output = self.source.output
        for index in range(output.num_shards[split]):
            told, _ = sidecar.read(output.sidecar_uri((split, index)), output.storage)
            uri = output.shard_uri((split, index))
            accepted = [outcome for outcome in told.outcomes if outcome.status == "accepted"]
            with output.storage.open_read(uri) as stream:
                for number, outcome in enumerate(accepted, 1):
                    line = stream.readline(output.settings.max_example_bytes + 1)
                    if sha256(line).hexdigest() != outcome.line_sha256:
                        raise UserError(f"{uri}:{number}: it is not the line that was written; run prepare again")
                    yield outcome, line

    def _clip(self, split: str, many: bool, outcome: Outcome, line: bytes) -> tuple[dict[str, Any], int, bool]:
        """Writes a payload; its row, its size, and whether it was there."""
        payload = self._payload(outcome, line)
        name = file_name(outcome.clip_id, self.source.settings.audio_format, many)
        uri = uris.join(self.place, f"{split}/{name}")
        was_there = self.resumed and self.storage.exists(uri) and self.storage.size(uri) == len(payload.content)
        if not was_there:
            self.storage.write_bytes(uri, payload.content)
        return self._row(name, split, outcome, line), len(payload.content), was_there

    def _payload(self, outcome: Outcome, line: bytes) -> Payload:
        settings, mime_type = self.source.settings, outcome.mime_type or ""
        if settings.audio_part == "inline":
            return example.payload(line, mime_type)
        uri = uris.join(self.source.output.audio_folder(), example.path_of(outcome.audio_sha256 or "", settings))
        try:
            return Payload(self.source.output.storage.read_bytes(uri), mime_type)
        except (FileNotFoundError, *records.DAMAGES):
            raise UserError(f"{uri}: the audio of {outcome.clip_id!r} cannot be read there; it was moved") from None

    def _row(self, name: str, split: str, outcome: Outcome, line: bytes) -> dict[str, Any]:
        texts = example.texts(line)
        prompt = None if texts.prompt == self.source.settings.prompt else texts.prompt
        return {
            "file_name": name,
            "id": outcome.clip_id,
            "text": texts.target,
            "split": split,
            "group": outcome.group,
            "language": outcome.language,
            "task": outcome.task,
            "prompt": prompt,
            "system_instruction": texts.system_instruction or None,
        }

    def manifests(self) -> list[str]:
        """Writes the manifests, without columns that no row has a value for; their names."""
        unused = set(_COLUMNS) - (self.used or set())
        names = []
        # That of the training split comes last: all others are there when it is.
        for split in sorted(self.source.description.splits, key=lambda name: name == assign.TRAIN):
            if not self.source.description.splits[split].examples:
                continue
            names.append(f"{split}/{MANIFEST_FILE}")
            with (
                (self.scratch / split).open("rb") as rows,
                self.storage.write(uris.join(self.place, names[-1])) as stream,
            ):
                for row in map(orjson.loads, rows):
                    kept = {name: value for name, value in row.items() if name not in unused}
                    stream.write(orjson.dumps(kept, option=orjson.OPT_APPEND_NEWLINE))
        return names


def file_name(clip_id: str, extension: str, many: bool = False) -> str:
    """The file of a clip: what its id has of letters and digits, and a digest that no other id has.

    So names differ on file systems that do not tell capitals, and none leads out of its folder.
    """
    digest = f"{assign.hash64(clip_id):016x}"
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", clip_id).strip("._-")[-_NAME_CHARS:].lstrip("._-")
    name = f"{readable or 'clip'}-{digest}.{extension}"
    return f"{digest[:2]}/{name}" if many else name


def _tasks(tasks: tuple[Task, ...]) -> bytes:
    """The tasks as a file for --tasks; JSON is YAML."""
    tree = {}
    for task in tasks:
        kind = {"labels": list(task.labels)} if task.labels else {"target": task.target}
        schema = {} if task.schema is None else {"schema": task.schema}
        system = {"system_instruction": task.system_instruction} if task.system_instruction else {}
        tree[task.name] = {"prompt": task.prompt, **kind, **schema, **system}
    return records.pretty(tree)
