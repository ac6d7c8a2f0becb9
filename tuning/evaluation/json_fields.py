"""Fields of JSON, an answer's beside its target's: lists are sequences, or sets if the schema of the task says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

from rapidfuzz.distance import Levenshtein

# In a schema, beside "uniqueItems": the order of a list means nothing, though items may be there twice.
UNORDERED = "x-unordered"
_MAX_PAIRS = 10_000  # of items of two lists; longer ones are paired in their order
_MAX_HOPS = 32  # of references, one behind the other

# By the path of a field, such as ".stops[].city": how many are right, how many were meant, how many were said.
Fields = dict[str, tuple[int, int, int]]
Leaf = tuple[str, str, Any]


class Comparer:
    """Compares answers with their targets.

    Args:
      schema: of the task; None for any JSON.
      same: makes texts alike before they are compared.
    """

    def __init__(self, schema: object, same: Callable[[str], str]) -> None:
        self._root, self._same = schema, same

    def compare(self, target: object, answer: object) -> Fields:
        """Every field of both, by its path.

        Objects are compared by their keys, sequences along the alignment with the fewest edits, and sets whatever the
        order: what is equal first, then the items that have most in common. Numbers are compared by value.

        Args:
          target: parsed.
          answer: likewise.
        """
        right = Counter(self._common(target, answer, self._root, ""))
        meant, said = self._paths(target), self._paths(answer)
        return {path: (right[path], meant[path], said[path]) for path in {**meant, **said}}

    def same(self, target: object) -> Fields:
        """The same for an answer that is the target."""
        return {path: (count, count, count) for path, count in self._paths(target).items()}

    def missed(self, target: object) -> Fields:
        """The same for an answer that is no JSON."""
        return {path: (0, count, 0) for path, count in self._paths(target).items()}

    def _paths(self, value: object) -> Counter[str]:
        return Counter(path for path, _ in _leaves(value, ""))

    def _keyed(self, value: object) -> Counter[Leaf]:
        return Counter((path, *self._key(inner)) for path, inner in _leaves(value, ""))

    def _key(self, value: object) -> tuple[str, Any]:
        if isinstance(value, str):
            return "text", self._same(value)
        if isinstance(value, bool) or value is None:
            return "word", value
        return ("number", value) if isinstance(value, int | float) else (type(value).__name__, bool(value))

    def _common(self, target: object, answer: object, schema: object, path: str) -> Iterator[str]:
        """The path of each leaf that both have in the same place."""
        if isinstance(target, dict) and isinstance(answer, dict) and target and answer:
            for key in target.keys() & answer.keys():
                yield from self._common(target[key], answer[key], self._property(schema, key), f"{path}.{key}")
        elif isinstance(target, list) and isinstance(answer, list) and target and answer:
            pairs = _set_pairs if self._is_set(schema) else _pairs
            for number, one, other in pairs(target, answer, self._frozen, self._overlap):
                yield from self._common(one, other, self._item(schema, number), f"{path}[]")
        elif self._key(target) == self._key(answer):
            yield path

    def _overlap(self, one: object, other: object) -> int:
        """How many leaves two items share."""
        return (self._keyed(one) & self._keyed(other)).total()

    def _frozen(self, value: object) -> object:
        """A value that is equal and hashes alike for what counts as equal."""
        if isinstance(value, dict):
            return frozenset((key, self._frozen(inner)) for key, inner in value.items())
        if isinstance(value, list):
            return tuple(map(self._frozen, value))
        return self._key(value)

    def _keyword(self, schema: object, name: str, hops: int = 0) -> Iterator[Any]:
        """The values of a keyword that a schema has for the same value, by its references and alternatives too."""
        if not isinstance(schema, dict) or hops > _MAX_HOPS:
            return
        if name in schema:
            yield schema[name]
        if isinstance(reference := schema.get("$ref"), str):
            yield from self._keyword(self._at(reference), name, hops + 1)
        for several in ("allOf", "anyOf", "oneOf"):
            for inner in schema.get(several, ()):
                yield from self._keyword(inner, name, hops + 1)

    def _at(self, reference: str) -> object:
        """The schema that a reference within this one names; None for another."""
        found = self._root
        for part in reference.removeprefix("#").split("/")[1:] if reference.startswith("#") else ():
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and key.isdecimal() and int(key) < len(found):
                found = found[int(key)]
            else:
                found = found.get(key) if isinstance(found, dict) else None
        return found if reference.startswith("#") else None

    def _is_set(self, schema: object) -> bool:
        return any(True in self._keyword(schema, name) for name in ("uniqueItems", UNORDERED))

    def _property(self, schema: object, key: str) -> object:
        known = (found[key] for found in self._keyword(schema, "properties") if key in found)
        return next(chain(known, self._keyword(schema, "additionalProperties")), None)

    def _item(self, schema: object, number: int) -> object:
        placed = (found[number] for found in self._keyword(schema, "prefixItems") if number < len(found))
        return next(chain(placed, self._keyword(schema, "items")), None)


def _leaves(value: object, path: str) -> Iterator[tuple[str, object]]:
    """Each value that holds no other, with its path."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}")
    elif isinstance(value, list) and value:
        for inner in value:
            yield from _leaves(inner, f"{path}[]")
    else:
        yield path, value


Frozen = Callable[[object], object]
Overlap = Callable[[object, object], int]
Pair = tuple[int, object, object]


def _pairs(target: Sequence[object], answer: Sequence[object], frozen: Frozen, _: Overlap) -> Iterator[Pair]:
    """Items of two sequences that stand opposite each other, with the place in the target."""
    known: dict[object, int] = {}
    ours, theirs = ([known.setdefault(frozen(item), len(known)) for item in items] for items in (target, answer))
    for code in Levenshtein.opcodes(ours, theirs):
        if code.tag in ("equal", "replace"):
            for step in range(code.src_end - code.src_start):
                number = code.src_start + step
                yield number, target[number], answer[code.dest_start + step]


def _set_pairs(target: Sequence[object], answer: Sequence[object], frozen: Frozen, overlap: Overlap) -> Iterator[Pair]:
    """Items of two sets, the equal ones first, then those that share most."""
    waiting: dict[object, list[int]] = {}
    for number, item in enumerate(answer):
        waiting.setdefault(frozen(item), []).append(number)
    left: list[int] = []
    for number, item in enumerate(target):
        same = waiting.get(frozen(item))
        if same:
            yield number, item, answer[same.pop(0)]
        else:
            left.append(number)
    others = sorted(number for numbers in waiting.values() for number in numbers)
    for ours, theirs in _matched(target, answer, left, others, overlap):
        yield ours, target[ours], answer[theirs]


def _matched(
    target: Sequence[object], answer: Sequence[object], left: Sequence[int], others: Sequence[int], overlap: Overlap
) -> Iterator[tuple[int, int]]:
    if len(left) * len(others) > _MAX_PAIRS:
        yield from zip(left, others, strict=False)
        return
    shared = ((-overlap(target[ours], answer[theirs]), ours, theirs) for ours in left for theirs in others)
    taken: set[int] = set()
    given: set[int] = set()
    for _, ours, theirs in sorted(shared):
        if ours not in taken and theirs not in given:
            taken.add(ours)
            given.add(theirs)
            yield ours, theirs
