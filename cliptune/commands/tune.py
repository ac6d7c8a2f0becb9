"""`cliptune tune`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from cliptune import exits
from cliptune.commands import watch
from cliptune.console import Console
from cliptune.exits import Exit
from cliptune.flags import add_dataset, add_place, add_price, add_service, add_waiting, make, number
from transforms.errors import UsageError
from tuning.requests import TuneRequest

INTERRUPT_SECONDS = 10.0
INTERRUPTED = Exit.INTERRUPTED
TAKES_OTHERS = False
DESCRIPTION = """\
Join the shards of a dataset, check them, print what it will cost, submit the
tuning job and watch it to its end.

  cliptune tune dataset --emulator                                  nothing leaves this machine
  cliptune tune gs://bucket/dataset --project P --preflight         what would fail, before it costs
  cliptune tune gs://bucket/dataset --project P --dry_run           the exact request, not sent
  cliptune tune gs://bucket/dataset --project P --epochs 3 --max_cost 20
  cliptune tune dataset --project P --staging_location gs://bucket/staging

Run again, the same command attaches to the job it submitted. It never pays twice.
Beside a job of the dataset that goes on, any other request needs --another."""
EPILOG = watch.EPILOG


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `tune`."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    add_dataset(parser)
    cost = parser.add_argument_group("cost")
    add_price(cost)
    cost.add_argument(
        "--max_cost", type=number, metavar="USD", help="refuse a job that may cost more, or whose price is unknown"
    )
    job = parser.add_argument_group("job")
    add_job(job)
    job.add_argument(
        "--fraction",
        default="1",
        metavar="F",
        help="tune on the first of the examples only, such as 1/8: a fair sample",
    )
    waiting = parser.add_argument_group("waiting")
    waiting.add_argument("--dry_run", action="store_true", help="print the exact request, after a preflight, and stop")
    waiting.add_argument(
        "--preflight", action="store_true", help="try dataset, bucket, service and model, send nothing, and stop"
    )
    waiting.add_argument("--no_watch", action="store_true", help="return once the job is accepted")
    waiting.add_argument(
        "--wait_for_quota", action="store_true", help="wait while another job fills the quota (usually one a project)"
    )
    waiting.add_argument(
        "--allow_second_job",
        action="store_true",
        help="after a lost answer, send again at once instead of looking for the job for ten minutes; may pay twice",
    )
    waiting.add_argument(
        "--another",
        action="store_true",
        help="send it although another job of this dataset goes on, or its model was deleted; each is paid",
    )
    add_waiting(waiting)
    service = parser.add_argument_group("service")
    add_place(service)
    add_service(service)


def add_job(job: argparse._ArgumentGroup) -> None:
    """Adds the flags that say how a model is tuned."""
    job.add_argument("--adapter_size", type=int, metavar="N", help="1, 2, 4, 8 or 16 (default: the service's own)")
    job.add_argument(
        "--learning_rate_multiplier",
        type=number,
        metavar="F",
        help="of the service's own rate, 0.01 to 100 (default: 1)",
    )
    job.add_argument("--no_validation", action="store_true", help="leave the validation split out")
    job.add_argument("--display_name", metavar="TEXT", help="name of the tuned model (default: made up)")
    job.add_argument("--label", action="append", default=[], metavar="K=V", help="label of the job; repeatable")
    job.add_argument("--service_account", metavar="EMAIL", help="account that reads the files")
    job.add_argument("--kms_key", metavar="NAME", help="projects/…/cryptoKeys/… that encrypts the tuned model (CMEK)")
    job.add_argument(
        "--from_model", metavar="NAME", help="tune this model further: projects/…/models/…, tuned from --base_model"
    )
    job.add_argument("--from_checkpoint", metavar="ID", help="checkpoint of --from_model (default: its own)")
    job.add_argument("--export_last_checkpoint_only", action="store_true", help="keep no checkpoint but the last")
    job.add_argument("--allow_retired", action="store_true", help="this project has tuned the retired model before")
    job.add_argument("--staging_location", metavar="GS", help="gs:// folder for the joined files of a local dataset")


def request(args: argparse.Namespace, others: Sequence[str]) -> TuneRequest:
    """Makes the request from the flags."""
    return make(TuneRequest, args, labels=labels(args.label))


def labels(texts: Sequence[str]) -> dict[str, str]:
    """The labels of a job."""
    return dict(map(_label, texts))


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"label must be KEY=VALUE, got {text!r}", "label")
    return key, value


def stopped(request: TuneRequest) -> str:
    """Says that the job goes on."""
    return watch.job_goes_on(request.dataset, request)


def run(request: TuneRequest, console: Console) -> Exit:
    """Tunes and prints the job, or the HTTP request of a dry run, or the report of a dataset with errors."""
    from tuning import tune  # noqa: PLC0415 -- the service's client takes seconds to import
    from tuning.preflight import PreflightReport  # noqa: PLC0415

    try:
        report = tune.run(request, console)
    except tune.NotAcceptedError as fault:
        console.give(fault.report)
        return Exit.FAILED
    console.give(report)
    if isinstance(report, tune.DryRun | PreflightReport):
        return Exit.DONE if report.ok else Exit.FAILED
    if request.no_watch and not report.ended:
        again = f"cliptune watch {request.dataset}{request.same_service}"
        console.say(f"accepted: {report.name} ({report.state}); follow it with {again}")
        return Exit.DONE
    watch.say_how_to_go_on(report, request.dataset, request, request.timeout, console)
    return exits.of_job(report)
