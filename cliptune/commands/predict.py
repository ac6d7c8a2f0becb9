"""`cliptune predict`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from cliptune.console import Console
from cliptune.exits import Exit
from cliptune.flags import add_dataset, add_run, add_service, make, number, whole_number
from tuning.requests import DEFAULT_CONCURRENCY, ROOM_TOKENS, SPLITS, PredictRequest

# Long enough to write the answers that have arrived.
INTERRUPT_SECONDS = 10.0
INTERRUPTED = Exit.INTERRUPTED
TAKES_OTHERS = False
DESCRIPTION = """\
Ask the tuned model about clips of the dataset, with the prompt it was tuned on,
and write its answers beside the texts of the manifest. Or ask about any
recording, conformed as the dataset's were.

  cliptune predict dataset --limit 10
  cliptune predict dataset --model base        the base model, for comparison
  cliptune predict dataset --audio a.wav --audio b.m4a
  cliptune predict dataset --probe_silence     does it invent words where nobody speaks?

After a stop or a crash, the same command asks only what is missing."""
EPILOG = """\
stdout is one line of JSON. Answers are in OUT/tuning/runs/NAME/predictions-….jsonl,
those of the base model in OUT/tuning/predictions-….jsonl.
Exit status: 0 done, 1 failed, 2 usage, 130 Ctrl-C."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `predict`."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    add_dataset(parser)
    ask = parser.add_argument_group("questions")
    add_run(ask, "the newest whose model answers")
    ask.add_argument(
        "--model", metavar="ENDPOINT", help='projects/…/endpoints/… or "base" (default: the tuned model of the job)'
    )
    ask.add_argument("--split", choices=SPLITS, default="validation", help="default: %(default)s")
    ask.add_argument("--limit", type=whole_number, metavar="N", help="ask about the first N clips only")
    ask.add_argument("--checkpoint", metavar="ID", help="ask this checkpoint of the job (default: its default)")
    ask.add_argument(
        "--audio", action="append", default=[], metavar="FILE", help="ask about this recording instead; repeatable"
    )
    ask.add_argument(
        "--probe_silence",
        action="store_true",
        help="ask about silence, noise and music made for this instead: cliptune evaluate counts what it invents",
    )
    ask.add_argument(
        "--task", default="", metavar="NAME", help="with --audio or --probe_silence: ask as in this task of the dataset"
    )
    ask.add_argument("--prompt", default="", metavar="TEXT", help="with --audio (default: the dataset's own)")
    ask.add_argument("--system_instruction", default="", metavar="TEXT", help="with --audio (default: none)")
    _add_cost(parser.add_argument_group("cost"))
    add_service(parser.add_argument_group("service"))


def _add_cost(cost: argparse._ArgumentGroup) -> None:
    cost.add_argument(
        "--max_cost", type=number, metavar="USD", help="refuse questions that may cost more, or whose price is unknown"
    )
    cost.add_argument(
        "--max_output_tokens",
        type=whole_number,
        metavar="N",
        help=f"of one answer (default: twice the characters of the longest target, and {ROOM_TOKENS})",
    )
    cost.add_argument("--input_price", type=number, metavar="USD", help="price of a million tokens that it reads")
    cost.add_argument("--output_price", type=number, metavar="USD", help="price of a million tokens that it writes")
    cost.add_argument(
        "--concurrency",
        type=whole_number,
        default=DEFAULT_CONCURRENCY,
        metavar="N",
        help="questions at a time, fewer while the quota is full (default: %(default)s)",
    )


def request(args: argparse.Namespace, others: Sequence[str]) -> PredictRequest:
    """Makes the request from the flags."""
    return make(PredictRequest, args, audio=tuple(args.audio))


def stopped(request: PredictRequest) -> str:
    """Says that the answers are kept."""
    return "; the answers so far are kept, and the same command goes on where it stopped"


def run(request: PredictRequest, console: Console) -> Exit:
    """Asks the model and prints the report."""
    from tuning import predict  # noqa: PLC0415 -- the service's client takes seconds to import

    report = predict.run(request, console)
    console.give(report)
    refused = isinstance(report, predict.FileAnswers) and report.refused
    return Exit.FAILED if refused else Exit.DONE
