"""Parts of the clips: where is a system weak? Small parts are pooled, and none is sold as a finding."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tuning.evaluation.bootstrap import Interval
from tuning.evaluation.clips import HeldOut
from tuning.evaluation.scores import Scores
from tuning.evaluation.scripts import script_of

# Fewer clips than this are told together: a rate of a few clips is a rumour.
SMALLEST = 10
MOST = 20
POOLED = "(others)"
_EDGES = ((1.0, "at most 1 s"), (3.0, "1 to 3 s"), (10.0, "3 to 10 s"), (float("inf"), "over 10 s"))
_LEVELS = ((-40.0, "at most -40 dBFS"), (-30.0, "-40 to -30 dBFS"), (-20.0, "-30 to -20 dBFS"), (99.0, "over -20 dBFS"))
# A tag of BCP 47 with at most a script, a region and a variant, in either spelling; else a name such as "German".
_TAG = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}")


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the clips.

    Attributes:
      by: what parts them, key of `BY`.
      name: of the part.
      clips: how many.
      metric: name of the metric.
      systems: each system's value, with its interval.
      task: of the clips; "" in a dataset without tasks.
    """

    by: str
    name: str
    clips: int
    metric: str
    systems: dict[str, Interval]
    task: str = ""


def _duration(clip: HeldOut) -> str:
    return next(name for edge, name in _EDGES if clip.seconds <= edge)


def _level(clip: HeldOut) -> str:
    if clip.rms_dbfs is None:
        return ""
    return next((name for edge, name in _LEVELS if clip.rms_dbfs <= edge), "")


def language(tag: str) -> str:
    """A language in one spelling: "pt_br" and "PT-BR" are "pt-BR", "german" is "German"."""
    if not _TAG.fullmatch(tag):
        return tag[:1].upper() + tag[1:]
    first, *others = re.split("[-_]", tag.lower())
    return "-".join([first, *(part.upper() if len(part) == 2 else part.title() for part in others)])


BY: dict[str, Callable[[HeldOut], str]] = {
    "task": lambda clip: clip.task,
    "group": lambda clip: clip.group,
    "duration": _duration,
    "level": _level,
    "language": lambda clip: language(clip.language),
    "source_format": lambda clip: clip.source_format,
    "script": lambda clip: script_of(clip.target),
}


def slices(scores: Scores) -> list[Slice]:
    """The parts by everything that parts the clips, the largest first, with the first metric."""
    return [part for by in BY for part in _parted(scores, by)]


def _parted(scores: Scores, by: str) -> list[Slice]:
    members: dict[str, list[int]] = defaultdict(list)
    for number, clip in enumerate(scores.clips):
        members[BY[by](clip)].append(number)
    if len(members) < 2:
        return []
    return [_slice(scores, by, name, chosen) for name, chosen in _pooled(members).items()]


def _pooled(members: dict[str, list[int]]) -> dict[str, list[int]]:
    by_size = sorted(members.items(), key=lambda part: (-len(part[1]), part[0]))
    kept = [(name, chosen) for name, chosen in by_size if len(chosen) >= SMALLEST and name][:MOST]
    names = {name for name, _ in kept}
    rest = sorted(number for name, chosen in by_size if name not in names for number in chosen)
    return {**dict(kept), **({POOLED: rest} if rest else {})}


def _slice(scores: Scores, by: str, name: str, chosen: list[int]) -> Slice:
    drawn, metric = scores.resamples(np.array(chosen, dtype=np.intp)), scores.metrics[0]
    values = {system: scores.interval(drawn, system, metric) for system in scores.systems}
    return Slice(by, name, len(chosen), metric.name, values, scores.task)
