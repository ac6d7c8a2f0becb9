"""The front door: `cliptune prepare`, each imported only when called."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from beam_pipeline import flags as prepare_flags

VERSION = "0.1.0"

DESCRIPTION = """\
From recordings and texts to a tuned Gemini model, every clip accounted for.

  cliptune prepare --manifest clips.jsonl --output dataset

`cliptune COMMAND --help` says more about each."""

EPILOG = "Exit status: 0 done, 1 failed, 2 usage, 3 too many rows rejected."

# What each command is for, and the flags it takes; none of them imports Beam or the Vertex SDK.
COMMANDS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "prepare": ("turn manifests of recordings and texts into a dataset", prepare_flags.add_prepare_arguments),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
      argv: the words after the program's name; None for those of this process.

    Returns:
      The exit status: 0 done, 1 failed, 2 usage, 3 too many rows rejected.
    """
    parser = build_parser()
    args, others = parser.parse_known_args(argv)
    from beam_pipeline import launch  # noqa: PLC0415 - Beam takes seconds to import

    return launch.prepare(args, others)


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
