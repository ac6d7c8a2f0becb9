"""The service that a verb uses: the provider's own, another server, or an emulator that the verb starts."""

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
# A job of the emulator moves on each time it is read, so waiting is useless.
EMULATOR_POLL_SECONDS = 0.1


@contextlib.contextmanager
def api_endpoint(request: ServiceRequest, prepared: Dataset | None, listener: Listener) -> Iterator[str | None]:
    """Yields the URL of the service; None for the provider's own. An emulator runs while the block does.

    Args:
      request: decides which service is used.
      prepared: the dataset whose folder keeps the emulator's jobs; None to forget them.
      listener: gets the emulator's notice.
    """
    if not request.emulator:
        yield request.api_endpoint
        return
    from tuning.emulator import server  # noqa: PLC0415 -- only the emulator needs the web server

    listener.say(server.NOTICE)
    state_uri = prepared.tuning_uri("emulator.json") if prepared else None
    storage = prepared.storage if prepared else Storage(request.billing_project)
    with server.running(state_uri, storage=storage) as url:
        yield url


def place(request: ServiceRequest, project: str | None, location: str | None) -> tuple[str, str]:
    """The project and location of a request's jobs.

    Raises:
      UsageError: the project is missing, and the service is not a local one.
    """
    if not (project or request.local):
        problem = "project is needed: the Google Cloud project that pays (or --emulator, to try it)"
        raise UsageError(problem, "project")
    return project or LOCAL_PROJECT, location or PROVIDERS[request.provider].default_location


def pace(request: ServiceRequest, timeout: float | None, clock: Clock) -> Pace:
    """The pace at which the request's job is polled."""
    return Pace(EMULATOR_POLL_SECONDS if request.emulator else POLL_SECONDS, timeout, clock)
