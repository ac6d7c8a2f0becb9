"""A first cliptune.yaml, from a look at a manifest: what was found as comments, and a file that runs as it is."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from beam_pipeline import inputs, progress
from beam_pipeline.requests import PrepareRequest
from cliptune import config_schema
from cliptune.config import DEFAULT_FILE
from cliptune.requests import InitRequest
from transforms import limits
from transforms.clip import Clip, Outcome
from transforms.errors import UserError
from transforms.listener import SILENT, Listener
from transforms.manifests import read
from transforms.manifests.columns import Columns, ManifestSettings
from transforms.printable import printable
from transforms.storage import Storage, uris
from tuning import providers
from tuning.providers import PROVIDERS

FORMAT_VERSION = 1
SPLITS = ("train", "validation", "test")
OUTPUT = "dataset"
# Words that are shown of each column, and those that are counted.
_SHOWN = 8
_COUNTED = 100_000
_FEW = 20
_MANIFESTS = ("*.jsonl", "*.csv", "*.tsv", "*.parquet", "*.jsonl.gz", "*.csv.gz", "*.tsv.gz")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*|gs://[A-Za-z0-9_./-]+")
_NO_TEXT = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")


@dataclass(frozen=True, slots=True)
class InitReport:
    """What `cliptune init` has found and written, as it prints it on stdout.

    Attributes:
      file: that was written.
      manifest: the manifests, as the file names them.
      output: folder of the dataset, as the file names it.
      rows: manifest rows.
      unusable: rows that cannot become clips, whatever their recordings are, by reason.
      columns: of the manifests, by what they are used for.
      splits: rows by the split that they name; "" for none.
      groups: different speakers or groups; at most 100,000 are counted.
      languages: rows by language, the commonest first; {} if the manifest names none.
      tasks: names in the column of tasks.
      stated_seconds: of the audio of rows whose length the manifest states.
      stated: such rows.
      format_version: version of these fields.
    """

    file: str
    manifest: tuple[str, ...]
    output: str
    rows: int
    unusable: dict[str, int]
    columns: dict[str, str]
    splits: dict[str, int]
    groups: int
    languages: dict[str, int]
    tasks: tuple[str, ...]
    stated_seconds: float
    stated: int
    format_version: int = FORMAT_VERSION

    def as_dict(self) -> dict[str, Any]:
        """As the one line of stdout has it."""
        return asdict(self)


def run(request: InitRequest, listener: Listener = SILENT) -> InitReport:
    """Looks at the manifests and writes the file, and its schema beside it.

    Raises:
      UserError: a manifest cannot be used, there is none, or the file is there already.
    """
    _refuse_there(request.file, request.overwrite)
    manifest = request.manifest or (_only_manifest(),)
    found = _looked(request, manifest, listener)
    text = "".join(f"{line}\n" for line in _lines(found, request))
    schema = os.path.join(os.path.dirname(request.file), config_schema.FILE)  # noqa: PTH118, PTH120 -- a name for people
    _write(request.file, text.encode(), request.overwrite)
    if request.overwrite or not Path(schema).exists():
        _write(schema, config_schema.content(), overwrite=True)
    _say(found, listener)
    return found


def _refuse_there(file: str, overwrite: bool) -> None:
    if os.path.lexists(file) and not overwrite:
        raise UserError(f"{file} is there already; --overwrite replaces it, --file names another one")


def _only_manifest() -> str:
    """The one file of the working folder that looks like a manifest.

    Raises:
      UserError: there is none, or several.
    """
    names = sorted({path.name for pattern in _MANIFESTS for path in Path().glob(pattern) if path.is_file()})
    if len(names) != 1:
        found = f"there are {', '.join(names[:_SHOWN])}" if names else "there is none in this folder"
        raise UserError(f"name the manifest: cliptune init MANIFEST ({found})")
    return names[0]


def _looked(request: InitRequest, manifest: tuple[str, ...], listener: Listener) -> InitReport:
    """Reads all rows, as `prepare` reads them before it begins."""
    base, storage = os.getcwd(), Storage(request.billing_project)  # noqa: PTH109 -- as a text
    output = request.output or _output(manifest)
    wanted = PrepareRequest(manifest, output, columns=request.columns, audio_root=request.audio_root)
    read_from = inputs.named(wanted, base, uris.absolute(output, base), storage)
    rows = (row for each in read_from.manifests for row in read.rows(each, read_from.rows, storage))
    tally = _Tally(read_from.rows)
    for row in progress.counted(rows, listener):
        tally.add(row)
    return InitReport(
        file=request.file,
        manifest=tuple(_named_from(name, request.file) for name in manifest),
        output=_named_from(output, request.file),
        rows=tally.rows,
        unusable=dict(tally.unusable.most_common()),
        columns=tally.columns,
        splits={split: tally.splits[split] for split in (*SPLITS, "") if tally.splits[split]},
        groups=len(tally.groups),
        languages=dict(tally.languages.most_common()),
        tasks=tuple(tally.tasks),
        stated_seconds=round(tally.seconds, 3),
        stated=tally.stated,
    )


class _Tally:
    """What the rows say."""

    def __init__(self, settings: ManifestSettings) -> None:
        self._settings = settings
        self.rows = self.stated = 0
        self.seconds = 0.0
        self.unusable: Counter[str] = Counter()
        self.splits: Counter[str] = Counter()
        self.languages: Counter[str] = Counter()
        self.groups: set[str] = set()
        self.tasks: dict[str, None] = {}
        self.columns: dict[str, str] = {}

    def add(self, row: Clip | Outcome) -> None:
        """Counts a row."""
        self.rows += 1
        if isinstance(row, Outcome):
            self.unusable[str(row.reason)] += 1
            return
        if not self.columns:
            self.columns = self._columns(row)
        self.splits[row.split] += 1
        if row.group and len(self.groups) < _COUNTED:
            self.groups.add(row.group)
        if row.language and (row.language in self.languages or len(self.languages) < _COUNTED):
            self.languages[row.language] += 1
        if row.task and len(self.tasks) < _COUNTED:
            self.tasks[row.task] = None
        if row.duration is not None:
            self.stated, self.seconds = self.stated + 1, self.seconds + row.duration

    def _columns(self, row: Clip) -> dict[str, str]:
        fields = orjson.loads(row.row) if row.row else {}
        names = Columns.of(fields, self._settings).names
        return {column: found[0] for column, found in names.items() if found}


def _output(manifest: Iterable[str]) -> str:
    """Where the dataset goes: beside manifests of a bucket, else into the working folder."""
    first = next(iter(manifest))
    return f"gs://{uris.bucket_of(first)}/{OUTPUT}" if uris.is_gcs(first) else OUTPUT


def _named_from(name: str, file: str) -> str:
    """A name of the working folder as the file has it, which may lie elsewhere."""
    folder = os.path.dirname(file)  # noqa: PTH120 -- of a text
    if uris.is_gcs(name) or os.path.isabs(name):  # noqa: PTH117
        return name
    name = os.path.relpath(name, folder) if folder else name
    return f"./{name}" if name.startswith("~") else name  # the file would take it for a home


def _write(file: str, content: bytes, overwrite: bool) -> None:
    """Writes a file whole, or not at all."""
    path = Path(file)
    try:
        if not overwrite:
            with path.open("xb") as stream:
                stream.write(content)
            return
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        part.write_bytes(content)
        part.replace(path)
    except FileExistsError:
        _refuse_there(file, overwrite=False)
    except OSError as fault:
        raise UserError(f"{file}: {fault.strerror}") from None


def _lines(found: InitReport, request: InitRequest) -> Iterator[str]:
    """The file."""
    yield f"# yaml-language-server: $schema={config_schema.FILE}"
    yield "# The whole job: cliptune run --dry_run, then cliptune run. Its keys are flags: cliptune tune --help, …"
    yield ""
    yield from (f"# {line}" for line in _told(found))
    yield f"manifest: {_words(found.manifest)}"
    yield f"output: {_word(found.output)} # a folder or gs://…"
    yield ""
    yield "# A local stand-in for the tuning service, which trains nothing and costs nothing. For Google Cloud, take it"
    yield "# out, and name a project and a bucket: an output in gs://, or tune.staging_location."
    yield "emulator: true"
    yield "# project: my-project"
    yield f"# location: {PROVIDERS[providers.DEFAULT].default_location}"
    yield "# max_cost: 20 # US dollars, of all runs and questions together"
    yield ""
    yield from _prepare(found, request)
    yield ""
    yield "tune:"
    yield f"  base_model: {PROVIDERS[providers.DEFAULT].default_model}"
    yield "  # staging_location: gs://BUCKET/staging"
    yield ""
    yield "# Each run changes some keys of tune; all are compared in one table. One run is enough."
    yield "runs:"
    yield "  epochs-1: {epochs: 1}"
    yield "  epochs-3: {epochs: 3}"
    yield ""
    yield "evaluate:"
    yield "  normalizer: cliptune # letters and digits in lower case; none compares texts as they are"
    yield '  # fail_if: ["wer(epochs-3) > wer(base)"] # a gate: exit status 8'


def _prepare(found: InitReport, request: InitRequest) -> Iterator[str]:
    yield "prepare:"
    if request.audio_root is not None:
        yield f"  audio_root: {_word(_named_from(request.audio_root, found.file))}"
    yield from (f"  {column}_column: {_word(name)}" for column, name in request.columns.items())
    if "test" in found.splits or "validation" in found.splits:
        yield "  # The manifest names splits; rows without one are drawn."
    yield f"  validation_fraction: {_held_out(found)} # of the clips, by whole groups"
    yield "  max_rejected_fraction: 0.05 # if more rows are rejected, nothing is tuned"
    yield "  # max_duration: 30"
    if found.tasks:
        yield "  # tasks: tasks.yaml # the manifest names tasks: docs/tasks.md"


def _held_out(found: InitReport) -> float:
    """The part that is held out: of a few groups, a tenth would be none."""
    return 0.1 if (found.groups or found.rows) >= _FEW else 0.5


def _told(found: InitReport) -> Iterator[str]:
    """What was found, one fact a line."""
    usable = found.rows - sum(found.unusable.values())
    yield f"{found.rows:,} rows, {usable:,} of which may become clips"
    for reason, rows in found.unusable.items():
        yield f"  {rows:,} × {reason}"
    columns = ", ".join(f"{column} ({name})" if name != column else column for column, name in found.columns.items())
    yield f"columns: {printable(columns)}"
    named = {split: rows for split, rows in found.splits.items() if split}
    if named:
        yield f"splits: {', '.join(f'{rows:,} {split}' for split, rows in named.items())}"
    if found.groups:
        yield f"groups: {found.groups:,}"
    if found.languages:
        yield f"languages: {_some(found.languages)}"
    if found.tasks:
        yield f"tasks: {_some(dict.fromkeys(found.tasks, 0))}"
    if found.stated:
        yield f"audio: {found.stated_seconds / 3600:,.2f} hours in the {found.stated:,} rows whose length is stated"
    else:
        tokens = f"{30 * limits.TOKENS_PER_SECOND:,.0f} tokens"
        yield f"audio: its length is not stated; a clip has at most 30 s, about {tokens}"


def _some(counts: Mapping[str, int]) -> str:
    """The first words of a column, on one line."""
    shown = [f"{printable(word)}{f' ({rows:,})' if rows else ''}" for word, rows in list(counts.items())[:_SHOWN]]
    more = f", and {len(counts) - _SHOWN:,} more" if len(counts) > _SHOWN else ""
    return ", ".join(shown) + more


def _words(names: tuple[str, ...]) -> str:
    return _word(names[0]) if len(names) == 1 else f"[{', '.join(map(_word, names))}]"


def _word(name: str) -> str:
    """A text as YAML has it, whatever is in it."""
    name = name.replace("${", "$${")
    return name if _PLAIN.fullmatch(name) and name.lower() not in _NO_TEXT else json.dumps(name, ensure_ascii=True)


def _say(found: InitReport, listener: Listener) -> None:
    for line in _told(found):
        listener.say(line)
    again = "" if found.file == DEFAULT_FILE else f" {found.file}"
    listener.say(f"wrote {found.file}; look at it, then: cliptune run{again} --dry_run")
