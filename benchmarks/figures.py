"""The arithmetic of `make bench`: ratios within a round, their median and spread, and whether a target holds."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.processes import Cost

# What was run, on how many rows: ("Cliptune", 700).
Key = tuple[str, int]
Round = Mapping[Key, Cost]


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table.

    Attributes:
      what: is measured.
      values: one a round.
      target: for the median; None where there is none.
      at_most: whether the target is an upper limit, else a lower one.
      unit: behind the numbers: "×", " %", " MiB".
    """

    what: str
    values: tuple[float, ...]
    target: float | None = None
    at_most: bool = True
    unit: str = "×"

    @property
    def median(self) -> float:
        """Of the rounds."""
        return statistics.median(self.values)

    @property
    def holds(self) -> bool | None:
        """Whether the median keeps the target; None without one."""
        if self.target is None:
            return None
        return self.median <= self.target if self.at_most else self.median >= self.target


def cpu(cost: Cost) -> float:
    """Seconds of the processor."""
    return cost.cpu


def wall(cost: Cost) -> float:
    """Seconds on the clock."""
    return cost.seconds


def ratios(rounds: Sequence[Round], of: Callable[[Cost], float], one: Key, other: Key) -> tuple[float, ...]:
    """`one` to `other`, within each round that has both."""
    return tuple(of(each[one]) / of(each[other]) for each in rounds if one in each and other in each)


def cores_busy(rounds: Sequence[Round], few: Key, many: Key, cores: int) -> tuple[float, ...]:
    """The share of the cores that was busy in the time that the additional rows of `many` took, in percent."""
    return tuple(
        100 * (each[many].cpu - each[few].cpu) / (each[many].seconds - each[few].seconds) / cores
        for each in rounds
        if few in each and many in each
    )
