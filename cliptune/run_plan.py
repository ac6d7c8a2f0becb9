"""What the models of a job still need, and the most that it may cost: said, and held, before anything is paid."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from cliptune.requests import BASE, RunRequest
from transforms.errors import UsageError, UserError
from transforms.listener import SILENT, Listener
from tuning import left, tables
from tuning.check import check
from tuning.cost import Tokens
from tuning.dataset import Dataset
from tuning.left import Left


@dataclass(frozen=True, slots=True)
class Plan:
    """What is left to do.

    Attributes:
      runs: of each run, by its name.
      bases: of each base model, by its name.
    """

    runs: dict[str, Left]
    bases: dict[str, Left]

    @property
    def models(self) -> dict[str, Left]:
        """All of them, as people read their names."""
        return {**self.runs, **{f"{BASE} {model}": one for model, one in self.bases.items()}}

    @property
    def cost(self) -> float | None:
        """The most US dollars that all may still cost; None if a price is not known."""
        return left.total([one.cost for one in self.models.values()])


def plan(request: RunRequest, prepared: Dataset, of_run: Callable[[str], AbstractContextManager[None]]) -> Plan:
    """What is left to do. Nothing is submitted.

    Args:
      request: the job.
      prepared: its dataset.
      of_run: a block in which what is raised is of the run of this name.

    Raises:
      UsageError: two runs are the same request.
      UserError: as `tune.run` before it submits.
    """
    runs: dict[str, Left] = {}
    for name, tune in request.tune.items():
        with of_run(name):
            runs[name] = left.of_run(tune, request.asking, prepared, SILENT)
    _refuse_same(runs)
    bases: dict[str, Left] = {}
    for name, one in runs.items():
        model = one.job_request.base_model
        if model not in bases:
            bases[model] = left.of_base(request.tune[name], request.asking, one.job_request, prepared)
    return Plan(runs, bases)


def _refuse_same(runs: dict[str, Left]) -> None:
    known: dict[str, str] = {}
    for name, one in runs.items():
        other = known.setdefault(one.job_request.digest, name)
        if other != name:
            raise UsageError(f"runs {other} and {name} are the same request; leave one of them out")


def say(plan: Plan, listener: Listener) -> None:
    """Prints what is left of each model, as a table."""
    head = ["model", "state", "tuning", "questions", "still to pay, at most"]
    rows = [
        [
            name,
            one.state if one.estimate or not one.questions else "to ask",
            one.estimate.range if one.estimate else "-",
            f"{one.questions:,}",
            left.dollars(one.cost),
        ]
        for name, one in plan.models.items()
    ]
    for line in tables.lines([head, *rows, ["all", "", "", "", left.dollars(plan.cost)]]):
        listener.say(line)


def refuse_over(plan: Plan, max_cost: float | None) -> None:
    """Refuses, before the first job, what may cost more than the user allows.

    Raises:
      UserError: the sum of the upper bounds is over `max_cost`, or a price is not known.
    """
    if max_cost is None:
        return
    if plan.cost is None:
        problem = f"max_cost {max_cost:g} cannot be held: a price is not known"
        raise UserError(f"{problem}; give tune.price_per_million, predict.input_price and predict.output_price")
    if plan.cost > max_cost:
        problem = f"max_cost must be at least the sum of the upper bounds, ${plan.cost:,.2f}, got {max_cost:g}"
        raise UserError(f"{problem}; raise it, or leave out runs, epochs or dearer models. Nothing was sent")


def before_preparing(request: RunRequest, rows: int) -> str:
    """What tuning may cost, as far as it can be told from the number of rows; a sentence."""
    seconds = request.prepare.settings.max_duration
    tokens = Tokens(unknown_audio=rows).with_audio(seconds)
    told = []
    for name, tune in request.tune.items():
        cost = check.estimate(tokens, tune, check.prices_of(tune)).upper_cost
        told.append(f"{name} {'its price is not known' if cost is None else f'${cost:,.2f}'}")
    longest = f"if each of {rows:,} rows became {seconds:g} s of audio, tuning on it would cost at most"
    return f"{longest}: {', '.join(told)}; once the dataset is there, it tells more"
