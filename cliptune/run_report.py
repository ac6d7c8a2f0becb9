"""What `cliptune run` reports: each step, each run, and the systems that were compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from transforms.listener import Listener
from tuning import tables
from tuning.cost import Estimate

if TYPE_CHECKING:
    from tuning.evaluation.bootstrap import Interval
    from tuning.evaluation.report import Evaluation, SystemScores

FORMAT_VERSION = 1
# How far a step is.
DONE, TO_DO, GOES_ON, FAILED, LEFT_OUT = "done", "to do", "goes on", "failed", "left out"
_METRICS = ("wer", "cer", "accuracy", "macro_f1", "field_f1", "exact", "valid")


@dataclass(frozen=True, slots=True)
class StepReport:
    """A step of the job.

    Attributes:
      step: "prepare", "check", "tune", "watch", "predict" or "evaluate".
      run: name of the run that it is of, as the file has it, or of a base model; "" for a step of the dataset.
      state: "done", "to do", "goes on" (elsewhere), "failed" or "left out".
      detail: what came of it, or what it would do, in a few words.
      cost: the most US dollars that it may still cost; None if not known, or not asked for.
    """

    step: str
    run: str
    state: str
    detail: str
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A tuning run.

    Attributes:
      name: as the file has it; "tuned" for the only one.
      run: of its folder, OUT/tuning/runs/RUN.
      base_model: that is tuned.
      epochs: passes over the training split.
      job: resource name of its job; None if it has none yet.
      state: of the job; None if it has none yet.
      endpoint: of the tuned model; None without one.
      estimate: what it costs, or was estimated to cost when it was sent; None if it was not priced.
    """

    name: str
    run: str
    base_model: str
    epochs: int
    job: str | None
    state: str | None
    endpoint: str | None
    estimate: Estimate | None


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric of a system, with its interval.

    Attributes:
      value: of all clips; None if there is none.
      low: lower end of the interval; None without one.
      high: upper end of the interval; None without one.
    """

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class RunReport:
    """The report that `cliptune run` prints on stdout.

    Attributes:
      output: folder of the dataset, as the request names it.
      status: exit status of the command.
      steps: in their order.
      runs: in the order of the file.
      cost: the most US dollars that all runs and questions could still cost before the first was paid; None if not
        known, or not asked for.
      systems: the metrics of each system that was compared, by its name; of several tasks "METRIC of TASK".
      failed: the conditions of fail_if that hold, or that cannot be decided.
      evaluation: page of the evaluation; None if nothing was evaluated.
      fault: why the command has failed, in one line; None if it has not.
      format_version: version of these fields.
    """

    output: str
    status: int
    steps: tuple[StepReport, ...]
    runs: tuple[RunSummary, ...]
    cost: float | None
    systems: dict[str, dict[str, Figure]]
    failed: tuple[str, ...] = ()
    evaluation: str | None = None
    fault: str | None = None
    format_version: int = FORMAT_VERSION

    def as_dict(self) -> dict[str, Any]:
        """As the one line of stdout has it."""
        return asdict(self)


def figures(evaluation: Evaluation) -> dict[str, dict[str, Figure]]:
    """The metrics of each system. Those that several tasks have are told of each."""
    return {name: dict(_figures(name, system, evaluation)) for name, system in evaluation.systems.items()}


def _figures(name: str, system: SystemScores, evaluation: Evaluation) -> Iterator[tuple[str, Figure]]:
    whole = _metrics(system)
    yield from ((metric, _figure(interval)) for metric, interval in whole.items())
    for task, scores in evaluation.tasks.items():
        for metric, interval in _metrics(scores.systems[name]).items():
            if metric not in whole:
                yield f"{metric} of {task}", _figure(interval)


def _metrics(system: SystemScores) -> Mapping[str, Interval]:
    values = {metric: getattr(system, metric) for metric in _METRICS}
    return {metric: value for metric, value in values.items() if value is not None}


def _figure(interval: Interval) -> Figure:
    return Figure(interval.value, interval.low, interval.high)


def say(report: RunReport, listener: Listener) -> None:
    """Prints the summary for people: the steps, and the systems in one table."""
    heads = ["step", "run", "state", "", "still to pay, at most"]
    rows = [[one.step, one.run, one.state, one.detail, _dollars(one.cost)] for one in report.steps]
    width = 4 if all(one.cost is None for one in report.steps) else 5
    for line in tables.lines([heads[:width], *(row[:width] for row in rows)], figures=False):
        listener.say(line)
    if report.systems:
        for line in tables.lines(list(_systems(report))):
            listener.say(line)
    if report.evaluation:
        listener.say(f"evaluation: {report.evaluation}")


def _dollars(cost: float | None) -> str:
    return "" if cost is None else f"${cost:,.2f}"


def _systems(report: RunReport) -> Iterator[Sequence[str]]:
    """The systems as rows of cells, the heads first."""
    runs = {run.name: run for run in report.runs}
    metrics = list(dict.fromkeys(metric for told in report.systems.values() for metric in told))
    yield ["system", "model", "epochs", "estimated", *metrics]
    for name, told in report.systems.items():
        run = runs.get(name)
        about = [run.base_model, str(run.epochs), run.estimate.range if run.estimate else "-"] if run else ["-"] * 3
        yield [name, *about, *(_percent(told.get(metric)) for metric in metrics)]


def _percent(figure: Figure | None) -> str:
    from tuning.evaluation import bootstrap  # noqa: PLC0415 -- imports numpy, which this module need not

    if figure is None or figure.value is None:
        return "-"
    return bootstrap.percent(bootstrap.Interval(figure.value, figure.low, figure.high))
