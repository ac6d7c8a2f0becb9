"""Asks a model about clips of the dataset or about any recording."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from transforms.errors import ServiceError, UsageError, UserError
from transforms.listener import SILENT, Listener
from transforms.storage import Storage
from tuning import asking, dataset, predictions, probes, questions, service
from tuning.asking import AskingEstimate, AskingPrice, Size, Spent
from tuning.dataset import Dataset
from tuning.jobs import runs, watch
from tuning.jobs.clock import CLOCK, Clock
from tuning.jobs.runs import Run
from tuning.predictions import Prediction, PredictionsFile
from tuning.probes import Probe
from tuning.providers import PROVIDERS, open_tuner
from tuning.providers.base import Tuner, TuningJob
from tuning.questions import Asked
from tuning.requests import PredictRequest
from tuning.throttle import Throttle

# With more clips than this, the answers are only written to the file.
SHOWN_ANSWERS = 10
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class PredictReport:
    """The report that `cliptune predict` prints on stdout.

    Attributes:
      model: the model that was asked.
      split: "train", "validation" or "test"; "probe_silence" for the sounds in which nobody speaks.
      predictions: number of predictions in the file.
      asked: number of predictions that are new.
      empty: number of predictions without text.
      finish_reasons: number of predictions by the reason why the model stopped.
      file: the file of the predictions.
      input_tokens: of the new questions, as the service counted them.
      output_tokens: of the new answers, thoughts included.
      cost: US dollars for these tokens; None if the price is not known.
      price: what the price is, and where it is from.
      format_version: version of these fields.
    """

    model: str
    split: str
    predictions: int
    asked: int
    empty: int
    finish_reasons: dict[str, int]
    file: str
    input_tokens: int
    output_tokens: int
    cost: float | None
    price: str
    format_version: int = FORMAT_VERSION

    def as_dict(self) -> dict[str, Any]:
        """As the one line of stdout has it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class FileAnswer:
    """The model's answer about one recording.

    Attributes:
      audio: the recording, as the user wrote it.
      prediction: the model's text; None if it gave none.
      finish_reason: why the model stopped; None if not given.
    """

    audio: str
    prediction: str | None
    finish_reason: str | None


@dataclass(frozen=True, slots=True)
class FileAnswers:
    """The report that `cliptune predict --audio` prints on stdout.

    Attributes:
      model: the model that was asked.
      answers: one for each recording that could be used.
      refused: the recordings that could not be used, or not be asked about.
      format_version: version of these fields.
    """

    model: str
    answers: tuple[FileAnswer, ...]
    refused: tuple[str, ...] = ()
    format_version: int = FORMAT_VERSION

    def as_dict(self) -> dict[str, Any]:
        """As the one line of stdout has it."""
        return asdict(self)


def run(
    request: PredictRequest, listener: Listener = SILENT, clock: Clock | None = None
) -> PredictReport | FileAnswers:
    """Asks a model about clips of a split, or about recordings.

    Raises:
      UsageError: the request does not fit the dataset.
      UserError: there is no model to ask, or the dataset is damaged.
      ServiceError: the service refused a question.
    """
    prepared = dataset.load(request.dataset, Storage(request.billing_project))
    if request.split not in prepared.splits and not (request.audio or request.probe_silence):
        raise UserError(f"{prepared.name} has no {request.split} split: no row of its manifest is marked for it")
    request = _with_task(request, prepared)
    wanted = probes.of_task(prepared, request.task) if request.probe_silence else []
    with service.api_endpoint(request, prepared, listener) as url:
        asked = _asked(request, prepared, url, clock or CLOCK, listener)
        if request.audio:
            return _about_files(request, prepared, asked, listener)
        work = _of_probes(wanted[: request.limit], asked) if wanted else _of_split(request, prepared, asked)
        uri = prepared.tuning_uri(f"{asked.folder}predictions-{work.name}-{asked.name}.jsonl")
        with predictions.alone(uri, prepared.storage):
            return _about_what_is_missing(request, prepared, asked, listener, work, uri)


def _with_task(request: PredictRequest, prepared: Dataset) -> PredictRequest:
    """Fills in the prompt and system instruction of a task. If there are several tasks, the request must name one."""
    tasks = {task["name"]: task for task in prepared.settings.get("tasks") or ()}
    if not request.audio or request.prompt or not (tasks or request.task):
        return request
    name = request.task or (next(iter(tasks)) if len(tasks) == 1 else "")
    if name not in tasks:
        known = ", ".join(tasks) or "none: the dataset has no tasks"
        raise UsageError(f"task must be one of {known}, got {name!r}", "task")
    system_instruction = request.system_instruction or tasks[name]["system_instruction"]
    return replace(request, prompt=tasks[name]["prompt"], system_instruction=system_instruction)


Known = Container[tuple[str, str, str]]
Take = Callable[[Prediction], None]


@dataclass(frozen=True, slots=True)
class _Work:
    """What a model is asked about.

    Attributes:
      name: of the split, or of the probes.
      total: questions, those asked before included.
      still_asked: which of the answers that were kept are to these questions.
      sizes: of the questions that are not known.
      ask: asks these; takes what to do with each answer in order, and as soon as it is there.
    """

    name: str
    total: int
    still_asked: Callable[[Sequence[Prediction]], list[Prediction]]
    sizes: Callable[[Known], Iterable[Size]]
    ask: Callable[[Known, Take, Take], int]


def _of_split(request: PredictRequest, prepared: Dataset, asked: Asked) -> _Work:
    split, limit = request.split, request.limit
    before = _before(asked, prepared, split)
    return _Work(
        name=split,
        total=min(prepared.examples(split), limit or prepared.examples(split)),
        still_asked=lambda kept: questions.still_asked([*kept, *before], asked.model, prepared, split),
        sizes=lambda known: questions.sizes(asked, prepared, split, limit, known),
        ask=lambda known, take, keep: questions.ask_split(asked, prepared, split, limit, known, take, keep),
    )


def _of_probes(wanted: Sequence[Probe], asked: Asked) -> _Work:
    return _Work(
        name=probes.PROBES,
        total=len(wanted),
        still_asked=lambda kept: probes.still_asked(kept, asked.model, wanted),
        sizes=lambda known: (probe.size for probe in probes.unknown(asked, wanted, known)),
        ask=lambda known, take, keep: probes.ask(asked, wanted, known, take, keep),
    )


def _about_what_is_missing(
    request: PredictRequest, prepared: Dataset, asked: Asked, listener: Listener, work: _Work, uri: str
) -> PredictReport:
    total = work.total
    kept = predictions.read(uri, prepared.storage)
    earlier = work.still_asked(kept)
    known = {prediction.question for prediction in earlier}
    price = _refuse_too_dear(request, asked, work.sizes(known), listener)
    new: list[Prediction] = []
    spent = Spent()
    # All that was ever answered stays, and what an earlier version kept elsewhere is added.
    keep = list({prediction.question: prediction for prediction in (*kept, *earlier)}.values())
    with (
        PredictionsFile(uri, keep, prepared.storage) as file,
        listener.progress("asking", total) as update,
    ):

        def answered(prediction: Prediction) -> None:
            new.append(prediction)
            spent.add(prediction)
            update(len(new), "")
            if total <= SHOWN_ANSWERS:
                listener.say(prediction.clip_id)
                listener.say(f"  target:     {prediction.target}")
                listener.say(f"  prediction: {prediction.prediction or f'none ({prediction.finish_reason})'}")
            _refuse_spent(request, spent, price)

        work.ask(known, answered, file.add)
        file.put_in_order([*keep, *new])
    report = _report(work.name, [*earlier, *new], len(new), asked.model, prepared.shown(uri), spent, price)
    _say(report, listener)
    if new:
        listener.say(spent.line(price))
    return report


def _refuse_spent(request: PredictRequest, spent: Spent, price: AskingPrice) -> None:
    """Stops asking where the service has counted more than could be expected.

    Raises:
      UserError: what was spent is over `max_cost`.
    """
    cost = price.of(spent.read, spent.written)
    if request.max_cost is not None and cost is not None and cost > request.max_cost:
        told = f"the service counted {asking.dollars(cost)}, over max_cost {request.max_cost:g}"
        raise UserError(f"{told}; the answers so far are kept, and a higher --max_cost goes on")


def _before(asked: Asked, prepared: Dataset, split: str) -> list[Prediction]:
    """Answers of the same model that an earlier version kept in a file that was another model's the next day."""
    return predictions.read(prepared.tuning_uri(f"predictions-{split}-{asked.former_name}.jsonl"), prepared.storage)


def _refuse_too_dear(request: PredictRequest, asked: Asked, sizes: Iterable[Size], listener: Listener) -> AskingPrice:
    """Says what the questions will cost, and returns the price.

    Raises:
      UserError: they may cost more than the request allows, or nobody is there to answer.
    """
    price = asking.price_of(asked.provider, asked.base_model, asked.tuned, request.input_price, request.output_price)
    estimate = AskingEstimate.of(sizes, asked.max_output_tokens or 0, price)
    if estimate.questions and asked.deleted:
        raise UserError(f"{asked.deleted}: it answers no more questions; the answers that it gave stay")
    if estimate.questions:
        listener.say(estimate.line())
        if request.max_cost is not None:
            estimate.refuse_over(request.max_cost)
    return price


def _report(
    split: str,
    held: Sequence[Prediction],
    new: int,
    model: str,
    file: str,
    spent: Spent,
    price: AskingPrice,
) -> PredictReport:
    reasons = Counter(prediction.finish_reason or "UNKNOWN" for prediction in held)
    return PredictReport(
        model=model,
        split=split,
        predictions=len(held),
        asked=new,
        empty=sum(not (prediction.prediction or "").strip() for prediction in held),
        finish_reasons=dict(sorted(reasons.items())),
        file=file,
        input_tokens=spent.read,
        output_tokens=spent.written,
        cost=price.of(spent.read, spent.written),
        price=price.note,
    )


def _say(report: PredictReport, listener: Listener) -> None:
    listener.say(f"{report.predictions:,} predictions of {report.model}, {report.asked:,} of them new: {report.file}")
    if report.empty:
        listener.say(f"warning: {report.empty:,} answers are empty: {report.finish_reasons}")


def _about_files(request: PredictRequest, prepared: Dataset, asked: Asked, listener: Listener) -> FileAnswers:
    """Asks about one recording after the other. A recording that cannot be used is named and skipped."""
    answers: list[FileAnswer] = []
    refused: list[str] = []
    spent = Spent()
    price = _refuse_too_dear(request, asked, _sizes_of_files(request, prepared), listener)
    for number, file in enumerate(request.audio):
        try:
            question = questions.question_about(file, prepared, asked, request.prompt, request.system_instruction)
        except UserError as fault:
            listener.say(str(fault))
            refused.append(file)
            continue
        try:
            answer = questions.ask_patiently(asked, question)
            spent.add(answer)
        except ServiceError as fault:
            if not answers:
                raise
            listener.say(f"{fault}; the answers before it are kept")
            refused += request.audio[number:]
            break
        listener.say(file)
        listener.say(f"  prediction: {answer.text or f'none ({answer.finish_reason})'}")
        answers.append(FileAnswer(file, answer.text, answer.finish_reason))
    if answers:
        listener.say(spent.line(price))
    return FileAnswers(asked.model, tuple(answers), tuple(refused))


def _sizes_of_files(request: PredictRequest, prepared: Dataset) -> Iterator[Size]:
    """The recordings are not read yet: each may be as long as a clip of the dataset may be."""
    prompt = request.prompt or str(prepared.settings.get("prompt", ""))
    text = len(prompt.encode()) + len(request.system_instruction.encode())
    for _ in request.audio:
        yield Size(float(prepared.settings.get("max_duration", 0)), text, 0)


def _asked(request: PredictRequest, prepared: Dataset, url: str | None, clock: Clock, listener: Listener) -> Asked:
    """The model that the request means, and how it is asked."""
    found = _found(request, prepared, url, clock, listener)
    most = request.max_output_tokens or asking.output_limit(questions.longest_target(prepared))
    return replace(found, throttle=Throttle(request.concurrency), max_output_tokens=most)


def _found(request: PredictRequest, prepared: Dataset, url: str | None, clock: Clock, listener: Listener) -> Asked:
    provider = PROVIDERS[request.provider]
    if request.model and request.model != "base":
        tuner = open_tuner(provider.name, *provider.locate_endpoint(request.model), url)
        run = _run_of(request.model, prepared)
        base_model = run.note.request.base_model if run else ""
        own = run if run and _has(run, request.model) else None
        folder, deleted = (_folder(own), own.deleted) if own else ("", "")
        number = request.model.rpartition("/")[2]
        asked = Asked(f"tuned-{number}", request.model, base_model, provider, tuner, clock)
        return replace(asked, folder=folder, former_name=number, deleted=deleted)
    run = runs.pick(prepared, request.run, finished=True, listener=listener)
    submitted, job = run.note.request, run.job
    base_model = submitted.base_model
    if request.model == "base":
        location = provider.base_location(provider.find(base_model), submitted.location)
        tuner = open_tuner(provider.name, submitted.project, location, url)
        return Asked(base_model, base_model, base_model, provider, tuner, clock, tuned=False, former_name="base")
    tuner = open_tuner(provider.name, submitted.project, submitted.location, url)
    job = _tuned(tuner, job, prepared)
    endpoint = _checkpoint(job, request.checkpoint) if request.checkpoint else job.endpoint or ""
    asked = Asked(f"tuned-{endpoint.rpartition('/')[2]}", endpoint, base_model, provider, tuner, clock)
    former_name = f"checkpoint-{request.checkpoint}" if request.checkpoint else "tuned"
    return replace(asked, folder=_folder(run), former_name=former_name, deleted=run.deleted)


def _run_of(endpoint: str, prepared: Dataset) -> Run | None:
    """The run that has an endpoint, else the newest: what tells the base model of one that was named by hand."""
    found = runs.of(prepared)
    has = [run for run in found if _has(run, endpoint)]
    return next(reversed(has or found), None)


def _has(run: Run, endpoint: str) -> bool:
    job = run.note.job
    return job is not None and endpoint in (job.endpoint, *(point.get("endpoint") for point in job.checkpoints))


def _folder(run: Run) -> str:
    """Where the answers of a run's models are, below the dataset's `tuning` folder. Those of others are there."""
    return f"{runs.RUNS_FOLDER}/{run.name}/"


def _tuned(tuner: Tuner, job: TuningJob, prepared: Dataset) -> TuningJob:
    """The dataset's job, read again if its endpoint is not known.

    Raises:
      UserError: the job has no tuned model to ask.
    """
    if not job.endpoint:
        job = tuner.get(job.name)
        runs.update(prepared, job)
    if not job.endpoint:
        problem = f"{job.name} has no tuned model to ask: {watch.verdict(job)}"
        raise UserError(f"{problem}; see cliptune watch {prepared.name}")
    return job


def _checkpoint(job: TuningJob, wanted: str) -> str:
    endpoints = {str(point.get("checkpoint_id")): point.get("endpoint") for point in job.checkpoints}
    if not endpoints.get(wanted):
        raise UserError(f"checkpoint must be one of {', '.join(endpoints) or 'none'}, got {wanted!r}")
    return str(endpoints[wanted])
