"""What systems heard, against the texts: is an answer as far from its text as from the text of any other clip?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cpdist

from tuning.evaluation import pools
from tuning.evaluation.pools import Array, Indexes

CERTAIN = 6.0
_LEAST_SPREAD, _LEAST_CHANCE_SPREAD = 0.07, 0.05
# Of texts that are wrong, those that are of another clip; others are so in part: cut, or with words too many.
_STRANGERS = 0.6
# A recogniser that is a stranger to more of the texts than this is itself suspected.
_BELIEVED, _LEAST_HARD, _MOST_HARD = 0.15, 0.03, 0.9
# Texts that are this near are of the same words, even where all texts are alike; unlike ones are so far apart.
_SURELY_OWN, _SURELY_OTHER = 0.3, 0.6
# The spreads have a floor, so that fewer clips than elsewhere tell what is usual, though less surely.
SMALLEST = 6
_WELL_APART = 2.0
# Two answers that are this near to each other say the same; this far, something else.
_SAME, _OTHER = 0.2, 0.7


@dataclass(frozen=True)
class Heard:
    """What one system said of the clips, beside their texts.

    Attributes:
      said: its answers, alike spelled; "" for none.
      texts: of the clips, alike spelled.
      apart: how far each answer is from its text: edits of characters by the longer of both; NaN for no answer.
      chance: how far each answer is from the text of another clip that is about as long; NaN likewise.
    """

    said: Sequence[str]
    texts: Sequence[str]
    apart: Array
    chance: Array

    @staticmethod
    def of(said: Sequence[str], texts: Sequence[str], members: Sequence[Indexes]) -> Heard:
        """Compares answers with texts; `members` are pools of clips."""
        other = _of_like_length(texts, members)
        strange = [texts[index] for index in other.tolist()]
        chance = distance(said, strange)
        chance[np.array([text == own for text, own in zip(strange, texts, strict=True)], dtype=bool)] = np.nan
        return Heard(said, texts, distance(said, texts), chance)


def distance(said: Sequence[str], texts: Sequence[str]) -> Array:
    """Edits of characters by the longer of each pair, shape (n,); NaN where either is empty."""
    if not said:
        return np.empty(0)
    found = cpdist(said, texts, scorer=Levenshtein.normalized_distance, dtype=np.float64, workers=-1)
    known = np.array([bool(one) and bool(other) for one, other in zip(said, texts, strict=True)], dtype=bool)
    return np.where(known, found, np.nan)


def _of_like_length(texts: Sequence[str], members: Sequence[Indexes]) -> Indexes:
    """Another clip for each, of the same pool, whose text is about as long."""
    lengths = np.array(list(map(len, texts)), dtype=np.intp)
    other = np.arange(len(texts), dtype=np.intp)
    for chosen in members:
        order = chosen[np.argsort(lengths[chosen], kind="stable")]
        other[order] = np.roll(order, max(1, len(order) // 10))
    return other


@dataclass(frozen=True, slots=True)
class Usual:
    """How far a system's answers usually are from the texts of a pool.

    Attributes:
      own: median distance from their own texts.
      own_spread: of these.
      chance: median distance from the texts of other clips.
      chance_spread: of these.
      hard: share of clips on which the system says anything, whatever the text.
    """

    own: float
    own_spread: float
    chance: float
    chance_spread: float
    hard: float

    @property
    def tells(self) -> bool:
        """Whether the system's answers fit their own texts better than those of other clips."""
        return self.own <= _SURELY_OWN or self.chance - self.own > _WELL_APART * self.chance_spread


def usual(apart: Array, chance: Array) -> Usual | None:
    """What is usual; None where too little is known.

    Args:
      apart: distances from the right texts, as far as is known.
      chance: distances from the texts of other clips.
    """
    own, strange = apart[~np.isnan(apart)], chance[~np.isnan(chance)]
    if min(len(own), len(strange)) < SMALLEST:
        return None
    middle, at_random = float(np.median(own)), float(np.median(strange))
    far = max(at_random, _SURELY_OTHER)
    above = own[own >= middle] - middle
    chance_spread = pools.spread(strange - at_random, _LEAST_CHANCE_SPREAD)
    share = float(np.mean(own >= far - 2 * chance_spread))
    hard = float(np.clip(share - _BELIEVED, max(_LEAST_HARD, 1 / len(own)), _MOST_HARD))
    return Usual(middle, pools.spread(above, _LEAST_SPREAD), far, chance_spread, hard)


def evidence(heard: Heard, right: Array, members: Sequence[Indexes]) -> Array:
    """How much a system's answers speak against the texts.

    Args:
      heard: the answers.
      right: distances from the right texts, as far as is known, from which what is usual is learnt.
      members: pools of the clips.

    Returns:
      Logarithms of how much likelier the distance is of a wrong text, shape (n,); NaN where the system tells nothing.
    """
    against = np.full(len(heard.said), np.nan)
    for chosen in members:
        found = usual(right[chosen], heard.chance[chosen])
        if found is not None and found.tells:
            against[chosen] = log_ratio(heard.apart[chosen], found)
    return against


def log_ratio(apart: Array, of: Usual) -> Array:
    """How much likelier distances are of wrong texts than of right ones, as logarithms."""
    partly = np.where(apart > of.own, 1 / max(1 - of.own, 0.1), 0.02)
    wrong = _STRANGERS * pools.normal(apart, of.chance, of.chance_spread) + (1 - _STRANGERS) * partly
    # Nearer than usual is as right as usual.
    right = (1 - of.hard) * pools.normal(np.maximum(apart, of.own), of.own, of.own_spread) + of.hard * wrong
    return np.asarray(np.clip(np.log(wrong / right), -CERTAIN, CERTAIN), dtype=np.float64)


def together(against: Sequence[Array], agreement: Array) -> Array:
    """The evidence of several systems.

    Systems that heard the same confirm each other. If each heard something else, the audio is hard, and no more is
    believed than the mildest of them says.

    Args:
      against: of each system, shape (n,) each, NaN where it says nothing.
      agreement: of the systems with each other, from 0 (none) to 1, shape (n,).

    Returns:
      Shape (n,); 0 where nobody says anything.
    """
    if not against:
        return np.zeros(len(agreement))
    rows = np.stack(against)
    silent = np.isnan(rows)
    total = np.where(silent, 0.0, rows).sum(axis=0)
    mildest = np.where(silent, np.inf, rows).min(axis=0)
    mildest = np.where(silent.all(axis=0), 0.0, mildest)
    believed = np.where(total > mildest, mildest + agreement * (total - mildest), total)
    return np.asarray(believed, dtype=np.float64)


def agreement(said: Sequence[Sequence[str]]) -> Array:
    """How much systems agree with each other, from 0 to 1, shape (n,): the mean over pairs that have both answered.

    Args:
      said: answers of each system.
    """
    count = len(said[0]) if said else 0
    total, known = np.zeros(count), np.zeros(count)
    for one, other in combinations(said, 2):
        apart = distance(one, other)
        there = ~np.isnan(apart)
        total += np.where(there, np.clip((_OTHER - apart) / (_OTHER - _SAME), 0, 1), 0)
        known += there
    return np.divide(total, known, out=np.zeros(count), where=known > 0)
