"""The flags of `check`, `tune`, `watch` and `predict`, without the SDK: `--help` must be quick."""

from __future__ import annotations

import argparse
from urllib.parse import urlsplit

from tuning.models import DEFAULT_MODEL, MODELS

DEFAULT_LOCATION = "us-central1"
DEFAULT_EPOCHS = 3
SPLITS = ("train", "validation")

CHECK_DESCRIPTION = """\
Say whether Google will accept a dataset, and what tuning on it will cost.

  cliptune check dataset                   a dataset of cliptune prepare, local or gs://
  cliptune check gs://bucket/train.jsonl   a tuning file made by any other tool

Every line is held against the service's own schema, the client library's types
and the documented limits. Nothing is sent anywhere."""

CHECK_EPILOG = """\
stdout is one line of JSON: ok, examples, counts by rule, and the first 1,000
problems as {"source": "FILE:LINE", "severity", "rule", "detail"}.
Exit status: 0 all well, 1 something is wrong, 2 usage."""

TUNE_DESCRIPTION = """\
Join the shards of a dataset, check them, print what it will cost, submit the
tuning job and watch it to its end.

  cliptune tune dataset --emulator                                  nothing leaves this machine
  cliptune tune gs://bucket/dataset --project P --dry_run           the exact request, not sent
  cliptune tune gs://bucket/dataset --project P --epochs 3
  cliptune tune dataset --project P --staging_location gs://bucket/staging

The same command again attaches to the job it submitted: it never pays twice."""

TUNE_EPILOG = """\
stdout is one line of JSON about the job. Exit status: 0 the model is tuned (or
the job accepted, with --no_watch), 1 failed, 2 usage."""

WATCH_DESCRIPTION = """\
Follow the tuning job of a dataset to its end. Ctrl-C leaves the job running.

  cliptune watch gs://bucket/dataset"""

PREDICT_DESCRIPTION = """\
Ask the tuned model about clips of the dataset, with the prompt it was tuned on,
and write its answers beside the texts of the manifest.

  cliptune predict dataset --limit 10
  cliptune predict dataset --model base        the base model, for comparison"""

PREDICT_EPILOG = """\
stdout is one line of JSON. Answers are in OUT/tuning/predictions-….jsonl."""


def add_check_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `check`."""
    parser.description, parser.epilog = CHECK_DESCRIPTION, CHECK_EPILOG
    parser.add_argument("path", metavar="PATH", help="dataset folder or JSONL file, local or gs://")
    _add_billing(parser)
    _add_price(parser.add_argument_group("estimate"))


def add_tune_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `tune`."""
    parser.description, parser.epilog = TUNE_DESCRIPTION, TUNE_EPILOG
    _add_dataset(parser)
    job = parser.add_argument_group("job")
    _add_price(job)
    job.add_argument("--adapter_size", type=int, metavar="N", help="1, 2, 4, 8 or 16 (default: the service's own)")
    job.add_argument(
        "--learning_rate_multiplier", type=_positive, metavar="F", help="of the service's own rate (default: 1)"
    )
    job.add_argument("--display_name", metavar="TEXT", help="name of the tuned model (default: made from the dataset)")
    job.add_argument(
        "--staging_location", metavar="GS", help="gs:// folder that the joined files of a local dataset go to"
    )
    job.add_argument("--dry_run", action="store_true", help="print the exact request and stop")
    job.add_argument("--no_watch", action="store_true", help="return once the job is accepted")
    _add_service(parser.add_argument_group("service"), located=True)


def add_watch_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `watch`."""
    parser.description, parser.epilog = WATCH_DESCRIPTION, TUNE_EPILOG
    _add_dataset(parser)
    _add_service(parser.add_argument_group("service"), located=False)


def add_predict_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `predict`."""
    parser.description, parser.epilog = PREDICT_DESCRIPTION, PREDICT_EPILOG
    _add_dataset(parser)
    ask = parser.add_argument_group("questions")
    ask.add_argument(
        "--model", metavar="ENDPOINT", help='projects/…/endpoints/… or "base" (default: the tuned model of the job)'
    )
    ask.add_argument("--split", choices=SPLITS, default="validation", help="default: %(default)s")
    ask.add_argument("--limit", type=_count, metavar="N", help="ask about the first N clips only")
    _add_service(parser.add_argument_group("service"), located=False)


def _add_dataset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("output", metavar="OUT", help="dataset folder of cliptune prepare, local or gs://")
    _add_billing(parser)


def _add_billing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--billing_project", default="", metavar="P", help="project that pays for requests to requester-pays buckets"
    )


def _add_price(group: argparse._ArgumentGroup) -> None:
    known = ", ".join(MODELS)
    group.add_argument(
        "--base_model", default=DEFAULT_MODEL, metavar="NAME", help=f"default: %(default)s; known: {known}"
    )
    group.add_argument(
        "--epochs",
        type=_count,
        default=DEFAULT_EPOCHS,
        metavar="N",
        help="passes over the training split, always sent: the service may choose dozens (default: %(default)s)",
    )
    group.add_argument(
        "--price_per_million",
        type=_positive,
        metavar="USD",
        help="price of a million training tokens, from your contract",
    )


def _add_service(group: argparse._ArgumentGroup, located: bool) -> None:
    if located:
        group.add_argument("--project", metavar="P", help="Google Cloud project that pays")
        group.add_argument(
            "--location", default=DEFAULT_LOCATION, metavar="L", help="where to tune (default: %(default)s)"
        )
    where = group.add_mutually_exclusive_group()
    where.add_argument("--emulator", action="store_true", help="use a local emulator of the service: it trains nothing")
    where.add_argument(
        "--api_endpoint", type=_url, metavar="URL", help="use another server, with throw-away credentials"
    )


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, got {text}")
    return number


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be above 0, got {text}")
    return number


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and " " not in text
    except ValueError:
        good = False
    if not good:
        raise argparse.ArgumentTypeError(f"must be http://HOST:PORT or https://…, got {text!r}")
    return text


# argparse names the type in its message: "invalid number value: 'x'".
_count.__name__ = "whole number"
_positive.__name__ = "number"
