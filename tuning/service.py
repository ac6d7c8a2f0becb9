"""Which service a command talks to: Google's own, another server, or an emulator that runs meanwhile."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator

from rich.console import Console

from transforms.errors import UsageError
from transforms.storage import Storage
from tuning.dataset import Dataset
from tuning.flags import DEFAULT_LOCATION
from tuning.jobs.watch import POLL_SECONDS, Pace

LOCAL_PROJECT = "local-project"
# The emulator moves on when it is asked, so nothing is gained by waiting.
EMULATOR_POLL_SECONDS = 0.1


@contextlib.contextmanager
def api_endpoint(args: argparse.Namespace, prepared: Dataset | None, console: Console) -> Iterator[str | None]:
    """The URL of the service; None for Google's own. The emulator runs while the body does.

    Args:
      args: `emulator` and `api_endpoint`.
      prepared: whose folder keeps the emulator's jobs; None to forget them.
      console: for people.
    """
    if not args.emulator:
        yield args.api_endpoint
        return
    from tuning.emulator import server  # noqa: PLC0415 -- a web server, which nobody else needs

    console.print(server.NOTICE)
    state_uri = prepared.tuning_uri("emulator.json") if prepared else None
    with server.running(state_uri, storage=Storage(args.billing_project)) as url:
        yield url


def is_local(args: argparse.Namespace) -> bool:
    """Whether the service is not Google's own."""
    return bool(args.emulator or args.api_endpoint)


def same_service(args: argparse.Namespace) -> str:
    """The flags that lead another command to the same service, with a space before them."""
    if getattr(args, "emulator", False):
        return " --emulator"
    url = getattr(args, "api_endpoint", None)
    return f" --api_endpoint={url}" if url else ""


def project_and_location(args: argparse.Namespace) -> tuple[str, str]:
    """Where jobs are, from the flags.

    Raises:
      UsageError: no project is named.
    """
    location = args.location or DEFAULT_LOCATION
    if args.project:
        return str(args.project), location
    if is_local(args):
        return LOCAL_PROJECT, location
    raise UsageError("--project is needed: the Google Cloud project that pays (or --emulator, to try it)")


def pace(args: argparse.Namespace) -> Pace:
    """How a job is followed."""
    return Pace(EMULATOR_POLL_SECONDS if args.emulator else POLL_SECONDS, args.timeout)
