"""Runs a command and returns its exit status. Each command is a module, imported only when it is needed."""

from __future__ import annotations

import argparse
import difflib
import importlib
import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, cast

from cliptune import VERSION, ends, interrupts
from cliptune.console import Console, Parser, logs_to
from cliptune.exits import Exit
from cliptune.flags import names_of
from transforms import temporary
from transforms.errors import TOLD, UsageError

DESCRIPTION = """\
From recordings and texts to a tuned Gemini model, every clip accounted for.

  cliptune prepare --manifest clips.jsonl --output dataset
  cliptune report dataset
  cliptune check dataset
  cliptune tune dataset --project P --location us-central1 --staging_location gs://B/D
  cliptune watch dataset
  cliptune jobs dataset
  cliptune cancel dataset
  cliptune predict dataset --limit 10
  cliptune evaluate dataset
  cliptune suspects dataset
  cliptune curve dataset
  cliptune delete dataset
  cliptune init clips.jsonl
  cliptune run cliptune.yaml
  cliptune emulator --port 8085

`cliptune COMMAND --help` says more about each."""

EPILOG = "Exit status: 0 done, 1 failed, 2 usage, 3 too many rows rejected; of jobs, see cliptune watch --help."

# The summary of each command. Its module is cliptune.commands.NAME.
COMMANDS = {
    "prepare": "turn manifests of recordings and texts into a dataset",
    "report": "say what a finished dataset holds, as prepare would have said it",
    "check": "say whether Google will accept a dataset, and what it will cost",
    "tune": "join, check, price and submit a dataset as a tuning job",
    "watch": "follow a tuning job to its end",
    "jobs": "list tuning jobs",
    "cancel": "cancel a tuning job",
    "predict": "ask the tuned model about clips of the dataset",
    "evaluate": "say whether the tuned model is better, with intervals",
    "suspects": "rank the clips whose texts do not fit their audio, to be mended",
    "curve": "say whether more data would help, and what it would cost",
    "delete": "delete a tuned model and its endpoints",
    "init": "write a first cliptune.yaml from a look at a manifest",
    "run": "do the whole job of one file, and go on where it stopped",
    "emulator": "serve a local stand-in for the tuning service",
}


class Command(Protocol):
    """The contents of a module of `cliptune.commands`.

    Attributes:
      INTERRUPT_SECONDS: the longest time from Ctrl-C to the end of the process.
      INTERRUPTED: exit status after Ctrl-C.
      TAKES_OTHERS: whether unknown flags are passed to `request` instead of being refused.
    """

    INTERRUPT_SECONDS: float
    INTERRUPTED: Exit
    TAKES_OTHERS: bool

    def add_flags(self, parser: argparse.ArgumentParser) -> None:
        """Adds the flags and the help texts; imports nothing slow."""

    def request(self, args: argparse.Namespace, others: Sequence[str]) -> object:
        """Makes the request from the flags; raises UsageError if a flag breaks a rule."""

    def stopped(self, request: object) -> str:
        """The text that follows "stopped" after Ctrl-C."""

    def run(self, request: object, console: Console) -> Exit:
        """Carries out the request."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
      argv: the arguments without the program's name; None for those of this process.

    Returns:
      The exit status, one of `cliptune.exits.Exit`.
    """
    with ends.streams():
        return _main(sys.argv[1:], temporary.everything()) if argv is None else _main(list(argv), nullcontext())


def _main(words: list[str], place: AbstractContextManager[None]) -> int:
    try:
        return _parsed(words, place)
    except KeyboardInterrupt:  # while modules are imported; later, `interrupts` handles Ctrl-C
        name = next((f" {word}" for word in words if word in COMMANDS), "")
        Console().say(f"cliptune{name}: stopped")
        return Exit.INTERRUPTED


def _parsed(words: list[str], place: AbstractContextManager[None]) -> int:
    """Parses the words of a command line, and runs its command."""
    parser = build_parser(COMMANDS.keys() & set(words))
    for word in words:
        if word != word.encode(errors="replace").decode():
            if sys.getfilesystemencoding() != "utf-8":
                parser.error(f"this environment has no UTF-8, and {word!r} needs it; set PYTHONUTF8=1")
            parser.error(f"every argument must be valid UTF-8, got {word!r}; rename the file")
    args, others = parser.parse_known_args(words)
    command = command_of(args.command)
    if others and not command.TAKES_OTHERS:
        parser.error(_unknown(args.command, others[0].partition("=")[0]))
    return _run(args.command, command, args, others, place)


def _run(
    name: str,
    command: Command,
    args: argparse.Namespace,
    others: Sequence[str],
    place: AbstractContextManager[None],
) -> int:
    """Runs a command, with its temporary files in `place`."""
    console = Console()
    try:
        ends.require_current_folder()
        ends.require_temporary_folder()
        request = command.request(args, others)
        stopped = f"cliptune {name}: stopped{command.stopped(request)}"
        ending = interrupts.ends_within(command.INTERRUPT_SECONDS, console, stopped, command.INTERRUPTED)
        with place, ending, logs_to(console):
            return command.run(request, console)
        return command.INTERRUPTED
    except UsageError as fault:
        console.say(f"cliptune {name}: {'--' if fault.field else ''}{fault}")
        return Exit.USAGE
    except TOLD as fault:
        console.say(f"cliptune {name}: {fault}")
        return Exit.FAILED
    except ModuleNotFoundError as fault:
        if not ends.missing_extra(fault):
            raise
        console.say(f"cliptune {name}: {ends.missing_extra(fault)}")
        return Exit.FAILED
    except (OSError, MemoryError, RuntimeError) as fault:
        if not ends.refusal(fault):
            raise
        console.say(f"cliptune {name}: {ends.refusal(fault)}")
        return Exit.FAILED


def command_of(name: str) -> Command:
    """The module of a command."""
    return cast(Command, importlib.import_module(f"cliptune.commands.{name}"))


def _unknown(command: str, flag: str) -> str:
    """The message about a flag that a command does not have."""
    close = difflib.get_close_matches(flag, names_of(command_of(command).add_flags), n=1)
    hint = f"did you mean {close[0]}?" if close else f"see cliptune {command} --help"
    return f"unknown flag {flag} of {command}; {hint}"


def build_parser(names: Iterable[str] = tuple(COMMANDS)) -> argparse.ArgumentParser:
    """The parser of all commands.

    Args:
      names: the commands whose flags are added, keys of `COMMANDS`. The modules of the others are not imported.
    """
    parser = Parser(
        prog="cliptune",
        description=DESCRIPTION,
        epilog=EPILOG,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"cliptune {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name in names:
            command_of(name).add_flags(command)
    return parser
