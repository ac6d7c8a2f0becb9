"""`cliptune evaluate`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from cliptune.console import Console
from cliptune.exits import Exit
from cliptune.flags import add_dataset, add_predictions, add_run, make, pairs_of
from transforms.errors import UsageError
from tuning.evaluation.normalizers import NORMALIZERS
from tuning.requests import DEFAULT_NORMALIZER, SPLITS, EvaluateRequest

INTERRUPT_SECONDS = 5.0
INTERRUPTED = Exit.INTERRUPTED
TAKES_OTHERS = False
DESCRIPTION = """\
Is the tuned model better? Score what it and other systems said of the same
held-out clips, with intervals, and say what these clips can show.

  cliptune predict dataset                 ask the tuned model, then
  cliptune predict dataset --model base    the base model
  cliptune evaluate dataset
  cliptune evaluate dataset --predictions whisper=whisper-json/ --normalizer whisper_english
  cliptune evaluate dataset --fail_if "wer(tuned) > wer(base)"

FILE is what recognisers write: our predictions-….jsonl, a JSON of Whisper or
faster-whisper or a folder of them, a NeMo manifest with pred_text, Kaldi's text,
.trn, .ctm, and JSONL or CSV with an id or a path and a prediction.
A clip without an answer is scored as an empty answer."""
EPILOG = """\
stdout is one line of JSON; OUT/evaluation/ has evaluation.html for people,
evaluation.json, and scores.parquet with one row for each clip and system.
Exit status: 0 done, 1 failed, 2 usage, 8 a condition of --fail_if holds."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `evaluate`."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    add_dataset(parser)
    add_predictions(parser, "answers of another system; repeatable (those of the dataset's runs are found)")
    parser.add_argument("--split", choices=SPLITS, default="validation", help="default: %(default)s")
    add_run(parser, "the newest that has answers")
    parser.add_argument(
        "--system",
        action="append",
        default=[],
        metavar="NAME=RUN",
        help="compare the model of this run, by this name; repeatable (default: those of all runs)",
    )
    known = "; ".join(f"{name}: {row.summary}" for name, row in NORMALIZERS.items())
    parser.add_argument(
        "--normalizer", default=DEFAULT_NORMALIZER, metavar="NAME", help=f"{known} (default: %(default)s)"
    )
    parser.add_argument(
        "--task_normalizer",
        action="append",
        default=[],
        metavar="TASK=NAME",
        help="another normalizer for the texts of one task; repeatable",
    )
    parser.add_argument(
        "--fail_if",
        action="append",
        default=[],
        metavar="CONDITION",
        help="sums of METRIC(SYSTEM) or METRIC(SYSTEM, TASK) and numbers such as 0.01 or 1%%, "
        "one of < <= > >= between them; exit status 8 if it holds; repeatable",
    )


def request(args: argparse.Namespace, others: Sequence[str]) -> EvaluateRequest:
    """Makes the request from the flags."""
    own = tuple(_task_pair(text) for text in args.task_normalizer)
    files, named = pairs_of(args.predictions), pairs_of(args.system, "system", "NAME=RUN")
    gates = tuple(args.fail_if)
    return make(EvaluateRequest, args, predictions=files, system=named, task_normalizer=own, fail_if=gates)


def _task_pair(text: str) -> tuple[str, str]:
    """A task may have an equals sign in its name, a normaliser has none."""
    task, _, name = text.rpartition("=")
    if not (task and name):
        raise UsageError(f"task_normalizer must be TASK=NAME, got {text!r}", "task_normalizer")
    return task, name


def stopped(request: EvaluateRequest) -> str:
    """Nothing to add: the same command begins anew."""
    return ""


def run(request: EvaluateRequest, console: Console) -> Exit:
    """Evaluates and prints the report."""
    from tuning import evaluate  # noqa: PLC0415 -- numpy and pyarrow take their time to import

    evaluation = evaluate.run(request, console)
    console.give(evaluation)
    return Exit.DONE if evaluation.ok else Exit.FAIL_IF
