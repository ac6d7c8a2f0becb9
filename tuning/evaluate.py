"""Evaluates the models of a dataset, and any other system, on its held-out clips."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from transforms import records
from transforms.errors import UserError
from transforms.listener import SILENT, Listener
from transforms.settings import TEXT
from transforms.storage import Storage, uris
from tuning import dataset
from tuning.dataset import Dataset
from tuning.evaluation import (
    clips,
    compare,
    faults,
    gate,
    metrics,
    normalizers,
    page,
    players,
    silence,
    slices,
    systems,
)
from tuning.evaluation.answers import Index, System
from tuning.evaluation.bootstrap import CONFIDENCE, RESAMPLES, Interval
from tuning.evaluation.compare import Comparison
from tuning.evaluation.report import Evaluation, SystemScores
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
    found = systems.find(prepared, request.split, request.run, dict(request.predictions), Index(held_out), listener)
    scored, wrong = _scored(request, prepared, held_out, found, listener)
    evaluation = _evaluation(request, prepared, held_out, found, scored, wrong, conditions)
    _write(evaluation, prepared, held_out, found, scored, wrong, listener)
    _say(evaluation, scored, prepared, listener)
    return evaluation


def _scored(
    request: EvaluateRequest,
    prepared: Dataset,
    held_out: Sequence[clips.HeldOut],
    found: Sequence[System],
    listener: Listener,
) -> tuple[list[Scores], faults.Found]:
    """Every answer scored, and looked at for faults."""
    total, done = len(found) * len(held_out), 0
    with listener.progress("scoring", total, "answers") as update:

        def more(count: int) -> None:
            nonlocal done
            done += count
            update(done, "")

        seed, tasks = _seed(prepared), clips.tasks_of(prepared)
        return score(held_out, found, tasks, request.normalizer, seed, more), faults.found(held_out, found)


def _seed(prepared: Dataset) -> int:
    return int(prepared.fingerprint[:16] or "0", 16)


def _evaluation(
    request: EvaluateRequest,
    prepared: Dataset,
    held_out: Sequence[clips.HeldOut],
    found: Sequence[System],
    scored: Sequence[Scores],
    wrong: faults.Found,
    conditions: Sequence[gate.Condition],
) -> Evaluation:
    intervals: dict[tuple[str, str], Interval] = {}
    compared: list[Comparison] = []
    named = any(clip.group for clip in held_out)
    for scores in scored:
        drawn = scores.resamples()
        for metric in scores.metrics:
            intervals |= {(metric.name, name): scores.interval(drawn, name, metric) for name in scores.systems}
        compared += compare.comparisons(scores, drawn, len({*scores.groups.tolist()}), named)
    values = {key: interval.value for key, interval in intervals.items()}
    failed = tuple(condition.text for condition in conditions if condition.holds(values))
    return Evaluation(
        ok=not failed,
        split=request.split,
        clips=len(held_out),
        groups=len({clip.cluster for clip in held_out}),
        normalizer=request.normalizer,
        normalizer_version=normalizers.NORMALIZERS[request.normalizer].version,
        interval=f"{CONFIDENCE:.0%}, BCa, {RESAMPLES:,} paired resamples of groups, seed {_seed(prepared)}",
        systems={system.name: _system(system, held_out, scored, wrong, intervals) for system in found},
        comparisons=tuple(compared),
        slices=tuple(part for scores in scored for part in slices.slices(scores)),
        silence=silence.of(prepared, request.split, request.run),
        failed=failed,
        fingerprint=prepared.fingerprint,
    )


def _system(
    system: System,
    held_out: Sequence[clips.HeldOut],
    scored: Sequence[Scores],
    wrong: faults.Found,
    intervals: Mapping[tuple[str, str], Interval],
) -> SystemScores:
    answers = [system.answers[clip.clip_id] for clip in held_out if clip.clip_id in system.answers]
    counts = Counter(name for names in wrong[system.name].values() for name in names)
    reasons = Counter(answer.finish_reason for answer in answers if answer.finish_reason)
    values: dict[str, Any] = {metric: found for (metric, name), found in intervals.items() if name == system.name}
    for scores in scored:
        if scores.kind == TEXT:
            kinds = ("substitutions", "deletions", "insertions")
            sums = scores.of(system.name, metrics.WER).sum(axis=0)
            values |= {kind: int(count) for kind, count in zip(kinds, sums, strict=False)}
    return SystemScores(
        clips=len(held_out),
        missing=len(held_out) - len(answers),
        empty=sum(not answer.said.strip() for answer in answers),
        strangers=len(system.strangers),
        finish_reasons=dict(sorted(reasons.items())),
        faults={fault.name: counts[fault.name] for fault in faults.FAULTS if counts[fault.name]},
        **values,
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
            for metric in scores.metrics:
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
        for line in _table(evaluation, scores):
            listener.say(line)
    first = {scores.metrics[0].name for scores in scored}
    for comparison in evaluation.comparisons:
        if comparison.metric in first:
            listener.say(comparison.sentence)
    for line in _said_of_silence(evaluation):
        listener.say(line)
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
    names = [metric.name for metric in scores.metrics]
    head = ["system", "clips", "missing", "empty", *names]
    rows = [
        [
            name,
            f"{len(scores.clips):,}",
            f"{system.missing:,}",
            f"{system.empty:,}",
            *(_cell(getattr(system, metric)) for metric in names),
        ]
        for name, system in evaluation.systems.items()
    ]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return ["  ".join(_aligned(cells, widths)).rstrip() for cells in (head, *rows)]


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [cells[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))]


def _cell(found: Interval | None) -> str:
    if found is None or found.value is None:
        return "-"
    whole = f"{found.value:.1%}"
    return whole if found.low is None or found.high is None else f"{whole} [{found.low:.1%}, {found.high:.1%}]"
