"""Cancels a tuning job."""

from __future__ import annotations

import re

from transforms.errors import UserError
from transforms.listener import SILENT, Listener
from transforms.storage import Storage
from tuning import dataset, service
from tuning.dataset import Dataset
from tuning.jobs import runs
from tuning.jobs.note import JOB_FILE
from tuning.jobs.watch import JobReport
from tuning.providers import PROVIDERS, open_tuner
from tuning.requests import CancelRequest


class JobEndedError(UserError):
    """The job had already ended, so there is nothing to cancel.

    Attributes:
      report: the job in its final state.
    """

    def __init__(self, message: str, report: JobReport) -> None:
        super().__init__(message, report)
        self.report = report

    def __str__(self) -> str:
        return str(self.args[0])


def run(request: CancelRequest, listener: Listener = SILENT) -> JobReport:
    """Asks the service to cancel a job. The service may take a while to do it.

    Raises:
      JobEndedError: the job had already ended.
      UserError: the dataset has no job, or several that go on and the request names none.
      ServiceError: the service refused.
    """
    named = re.fullmatch(r"projects/[^/]+/locations/[^/]+/tuningJobs/[^/]+", request.job)
    prepared = None if named else dataset.load(request.job, Storage(request.billing_project))
    name = request.job if prepared is None else _meant(request, prepared, listener)
    with service.api_endpoint(request, prepared, listener) as url:
        tuner = open_tuner(request.provider, *PROVIDERS[request.provider].locate(name), url)
        before = tuner.get(name)
        if not before.ended:
            tuner.cancel(name)
        job = tuner.get(name)
    if prepared is not None:
        runs.update(prepared, job)
    report = JobReport.of(job)
    if before.ended:
        raise JobEndedError(f"{name} had already ended as {job.state}", report)
    listener.say(f"cancelled: {name} ({job.state})")
    return report


def _meant(request: CancelRequest, prepared: Dataset, listener: Listener) -> str:
    """The job of the dataset that is meant.

    Raises:
      UserError: it is not certain.
    """
    going = [run.name for run in runs.of(prepared) if run.note.job is not None and not run.job.ended]
    may = [*going, *(f"{name} ({JOB_FILE} is damaged)" for name in runs.damaged(prepared))]
    if request.run is None and len(may) > 1:
        raise UserError(f"{prepared.name} has several runs that go on: {', '.join(may)}; name one by --run")
    return runs.pick(prepared, request.run, listener=listener).job.name
