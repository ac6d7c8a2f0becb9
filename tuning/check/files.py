"""Checks the files of a dataset, or any JSONL file, line by line and against the documented limits."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, BinaryIO

from transforms.dataset import sizes
from transforms.errors import NotARegularFileError, UserError
from transforms.storage import Storage, uris
from tuning import dataset
from tuning.check.references import Reference, check_references
from tuning.cost import Tokens
from tuning.dataset import HELD_OUT, TRAIN, VALIDATION, Dataset, Shard
from tuning.providers import DEFAULT, PROVIDERS
from tuning.providers.base import ERROR, WARNING, Facts, Problem, Provider

SHOWN_PROBLEMS = 1_000
# 100 MB of audio are 134 MB of base64: no valid line is longer than this.
MAX_LINE_BYTES = 160_000_000
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class JsonlFile:
    """A file of examples.

    Attributes:
      name: the file's name in the sources of problems.
      uri: absolute path or gs:// URI.
      split: "train", "validation" or "test".
      shard: the file's entry in `dataset.json`; None for a file that belongs to no dataset.
      max_lines: how many lines are checked; None for all.
      folder: of the dataset, absolute; "" for a file that belongs to no dataset.
    """

    name: str
    uri: str
    split: str
    shard: Shard | None = None
    max_lines: int | None = None
    folder: str = ""

    @classmethod
    def of(cls, prepared: Dataset, split: str, shard: Shard) -> JsonlFile:
        """A shard of a dataset."""
        name, uri = (uris.join(folder, shard.path) for folder in (prepared.name, prepared.uri))
        return cls(name, uri, split, shard, folder=prepared.uri)


@dataclass(slots=True)
class SplitFacts:
    """The totals of one split.

    Attributes:
      examples: number of lines.
      bytes: their size.
      tokens: their tokens, in one epoch.
    """

    examples: int = 0
    bytes: int = 0
    tokens: Tokens = field(default_factory=Tokens)


@dataclass(slots=True)
class Findings:
    """The result of a check.

    Attributes:
      splits: totals of "train", "validation" and, where rows are marked so, "test".
      counts: number of problems, by rule.
      problems: the first `SHOWN_PROBLEMS` problems.
      errors: number of errors.
      bad_lines: number of lines with at least one error.
    """

    splits: dict[str, SplitFacts] = field(default_factory=lambda: {TRAIN: SplitFacts(), VALIDATION: SplitFacts()})
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    errors: int = 0
    bad_lines: int = 0
    _last_bad: str = ""

    @property
    def ok(self) -> bool:
        """Whether no errors were found; warnings are allowed."""
        return not self.errors

    @property
    def examples(self) -> int:
        """The lines of all splits."""
        return sum(split.examples for split in self.splits.values())

    def add(self, problem: Problem) -> None:
        """Counts a problem."""
        self.counts[problem.rule] += 1
        if problem.severity == ERROR:
            self.errors += 1
            on_line = not problem.source.endswith(":0") and problem.source != self._last_bad
            self.bad_lines += on_line
            self._last_bad = problem.source
        if len(self.problems) < SHOWN_PROBLEMS:
            self.problems.append(problem)


def files_of(path: str, storage: Storage) -> list[JsonlFile]:
    """The files of a dataset folder, or the one JSONL file.

    Raises:
      UserError: there is no such file or dataset.
    """
    uri = uris.absolute(path, os.getcwd())  # noqa: PTH109 -- text, as everywhere in storage
    if storage.exists(uri):
        return [JsonlFile(path, uri, TRAIN)]
    if not storage.is_folder(uri):
        raise UserError(f"{path}: there is no such file or dataset folder")
    prepared = dataset.load(path, storage)
    splits = (*HELD_OUT, TRAIN)
    return [JsonlFile.of(prepared, split, shard) for split in splits for shard in prepared.splits.get(split, ())]


def check(
    files: Sequence[JsonlFile],
    storage: Storage,
    advance: Callable[[int], None] = lambda amount: None,
    look_up: bool = False,
    provider: Provider = PROVIDERS[DEFAULT],
) -> Findings:
    """Checks files line by line.

    Memory grows with the held-out splits and with the number of audio URIs.

    Args:
      files: the files; those of the held-out splits come first.
      storage: reads the files.
      advance: called with the bytes of each line, for progress.
      look_up: whether to list the buckets of the audio that examples refer to.
      provider: the provider whose rules the lines must follow.

    Raises:
      UserError, StorageError: a file cannot be read.
    """
    findings = Findings()
    folder = next((file.folder for file in files), "")
    storage = storage.within([folder]) if folder else storage
    held_out: dict[str, tuple[str, str]] = {}  # split and source, by the audio of the held-out splits
    references: dict[str, Reference] = {}
    for file in files:
        totals = findings.splits.setdefault(file.split, SplitFacts())
        for problem in _check_file(file, storage, provider, totals, held_out, references, advance):
            findings.add(problem)
    ledger = uris.join(folder, "ledger") if folder else ""
    of_audio = check_references(references, storage, ledger) if look_up else ()
    of_groups = _groups_in_both(ledger, storage) if ledger else ()
    for problem in itertools.chain(of_audio, of_groups, _limits(files, findings)):
        findings.add(problem)
    return findings


def _check_file(
    file: JsonlFile,
    storage: Storage,
    provider: Provider,
    totals: SplitFacts,
    held_out: dict[str, tuple[str, str]],
    references: dict[str, Reference],
    advance: Callable[[int], None],
) -> Iterator[Problem]:
    seen = _Seen()
    try:
        with storage.open_read(file.uri) as stream:
            if stream.read(len(_GZIP)) == _GZIP:
                yield Problem(f"{file.name}:1", ERROR, "compressed", "the file is compressed; unpack it first")
                return
            stream.seek(0)
            for line, size in itertools.islice(_lines(stream), file.max_lines):
                seen.add(line, size)
                source = f"{file.name}:{seen.examples}"
                problems, facts = _check_numbered(line, source, provider)
                totals.tokens.add(facts)
                yield from problems
                yield from _leaks(file.split, facts, source, held_out)
                if facts.audio and facts.mime_type and facts.audio.startswith("gs://"):
                    references.setdefault(facts.audio, Reference(source, facts.mime_type))
                advance(size)
    except FileNotFoundError:
        detail = "the shard that dataset.json lists is missing" if file.shard else f"there is no {file.uri}"
        yield Problem(f"{file.name}:0", ERROR, "missing_shard", detail)
        return
    except (IsADirectoryError, PermissionError, NotARegularFileError) as fault:
        raise UserError(f"{file.name}: {fault.strerror}") from None
    totals.examples += seen.examples
    totals.bytes += seen.size
    yield from _file_faults(file, seen)


@dataclass(slots=True)
class _Seen:
    """The part of a file that has been read."""

    examples: int = 0
    size: int = 0
    last: bytes = b""
    digest: Any = field(default_factory=sha256)

    def add(self, line: bytes, size: int) -> None:
        self.examples += 1
        self.size += size
        self.last = line[-1:]
        self.digest.update(line)


def _file_faults(file: JsonlFile, seen: _Seen) -> Iterator[Problem]:
    if seen.last not in (b"", b"\n"):
        detail = "the last line does not end in a newline"
        yield Problem(f"{file.name}:{seen.examples}", WARNING, "final_newline", detail)
    shard = file.shard
    if shard and file.max_lines is None and (seen.size, seen.digest.hexdigest()) != (shard.bytes, shard.sha256):
        sizes = f"{seen.size:,} bytes, listed: {shard.bytes:,}"
        detail = f"the shard differs from its entry in dataset.json ({sizes}); run cliptune prepare again"
        yield Problem(f"{file.name}:0", ERROR, "changed_shard", detail)


def _lines(stream: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Each line with its newline, and its size. Only the beginning of an overlong line is kept, to bound memory."""
    while line := stream.readline(MAX_LINE_BYTES + 1):
        size, end = len(line), line
        while len(line) > MAX_LINE_BYTES and end and not end.endswith(b"\n"):
            end = stream.readline(1 << 20)
            size += len(end)
        yield line if size == len(line) else line + b"\n", size


def _check_numbered(line: bytes, source: str, provider: Provider) -> tuple[list[Problem], Facts]:
    if len(line) > MAX_LINE_BYTES:
        detail = f"the line is longer than {MAX_LINE_BYTES:,} bytes"
        return [Problem(source, ERROR, "line_bytes", detail)], Facts()
    return provider.check_line(line.removesuffix(b"\n"), source)


def _leaks(split: str, facts: Facts, source: str, held_out: dict[str, tuple[str, str]]) -> Iterator[Problem]:
    """A problem if the audio is held out and trained on, because the metrics would then look too good."""
    if facts.audio is None:
        return
    if split in HELD_OUT:
        held_out.setdefault(facts.audio, (split, source))
    elif facts.audio in held_out:
        other, where = held_out[facts.audio]
        detail = f"the audio is also in the {other} split, at {where}"
        yield Problem(source, ERROR, "audio_in_both_splits", detail)


def _groups_in_both(folder: str, storage: Storage) -> Iterator[Problem]:
    """A problem for each group that is held out and trained on: only the manifest itself can have marked it so."""
    held_out: dict[object, object] = {}
    for row in _grouped(folder, HELD_OUT, storage):
        held_out.setdefault(row["group"], row["source"])
    for row in _grouped(folder, (TRAIN,), storage):
        other = held_out.pop(row["group"], None)
        if other is not None:
            detail = f"group {row['group']!r} is in both splits, at {other} too; mark all its rows for one split"
            yield Problem(str(row["source"]), WARNING, "group_in_both_splits", detail)


def _grouped(folder: str, splits: Sequence[str], storage: Storage) -> Iterator[dict[str, object]]:
    columns = ["source", "status", "split", "group"]
    for row in dataset.ledger_rows(folder, storage, columns):
        if row["status"] == "accepted" and row["split"] in splits and row.get("group"):
            yield row


def _limits(files: Sequence[JsonlFile], findings: Findings) -> Iterator[Problem]:
    """Checks the limits of a whole dataset."""
    names = {file.split: f"{file.name}:0" for file in reversed(files)}
    train, validation = findings.splits[TRAIN], findings.splits[VALIDATION]
    if not train.examples:
        source = names.get(TRAIN) or names.get(VALIDATION) or "dataset.json:0"
        yield Problem(source, ERROR, "no_examples", "the train split has no examples")
    # `tune` joins shards and may cut them to a prefix, a uniform sample. A single file can only be refused.
    joined_later = any(file.shard for file in files)
    for fault in sizes.over(train, validation):
        cut = fault.cut and joined_later
        remedy = "tune will leave the rest out" if cut else fault.remedy
        severity = WARNING if cut or not fault.certain else ERROR
        yield Problem(names[fault.split], severity, fault.rule, f"{fault.detail}; {remedy}")
