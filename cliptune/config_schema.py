"""The JSON schema of cliptune.yaml, for editors: made of the keys, which are the flags.

It knows keys and types. A rule that takes more than that, such as a range, the command tells with its line.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cliptune.config_keys import BEAM, CHOICE, NUMBER, SECTIONS, SHARED, SWITCH, TEXT, WHOLE, Key, keys
from cliptune.config_reader import MATRIX, RUNS
from cliptune.config_values import MAX_COST
from cliptune.requests import BASE
from transforms import records

NAME = "cliptune-yaml"
FILE = f"{NAME}.schema.json"
WHAT = "`cliptune.yaml`, the file of `cliptune run`"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TYPES: dict[str, list[str]] = {
    SWITCH: ["boolean"],
    WHOLE: ["integer"],
    NUMBER: ["number"],
    # As YAML has them: a project's number is a text, although it has no quotes.
    TEXT: ["string", "number"],
}
# A value that an environment variable gives.
_VARIABLE = {"type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*\}"}
_RUN_NAME = {"pattern": r"^[\w.-]{1,64}$", "not": {"const": BASE}}
_SECTIONS = {
    "prepare": "how recordings and texts become a dataset: flags of cliptune prepare",
    "check": "how the dataset is checked: flags of cliptune check",
    "tune": "how models are tuned: flags of cliptune tune",
    "predict": "how models are asked: flags of cliptune predict",
    "evaluate": "how answers are scored: flags of cliptune evaluate",
}


def schema() -> dict[str, Any]:
    """The schema of the file (draft 2020-12)."""
    known = keys().values()
    sections = {verb: _section(verb, [key for key in known if key.path.startswith(f"{verb}.")]) for verb in SECTIONS}
    tuning = [key for key in known if key.path.startswith("tune.")]
    run = _table("what is different for this run: keys of tune", {key.name: _key(key) for key in tuning})
    lists = {key.name: {"type": "array", "items": _one(key), "minItems": 1} for key in tuning}
    properties = {
        **{key.path: _key(key) for key in known if key.path in SHARED},
        MAX_COST: _with_help(_scalar(NUMBER), "US dollars: refuse, before the first job, what may cost more in all"),
        **sections,
        RUNS: {
            "description": "runs by their names, on the same dataset, compared in one table",
            "type": "object",
            "minProperties": 1,
            "propertyNames": _RUN_NAME,
            "additionalProperties": run,
        },
        MATRIX: {
            **_table("one run for each way to take one value of each list: keys of tune", lists),
            "type": "object",
        },
    }
    return {
        "$schema": DIALECT,
        "title": WHAT.replace("`", ""),
        **_table("The whole job.", properties),
        "type": "object",
    }


def content() -> bytes:
    """The schema as its file has it."""
    return records.pretty(schema())


def _section(verb: str, of_verb: Iterable[Key]) -> dict[str, Any]:
    properties = {key.name: _key(key) for key in of_verb}
    if verb == "prepare":
        text = _scalar(TEXT)
        value = {"anyOf": [text, {"type": "boolean"}, {"type": "array", "items": text}]}
        what = "flags of Apache Beam without their dashes, such as runner: DataflowRunner"
        properties[BEAM] = {"description": what, "type": ["object", "null"], "additionalProperties": value}
    return _table(_SECTIONS[verb], properties)


def _table(what: str, properties: dict[str, Any]) -> dict[str, Any]:
    """A mapping. One whose keys are all commented out is null."""
    return {
        "description": what,
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": properties,
    }


def _key(key: Key) -> dict[str, Any]:
    one = _one(key)
    choices = [one]
    if key.several:
        choices.append({"type": "array", "items": one, "minItems": 1})
    if key.pairs:
        choices.append({"type": "object", "additionalProperties": _scalar(TEXT)})
    found = _with_help(one if len(choices) == 1 else {"anyOf": choices}, key.help)
    return found if key.default in (None, "", [], False) else {**found, "default": key.default}


def _one(key: Key) -> dict[str, Any]:
    if key.kind == CHOICE:
        return {"anyOf": [{"enum": list(key.choices)}, _VARIABLE]}
    return _scalar(key.kind)


def _scalar(kind: str) -> dict[str, Any]:
    """A value of a kind, or a variable."""
    return {"type": _TYPES[kind]} if kind == TEXT else {"anyOf": [{"type": _TYPES[kind]}, _VARIABLE]}


def _with_help(rule: dict[str, Any], text: str) -> dict[str, Any]:
    return {"description": text, **rule}
