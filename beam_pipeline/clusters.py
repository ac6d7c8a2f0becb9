"""The jobs of a job server and of Flink: which of them run, how one ends, and how it is ended.

A job server knows the jobs that it was given, from the first moment on, until it ends. Flink's JobManager knows those
that it runs, whoever has submitted them; and it alone ends them: a job server that is asked to only stops to look.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import requests
from apache_beam.metrics.metric import MetricResults
from apache_beam.options.pipeline_options import FlinkRunnerOptions, PipelineOptions, PortableOptions
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc
from apache_beam.runners.portability.flink_runner import MAGIC_HOST_NAMES, FlinkRunner
from apache_beam.runners.portability.portable_runner import TERMINAL_STATES, PipelineResult, PortableMetrics
from google.protobuf import json_format

from beam_pipeline.job import PREFIX, Names
from transforms.errors import ServiceError, UserError

REQUEST_OPTION = "cliptune_request"
ENDED = ("FINISHED", "CANCELED", "FAILED")
_ENDING = ("CANCELLING", "FAILING")
_NAME = re.compile(rf"{PREFIX}-([0-9a-f]+-[0-9a-f]+)")
_SECONDS = 10.0
# Between two looks at a job; and how long a JobManager may be away meanwhile: it may be starting again.
POLL_SECONDS, PATIENCE_SECONDS = 1.0, 60.0
_ANY_SIZE = (("grpc.max_receive_message_length", -1),)  # a server tells of all its jobs at once


class RequestOptions(PipelineOptions):
    """What a job says of its request to whoever lists the cluster's jobs, if a flag has named it."""

    @classmethod
    def _add_argparse_args(cls, parser: Any) -> None:  # noqa: ANN401 -- Beam's own parser
        parser.add_argument(f"--{REQUEST_OPTION}", help="digests of the output and the request; Cliptune sets it")


@dataclass(frozen=True, slots=True)
class FoundJob:
    """A job that is known somewhere.

    Attributes:
      id: where it is known.
      name: on Flink's page, too.
      state: as it is called there.
      request: its `Names.tag`; "" if it has none, as jobs of other programs.
    """

    id: str
    name: str
    state: str
    request: str

    def writes_into(self, output: str) -> bool:
        """Whether it has an output of this digest."""
        return self.request.partition("-")[0] == output


def _request(name: str, said: object) -> str:
    named = _NAME.fullmatch(name)
    return named[1] if named else str(said or "")


class JobServer:
    """A job server, which hands pipelines to a cluster.

    Attributes:
      endpoint: HOST:PORT.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._service = beam_job_api_pb2_grpc.JobServiceStub(grpc.insecure_channel(endpoint, _ANY_SIZE))

    def jobs(self) -> list[FoundJob]:
        """The jobs that have not ended, by what it knows; [] for a server that keeps no list."""
        return [
            FoundJob(
                info.job_id,
                info.job_name,
                beam_job_api_pb2.JobState.Enum.Name(info.state),
                _request(info.job_name, _option(info, REQUEST_OPTION)),
            )
            for info in self._infos()
            if info.state not in TERMINAL_STATES
        ]

    def master(self) -> str:
        """The address of the JobManager to which it has handed a job; "" if it has not, or is not Flink's."""
        masters = (_option(info, "flink_master") for info in self._infos())
        return next((str(master) for master in masters if master and master not in MAGIC_HOST_NAMES), "")

    def attach(self, job_id: str) -> PipelineResult:
        """One of its jobs, as if this process had submitted it."""
        states = self._service.GetStateStream(beam_job_api_pb2.GetJobStateRequest(job_id=job_id))
        messages = self._service.GetMessageStream(beam_job_api_pb2.JobMessagesRequest(job_id=job_id))
        return PipelineResult(self._service, job_id, messages, states)

    def cancel(self, job_id: str) -> None:
        """Asks for the end of a job. Flink's would go on."""
        self._service.Cancel(beam_job_api_pb2.CancelJobRequest(job_id=job_id), timeout=_SECONDS)

    def _infos(self) -> list[Any]:
        try:
            return list(self._service.GetJobs(beam_job_api_pb2.GetJobsRequest(), timeout=_SECONDS).job_info)
        except grpc.RpcError as fault:
            if isinstance(fault, grpc.Call) and fault.code() == grpc.StatusCode.UNIMPLEMENTED:
                return []
            raise


def _option(info: Any, name: str) -> object:  # noqa: ANN401 -- of Beam's protocol, which has no types
    key = f"beam:option:{name}:v1"
    return dict(info.pipeline_options).get(key)


class JobManager:
    """Flink's JobManager, asked through its REST interface.

    All methods raise ServiceError if it refuses or does not answer.

    Attributes:
      page: address of its page.
    """

    def __init__(self, address: str) -> None:
        self.page = str(FlinkRunner.add_http_scheme(address)).rstrip("/")

    def jobs(self) -> list[FoundJob]:
        """The jobs that have not ended."""
        found = [job for job in self._ask("/jobs/overview")["jobs"] if job["state"] not in ENDED]
        return [FoundJob(job["jid"], job["name"], job["state"], self._request(job)) for job in found]

    def ended(self) -> set[str]:
        """The requests of the jobs that have ended, by their names."""
        jobs = self._ask("/jobs/overview")["jobs"]
        return {_request(job["name"], "") for job in jobs if job["state"] in ENDED}

    def _request(self, job: dict[str, Any]) -> str:
        if _NAME.fullmatch(job["name"]):
            return _request(job["name"], "")
        try:
            config = self._ask(f"/jobs/{job['jid']}/config")
        except ServiceError as fault:
            if fault.code is None:
                raise
            return ""  # of a job that is just starting, or ending
        said = config.get("execution-config", {}).get("user-config", {})
        return _request("", said.get(_camel_case(REQUEST_OPTION)))

    def state(self, job_id: str) -> str:
        """Of a job; "" if it knows none of this id, as after it has started again."""
        try:
            return str(self._ask(f"/jobs/{job_id}")["state"])
        except ServiceError as fault:
            if fault.missing:
                return ""
            raise

    def cause(self, job_id: str) -> str:
        """Why a job has failed, with the traceback of the worker if one has raised; "" if it is not known."""
        history = self._ask(f"/jobs/{job_id}/exceptions")
        return str(history.get("root-exception") or "")

    def metrics(self, job_id: str) -> MetricResults:
        """What a job's workers have counted."""
        answer = beam_job_api_pb2.GetJobMetricsResponse()
        for counted in self._ask(f"/jobs/{job_id}/accumulators")["user-task-accumulators"]:
            if counted["name"] == "__metricscontainers":
                json_format.Parse(counted["value"], answer)
        return PortableMetrics(answer)

    def cancel(self, job_id: str) -> None:
        """Asks for the end of a job."""
        self._ask(f"/jobs/{job_id}", "PATCH")

    def cancelling(self, job_id: str) -> str:
        """The command that does."""
        return f"curl -X PATCH {self.page}/jobs/{job_id}"

    def console(self, job_id: str) -> str:
        """The address of a job's page."""
        return f"{self.page}/#/job/running/{job_id}"

    def _ask(self, path: str, method: str = "GET") -> Any:  # noqa: ANN401 -- JSON
        try:
            answer = requests.request(method, f"{self.page}{path}", timeout=_SECONDS)
            if answer.ok:
                return answer.json()
        except (requests.RequestException, ValueError):
            raise ServiceError(f"no JobManager of Flink answers at {self.page}", transient=True) from None
        said = f"the JobManager at {self.page} answers {answer.status_code} to {method} {path}"
        raise ServiceError(said, transient=answer.status_code >= 500, code=answer.status_code)


def _camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


class Cluster:
    """Whom to ask for the jobs of a runner elsewhere.

    Attributes:
      server: the job server that stays; None for one of this command's own.
    """

    def __init__(self, options: PipelineOptions) -> None:
        endpoint = options.view_as(PortableOptions).job_endpoint
        master = options.view_as(FlinkRunnerOptions).flink_master
        self.server = JobServer(endpoint) if endpoint and endpoint != "embed" else None
        self._manager = JobManager(master) if master not in MAGIC_HOST_NAMES else None

    def manager(self) -> JobManager | None:
        """The JobManager: that of the flag, or that of which the job server tells, if it can be reached from here."""
        if self._manager is None and self.server is not None and (master := self.server.master()):
            told = JobManager(master)
            try:
                told.jobs()
            except ServiceError:
                return None
            self._manager = told
        return self._manager

    def is_known(self) -> bool:
        """Whether there is anyone to ask."""
        return self.server is not None or self._manager is not None

    def jobs(self) -> Iterator[tuple[FoundJob, JobServer | JobManager]]:
        """The jobs that have not ended, with who knows them."""
        manager = self.manager()
        running = manager.jobs() if manager is not None else []
        ended = manager.ended() if manager is not None else set()
        if self.server is not None:
            for job in self.server.jobs():
                # Until the JobManager has it, the job server alone knows of a job; whose command is gone when it ends
                # stays as it was in the job server for good.
                if job.request not in {other.request for other in running} | ended:
                    yield job, self.server
        if manager is not None:
            yield from ((job, manager) for job in running)

    def find(self, names: Names) -> tuple[FoundJob, JobServer | JobManager] | None:
        """The job of the same request, if it has not ended.

        Raises:
          UserError: a job of another request writes into the same output.
        """
        for job, where in self.jobs():
            if job.request == names.tag:
                return job, where
            if job.writes_into(names.output):
                raise UserError(
                    f"job {job.name} ({job.id}) of another request writes into the same output; wait for its end, or"
                    f" cancel it: {cancelling(job, where)}"
                )
        return None

    def find_settled(self, names: Names) -> tuple[FoundJob, JobServer | JobManager] | None:
        """As `find`, but waits for the end of a job that is ending, as one that was cancelled a moment ago."""
        while (found := self.find(names)) is not None and found[0].state in _ENDING:
            time.sleep(POLL_SECONDS)
        return found


def cancelling(job: FoundJob, where: JobServer | JobManager) -> str:
    """What cancels a job."""
    if isinstance(where, JobManager):
        return where.cancelling(job.id)
    return "its own command with --cancel"
