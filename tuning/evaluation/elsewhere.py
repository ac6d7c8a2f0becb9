"""Finds the clip whose text is what was heard of another one: texts that have changed places."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein

from tuning.evaluation.heard import Heard
from tuning.evaluation.pools import Array

# Shorter answers are near to the texts of others by chance.
_LEAST_CHARS, _LONG_CHARS = 12, 24
# An answer is of a text that is this near (edits of characters by the longer), and by so much nearer than its own.
_NEAR, _NEAR_IF_SHORT, _NEARER = 0.45, 0.3, 0.3
_MOST_LOOKED_FOR = 2_000
_GRAM, _COMMON, _COMPARED = 4, 200, 10


def found(systems: Mapping[str, Heard], against: Array) -> dict[int, int]:
    """The clips whose text was heard in others.

    Args:
      systems: what was heard of the clips.
      against: what speaks against each clip's text, shape (n,); only those with more than 0 are looked at, and of
        many the most suspect.

    Returns:
      Of each clip whose text was found elsewhere, the number of the clip that has it.
    """
    doubted = np.argsort(-against, kind="stable")[: min(_MOST_LOOKED_FOR, int((against > 0).sum()))]
    matches: dict[int, int] = {}
    for system in systems.values():
        queries = {int(index): system.said[index] for index in doubted if len(system.said[index]) >= _LEAST_CHARS}
        matches = _of_system(system, queries) | matches
    return matches


def _of_system(system: Heard, queries: Mapping[int, str]) -> dict[int, int]:
    holders = _holders(queries.values(), system.texts)
    matches: dict[int, int] = {}
    for index, said in queries.items():
        shared = Counter(row for gram in _grams(said) for row in holders.get(gram, ()))
        most = sorted(shared, key=lambda row: (-shared[row], row))[:_COMPARED]
        near = [(Levenshtein.normalized_distance(said, system.texts[row]), row) for row in most]
        apart, row = min(near, default=(1.0, index))
        limit = _NEAR if len(said) >= _LONG_CHARS else _NEAR_IF_SHORT
        if apart <= min(limit, system.apart[index] - _NEARER) and len(system.texts[row]) >= _LEAST_CHARS:
            matches[index] = row
    return matches


def _holders(queries: Iterable[str], texts: Sequence[str]) -> dict[str, list[int]]:
    """The texts that hold each run of characters of the queries; none for a run that many hold."""
    wanted = {gram for said in queries for gram in _grams(said)}
    holders: dict[str, list[int]] = defaultdict(list)
    if wanted:
        for row, text in enumerate(texts):
            for gram in wanted & _grams(text):
                holders[gram].append(row)
    return {gram: rows for gram, rows in holders.items() if len(rows) <= _COMMON}


def _grams(text: str) -> set[str]:
    return {text[start : start + _GRAM] for start in range(len(text) - _GRAM + 1)}
