"""What systems answered, against the labels of clips: how often is one of another opinion, and do others share it?"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import combinations

import numpy as np

from tuning.evaluation import pools
from tuning.evaluation.pools import Array, Indexes

# Of wrong labels, those that a system leaves standing: it is wrong itself, or the clip is hard.
_LEFT_STANDING = 0.1
# A system that is wrong more often than this much of chance is not believed.
_CLEARLY = 0.8


def evidence(said: Sequence[str], labels: Sequence[str], known: Collection[str], members: Sequence[Indexes]) -> Array:
    """How much a system's answers speak against the labels.

    Args:
      said: its answers.
      labels: of the clips.
      known: all labels; what is none of them says nothing.
      members: pools of the clips.

    Returns:
      Logarithms of how much likelier the answer is if the label is wrong, shape (n,); NaN where it says nothing.
    """
    answered = np.array([answer in known for answer in said], dtype=bool)
    differs = np.array([answer != label for answer, label in zip(said, labels, strict=True)], dtype=bool)
    against = np.full(len(said), np.nan)
    for chosen in members:
        found = chosen[answered[chosen]]
        # As good as the labels say that it is; one doubt more, so that a system that is never wrong is not a god.
        wrong = (differs[found].sum() + 1) / (len(found) + 2)
        if len(found) >= pools.SMALLEST and wrong < _CLEARLY * _by_chance([labels[index] for index in found]):
            if_wrong = np.where(differs[found], 1 - _LEFT_STANDING, _LEFT_STANDING)
            against[found] = np.log(if_wrong / np.where(differs[found], wrong, 1 - wrong))
    return against


def _by_chance(labels: Sequence[str]) -> float:
    """How often who always gives the commonest label is wrong."""
    _, counts = np.unique(labels, return_counts=True)
    return 1 - float(counts.max()) / len(labels)


def agreement(said: Sequence[Sequence[str]], known: Collection[str]) -> Array:
    """The share of pairs of systems that gave the same label, shape (n,); 0 where fewer than two gave any."""
    count = len(said[0]) if said else 0
    same, pairs = np.zeros(count), np.zeros(count)
    for one, other in combinations(said, 2):
        both = [(first in known and second in known, first == second) for first, second in zip(one, other, strict=True)]
        there, equal = np.array(both, dtype=bool).reshape(-1, 2).T
        pairs += there
        same += there & equal
    return np.divide(same, pairs, out=np.zeros(count), where=pairs > 0)
