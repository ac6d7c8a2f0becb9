"""Which service a verb talks to: the provider's own, another server, or an emulator that runs meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from transforms.errors import UsageError
from transforms.listener import Listener
from transforms.storage import Storage
from tuning.dataset import Dataset
from tuning.jobs.clock import POLL_SECONDS, Clock, Pace
from tuning.providers import PROVIDERS
from tuning.requests import ServiceRequest

LOCAL_PROJECT = "local-project"
# The emulator moves on when it is asked, so nothing is gained by waiting.
EMULATOR_POLL_SECONDS = 0.1


@contextlib.contextmanager
def api_endpoint(request: ServiceRequest, prepared: Dataset | None, listener: Listener) -> Iterator[str | None]:
    """The URL of the service; None for the provider's own. The emulator runs while the block does.

    Args:
      request: which service.
      prepared: whose folder keeps the emulator's jobs; None to forget them.
      listener: is told of the emulator.
    """
    if not request.emulator:
        yield request.api_endpoint
        return
    from tuning.emulator import server  # noqa: PLC0415 -- a web server, which nobody else needs

    listener.say(server.NOTICE)
    state_uri = prepared.tuning_uri("emulator.json") if prepared else None
    with server.running(state_uri, storage=Storage(request.billing_project)) as url:
        yield url


def place(request: ServiceRequest, project: str | None, location: str | None) -> tuple[str, str]:
    """Project and location of a request's jobs.

    Raises:
      UsageError: there is no project, which only a local service can do without.
    """
    if not (project or request.local):
        told = "project is needed: the Google Cloud project that pays (or --emulator, to try it)"
        raise UsageError(told, "project")
    return project or LOCAL_PROJECT, location or PROVIDERS[request.provider].default_location


def pace(request: ServiceRequest, timeout: float | None, clock: Clock) -> Pace:
    """How a job is followed."""
    return Pace(EMULATOR_POLL_SECONDS if request.emulator else POLL_SECONDS, timeout, clock)
