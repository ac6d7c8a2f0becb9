"""Examples that the service left out, led back to the clips they are of.

The service tells of a sample only, by positions in the training file that count
from 1 (documented at `SupervisedTuningDataStats`): `truncatedExampleIndices`,
and for each of them one of `droppedExampleReasons`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from transforms.dataset import ledger
from transforms.storage import uris
from tuning.dataset import TRAIN, Dataset
from tuning.providers.base import TuningJob

_COLUMNS = ["clip_id", "source", "split", "shard_index", "line_index", "status"]


@dataclass(frozen=True, slots=True)
class Dropped:
    """One example that was left out.

    Attributes:
      line: in the training file, from 1.
      clip_id: "" where the dataset has no such line.
      source: "manifest:line" of the clip.
      reason: the service's own words; "" without any.
    """

    line: int
    clip_id: str
    source: str
    reason: str


def count(job: TuningJob) -> int:
    """How many examples were left out, of which `dropped` names a sample."""
    stats = job.data_stats or {}
    return max(int(stats.get("total_truncated_example_count") or 0), len(stats.get("truncated_example_indices") or ()))


def dropped(job: TuningJob, prepared: Dataset) -> list[Dropped]:
    """The examples that the service names, in its own order.

    Args:
      job: that has ended.
      prepared: the dataset it was tuned on, whose shards were joined in order.
    """
    stats = job.data_stats or {}
    lines = [int(line) for line in stats.get("truncated_example_indices") or ()]
    reasons = itertools.chain(stats.get("dropped_example_reasons") or (), itertools.repeat(""))
    clips = _clips(prepared, set(lines))
    return [
        Dropped(line, *clips.get(line, ("", "")), str(reason)) for line, reason in zip(lines, reasons, strict=False)
    ]


def _clips(prepared: Dataset, lines: set[int]) -> dict[int, tuple[str, str]]:
    """Clip id and source by line of the joined training file."""
    if not lines:
        return {}
    numbered = enumerate(_places(prepared), 1)
    places = {place: line for line, place in numbered if line in lines}
    try:
        rows = list(ledger.read_ledger(uris.join(prepared.uri, "ledger"), prepared.storage, _COLUMNS))
    except (FileNotFoundError, ValueError):  # gone or damaged: the job has ended all the same
        return {}
    return {
        places[place]: (str(row["clip_id"]), str(row["source"]))
        for row in rows
        if row["split"] == TRAIN
        and row["status"] == "accepted"
        and (place := (row["shard_index"], row["line_index"])) in places
    }


def _places(prepared: Dataset) -> Iterator[tuple[object, object]]:
    """Shard, and line in it from 0, of each line of the joined file."""
    for number, shard in enumerate(prepared.splits[TRAIN]):
        for index in range(shard.examples):
            yield number, index
