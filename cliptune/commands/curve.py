"""`cliptune curve`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from cliptune import exits
from cliptune.commands.tune import add_job, labels
from cliptune.console import Console
from cliptune.exits import Exit
from cliptune.flags import add_dataset, add_place, add_price, add_service, make, number, whole_number
from transforms.errors import UsageError
from tuning.requests import DEFAULT_CONCURRENCY, DEFAULT_FRACTIONS, DEFAULT_NORMALIZER, CurveRequest

INTERRUPT_SECONDS = 10.0
INTERRUPTED = Exit.INTERRUPTED
TAKES_OTHERS = False
DESCRIPTION = """\
Would more data help? Tune on growing parts of a dataset, one job after another,
ask each model about the held-out clips, and fit error against size: what twice
the examples would gain, with an interval, and what they would cost.

  cliptune curve dataset --emulator                            nothing leaves this machine
  cliptune curve gs://bucket/dataset --project P --dry_run     the plan and its price, nothing sent
  cliptune curve gs://bucket/dataset --project P --max_cost 60
  cliptune curve gs://bucket/dataset --project P --fractions 1/16,1/8,1/4,1/2,1
  cliptune curve dataset --predictions 1/4=a.jsonl --predictions 1/2=b.jsonl --predictions 1=c.jsonl

Each part is a uniform sample and a part of the next one. A curve needs three sizes,
and four to see whether it foretells the last. Each is a paid job, and a run of the
dataset: what was tuned or asked before is not paid again, and the same command goes
on where it was stopped, on any machine."""
EPILOG = """\
stdout is one line of JSON; OUT/evaluation/ has curve.html for people and curve.json.
Exit status: 0 done, 1 failed, 2 usage, 4 a job failed, 5 it was cancelled, 6 it goes
on after --timeout, 7 its model has no endpoint, 130 Ctrl-C (a submitted job goes on)."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `curve`."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    add_dataset(parser)
    _add_curve(parser)
    cost = parser.add_argument_group("cost")
    add_price(cost)
    cost.add_argument("--input_price", type=number, metavar="USD", help="price of a million tokens that models read")
    cost.add_argument("--output_price", type=number, metavar="USD", help="price of a million tokens that they write")
    cost.add_argument(
        "--max_cost", type=number, metavar="USD", help="refuse, before the first job, what may cost more in all"
    )
    cost.add_argument("--dry_run", action="store_true", help="print the plan and its price, and send nothing")
    add_job(parser.add_argument_group("jobs"))
    waiting = parser.add_argument_group("waiting")
    waiting.add_argument(
        "--wait_for_quota", action="store_true", help="wait while another job fills the quota (usually one a project)"
    )
    waiting.add_argument(
        "--allow_second_job",
        action="store_true",
        help="after a lost answer, send again at once instead of looking for the job for ten minutes; may pay twice",
    )
    waiting.add_argument(
        "--timeout", type=number, metavar="SECONDS", help="of one job: stop then; it goes on (default: never)"
    )
    service = parser.add_argument_group("service")
    add_place(service)
    add_service(service)


def _add_curve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--fractions",
        default=",".join(map(str, DEFAULT_FRACTIONS)),
        metavar="F,F,…",
        help="of the training examples, each a job (default: %(default)s)",
    )
    parser.add_argument(
        "--predictions",
        action="append",
        default=[],
        metavar="SIZE=FILE",
        help="answers with a fraction (1/8) or a number (1000) of training examples, as cliptune evaluate reads them; "
        "repeatable. Nothing is tuned or asked then",
    )
    parser.add_argument("--split", choices=("validation", "test"), default="validation", help="default: %(default)s")
    parser.add_argument(
        "--normalizer", default=DEFAULT_NORMALIZER, metavar="NAME", help="as cliptune evaluate (default: %(default)s)"
    )
    parser.add_argument(
        "--concurrency",
        type=whole_number,
        default=DEFAULT_CONCURRENCY,
        metavar="N",
        help="questions at a time (default: %(default)s)",
    )


def request(args: argparse.Namespace, others: Sequence[str]) -> CurveRequest:
    """Makes the request from the flags."""
    fractions = tuple(part.strip() for part in args.fractions.split(","))
    pairs = tuple(_pair(text) for text in args.predictions)
    return make(CurveRequest, args, fractions=fractions, predictions=pairs, labels=labels(args.label))


def _pair(text: str) -> tuple[str, str]:
    size, equals, file = text.partition("=")
    if not (equals and size and file):
        raise UsageError(f"predictions must be SIZE=FILE, such as 1/8=answers.jsonl, got {text!r}", "predictions")
    return size, file


def stopped(request: CurveRequest) -> str:
    """Says how to go on."""
    if request.predictions or request.dry_run:
        return ""
    return f"; a submitted job goes on: the same command follows it (cliptune jobs {request.dataset} lists them)"


def run(request: CurveRequest, console: Console) -> Exit:
    """Prints the curve, or the plan of a dry run, or the report of a dataset with errors."""
    from tuning import curve, tune  # noqa: PLC0415 -- the service's client takes seconds to import

    try:
        console.give(curve.run(request, console))
    except tune.NotAcceptedError as fault:
        console.give(fault.report)
        return Exit.FAILED
    except curve.NotTunedError as fault:
        console.fail(str(fault), "curve")
        return exits.of_job(fault.job)
    return Exit.DONE
