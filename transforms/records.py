"""Records as JSON files: one way to write them, and a strict one to read them.

A record is a frozen dataclass whose JSON has a `format_version`. Fields that are not known are passed over, so that a
later version may add some.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec
import orjson

T = TypeVar("T")

VERSION_FIELD = "format_version"


def pretty(tree: Any) -> bytes:  # noqa: ANN401 -- a record, or any tree of JSON
    """JSON for people and machines: indented, in the order of the fields, with a newline at the end."""
    return orjson.dumps(tree, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def without_none(tree: dict[str, Any]) -> dict[str, Any]:
    """The fields of a record that leaves out what is None."""
    return {name: value for name, value in tree.items() if value is not None}


def load(content: bytes, kind: type[T], version: int) -> T:
    """The record that JSON holds.

    Args:
      content: of the file.
      kind: the record's class.
      version: which `format_version` must have.

    Raises:
      ValueError: in one line, the field and the rule that it breaks.
    """
    return convert(tree_of(content, version), kind)


def tree_of(content: bytes, version: int, unsaid: int | None = None) -> dict[str, Any]:
    """The JSON object of a record of this version; raises what `load` raises.

    Args:
      content: of the file.
      version: which `format_version` must have.
      unsaid: the version of files that say nothing of theirs; None to refuse them.
    """
    try:
        tree = orjson.loads(content)
    except orjson.JSONDecodeError as fault:
        raise ValueError(f"not valid JSON: {fault}") from None
    if not isinstance(tree, dict):
        raise ValueError(f"must be a JSON object, got {type(tree).__name__}")
    found = tree.get(VERSION_FIELD, unsaid)
    if found != version:
        raise ValueError(f"{VERSION_FIELD} must be {version}, got {found!r}")
    return tree


def convert(tree: object, kind: type[T]) -> T:
    """A tree of JSON as a record; raises what `load` raises."""
    try:
        return msgspec.convert(tree, kind)
    except msgspec.ValidationError as fault:
        raise ValueError(_in_words(str(fault))) from None


def _in_words(message: str) -> str:
    """The message of msgspec, with the field in front: "rows: expected int, got str"."""
    rule, _, place = message.partition(" - at ")
    rule = rule.replace("`", "")
    missing = re.fullmatch(r"Object missing required field (\w+)", rule)
    path = place.strip("`").removeprefix("$").replace("[...]", ".*").removeprefix(".")
    if missing:
        return f"{path}.{missing[1]}".removeprefix(".") + ": missing"
    return f"{path}: {rule[:1].lower()}{rule[1:]}" if path else rule
