"""Values of the wrong type at every path of a record: found from its type, so that a new field is covered by itself."""

from __future__ import annotations

import copy
import dataclasses
import types
import typing
from collections.abc import Iterator
from typing import Any

import msgspec

from transforms import records

# One of each kind of JSON, and some that are nearly right.
VALUES: tuple[Any, ...] = (None, True, -7, 1.5, "x", [], [7], [None], {}, {"a": 7}, {"a": None})
Path = tuple[str | int, ...]


def paths(kind: Any, tree: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every place of a record and its type. A tree of JSON tells how far lists and dictionaries reach."""
    if path:
        yield path, kind
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if tree is not None:
            for argument in arguments:
                yield from ((found, whole) for found, whole in paths(argument, tree, path) if found != path)
    elif dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        for field in dataclasses.fields(typing.cast(Any, kind)):
            inner = tree.get(field.name) if isinstance(tree, dict) else None
            yield from paths(hints[field.name], inner, (*path, field.name))
    elif origin in (tuple, list) and isinstance(tree, list) and tree:
        yield from paths(arguments[0], tree[0], (*path, 0))
    elif origin is dict and isinstance(tree, dict) and tree:
        name = next(iter(tree))
        yield from paths(arguments[1], tree[name], (*path, name))


def is_wrong(value: Any, kind: Any) -> bool:
    """Whether no field of this type can have the value."""
    try:
        msgspec.convert(value, kind)
    except (msgspec.ValidationError, TypeError):
        return True
    return False


def wrong(kind: Any, tree: dict[str, Any]) -> Iterator[tuple[Path, Any]]:
    """Every place of a record, each with every value that cannot be there."""
    for path, found in paths(kind, tree):
        yield from ((path, value) for value in VALUES if is_wrong(value, found))


def everywhere(tree: Any, path: Path = ()) -> Iterator[Path]:
    """Every place of a tree of JSON, whatever its type; of a list, its first element."""
    if path:
        yield path
    if isinstance(tree, dict):
        for name in tree:
            yield from everywhere(tree[name], (*path, name))
    elif isinstance(tree, list) and tree:
        yield from everywhere(tree[0], (*path, 0))


def altered(tree: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """The tree with another value in one place. If it was sealed it is sealed again: only the type is wrong."""
    changed = copy.deepcopy(tree)
    inner: Any = changed
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value
    if records.CHECKSUM_FIELD in changed and path[0] != records.CHECKSUM_FIELD:
        del changed[records.CHECKSUM_FIELD]
        changed = records.sealed(changed)
    return changed
