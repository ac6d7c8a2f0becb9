"""Finds the clips of the examples that the service left out of the tuning.

The service names only a sample of them: `truncatedExampleIndices` holds line
numbers of the training file, from 1, and `droppedExampleReasons` holds a reason
for each of them (documented at `SupervisedTuningDataStats`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from transforms.errors import UserError
from tuning.dataset import TRAIN, Dataset
from tuning.providers.base import TuningJob

_COLUMNS = ["clip_id", "source", "split", "shard_index", "line_index", "status"]


@dataclass(frozen=True, slots=True)
class Dropped:
    """An example that the service left out.

    Attributes:
      line: its line in the training file, from 1.
      clip_id: its clip; "" if the dataset has no such line.
      source: "manifest:line" of the clip.
      reason: the service's own words; "" if it gave none.
    """

    line: int
    clip_id: str
    source: str
    reason: str


def count(job: TuningJob) -> int:
    """The number of examples that were left out. `dropped` names a sample of them."""
    stats = job.data_stats or {}
    return max(int(stats.get("total_truncated_example_count") or 0), len(stats.get("truncated_example_indices") or ()))


def dropped(job: TuningJob, prepared: Dataset) -> list[Dropped]:
    """The left-out examples that the service names, in the service's order.

    Args:
      job: a job that has ended.
      prepared: the dataset it was tuned on. Its shards were joined in order.
    """
    stats = job.data_stats or {}
    lines = [int(line) for line in stats.get("truncated_example_indices") or ()]
    reasons = itertools.chain(stats.get("dropped_example_reasons") or (), itertools.repeat(""))
    clips = _clips(prepared, set(lines))
    return [
        Dropped(line, *clips.get(line, ("", "")), str(reason)) for line, reason in zip(lines, reasons, strict=False)
    ]


def _clips(prepared: Dataset, lines: set[int]) -> dict[int, tuple[str, str]]:
    """The clip id and source of each given line of the joined training file."""
    if not lines:
        return {}
    numbered = enumerate(_places(prepared), 1)
    places = {place: line for line, place in numbered if line in lines}
    try:
        rows = list(prepared.ledger_rows(_COLUMNS))
    except (FileNotFoundError, UserError):  # a missing or damaged ledger must not hide how the job ended
        return {}
    return {
        places[place]: (str(row["clip_id"]), str(row["source"]))
        for row in rows
        if row["split"] == TRAIN
        and row["status"] == "accepted"
        and (place := (row["shard_index"], row["line_index"])) in places
    }


def _places(prepared: Dataset) -> Iterator[tuple[object, object]]:
    """The shard and the line in it, from 0, of each line of the joined training file."""
    for number, shard in enumerate(prepared.splits[TRAIN]):
        for index in range(shard.examples):
            yield number, index
