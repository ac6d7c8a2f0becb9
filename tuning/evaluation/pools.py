"""Pools of like clips, each of which is judged by what is usual in it, and robust statistics of what is usual."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Indexes = npt.NDArray[np.intp]

# Nothing is usual among fewer clips.
SMALLEST = 12
_NORMAL = 1.4826  # times a median of absolute deviations: a normal distribution's standard deviation


def pooled(traits: Sequence[tuple[Hashable, ...]], smallest: int = SMALLEST) -> list[Indexes]:
    """Pools of clips with the same traits.

    Args:
      traits: of each clip, as many for each, the widest first. Clips whose traits fewer than `smallest` share are
        pooled without the last of them, and so on.
      smallest: size of a pool. Only one pool, of what is left at the end, may be smaller.
    """
    names = list(traits)
    for depth in range(max(map(len, names), default=0), 0, -1):
        sizes = Counter(names)
        names = [name[:-1] if len(name) == depth and sizes[name] < smallest else name for name in names]
    members: dict[tuple[Hashable, ...], list[int]] = {}
    for number, name in enumerate(names):
        members.setdefault(name, []).append(number)
    return [np.array(chosen, dtype=np.intp) for chosen in members.values()]


def spread(deviations: Array, least: float) -> float:
    """A robust standard deviation of deviations from what is usual; NaN counts for nothing.

    Args:
      deviations: any shape.
      least: the result is no smaller.
    """
    known = np.abs(deviations[~np.isnan(deviations)])
    return max(least, _NORMAL * float(np.median(known))) if len(known) else least


def normal(values: Array, centre: float, scale: float) -> Array:
    """The density of a normal distribution."""
    return np.asarray(np.exp(-0.5 * ((values - centre) / scale) ** 2) / (scale * np.sqrt(2 * np.pi)), dtype=np.float64)


def long_tailed(values: Array, scale: Array | float) -> Array:
    """The density of Student's t with four degrees of freedom, round 0: real deviations have long tails."""
    return np.asarray(0.375 / scale * (1 + (values / scale) ** 2 / 4) ** -2.5, dtype=np.float64)
