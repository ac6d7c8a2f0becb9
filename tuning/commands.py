"""`cliptune check | tune | watch | predict`: from parsed flags to an exit status."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
from rich.console import Console

from transforms import storage
from transforms.clip import UserError
from tuning import check, dataset, join, models, predict, submit, watch
from tuning.check import Findings, JsonlFile
from tuning.console import open_console, progress
from tuning.dataset import TRAIN, Dataset
from tuning.estimate import Estimate, estimate
from tuning.tuner import GOOD_ENDS, ServiceError, TuningJob, TuningRequest
from tuning.vertex import VertexTuner, location_of

DONE, FAILED, USAGE = 0, 1, 2
SHOWN_PROBLEMS = 10
LOCAL_PROJECT = "local-project"
# The emulator moves on when it is asked, so nothing is gained by waiting.
EMULATOR_POLL_SECONDS = 0.1


class UsageError(Exception):
    """The command line itself is wrong: exit status 2."""


def run(args: argparse.Namespace) -> int:
    """Runs one command.

    Args:
      args: the flags of `tuning.flags`, and `command`.

    Returns:
      The exit status.
    """
    console = open_console()
    storage.bill(args.billing_project)
    try:
        return COMMANDS[args.command](args, console)
    except UsageError as fault:
        console.print(f"cliptune {args.command}: {fault}")
        return USAGE
    except (UserError, storage.StorageError, ServiceError) as fault:
        console.print(f"cliptune {args.command}: {fault}")
        return FAILED
    except KeyboardInterrupt:
        console.print(f"cliptune {args.command}: stopped; a submitted job goes on, see it with cliptune watch")
        return FAILED


def _check(args: argparse.Namespace, console: Console) -> int:
    model = models.find(args.base_model)
    findings = _check_files(check.files_of(args.path), console)
    cost = estimate(findings.splits[TRAIN].tokens, model, args.epochs, args.price_per_million)
    _show_findings(args.path, findings, console)
    _show_estimate(findings, cost, console)
    _print_json({**findings.as_dict(), "estimate": cost.as_dict()})
    return DONE if findings.ok else FAILED


def _tune(args: argparse.Namespace, console: Console) -> int:
    prepared = dataset.load(args.output)
    model = models.find(args.base_model)
    project, folder = _project(args), _joined_folder(args, prepared)
    for warning in models.refuse_wrong(model, args.location, args.adapter_size, datetime.now(UTC).date()):
        console.print(f"warning: {warning}")
    plans = join.plan(prepared, folder)
    findings = _check_files(join.files_to_check(prepared, plans), console)
    _show_findings(args.output, findings, console)
    if not findings.ok:
        _print_json(findings.as_dict())
        return FAILED
    _show_left_out(plans, console)
    _show_estimate(
        findings, estimate(findings.splits[TRAIN].tokens, model, args.epochs, args.price_per_million), console
    )
    request = _request(args, project, prepared, plans)
    if args.dry_run:
        _print_json(VertexTuner(project, args.location, args.api_endpoint).body(request))
        return DONE
    reused = join.join(prepared, plans, folder)
    for plan in plans:
        verb = "reused" if reused else "joined"
        uri = prepared.shown(plan.joined.uri)
        console.print(f"{verb} {uri} ({plan.joined.examples:,} examples, {plan.joined.bytes:,} bytes)")
    with _api_endpoint(args, prepared, console) as url:
        tuner = VertexTuner(project, args.location, url)
        job = submit.submit_once(tuner, request, prepared, console.print)
        return _job_result(job if args.no_watch else _watched(tuner, job, prepared, args, console), args, console)


def _watch(args: argparse.Namespace, console: Console) -> int:
    prepared = dataset.load(args.output)
    saved = submit.submitted(prepared)
    with _api_endpoint(args, prepared, console) as url:
        tuner = VertexTuner(saved["request"]["project"], saved["request"]["location"], url)
        return _job_result(_watched(tuner, tuner.get(saved["job"]["name"]), prepared, args, console), args, console)


def _predict(args: argparse.Namespace, console: Console) -> int:
    prepared = dataset.load(args.output)
    with _api_endpoint(args, prepared, console) as url:
        name, model, base_model, tuner = _asked(args, prepared, url)
        total = min(prepared.examples(args.split), args.limit or prepared.examples(args.split))
        uri = prepared.tuning_uri(f"predictions-{args.split}-{name}.jsonl")
        with storage.write(uri) as stream, progress(console, "asking", total) as advance:

            def answered(prediction: predict.Prediction) -> None:
                stream.write(predict.dump(prediction))
                advance(1)
                if total <= SHOWN_PROBLEMS:
                    console.print(f"{prediction.clip_id}\n  target:     {prediction.target}")
                    console.print(f"  prediction: {prediction.prediction or f'none ({prediction.finish_reason})'}")

            count = predict.predict(tuner, model, base_model, prepared, args.split, args.limit, answered)
    uri = prepared.shown(uri)
    console.print(f"{count:,} predictions of {model}: {uri}")
    _print_json({"model": model, "split": args.split, "predictions": count, "file": uri})
    return DONE


COMMANDS: dict[str, Callable[[argparse.Namespace, Console], int]] = {
    "check": _check,
    "tune": _tune,
    "watch": _watch,
    "predict": _predict,
}


def _print_json(tree: dict[str, Any]) -> None:
    sys.stdout.write(orjson.dumps(tree).decode() + "\n")


def _check_files(files: list[JsonlFile], console: Console) -> Findings:
    total = sum(file.shard.bytes if file.shard else storage.size(file.uri) for file in files)
    with progress(console, "checking", total) as advance:
        return check.check(files, advance)


def _show_findings(name: str, findings: Findings, console: Console) -> None:
    splits = ", ".join(f"{facts.examples:,} {split}" for split, facts in findings.splits.items() if facts.examples)
    found = findings.counts.total()
    verdict = f"{findings.errors:,} errors, {found - findings.errors:,} warnings" if found else "nothing wrong"
    console.print(f"checked {name}: {splits or 'no'} examples, {verdict}")
    for problem in findings.problems[:SHOWN_PROBLEMS]:
        console.print(f"  {problem.source}: {problem.severity}: {problem.rule}: {problem.detail}")
    if found > SHOWN_PROBLEMS:
        console.print(f"  … and {found - SHOWN_PROBLEMS:,} more")


def _show_estimate(findings: Findings, cost: Estimate, console: Console) -> None:
    console.print(f"estimate: {cost.line()}")
    unknown = findings.splits[TRAIN].tokens.unknown_audio
    if unknown:
        console.print(f"  without the audio of {unknown:,} examples, whose length the file does not tell")


def _show_left_out(plans: list[join.Plan], console: Console) -> None:
    for plan in plans:
        if plan.joined.left_out:
            split = plan.joined.split
            console.print(
                f"warning: {plan.joined.left_out:,} of the {split} examples are left out: one file holds at most "
                f"{models.MAX_FILE_BYTES:,} bytes and {join.MAX_EXAMPLES[split]:,} examples"
            )


def _project(args: argparse.Namespace) -> str:
    if args.project:
        return str(args.project)
    if args.emulator or args.api_endpoint:
        return LOCAL_PROJECT
    raise UsageError("--project is needed: the Google Cloud project that pays (or --emulator, to try it)")


def _joined_folder(args: argparse.Namespace, prepared: Dataset) -> str:
    """Where the joined files go: beside the dataset, or to a bucket where the service can read them."""
    if args.staging_location and not storage.is_gcs(args.staging_location):
        raise UsageError(f"--staging_location must be a gs:// URI, got {args.staging_location}")
    if args.emulator or args.api_endpoint or storage.is_gcs(prepared.uri):
        return storage.join(prepared.uri, "tuning")
    if not args.staging_location:
        raise UsageError(
            f"--staging_location gs://… is needed: {prepared.name} is a local folder, the service reads buckets only"
        )
    return storage.join(args.staging_location, prepared.fingerprint[:16])


def _request(args: argparse.Namespace, project: str, prepared: Dataset, plans: list[join.Plan]) -> TuningRequest:
    uris = {plan.joined.split: plan.joined.uri for plan in plans}
    return TuningRequest(
        project=project,
        location=args.location,
        base_model=args.base_model,
        fingerprint=prepared.fingerprint,
        train_uri=uris[dataset.TRAIN],
        validation_uri=uris.get(dataset.VALIDATION),
        epochs=args.epochs,
        adapter_size=args.adapter_size,
        learning_rate_multiplier=args.learning_rate_multiplier,
        display_name=args.display_name or f"cliptune-{prepared.fingerprint[:8]}",
    )


@contextlib.contextmanager
def _api_endpoint(args: argparse.Namespace, prepared: Dataset, console: Console) -> Iterator[str | None]:
    """The URL of the service; None for Google's own. The emulator runs while the body does."""
    if not args.emulator:
        yield args.api_endpoint
        return
    from tuning import emulator  # noqa: PLC0415 -- a web server, which nobody else needs

    console.print(emulator.NOTICE)
    with emulator.running(prepared.tuning_uri("emulator.json")) as url:
        yield url


def _watched(
    tuner: VertexTuner, job: TuningJob, prepared: Dataset, args: argparse.Namespace, console: Console
) -> TuningJob:
    poll = EMULATOR_POLL_SECONDS if args.emulator else watch.POLL_SECONDS
    return watch.watch(tuner, job, console, poll, lambda seen: submit.update_note(prepared, seen))


def _job_result(job: TuningJob, args: argparse.Namespace, console: Console) -> int:
    _print_json(job.as_dict())
    if not job.ended:
        console.print(f"accepted: {job.name} ({job.state}); follow it with cliptune watch {args.output}")
        return DONE
    console.print(watch.verdict(job))
    return DONE if job.state in GOOD_ENDS else FAILED


def _asked(args: argparse.Namespace, prepared: Dataset, url: str | None) -> tuple[str, str, str, VertexTuner]:
    """Who is asked: a short name for files, the model, its base model, and the service."""
    if args.model and args.model != "base":
        project, location = location_of(args.model)
        saved = submit.read_note(prepared) or {}
        base_model = (saved.get("request") or {}).get("base_model", "")
        return args.model.rpartition("/")[2], args.model, base_model, VertexTuner(project, location, url)
    saved = submit.submitted(prepared)
    request = saved["request"]
    tuner = VertexTuner(request["project"], request["location"], url)
    if args.model == "base":
        return "base", request["base_model"], request["base_model"], tuner
    endpoint = saved["job"]["endpoint"]
    if not endpoint:
        job = tuner.get(saved["job"]["name"])
        submit.update_note(prepared, job)
        if not job.endpoint:
            raise UserError(
                f"{job.name} has no tuned model to ask: {watch.verdict(job)}; see cliptune watch {args.output}"
            )
        endpoint = job.endpoint
    return "tuned", endpoint, request["base_model"], tuner
