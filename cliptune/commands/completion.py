"""`cliptune completion`."""

from __future__ import annotations

import argparse
import importlib
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cliptune import ends
from cliptune.console import Console
from cliptune.exits import Exit
from cliptune.flags import make
from transforms.errors import require

INTERRUPT_SECONDS = 1.5
INTERRUPTED = Exit.INTERRUPTED
TAKES_OTHERS = False
SHELLS = ("bash", "zsh")
DESCRIPTION = """\
Print a script that completes commands, flags and their values in your shell.

  cliptune completion bash > ~/.local/share/bash-completion/completions/cliptune
  cliptune completion zsh >> ~/.zshrc

or, for the shell that is open: source <(cliptune completion bash)"""
EPILOG = "stdout is the script. Exit status: 0 done, 1 failed, 2 usage."
# zsh runs the completions of bash.
_PROLOGUE = {"bash": "", "zsh": "autoload -U +X compinit bashcompinit && compinit -u && bashcompinit\n"}
_SCRIPT = """\
# Completes cliptune; printed by cliptune completion.
_cliptune() {
  local current="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" command="" words="" word
  COMPREPLY=()
  # Bash has --flag=value as three words.
  if [ "$current" = "=" ]; then current=""; elif [ "$before" = "=" ]; then before="${COMP_WORDS[COMP_CWORD-2]}"; fi
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in COMMANDS) command="$word"; break ;; esac
  done
  case "$command $before" in
VALUES
  *)
    case "$command $current" in
FLAGS
    esac ;;
  esac
  [ -z "$words" ] || COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _cliptune cliptune
"""


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
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help="bash or zsh")


def request(args: argparse.Namespace, others: Sequence[str]) -> CompletionRequest:
    """Makes the request from the flags."""
    return make(CompletionRequest, args)


def stopped(request: CompletionRequest) -> str:
    """Nothing to add: no work goes on."""
    return ""


def run(request: CompletionRequest, console: Console) -> Exit:
    """Prints the script."""
    main = importlib.import_module("cliptune.main")  # by its name, as it imports this module
    parsers = main.parsers(main.build_parser())
    console.is_json = False
    ends.send(_PROLOGUE[request.shell] + script(parsers))
    return Exit.DONE


def script(parsers: dict[str, argparse.ArgumentParser]) -> str:
    """The script for the parsers of all commands, by their names; "" has that of the whole."""
    commands = [name for name in parsers if name]
    values = [line for name, parser in parsers.items() for line in _values(name, parser)]
    flags = [_case(f'"{name} -"*', _flags(parser)) for name, parser in parsers.items()]
    flags += [_case(f'"{name} "*', _positionals(parser)) for name, parser in parsers.items() if _positionals(parser)]
    flags.append(_case('" "*', commands))
    filled = _SCRIPT.replace("COMMANDS", "|".join(commands))
    return filled.replace("VALUES", "\n".join(values)).replace("FLAGS", "\n".join(flags))


def _flags(parser: argparse.ArgumentParser) -> list[str]:
    return [flag for action in parser._actions for flag in action.option_strings]


def _positionals(parser: argparse.ArgumentParser) -> list[str]:
    """The values of a word without a flag, where there are few: not the commands, which are the words of the whole."""
    bare = [action for action in parser._actions if not action.option_strings]
    return [str(each) for action in bare if not isinstance(action.choices, dict) for each in action.choices or ()]


def _values(command: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    """The cases of the flags that take one of a few values."""
    for action in parser._actions:
        for flag in action.option_strings if action.choices else ():
            yield _case(f'"{command} {flag}"', map(str, action.choices or ()))


def _case(pattern: str, words: Iterable[str]) -> str:
    return f"    {pattern}) words={shlex.quote(' '.join(words))} ;;"
