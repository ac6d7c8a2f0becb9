"""`cliptune emulator`."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from cliptune.console import Console
from cliptune.exits import Exit
from cliptune.flags import add_billing, make, whole_number
from transforms.errors import require
from transforms.storage import Storage

DEFAULT_PORT = 8085
MAX_PORT = 65_535
INTERRUPT_SECONDS = 10.0
INTERRUPTED = Exit.INTERRUPTED
TAKES_OTHERS = False
DESCRIPTION = """\
Serve a local emulator of Vertex AI's tuning service. It trains nothing, costs
nothing and predicts nothing. Use it to try the commands, and in your own CI.

  cliptune emulator --port 8085
  cliptune emulator --port 8085 --scenario faults.json
  cliptune tune dataset --api_endpoint=http://127.0.0.1:8085

A scenario adds delays, a quota and faults: docs/tuning.md."""


@dataclass(frozen=True)
class EmulatorRequest:
    """Serve the emulator.

    Attributes:
      port: port of the server; 0 for any free one.
      state_file: file that keeps the jobs between two runs; None to forget them.
      scenario: JSON file of the scenario; None for one without faults.
      billing_project: project that pays for requests to requester-pays buckets; "" if the buckets' own projects pay.
    """

    port: int = DEFAULT_PORT
    state_file: str | None = None
    scenario: str | None = None
    billing_project: str = ""

    def __post_init__(self) -> None:
        require(0 <= self.port <= MAX_PORT, "port", f"from 0 to {MAX_PORT}", self.port)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `emulator`."""
    parser.description = DESCRIPTION
    parser.add_argument(
        "--port", type=whole_number, default=DEFAULT_PORT, metavar="N", help="default: %(default)s; 0 for any free one"
    )
    parser.add_argument("--state_file", metavar="FILE", help="keep the jobs in this file between two runs")
    add_billing(parser)
    parser.add_argument("--scenario", metavar="FILE", help="JSON file of faults, quota and job states")


def request(args: argparse.Namespace, others: Sequence[str]) -> EmulatorRequest:
    """Makes the request from the flags."""
    return make(EmulatorRequest, args)


def stopped(request: EmulatorRequest) -> str:
    """Nothing to add: no work goes on."""
    return ""


def run(request: EmulatorRequest, console: Console) -> Exit:
    """Serves until it is interrupted."""
    from tuning.emulator import scenario, server  # noqa: PLC0415 -- only this command needs the web server

    played = scenario.load(request.scenario) if request.scenario else None
    with server.running(request.state_file, request.port, played, Storage(request.billing_project)) as url:
        console.say(url)
        console.say(f"{server.NOTICE}; Ctrl-C stops it")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return Exit.DONE
    return Exit.DONE
