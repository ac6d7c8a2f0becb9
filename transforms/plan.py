"""What a run is going to do, counted from the manifests before anything is decoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from hashlib import blake2b

import orjson

from transforms import assign
from transforms.clip import Clip, Outcome
from transforms.settings import Settings

# One shard is one unit of work and of loss: about 64 clips keep both small
# without making files so small that a bucket's per-object costs dominate.
CLIPS_PER_SHARD = 64
# Rows that never become clips are only written to sidecars, in far larger portions.
REJECTS_PER_SHARD = 4_096
REJECTED = "rejected"

ShardKey = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Plan:
    """The shape of a dataset, the same for any order of its manifests' rows.

    Attributes:
      rows: manifest rows, readable or not.
      rows_digest: over the contents of all rows, independent of their order.
      num_shards: shards of "train", "validation" and "rejected" (sidecars only).
      validation_keys: `assign.split_key` of the groups chosen for validation.
    """

    rows: int
    rows_digest: str
    num_shards: dict[str, int]
    validation_keys: frozenset[int]

    def shard_keys(self) -> list[ShardKey]:
        """Every shard that will exist, filled or empty, in the ledger's order."""
        return [(split, index) for split, count in self.num_shards.items() for index in range(count)]


def make_plan(rows: Iterable[Clip | Outcome], settings: Settings, shard_clips: int = CLIPS_PER_SHARD) -> Plan:
    """Counts the rows and fixes the split and the number of shards.

    Memory grows with the number of groups only (a counter of 64-bit keys).
    """
    marked: Counter[str] = Counter()
    groups: Counter[int] = Counter()
    total = digest = unreadable = 0
    for row in rows:
        total += 1
        digest = (digest + _row_digest(row)) % (1 << 256)  # a sum does not depend on the order
        if isinstance(row, Outcome):
            unreadable += 1
        elif row.split:
            marked[row.split] += 1
        else:
            groups[assign.split_key(row)] += 1
    # A manifest that marks splits has chosen its validation clips itself.
    validation = frozenset() if marked else assign.choose_validation(groups, settings.validation_fraction)
    marked[assign.VALIDATION] += sum(groups[key] for key in validation)
    marked[assign.TRAIN] += sum(groups.values()) - sum(groups[key] for key in validation)
    shards = {split: -(-marked[split] // shard_clips) for split in (assign.TRAIN, assign.VALIDATION)}
    # Duplicated ids, found later, join the unreadable rows; so at least one shard.
    shards[REJECTED] = max(1, -(-unreadable // REJECTS_PER_SHARD))
    return Plan(total, f"{digest:064x}", shards, validation)


def _row_digest(row: Clip | Outcome) -> int:
    content = asdict(row)
    del content["source"]  # the same row further down is the same row
    return int.from_bytes(blake2b(orjson.dumps(content, option=orjson.OPT_SORT_KEYS), digest_size=32).digest(), "big")
