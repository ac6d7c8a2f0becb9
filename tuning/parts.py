"""The parts of a dataset on which `curve` tunes: what each needs, what is done already, and what is left to pay."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from typing import Any

from transforms.errors import UsageError, UserError
from transforms.listener import SILENT, Listener
from tuning import left, tables
from tuning.cost import Estimate
from tuning.dataset import Dataset
from tuning.requests import CurveRequest, JobRequest, TuneRequest

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Step:
    """One part of the dataset, and what is left to do and to pay.

    Attributes:
      size: the fraction, such as "1/8".
      examples: the number of training examples.
      run: name of the tuning run, which may not exist yet.
      state: "to tune", "submitted", "tuned" (questions are left) or "asked" (nothing is left).
      estimate: what tuning costs, or has cost.
      tuning_cost: the most US dollars that tuning may still cost; None if the price is not known.
      questions: how many are still to be asked.
      asking_cost: the most US dollars that they may cost; None if the price is not known.
    """

    size: str
    examples: int
    run: str
    state: str
    estimate: Estimate
    tuning_cost: float | None
    questions: int
    asking_cost: float | None

    @property
    def cost(self) -> float | None:
        """The most US dollars that the step may still cost; None if a price is not known."""
        return None if self.tuning_cost is None or self.asking_cost is None else self.tuning_cost + self.asking_cost


@dataclass(frozen=True, slots=True)
class CurvePlan:
    """The report that `cliptune curve --dry_run` prints on stdout.

    Attributes:
      steps: the parts, the smallest first, which is the order of the jobs.
      cost: the most US dollars that all of them may still cost; None if a price is not known.
      format_version: version of these fields.
    """

    steps: tuple[Step, ...]
    cost: float | None
    format_version: int = FORMAT_VERSION

    def as_dict(self) -> dict[str, Any]:
        """As the one line of stdout has it."""
        return asdict(self)


def plan(request: CurveRequest, prepared: Dataset, listener: Listener) -> CurvePlan:
    """What is to be done for each fraction. Nothing is submitted.

    Raises:
      NotAcceptedError: the check found errors.
      UsageError: two fractions are the same examples.
      UserError: the sum of the upper bounds is over `max_cost`, or a price is not known.
    """
    steps = _steps(request, prepared, listener)
    found = CurvePlan(steps, left.total([step.cost for step in steps]))
    _say_plan(found, listener)
    if request.max_cost is not None:
        _refuse_over(found, request.max_cost)
    return found


def part(request: CurveRequest, fraction: Fraction) -> TuneRequest:
    """The request that tunes on a part."""
    knobs = {field.name: getattr(request, field.name) for field in fields(JobRequest)}
    return TuneRequest(request.dataset, **knobs, fraction=fraction)


def _steps(request: CurveRequest, prepared: Dataset, listener: Listener) -> tuple[Step, ...]:
    """What is to be done for each fraction, the smallest first."""
    listener.say(f"pricing {len(request.fractions)} jobs, of which nothing is sent yet")
    steps: list[Step] = []
    for fraction in request.fractions:
        steps.append(_step(request, fraction, prepared, SILENT if steps else listener))
        if len(steps) > 1 and steps[-1].examples == steps[-2].examples:
            same = f"{steps[-2].size} and {steps[-1].size} of the training examples are both {steps[-1].examples:,}"
            raise UsageError(f"fractions {same}; leave one of them out", "fractions")
    return tuple(steps)


def _step(request: CurveRequest, fraction: Fraction, prepared: Dataset, listener: Listener) -> Step:
    found = left.of_run(part(request, fraction), request, prepared, listener)
    assert found.estimate is not None
    return Step(
        str(fraction),
        found.examples,
        found.run,
        found.state,
        found.estimate,
        found.tuning_cost,
        found.questions,
        found.asking_cost,
    )


def _refuse_over(plan: CurvePlan, max_cost: float) -> None:
    """Refuses a curve that may cost more than the user allows, before its first job.

    Raises:
      UserError: the sum of the upper bounds is over `max_cost`, or a price is not known.
    """
    if plan.cost is None:
        raise UserError(
            f"max_cost {max_cost:g} cannot be held: a price is not known; give it by --price_per_million, "
            "--input_price and --output_price, or leave --max_cost out"
        )
    if plan.cost > max_cost:
        raise UserError(
            f"max_cost must be at least the sum of the upper bounds, ${plan.cost:,.2f}, got {max_cost:g}; raise it, "
            "or tune in fewer --epochs, with a cheaper --base_model or smaller --fractions"
        )


def _say_plan(plan: CurvePlan, listener: Listener) -> None:
    head = ["size", "examples", "state", "tuning", "questions", "still to pay, at most"]
    rows = [
        [
            step.size,
            f"{step.examples:,}",
            step.state,
            step.estimate.range,
            f"{step.questions:,}",
            left.dollars(step.cost),
        ]
        for step in plan.steps
    ]
    for line in tables.lines([head, *rows, ["all", "", "", "", "", left.dollars(plan.cost)]]):
        listener.say(line)
