"""Lists tuning jobs."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass, field
from typing import Any

from transforms.listener import SILENT, Listener
from transforms.storage import Storage
from tuning import dataset, service
from tuning.dataset import Dataset
from tuning.jobs import runs, watch
from tuning.providers import open_tuner
from tuning.providers.base import TuningJob
from tuning.requests import JobsRequest

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class JobList:
    """The jobs that `cliptune jobs` prints on stdout.

    Attributes:
      jobs: the newest first.
      runs: the runs of the dataset: the name of each run's job by the name of the run, the newest first; {} without a
        dataset.
      deleted: when the models of runs were deleted, ISO 8601, by the name of the run.
      format_version: version of these fields.
    """

    jobs: tuple[TuningJob, ...]
    runs: dict[str, str] = field(default_factory=dict)
    deleted: dict[str, str] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    def as_dict(self) -> dict[str, Any]:
        """As the one line of stdout has it."""
        return asdict(self)


def run(request: JobsRequest, listener: Listener = SILENT) -> JobList:
    """Lists the jobs of a project and location, or of the project and location in which a dataset was tuned.

    Raises:
      UserError: the dataset has no job.
      ServiceError: the service refused.
    """
    prepared = dataset.load(request.dataset, Storage(request.billing_project)) if request.dataset else None
    project, location = _place(request, prepared)
    with service.api_endpoint(request, prepared, listener) as url:
        tuner = open_tuner(request.provider, project, location, url)
        found = tuple(itertools.islice(tuner.jobs(), request.limit))
    of_dataset = [run for run in runs.of(prepared) if run.note.job is not None] if prepared else []
    known = {run.job.name: run.name for run in of_dataset}
    deleted = {run.name: run.deletion.time for run in of_dataset if run.deletion is not None}
    for job in found:
        name = f"  run {known[job.name]}" if job.name in known else ""
        if known.get(job.name) in deleted:
            name += f" (its model was deleted on {deleted[known[job.name]]:.10})"
        listener.say(f"{job.create_time or '':.19}  {watch.line(job)}  {job.display_name or ''}{name}")
    for fault in runs.damaged(prepared).values() if prepared else ():
        listener.say(f"warning: {fault}")
    listener.say(f"jobs in {project}, {location}: {len(found):,}")
    return JobList(found, {run: job for job, run in reversed(known.items())}, deleted)


def _place(request: JobsRequest, prepared: Dataset | None) -> tuple[str, str]:
    """The project and location of the request, or else of the dataset's job."""
    if prepared is None or request.project:
        return service.place(request, request.project, request.location)
    submitted = runs.pick(prepared, None).note.request
    return submitted.project, request.location or submitted.location
