"""One JSONL file a split: the service takes exactly one object, and at most 1e9 bytes of it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import orjson

from transforms import limits
from transforms.storage import uris
from tuning.check.files import JsonlFile
from tuning.dataset import TRAIN, VALIDATION, Dataset, Shard

MAX_EXAMPLES = {TRAIN: limits.MAX_TRAIN_EXAMPLES, VALIDATION: limits.MAX_VALIDATION_EXAMPLES}


@dataclass(frozen=True, slots=True)
class Joined:
    """The file of one split.

    Attributes:
      split: "train" or "validation".
      uri: absolute path or gs:// URI.
      examples: lines in it.
      bytes: its size.
      left_out: examples of the split that did not fit.
    """

    split: str
    uri: str
    examples: int
    bytes: int
    left_out: int


@dataclass(frozen=True, slots=True)
class Plan:
    """How the file of one split is made.

    Attributes:
      joined: what it will be.
      whole: shards that are taken whole.
      part: the shard of which only the first lines fit, if any.
      part_lines: how many of them.
    """

    joined: Joined
    whole: tuple[Shard, ...]
    part: Shard | None = None
    part_lines: int = 0


def plan(prepared: Dataset, folder: str) -> list[Plan]:
    """What of each split goes into its file in `folder`; a split without examples has none.

    Where a split is over a limit, whole lines are taken from its beginning:
    examples are in hash order, so that is a uniform sample.
    """
    return [_plan(prepared, split, folder) for split in (VALIDATION, TRAIN) if prepared.examples(split)]


def _plan(prepared: Dataset, split: str, folder: str) -> Plan:
    whole: list[Shard] = []
    part, lines, examples, size = None, [], 0, 0
    for shard in prepared.splits[split]:
        if size + shard.bytes > limits.MAX_FILE_BYTES or examples + shard.examples > MAX_EXAMPLES[split]:
            part = shard
            uri = uris.join(prepared.uri, shard.path)
            if not prepared.storage.exists(uri):
                raise prepared.changed()
            lines = _first_lines(prepared, uri, limits.MAX_FILE_BYTES - size, MAX_EXAMPLES[split] - examples)
            break
        whole.append(shard)
        examples, size = examples + shard.examples, size + shard.bytes
    examples, size = examples + len(lines), size + sum(map(len, lines))
    uri = uris.join(folder, f"{split}.jsonl")
    joined = Joined(split, uri, examples, size, prepared.examples(split) - examples)
    return Plan(joined, tuple(whole), part, len(lines))


def files_to_check(prepared: Dataset, plans: Sequence[Plan]) -> list[JsonlFile]:
    """The shards, or beginnings of shards, that will be in the files."""
    files = []
    for each in plans:
        split = each.joined.split
        files += [JsonlFile.of(prepared, split, shard) for shard in each.whole]
        if each.part and each.part_lines:
            files.append(replace(JsonlFile.of(prepared, split, each.part), max_lines=each.part_lines))
    return files


def join(prepared: Dataset, plans: list[Plan], folder: str) -> bool:
    """Writes the files, unless an earlier run has.

    Returns:
      Whether they were there already.
    """
    note = uris.join(folder, "joined.json")
    mine = _note(prepared, plans)
    if mine == _earlier(prepared, note) and all(_has_size(prepared, each.joined) for each in plans):
        return True
    prepared.storage.delete(note)
    for each in plans:
        _write(prepared, each)
    prepared.storage.write_bytes(note, mine)
    return False


def _first_lines(prepared: Dataset, uri: str, most_bytes: int, most_lines: int) -> list[bytes]:
    lines = []
    with prepared.storage.open_read(uri) as stream:
        for line in itertools.islice(stream, most_lines):
            most_bytes -= len(line)
            if most_bytes < 0:
                break
            lines.append(line)
    return lines


def _write(prepared: Dataset, plan: Plan) -> None:
    sources = [uris.join(prepared.uri, shard.path) for shard in plan.whole]
    if plan.part is None:
        prepared.storage.concatenate(sources, plan.joined.uri)
        return
    rest = f"{plan.joined.uri}.rest"
    lines = _first_lines(prepared, uris.join(prepared.uri, plan.part.path), limits.MAX_FILE_BYTES, plan.part_lines)
    prepared.storage.write_bytes(rest, b"".join(lines))
    try:
        prepared.storage.concatenate([*sources, rest], plan.joined.uri)
    finally:
        prepared.storage.delete(rest)


def _note(prepared: Dataset, plans: list[Plan]) -> bytes:
    """What `joined.json` says: of which dataset the files are, and how large."""
    splits = {plan.joined.split: asdict(plan.joined) for plan in plans}
    tree = {"fingerprint": prepared.fingerprint, "splits": splits}
    return orjson.dumps(tree, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _earlier(prepared: Dataset, note: str) -> bytes | None:
    try:
        return prepared.storage.read_bytes(note)
    except FileNotFoundError:
        return None


def _has_size(prepared: Dataset, joined: Joined) -> bool:
    try:
        return prepared.storage.size(joined.uri) == joined.bytes
    except FileNotFoundError:
        return False
