"""What is left to do and to pay for the models of a dataset: which are tuned, which questions they have answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transforms.listener import Listener
from tuning import asking, predictions, questions, tune
from tuning.asking import AskingEstimate
from tuning.cost import Estimate
from tuning.dataset import Dataset
from tuning.jobs import runs
from tuning.jobs.clock import CLOCK
from tuning.jobs.runs import Run
from tuning.predictions import Prediction
from tuning.providers import PROVIDERS, open_tuner
from tuning.providers.base import TuningRequest
from tuning.questions import Asked
from tuning.requests import CurveRequest, PredictRequest, TuneRequest

TO_TUNE, SUBMITTED, TUNED, ASKED = "to tune", "submitted", "tuned", "asked"
# What is asked of a model, at which price: two verbs say it.
Questions = CurveRequest | PredictRequest


@dataclass(frozen=True, slots=True)
class Left:
    """What one model still needs, and the most that it may cost.

    Attributes:
      run: name of the tuning run, which may not exist yet; "" for a base model.
      job_request: the request for its job, or that of a run whose base model is asked.
      examples: the number of training examples; 0 for a base model.
      state: "to tune", "submitted", "tuned" (questions are left) or "asked" (nothing is left).
      estimate: what tuning costs, or has cost; None for a base model.
      tuning_cost: the most US dollars that tuning may still cost; None if the price is not known.
      questions: how many are still to be asked.
      asking_cost: the most US dollars that they may cost; None if the price is not known.
    """

    run: str
    job_request: TuningRequest
    examples: int
    state: str
    estimate: Estimate | None
    tuning_cost: float | None
    questions: int
    asking_cost: float | None

    @property
    def cost(self) -> float | None:
        """The most US dollars that it may still cost; None if a price is not known."""
        return None if self.tuning_cost is None or self.asking_cost is None else self.tuning_cost + self.asking_cost


def of_run(request: TuneRequest, asked: Questions, prepared: Dataset, listener: Listener) -> Left:
    """What a run needs. Nothing is submitted. Raises what `tune.run` raises before it submits."""
    job_request, examples, estimate = tune.priced(request, prepared, listener)
    found = runs.find(prepared, job_request)
    state = state_of(found)
    job = found.note.job if found else None
    endpoint = job.endpoint if job and job.endpoint else ""
    kept = kept_answers(found, asked.split, prepared) if found else []
    left = _questions(request, asked, job_request, prepared, endpoint, kept, tuned=True)
    if state == TUNED and not left.questions:
        state = ASKED
    return Left(
        run=found.name if found else runs.name_of(job_request),
        job_request=job_request,
        examples=examples,
        state=state,
        estimate=estimate,
        tuning_cost=estimate.upper_cost if state == TO_TUNE else 0.0,
        questions=left.questions,
        asking_cost=left.upper_cost if left.questions else 0.0,
    )


def of_base(request: TuneRequest, asked: Questions, job_request: TuningRequest, prepared: Dataset) -> Left:
    """What the base model of a run has not answered."""
    model = job_request.base_model
    kept = predictions.read(prepared.tuning_uri(f"predictions-{asked.split}-{model}.jsonl"), prepared.storage)
    left = _questions(request, asked, job_request, prepared, model, kept, tuned=False)
    cost = left.upper_cost if left.questions else 0.0
    return Left("", job_request, 0, TUNED if left.questions else ASKED, None, 0.0, left.questions, cost)


def state_of(found: Run | None) -> str:
    """How far a run is, its questions aside."""
    job = found.note.job if found else None
    if found is None or job is None:
        return TO_TUNE
    if job.answers or found.deletion is not None:
        return TUNED
    return TO_TUNE if job.ended else SUBMITTED


def kept_answers(found: Run, split: str, prepared: Dataset) -> list[Prediction]:
    """What the default checkpoint of a run's model has answered, as `predict` keeps it."""
    job = found.note.job
    number = (job.endpoint if job and job.endpoint else "").rpartition("/")[2]
    name = f"{runs.RUNS_FOLDER}/{found.name}/predictions-{split}-tuned-{number}.jsonl"
    return predictions.read(prepared.tuning_uri(name), prepared.storage)


def total(costs: Sequence[float | None]) -> float | None:
    """The sum of costs; None if one is not known."""
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None


def dollars(cost: float | None) -> str:
    """A cost for people."""
    return "price not known" if cost is None else f"${cost:,.2f}"


def _questions(
    request: TuneRequest,
    wanted: Questions,
    job_request: TuningRequest,
    prepared: Dataset,
    model: str,
    kept: Sequence[Prediction],
    tuned: bool,
) -> AskingEstimate:
    """The questions that a model has not answered yet, and what they cost."""
    provider, base_model = PROVIDERS[request.provider], job_request.base_model
    tuner = open_tuner(provider.name, job_request.project, job_request.location, request.api_endpoint)
    known = {one.question for one in questions.still_asked(kept, model, prepared, wanted.split)}
    asked = Asked("", model, base_model, provider, tuner, CLOCK, tuned=tuned)
    price = asking.price_of(provider, base_model, tuned, wanted.input_price, wanted.output_price)
    own = wanted.max_output_tokens if isinstance(wanted, PredictRequest) else None
    most = own or asking.output_limit(questions.longest_target(prepared))
    return AskingEstimate.of(questions.sizes(asked, prepared, wanted.split, None, known), most, price)
