"""Every answer scored, and sums of scores over groups of clips, ready to be resampled."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from transforms.listener import SILENT, Listener
from transforms.settings import JSON, TEXT, Task
from tuning.evaluation import metrics, normalizers, scripts
from tuning.evaluation.answers import Answer, System
from tuning.evaluation.bootstrap import Array, Dense, Interval, Numbers, Replicates, Resamples, Sparse
from tuning.evaluation.clips import HeldOut
from tuning.evaluation.json_fields import Fields
from tuning.evaluation.metrics import Metric

NOTHING = Answer(None)


@dataclass(frozen=True)
class Scores:
    """The counts of all systems about the clips of one task.

    Attributes:
      task: its name; "" for the clips of a dataset without tasks.
      kind: "text", "labels" or "json".
      clips: of the task.
      metrics: of the task, the first for people.
      systems: names, in order.
      counts: shape (clips, all counts of all metrics of all systems), but for wide metrics.
      columns: where the counts of a system's metric are.
      wide: of a system's wide metric, the numbers of what each answer counts for, shape (clips, n); -1 for none.
      groups: number of each clip's group, shape (clips,).
      seed: of the resamples.
      normalizer: key of `NORMALIZERS`: what made texts alike.
      fields: of targets that are JSON: by system and path, clips, those of which it is right, values that are right,
        meant, said.
    """

    task: str
    kind: str
    clips: Sequence[HeldOut]
    metrics: tuple[Metric, ...]
    systems: tuple[str, ...]
    counts: Array
    columns: Mapping[tuple[str, str], slice]
    wide: Mapping[tuple[str, str], Numbers]
    groups: Numbers
    seed: int
    normalizer: str
    fields: Mapping[str, Mapping[str, Sequence[int]]]

    def of(self, system: str, metric: Metric) -> Array:
        """The counts of one system's metric that is not wide, shape (clips, n)."""
        return self.counts[:, self.columns[system, metric.name]]

    def resamples(self, chosen: Numbers | None = None) -> Drawn:
        """Resamples over the groups of all clips, or of some.

        Args:
          chosen: indices of the clips; None for all.
        """
        some = np.arange(len(self.clips)) if chosen is None else chosen
        _, groups = np.unique(self.groups[some], return_inverse=True)
        count = int(groups.max(initial=-1)) + 1
        sums = np.zeros((count, self.counts.shape[1]))
        np.add.at(sums, groups, self.counts if chosen is None else self.counts[some])
        return Drawn(self, some, groups, Resamples(Dense(sums), self.seed))

    def interval(self, drawn: Drawn, system: str, metric: Metric) -> Interval:
        """A system's value."""
        return drawn.replicates(system, metric).interval()

    def difference(self, drawn: Drawn, first: str, second: str, metric: Metric) -> Interval:
        """The value of the first system less that of the second."""
        return drawn.replicates(first, metric).minus(drawn.replicates(second, metric)).interval()


@dataclass(frozen=True)
class Drawn:
    """The resamples of some clips.

    Attributes:
      scores: of all clips.
      chosen: indices of the clips.
      groups: number of each one's group, without gaps.
      sums: the resamples of all counts but the wide ones.
    """

    scores: Scores
    chosen: Numbers
    groups: Numbers
    sums: Resamples
    _kept: dict[tuple[str, str], Replicates] = field(default_factory=dict)

    def replicates(self, system: str, metric: Metric) -> Replicates:
        """The values of a system's metric."""
        key = system, metric.name
        if key not in self._kept:
            self._kept[key] = self._wide(key, metric) if metric.width else self._dense(key, metric)
        return self._kept[key]

    def _dense(self, key: tuple[str, str], metric: Metric) -> Replicates:
        columns = self.scores.columns[key]
        return self.sums.replicates(lambda sums: metric.value(sums[..., columns]))

    def _wide(self, key: tuple[str, str], metric: Metric) -> Replicates:
        numbers = self.scores.wide[key][self.chosen]
        there = numbers >= 0
        rows = np.broadcast_to(self.groups[:, None], numbers.shape)[there]
        sums = Sparse(rows, numbers[there], self.sums.sums.groups, metric.width)
        # The same seed and as many groups: the same groups are drawn as for all other metrics and systems.
        return Resamples(sums, self.scores.seed).replicates(metric.value)


def score(
    clips: Sequence[HeldOut],
    systems: Sequence[System],
    tasks: Mapping[str, Task],
    normalizer: str,
    seed: int,
    listener: Listener = SILENT,
    own: Mapping[str, str] | None = None,
) -> list[Scores]:
    """Scores of each task that there are clips of.

    Args:
      clips: of the split.
      systems: whose answers are scored; a clip without an answer counts as an empty one.
      tasks: of the dataset.
      normalizer: key of `NORMALIZERS`.
      seed: of the resamples.
      listener: is told how many answers have been scored.
      own: normalisers of single tasks, by their names.
    """
    numbers: dict[str, int] = {}
    parts: dict[str, list[HeldOut]] = {}
    for clip in clips:
        numbers.setdefault(clip.cluster, len(numbers))
        parts.setdefault(clip.task if clip.task in tasks else "", []).append(clip)
    names = sorted(parts, key=[*tasks, ""].index)
    same = {name: (own or {}).get(name, normalizer) for name in names}
    with listener.progress("scoring", len(systems) * len(clips), "answers") as update:
        done = itertools.accumulate(len(parts[name]) for name in names for _ in systems)
        return [
            _of_task(tasks.get(name), parts[name], systems, same[name], numbers, seed, lambda: update(next(done), ""))
            for name in names
        ]


def _of_task(
    task: Task | None,
    clips: list[HeldOut],
    systems: Sequence[System],
    normalizer: str,
    numbers: Mapping[str, int],
    seed: int,
    scored: Callable[[], None],
) -> Scores:
    kind = task.target if task else TEXT
    same = normalizers.find(normalizer)
    fields_of = metrics.fields_of(task, same) if task and kind == JSON else None
    rows = metrics.of_task(task, same, fields_of)
    if kind == TEXT and _mostly_unspaced(clips):
        rows = (metrics.CER, metrics.WER)
    shown = same if kind == TEXT else str
    targets = [shown(clip.target) for clip in clips]
    narrow = [metric for metric in rows if not metric.width]
    parts: list[Array] = []
    columns: dict[tuple[str, str], slice] = {}
    wide: dict[tuple[str, str], Numbers] = {}
    fields: dict[str, dict[str, Sequence[int]]] = {}
    start = 0
    for system in systems:
        pairs = [
            (target, shown(system.answers.get(clip.clip_id, NOTHING).said))
            for target, clip in zip(targets, clips, strict=True)
        ]
        # One answer after the other, for the metrics of JSON parse it once.
        tally = fields[system.name] = {}
        counts: list[list[float]] = []
        for pair in pairs:
            counts.append([n for metric in narrow for n in metric.counts(*pair)])
            if fields_of:
                _add(tally, fields_of(*pair))
        parts.append(np.array(counts, dtype=np.float64))
        for metric in narrow:
            columns[system.name, metric.name] = slice(start, start := start + len(metric.counts(*pairs[0])))
        for metric in rows:
            if metric.width:
                wide[system.name, metric.name] = np.array([metric.counts(*pair) for pair in pairs], dtype=np.intp)
        scored()
    groups = np.array([numbers[clip.cluster] for clip in clips], dtype=np.intp)
    names = tuple(system.name for system in systems)
    name = task.name if task else ""
    every = np.concatenate(parts, axis=1)
    return Scores(name, kind, clips, rows, names, every, columns, wide, groups, seed, normalizer, fields)


def _add(tally: dict[str, Sequence[int]], found: Fields) -> None:
    for path, (right, meant, said) in found.items():
        clips, exact, *sums = tally.get(path, (0, 0, 0, 0, 0))
        is_exact = int(right == meant == said)
        tally[path] = (clips + 1, exact + is_exact, sums[0] + right, sums[1] + meant, sums[2] + said)


def _mostly_unspaced(clips: Sequence[HeldOut]) -> bool:
    return 2 * sum(scripts.unspaced(clip.target) for clip in clips) > len(clips)
