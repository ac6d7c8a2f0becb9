"""The rules of JSON schemas, held against a value in a bounded number of steps, whatever schema and value.

The number does not depend on the machine, so that a row has the same fate everywhere.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterator, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

import orjson

from transforms.patterns import Pattern, TooLongError

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator, ValidationError

# A step takes a microsecond or two.
MAX_STEPS = 2_000_000
# Of a rule that is not answered at once; the others take one.
_RULE_STEPS = {"$ref": 5, "$dynamicRef": 10, "unevaluatedItems": 10, "unevaluatedProperties": 10}
_LONG_SEARCH_STEPS = 1_000
# An error is made of texts and paths.
_ERROR_STEPS = 20
_MAX_ERRORS = 1_000
# Entries of a list or an object that are looked at in a step.
_ENTRIES_PER_STEP = 8
# Characters that are searched or shown in a step.
_CHARS_PER_STEP = 1_024
# Of a target that is too short to matter.
_SMALL_BYTES = 1 << 14
_MAX_SHOWN_CHARS = 300

_Rule = Callable[[Any, Any, Any, Any], "Iterator[ValidationError] | None"]


class TooManyStepsError(Exception):
    """The rules cannot be held against the value in the steps that there are. The text is why, in a few words."""


class Rules:
    """A schema that has been checked.

    Attributes:
      overruns: values that took too many steps.
    """

    def __init__(self, schema: Any) -> None:  # noqa: ANN401 -- any JSON
        """Prepares the rules of a schema; they may be used by one thread at a time."""
        from jsonschema import Draft202012Validator, validators  # noqa: PLC0415 -- slow, and few datasets have schemas

        own = {
            "pattern": self._pattern,
            "patternProperties": self._pattern_properties,
            "additionalProperties": self._additional_properties,
            "unevaluatedProperties": self._unevaluated_properties(
                Draft202012Validator.VALIDATORS["unevaluatedProperties"]
            ),
            "enum": self._enum,
            "const": self._const,
            "uniqueItems": self._unique_items,
        }
        rules = {**Draft202012Validator.VALIDATORS, **own}
        counted = {name: self._counted(rule, _RULE_STEPS.get(name, 1)) for name, rule in rules.items()}
        self._validator: Draft202012Validator = validators.extend(Draft202012Validator, counted)(schema)  # type: ignore[no-untyped-call]
        self.overruns = 0
        self._left = 0
        # Characters of each list and object of the value, where it is long: errors show them.
        self._sizes: dict[int, int] = {}
        self._enums: dict[int, frozenset[Hashable]] = {}
        self._of_properties = tuple(dict.fromkeys(_patterns(schema)))
        self._patterns = {pattern: Pattern(pattern) for pattern in self._of_properties}

    def broken(self, value: object) -> str:
        """The best match among the rules that a value breaks; "" if there is none.

        Raises:
          TooManyStepsError: it cannot be told.
          RecursionError: value and schema are nested too deep together.
        """
        from jsonschema.exceptions import best_match  # noqa: PLC0415 -- as above

        self._left = MAX_STEPS
        self._sizes = {}
        if len(orjson.dumps(value)) > _SMALL_BYTES:
            self._measure(value)
        found = best_match(itertools.islice(self._validator.iter_errors(value), _MAX_ERRORS))
        return f"{found.json_path}: {found.message}" if found else ""

    def _measure(self, value: Any) -> int:  # noqa: ANN401 -- any JSON
        if isinstance(value, dict):
            size = sum(len(name) + self._measure(inner) for name, inner in value.items())
        elif isinstance(value, list):
            size = sum(map(self._measure, value))
        else:
            return len(value) if isinstance(value, str) else 1
        self._sizes[id(value)] = size
        return size

    def _take(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise TooManyStepsError(f"it takes more than {MAX_STEPS:,} steps")

    def _counted(self, rule: _Rule, steps: int) -> _Rule:
        walks = rule not in (self._enum, self._const)  # these walk through theirs once

        def counted(validator: Any, wanted: Any, value: Any, schema: Any) -> Iterator[ValidationError]:  # noqa: ANN401
            self._take(steps + _entries(value) + (_entries(wanted) if walks else 0))
            for error in rule(validator, wanted, value, schema) or ():
                size = len(value) if isinstance(value, str) else self._sizes.get(id(value), 0)
                self._take(_ERROR_STEPS + size // _CHARS_PER_STEP)
                error.message = error.message[:_MAX_SHOWN_CHARS]  # of a large value, it is large itself
                error.args = (error.message,)
                yield error

        return counted

    def _found(self, pattern: str, text: str) -> bool:
        if pattern not in self._patterns:
            self._patterns[pattern] = Pattern(pattern)
        known = self._patterns[pattern]
        self._take(len(text) // _CHARS_PER_STEP + (0 if known.is_short(text) else _LONG_SEARCH_STEPS))
        try:
            return known.is_found(text)
        except TooLongError:
            shown = f"{pattern[:100]!r} takes too long on a text of {len(text):,} characters"
            raise TooManyStepsError(f"the pattern {shown}; write a simpler one") from None

    def _pattern(self, validator: Any, pattern: str, value: Any, schema: Any) -> Iterator[ValidationError]:  # noqa: ANN401
        if isinstance(value, str) and not self._found(pattern, value):
            yield _error(f"{value!r} does not match {pattern!r}")

    def _pattern_properties(
        self,
        validator: Any,  # noqa: ANN401
        wanted: Mapping[str, Any],
        value: Any,  # noqa: ANN401
        schema: Any,  # noqa: ANN401
    ) -> Iterator[ValidationError]:
        for pattern, part in wanted.items() if isinstance(value, dict) else ():
            self._take(len(value))
            for name, inner in value.items():
                if self._found(pattern, name):
                    yield from validator.descend(inner, part, path=name, schema_path=pattern)

    def _additional_properties(self, validator: Any, wanted: Any, value: Any, schema: Any) -> Iterator[ValidationError]:  # noqa: ANN401
        if not isinstance(value, dict):
            return
        known, others = schema.get("properties", {}), list(schema.get("patternProperties", {}))
        self._take(len(value) * len(others))
        extras = [
            name for name in value if name not in known and not any(self._found(pattern, name) for pattern in others)
        ]
        if isinstance(wanted, dict):
            for name in extras:
                yield from validator.descend(value[name], wanted, path=name)
        elif not wanted and extras:
            shown, are = ", ".join(map(repr, sorted(extras))), "was" if len(extras) == 1 else "were"
            if others:
                do, regexes = "does" if len(extras) == 1 else "do", ", ".join(map(repr, sorted(others)))
                yield _error(f"{shown} {do} not match any of the regexes: {regexes}")
            else:
                yield _error(f"Additional properties are not allowed ({shown} {are} unexpected)")

    def _unevaluated_properties(self, rule: _Rule) -> _Rule:
        """The library's own, which searches patterns itself: they are tried first."""

        def tried(validator: Any, wanted: Any, value: Any, schema: Any) -> Iterator[ValidationError] | None:  # noqa: ANN401
            for pattern in self._of_properties if isinstance(value, dict) else ():
                self._take(len(value))
                if not all(self._patterns[pattern].is_short(name) for name in value):
                    raise TooManyStepsError(f"the pattern {pattern[:100]!r} may take too long beside unevaluated ones")
            return rule(validator, wanted, value, schema)

        return tried

    def _enum(self, validator: Any, wanted: list[Any], value: Any, schema: Any) -> Iterator[ValidationError]:  # noqa: ANN401
        if id(wanted) not in self._enums:  # parts of the schema, which lives as long
            self._enums[id(wanted)] = frozenset(map(self._key, wanted))
        if self._key(value) not in self._enums[id(wanted)]:
            self._take(_entries(wanted))
            yield _error(f"{value!r} is not one of {wanted!r}")

    def _const(self, validator: Any, wanted: Any, value: Any, schema: Any) -> Iterator[ValidationError]:  # noqa: ANN401
        if self._key(value) != self._key(wanted):
            yield _error(f"{wanted!r} was expected")

    def _unique_items(self, validator: Any, wanted: bool, value: Any, schema: Any) -> Iterator[ValidationError]:  # noqa: ANN401
        if wanted and isinstance(value, list) and len(set(map(self._key, value))) < len(value):
            yield _error(f"{value!r} has non-unique elements")

    def _key(self, value: Any) -> Hashable:  # noqa: ANN401 -- any JSON
        """What equal values have alike, as JSON schemas see it: 1 is 1.0, but neither is true."""
        self._take(1)
        if isinstance(value, dict):
            return frozenset((name, self._key(inner)) for name, inner in value.items())
        if isinstance(value, list):
            return tuple(map(self._key, value))
        return _Truth(value) if isinstance(value, bool) else value


class _Truth(Enum):
    """Truth values, which Python takes for numbers."""

    NO = False
    YES = True


def _entries(value: Any) -> int:  # noqa: ANN401 -- any JSON
    return len(value) // _ENTRIES_PER_STEP if isinstance(value, (list, dict)) else 0


def _patterns(schema: Any) -> Iterator[str]:  # noqa: ANN401 -- any JSON
    """The names under `patternProperties`, wherever they stand."""
    inner: Any = ()
    if isinstance(schema, dict):
        found = schema.get("patternProperties")
        yield from found if isinstance(found, dict) else ()
        inner = schema.values()
    for part in inner or (schema if isinstance(schema, list) else ()):
        yield from _patterns(part)


def _error(message: str) -> ValidationError:
    from jsonschema import ValidationError  # noqa: PLC0415 -- as above

    return ValidationError(message)
