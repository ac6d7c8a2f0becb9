"""What can be tried of Vertex AI before a job is sent. All of these requests read, and none is charged."""

from __future__ import annotations

import re

from transforms.errors import ServiceError, UserError
from tuning.providers.base import (
    NOT_TRIED,
    OK,
    REQUEST_LABEL,
    TERMINAL,
    UNREACHABLE,
    WRONG,
    Attempt,
    ServiceTrial,
    TuningRequest,
)
from tuning.providers.vertex.models import MODELS, base_location
from tuning.providers.vertex.rest import Rest, Tree

_CREDENTIALS, _API, _QUOTA, _MODEL = "credentials", "API", "quota", "base model"
_LISTED = "100"


def try_service(request: TuningRequest, wait_for_quota: bool, api_endpoint: str | None) -> ServiceTrial:
    """Tries credentials, API, quota and base model.

    Args:
      request: that would be sent.
      wait_for_quota: whether a full quota would be waited for.
      api_endpoint: URL of another server; None for Google's.
    """
    rest = Rest(api_endpoint)
    jobs, attempts = _list(rest, request)
    if jobs is None:
        rest_of_it = "not asked: what is before it comes first"
        later = [name for name in (_API, _QUOTA, _MODEL) if name not in {attempt.what for attempt in attempts}]
        return ServiceTrial((*attempts, *(Attempt(name, NOT_TRIED, rest_of_it) for name in later)), None)
    quota = _quota(jobs, request, wait_for_quota)
    return ServiceTrial((*attempts, quota, _model(rest, request)), _number(jobs))


def _list(rest: Rest, request: TuningRequest) -> tuple[list[Tree] | None, list[Attempt]]:
    """The newest jobs of the location; None if they cannot be listed."""
    parent = f"projects/{request.project}/locations/{request.location}"
    try:
        page = rest.request("GET", f"{parent}/tuningJobs", "list the tuning jobs", query={"pageSize": _LISTED})
    except UserError as fault:
        return None, [Attempt(_CREDENTIALS, UNREACHABLE, str(fault))]
    except ServiceError as fault:
        if fault.code is None or fault.transient:
            return None, [Attempt(_CREDENTIALS, NOT_TRIED, "no answer"), Attempt(_API, UNREACHABLE, str(fault))]
        return None, [Attempt(_CREDENTIALS, OK, "taken"), Attempt(_API, WRONG, _refused(fault, request.project))]
    jobs = page.get("tuningJobs")
    found = [job for job in jobs if isinstance(job, dict)] if isinstance(jobs, list) else []
    enabled = f"enabled in {request.project}, and tuning jobs can be listed in {request.location}"
    return found, [Attempt(_CREDENTIALS, OK, "valid"), Attempt(_API, OK, enabled)]


def _refused(fault: ServiceError, project: str) -> str:
    """What to do about a refusal to list the jobs."""
    if "SERVICE_DISABLED" in str(getattr(fault.__cause__, "details", "")):
        enable = f"gcloud services enable aiplatform.googleapis.com --project {project}"
        return f"the Vertex AI API is disabled in {project}; run: {enable}"
    return str(fault)


def _quota(jobs: list[Tree], request: TuningRequest, wait_for_quota: bool) -> Attempt:
    """Whether a job of the project runs already. What the quota is, only a job tells."""
    going = [job for job in jobs if str(job.get("state", "")).removeprefix("JOB_STATE_") not in TERMINAL]
    seen = f"of the newest {_LISTED} jobs in {request.location}; other locations share the quota, and are not asked"
    if not going:
        return Attempt(_QUOTA, OK, f"no job runs, {seen}")
    if any(_label(job) == request.digest for job in going):
        return Attempt(_QUOTA, OK, "the job of this very request runs already, and tune attaches to it")
    names = ", ".join(str(job.get("name")) for job in going[:3])
    told = f"{len(going)} running ({names}), and usually a project may run one"
    if wait_for_quota:
        return Attempt(_QUOTA, OK, f"{told}; --wait_for_quota waits for its end")
    return Attempt(_QUOTA, WRONG, f"{told}; wait for its end, or add --wait_for_quota")


def _label(job: Tree) -> object:
    labels = job.get("labels")
    return labels.get(REQUEST_LABEL) if isinstance(labels, dict) else None


def _model(rest: Rest, request: TuningRequest) -> Attempt:
    """Whether the base model answers the project, by counting the tokens of a letter: documented as free."""
    location = base_location(MODELS[request.base_model], request.location)
    name = f"projects/{request.project}/locations/{location}/publishers/google/models/{request.base_model}"
    body = {"contents": [{"role": "user", "parts": [{"text": "a"}]}]}
    try:
        rest.request("POST", f"{name}:countTokens", f"reach {request.base_model} in {location}", body)
    except (ServiceError, UserError) as fault:
        missing = isinstance(fault, ServiceError) and fault.missing
        hint = "; it is closed to this project, or not in this location: cliptune check --estimate lists others"
        return Attempt(_MODEL, WRONG if missing else NOT_TRIED, f"{fault}{hint if missing else ''}")
    return Attempt(_MODEL, OK, f"{request.base_model} answers in {location}")


def _number(jobs: list[Tree]) -> str | None:
    """The number of the project, by which the names of earlier jobs call it; None without one."""
    found = (re.match(r"projects/(\d+)/", str(job.get("name"))) for job in jobs)
    return next((match.group(1) for match in found if match), None)
