"""Checks and joins a dataset, estimates the cost, submits the tuning job once and watches it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Any

from transforms import limits, records
from transforms.errors import UsageError, UserError
from transforms.listener import SILENT, Listener
from transforms.storage import Storage, uris
from tuning import dataset, join, preflight, service
from tuning.check import check
from tuning.check.check import CheckReport
from tuning.cost import Estimate
from tuning.dataset import TRAIN, VALIDATION, Dataset
from tuning.jobs import runs, submit
from tuning.jobs.clock import CLOCK, Clock
from tuning.jobs.others import Others
from tuning.jobs.submit import Patience
from tuning.jobs.watch import JobReport, follow
from tuning.preflight import PreflightReport
from tuning.providers import PROVIDERS, open_tuner
from tuning.providers.base import OK, WRONG, Attempt, Provider, Tuner, TuningRequest
from tuning.requests import TuneRequest

# The bitrates of MP3 that are suggested, in kbit/s: below, speech is hard to understand; above, nothing is gained.
BITRATES = (16, 24, 32, 40, 48, 56, 64)
FORMAT_VERSION = 1


class NotAcceptedError(UserError):
    """The dataset breaks a rule of the service, and nothing was submitted.

    Attributes:
      report: the report of the check.
    """

    def __init__(self, message: str, report: CheckReport) -> None:
        super().__init__(message, report)
        self.report = report

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class DryRun:
    """The HTTP request that would be sent, which `cliptune tune --dry_run` prints on stdout.

    Attributes:
      method: HTTP method.
      url: URL of the request.
      body: JSON body.
      then: body of the update once the model is tuned; None for no update.
      preflight: what was tried, and what could not be.
      format_version: version of these fields.
    """

    method: str
    url: str
    body: dict[str, Any]
    then: dict[str, str] | None = None
    preflight: tuple[Attempt, ...] = ()
    format_version: int = FORMAT_VERSION

    @property
    def ok(self) -> bool:
        """Whether nothing that was tried is wrong."""
        return preflight.report(self.preflight).ok

    def as_dict(self) -> dict[str, Any]:
        """As the one line of stdout has it."""
        return records.without_none(asdict(self))


def run(
    request: TuneRequest, listener: Listener = SILENT, clock: Clock | None = None
) -> JobReport | DryRun | PreflightReport:
    """Tunes a model on a dataset.

    Returns:
      The job, which has ended unless `no_watch` or `timeout` ended the wait; with `dry_run`, the HTTP request; with
      `preflight`, what was tried.

    Raises:
      NotAcceptedError: the check found errors.
      UsageError: the request does not fit the dataset.
      UserError: the dataset cannot be used, or the job may cost too much.
      ServiceError: the service refused or did not answer.
    """
    prepared = dataset.load(request.dataset, Storage(request.billing_project))
    folder, plans, job_request = _planned(request, prepared, listener)
    if request.preflight and not request.dry_run:
        checked = _tried_dataset(request, plans, prepared, listener)
        return preflight.report((checked, *_tried(request, job_request, folder, prepared, listener)))
    estimate = _check(request, plans, prepared, listener)
    if request.dry_run:
        return replace(
            _dry_run(request, job_request), preflight=_tried(request, job_request, folder, prepared, listener)
        )
    _refuse_read(request, job_request, prepared, plans, folder)
    _join(prepared, plans, folder, request.fraction, listener)
    return _submit(request, job_request, prepared, listener, clock or CLOCK, estimate)


def priced(request: TuneRequest, prepared: Dataset, listener: Listener = SILENT) -> tuple[TuningRequest, int, Estimate]:
    """What `run` would submit, the number of training examples, and what it would cost. Raises what `run` raises."""
    _, plans, job_request = _planned(request, prepared, listener)
    (train,) = (plan.joined for plan in plans if plan.joined.split == TRAIN)
    return job_request, train.examples, _check(request, plans, prepared, listener, hold=False)


def requested(request: TuneRequest, prepared: Dataset, listener: Listener = SILENT) -> TuningRequest:
    """What `run` would submit, which tells whose run it is. Nothing is checked. Raises what `run` raises."""
    return _planned(request, prepared, listener)[2]


def _planned(request: TuneRequest, prepared: Dataset, listener: Listener) -> tuple[str, list[join.Plan], TuningRequest]:
    """The folder of the joined files, how they are made, and the job on them."""
    project, location = service.place(request, request.project, request.location)
    _refuse_wrong(request, location, listener)
    folder = _joined_folder(request, prepared)
    plans = _plans(request, prepared, folder)
    return folder, plans, _request(request, project, location, prepared, plans)


def _plans(request: TuneRequest, prepared: Dataset, folder: str) -> list[join.Plan]:
    plans = join.plan(prepared, folder, request.fraction)
    return [plan for plan in plans if plan.joined.split == TRAIN or not request.no_validation]


def today() -> date:
    """The day, in UTC, that decides which models are retired."""
    return datetime.now(UTC).date()


def _check(
    request: TuneRequest, plans: Sequence[join.Plan], prepared: Dataset, listener: Listener, hold: bool = True
) -> Estimate:
    """Checks the files and estimates the cost; refuses a dataset with errors.

    Refuses a job that costs too much, too, unless `hold` leaves that to the caller, who adds up several.
    """
    listed = join.files_to_check(prepared, plans)
    findings = check.check_files(listed, prepared.storage, listener, PROVIDERS[request.provider])
    check.say_findings(request.dataset, findings, listener)
    train = check.train_tokens(findings, prepared)
    if (
        request.max_cost is not None
        and findings.splits[TRAIN].tokens.unknown_audio
        and not prepared.mean_seconds(TRAIN)
    ):
        problem = f"max_cost {request.max_cost:g} cannot be held: {prepared.name} does not say how long its audio is"
        raise UserError(f"{problem}; leave --max_cost out, or prepare the dataset again")
    priced = check.estimate(train, request, check.prices_of(request))
    if not findings.ok:
        report = CheckReport.of(findings, priced)
        raise NotAcceptedError(f"{request.dataset} breaks the service's rules; nothing was submitted", report)
    _say_left_out(plans, prepared, listener)
    check.say_estimate(train, priced, listener)
    if request.max_cost is not None and hold:
        priced.refuse_over(request.max_cost)
    return priced


def _tried_dataset(request: TuneRequest, plans: Sequence[join.Plan], prepared: Dataset, listener: Listener) -> Attempt:
    """Checks the dataset as before a job, and estimates the cost."""
    try:
        detail, outcome = _check(request, plans, prepared, listener).line(), OK
    except (NotAcceptedError, UserError) as fault:
        detail, outcome = str(fault), WRONG
    return preflight.said(Attempt("dataset", outcome, detail), listener)


def _tried(
    request: TuneRequest, job_request: TuningRequest, folder: str, prepared: Dataset, listener: Listener
) -> tuple[Attempt, ...]:
    with service.api_endpoint(request, prepared, listener) as url:
        return tuple(preflight.tried(request, job_request, folder, url, listener))


def _submit(
    request: TuneRequest,
    job_request: TuningRequest,
    prepared: Dataset,
    listener: Listener,
    clock: Clock,
    estimate: Estimate,
) -> JobReport:
    with service.api_endpoint(request, prepared, listener) as url:
        tuner = open_tuner(request.provider, job_request.project, job_request.location, url)
        patience = Patience(request.wait_for_quota, request.timeout, clock, request.allow_second_job)

        _refuse_deleted(request, job_request, prepared, listener)

        def refuse() -> None:
            _refuse_other_base(tuner, job_request, PROVIDERS[request.provider])
            _refuse_another(request, job_request, prepared, listener, url)

        job = submit.submit_once(tuner, job_request, prepared, listener.say, patience, estimate, refuse)
        if request.no_watch and not job.ended:
            return JobReport.of(job)
        pace = service.pace(request, request.timeout, clock)
        return follow(tuner, job, prepared, listener, pace, request.default_checkpoint)


def _refuse_deleted(request: TuneRequest, job_request: TuningRequest, prepared: Dataset, listener: Listener) -> None:
    """Refuses to tune anew what was tuned, paid and deleted, unless it is asked for."""
    earlier = runs.find(prepared, job_request)
    if earlier is not None and earlier.deletion is not None:
        if not request.another:
            raise UserError(f"{earlier.deleted}; add --another to tune it again, which is paid again")
        listener.say(f"{earlier.deleted}; it is tuned again")


def _refuse_another(
    request: TuneRequest, job_request: TuningRequest, prepared: Dataset, listener: Listener, url: str | None
) -> None:
    """Refuses a second job beside one of the same dataset that goes on, unless it is asked for."""
    provider = PROVIDERS[request.provider]
    others = Others(
        prepared, job_request, provider, lambda project, place: open_tuner(provider.name, project, place, url)
    )
    told = others.going_on()
    if told and not request.another:
        problem = f"{prepared.name} is being tuned already: {', '.join(told)}"
        ends = f"cliptune cancel {request.dataset} --run RUN ends it"
        raise UserError(f"{problem}; this request would be a second paid job: add --another to send it ({ends})")
    if told:
        listener.say(f"beside it, another run goes on: {', '.join(told)}")


def _refuse_wrong(request: TuneRequest, location: str, listener: Listener) -> None:
    """Refuses a request that the service would refuse whatever the dataset is, and says what is known of its model."""
    if request.base_model.startswith("projects/") and "/publishers/" not in request.base_model:
        rule = "base_model must be the name of a base model"
        raise UserError(f"{rule}, got {request.base_model!r}; to tune a tuned model further, add it by --from_model")
    provider = PROVIDERS[request.provider]
    model = provider.find(request.base_model)
    provider.refuse_wrong(model, location, request.adapter_size, today(), request.kms_key, request.allow_retired)
    if model.remark:
        listener.say(f"warning: {model.name}: {model.remark}")
    if request.from_model is not None:
        _refuse_from_model(request.from_model, location, provider)


def _refuse_from_model(name: str, location: str, provider: Provider) -> None:
    if not re.fullmatch(r"projects/[^/]+/locations/[^/]+/models/[^/]+", name):
        raise UserError(f"from_model must be projects/…/locations/…/models/…, got {name!r}; cliptune jobs lists them")
    where, allowed = provider.locate(name)[1], provider.lands_in(location)
    if where not in allowed:
        places = " or ".join(map(repr, allowed))
        raise UserError(f"from_model must lie where the job's location has its models, {places}, got {where!r}")


def _joined_folder(request: TuneRequest, prepared: Dataset) -> str:
    """The folder of the joined files: in the dataset, or in a bucket that the service can read."""
    if request.local or uris.is_gcs(prepared.uri):
        return uris.join(prepared.uri, "tuning")
    if not request.staging_location:
        problem = f"{prepared.name} is a local folder, and the service reads only buckets"
        raise UsageError(f"staging_location gs://… is needed: {problem}", "staging_location")
    return uris.join(request.staging_location, prepared.fingerprint[:16])


def _remedy(plan: join.Plan, prepared: Dataset) -> str:
    """Advice on settings with which the whole split would fit; "" if no setting would help."""
    split = plan.joined.split
    settings = prepared.settings
    if plan.joined.examples >= join.MAX_EXAMPLES[split] or settings.get("audio_part") == "uri":
        return ""
    whole = sum(shard.bytes for shard in prepared.splits[split])
    seconds = prepared.audio_seconds.get(split, 0.0)
    remedies = ["--audio_part=uri"]
    # Base64 turns three bytes into four, and about 5 % of a line is text.
    kbps = int(8 * 0.75 * 0.95 * limits.MAX_FILE_BYTES / seconds / 1000) if seconds else 0
    fitting = [rate for rate in BITRATES if rate <= kbps and rate < (settings.get("bitrate") or math.inf)]
    if fitting:
        remedies.insert(0, f"--audio_format=mp3 --bitrate={fitting[-1]}")
    return f"; of {whole:,} bytes all would fit when prepared with {' or '.join(remedies)}"


def _say_left_out(plans: Sequence[join.Plan], prepared: Dataset, listener: Listener) -> None:
    for plan in plans:
        if plan.joined.left_out:
            split = plan.joined.split
            listener.say(
                f"warning: {plan.joined.left_out:,} of the {split} examples are left out: one file holds at most "
                f"{limits.MAX_FILE_BYTES:,} bytes and {join.MAX_EXAMPLES[split]:,} examples{_remedy(plan, prepared)}"
            )


def _join(prepared: Dataset, plans: list[join.Plan], folder: str, fraction: Fraction, listener: Listener) -> None:
    reused = join.join(prepared, plans, folder, fraction)
    for plan in plans:
        verb = "reused" if reused else "joined"
        uri = prepared.shown(plan.joined.uri)
        listener.say(f"{verb} {uri} ({plan.joined.examples:,} examples, {plan.joined.bytes:,} bytes)")


def _refuse_read(
    request: TuneRequest, job_request: TuningRequest, prepared: Dataset, plans: Sequence[join.Plan], folder: str
) -> None:
    """Refuses to write other examples over the files of a job that goes on, and may not have read them yet.

    Raises:
      UserError: there is such a job.
    """
    for run in runs.of(prepared):
        job, submitted = run.note.job, run.note.request
        others = submitted.train_uri == job_request.train_uri and submitted.fingerprint != job_request.fingerprint
        goes_on = not request.another if job is None else not job.ended
        if others and goes_on and not join.is_joined(prepared, plans, folder, request.fraction):
            ends = f"cliptune watch or cancel {request.dataset} --run {run.name}"
            problem = f"run {run.name} tunes on {prepared.shown(job_request.train_uri)}, as the dataset was before"
            raise UserError(f"{problem}; wait for its end ({ends}), for its files would be written over")


def _refuse_other_base(tuner: Tuner, job_request: TuningRequest, provider: Provider) -> None:
    """Refuses to price a tuned model by another base model than its own.

    Raises:
      UserError: the service lists the job that made it, with another base model.
    """
    model = (job_request.from_model or "").partition("@")[0]
    if not model:
        return
    made = next((job for job in tuner.jobs() if (job.tuned_model or "").partition("@")[0] == model), None)
    if made is None or not made.base_model:
        return
    base = made.base_model.rpartition("/")[2]
    if base in provider.models and base != job_request.base_model:
        problem = f"from_model was tuned from {base}, and the estimate is that of {job_request.base_model}"
        raise UserError(f"{problem}; add --base_model {base}")


def _request(
    request: TuneRequest, project: str, location: str, prepared: Dataset, plans: Sequence[join.Plan]
) -> TuningRequest:
    joined = {plan.joined.split: plan.joined.uri for plan in plans}
    (train,) = (plan.joined for plan in plans if plan.joined.split == TRAIN)
    # All that fit are what the request without a fraction has: the same model.
    all_of_them = train.examples == prepared.examples(TRAIN) - train.left_out
    return TuningRequest(
        project=project,
        location=location,
        base_model=PROVIDERS[request.provider].find(request.base_model).name,
        fingerprint=prepared.fingerprint,
        train_uri=joined[TRAIN],
        validation_uri=joined.get(VALIDATION),
        epochs=request.epochs,
        adapter_size=request.adapter_size,
        learning_rate_multiplier=request.learning_rate_multiplier,
        display_name=request.display_name or f"cliptune-{prepared.fingerprint[:8]}",
        from_model=request.from_model,
        from_checkpoint=request.from_checkpoint,
        export_last_checkpoint_only=request.export_last_checkpoint_only,
        kms_key=request.kms_key,
        service_account=request.service_account,
        labels=dict(request.labels),
        train_examples=None if all_of_them else train.examples,
    )


def _dry_run(request: TuneRequest, job_request: TuningRequest) -> DryRun:
    tuner = open_tuner(request.provider, job_request.project, job_request.location, request.api_endpoint)
    # The default checkpoint is not part of the request: it is set once the model is tuned.
    then = {"defaultCheckpointId": request.default_checkpoint} if request.default_checkpoint else None
    return DryRun(**tuner.body(job_request), then=then)
