"""The plan of a run: rows, splits and shards, counted from the manifests before anything is decoded."""

from __future__ import annotations

import functools
import heapq
import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

import orjson

from transforms.bounds import MAX_SHARD_BYTES
from transforms.clip import Clip, Outcome
from transforms.dataset import assign
from transforms.keys import Keys
from transforms.manifests.places import NOWHERE, Places
from transforms.settings import Settings

# A shard is the unit of work, and of loss when a run is killed. 64 clips keep both small; with fewer, a bucket's costs
# of each object would dominate.
CLIPS_PER_SHARD = 64
# Rows that are no clips only go to sidecars, which may be far larger.
REJECTS_PER_SHARD = 4_096
LEDGER_ROWS_PER_FILE = 50_000
REJECTED = assign.REJECTED
# The plan is sent to every worker.
MAX_DOUBLED_IDS = 100_000

ShardKey = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Plan:
    """The shape of a dataset, the same for any order of its manifests' rows.

    Attributes:
      rows: manifest rows, readable or not.
      rows_digest: over the contents of all rows, independent of their order.
      num_shards: shards of "train", "validation", "test" where rows are marked so, and "rejected" (sidecars only).
      validation_keys: `assign.split_key` of the groups chosen for validation.
      prompts: how many different prompts the rows of each task have.
      torn_groups: groups whose rows are marked for several splits.
      sources_digest: as `rows_digest`, over the places of the rows too.
      doubled: `assign.order_key` of the ids that more than one clip has; None for more than `MAX_DOUBLED_IDS` of them.
      validation_share: part of the clips that validation was to have, where whole groups may force it off; else None.
      remarks: what is to be said of the manifests' columns, one sentence each.
      nuls: rows with a NUL character in one of their texts.
    """

    rows: int
    rows_digest: str
    num_shards: dict[str, int]
    validation_keys: frozenset[int]
    prompts: Mapping[str, int] = field(default_factory=dict)
    torn_groups: int = 0
    sources_digest: str = ""
    doubled: frozenset[int] | None = frozenset()
    validation_share: float | None = None
    remarks: tuple[str, ...] = ()
    nuls: int = 0

    def has_doubled_ids(self) -> bool:
        """Whether some id belongs to more than one clip."""
        return self.doubled is None or bool(self.doubled)

    def may_be_doubled(self, clip_id: str) -> bool:
        """Whether another clip may have this id; False only if no other has."""
        return self.doubled is None or assign.order_key(clip_id) in self.doubled

    def shard_keys(self) -> list[ShardKey]:
        """Every shard that will exist, filled or empty, in the ledger's order."""
        return [(split, index) for split, count in self.num_shards.items() for index in range(count)]


def make_plan(
    rows: Iterable[Clip | Outcome],
    settings: Settings,
    shard_clips: int | None = None,
    digests: Digests | None = None,
) -> Plan:
    """Counts the rows and fixes the split and the number of shards.

    Memory grows with the number of different prompts (64-bit keys), and by sixteen bytes a clip.

    Args:
      rows: of all manifests, in any order.
      settings: for the share of validation and the default prompt.
      shard_clips: clips of a full shard; None for `CLIPS_PER_SHARD`.
      digests: of the rows, by their places, so that their spelling is in none; None for rows without places.
    """
    shard_clips = CLIPS_PER_SHARD if shard_clips is None else shard_clips
    tally = _Tally(digests or Digests(NOWHERE))
    for row in rows:
        tally.add(row, settings)
    # A manifest that marks rows for train or validation has chosen its validation clips itself.
    has_chosen = bool(tally.marked[assign.TRAIN] or tally.marked[assign.VALIDATION])
    validation = frozenset() if has_chosen else assign.choose_validation(tally.unmarked, settings.validation_fraction)
    unmarked = len(tally.unmarked)
    held_out = sum(size for key, size in tally.unmarked.counted() if key in validation) if validation else 0
    clips = {
        assign.TRAIN: len(tally.marked[assign.TRAIN]) + unmarked - held_out,
        assign.VALIDATION: len(tally.marked[assign.VALIDATION]) + held_out,
    }
    if marked := len(tally.marked[assign.TEST]):
        clips[assign.TEST] = marked
    # Rows that are very long fill a shard before it has all its clips.
    shards = {
        split: max(-(-count // shard_clips), _filled_by(tally.clip_bytes, count)) for split, count in clips.items()
    }
    # At least one shard. Clips with a duplicate id, which are found later, go there too.
    repeats = list(tally.ids.repeats())
    doubled, rejects = frozenset(repeats), tally.unreadable + len(repeats)
    shards[REJECTED] = max(1, -(-rejects // REJECTS_PER_SHARD), _filled_by(tally.unreadable_bytes, rejects))
    prompts = {task: len(seen) for task, seen in sorted(tally.prompts.items())}
    grouped = not has_chosen and next(tally.unmarked.repeats(), None) is not None
    return Plan(
        tally.rows,
        _hexadecimal(tally.digest),
        shards,
        validation,
        prompts,
        tally.torn_groups(),
        _hexadecimal(tally.sources_digest),
        doubled if len(doubled) <= MAX_DOUBLED_IDS else None,
        assign.validation_limit(unmarked, settings.validation_fraction) / unmarked if grouped else None,
        nuls=tally.nuls,
    )


def _hexadecimal(digest: int) -> str:
    """256 bits of a sum of digests."""
    return f"{digest % (1 << 256):064x}"


def _filled_by(num_bytes: int, rows: int) -> int:
    """How many shards so many bytes fill, of at most so many rows."""
    return min(rows, num_bytes // MAX_SHARD_BYTES)


@dataclass(slots=True)
class _Tally:
    """The counts, while the manifests are read.

    Attributes:
      digests: of the rows.
      rows: of any kind.
      unreadable: rows that are no clips.
      clip_bytes: of the clips' texts and rows.
      unreadable_bytes: of the other rows.
      digest: over the contents of all rows.
      sources_digest: over their contents and their places.
      marked: of clips whose row names their split: by split, the group of each.
      unmarked: the group of each of the others.
      prompts: hashes of the prompts of each task.
      ids: `assign.order_key` of every clip.
      nuls: clips with a NUL character in one of their texts.
    """

    digests: Digests
    rows: int = 0
    unreadable: int = 0
    clip_bytes: int = 0
    unreadable_bytes: int = 0
    digest: int = 0
    sources_digest: int = 0
    marked: defaultdict[str, Keys] = field(default_factory=lambda: defaultdict(Keys))
    unmarked: Keys = field(default_factory=Keys)
    prompts: defaultdict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    ids: Keys = field(default_factory=Keys)
    nuls: int = 0

    def add(self, row: Clip | Outcome, settings: Settings) -> None:
        """Counts one row."""
        self.rows += 1
        content, placed = self.digests.of(row)
        # A sum is the same in any order.
        self.digest += content
        self.sources_digest += placed
        if isinstance(row, Outcome):
            self.unreadable += 1
            self.unreadable_bytes += len(row.row or "")
            return
        self.clip_bytes += len(row.row) + len(row.target) + len(row.prompt) + len(row.system_instruction)
        self.prompts[row.task].add(_prompt_key(row.prompt or settings.prompt))
        self.ids.add(assign.order_key(row.clip_id))
        self.nuls += _has_nul(row, settings)
        groups = self.marked[row.split] if row.split else self.unmarked
        groups.add(assign.split_key(row))

    def torn_groups(self) -> int:
        """Groups in several splits. Unmarked rows count for train, where they go."""
        train = heapq.merge(self.marked[assign.TRAIN], self.unmarked)
        splits = [train, *(iter(self.marked[split]) for split in assign.HELD_OUT if self.marked[split])]
        if len(splits) == 1:
            return 0
        found = heapq.merge(*((key for key, _ in itertools.groupby(split)) for split in splits))
        return sum(len([*same]) > 1 for _, same in itertools.groupby(found))


_prompt_key = functools.lru_cache(maxsize=16)(assign.hash64)  # most rows have one of a few prompts


def _has_nul(clip: Clip, settings: Settings) -> bool:
    return "\0" in clip.target or "\0" in (clip.prompt or settings.prompt) or "\0" in clip.system_instruction


class Digests:
    """The digests of rows that come one after the other. Several steps ask for those of one row: they are made once.

    Args:
      places: of the rows.
    """

    def __init__(self, places: Places) -> None:
        self._places = places
        self._row: Clip | Outcome | None = None
        self._digests = (0, 0)

    def of(self, row: Clip | Outcome) -> tuple[int, int]:
        """A digest of the row's contents, which are the same on any line, and one of contents and line."""
        if row is not self._row:
            self._row, self._digests = row, self._made(row)
        return self._digests

    def _made(self, row: Clip | Outcome) -> tuple[int, int]:
        fields = self._places.fields(row)
        source = fields.pop("source")
        content = blake2b(orjson.dumps(fields), digest_size=32).digest()
        placed = blake2b(source.encode(), digest_size=32, key=content).digest()
        return int.from_bytes(content, "big"), int.from_bytes(placed, "big")
