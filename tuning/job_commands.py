"""`cliptune watch | jobs | cancel`: what becomes of a job."""

from __future__ import annotations

import argparse
import itertools
import re
from typing import Any

from rich.console import Console

from transforms.errors import UserError
from transforms.storage import Storage
from tuning import dataset
from tuning.console import print_json
from tuning.dataset import Dataset
from tuning.exits import Exit
from tuning.jobs import dropped, submit
from tuning.jobs import watch as watcher
from tuning.providers.base import TuningJob
from tuning.providers.vertex.models import location_of
from tuning.providers.vertex.tuner import VertexTuner
from tuning.service import api_endpoint, pace, project_and_location, same_service

SHOWN_DROPPED = 10


def watch(args: argparse.Namespace, console: Console) -> int:
    """Follows the job of a dataset."""
    prepared = dataset.load(args.output, Storage(args.billing_project))
    saved = submit.submitted(prepared)
    with api_endpoint(args, prepared, console) as url:
        tuner = VertexTuner(saved["request"]["project"], saved["request"]["location"], url)
        job = watcher.refreshed(tuner, submit.noted_job(prepared), console, pace(args))
        return finish(tuner, job, prepared, args, console)


def finish(tuner: VertexTuner, job: TuningJob, prepared: Dataset, args: argparse.Namespace, console: Console) -> int:
    """Follows a job to its end and tells how it ended."""
    job = watcher.watch(tuner, job, console, pace(args), lambda seen: submit.update_note(prepared, seen))
    if args.default_checkpoint and job.answers:
        job = _with_default_checkpoint(tuner, job, args.default_checkpoint)
        submit.update_note(prepared, job)
    lost = dropped.dropped(job, prepared)
    _show_dropped(job, lost, console)
    print_json({**job.as_dict(), "dropped": [each.as_dict() for each in lost]})
    if job.ended:
        console.print(watcher.verdict(job))
        if job.experiment:
            console.print(f"its metrics are in the experiment {job.experiment}")
    else:
        again = f"cliptune watch {args.output}{same_service(args)}"
        console.print(f"not ended after {args.timeout:g} s; the job goes on: {again}")
    return watcher.exit_status(job)


def _with_default_checkpoint(tuner: VertexTuner, job: TuningJob, checkpoint: str) -> TuningJob:
    known = [str(point.get("checkpoint_id")) for point in job.checkpoints]
    if checkpoint not in known:
        raise UserError(f"default_checkpoint must be one of {', '.join(known) or 'none'}, got {checkpoint!r}")
    tuner.set_default_checkpoint(job.tuned_model or "", checkpoint)
    return tuner.get(job.name)


def _show_dropped(job: TuningJob, lost: list[dropped.Dropped], console: Console) -> None:
    count = dropped.count(job)
    if count:
        console.print(f"warning: the service left out {count:,} of the training examples; it names {len(lost):,}:")
    for each in lost[:SHOWN_DROPPED]:
        console.print(f"  {each.clip_id} ({each.source}): {each.reason or 'no reason given'}")
    if len(lost) > SHOWN_DROPPED:
        console.print(f"  … and {len(lost) - SHOWN_DROPPED:,} more, on stdout")


def jobs(args: argparse.Namespace, console: Console) -> int:
    """Lists jobs."""
    prepared = dataset.load(args.output, Storage(args.billing_project)) if args.output else None
    request = submit.submitted(prepared)["request"] if prepared and not args.project else None
    project, location = (request["project"], request["location"]) if request else project_and_location(args)
    with api_endpoint(args, prepared, console) as url:
        found = list(itertools.islice(VertexTuner(project, args.location or location, url).jobs(), args.limit))
    for job in found:
        console.print(f"{job.create_time or '':.19}  {watcher.line(job)}  {job.display_name or ''}")
    console.print(f"jobs in {project}, {args.location or location}: {len(found):,}")
    print_json({"jobs": [job.as_dict() for job in found]})
    return Exit.DONE


def cancel(args: argparse.Namespace, console: Console) -> int:
    """Cancels a job."""
    named = re.fullmatch(r"projects/[^/]+/locations/[^/]+/tuningJobs/[^/]+", args.output)
    prepared = None if named else dataset.load(args.output, Storage(args.billing_project))
    name = args.output if prepared is None else _job_name(prepared)
    with api_endpoint(args, prepared, console) as url:
        tuner = VertexTuner(*location_of(name), url)
        before = tuner.get(name)
        if not before.ended:
            tuner.cancel(name)
        job = tuner.get(name)
    if prepared is not None:
        submit.update_note(prepared, job)
    print_json(job.as_dict())
    if before.ended:
        console.print(f"cliptune cancel: {name} had already ended as {job.state}")
        return Exit.FAILED
    console.print(f"cancelled: {name} ({job.state})")
    return Exit.DONE


def _job_name(prepared: Dataset) -> str:
    saved: dict[str, Any] = submit.submitted(prepared)
    return str(saved["job"]["name"])
