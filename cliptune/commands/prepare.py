"""`cliptune prepare`."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence

from beam_pipeline import runners
from beam_pipeline.requests import PrepareRequest
from cliptune.console import Console
from cliptune.exits import Exit
from cliptune.flags import add_billing, make, names_of, number, whole_number
from transforms import text
from transforms.audio import formats
from transforms.errors import UsageError
from transforms.manifests.row import ALIASES
from transforms.settings import (
    AUDIO_FORMATS,
    AUDIO_PARTS,
    DEDUPE,
    DEFAULT_BITRATE,
    JSON_NAMES,
    LOSSY_FORMATS,
    OVER_DURATION,
    Settings,
)
from transforms.storage import Storage

DEFAULTS = Settings()
INTERRUPT_SECONDS = 1.5
INTERRUPTED = Exit.FAILED
TAKES_OTHERS = True

DESCRIPTION = """\
Turn manifests of recordings and texts into a tuning dataset: decode, conform,
check and write every clip, and account for each of them.

  cliptune prepare --manifest clips.jsonl --output dataset
  cliptune prepare --manifest 'gs://bucket/lists/*.csv' --output gs://bucket/dataset
  cliptune prepare --manifest folder_of_wav_and_txt --output dataset --audio_format wav
  cliptune prepare --manifest dataset/rejected.jsonl --merge_into dataset

Every other flag is an Apache Beam option, for example --runner=DataflowRunner
--project=… --region=… --temp_location=gs://…; a flag that neither knows is an error.
Killed or interrupted, the same command goes on where it stopped."""

EPILOG = """\
stdout is one line of JSON: of the dataset; with --dry_run of what would be done;
with --no_wait and --cancel of the job. Exit status: 0 done, 1 failed, 2 usage,
3 too many rows rejected (the dataset is complete all the same); with --follow also
5 the job was cancelled, 6 it has not ended within --timeout; stdout is then the job."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `prepare`."""
    parser.description, parser.epilog = DESCRIPTION, f"{_runners()}\n\n{EPILOG}"
    _add_paths(parser.add_argument_group("manifests and output"))
    named = parser.add_argument_group("columns")
    add_columns(named)
    _add_kept(named)
    _add_cues(parser.add_argument_group("subtitles, labels and tiers beside recordings"))
    _add_audio(parser.add_argument_group("audio", _formats_read()))
    _add_examples(parser.add_argument_group("examples and split"))
    run = parser.add_argument_group("run")
    add_billing(run)
    _add_launch(run)
    run.add_argument(
        "--clip_workers",
        "--clip_threads",  # its name before clips were prepared in processes
        type=int,
        metavar="N",
        help="processes that prepare clips (default: one a core and one more; on Dataflow 1 in each worker process)",
    )


def _add_launch(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--dry_run",
        type=_yes_or_no,
        nargs="?",
        const=True,
        default=False,
        metavar="True|False",
        help="say what would be done, on any runner; nothing is changed and nothing submitted",
    )
    group.add_argument(
        "--no_wait",
        action="store_true",
        help="on Dataflow and Flink: print the job and leave it to itself; see cliptune report",
    )
    group.add_argument(
        "--cancel", action="store_true", help="on Dataflow and Flink: cancel the job that writes into OUT"
    )
    group.add_argument(
        "--follow",
        metavar="ID",
        help="on Dataflow: follow this job of OUT, as --no_wait names it, to its end; manifests are not read",
    )
    group.add_argument(
        "--timeout", type=number, metavar="SECONDS", help="with --follow: stop waiting then; the job goes on"
    )


def _yes_or_no(text: str) -> bool:
    """Parses what Beam's flag of this name may be followed by. argparse names this function in its message."""
    return {"true": True, "1": True, "false": False, "0": False}[text.lower()]


def _runners() -> str:
    """The runners, one a line."""
    rows = "\n".join(f"  {name:<16} {runner.summary}" for name, runner in runners.RUNNERS.items())
    return f"Runners (--runner; default {runners.DEFAULT}), and any other of Beam's:\n{rows}"


def _formats_read() -> str:
    return textwrap.fill(f"formats read: {', '.join(formats.names())}", 76)


def _add_paths(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--manifest",
        action="append",
        required=True,
        metavar="M",
        help="JSONL, CSV, TSV or Parquet file, glob, or folder of NAME.wav + NAME.txt or NAME.srt; local or gs://; may"
        " be repeated",
    )
    group.add_argument("--output", metavar="OUT", help="folder or gs:// URI of the dataset")
    group.add_argument(
        "--merge_into",
        metavar="OUT",
        help="in place of --output: add the mended rows of OUT/rejected.jsonl to the dataset, as if they had been right"
        " from the start",
    )
    group.add_argument(
        "--audio_root", metavar="DIR", help="start of relative audio paths (default: their manifest's folder)"
    )
    group.add_argument(
        "--allow_path",
        action="append",
        default=[],
        metavar="DIR",
        help="allow audio below this folder, too; may be repeated",
    )
    group.add_argument(
        "--manifest_encoding",
        default=PrepareRequest.manifest_encoding,
        metavar="NAME",
        help="encoding of manifests that are text, such as cp1250 or shift_jis (default: UTF-8, and what is certain)",
    )
    group.add_argument(
        "--append",
        action="store_true",
        help="add the rows of --manifest to the dataset in OUT, as if they had been there from the start",
    )
    group.add_argument(
        "--limit",
        type=whole_number,
        metavar="N",
        help="take a uniform sample of N clips, always the same; a larger N adds to it (default: all)",
    )
    group.add_argument("--overwrite", action="store_true", help="replace a dataset made from other rows or settings")
    group.add_argument(
        "--max_rejected_fraction",
        type=float,
        default=PrepareRequest.max_rejected_fraction,
        metavar="F",
        help="exit with status 3 when a larger part of the rows is rejected (default: %(default)s)",
    )


def add_columns(group: argparse._ArgumentGroup) -> None:
    """Adds the flags that name columns."""
    for column, aliases in ALIASES.items():
        usual = ", ".join(aliases[:3]) + (" …" if len(aliases) > 3 else "")
        group.add_argument(f"--{column}_column", metavar="NAME", help=f"default: found by its usual names: {usual}")


def _add_kept(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--keep_columns",
        action="append",
        default=[],
        metavar="NAMES",
        help="columns that go along into the ledger, separated by commas, or all; may be repeated",
    )


def _add_cues(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--join_cues",
        type=float,
        metavar="S",
        help="join neighbours at pauses into clips of up to so many seconds; 0: each cue is a clip (default: up to"
        " --max_duration)",
    )
    group.add_argument(
        "--tier",
        action="append",
        default=[],
        metavar="NAME",
        help="tiers of TextGrids and ELAN's files that hold what is said, separated by commas (default: the only one)",
    )


def _add_audio(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--audio_format", choices=AUDIO_FORMATS, default=DEFAULTS.audio_format, help="default: %(default)s"
    )
    group.add_argument(
        "--bitrate",
        type=int,
        metavar="KBPS",
        help=f"kbit/s of mp3 and aac payloads (default: {DEFAULT_BITRATE})",
    )
    group.add_argument(
        "--sample_rate", type=int, default=DEFAULTS.sample_rate, metavar="HZ", help="default: %(default)s"
    )
    group.add_argument(
        "--max_duration", type=float, default=DEFAULTS.max_duration, metavar="S", help="seconds; default: %(default)s"
    )
    group.add_argument(
        "--min_duration", type=float, default=DEFAULTS.min_duration, metavar="S", help="seconds; default: %(default)s"
    )
    group.add_argument(
        "--over_duration",
        choices=OVER_DURATION,
        default=DEFAULTS.over_duration,
        help="what to do with clips over --max_duration (default: %(default)s)",
    )
    group.add_argument(
        "--keep_silence",
        dest="trim_silence",
        action="store_false",
        help="do not trim silence at the ends of clips",
    )
    group.add_argument(
        "--audio_part",
        choices=AUDIO_PARTS,
        default=DEFAULTS.audio_part,
        help="inline: as base64 in the examples; uri: as files in OUT/audio that they refer to (default: %(default)s)",
    )
    group.add_argument(
        "--audio_uri",
        default="",
        metavar="gs://…",
        help="with --audio_part=uri and an OUT on this machine: the URI to which OUT/audio will be copied",
    )
    group.add_argument("--verify", action="store_true", help="decode every payload again and compare it")


def _add_examples(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--prompt", default=DEFAULTS.prompt, help="text of the user turn (default: %(default)r)")
    group.add_argument(
        "--tasks",
        metavar="FILE",
        help="YAML file of several tasks, each with its prompt and kind of target; rows name theirs in a task column",
    )
    group.add_argument(
        "--normalize_text",
        default="",
        metavar="STEPS",
        help=f"steps applied to targets, in this order, separated by commas: {', '.join(text.STEPS)} (default: none)",
    )
    group.add_argument(
        "--dedupe",
        choices=DEDUPE,
        default=DEFAULTS.dedupe,
        help="audio: keep one clip of each task among clips with the same audio (default: report them)",
    )
    group.add_argument("--json_names", choices=JSON_NAMES, default=DEFAULTS.json_names, help="default: %(default)s")
    group.add_argument(
        "--max_example_bytes",
        type=int,
        default=DEFAULTS.max_example_bytes,
        metavar="N",
        help="longest line of the dataset (default: %(default)s)",
    )
    group.add_argument(
        "--validation_fraction",
        type=float,
        default=DEFAULTS.validation_fraction,
        metavar="F",
        help="part of the clips, by whole groups, that becomes the validation split (default: %(default)s)",
    )


def request(args: argparse.Namespace, others: Sequence[str]) -> PrepareRequest:
    """Makes the request from the flags. Unknown flags are passed on to Beam."""
    output = args.merge_into if args.output is None else args.output
    if output is None:
        raise UsageError("the following arguments are required: --output (or --merge_into)", "output")
    return make(
        PrepareRequest,
        args,
        manifest=tuple(args.manifest),
        output=output,
        settings=_settings(args),
        allow_path=tuple(args.allow_path),
        columns=columns(args),
        keep_columns=tuple(name.strip() for names in args.keep_columns for name in names.split(",")),
        tier=_tiers(args.tier),
        beam_options=tuple(others),
    )


def _settings(args: argparse.Namespace) -> Settings:
    """The settings given by flags. Tasks are read from their file later."""
    bitrate = args.bitrate
    if bitrate is None:
        bitrate = DEFAULT_BITRATE if args.audio_format in LOSSY_FORMATS else 0
    steps = tuple(step.strip() for step in args.normalize_text.split(",") if step.strip())
    return make(Settings, args, bitrate=bitrate, normalize_text=steps, tasks=())


def _tiers(given: Sequence[str]) -> tuple[str, ...]:
    """The names, each once; of a name with commas, the whole too, for tiers may be called so."""
    parts = (part.strip() for name in given for part in (name, *name.split(",")))
    return tuple(dict.fromkeys(part for part in parts if part)) if any(given) else tuple(given)


def columns(args: argparse.Namespace) -> dict[str, str]:
    """The column names given by flags, by their key in `ALIASES`."""
    named = {column: getattr(args, f"{column}_column") for column in ALIASES}
    return {column: name for column, name in named.items() if name is not None}


def stopped(request: PrepareRequest) -> str:
    """Says how to go on, and that a runner elsewhere may still be working."""
    runner = runners.find(request.runner)
    if not runner.outlives:
        return "; the same command goes on from here"
    if not runner.finds_jobs:
        return f"; the same command goes on from here; {request.runner} may still be running its job, so end that first"
    return "; the same command goes on from here, or attaches to the job if there is one; with --cancel it cancels it"


def run(request: PrepareRequest, console: Console) -> Exit:
    """Prepares the dataset and prints the report."""
    from beam_pipeline import prepare  # noqa: PLC0415 -- slow to import
    from cliptune import importing, summary  # noqa: PLC0415

    if request.beam_options:
        from beam_pipeline import options  # noqa: PLC0415 -- Beam is slower still

        options.options_of(request.beam_options, names_of(add_flags))  # refuses flags that Beam does not know either
    if request.append:
        from beam_pipeline import merge  # noqa: PLC0415 -- slow to import

        request = merge.appended(request)
    if request.launches:
        return _launch(request, console)
    report = prepare.run(request, console, importing.lightly)
    return summary.told(report, request.max_rejected_fraction, console, Storage(request.billing_project))


def _launch(request: PrepareRequest, console: Console) -> Exit:
    """Says what would be done, submits a job without waiting for it, follows one, or cancels one."""
    from beam_pipeline import launch  # noqa: PLC0415 -- slow to import
    from beam_pipeline.prepare import Prepared  # noqa: PLC0415
    from cliptune import summary  # noqa: PLC0415

    if request.dry_run:
        found = launch.dry_run(request, console)
        summary.show_preview(found, console)
        console.give(found)
        return Exit.DONE
    verb = launch.cancel if request.cancel else launch.submit if request.no_wait else launch.follow
    job = verb(request, console)
    if isinstance(job, Prepared):
        return summary.told(job, request.max_rejected_fraction, console, Storage(request.billing_project))
    console.give(job)
    if request.follow is None:
        return Exit.DONE
    return Exit.JOB_CANCELLED if job.state == "CANCELLED" else Exit.STILL_RUNNING
