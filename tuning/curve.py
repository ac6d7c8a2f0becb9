"""Tunes on growing parts of a dataset, one job after another, and says whether more data would help.

Each part is the first lines of the joined files, so that it is a uniform sample and part of the next one. Each is a run
as `tune` makes it, asked as `predict` asks: whatever ends this verb, the same request goes on where it was, from any
machine that has the dataset.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import pairwise
from math import floor
from typing import Any

from transforms import limits, records
from transforms.errors import UsageError, UserError
from transforms.listener import SILENT, Listener
from transforms.report import html
from transforms.storage import Storage, uris
from tuning import dataset, left, parts, predict, tables, tune
from tuning.cost import Estimate
from tuning.dataset import TRAIN, Dataset
from tuning.evaluate import FOLDER
from tuning.evaluation import answers, clips, curve_page, growth, normalizers
from tuning.evaluation.answers import Answer, Index, System
from tuning.evaluation.bootstrap import CONFIDENCE, RESAMPLES, Interval, percent
from tuning.evaluation.growth import Growth
from tuning.evaluation.scores import Scores, score
from tuning.jobs import runs, watch
from tuning.jobs.clock import CLOCK, Clock
from tuning.jobs.runs import Run
from tuning.jobs.watch import JobReport
from tuning.left import ASKED, SUBMITTED, TO_TUNE
from tuning.parts import FORMAT_VERSION, CurvePlan, Step
from tuning.requests import CurveRequest, PredictRequest

__all__ = ["Curve", "CurvePlan", "NotTunedError", "SizePoint", "run"]


class NotTunedError(UserError):
    """A job of the curve has no model yet, or has ended without one.

    Attributes:
      job: the job.
    """

    def __init__(self, message: str, job: JobReport) -> None:
        super().__init__(message, job)
        self.job = job

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class SizePoint:
    """A model, or what a system trained on so many examples has said.

    Attributes:
      size: as the user wrote it, such as "1/8".
      examples: the number of training examples.
      run: name of the tuning run; None for answers of a file.
      clips: of the split; each counts, answered or not.
      missing: clips without an answer; they are scored as empty answers.
      metrics: each with its 95 % interval, by name; of several tasks "NAME of TASK".
      estimate: what tuning was estimated to cost; None for answers of a file.
      billed_tokens: of one epoch, as the service counted them; None if it has not said.
      billed_cost: US dollars for them in all epochs; None if that or the price is not known.
    """

    size: str
    examples: int
    run: str | None
    clips: int
    missing: int
    metrics: dict[str, Interval]
    estimate: Estimate | None
    billed_tokens: int | None
    billed_cost: float | None


@dataclass(frozen=True, slots=True)
class Curve:
    """The report that `cliptune curve` prints on stdout, and `OUT/evaluation/curve.json`.

    Attributes:
      split: whose clips were asked about.
      clips: of the split.
      groups: of the clips; each is drawn as one.
      normalizer: what made the texts alike before they were compared.
      normalizer_version: tells apart two states of the same normaliser.
      interval: how the intervals were made.
      points: the sizes, the smallest first.
      curves: one for each metric, the one for people first.
      doubling_cost: US dollars of tuning on twice the most examples, at least and at most; None if not known.
      fingerprint: of the dataset, hexadecimal.
      format_version: version of these fields.
    """

    split: str
    clips: int
    groups: int
    normalizer: str
    normalizer_version: str
    interval: str
    points: tuple[SizePoint, ...]
    curves: tuple[Growth, ...]
    doubling_cost: tuple[float, ...] | None
    fingerprint: str
    format_version: int = FORMAT_VERSION

    def as_dict(self) -> dict[str, Any]:
        """As the one line of stdout has it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Model:
    """What was said with one size of the training set."""

    size: str
    examples: int
    system: System
    run: Run | None = None


def run(request: CurveRequest, listener: Listener = SILENT, clock: Clock | None = None) -> Curve | CurvePlan:
    """Tunes, asks and evaluates one size after another; with `predictions`, evaluates what others have said.

    Returns:
      The curve; with `dry_run`, the plan.

    Raises:
      NotTunedError: a job goes on, or has failed.
      NotAcceptedError: the check found errors.
      UsageError: the request does not fit the dataset.
      UserError: the dataset cannot be used, or the jobs may cost too much.
      ServiceError: the service refused or did not answer.
    """
    prepared = dataset.load(request.dataset, Storage(request.billing_project))
    if not prepared.splits.get(request.split) or not prepared.examples(request.split):
        raise UserError(f"{prepared.name} has no {request.split} clips to evaluate on; hold some out in its manifest")
    held_out = clips.of(prepared, request.split)
    if request.predictions:
        models = _named(request, prepared, Index(held_out))
    else:
        plan = parts.plan(request, prepared, listener)
        if request.dry_run:
            return plan
        models = [_modelled(request, step, prepared, held_out, listener, clock or CLOCK) for step in plan.steps]
    for model in models:
        if model.system.strangers:
            listener.say(model.system.stranger_line())
    return _evaluated(request, prepared, held_out, models, listener)


def _modelled(
    request: CurveRequest,
    step: Step,
    prepared: Dataset,
    held_out: Sequence[clips.HeldOut],
    listener: Listener,
    clock: Clock,
) -> _Model:
    """A model of a part that has answered about every clip: tuned and asked, as far as that is not done."""
    if step.state in (TO_TUNE, SUBMITTED):
        listener.say(f"{step.size} of the training examples ({step.examples:,}): tuning")
        job = tune.run(parts.part(request, Fraction(step.size)), listener, clock)
        assert isinstance(job, JobReport)
        if not job.answers:
            problem = watch.verdict(job) if job.ended else f"{job.name} goes on ({job.state})"
            goes_on = "the same command goes on from here"
            raise NotTunedError(f"{step.size} of the training examples: {problem}; {goes_on}", job)
    if step.state != ASKED:
        listener.say(f"{step.size} of the training examples: asking")
        predict.run(_question(request, step), listener, clock)
    found = next(one for one in runs.of(prepared) if one.name == step.run)
    kept = left.kept_answers(found, request.split, prepared)
    lines = {clip.clip_id: clip.line_sha256 for clip in held_out}
    said = {
        one.clip_id: Answer(one.prediction, one.finish_reason)
        for one in kept
        if lines.get(one.clip_id) == one.line_sha256
    }
    return _Model(step.size, step.examples, System(step.size, said), found)


def _question(request: CurveRequest, step: Step) -> PredictRequest:
    return PredictRequest(
        request.dataset,
        run=step.run,
        split=request.split,
        max_cost=request.max_cost,
        input_price=request.input_price,
        output_price=request.output_price,
        concurrency=request.concurrency,
        provider=request.provider,
        billing_project=request.billing_project,
        emulator=request.emulator,
        api_endpoint=request.api_endpoint,
    )


def _named(request: CurveRequest, prepared: Dataset, index: Index) -> list[_Model]:
    """What the user's files say, the smallest size first.

    Raises:
      UsageError: two sizes are the same.
    """
    models = [
        _Model(size, _examples(size, prepared), answers.read(size, file, index, prepared.storage.anywhere()))
        for size, file in request.predictions
    ]
    models.sort(key=lambda model: model.examples)
    for one, other in pairwise(models):
        if one.examples == other.examples:
            same = f"{one.size} and {other.size} are both {one.examples:,} training examples"
            raise UsageError(f"predictions: {same}", "predictions")
    return models


def _examples(size: str, prepared: Dataset) -> int:
    """The training examples of a size: a fraction of the dataset's, or a number above 1."""
    if size.isdecimal() and int(size) > 1:
        return int(size)
    return max(1, floor(prepared.examples(TRAIN) * Fraction(size)))


def _evaluated(
    request: CurveRequest,
    prepared: Dataset,
    held_out: Sequence[clips.HeldOut],
    models: Sequence[_Model],
    listener: Listener,
) -> Curve:
    systems, tasks = [model.system for model in models], clips.tasks_of(prepared)
    scored = score(held_out, systems, tasks, request.normalizer, prepared.seed, listener)
    doubling = _doubling(models)
    named = any(clip.group for clip in held_out)
    sizes = [model.examples for model in models]
    found = Curve(
        split=request.split,
        clips=len(held_out),
        groups=len({clip.cluster for clip in held_out}),
        normalizer=request.normalizer,
        normalizer_version=normalizers.NORMALIZERS[request.normalizer].version,
        interval=f"{CONFIDENCE:.0%}, {RESAMPLES:,} paired resamples of groups, seed {prepared.seed}; of metrics by "
        "BCa, of curves by percentiles over all exponents that fit; the luck of a training run is in none",
        points=tuple(_points(models, scored, held_out)),
        curves=tuple(growth.growths(scored, sizes, named, _price(doubling, 2 * max(sizes)))),
        doubling_cost=doubling,
        fingerprint=prepared.fingerprint,
    )
    _write(found, scored, prepared)
    _say(found, scored, models, prepared, listener)
    return found


def _doubling(models: Sequence[_Model]) -> tuple[float, float] | None:
    """What tuning on twice the most examples costs: clips cost in proportion."""
    largest = models[-1].run
    estimate = largest.note.estimate if largest else None
    if estimate is None or estimate.lower_cost is None or estimate.upper_cost is None:
        return None
    return 2 * estimate.lower_cost, 2 * estimate.upper_cost


def _price(doubling: tuple[float, float] | None, examples: int) -> str:
    most = limits.MAX_TRAIN_EXAMPLES
    over = f", and the service takes at most {most:,} examples" if examples > most else ""
    if doubling is None:
        return f"the service takes at most {most:,} examples" if over else ""
    return f"tuning on them would cost ${doubling[0]:,.2f}–${doubling[1]:,.2f}{over}"


def _points(
    models: Sequence[_Model], scored: Sequence[Scores], held_out: Sequence[clips.HeldOut]
) -> Iterator[SizePoint]:
    drawn = [scores.resamples() for scores in scored]
    for model in models:
        metrics = {
            name: scores.interval(resamples, model.size, metric)
            for scores, resamples in zip(scored, drawn, strict=True)
            for name, metric in zip(growth.names(scores, scored), scores.metrics, strict=True)
        }
        yield _point(model, metrics, held_out)


def _point(model: _Model, metrics: dict[str, Interval], held_out: Sequence[clips.HeldOut]) -> SizePoint:
    note = model.run.note if model.run else None
    counted = ((note.job.data_stats if note and note.job else None) or {}).get("total_billable_token_count")
    billed = None if counted is None else int(counted)
    estimate = note.estimate if note else None
    cost = None
    if billed is not None and estimate is not None and estimate.price_per_million is not None:
        cost = billed * estimate.epochs * estimate.price_per_million / 1e6
    return SizePoint(
        size=model.size,
        examples=model.examples,
        run=model.run.name if model.run else None,
        clips=len(held_out),
        missing=sum(clip.clip_id not in model.system.answers for clip in held_out),
        metrics=metrics,
        estimate=estimate,
        billed_tokens=billed,
        billed_cost=cost,
    )


def _errors(found: Curve, curve: Growth) -> list[curve_page.Point]:
    """A metric of each size as an error."""
    measured = [(point.size, point.examples, point.metrics[curve.metric]) for point in found.points]
    if curve.error == "metric":
        return measured
    return [(size, examples, _one_less(value)) for size, examples, value in measured]


def _one_less(value: Interval) -> Interval:
    ends = [None if end is None else 1 - end for end in (value.value, value.high, value.low)]
    return Interval(*ends)


def _write(found: Curve, scored: Sequence[Scores], prepared: Dataset) -> None:
    folder = uris.join(prepared.uri, FOLDER)
    head, rows = _cells(found, [name for scores in scored for name in growth.names(scores, scored)])
    about = [
        f"{found.clips:,} {found.split} clips · normalizer {found.normalizer} ({found.normalizer_version})",
        found.interval,
        f"dataset {found.fingerprint}",
    ]
    values = [_errors(found, curve) for curve in found.curves]
    shown = curve_page.page("Would more data help?", about, found.curves, values, html.table(head, rows))
    prepared.storage.write_bytes(uris.join(folder, "curve.html"), shown.encode())
    prepared.storage.write_bytes(uris.join(folder, "curve.json"), records.pretty(found.as_dict()))


def _cells(found: Curve, names: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """The sizes as a table: heads and rows."""
    rows = [
        [
            point.size,
            f"{point.examples:,}",
            f"{point.missing:,}",
            *(percent(point.metrics[name]) for name in names),
            point.estimate.range if point.estimate else "-",
            "-" if point.billed_cost is None else f"${point.billed_cost:,.2f}",
        ]
        for point in found.points
    ]
    return ["size", "examples", "missing", *names, "estimated", "billed"], rows


def _say(
    found: Curve, scored: Sequence[Scores], models: Sequence[_Model], prepared: Dataset, listener: Listener
) -> None:
    head, rows = _cells(found, [name for scores in scored for name in growth.names(scores, scored)])
    for line in tables.lines([head, *rows]):
        listener.say(line)
    for model, point in zip(models, found.points, strict=True):
        if point.billed_tokens is not None and point.estimate is not None:
            listener.say(f"{model.size}: {point.estimate.beside(point.billed_tokens)}")
    for curve in found.curves:
        if curve.metric in {growth.names(scores, scored)[0] for scores in scored}:
            listener.say(curve.sentence)
    listener.say(f"curve: {prepared.name}/{FOLDER}/curve.html")
