"""JSON targets and their schemas: what is refused at once, so that no row and no schema leads a reader astray."""

from __future__ import annotations

import functools
import json
import math
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from transforms.errors import UserError
from transforms.json_rules import Rules, TooManyStepsError
from transforms.printable import is_unicode

if TYPE_CHECKING:
    from referencing import Resource
    from referencing._core import Resolver

# Code that walks a tree calls itself on each level, some times over: a thousand calls are all that Python has.
MAX_NESTING = 128
# Aliases of YAML may stand for as many values as there are atoms.
MAX_VALUES = 1_000_000
# Each value for which the rules of a schema take too long takes seconds.
MAX_OVERRUNS = 10
# Keywords whose schemas judge the same value as the schema that they stand in.
_SAME_VALUE = ("not", "if", "then", "else", "allOf", "anyOf", "oneOf", "dependentSchemas")


class JsonError(ValueError):
    """What is wrong with a value or a schema, in a few words."""


def parse(text: str) -> Any:  # noqa: ANN401 -- any JSON
    """A value from its text.

    Raises:
      JsonError: it is not JSON, is nested too deep, or names a key twice in one object.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as fault:
        raise JsonError(f"{fault.msg} at character {fault.colno}") from None
    check_tree(value)
    json.loads(text, object_pairs_hook=_each_once)  # for orjson takes the last of two
    return value


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        doubled = next(name for name, count in Counter(names).items() if count > 1)
        raise JsonError(f"the key {doubled[:60]!r} is given twice")
    return found


def dump(value: object) -> str:
    """A value that is no text yet, as JSON.

    Raises:
      JsonError: JSON has no such value.
    """
    check_tree(value)
    try:
        return orjson.dumps(value).decode()
    except TypeError as fault:
        raise JsonError(str(fault)) from None


def check_tree(value: object, max_values: int = MAX_VALUES) -> None:
    """Refuses what is nested too deep or holds what is no JSON, however it has been made.

    Raises:
      JsonError: it is.
    """
    level, count = [value], 0
    for _ in range(MAX_NESTING + 1):
        count += len(level)
        if count > max_values:
            raise JsonError(f"it holds over {max_values:,} values")
        for part in level:
            _check_value(part)
        containers = [part for part in level if isinstance(part, dict | list | tuple)]
        if not containers:
            return
        level = [inner for part in containers for inner in _inside(part)]
    raise JsonError(f"it is nested over {MAX_NESTING} deep")


def _check_value(value: object) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise JsonError(f"it holds {value}, which JSON has not")
    if isinstance(value, str) and not is_unicode(value):
        raise JsonError("it holds half a surrogate pair, which is no character")


def _inside(value: dict[object, object] | Sequence[object]) -> Iterator[object]:
    yield from value
    if isinstance(value, dict):
        yield from value.values()


def broken_rule(schema: bytes, value: object) -> str:
    """The best match among the rules of a schema that `value` breaks; "" if there is none.

    Args:
      schema: that `check_schema` has passed, as JSON, for it is the key of a cache.
      value: from `parse`.

    Raises:
      UserError: of too many values it could not be told in time.
    """
    rules = _rules(schema, threading.get_ident())
    try:
        return rules.broken(value)
    except RecursionError:
        return "$: it is nested too deep for the schema"
    except TooManyStepsError as fault:
        rules.overruns += 1
        if rules.overruns > MAX_OVERRUNS:
            raise UserError(f"--tasks: a schema cannot be held against over {MAX_OVERRUNS} targets: {fault}") from None
        return f"it cannot be told: {fault}"


@functools.lru_cache(maxsize=64)
def _rules(schema: bytes, thread: int) -> Rules:
    """The rules of a schema, for each thread its own: they count the steps of one value at a time."""
    return Rules(orjson.loads(schema))


def check_schema(schema: object) -> None:
    """Refuses a schema that is none, that leads nowhere or in a circle, or that asks for other files.

    Raises:
      JsonError: why.
    """
    from jsonschema import Draft202012Validator, SchemaError  # noqa: PLC0415 -- as above

    try:
        tree = orjson.loads(dump(schema))
        Draft202012Validator.check_schema(tree)
    except SchemaError as fault:
        raise JsonError(f"{fault.json_path}: {fault.message[:200]}") from None
    except JsonError as fault:
        raise JsonError(f"must be JSON: {fault}") from None
    except OverflowError:
        raise JsonError("has a pattern with a number that is too large") from None
    except RecursionError:
        raise JsonError("is nested too deep") from None
    try:
        parts = list(_parts(tree))
    except JsonError:
        raise
    except ValueError as fault:  # an `$id` that is no address
        raise JsonError(f"has an $id that is none: {fault}") from None
    _check_circles(parts)


class _Part(NamedTuple):
    """A schema within a schema, and what its references point to."""

    schema: dict[str, Any]
    references: tuple[tuple[str, object], ...]


def _parts(schema: Any) -> Iterator[_Part]:  # noqa: ANN401 -- any JSON
    """A schema and all schemas in it. A value in `enum` that looks like one is none."""
    from referencing import Registry  # noqa: PLC0415 -- as above
    from referencing.jsonschema import DRAFT202012  # noqa: PLC0415 -- as above

    whole = DRAFT202012.create_resource(schema)
    base = whole.id() or ""
    registry: Any = Registry().with_resource(base, whole).crawl()
    waiting: list[tuple[Resource[Any], Resolver[Any]]] = [(whole, registry.resolver(base))]
    while waiting:
        resource, resolver = waiting.pop()
        waiting += [(inner, resolver.in_subresource(inner)) for inner in resource.subresources()]
        if isinstance(resource.contents, dict):
            yield _Part(resource.contents, tuple(_followed(resource.contents, resolver)))


def _followed(schema: dict[str, Any], resolver: Resolver[Any]) -> Iterator[tuple[str, object]]:
    from referencing.exceptions import Unresolvable  # noqa: PLC0415 -- as above

    for keyword in ("$ref", "$dynamicRef"):
        reference = schema.get(keyword)
        if reference is None:
            continue
        if not reference.startswith("#"):
            raise JsonError(f"refers to {reference!r}; only parts of itself (#/…) can be referred to")
        try:
            yield reference, resolver.lookup(reference).contents
        except (Unresolvable, ValueError, TypeError, LookupError):
            raise JsonError(f"refers to {reference!r}, and there is no such part of it") from None


def _check_circles(parts: list[_Part]) -> None:
    """Refuses a schema that comes back to itself without a step into the value: nothing would ever be judged."""
    graph = {id(part.schema): {id(other) for other in _same_value(part)} for part in parts}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as fault:
        raise JsonError(f"refers to itself in a circle: {', '.join(_references(parts, set(fault.args[1])))}") from None


def _references(parts: list[_Part], circle: set[int]) -> list[str]:
    return sorted({repr(name) for part in parts if id(part.schema) in circle for name, _ in part.references})


def _same_value(part: _Part) -> Iterator[object]:
    """The schemas that judge the same value as this one."""
    yield from (target for _, target in part.references)
    for keyword in _SAME_VALUE:
        inner = part.schema.get(keyword)
        if keyword == "dependentSchemas" and isinstance(inner, dict):
            yield from inner.values()
        elif isinstance(inner, list):
            yield from inner
        elif inner is not None:
            yield inner
