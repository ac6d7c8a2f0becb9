"""The flags of the tuning commands, without the SDK: `--help` must be quick."""

from __future__ import annotations

import argparse
import re
from urllib.parse import urlsplit

from tuning.exits import MEANINGS
from tuning.providers.vertex.models import DEFAULT_MODEL, MODELS

DEFAULT_LOCATION = "us-central1"
DEFAULT_EPOCHS = 3
DEFAULT_PORT = 8085
SPLITS = ("train", "validation")
_EXITS = "Exit status: " + ", ".join(f"{status.value} {meaning}" for status, meaning in MEANINGS.items()) + "."

CHECK_DESCRIPTION = """\
Say whether Google will accept a dataset, and what tuning on it will cost.

  cliptune check dataset                   a dataset of cliptune prepare, local or gs://
  cliptune check dataset --estimate        what every model would cost, in one to five epochs
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
  cliptune tune gs://bucket/dataset --project P --epochs 3 --max_cost 20
  cliptune tune dataset --project P --staging_location gs://bucket/staging

The same command again attaches to the job it submitted: it never pays twice."""

JOB_EPILOG = f"""\
stdout is one line of JSON about the job. {_EXITS}"""

WATCH_DESCRIPTION = """\
Follow the tuning job of a dataset to its end. Ctrl-C leaves the job running.

  cliptune watch gs://bucket/dataset
  cliptune watch gs://bucket/dataset --timeout 3600"""

JOBS_DESCRIPTION = """\
List tuning jobs, the newest first: of a project and location, or those of where
a dataset was tuned.

  cliptune jobs --project P --location us-central1
  cliptune jobs dataset --emulator"""

JOBS_EPILOG = """\
stdout is one line of JSON, {"jobs": […]}. Exit status: 0 done, 1 failed, 2 usage."""

CANCEL_DESCRIPTION = """\
Cancel a tuning job: that of a dataset, or one by its name. What it has cost so
far is not given back.

  cliptune cancel dataset
  cliptune cancel projects/P/locations/us-central1/tuningJobs/123"""

CANCEL_EPILOG = """\
stdout is one line of JSON about the job. Exit status: 0 cancelled, or about to be;
1 failed, or it had already ended; 2 usage."""

PREDICT_DESCRIPTION = """\
Ask the tuned model about clips of the dataset, with the prompt it was tuned on,
and write its answers beside the texts of the manifest. Or ask about any
recording, conformed as the dataset's were.

  cliptune predict dataset --limit 10
  cliptune predict dataset --model base        the base model, for comparison
  cliptune predict dataset --audio a.wav --audio b.m4a

Stopped or killed? The same command again asks only what is missing."""

PREDICT_EPILOG = """\
stdout is one line of JSON. Answers are in OUT/tuning/predictions-….jsonl.
Exit status: 0 done, 1 failed, 2 usage, 130 Ctrl-C."""

EMULATOR_DESCRIPTION = """\
Serve a local stand-in for Vertex AI's tuning service. It trains nothing, costs
nothing and predicts nothing; it is for trying, and for your own CI.

  cliptune emulator --port 8085
  cliptune emulator --port 8085 --scenario faults.json
  cliptune tune dataset --api_endpoint=http://127.0.0.1:8085

A scenario makes it slow, full or broken: docs/tuning.md."""


def add_check_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `check`."""
    parser.description, parser.epilog = CHECK_DESCRIPTION, CHECK_EPILOG
    parser.add_argument("path", metavar="PATH", help="dataset folder or JSONL file, local or gs://")
    parser.add_argument(
        "--offline", action="store_true", help="do not ask buckets for the audio that examples point to"
    )
    _add_billing(parser)
    group = parser.add_argument_group("estimate")
    group.add_argument("--estimate", action="store_true", help="price every model, in one to five epochs")
    _add_price(group)


def add_tune_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `tune`."""
    parser.description, parser.epilog = TUNE_DESCRIPTION, JOB_EPILOG
    _add_dataset(parser)
    cost = parser.add_argument_group("cost")
    _add_price(cost)
    cost.add_argument(
        "--max_cost", type=_positive, metavar="USD", help="refuse a job that may cost more, or whose price is unknown"
    )
    _add_job(parser.add_argument_group("job"))
    _add_waiting(parser.add_argument_group("waiting"), submits=True)
    _add_service(parser.add_argument_group("service"), located=True)


def _add_job(job: argparse._ArgumentGroup) -> None:
    job.add_argument("--adapter_size", type=int, metavar="N", help="1, 2, 4, 8 or 16 (default: the service's own)")
    job.add_argument(
        "--learning_rate_multiplier", type=_positive, metavar="F", help="of the service's own rate (default: 1)"
    )
    job.add_argument("--no_validation", action="store_true", help="leave the validation split out")
    job.add_argument("--display_name", type=_name, metavar="TEXT", help="of the tuned model (default: made up)")
    job.add_argument("--label", type=_label, action="append", default=[], metavar="K=V", help="of the job; repeatable")
    job.add_argument("--service_account", type=_account, metavar="EMAIL", help="that reads the files")
    job.add_argument("--kms_key", metavar="NAME", help="projects/…/cryptoKeys/… that encrypts the tuned model (CMEK)")
    job.add_argument(
        "--from_model",
        metavar="NAME",
        help="tune projects/…/models/… further, which --base_model was tuned into",
    )
    job.add_argument("--from_checkpoint", metavar="ID", help="of --from_model (default: its default checkpoint)")
    job.add_argument("--export_last_checkpoint_only", action="store_true", help="keep no checkpoint but the last")
    job.add_argument("--allow_retired", action="store_true", help="this project has tuned the retired model before")
    job.add_argument(
        "--staging_location", metavar="GS", help="gs:// folder that the joined files of a local dataset go to"
    )


def add_watch_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `watch`."""
    parser.description, parser.epilog = WATCH_DESCRIPTION, JOB_EPILOG
    _add_dataset(parser)
    _add_waiting(parser.add_argument_group("waiting"), submits=False)
    _add_service(parser.add_argument_group("service"), located=False)


def add_jobs_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `jobs`."""
    parser.description, parser.epilog = JOBS_DESCRIPTION, JOBS_EPILOG
    parser.add_argument("output", metavar="OUT", nargs="?", help="dataset folder that was tuned on")
    parser.add_argument("--limit", type=_count, default=20, metavar="N", help="default: the newest %(default)s")
    _add_billing(parser)
    _add_service(parser.add_argument_group("service"), located=True)


def add_cancel_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `cancel`."""
    parser.description, parser.epilog = CANCEL_DESCRIPTION, CANCEL_EPILOG
    parser.add_argument("output", metavar="OUT|JOB", help="dataset folder, or projects/…/tuningJobs/…")
    _add_billing(parser)
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
    ask.add_argument("--checkpoint", metavar="ID", help="ask this checkpoint of the job (default: its default)")
    ask.add_argument(
        "--audio", action="append", default=[], metavar="FILE", help="ask about this recording instead; repeatable"
    )
    ask.add_argument("--task", default="", metavar="NAME", help="with --audio: ask as in this task of the dataset")
    ask.add_argument("--prompt", default="", metavar="TEXT", help="with --audio (default: the dataset's own)")
    ask.add_argument("--system_instruction", default="", metavar="TEXT", help="with --audio (default: none)")
    _add_service(parser.add_argument_group("service"), located=False)


def add_emulator_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `emulator`."""
    parser.description = EMULATOR_DESCRIPTION
    parser.add_argument(
        "--port", type=_port, default=DEFAULT_PORT, metavar="N", help="default: %(default)s; 0 for any free one"
    )
    parser.add_argument("--state_file", metavar="FILE", help="keep the jobs in this file between two runs")
    _add_billing(parser)
    parser.add_argument("--scenario", metavar="FILE", help="JSON that says what goes wrong, and how jobs go")


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
        help="price of a million training tokens of --base_model, from your contract",
    )
    group.add_argument("--prices", metavar="FILE", help='JSON of such prices: {"gemini-3.5-flash": 4.5}')


def _add_waiting(group: argparse._ArgumentGroup, submits: bool) -> None:
    if submits:
        group.add_argument("--dry_run", action="store_true", help="print the exact request and stop")
        group.add_argument("--no_watch", action="store_true", help="return once the job is accepted")
        group.add_argument(
            "--wait_for_quota",
            action="store_true",
            help="wait while another job fills the quota (usually one a project)",
        )
    group.add_argument(
        "--timeout", type=_positive, metavar="SECONDS", help="stop waiting then; the job goes on (default: never)"
    )
    group.add_argument(
        "--default_checkpoint",
        metavar="ID",
        help="once tuned, make this checkpoint the one that answers (default: last)",
    )


def _add_service(group: argparse._ArgumentGroup, located: bool) -> None:
    if located:
        group.add_argument("--project", metavar="P", help="Google Cloud project that pays")
        group.add_argument("--location", metavar="L", help=f"where to tune (default: {DEFAULT_LOCATION})")
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


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65_535:
        raise argparse.ArgumentTypeError(f"must be from 0 to 65535, got {text}")
    return number


def _name(text: str) -> str:
    if not 0 < len(text) <= 128:
        raise argparse.ArgumentTypeError(f"must have 1 to 128 characters, got {len(text)}")
    return text


def _label(text: str) -> tuple[str, str]:
    """Google Cloud's rules for labels (documented): lower case, 63 characters at most, a letter first."""
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"must be KEY=VALUE, got {text!r}")
    if not (re.fullmatch(r"[^\W\d_][\w-]{0,62}", key) and re.fullmatch(r"[\w-]{0,63}", value)) or text != text.lower():
        rule = "lower-case letters, digits, - and _, 63 at most each, the key begins with a letter"
        raise argparse.ArgumentTypeError(f"must be KEY=VALUE of {rule}, got {text!r}")
    return key, value


def _account(text: str) -> str:
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", text):
        raise argparse.ArgumentTypeError(f"must be NAME@PROJECT.iam.gserviceaccount.com, got {text!r}")
    return text


# argparse names the type in its message: "invalid number value: 'x'".
_count.__name__ = _port.__name__ = "whole number"
_positive.__name__ = "number"
