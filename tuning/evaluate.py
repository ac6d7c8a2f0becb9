"""Evaluates the models of a dataset, and any other system, on its held-out clips."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from transforms import records
from transforms.errors import UsageError, UserError
from transforms.listener import SILENT, Listener
from transforms.settings import LABELS, Task
from transforms.storage import Storage, uris
from tuning import dataset, tables
from tuning.dataset import Dataset
from tuning.evaluation import (
    clips,
    faults,
    gate,
    metrics,
    normalizers,
    page,
    players,
    results,
    silence,
    slices,
    systems,
)
from tuning.evaluation.answers import Index, System
from tuning.evaluation.bootstrap import CONFIDENCE, RESAMPLES, percent
from tuning.evaluation.report import Evaluation
from tuning.evaluation.results import Results
from tuning.evaluation.scores import NOTHING, Scores, score
from tuning.requests import EvaluateRequest

FOLDER = "evaluation"
# Of a player without its recording; an id of 100 characters may be spelled as escapes.
PLAYER_BYTES = 1_500


def run(request: EvaluateRequest, listener: Listener = SILENT) -> Evaluation:
    """Scores and compares the systems, and writes `OUT/evaluation/…`.

    Raises:
      UsageError: the request does not fit the dataset.
      UserError: there are no predictions, or a file cannot be read.
    """
    conditions = [gate.parse(text) for text in request.fail_if]
    prepared = dataset.load(request.dataset, Storage(request.billing_project))
    if request.split not in prepared.splits:
        raise UserError(f"{prepared.name} has no {request.split} split: no row of its manifest is marked for it")
    held_out = clips.of(prepared, request.split)
    if not held_out:
        raise UserError(
            f"{prepared.name} has no {request.split} clips to evaluate on; "
            "hold some out: cliptune prepare --validation_fraction"
        )
    tasks = clips.tasks_of(prepared)
    _check_tasks(request, tasks)
    files, index = dict(request.predictions), Index(held_out)
    found = systems.find(prepared, request.split, request.run, files, index, listener, dict(request.system))
    _check_conditions(conditions, held_out, tasks, found, listener)
    scored, wrong = _scored(request, prepared, held_out, found, listener)
    told = results.results(held_out, found, scored, wrong, tasks)
    evaluation = _evaluation(request, prepared, held_out, scored, told, conditions)
    _write(evaluation, prepared, held_out, found, scored, wrong, listener)
    _say(evaluation, scored, prepared, listener)
    for condition in conditions:
        for absent in condition.absent(results.values(told)):
            listener.say(f"--fail_if: {absent} has no value, so that the condition counts as one that holds")
    return evaluation


def _check_tasks(request: EvaluateRequest, tasks: Mapping[str, Task]) -> None:
    for name, _ in request.task_normalizer:
        if name not in tasks:
            known = f"one of {', '.join(tasks)}" if tasks else "left out: the dataset has no tasks file"
            raise UsageError(f"task_normalizer: the task must be {known}, got {name!r}", "task_normalizer")


def _check_conditions(
    conditions: Sequence[gate.Condition],
    held_out: Sequence[clips.HeldOut],
    tasks: Mapping[str, Task],
    found: Sequence[System],
    listener: Listener,
) -> None:
    """Refuses conditions on what is not there before anything is scored."""
    there = {clip.task if clip.task in tasks else "" for clip in held_out}
    asked = {name: tasks.get(name) for name in (*tasks, "") if name in there}
    known, rates = results.names(asked), {metric.name for task in asked.values() for metric in metrics.of_task(task)}
    for condition in conditions:
        condition.check(known, [system.name for system in found])
        if (number := condition.great(rates)) is not None:
            meant = f"{number:g} is {100 * number:,.0f} %, {number:g} % is written {number:g}%"
            listener.say(f"warning: --fail_if {condition.text}: metrics are fractions: {meant}")


def _scored(
    request: EvaluateRequest,
    prepared: Dataset,
    held_out: Sequence[clips.HeldOut],
    found: Sequence[System],
    listener: Listener,
) -> tuple[list[Scores], faults.Found]:
    """Every answer scored, and looked at for faults."""
    tasks, own = clips.tasks_of(prepared), dict(request.task_normalizer)
    scored = score(held_out, found, tasks, request.normalizer, prepared.seed, listener, own)
    return scored, faults.found(held_out, found)


def _evaluation(
    request: EvaluateRequest,
    prepared: Dataset,
    held_out: Sequence[clips.HeldOut],
    scored: Sequence[Scores],
    told: Results,
    conditions: Sequence[gate.Condition],
) -> Evaluation:
    values = results.values(told)
    failed = tuple(condition.text for condition in conditions if condition.holds(values) is not False)
    normalizer = scored[0].normalizer if len(scored) == 1 else request.normalizer
    return Evaluation(
        ok=not failed,
        split=request.split,
        clips=len(held_out),
        groups=len({clip.cluster for clip in held_out}),
        normalizer=normalizer,
        normalizer_version=normalizers.NORMALIZERS[normalizer].version,
        interval=f"{CONFIDENCE:.0%}, BCa, {RESAMPLES:,} paired resamples of groups, seed {prepared.seed}",
        systems=told.systems,
        tasks=told.tasks,
        comparisons=told.comparisons,
        remarks=told.remarks,
        slices=tuple(part for scores in scored for part in slices.slices(scores)),
        silence=silence.of(prepared, request.split, request.run, dict(request.system)),
        failed=failed,
        fingerprint=prepared.fingerprint,
    )


def _write(
    evaluation: Evaluation,
    prepared: Dataset,
    held_out: Sequence[clips.HeldOut],
    found: Sequence[System],
    scored: Sequence[Scores],
    wrong: faults.Found,
    listener: Listener,
) -> None:
    """Writes the evaluation for machines, for notebooks and for people."""
    folder = uris.join(prepared.uri, FOLDER)
    content = io.BytesIO()
    pq.write_table(
        pa.Table.from_pylist(_rows(held_out, found, scored, wrong), schema=SCORES), content, compression="zstd"
    )
    wanted, bare = page.heard(scored, found), page.page(evaluation, scored, found, wrong, {})
    room = page.MAX_PAGE_BYTES - len(bare.encode()) - PLAYER_BYTES * (len(wanted) + 1)
    with listener.progress("recordings", len(wanted), "clips") as update:
        audio = players.uris_of(prepared, evaluation.split, wanted, room, lambda done: update(done, ""))
    shown = page.page(evaluation, scored, found, wrong, audio)
    prepared.storage.write_bytes(uris.join(folder, "scores.parquet"), content.getvalue())
    prepared.storage.write_bytes(uris.join(folder, "evaluation.html"), shown.encode())
    prepared.storage.write_bytes(uris.join(folder, "evaluation.json"), records.pretty(evaluation.as_dict()))


_TEXTS = ("clip_id", "source", "system", "task", "group", "language", "target", "answer", "finish_reason")
_COLUMNS: list[pa.Field[Any]] = [
    *(pa.field(name, pa.string()) for name in _TEXTS),
    pa.field("seconds", pa.float64()),
    pa.field("rms_dbfs", pa.float64()),
    pa.field("faults", pa.list_(pa.string())),
    pa.field("metrics", pa.map_(pa.string(), pa.float64())),
]
SCORES = pa.schema(_COLUMNS)


def _rows(
    held_out: Sequence[clips.HeldOut], found: Sequence[System], scored: Sequence[Scores], wrong: faults.Found
) -> list[dict[str, Any]]:
    """One row for each clip and system."""
    values: dict[tuple[str, str], list[tuple[str, float]]] = {}
    for scores in scored:
        for name in scores.systems:
            for metric in (row for row in scores.metrics if not row.width):  # of many clips only
                rates = metric.value(scores.of(name, metric))
                for clip, rate in zip(scores.clips, rates.tolist(), strict=True):
                    values.setdefault((clip.clip_id, name), []).append((metric.name, rate))
    return [
        {
            "clip_id": clip.clip_id,
            "source": clip.source,
            "system": system.name,
            "task": clip.task,
            "group": clip.group,
            "language": clip.language,
            "target": clip.target,
            "answer": answer.text,
            "finish_reason": answer.finish_reason,
            "seconds": clip.seconds,
            "rms_dbfs": clip.rms_dbfs,
            "faults": list(wrong[system.name].get(clip.clip_id, ())),
            "metrics": values[clip.clip_id, system.name],
        }
        for system in found
        for clip in held_out
        if (answer := system.answers.get(clip.clip_id, NOTHING))
    ]


def _say(evaluation: Evaluation, scored: Sequence[Scores], prepared: Dataset, listener: Listener) -> None:
    for scores in scored:
        if len(scored) > 1:
            listener.say(f"task {scores.task or '(none)'}, {scores.kind}, normalizer {scores.normalizer}")
        for line in _table(evaluation, scores):
            listener.say(line)
    first = {(scores.task if len(scored) > 1 else "", scores.metrics[0].name) for scores in scored}
    for comparison in evaluation.comparisons:
        if (comparison.task, comparison.metric) in first:
            listener.say(comparison.sentence)
    for line in _said_of_silence(evaluation):
        listener.say(line)
    for remark in evaluation.remarks:
        listener.say(f"note: {remark}")
    for condition in evaluation.failed:
        listener.say(f"--fail_if holds: {condition}")
    listener.say(f"evaluation: {prepared.name}/{FOLDER}/evaluation.html")


def _said_of_silence(evaluation: Evaluation) -> Iterator[str]:
    for name in dict.fromkeys(told.system for told in evaluation.silence):
        parts = [told for told in evaluation.silence if told.system == name]
        spoke, probes = sum(told.spoke for told in parts), sum(told.probes for told in parts)
        words = sum(told.insertions for told in parts)
        invented = f"{words:,} word{'s' * (words != 1)}"
        yield f"{name} invented {invented} about {spoke:,} of {probes:,} sounds in which nobody speaks"


def _table(evaluation: Evaluation, scores: Scores) -> list[str]:
    """The systems as lines of a table."""
    told = evaluation.tasks[scores.task].systems if scores.task in evaluation.tasks else evaluation.systems
    names = [metric.name for metric in scores.metrics]
    more = ["unparsable"] if scores.kind == LABELS else []
    head = ["system", "clips", "missing", "empty", *more, *names]
    rows = [
        [
            name,
            *(f"{getattr(system, count):,}" for count in head[1 : 4 + len(more)]),
            *(percent(getattr(system, metric)) for metric in names),
        ]
        for name, system in told.items()
    ]
    return tables.lines([head, *rows])
