"""`cliptune delete`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from cliptune.console import Console
from cliptune.exits import Exit
from cliptune.flags import add_dataset, add_run, add_service, make
from tuning.requests import DeleteRequest

INTERRUPT_SECONDS = 10.0
INTERRUPTED = Exit.INTERRUPTED
TAKES_OTHERS = False
DESCRIPTION = """\
Delete the tuned model of a run, and the endpoints of all its checkpoints, which
are left behind otherwise. It asks before. What does not belong to the run's job,
as the service knows it, is never deleted; the run's records and answers stay.

  cliptune delete dataset
  cliptune delete dataset --run NAME --yes

After a stop or a failure, the same command goes on where it stopped."""
EPILOG = """\
stdout is one line of JSON. Exit status: 0 deleted; 1 failed, something is left, or
the answer was no; 2 usage, or there is no terminal to ask at, and no --yes."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `delete`."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    add_dataset(parser)
    add_run(parser, "the only one that has a model")
    parser.add_argument("--yes", action="store_true", help="delete without asking")
    add_service(parser.add_argument_group("service"))


def request(args: argparse.Namespace, others: Sequence[str]) -> DeleteRequest:
    """Makes the request from the flags."""
    return make(DeleteRequest, args)


def stopped(request: DeleteRequest) -> str:
    """Says that nothing is half done."""
    return "; the same command goes on where it stopped"


def run(request: DeleteRequest, console: Console) -> Exit:
    """Asks, deletes, and prints what was deleted."""
    from tuning.jobs import delete  # noqa: PLC0415 -- the service's client takes seconds to import

    def confirmed(question: str) -> bool:
        console.insist(f"{question} yes or no:")
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    # Who answers must see the question.
    asked = sys.stdin is not None and sys.stdin.isatty() and console.live
    try:
        console.give(delete.run(request, console, confirmed=confirmed if asked else None))
    except delete.NotAllDeletedError as fault:
        console.give(fault.report)
        console.fail(str(fault), "delete")
        return Exit.FAILED
    return Exit.DONE
