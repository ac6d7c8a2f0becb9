"""Values of cliptune.yaml and of the flags beside it, each with the place that it comes from."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field

from cliptune.config_keys import BEAM, CHOICE, NUMBER, SHARED, SWITCH, WHOLE, Key
from transforms.errors import UsageError

MAX_COST = "max_cost"
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9_]*)", re.ASCII)
_NUMBER = re.compile(r"[-+]?((0|[1-9][0-9_]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?", re.ASCII)
RULES = {SWITCH: "true or false", WHOLE: "a whole number", NUMBER: "a number"}


@dataclass(frozen=True)
class Origin:
    """Where a value comes from.

    Attributes:
      place: as a message begins: "FILE:LINE: " or "--".
      path: of the key.
    """

    place: str
    path: str

    def told(self, problem: str) -> str:
        """A problem that begins with the name of a field, or does not."""
        name = self.path.rpartition(".")[2]
        rest = problem.removeprefix(name)
        return f"{self.place}{self.path}{rest if rest != problem else f': {problem}'}"


@dataclass(frozen=True)
class Value:
    """A value as words of a command line.

    Attributes:
      origin: where it comes from.
      words: such as "--epochs=5"; several for a list, none for a switch that is off.
    """

    origin: Origin
    words: tuple[str, ...]


@dataclass
class Values:
    """The values of a file, and of the flags beside it.

    Attributes:
      file: its name, for messages.
      settings: by the path of their keys.
      runs: by the name of each run: what is different for it, by the path of its keys in the section "tune".
      beam: flags of Apache Beam.
      max_cost: of all that is still to pay; None for no limit.
    """

    file: str
    settings: dict[str, Value] = field(default_factory=dict)
    runs: dict[str, dict[str, Value]] = field(default_factory=dict)
    beam: Value = Value(Origin("", ""), ())
    max_cost: Value | None = None

    def told(self, verb: str, fault: UsageError, run: str = "") -> UsageError:
        """An error of a request, with the place that its value comes from; "" is the verb of the whole job."""
        path = fault.field if verb in SHARED.get(fault.field, ()) else f"{verb}.{fault.field}"
        of_run = self.runs.get(run, {})
        if fault.field == MAX_COST and self.max_cost is not None and not verb:
            return UsageError(self.max_cost.origin.told(str(fault)))
        if not verb:
            return UsageError(f"{self.file}: {fault}") if fault.field == "tune" else fault
        found = of_run.get(path) or self.settings.get(path)
        if fault.field == BEAM:
            found = self.beam
        if found is not None and found.origin.path:
            return UsageError(found.origin.told(str(fault)))
        if fault.field:
            return UsageError(Origin(f"{self.file}: ", path).told(str(fault)))
        return UsageError(f"{self.file}: {verb}: {fault}")


def switch(key: Key, text: str, origin: Origin) -> tuple[str, ...]:
    """The flag of a switch, or nothing if it is off."""
    if text.lower() not in ("true", "false"):
        after = f"; before another word, write --{origin.path}=true" if origin.place == "--" else ""
        raise UsageError(f"{origin.place}{origin.path} must be {RULES[SWITCH]}, got {text!r}{after}")
    return (key.flag,) if text.lower() == "true" else ()


def word_of(key: Key, text: str) -> str:
    """A value as a word of a command line."""
    return f"{key.flag}={text}"


def checked_of(key: Key, text: str, origin: Origin) -> str:
    """The text of a value of a key, which is of its kind."""
    if key.kind == CHOICE and text not in key.choices:
        close = difflib.get_close_matches(text, key.choices, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        problem = f"must be one of {', '.join(key.choices)}, got {text!r}{hint}"
        raise UsageError(f"{origin.place}{origin.path} {problem}")
    return checked(key.kind, text, origin)


def checked(kind: str, text: str, origin: Origin) -> str:
    """The text of a value, which is of a kind."""
    rule = {WHOLE: _WHOLE, NUMBER: _NUMBER}.get(kind)
    if rule is not None and not (rule.fullmatch(text) and len(text) <= 40):
        zeros = ", without zeros before it" if re.fullmatch(r"[-+]?0[0-9]+", text) else ""
        raise UsageError(f"{origin.place}{origin.path} must be {RULES[kind]}{zeros}, got {text!r:.60}")
    return text
