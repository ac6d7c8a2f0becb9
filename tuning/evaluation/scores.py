"""Every answer scored, and sums of scores over groups of clips, ready to be resampled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from transforms.settings import TEXT, Task
from tuning.evaluation import metrics, normalizers, scripts
from tuning.evaluation.answers import Answer, System
from tuning.evaluation.bootstrap import Array, Interval, Resamples
from tuning.evaluation.clips import HeldOut
from tuning.evaluation.metrics import Metric

NOTHING = Answer(None)


@dataclass(frozen=True)
class Scores:
    """The counts of all systems about clips of one kind of target.

    Attributes:
      kind: "text", "labels" or "json".
      clips: whose targets are of this kind.
      metrics: of this kind, the first for people.
      systems: names, in order.
      counts: shape (clips, all counts of all metrics of all systems).
      columns: where the counts of a system's metric are.
      groups: number of each clip's group, shape (clips,).
      seed: of the resamples.
    """

    kind: str
    clips: Sequence[HeldOut]
    metrics: tuple[Metric, ...]
    systems: tuple[str, ...]
    counts: Array
    columns: Mapping[tuple[str, str], slice]
    groups: npt.NDArray[np.intp]
    seed: int

    def of(self, system: str, metric: Metric) -> Array:
        """The counts of one system's metric, shape (clips, n)."""
        return self.counts[:, self.columns[system, metric.name]]

    def resamples(self, chosen: npt.NDArray[np.intp] | None = None) -> Resamples:
        """Resamples over the groups of all clips, or of some.

        Args:
          chosen: indices of the clips; None for all.
        """
        counts = self.counts if chosen is None else self.counts[chosen]
        _, groups = np.unique(self.groups if chosen is None else self.groups[chosen], return_inverse=True)
        sums = np.zeros((int(groups.max(initial=-1)) + 1, counts.shape[1]))
        np.add.at(sums, groups, counts)
        return Resamples(sums, self.seed)

    def value(self, system: str, metric: Metric) -> Callable[[Array], Array]:
        """The value of sums of all counts, shape (..., n), for one system."""
        columns = self.columns[system, metric.name]
        return lambda sums: metric.value(sums[..., columns])

    def interval(self, drawn: Resamples, system: str, metric: Metric) -> Interval:
        """A system's value."""
        return drawn.interval(self.value(system, metric))

    def difference(self, drawn: Resamples, first: str, second: str, metric: Metric) -> Interval:
        """The value of the first system less that of the second."""
        one, other = self.value(first, metric), self.value(second, metric)
        return drawn.interval(lambda sums: one(sums) - other(sums))


def score(
    clips: Sequence[HeldOut],
    systems: Sequence[System],
    tasks: Mapping[str, Task],
    normalizer: str,
    seed: int,
    scored: Callable[[int], None] = lambda count: None,
) -> list[Scores]:
    """Scores of each kind of target that there is.

    Args:
      clips: of the split.
      systems: whose answers are scored; a clip without an answer counts as an empty one.
      tasks: of the dataset.
      normalizer: key of `NORMALIZERS`, for targets that are text.
      seed: of the resamples.
      scored: called with the answers of a system that have been scored.
    """
    numbers: dict[str, int] = {}
    for clip in clips:
        numbers.setdefault(clip.cluster, len(numbers))
    return [
        _of_kind(kind, [clip for clip in clips if clip.kind == kind], systems, tasks, normalizer, numbers, seed, scored)
        for kind in dict.fromkeys(clip.kind for clip in clips)
    ]


def _of_kind(
    kind: str,
    clips: list[HeldOut],
    systems: Sequence[System],
    tasks: Mapping[str, Task],
    normalizer: str,
    numbers: Mapping[str, int],
    seed: int,
    scored: Callable[[int], None],
) -> Scores:
    rows = metrics.of_task(kind, [task for task in tasks.values() if task.target == kind])
    if kind == TEXT and _mostly_unspaced(clips):
        rows = (metrics.CER, metrics.WER)
    same = normalizers.find(normalizer if kind == TEXT else normalizers.NONE)
    targets = [same(clip.target) for clip in clips]
    parts: list[Array] = []
    columns: dict[tuple[str, str], slice] = {}
    start = 0
    for system in systems:
        said = [same(system.answers.get(clip.clip_id, NOTHING).said) for clip in clips]
        for metric in rows:
            counts = np.array([metric.counts(*pair) for pair in zip(targets, said, strict=True)], dtype=np.float64)
            columns[system.name, metric.name] = slice(start, start := start + counts.shape[1])
            parts.append(counts)
        scored(len(clips))
    groups = np.array([numbers[clip.cluster] for clip in clips], dtype=np.intp)
    names = tuple(system.name for system in systems)
    return Scores(kind, clips, rows, names, np.concatenate(parts, axis=1), columns, groups, seed)


def _mostly_unspaced(clips: Sequence[HeldOut]) -> bool:
    return 2 * sum(scripts.unspaced(clip.target) for clip in clips) > len(clips)
