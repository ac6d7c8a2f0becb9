"""The keys of cliptune.yaml, which are flags: each flag of a step is a key, or is named with the reason why not."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import NoReturn

from cliptune.commands import check, evaluate, predict, prepare, tune
from cliptune.flags import number, whole_number
from transforms.errors import UsageError

# The verbs that the file makes requests for, in the order of their steps, with their modules.
SECTIONS = {"prepare": prepare, "check": check, "tune": tune, "predict": predict, "evaluate": evaluate}
# Keys that stand outside of the sections, because several verbs must agree on them, or because all begin with them.
SHARED = {
    "manifest": ("prepare",),
    "output": ("prepare",),
    "billing_project": ("prepare", "check", "tune", "predict", "evaluate"),
    "provider": ("check", "tune", "predict"),
    "project": ("tune",),
    "location": ("tune",),
    "emulator": ("tune", "predict"),
    "api_endpoint": ("tune", "predict"),
    "split": ("predict", "evaluate"),
}
# What `check` takes from `tune`, whose first run it prices.
OF_TUNE = ("base_model", "epochs", "price_per_million", "prices")
_WHOLE = "the whole has one of its own: cliptune run --dry_run"
_RUNS = "the models are those of this file's runs, and the base models"
_ALL = "every model is asked about all clips of the split: one without an answer counts as an empty answer"
# Flags that are no keys, and why.
NOT_KEYS = {
    "prepare": {
        "merge_into": "a merge has the manifests and settings of its dataset: cliptune prepare --merge_into",
        "dry_run": _WHOLE,
        "cancel": "it ends a job instead of going on: cliptune prepare --cancel",
        "follow": "cliptune run attaches to its own job: cliptune prepare --follow",
        "timeout": "it belongs to --follow",
    },
    "check": dict.fromkeys(OF_TUNE, "it is what tune says"),
    "tune": {
        "dry_run": _WHOLE,
        "preflight": "it sends nothing: cliptune tune --preflight",
        "no_watch": "cliptune run --until tune leaves a job to itself",
    },
    "predict": {
        "run": _RUNS,
        "model": _RUNS,
        "checkpoint": "a model is asked as its runs deploy it: default_checkpoint of tune",
        "limit": _ALL,
        "audio": "cliptune predict --audio asks about recordings",
        "probe_silence": "cliptune predict --probe_silence asks about silence; evaluate finds the answers",
        "task": "it belongs to --audio and --probe_silence",
        "prompt": "it belongs to --audio; that of the dataset is prepare's",
        "system_instruction": "it belongs to --audio",
    },
    "evaluate": {"run": _RUNS, "system": _RUNS},
}
# Flags that name files or folders. In the file, these begin where the file lies.
PATHS = {
    "manifest",
    "output",
    "prepare.audio_root",
    "prepare.allow_path",
    "prepare.tasks",
    "tune.prices",
    "evaluate.predictions",
}
# Flags that take several words in one, with commas between them.
COMMAS = ("normalize_text",)
# Flags of Apache Beam, of the section "prepare".
BEAM = "beam_options"
SWITCH, WHOLE, NUMBER, CHOICE, TEXT = "switch", "whole", "number", "choice", "text"


@dataclass(frozen=True)
class Key:
    """A key of the file, which is a flag.

    Attributes:
      path: as messages have it, such as "tune.epochs".
      flag: as the command line has it.
      verbs: whose flag it is.
      kind: of its value: "switch", "whole", "number", "choice" or "text".
      help: what it means.
      choices: the values of a choice.
      several: whether it may be a list.
      pairs: whether it may be a mapping, each entry of which is KEY=VALUE.
      commas: whether a list becomes one word.
      default: as the command line has it; None for none.
    """

    path: str
    flag: str
    verbs: tuple[str, ...]
    kind: str
    help: str
    choices: tuple[str, ...] = ()
    several: bool = False
    pairs: bool = False
    commas: bool = False
    default: object = None

    @property
    def name(self) -> str:
        """Without its section."""
        return self.path.rpartition(".")[2]

    @property
    def is_switch(self) -> bool:
        """Whether it is either on or off."""
        return self.kind == SWITCH

    @property
    def is_path(self) -> bool:
        """Whether it names files."""
        return self.path in PATHS


class Parser(argparse.ArgumentParser):
    """A parser that raises instead of ending the program."""

    def error(self, message: str) -> NoReturn:
        """Raises UsageError."""
        raise UsageError(message)


def parser_of(verb: str) -> Parser:
    """The parser of a verb's flags."""
    parser = Parser(verb, add_help=False, allow_abbrev=False)
    SECTIONS[verb].add_flags(parser)
    parser._mutually_exclusive_groups.clear()  # the requests say so, too, and name the field
    return parser


def flags_of(verb: str) -> dict[str, argparse.Action]:
    """The flags of a verb by their names."""
    actions = parser_of(verb)._actions
    return {name_of(action): action for action in actions if action.option_strings}


def name_of(action: argparse.Action) -> str:
    """The name of a flag: the first of its spellings."""
    return action.option_strings[0].removeprefix("--")


@cache
def keys() -> Mapping[str, Key]:
    """All keys by their paths, those outside of the sections first."""
    flags = {verb: flags_of(verb) for verb in SECTIONS}
    shared = {name: _key(name, flags[verbs[0]][name], verbs) for name, verbs in SHARED.items()}
    own = {
        f"{verb}.{name}": _key(f"{verb}.{name}", action, (verb,))
        for verb, of_verb in flags.items()
        for name, action in of_verb.items()
        if name not in NOT_KEYS[verb] and verb not in SHARED.get(name, ())
    }
    return MappingProxyType(shared | own)


def _key(path: str, action: argparse.Action, verbs: tuple[str, ...]) -> Key:
    name, is_list = name_of(action), isinstance(action, argparse._AppendAction)
    return Key(
        path=path,
        flag=action.option_strings[0],
        verbs=verbs,
        kind=_kind(action),
        help=_help(action),
        choices=tuple(map(str, action.choices or ())),
        several=is_list or name in COMMAS,
        pairs=is_list and "=" in str(action.metavar),
        commas=name in COMMAS,
        default=action.default if action.nargs != 0 else None,
    )


def _kind(action: argparse.Action) -> str:
    if action.nargs == 0:
        return SWITCH
    if action.choices:
        return CHOICE
    if action.type in (int, whole_number):
        return WHOLE
    return NUMBER if action.type in (float, number) else TEXT


def _help(action: argparse.Action) -> str:
    text = (action.help or "").replace("%(default)s", str(action.default)).replace("%(default)r", repr(action.default))
    return text.replace("%%", "%").replace("; may be repeated", "; or a list").replace("; repeatable", "; or a list")
