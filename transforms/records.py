"""Records as JSON files: one way to write them, and a strict one to read them.

A record is a frozen dataclass whose JSON has a `format_version`. Fields that are not known are passed over, so that a
later version may add some. A sealed record ends with a checksum of itself: what is altered by hand is not taken for
what Cliptune has written.
"""

from __future__ import annotations

import re
import threading
from hashlib import sha256
from typing import Any, TypeVar

import msgspec
import orjson

from transforms.errors import NotARegularFileError, TooLongError, UserError

T = TypeVar("T")

VERSION_FIELD = "format_version"
CHECKSUM_FIELD = "checksum"
CHECKSUM_MEANING = "sha256 over all other fields, hexadecimal"
# In the metadata of a field: it is not written if it is None.
LEFT_OUT = "left_out"
# What reading a file of state raises if the file is not what it should be.
DAMAGES = (ValueError, IsADirectoryError, NotARegularFileError, PermissionError, TooLongError)


def damage(fault: Exception) -> str:
    """What is wrong with a damaged file, in a few words."""
    if isinstance(fault, TooLongError):
        return "longer than any such file"
    return str(fault.strerror if isinstance(fault, OSError) else fault)


def damaged(name: str, fault: Exception, meaning: str, remedy: str) -> UserError:
    """The error about a damaged file of state.

    Args:
      name: of the file.
      fault: one of `DAMAGES`.
      meaning: what the file is for, as "it lists the files of the dataset".
      remedy: the command that mends it.
    """
    return UserError(f"{name} is damaged ({damage(fault)}): {meaning}; {remedy}")


def pretty(tree: Any) -> bytes:  # noqa: ANN401 -- a record, or any tree of JSON
    """JSON for people and machines: indented, in the order of the fields, with a newline at the end."""
    return orjson.dumps(tree, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def without_none(tree: dict[str, Any]) -> dict[str, Any]:
    """The fields of a record that leaves out what is None."""
    return {name: value for name, value in tree.items() if value is not None}


def sealed(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree of a record, with its checksum as the last field."""
    return {**tree, CHECKSUM_FIELD: _checksum(tree)}


def check_seal(tree: dict[str, Any]) -> None:
    """Refuses what is not as `sealed` made it. Spaces and the order of fields may differ.

    Raises:
      ValueError: the checksum is missing, or that of other contents.
    """
    if CHECKSUM_FIELD not in tree:
        raise ValueError(f"{CHECKSUM_FIELD}: missing")
    if tree[CHECKSUM_FIELD] != _checksum({name: value for name, value in tree.items() if name != CHECKSUM_FIELD}):
        raise ValueError(f"{CHECKSUM_FIELD}: does not fit the contents, which have been altered")


def _checksum(tree: dict[str, Any]) -> str:
    try:
        return sha256(orjson.dumps(tree, option=orjson.OPT_SORT_KEYS)).hexdigest()
    except TypeError as fault:  # nested deeper than anything that is written
        raise ValueError(f"not valid JSON: {fault}") from None


def load(content: bytes, kind: type[T], version: int, seal: bool | None = False) -> T:
    """The record that JSON holds.

    Args:
      content: of the file.
      kind: the record's class.
      version: which `format_version` must have.
      seal: whether it must be sealed; None if files of this version may be, or not.

    Raises:
      ValueError: in one line, the field and the rule that it breaks.
    """
    tree = tree_of(content, version)
    record = convert(tree, kind)
    if seal or (seal is None and CHECKSUM_FIELD in tree):
        check_seal(tree)
    return record


def tree_of(content: bytes, version: int, unsaid: int | None = None) -> dict[str, Any]:
    """The JSON object of a record of this version; raises what `load` raises.

    Args:
      content: of the file.
      version: which `format_version` must have.
      unsaid: the version of files that say nothing of theirs; None to refuse them.
    """
    tree = object_of(content)
    found = tree.get(VERSION_FIELD, unsaid)
    if found != version:
        raise ValueError(f"{VERSION_FIELD} must be {version}, got {found!r:.60}")
    return tree


def object_of(content: bytes) -> dict[str, Any]:
    """Any JSON object; raises what `load` raises."""
    try:
        tree = orjson.loads(content)
    except orjson.JSONDecodeError as fault:
        raise ValueError(f"not valid JSON: {fault}") from None
    if not isinstance(tree, dict):
        raise ValueError(f"must be a JSON object, got {type(tree).__name__}")
    return tree


def convert(tree: object, kind: type[T]) -> T:
    """A tree of JSON as a record; raises what `load` raises."""
    _learn(kind)
    try:
        return msgspec.convert(tree, kind)
    except msgspec.ValidationError as fault:
        raise ValueError(_in_words(str(fault))) from None


_LEARNING = threading.Lock()
_learnt: set[type] = set()


def _learn(kind: type) -> None:
    """Lets msgspec learn the fields of a class, in one thread.

    It keeps what it learns at the class from the beginning on, before the fields are there (`DataclassInfo_Convert` of
    0.22): another thread that converts to this class meanwhile reads a null pointer, and the process ends by SIGSEGV.
    """
    if kind not in _learnt:
        with _LEARNING:
            msgspec.json.Decoder(kind)
            _learnt.add(kind)


def _in_words(message: str) -> str:
    """The message of msgspec, with the field in front: "rows: expected int, got str"."""
    rule, _, place = message.partition(" - at ")
    rule = rule.replace("`", "")
    missing = re.fullmatch(r"Object missing required field (\w+)", rule)
    path = place.strip("`").removeprefix("$").replace("[...]", ".*").removeprefix(".")
    if missing:
        return f"{path}.{missing[1]}".removeprefix(".") + ": missing"
    return f"{path}: {rule[:1].lower()}{rule[1:]}" if path else rule
