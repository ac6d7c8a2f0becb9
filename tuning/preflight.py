"""Tries what may be tried of a tuning job before it is sent: nothing is submitted, written or paid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from transforms.errors import StorageError, UserError
from transforms.listener import Listener
from transforms.storage import Access, Storage, uris
from transforms.storage.base import READER, READS, WRITER
from tuning.providers import PROVIDERS
from tuning.providers.base import NOT_TRIED, OK, UNREACHABLE, WRONG, Attempt, ServiceTrial, TuningRequest
from tuning.requests import TuneRequest

FORMAT_VERSION = 1
_READ, _WRITE, _LOCATION, _AGENTS = "bucket read", "bucket written", "bucket location", "service agents"
# Where a bucket's location begins so, it is on that continent; a region's name begins likewise.
_CONTINENTS = {"us": "us", "nam": "us", "northamerica": "us", "eu": "eu", "eur": "eu", "europe": "eu", "asia": "asia"}


@dataclass(frozen=True, slots=True)
class PreflightReport:
    """The report that `cliptune tune --preflight` prints on stdout.

    Attributes:
      ok: whether nothing is wrong. What was not tried is not.
      attempts: what was tried, and what could not be.
      format_version: version of these fields.
    """

    ok: bool
    attempts: tuple[Attempt, ...]
    format_version: int = FORMAT_VERSION

    def as_dict(self) -> dict[str, Any]:
        """As the one line of stdout has it."""
        return asdict(self)


def report(attempts: tuple[Attempt, ...]) -> PreflightReport:
    """The report of some attempts."""
    return PreflightReport(all(attempt.outcome != WRONG for attempt in attempts), attempts)


def tried(
    request: TuneRequest, job_request: TuningRequest, folder: str, url: str | None, listener: Listener
) -> Iterator[Attempt]:
    """Tries service and bucket; says each as a line, and yields it.

    Args:
      request: of the user. In a dry run, what cannot be reached is not tried; else it is wrong.
      job_request: what would be sent.
      folder: of the joined files.
      url: of another service; None for the provider's own.
      listener: gets the lines.
    """
    trial = PROVIDERS[request.provider].try_service(job_request, request.wait_for_quota, url)
    for attempt in (*trial.attempts, *_bucket(request, job_request, folder, trial)):
        unreachable = NOT_TRIED if request.dry_run else WRONG
        yield said(attempt if attempt.outcome != UNREACHABLE else replace(attempt, outcome=unreachable), listener)


def said(attempt: Attempt, listener: Listener) -> Attempt:
    """The attempt, once it is said as a line."""
    listener.say(f"preflight: {attempt.what}: {attempt.outcome}: {attempt.detail}")
    return attempt


def _bucket(request: TuneRequest, job_request: TuningRequest, folder: str, trial: ServiceTrial) -> Iterator[Attempt]:
    if not uris.is_gcs(folder):
        yield from (Attempt(what, NOT_TRIED, "the files stay on this machine") for what in (_READ, _WRITE))
        return
    bucket = folder.split("/")[2]
    try:
        access = Storage(request.billing_project).access(folder)
    except UserError as fault:
        yield Attempt(_READ, WRONG, str(fault))
        return
    except StorageError as fault:
        yield Attempt(_READ, UNREACHABLE, str(fault))
        return
    if access is None:
        yield Attempt(_READ, UNREACHABLE, f"no Google Cloud credentials for gs://{bucket}")
        return
    yield from _rights(f"gs://{bucket}", access)
    yield _place(f"gs://{bucket}", access, job_request.location)
    yield _agents(f"gs://{bucket}", access, job_request, request.provider, trial.project_number)


def _rights(bucket: str, access: Access) -> Iterator[Attempt]:
    """Whether the account may read the files, and write the joined ones. The service needs rights of its own."""
    for what, role, reads in ((_READ, READER, True), (_WRITE, WRITER, False)):
        lacking = [name for name in access.missing if (name in READS) is reads]
        if lacking:
            yield Attempt(what, WRONG, f"{' and '.join(lacking)} missing: grant this account {role} on {bucket}")
        else:
            yield Attempt(what, OK, f"this account may, in {bucket}")


def _place(bucket: str, access: Access, location: str) -> Attempt:
    if access.location is None:
        return Attempt(_LOCATION, NOT_TRIED, f"this account may not look at {bucket} (storage.buckets.get)")
    place = access.location.lower()
    if place == location or place == location.partition("-")[0] or location.startswith(f"{place}rope-"):
        return Attempt(_LOCATION, OK, f"{bucket} lies in {access.location}, the job in {location}")
    theirs, ours = _continent(place), _continent(location)
    if theirs == ours:
        return Attempt(_LOCATION, OK, f"{bucket} lies in {access.location}: reading it from {location} may be charged")
    remedy = f"use a bucket in {location}, or a --location near the bucket"
    problem = f"{bucket} lies in {access.location}, the job in {location}: no page promises that it is read from there"
    return Attempt(_LOCATION, WRONG, f"{problem}; {remedy}")


def _continent(place: str) -> str:
    beginning = re.match(r"[a-z]*", place)
    word = beginning.group() if beginning else place
    return _CONTINENTS.get(word, word)


def _agents(bucket: str, access: Access, job_request: TuningRequest, provider: str, number: str | None) -> Attempt:
    """Whether the service may read the bucket. What a project grants as a whole is not looked at."""
    account = job_request.service_account
    form, agent = PROVIDERS[provider].agents(number or "NUMBER")
    grant = f"grant {READER} on {bucket} to {account or agent}"
    if number is None and not account:
        first = f"{job_request.project} has had no job in {job_request.location}, and the agents do not exist before"
        return Attempt(_AGENTS, NOT_TRIED, f"{first}; for a bucket of another project, then {grant}")
    if access.readers is None:
        hidden = f"this account may not see who may read {bucket} (storage.buckets.getIamPolicy)"
        return Attempt(_AGENTS, NOT_TRIED, f"{hidden}; if the job cannot, {grant}")
    wanted = f"serviceAccount:{re.escape(account) if account else form}"
    if "allUsers" in access.readers or any(re.fullmatch(wanted, reader) for reader in access.readers):
        return Attempt(_AGENTS, OK, f"{account or 'they'} may read {bucket}")
    if account or access.project_number is None:
        return Attempt(_AGENTS, NOT_TRIED, f"not granted on {bucket} itself, perhaps by its project; if not, {grant}")
    if access.project_number == number:
        return Attempt(_AGENTS, OK, f"{bucket} is of the same project, whose own grants they have")
    return Attempt(_AGENTS, WRONG, f"{bucket} is of another project; {grant}")
