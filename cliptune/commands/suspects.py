"""`cliptune suspects`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from cliptune.console import Console
from cliptune.exits import Exit
from cliptune.flags import add_dataset, add_predictions, make, number, pairs_of
from tuning.evaluation.normalizers import CLIPTUNE, NORMALIZERS
from tuning.requests import DEFAULT_MIN_SCORE, SPLITS, SuspectsRequest

INTERRUPT_SECONDS = 5.0
INTERRUPTED = Exit.INTERRUPTED
TAKES_OTHERS = False
DESCRIPTION = """\
Which texts are wrong? Rank the training clips whose texts do not fit their audio.

  cliptune suspects dataset                               by characters a second alone
  cliptune predict dataset --split train --model base     what the base model hears, then
  cliptune suspects dataset                               the same again finds far more
  cliptune suspects dataset --predictions whisper=whisper-json/

Then mend rows of OUT/evaluation/suspects.jsonl where they lie (a corrected text;
"" takes the clip out; what is right may stay), and merge them back:

  cliptune prepare --manifest dataset/evaluation/suspects.jsonl --merge_into dataset

What counts: characters a second against what is usual in the language and task;
answers that are as far from a text as from any other clip's; whether several systems
heard the same; neighbours whose texts are one row off, or up to five. FILE is what
cliptune evaluate takes, about the training clips. Answers of tuned models are left
out: they have learnt the texts. Labels are compared with answers; JSON is left out."""
EPILOG = """\
stdout is one line of JSON with counts and shifts; OUT/evaluation/suspects.jsonl has the
clips, most suspect first: clip_id, source, score, why, and the original row.
Exit status: 0 done, 1 failed, 2 usage."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `suspects`."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    add_dataset(parser)
    add_predictions(parser, "answers of another system; repeatable (those of base models that were asked are found)")
    parser.add_argument("--split", choices=SPLITS, default="train", help="default: %(default)s")
    known = "; ".join(f"{name}: {row.summary}" for name, row in NORMALIZERS.items())
    parser.add_argument("--normalizer", default=CLIPTUNE, metavar="NAME", help=f"{known} (default: %(default)s)")
    parser.add_argument(
        "--min_score",
        type=number,
        default=DEFAULT_MIN_SCORE,
        metavar="S",
        help="write clips with this score or more, from 0 (all that can be judged) to 1 (default: %(default)s)",
    )


def request(args: argparse.Namespace, others: Sequence[str]) -> SuspectsRequest:
    """Makes the request from the flags."""
    return make(SuspectsRequest, args, predictions=pairs_of(args.predictions))


def stopped(request: SuspectsRequest) -> str:
    """Nothing to add: the same command begins anew."""
    return ""


def run(request: SuspectsRequest, console: Console) -> Exit:
    """Looks for suspects and prints the report."""
    from tuning import suspects  # noqa: PLC0415 -- numpy and pyarrow take their time to import

    console.give(suspects.run(request, console))
    return Exit.DONE
