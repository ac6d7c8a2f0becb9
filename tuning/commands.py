"""The tuning commands: from parsed flags to an exit status."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from rich.console import Console

from transforms import interrupts
from transforms.errors import ServiceError, StorageError, UsageError, UserError
from transforms.storage import Storage
from tuning.ask_commands import predict
from tuning.check_commands import check
from tuning.console import open_console
from tuning.exits import Exit
from tuning.job_commands import cancel, jobs, watch
from tuning.service import same_service
from tuning.tune_command import tune

# Enough to keep the answers that have come.
INTERRUPT_SECONDS = 10.0


def run(args: argparse.Namespace) -> int:
    """Runs one command.

    Args:
      args: the flags of `tuning.flags`, and `command`.

    Returns:
      The exit status.
    """
    console = open_console()
    stopped = f"cliptune {args.command}: stopped{_what_goes_on(args)}"
    with interrupts.ends_within(INTERRUPT_SECONDS, console, stopped, Exit.INTERRUPTED):
        return _run_and_tell(args, console)
    return Exit.INTERRUPTED


def _run_and_tell(args: argparse.Namespace, console: Console) -> int:
    try:
        return COMMANDS[args.command](args, console)
    except UsageError as fault:
        console.print(f"cliptune {args.command}: {fault}")
        return Exit.USAGE
    except (UserError, StorageError, ServiceError) as fault:
        console.print(f"cliptune {args.command}: {fault}")
        return Exit.FAILED


def _what_goes_on(args: argparse.Namespace) -> str:
    if args.command == "predict":
        return "; the answers so far are kept, and the same command goes on where it stopped"
    if args.command not in ("tune", "watch"):
        return ""
    where = f"{args.output}{same_service(args)}"
    return f"; a submitted job goes on: follow it with cliptune watch {where}, end it with cliptune cancel {where}"


def _emulator(args: argparse.Namespace, console: Console) -> int:
    from tuning.emulator import server  # noqa: PLC0415 -- a web server, which nobody else needs

    return server.serve(args.port, args.state_file, args.scenario, console, Storage(args.billing_project))


COMMANDS: dict[str, Callable[[argparse.Namespace, Console], int]] = {
    "check": check,
    "tune": tune,
    "watch": watch,
    "jobs": jobs,
    "cancel": cancel,
    "predict": predict,
    "emulator": _emulator,
}
