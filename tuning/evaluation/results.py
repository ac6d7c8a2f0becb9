"""What the scores come to: each system's figures, of each task and of all, comparisons, and the values for gates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from transforms.settings import JSON, LABELS, TEXT, Task
from tuning.evaluation import compare, faults, gate, labels, metrics, normalizers, scripts, slices
from tuning.evaluation.answers import System
from tuning.evaluation.bootstrap import Interval
from tuning.evaluation.clips import HeldOut
from tuning.evaluation.compare import Comparison
from tuning.evaluation.labels import Labels
from tuning.evaluation.report import FieldScores, Insertions, SystemScores, TaskScores
from tuning.evaluation.scores import NOTHING, Scores

EDITS = ("substitutions", "deletions", "insertions")
COUNTS = ("clips", "missing", "empty", "repeated", "strangers")
FEW_GROUPS = 12
_MOST_FIELDS = 100

Intervals = Mapping[tuple[str, str], Interval]


@dataclass(frozen=True)
class Results:
    """What there is to tell of scores.

    Attributes:
      systems: by name, over all clips; with the metrics that only one task has.
      tasks: by name; {} for a dataset without tasks.
      comparisons: of every pair of systems, by every metric of every task.
      remarks: what a reader must know of these figures.
    """

    systems: dict[str, SystemScores]
    tasks: dict[str, TaskScores]
    comparisons: tuple[Comparison, ...]
    remarks: tuple[str, ...]


def results(
    held_out: Sequence[HeldOut],
    found: Sequence[System],
    scored: Sequence[Scores],
    wrong: faults.Found,
    tasks: Mapping[str, Task],
) -> Results:
    """Counts, values with intervals, and comparisons.

    Args:
      held_out: the clips of the split.
      found: the systems.
      scored: the scores of each task.
      wrong: the faults of all answers.
      tasks: of the dataset.
    """
    measured = [_measured(scores, len(scored) > 1) for scores in scored]
    told: dict[str, TaskScores] = {}
    alone: dict[str, dict[str, Any]] = {system.name: {} for system in found}
    for scores, (intervals, _) in zip(scored, measured, strict=True):
        values = {system.name: _values(system, scores, intervals, tasks.get(scores.task)) for system in found}
        for system in found:
            _keep_alone(alone[system.name], values[system.name])
        if task := tasks.get(scores.task):
            told[scores.task] = _task(task, scores, found, wrong, values)
    compared = tuple(comparison for _, some in measured for comparison in some)
    return Results(
        systems={
            system.name: _system(system, held_out, wrong, alone[system.name] | {"strangers": len(system.strangers)})
            for system in found
        },
        tasks=told,
        comparisons=compared,
        remarks=tuple(_remarks(scored, compared)),
    )


def _measured(scores: Scores, is_one_of_many: bool) -> tuple[Intervals, list[Comparison]]:
    drawn = scores.resamples()
    intervals = {
        (metric.name, name): scores.interval(drawn, name, metric)
        for metric in scores.metrics
        for name in scores.systems
    }
    named = any(clip.group for clip in scores.clips)
    groups = len({*scores.groups.tolist()})
    return intervals, compare.comparisons(scores, drawn, groups, named, scores.task if is_one_of_many else "")


def _values(system: System, scores: Scores, intervals: Intervals, task: Task | None) -> dict[str, Any]:
    """A system's metrics of a task, as fields of `SystemScores`."""
    values: dict[str, Any] = {metric.name: intervals[metric.name, system.name] for metric in scores.metrics}
    if task and scores.kind == LABELS:
        known = Labels(task.labels, normalizers.find(scores.normalizer))
        values["unparsable"], _ = labels.unparsable(known, (answer for _, answer in _pairs(scores, system)))
    if scores.kind == TEXT:
        sums = scores.of(system.name, metrics.WER).sum(axis=0)
        values |= {kind: int(count) for kind, count in zip(EDITS, sums, strict=False)}
        values["insertions_by_duration"] = insertions(scores, system.name)
    return values


# A field that two tasks have is of neither: what one adds to another's is no figure.
_OF_SEVERAL = object()


def _keep_alone(kept: dict[str, Any], values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        kept[name] = _OF_SEVERAL if name in kept else value


def _system(system: System, clips: Sequence[HeldOut], wrong: faults.Found, values: Mapping[str, Any]) -> SystemScores:
    answers = [system.answers[clip.clip_id] for clip in clips if clip.clip_id in system.answers]
    counts = Counter(name for clip in clips for name in wrong[system.name].get(clip.clip_id, ()))
    reasons = Counter(answer.finish_reason for answer in answers if answer.finish_reason)
    return SystemScores(
        clips=len(clips),
        missing=len(clips) - len(answers),
        empty=sum(not answer.said.strip() for answer in answers),
        repeated=sum(clip.clip_id in system.repeated for clip in clips),
        finish_reasons=dict(sorted(reasons.items())),
        faults={fault.name: counts[fault.name] for fault in faults.FAULTS if counts[fault.name]},
        **{name: value for name, value in values.items() if value is not _OF_SEVERAL},
    )


def _task(
    task: Task, scores: Scores, found: Sequence[System], wrong: faults.Found, values: Mapping[str, Mapping[str, Any]]
) -> TaskScores:
    return TaskScores(
        target=scores.kind,
        clips=len(scores.clips),
        groups=len({*scores.groups.tolist()}),
        normalizer=scores.normalizer,
        normalizer_version=normalizers.NORMALIZERS[scores.normalizer].version,
        systems={
            system.name: _system(system, scores.clips, wrong, {**values[system.name], **_details(task, scores, system)})
            for system in found
        },
    )


def _details(task: Task, scores: Scores, system: System) -> dict[str, Any]:
    """What is told of a system beside its metrics, by the kind of target."""
    if scores.kind == JSON:
        return {"fields": _fields(scores.fields[system.name])}
    if scores.kind == TEXT:
        return {}
    known, pairs = Labels(task.labels, normalizers.find(scores.normalizer)), _pairs(scores, system)
    _, shown = labels.unparsable(known, (answer for _, answer in pairs))
    return {"unparsable_answers": shown, "confusion": labels.confusion(known, pairs)}


def _pairs(scores: Scores, system: System) -> list[tuple[str, str]]:
    return [(clip.target, system.answers.get(clip.clip_id, NOTHING).said) for clip in scores.clips]


def _fields(tally: Mapping[str, Sequence[int]]) -> dict[str, FieldScores]:
    """What of each field is right, the most frequent first."""
    most = sorted(tally.items(), key=lambda found: (-found[1][3], -found[1][4], found[0]))[:_MOST_FIELDS]
    return {
        path or ".": FieldScores(clips, exact / clips, 2 * right / (meant + said), right, meant, said)
        for path, (clips, exact, right, meant, said) in most
    }


def insertions(scores: Scores, name: str) -> dict[str, Insertions]:
    """Words that nobody said, by the length of the clips: recognisers invent them where there is little to hear."""
    added = scores.of(name, metrics.WER)[:, 2]
    bands: dict[str, list[int]] = {}
    for number, clip in enumerate(scores.clips):
        bands.setdefault(slices.BY["duration"](clip), []).append(number)
    lengths = {band: sum(scores.clips[number].seconds for number in members) for band, members in bands.items()}
    order = sorted(bands, key=lambda band: lengths[band] / len(bands[band]))
    return {
        band: Insertions(len(bands[band]), round(lengths[band], 3), int(added[bands[band]].sum())) for band in order
    }


def _remarks(scored: Sequence[Scores], compared: Sequence[Comparison]) -> list[str]:
    found = [remark for scores in scored if (remark := _about_normalizer(scores))]
    for scores in scored:
        groups = len({*scores.groups.tolist()})
        if 1 < groups < FEW_GROUPS:
            where = f" of {scores.task}" if len(scored) > 1 else ""
            found.append(f"{groups} groups{where} are few: the intervals hold the truth less often than 95 %")
    first = {(scores.task if len(scored) > 1 else "", scores.metrics[0].name) for scores in scored}
    pairs = sum((comparison.task, comparison.metric) in first for comparison in compared)
    if pairs > 2:
        found.append(
            f"{pairs} pairs are compared, each at 95 %: where nothing differs, one of twenty looks as if it did"
        )
    return found


def _about_normalizer(scores: Scores) -> str:
    """What a normaliser does to the script of most targets of a task that no reader expects; "" for nothing."""
    name = scores.normalizer
    if scores.kind != TEXT or name not in (normalizers.WHISPER_BASIC, normalizers.WHISPER_ENGLISH):
        return ""
    script = Counter(scripts.script_of(clip.target) for clip in scores.clips).most_common(1)[0][0]
    if script in scripts.WITH_VOWEL_SIGNS:
        return f"{name} takes the vowel signs out of {script}: the rates are of what is left; cliptune leaves them"
    if name == normalizers.WHISPER_ENGLISH and script not in ("Latin", ""):
        return f"{name} is made for English, and most targets are {script}"
    return ""


def names(tasks: Mapping[str, Task | None]) -> dict[str, list[str]]:
    """The names of all that a condition may ask about each task; under "" those that need no task beside them.

    Args:
      tasks: those that there are clips of, by name; None for the clips of a dataset without tasks.
    """
    everywhere = [*COUNTS, *(fault.name for fault in faults.FAULTS)]
    of_task = {name: _names(task) for name, task in tasks.items()}
    counts = Counter(metric for found in of_task.values() for metric in found)
    alone = [metric for metric, count in counts.items() if count == 1]
    named = {name: [*found, *everywhere] for name, found in of_task.items() if name}
    return {"": [*alone, *everywhere], **named}


def _names(task: Task | None) -> list[str]:
    kind = task.target if task else TEXT
    more = {TEXT: EDITS, LABELS: ("unparsable",), JSON: ()}[kind]
    return [*(metric.name for metric in metrics.of_task(task)), *more]


def values(found: Results) -> gate.Values:
    """All numbers by name, system and task; those that need no task under ""."""
    parts = [("", found.systems), *((name, task.systems) for name, task in found.tasks.items())]
    return {
        (key, name, task): value
        for task, systems in parts
        for name, system in systems.items()
        for key, value in _numbers(system).items()
    }


def _numbers(system: SystemScores) -> dict[str, float | None]:
    told: dict[str, float | None] = {fault.name: system.faults.get(fault.name, 0) for fault in faults.FAULTS}
    for field in fields(system):
        value = getattr(system, field.name)
        if isinstance(value, Interval):
            told |= {field.name: value.value, f"{field.name}.low": value.low, f"{field.name}.high": value.high}
        elif isinstance(value, int) or value is None:
            told[field.name] = value
    return told
