"""Dataflow's jobs, asked for through Beam's own client: what runs, what it says, what it has counted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import google.auth
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
from apache_beam.runners.dataflow.internal import apiclient
from google.api_core import exceptions as api
from google.api_core.retry import Retry, if_transient_error
from google.auth import exceptions as auth
from google.cloud import dataflow

from beam_pipeline.job import Spread
from transforms import errors
from transforms.errors import ServiceError, UserError

ENDED = ("DONE", "FAILED", "CANCELLED", "UPDATED", "DRAINED")
# Of jobs with names of their own: a listing has no labels, so each is asked for.
_MAX_UNNAMED = 100
# Of calls that nobody repeats otherwise.
_RETRY = Retry(predicate=if_transient_error, initial=0.5, maximum=5.0, timeout=30.0)
# What the service says after an error, and not in its place.
_SUMMARY = re.compile(r"work item (was attempted|has failed)|^Workflow failed\.?$|^(Workflow failed\. )?Causes: S\d+:")


@dataclass(frozen=True, slots=True)
class RemoteJob:
    """A job of Dataflow's.

    Attributes:
      id: the service's.
      name: of the job.
      state: "RUNNING", "DONE" …
      labels: by their keys; {} in a listing.
    """

    id: str
    name: str
    state: str
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether its state is a last one."""
        return self.state in ENDED


@dataclass(frozen=True, slots=True)
class News:
    """What a job has said since.

    Attributes:
      lines: for people, the oldest first.
      causes: those of them that are errors, without the service's summaries of errors.
      summaries: the others that are errors.
      workers: how many there are now; None if nothing was said of it.
    """

    lines: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    summaries: tuple[str, ...] = ()
    workers: int | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """What the workers have counted, by the names of `write_shards`.

    Attributes:
      counters: their values.
      spreads: the distributions.
    """

    counters: dict[str, int] = field(default_factory=dict)
    spreads: dict[str, Spread] = field(default_factory=dict)


class Service:
    """The jobs of a project in a region.

    All methods raise ServiceError if the service refuses or does not answer.
    """

    def __init__(self, options: PipelineOptions) -> None:
        cloud = options.view_as(GoogleCloudOptions)
        self.project, self.region = cloud.project, cloud.region
        require_credentials(options)
        self.client = apiclient.DataflowApplicationClient(options)
        self._seen: set[str] = set()
        self._since: Any = None

    def console(self, job_id: str) -> str:
        """The address of a job's page."""
        return f"https://console.cloud.google.com/dataflow/jobs/{self.region}/{job_id}?project={self.project}"

    def cancelling(self, job_id: str) -> str:
        """The command that cancels a job."""
        return f"gcloud dataflow jobs cancel {job_id} --project={self.project} --region={self.region}"

    def active(self) -> list[RemoteJob]:
        """The jobs that have not ended."""
        active = dataflow.ListJobsRequest.Filter.ACTIVE
        asked = dataflow.ListJobsRequest(project_id=self.project, location=self.region, filter=active)
        with self._faults():
            return [_job(found) for found in self.client._jobs_client.list_jobs(request=asked, retry=_RETRY)]

    def labelled(self, label: str, value: str, prefix: str) -> list[RemoteJob]:
        """The jobs that have not ended, with a label: those whose name begins with `prefix`, and some of the others."""
        active = self.active()
        named = [job for job in active if job.name.startswith(prefix)]
        others = [job for job in active if not job.name.startswith(prefix)][:_MAX_UNNAMED]
        found = [self.job(job.id, _RETRY) for job in (*named, *others)]
        return [job for job in found if job.labels.get(label) == value and not job.ended]

    def job(self, job_id: str, retry: Retry | None = None) -> RemoteJob:
        """The job as it is now."""
        asked = dataflow.GetJobRequest(project_id=self.project, location=self.region, job_id=job_id)
        with self._faults():
            return _job(self.client._jobs_client.get_job(request=asked, retry=retry))

    def cancel(self, job_id: str) -> None:
        """Asks for the end of a job."""
        cancelled = dataflow.Job(requested_state=dataflow.JobState.JOB_STATE_CANCELLED)
        asked = dataflow.UpdateJobRequest(project_id=self.project, location=self.region, job_id=job_id, job=cancelled)
        with self._faults():
            self.client._jobs_client.update_job(request=asked, retry=_RETRY)

    def news(self, job_id: str) -> News:
        """What the job has said since the last call."""
        asked = dataflow.ListJobMessagesRequest(
            project_id=self.project,
            location=self.region,
            job_id=job_id,
            minimum_importance=dataflow.JobMessageImportance.JOB_MESSAGE_BASIC,
            start_time=self._since,
        )
        messages: list[Any] = []
        workers = None
        with self._faults():
            for page in self.client._messages_client.list_job_messages(request=asked).pages:
                messages += page.job_messages
                for event in page.autoscaling_events:
                    workers = event.current_num_workers
        return self._told(messages, workers)

    def _told(self, messages: list[Any], workers: int | None) -> News:
        lines: list[str] = []
        causes: list[str] = []
        summaries: list[str] = []
        for message in sorted(messages, key=lambda each: each.time):
            key = f"{message.id} {message.time} {message.message_text}"
            if key in self._seen:  # the service tells the last moment's again
                continue
            self._seen.add(key)
            self._since = message.time
            line = one_line(message.message_text)
            if message.message_importance == dataflow.JobMessageImportance.JOB_MESSAGE_ERROR:
                (summaries if _SUMMARY.search(message.message_text) else causes).append(line)
            if line not in lines:
                lines.append(line)
        return News(tuple(lines), tuple(causes), tuple(summaries), workers)

    def counts(self, job_id: str, namespace: str) -> Counts:
        """What the job's workers have counted so far, of a namespace of ours."""
        asked = dataflow.GetJobMetricsRequest(project_id=self.project, location=self.region, job_id=job_id)
        with self._faults():
            metrics = self.client._metrics_client.get_job_metrics(request=asked).metrics
        counters: dict[str, int] = {}
        spreads: dict[str, Spread] = {}
        for metric in metrics:
            context = metric.name.context
            if metric.name.origin != "user" or context.get("namespace") != namespace or "tentative" in context:
                continue
            name, spread = metric.name.name, metric.distribution
            if metric.scalar is not None:
                counters[name] = counters.get(name, 0) + int(metric.scalar)
            elif spread is not None:
                spreads[name] = Spread(int(spread["count"]), int(spread["sum"]), int(spread["max"]))
        return Counts(counters, spreads)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        where = f"Dataflow in {self.region} of project {self.project}"
        try:
            yield
        except api.GoogleAPICallError as fault:
            raise refusal(fault, where) from None
        except api.RetryError as fault:  # of `_RETRY`; its own words tell of seconds
            if isinstance(fault.cause, api.GoogleAPICallError):
                raise refusal(fault.cause, where) from None
            raise _silence(where, fault.cause or fault) from None
        except (auth.TransportError, OSError) as fault:
            # requests' exceptions are OSErrors: no connection, or one that was cut.
            raise _silence(where, fault) from None
        except auth.GoogleAuthError as fault:
            raise ServiceError(_no_credentials(fault)) from None


def refusal(fault: api.GoogleAPICallError, where: str) -> ServiceError:
    """What the service refuses, with what to do about it, in one line."""
    code = int(fault.code or 0)
    remedies = {
        401: "; your credentials are not valid: gcloud auth application-default login",
        403: "; your account needs roles/dataflow.developer there, and the Dataflow API must be enabled",
        404: "; are --project and --region spelled as they should be?",
    }
    said = one_line(str(fault.message))
    transient = code >= 500 or code in (0, 408, 429)
    verb = "does not answer" if transient else "refuses"
    return ServiceError(f"{where} {verb} (HTTP {code}): {said}{remedies.get(code, '')}", transient, code or None)


def require_credentials(options: PipelineOptions) -> None:
    """Refuses to go on without credentials: Beam would wait for half a minute and then go on without any.

    Raises:
      UserError: there are none, or they are not valid.
    """
    if options.view_as(GoogleCloudOptions).no_auth:
        return
    try:
        google.auth.default()
    except auth.GoogleAuthError as fault:
        raise UserError(_no_credentials(fault)) from None


def _no_credentials(fault: auth.GoogleAuthError) -> str:
    # Some have the answer of the service as a second argument.
    said = one_line(str(fault.args[0] if fault.args else fault))
    return f"no valid Google credentials: {said}; run gcloud auth application-default login"


def _silence(where: str, fault: Exception) -> ServiceError:
    return ServiceError(f"{where} does not answer: {one_line(str(fault))}", transient=True)


def one_line(text: str) -> str:
    """The line of a message that says what has happened: of a traceback the last, without Beam's additions."""
    known = errors.in_traceback(text)
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()] or [""]
    line = str(known) if known is not None else lines[-1] if "Traceback" in text else lines[0]
    return re.sub(r" \[while running '[^']*'\].*$", "", line)


def _job(found: Any) -> RemoteJob:  # noqa: ANN401 -- Google's client has no types
    state = str(dataflow.JobState(found.current_state).name).removeprefix("JOB_STATE_")
    return RemoteJob(found.id, found.name, state, dict(found.labels))
