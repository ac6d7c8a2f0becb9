"""Joins the shards of a split into one JSONL file, because the service takes one object of at most 1e9 bytes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction

import orjson

from transforms import limits
from transforms.errors import UserError
from transforms.storage import uris
from tuning.check.files import JsonlFile
from tuning.dataset import DAMAGES, TRAIN, VALIDATION, Dataset, Shard, damage

WHOLE = Fraction(1)
MAX_EXAMPLES = {TRAIN: limits.MAX_TRAIN_EXAMPLES, VALIDATION: limits.MAX_VALIDATION_EXAMPLES}


@dataclass(frozen=True, slots=True)
class Joined:
    """The joined file of one split.

    Attributes:
      split: "train" or "validation".
      uri: absolute path or gs:// URI.
      examples: number of lines.
      bytes: size of the file.
      left_out: number of examples of the split that did not fit.
    """

    split: str
    uri: str
    examples: int
    bytes: int
    left_out: int


@dataclass(frozen=True, slots=True)
class Plan:
    """How the joined file of one split is made.

    Attributes:
      joined: the file that will be written.
      whole: shards that fit whole.
      part: the shard of which only the first lines fit; None without one.
      part_lines: the number of its lines that fit.
    """

    joined: Joined
    whole: tuple[Shard, ...]
    part: Shard | None = None
    part_lines: int = 0


def plan(prepared: Dataset, folder: str, fraction: Fraction = WHOLE) -> list[Plan]:
    """Plans the joined files in `folder`. A split without examples has no file.

    If a split is over a limit, its file holds the first lines of the split.
    Examples are in hash order, so these lines are a uniform sample.

    Args:
      prepared: the dataset.
      folder: of the joined files.
      fraction: of the lines of each split that fit. A smaller one is a prefix of a larger one.
    """
    plans = [
        _plan(prepared, split, MAX_EXAMPLES[split], uris.join(folder, f"{split}.jsonl"))
        for split in (VALIDATION, TRAIN)
        if prepared.examples(split)
    ]
    return plans if fraction == WHOLE else [_first(prepared, whole, fraction) for whole in plans]


def _first(prepared: Dataset, whole: Plan, fraction: Fraction) -> Plan:
    """The plan of a fraction of a file, which is a file of its own."""
    most = max(1, math.floor(whole.joined.examples * fraction))
    uri = f"{whole.joined.uri.removesuffix('.jsonl')}{_suffix(fraction)}.jsonl"
    found = _plan(prepared, whole.joined.split, most, uri)
    return replace(found, joined=replace(found.joined, left_out=whole.joined.left_out))


def _suffix(fraction: Fraction) -> str:
    return "" if fraction == WHOLE else f"-{fraction.numerator}-of-{fraction.denominator}"


def _plan(prepared: Dataset, split: str, most: int, uri: str) -> Plan:
    whole: list[Shard] = []
    part, lines, examples, size = None, [], 0, 0
    for shard in prepared.splits[split]:
        if size + shard.bytes > limits.MAX_FILE_BYTES or examples + shard.examples > most:
            part = shard
            source = uris.join(prepared.uri, shard.path)
            if not prepared.storage.exists(source):
                raise prepared.changed()
            lines = _first_lines(prepared, source, limits.MAX_FILE_BYTES - size, most - examples)
            break
        whole.append(shard)
        examples, size = examples + shard.examples, size + shard.bytes
    examples, size = examples + len(lines), size + sum(map(len, lines))
    joined = Joined(split, uri, examples, size, prepared.examples(split) - examples)
    return Plan(joined, tuple(whole), part, len(lines))


def files_to_check(prepared: Dataset, plans: Sequence[Plan]) -> list[JsonlFile]:
    """The shards, and beginnings of shards, that will be joined."""
    files = []
    for plan in plans:
        split = plan.joined.split
        files += [JsonlFile.of(prepared, split, shard) for shard in plan.whole]
        if plan.part and plan.part_lines:
            files.append(replace(JsonlFile.of(prepared, split, plan.part), max_lines=plan.part_lines))
    return files


def is_joined(prepared: Dataset, plans: Sequence[Plan], folder: str, fraction: Fraction = WHOLE) -> bool:
    """Whether the joined files of a fraction are there, as an earlier run has written them."""
    same = _note(prepared, plans) == _earlier_note(prepared, _note_uri(folder, fraction))
    return same and all(_has_size(prepared, plan.joined) for plan in plans)


def _note_uri(folder: str, fraction: Fraction) -> str:
    return uris.join(folder, f"joined{_suffix(fraction)}.json")


def join(prepared: Dataset, plans: list[Plan], folder: str, fraction: Fraction = WHOLE) -> bool:
    """Writes the joined files of a fraction, unless an earlier run has written them.

    Returns:
      Whether the files of an earlier run are reused.
    """
    if is_joined(prepared, plans, folder, fraction):
        return True
    uri, note = _note_uri(folder, fraction), _note(prepared, plans)
    prepared.storage.delete(uri)
    for plan in plans:
        _write(prepared, plan)
    if not all(_has_size(prepared, plan.joined) for plan in plans):  # other shards than those that were checked
        raise prepared.changed()
    prepared.storage.write_bytes(uri, note)
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


def _note(prepared: Dataset, plans: Sequence[Plan]) -> bytes:
    """The contents of `joined.json`: the dataset's fingerprint, and the joined files."""
    splits = {plan.joined.split: asdict(plan.joined) for plan in plans}
    tree = {"fingerprint": prepared.fingerprint, "splits": splits}
    return orjson.dumps(tree, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _earlier_note(prepared: Dataset, uri: str) -> bytes | None:
    try:
        return prepared.storage.read_record(uri)
    except FileNotFoundError:
        return None
    except DAMAGES as fault:
        problem = (
            f"{prepared.shown(uri)} is damaged ({damage(fault)}): it says from which dataset the files were joined"
        )
        raise UserError(f"{problem}; delete it, and cliptune tune joins them again") from None


def _has_size(prepared: Dataset, joined: Joined) -> bool:
    try:
        return prepared.storage.size(joined.uri) == joined.bytes
    except (FileNotFoundError, IsADirectoryError):
        return False
