"""`cliptune tune`: join, check, price, submit once, watch."""

from __future__ import annotations

import argparse
import math
import re
from datetime import UTC, date, datetime

from rich.console import Console

from transforms import limits
from transforms.errors import UsageError, UserError
from transforms.storage import Storage, uris
from tuning import cost, dataset, join
from tuning.check.files import Findings
from tuning.check_commands import check_files, show_estimate, show_findings, train_tokens
from tuning.console import print_json
from tuning.dataset import TRAIN, Dataset
from tuning.exits import Exit
from tuning.job_commands import finish
from tuning.jobs import submit
from tuning.jobs.submit import Patience
from tuning.providers import DEFAULT, PROVIDERS
from tuning.providers.base import REQUEST_LABEL, TuningRequest
from tuning.providers.vertex import models
from tuning.providers.vertex.models import location_of
from tuning.providers.vertex.tuner import VertexTuner
from tuning.service import api_endpoint, is_local, project_and_location, same_service

MAX_LABELS = 64
# Of MP3, in kbit/s: less is hard to understand, more is not heard in speech.
BITRATES = (16, 24, 32, 40, 48, 56, 64)


def tune(args: argparse.Namespace, console: Console) -> int:
    """Tunes a model on a dataset."""
    prepared = dataset.load(args.output, Storage(args.billing_project))
    project, location = project_and_location(args)
    _refuse_wrong(args, location)
    folder = _joined_folder(args, prepared)
    plans = [plan for plan in join.plan(prepared, folder) if plan.joined.split == TRAIN or not args.no_validation]
    findings = check_files(join.files_to_check(prepared, plans), prepared.storage, console)
    show_findings(args.output, findings, console)
    if not findings.ok:
        print_json(findings.as_dict())
        return Exit.FAILED
    _show_left_out(plans, prepared, console)
    _price(args, findings, prepared, console)
    request = _request(args, project, location, prepared, plans)
    if args.dry_run:
        return _dry_run(args, request)
    _join(prepared, plans, folder, console)
    return _submit(args, request, prepared, console)


def _price(args: argparse.Namespace, findings: Findings, prepared: Dataset, console: Console) -> None:
    """Shows what the job will cost, and refuses it if that is too much."""
    prices = cost.given_prices(PROVIDERS[DEFAULT], args.prices, args.base_model, args.price_per_million)
    train = train_tokens(findings, prepared)
    priced = cost.estimate(
        train, PROVIDERS[DEFAULT], PROVIDERS[DEFAULT].find(args.base_model), args.epochs, prices.get(args.base_model)
    )
    show_estimate(train, priced, console)
    if args.max_cost is not None:
        priced.refuse_over(args.max_cost)


def _submit(args: argparse.Namespace, request: TuningRequest, prepared: Dataset, console: Console) -> int:
    with api_endpoint(args, prepared, console) as url:
        tuner = VertexTuner(request.project, request.location, url)
        patience = Patience(args.wait_for_quota, args.timeout)
        job = submit.submit_once(tuner, request, prepared, console.print, patience)
        if not args.no_watch or job.ended:
            return finish(tuner, job, prepared, args, console)
    print_json(job.as_dict())
    again = f"cliptune watch {args.output}{same_service(args)}"
    console.print(f"accepted: {job.name} ({job.state}); follow it with {again}")
    return Exit.DONE


def today() -> date:
    """The day that decides which models are retired."""
    return datetime.now(UTC).date()


def _refuse_wrong(args: argparse.Namespace, location: str) -> None:
    """Refuses what can be told from the flags alone."""
    if args.base_model.startswith("projects/"):
        raise UserError(
            f"base_model names what a model was first tuned from; give {args.base_model} by --from_model, beside it"
        )
    model = models.find(args.base_model)
    models.refuse_wrong(model, location, args.adapter_size, today(), args.kms_key, args.allow_retired)
    if args.from_model:
        _refuse_from_model(args.from_model, location)
    elif args.from_checkpoint:
        raise UsageError("--from_checkpoint needs --from_model, the tuned model that it is a checkpoint of")
    if len(dict(args.label)) >= MAX_LABELS or REQUEST_LABEL in dict(args.label):
        raise UserError(f"label must be given at most {MAX_LABELS - 1} times, and {REQUEST_LABEL} is taken")


def _refuse_from_model(name: str, location: str) -> None:
    if not re.fullmatch(r"projects/[^/]+/locations/[^/]+/models/[^/]+", name):
        raise UserError(f"from_model must be projects/…/locations/…/models/…, got {name!r}; cliptune jobs lists them")
    where = location_of(name)[1]
    if where != location:
        raise UserError(f"from_model must be in the job's location {location!r}, got {where!r}; use --location {where}")


def _joined_folder(args: argparse.Namespace, prepared: Dataset) -> str:
    """Where the joined files go: beside the dataset, or to a bucket where the service can read them."""
    if args.staging_location and not uris.is_gcs(args.staging_location):
        raise UsageError(f"--staging_location must be a gs:// URI, got {args.staging_location}")
    if is_local(args) or uris.is_gcs(prepared.uri):
        return uris.join(prepared.uri, "tuning")
    if not args.staging_location:
        raise UsageError(
            f"--staging_location gs://… is needed: {prepared.name} is a local folder, the service reads buckets only"
        )
    return uris.join(args.staging_location, prepared.fingerprint[:16])


def _remedy(plan: join.Plan, prepared: Dataset) -> str:
    """What would let more examples in, if that is anything but a limit on their number."""
    split = plan.joined.split
    settings = prepared.settings
    if plan.joined.examples >= join.MAX_EXAMPLES[split] or settings.get("audio_part") == "uri":
        return ""
    whole = sum(shard.bytes for shard in prepared.splits[split])
    seconds = prepared.audio_seconds.get(split, 0.0)
    remedies = ["--audio_part=uri"]
    # Base64 makes four bytes of three; what is left of the lines is their texts.
    kbps = int(8 * 0.75 * 0.95 * limits.MAX_FILE_BYTES / seconds / 1000) if seconds else 0
    fitting = [rate for rate in BITRATES if rate <= kbps and rate < (settings.get("bitrate") or math.inf)]
    if fitting:
        remedies.insert(0, f"--audio_format=mp3 --bitrate={fitting[-1]}")
    return f"; of {whole:,} bytes all would fit when prepared with {' or '.join(remedies)}"


def _show_left_out(plans: list[join.Plan], prepared: Dataset, console: Console) -> None:
    for plan in plans:
        if plan.joined.left_out:
            split = plan.joined.split
            console.print(
                f"warning: {plan.joined.left_out:,} of the {split} examples are left out: one file holds at most "
                f"{limits.MAX_FILE_BYTES:,} bytes and {join.MAX_EXAMPLES[split]:,} examples{_remedy(plan, prepared)}"
            )


def _join(prepared: Dataset, plans: list[join.Plan], folder: str, console: Console) -> None:
    reused = join.join(prepared, plans, folder)
    for plan in plans:
        verb = "reused" if reused else "joined"
        uri = prepared.shown(plan.joined.uri)
        console.print(f"{verb} {uri} ({plan.joined.examples:,} examples, {plan.joined.bytes:,} bytes)")


def _request(
    args: argparse.Namespace, project: str, location: str, prepared: Dataset, plans: list[join.Plan]
) -> TuningRequest:
    uris = {plan.joined.split: plan.joined.uri for plan in plans}
    return TuningRequest(
        project=project,
        location=location,
        base_model=args.base_model,
        fingerprint=prepared.fingerprint,
        train_uri=uris[dataset.TRAIN],
        validation_uri=uris.get(dataset.VALIDATION),
        epochs=args.epochs,
        adapter_size=args.adapter_size,
        learning_rate_multiplier=args.learning_rate_multiplier,
        display_name=args.display_name or f"cliptune-{prepared.fingerprint[:8]}",
        from_model=args.from_model,
        from_checkpoint=args.from_checkpoint,
        export_last_checkpoint_only=args.export_last_checkpoint_only,
        kms_key=args.kms_key,
        service_account=args.service_account,
        labels=dict(args.label),
    )


def _dry_run(args: argparse.Namespace, request: TuningRequest) -> int:
    body = VertexTuner(request.project, request.location, args.api_endpoint).body(request)
    # The default checkpoint is no part of the request: it is set when the model is there.
    after = {"then": {"defaultCheckpointId": args.default_checkpoint}} if args.default_checkpoint else {}
    print_json({**body, **after})
    return Exit.DONE
