"""`cliptune run`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cliptune import config, importing
from cliptune.commands import prepare
from cliptune.config_keys import SHARED, Key, keys
from cliptune.config_values import MAX_COST
from cliptune.console import Console
from cliptune.exits import Exit
from cliptune.flags import number
from cliptune.requests import EVALUATE, PREPARE, STEPS, RunRequest
from transforms.errors import TOLD

if TYPE_CHECKING:
    from cliptune.run_report import RunReport

INTERRUPT_SECONDS = 10.0
INTERRUPTED = Exit.INTERRUPTED
TAKES_OTHERS = False
DESCRIPTION = """\
The whole job of one file: prepare, check, tune, watch, predict (the tuned models and
their base models) and evaluate. Each step takes up what is there: killed anywhere,
the same command goes on, and no job is sent and no question is asked twice.

  cliptune init clips.jsonl                      writes cliptune.yaml, to be looked at
  cliptune run cliptune.yaml --dry_run           the plan and its price; nothing is changed
  cliptune run cliptune.yaml
  cliptune run cliptune.yaml --until check       nothing that is paid
  cliptune run cliptune.yaml --tune.epochs=5     flags win over the file

Every key of the file is a flag here, too: --SECTION.KEY=VALUE."""
EPILOG = """\
stdout is one line of JSON, the last that is written. Exit status: that of the step which
failed: 0 done, 1 failed, 2 usage, 3 too many rows rejected, 4 a job failed, 5 it was
cancelled, 6 a job goes on (--until tune, no_wait, timeout): the same command again,
7 its model has no endpoint, 8 a condition of fail_if holds, 130 Ctrl-C."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `run`."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument(
        "file", nargs="?", default=config.DEFAULT_FILE, metavar="FILE", help="YAML file (default: %(default)s)"
    )
    steps = parser.add_argument_group("steps")
    steps.add_argument("--until", choices=STEPS, default=EVALUATE, help="the last step (default: %(default)s)")
    steps.add_argument(
        "--from",
        dest="from_step",
        choices=STEPS,
        default=PREPARE,
        help="the first step; those before it must be done (default: %(default)s)",
    )
    steps.add_argument("--dry_run", action="store_true", help="print the plan and its price, and change nothing")
    steps.add_argument(
        "--max_cost", type=number, metavar="USD", help="refuse, before the first job, what may cost more in all"
    )
    shared = parser.add_argument_group("instead of what the file says")
    of_sections = parser.add_argument_group()
    for key in keys().values():
        _add_key(shared if key.path in SHARED else of_sections, key)


def _add_key(group: argparse._ArgumentGroup, key: Key) -> None:
    """Adds a key of the file as a flag. Its value is read as the file's is, which knows where it came from."""
    shown = key.help.replace("%", "%%") if key.path in SHARED else argparse.SUPPRESS
    metavar = key.name.upper()
    if key.is_switch:
        group.add_argument(f"--{key.path}", action="append", nargs="?", const="true", metavar="true|false", help=shown)
    else:
        group.add_argument(f"--{key.path}", action="append", metavar=metavar, help=shown)


def request(args: argparse.Namespace, others: Sequence[str]) -> RunRequest:
    """Makes the request from the file and the flags."""
    given = {path: value for path, value in vars(args).items() if path in keys() and value is not None}
    if args.max_cost is not None:
        given[MAX_COST] = [str(args.max_cost)]
    return config.load(args.file, given, from_step=args.from_step, until=args.until, dry_run=args.dry_run)


def stopped(request: RunRequest) -> str:
    """Says how to go on; what goes on elsewhere, `run` says."""
    elsewhere = prepare.stopped(request.prepare) if PREPARE in request.steps else ""
    return elsewhere or "; the same command goes on from here"


def run(request: RunRequest, console: Console) -> Exit:
    """Carries the steps out; prints the summary and the report, whatever became of them."""
    from cliptune import workflow  # noqa: PLC0415 -- numpy and pyarrow take their time to import

    flow = workflow.Workflow(request, console, import_beam=importing.lightly)
    try:
        flow.run()
    except KeyboardInterrupt:
        if elsewhere := flow.goes_on():
            console.say(elsewhere)
        raise
    except TOLD:
        _tell(flow.report(), console)
        raise
    _tell(flow.report(), console)
    return Exit(flow.report().status)


def _tell(report: RunReport, console: Console) -> None:
    from cliptune import run_report  # noqa: PLC0415 -- as above

    run_report.say(report, console)
    console.give(report)
