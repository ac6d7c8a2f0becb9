"""What may be said of two systems, in numbers and in a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import ceil
from statistics import NormalDist

from tuning.evaluation.bootstrap import CONFIDENCE, Interval
from tuning.evaluation.metrics import Metric
from tuning.evaluation.scores import Drawn, Scores

POWER = 0.8
_NORMAL = NormalDist()
_SURE = _NORMAL.inv_cdf((1 + CONFIDENCE) / 2)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two systems by one metric.

    Attributes:
      a: name of the first system.
      b: name of the second.
      metric: name of the metric.
      difference: the value of a less that of b, with its 95 % interval.
      sentence: what that means.
      task: of the clips; "" in a dataset of one task.
    """

    a: str
    b: str
    metric: str
    difference: Interval
    sentence: str
    task: str = ""


def comparisons(scores: Scores, drawn: Drawn, groups: int, named: bool, task: str = "") -> list[Comparison]:
    """Every pair of systems, by every metric.

    Args:
      scores: of one task.
      drawn: resamples of all its clips.
      groups: how many groups its clips are of.
      named: whether the manifest names the groups.
      task: its name, where there are several.
    """
    where = f"on {len(scores.clips):,} clips{f' of {groups:,} groups' if named else ''}"
    front = f"{task}: " if task else ""
    return [
        Comparison(a, b, metric.name, found, front + _sentence(a, b, metric, found, len(scores.clips), where), task)
        for metric in scores.metrics
        for a, b in combinations(scores.systems, 2)
        if (found := scores.difference(drawn, a, b, metric))
    ]


def _sentence(a: str, b: str, metric: Metric, found: Interval, clips: int, where: str) -> str:
    what = f"of {metric.name} {where}"
    if found.value is None:
        return f"{a} and {b} cannot be compared by {metric.name}: the targets are empty"
    if found.low is None or found.high is None:
        return f"{a} and {b} differ by {points(found.value)} {what}: one group tells nothing of others"
    if found.value == found.low == found.high == 0:
        return f"{a} and {b} are the same by {metric.name} {where}"
    if not found.decided:
        unseen = f"no difference between {a} and {b} that this many clips can show"
        return f"{unseen}: {shown(found)} {what}{_wanted(found, clips)}"
    better = (found.value < 0) == metric.lower_is_better
    size = Interval(abs(found.value), *sorted((abs(found.low), abs(found.high))))
    return f"{a} is {'better' if better else 'worse'} than {b} by {shown(size)} {what}"


def _wanted(found: Interval, clips: int) -> str:
    """How many clips a difference of this size would need, to be seen with a power of 80 %."""
    assert found.value is not None and found.low is not None and found.high is not None
    error = (found.high - found.low) / (2 * _SURE)
    if not found.value or not error:
        return ""
    wanted = clips * ((_SURE + _NORMAL.inv_cdf(POWER)) * error / abs(found.value)) ** 2
    return f"; about {_rounded(max(wanted, clips + 1)):,} clips would be needed to show one of this size"


def _rounded(number: float) -> int:
    """Two digits are more than such an estimate is worth."""
    unit = 10 ** max(0, len(str(ceil(number))) - 2)
    return int(ceil(number / unit) * unit)


def points(value: float) -> str:
    """A share as people say it."""
    return f"{100 * value:.1f} points"


def shown(found: Interval) -> str:
    """A difference with its interval."""
    assert found.value is not None
    if found.low is None or found.high is None:
        return points(found.value)
    return f"{points(found.value)} [{100 * found.low:.1f}, {100 * found.high:.1f}]"
