"""`cliptune completion`."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from dataclasses import dataclass

from cliptune import ends
from cliptune.console import Console
from cliptune.exits import Exit
from cliptune.flags import make
from transforms.errors import require

INTERRUPT_SECONDS = 1.5
INTERRUPTED = Exit.INTERRUPTED
TAKES_OTHERS = False
SHELLS = ("bash", "zsh", "tcsh")
DESCRIPTION = """\
Print a script that completes commands, flags and their values in your shell.

  cliptune completion bash > ~/.local/share/bash-completion/completions/cliptune
  cliptune completion zsh > ~/.zfunc/_cliptune       # a folder of $fpath

or, for the shell that is open: source <(cliptune completion bash)"""
EPILOG = "stdout is the script. Exit status: 0 done, 1 failed, 2 usage."


@dataclass(frozen=True)
class CompletionRequest:
    """Print the completion script of a shell.

    Attributes:
      shell: one of `SHELLS`.
    """

    shell: str

    def __post_init__(self) -> None:
        require(self.shell in SHELLS, "shell", f"one of {', '.join(SHELLS)}", self.shell)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `completion`."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help="bash, zsh or tcsh")


def request(args: argparse.Namespace, others: Sequence[str]) -> CompletionRequest:
    """Makes the request from the flags."""
    return make(CompletionRequest, args)


def stopped(request: CompletionRequest) -> str:
    """Nothing to add: no work goes on."""
    return ""


def run(request: CompletionRequest, console: Console) -> Exit:
    """Prints the script."""
    import shtab  # noqa: PLC0415 -- no other command needs it

    main = importlib.import_module("cliptune.main")  # by its name, as it imports this module
    parser = main.build_parser()
    for each in main.parsers(parser).values():
        for action in each._actions:
            if action.nargs != 0 and not action.choices:  # most are files and folders; the others offer nothing better
                action.complete = shtab.FILE
    console.is_json = False
    ends.send(shtab.complete(parser, request.shell))
    return Exit.DONE
