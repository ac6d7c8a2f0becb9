"""The flags of `cliptune prepare`, without Beam: `--help` must be quick."""

from __future__ import annotations

import argparse
import dataclasses
import textwrap
from collections.abc import Sequence

from transforms import text
from transforms.audio import formats
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
    Task,
)

DEFAULTS = Settings()

DESCRIPTION = """\
Turn manifests of recordings and texts into a tuning dataset: decode, conform,
check and write every clip, and account for each of them.

  cliptune prepare --manifest clips.jsonl --output dataset
  cliptune prepare --manifest 'gs://bucket/lists/*.csv' --output gs://bucket/dataset
  cliptune prepare --manifest folder_of_wav_and_txt --output dataset --audio_format wav

Every other flag is an Apache Beam option, for example --runner=DataflowRunner
--project=… --region=… --temp_location=gs://…; a flag that neither knows is an error.
Killed or interrupted, the same command goes on where it stopped."""

EPILOG = """\
stdout is one line of JSON. Exit status: 0 done, 1 failed, 2 usage,
3 too many rows rejected (the dataset is complete all the same)."""


def add_prepare_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `prepare`, and what they are for, to `parser`."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    _add_paths(parser.add_argument_group("manifests and output"))
    _add_columns(parser.add_argument_group("columns"))
    _add_audio(parser.add_argument_group("audio", _formats_read()))
    _add_examples(parser.add_argument_group("examples and split"))
    run = parser.add_argument_group("run")
    run.add_argument(
        "--billing_project", default="", metavar="P", help="project that pays for requests to requester-pays buckets"
    )
    run.add_argument(
        "--clip_threads",
        type=int,
        metavar="N",
        help="clips prepared at a time by one worker (default: two a core of this machine; 1 on Dataflow)",
    )


def _formats_read() -> str:
    return textwrap.fill(f"formats read: {', '.join(formats.names())}", 76)


def _name(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be empty (an unset variable?)")
    return text


def _add_paths(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--manifest",
        action="append",
        required=True,
        type=_name,
        metavar="M",
        help="JSONL, CSV, TSV or Parquet file, glob, or folder of NAME.wav + NAME.txt; local or gs://; may be repeated",
    )
    group.add_argument("--output", required=True, type=_name, metavar="OUT", help="folder or gs:// URI of the dataset")
    group.add_argument(
        "--audio_root", metavar="DIR", help="start of relative audio paths (default: their manifest's folder)"
    )
    group.add_argument(
        "--allow_path",
        action="append",
        default=[],
        metavar="DIR",
        help="audio may also lie below this folder; may be repeated",
    )
    group.add_argument("--overwrite", action="store_true", help="replace a dataset made from other rows or settings")
    group.add_argument(
        "--max_rejected_fraction",
        type=float,
        default=0.05,
        metavar="F",
        help="exit with status 3 when a larger part of the rows is rejected (default: %(default)s)",
    )


def _add_columns(group: argparse._ArgumentGroup) -> None:
    for column, aliases in ALIASES.items():
        usual = ", ".join(aliases[:3]) + (" …" if len(aliases) > 3 else "")
        group.add_argument(f"--{column}_column", metavar="NAME", help=f"default: found by its usual names: {usual}")


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
        help="what becomes of clips over --max_duration (default: %(default)s)",
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
        help="with --audio_part=uri: where the service will find OUT/audio, of an OUT on this machine",
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
        type=lambda steps: tuple(step.strip() for step in steps.split(",") if step.strip()),
        default=(),
        metavar="STEPS",
        help=f"what targets go through, in this order, separated by commas: {', '.join(text.STEPS)} (default: nothing)",
    )
    group.add_argument(
        "--dedupe",
        choices=DEDUPE,
        default=DEFAULTS.dedupe,
        help="audio: of clips with the same audio keep one of each task (default: report them)",
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


def settings_from(args: argparse.Namespace, tasks: Sequence[Task] = ()) -> Settings:
    """The settings that the flags name, with the tasks of the file that --tasks names.

    Raises:
      ValueError: one of them breaks a rule; the text names the flag.
    """
    values = {field.name: getattr(args, field.name) for field in dataclasses.fields(Settings)}
    if values["bitrate"] is None:
        values["bitrate"] = DEFAULT_BITRATE if args.audio_format in LOSSY_FORMATS else 0
    values["tasks"] = tuple(tasks)
    return Settings(**values)


def columns_from(args: argparse.Namespace) -> dict[str, str]:
    """The columns that flags name, by their key in `ALIASES`."""
    named = {column: getattr(args, f"{column}_column") for column in ALIASES}
    return {column: name for column, name in named.items() if name is not None}


def prepare_flags() -> list[str]:
    """The names of all flags of `prepare`, for suggestions."""
    parser = argparse.ArgumentParser(add_help=False)
    add_prepare_arguments(parser)
    return list(parser._option_string_actions)
