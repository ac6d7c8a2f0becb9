"""Runs a command and returns its exit status. Each command is a module, imported only when it is needed."""

from __future__ import annotations

import argparse
import difflib
import importlib
import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from typing import Protocol, TypeAlias, cast

from cliptune import VERSION, ends, envelope, interrupts
from cliptune.console import Console, Parser, Verbosity, logs_to
from cliptune.exits import Exit
from cliptune.flags import names_of
from transforms import temporary
from transforms.errors import TOLD, CliptuneError, UsageError, UserError

DESCRIPTION = """\
From recordings and texts to a tuned Gemini model, every clip accounted for.

  cliptune prepare --manifest clips.jsonl --output dataset
  cliptune report dataset
  cliptune inspect dataset clip-17
  cliptune export dataset folder
  cliptune merge monday tuesday --output week
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
  cliptune completion bash

`cliptune COMMAND --help` says more about each."""

EPILOG = "Exit status: 0 done, 1 failed, 2 usage, 3 too many rows rejected; of jobs, see cliptune watch --help."

# The summary of each command. Its module is cliptune.commands.NAME.
COMMANDS = {
    "prepare": "turn manifests of recordings and texts into a dataset",
    "report": "say what a finished dataset holds, as prepare would have said it",
    "inspect": "show one clip, step by step",
    "export": "write a dataset as audio files and manifests",
    "merge": "make one dataset of several",
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
    "completion": "print the script that completes commands and flags in a shell",
}


# The exit status of a command, and why it is none of success; None for that, and where the command itself has said it.
Ended: TypeAlias = tuple[Exit, envelope.Fault | None]


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
    """Runs a command, and prints the line of stdout as the last that it does."""
    console = Console()
    name = next((f" {word}" for word in words if word in COMMANDS), "")
    try:
        status, fault = _parsed(words, place, console)
    except KeyboardInterrupt:  # while modules are imported; later, `interrupts` handles Ctrl-C
        status, fault = Exit.INTERRUPTED, envelope.failed(Exit.INTERRUPTED, "stopped")
        console.insist(f"cliptune{name}: stopped")
    except Exception as error:  # ours, and told by a traceback
        with suppress(UserError):
            envelope.send(None, envelope.bug(error))
        raise
    try:
        if fault is not None or console.is_json:
            _send(console, fault)
    except UserError as lost:
        if console.report is None and fault is not None:
            return status
        console.insist(f"cliptune{name}: {lost}")
        return Exit.FAILED
    return status


def _parsed(words: list[str], place: AbstractContextManager[None], console: Console) -> Ended:
    """Parses the words of a command line, and runs its command."""
    name = next((word for word in words if not word.startswith("-")), "")
    try:
        parser = build_parser(COMMANDS.keys() & set(words))
        _refuse_damaged(words)
        if name and name not in COMMANDS:
            raise UsageError(_meant(f"unknown command {name}", name, COMMANDS, "cliptune --help"))
        args, others = parser.parse_known_args(words)
        command = command_of(args.command)
        if others and not command.TAKES_OTHERS:
            raise UsageError(_unknown(args.command, others[0].partition("=")[0]))
    except UsageError as error:
        return _told(" ".join(filter(None, ["cliptune", name if name in COMMANDS else ""])), error, console)
    console.verbosity = Verbosity(args.verbosity)
    status, fault = _run(args.command, command, args, others, place, console)
    if fault is None and status is not Exit.DONE:
        fault = envelope.failed(status, console.fault)
        if console.is_quiet and not console.fault:
            console.insist(f"cliptune {name}: {fault.message}")
    return status, fault


def _send(console: Console, fault: envelope.Fault | None) -> None:
    """Prints the line of stdout, once: a process that must end in the middle of its work does it on another thread."""
    if console.unsent:
        console.unsent.pop()
        envelope.send(console.report, fault)


def _send_quietly(console: Console, fault: envelope.Fault) -> None:
    with suppress(UserError, IndexError):
        _send(console, fault)


def _refuse_damaged(words: Sequence[str]) -> None:
    """Refuses words that are no text.

    Raises:
      UsageError: one is not valid UTF-8.
    """
    for word in words:
        if word != word.encode(errors="replace").decode():
            if sys.getfilesystemencoding() != "utf-8":
                raise UsageError(f"this environment has no UTF-8, and {word!r} needs it; set PYTHONUTF8=1")
            raise UsageError(f"every argument must be valid UTF-8, got {word!r}; rename the file")


def _run(
    name: str,
    command: Command,
    args: argparse.Namespace,
    others: Sequence[str],
    place: AbstractContextManager[None],
    console: Console,
) -> Ended:
    """Runs a command, with its temporary files in `place`."""
    try:
        ends.require_current_folder()
        ends.require_temporary_folder()
        request = command.request(args, others)
        stopped = f"stopped{command.stopped(request)}"
        line = f"cliptune {name}: {stopped}"
        seconds, status = command.INTERRUPT_SECONDS, command.INTERRUPTED
        fault = replace(envelope.failed(Exit.INTERRUPTED, stopped), exit_status=status)
        ending = interrupts.ends_within(seconds, console, line, status, lambda: _send_quietly(console, fault))
        with place, ending, logs_to(console):
            return command.run(request, console), None
        return status, fault
    except TOLD as error:
        return _told(f"cliptune {name}", error, console)
    except ModuleNotFoundError as error:
        if not (why := ends.missing_extra(error)):
            raise
        return _lacking(name, envelope.NOT_INSTALLED, why, console)
    except (OSError, MemoryError, RuntimeError) as error:
        if not (why := ends.refusal(error)):
            raise
        return _lacking(name, envelope.SYSTEM, why, console)


def _told(who: str, error: CliptuneError, console: Console) -> Ended:
    """An error that is told in one line."""
    status = Exit.USAGE if isinstance(error, UsageError) else Exit.FAILED
    fault = envelope.Fault.of(error, status)
    console.insist(f"{who}: {fault.message}")
    return status, fault


def _lacking(name: str, kind: str, why: str, console: Console) -> Ended:
    """Something that this machine has not, or does not give."""
    console.insist(f"cliptune {name}: {why}")
    return Exit.FAILED, replace(envelope.failed(Exit.FAILED, why), kind=kind)


def command_of(name: str) -> Command:
    """The module of a command."""
    return cast(Command, importlib.import_module(f"cliptune.commands.{name}"))


def _unknown(command: str, flag: str) -> str:
    """The message about a flag that a command does not have."""
    names = [*names_of(command_of(command).add_flags), "--verbose", "--quiet"]
    return _meant(f"unknown flag {flag} of {command}", flag, names, f"cliptune {command} --help")


def _meant(fact: str, word: str, known: Iterable[str], otherwise: str) -> str:
    """The fact, with the word that was probably meant, or where to look."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"{fact}; did you mean {close[0]}?" if close else f"{fact}; see {otherwise}"


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
    _add_verbosity(parser, Verbosity.USUAL.value)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        _add_verbosity(command, argparse.SUPPRESS)  # said before the command, it holds too
        if name in names:
            command_of(name).add_flags(command)
    return parser


def parsers(whole: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parser of each command by its name, and that of the whole under ""."""
    (commands,) = (action for action in whole._actions if isinstance(action, argparse._SubParsersAction))
    return {"": whole, **commands.choices}


def _add_verbosity(parser: argparse.ArgumentParser, default: str) -> None:
    """Adds the flags for how much is told; they are no part of a request."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        *("-v", "--verbose"),
        action="store_const",
        dest="verbosity",
        const=Verbosity.VERBOSE.value,
        default=default,
        help="tell more: each rejected row, each request to a service",
    )
    group.add_argument(
        *("-q", "--quiet"),
        action="store_const",
        dest="verbosity",
        const=Verbosity.QUIET.value,
        default=default,
        help="tell on stderr only what is wrong; stdout stays the same",
    )
