"""The front door: `cliptune prepare | check | tune | watch | predict …`, each imported only when called."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable, Sequence

from beam_pipeline import flags as prepare_flags
from tuning import flags as tuning_flags
from tuning.exits import Exit

VERSION = "0.1.0"

DESCRIPTION = """\
From recordings and texts to a tuned Gemini model, every clip accounted for.

  cliptune prepare --manifest clips.jsonl --output dataset
  cliptune check dataset
  cliptune tune dataset --project P --location us-central1 --staging_location gs://B/D
  cliptune watch dataset
  cliptune jobs dataset
  cliptune cancel dataset
  cliptune predict dataset --limit 10
  cliptune emulator --port 8085

`cliptune COMMAND --help` says more about each."""

EPILOG = "Exit status: 0 done, 1 failed, 2 usage, 3 too many rows rejected; of jobs, see cliptune watch --help."

# What each command is for, and the flags it takes; none of them imports Beam or the Vertex SDK.
COMMANDS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "prepare": ("turn manifests of recordings and texts into a dataset", prepare_flags.add_prepare_arguments),
    "check": ("say whether Google will accept a dataset, and what it will cost", tuning_flags.add_check_arguments),
    "tune": ("join, check, price and submit a dataset as a tuning job", tuning_flags.add_tune_arguments),
    "watch": ("follow a tuning job to its end", tuning_flags.add_watch_arguments),
    "jobs": ("list tuning jobs", tuning_flags.add_jobs_arguments),
    "cancel": ("cancel a tuning job", tuning_flags.add_cancel_arguments),
    "predict": ("ask the tuned model about clips of the dataset", tuning_flags.add_predict_arguments),
    "emulator": ("serve a local stand-in for the tuning service", tuning_flags.add_emulator_arguments),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
      argv: the words after the program's name; None for those of this process.

    Returns:
      The exit status: 0 done, 1 failed, 2 usage, 3 too many rows rejected.
    """
    parser = build_parser()
    for word in sys.argv[1:] if argv is None else argv:
        if word != word.encode(errors="replace").decode():
            parser.error(f"{word!r} is not valid UTF-8, in which every name is written down; rename the file")
    args, others = parser.parse_known_args(argv)
    try:
        return _run(parser, args, others)
    except KeyboardInterrupt:  # while modules were imported; later the commands see to it themselves
        print(f"cliptune {args.command}: stopped", file=sys.stderr)
        return Exit.INTERRUPTED


def _run(parser: argparse.ArgumentParser, args: argparse.Namespace, others: Sequence[str]) -> int:
    if args.command == "prepare":
        from beam_pipeline import launch  # noqa: PLC0415 - Beam takes seconds to import

        return launch.prepare(args, others)
    if others:
        parser.error(_unknown(args.command, others[0].partition("=")[0]))
    from tuning import commands  # noqa: PLC0415 - so does the Vertex SDK

    return commands.run(args)


def _unknown(command: str, flag: str) -> str:
    """What to say about a flag that a command does not have."""
    command_parser = argparse.ArgumentParser(add_help=False)
    COMMANDS[command][1](command_parser)
    close = difflib.get_close_matches(flag, command_parser._option_string_actions, n=1)
    hint = f"did you mean {close[0]}?" if close else f"see cliptune {command} --help"
    return f"unknown flag {flag} of {command}; {hint}"


def build_parser() -> argparse.ArgumentParser:
    """All commands and their flags, without importing what runs them."""
    parser = argparse.ArgumentParser(
        prog="cliptune",
        description=DESCRIPTION,
        epilog=EPILOG,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"cliptune {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (summary, add_arguments) in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        add_arguments(command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
