"""Stretches of neighbouring rows whose texts are one row off, or a few: other rows' texts fit what was recorded."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from transforms.storage import uris
from tuning.evaluation import heard, pools
from tuning.evaluation.heard import Heard
from tuning.evaluation.pools import Array, Indexes
from tuning.evaluation.rate import Curve, Spoken

# The most rows that texts are looked for away from their own.
FURTHEST = 5
SHIFTS = [by for step in range(1, FURTHEST + 1) for by in (step, -step)]
# Each row in a stretch must gain something, or the stretch ends.
_ANSWER_TOLL, _RATE_TOLL = 0.25, 0.15
_ANSWER_LEAST, _RATE_LEAST = 3.0, 8.0
_MOST_GAIN = 3.0
_LEAST_UNIT = 0.25
# Of what a stretch gains, so much may be lost to make it whole.
_LITTLE = 0.05
_CHANCE_OF_ANY = 0.001  # of finding a stretch where there is none
ANSWERS, RATE = "answers", "rate"


@dataclass(frozen=True, slots=True)
class Shift:
    """A stretch of rows whose texts belong to other rows.

    Attributes:
      file: the manifest, or the folder of pairs.
      first: source of the first row, "manifest:line".
      last: source of the last row.
      rows: of the manifest, from the first to the last.
      by: rows by which the texts stand too low; negative for too high.
      found_by: "answers" of systems, or "rate": the lengths of texts and audio alone.
      place: of the stretch, "manifest:first-last".
      sentence: for people.
    """

    file: str
    first: str
    last: str
    rows: int
    by: int
    found_by: str
    place: str
    sentence: str

    @property
    def far(self) -> str:
        """How far the texts are off, for people."""
        return f"{_rows(self.by)} too {'low' if self.by > 0 else 'high'}"


@dataclass(frozen=True, slots=True)
class Stretch:
    """Where a shift is: places [start, stop) of the neighbours, whose texts are `by` rows off, and what tells it."""

    start: int
    stop: int
    by: int
    gain: float
    found_by: str


@dataclass(frozen=True)
class Neighbours:
    """The rows of all manifests in their order, each manifest's after a gap.

    Attributes:
      rows: numbers of the clips, shape (m,); -1 for a row that is none, and in gaps.
      sources: of each place, "" in gaps.
    """

    rows: Indexes
    sources: Sequence[str]

    @cached_property
    def silent(self) -> Array:
        """What a place gains of which nothing is known: a row nothing; a gap ends every stretch."""
        return np.array([0.0 if source else -np.inf for source in self.sources])

    @staticmethod
    def of(sources: Iterable[tuple[str, int]]) -> Neighbours:
        """The neighbours.

        Args:
          sources: "manifest:line" of each row, and the number of its clip; -1 for a row that is none.
        """
        rows: list[int] = []
        places: list[str] = []
        for part in _files(sources):
            rows += [-1] * FURTHEST + [number for _, number in part]
            places += [""] * FURTHEST + [source for source, _ in part]
        return Neighbours(np.array(rows + [-1] * FURTHEST, dtype=np.intp), places + [""] * FURTHEST)

    def beside(self, by: int) -> Indexes:
        """The number of the clip that stands `by` places behind each, shape (m,); -1 for none."""
        return np.roll(self.rows, -by)

    def right(self, stretches: Sequence[Stretch], count: int) -> Indexes:
        """The number of the clip whose text each of `count` clips should have, as far as stretches tell."""
        right = np.arange(count, dtype=np.intp)
        for stretch in stretches:
            places = slice(stretch.start, stretch.stop)
            own, other = self.rows[places], self.beside(stretch.by)[places]
            both = (own >= 0) & (other >= 0)
            right[own[both]] = other[both]
        return right


def _files(sources: Iterable[tuple[str, int]]) -> Iterator[list[tuple[str, int]]]:
    """The rows of each manifest in their order. Files of one row each, as pairs are, count as rows of their folder."""
    files: dict[str, list[tuple[int, str, int]]] = defaultdict(list)
    for source, number in sources:
        file, line = parted(source)
        files[file].append((line, source, number))
    folders: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for file, rows in files.items():
        if len(rows) == 1:
            folders[uris.parent(file)].append(rows[0][1:])
        else:
            yield [(source, number) for _, source, number in sorted(rows)]
    for folder in folders.values():
        yield sorted(folder, key=lambda row: _natural(row[0]))


def parted(source: str) -> tuple[str, int]:
    """The manifest and the line of a "manifest:line"."""
    file, _, line = source.rpartition(":")
    return (file, int(line)) if file and line.isascii() and line.isdecimal() else (source, 0)


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts 9 before 10, as people number files."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]


def found(neighbours: Neighbours, systems: Sequence[Heard], spoken: Spoken) -> list[Stretch]:
    """All stretches, in the order of the rows.

    Args:
      neighbours: the rows.
      systems: what was heard of the clips.
      spoken: lengths of the clips' texts and audio.
    """
    answered = np.zeros(len(spoken.chars), dtype=bool)
    for system in systems:
        answered |= ~np.isnan(system.apart)
    kept: list[Stretch] = []
    for each in [*by_answers(neighbours, systems, answered), *by_rate(neighbours, spoken)]:
        near = [other for other in kept if each.start <= other.stop and other.start <= each.stop]
        if all(other.by == each.by for other in near):  # answers count more
            kept = [other for other in kept if other not in near]
            kept.append(_joined([each, *near]))
    return sorted(kept, key=lambda each: each.start)


def _joined(parts: Sequence[Stretch]) -> Stretch:
    start, stop = min(part.start for part in parts), max(part.stop for part in parts)
    found_by = ANSWERS if any(part.found_by == ANSWERS for part in parts) else RATE
    return Stretch(start, stop, parts[0].by, sum(part.gain for part in parts), found_by)


def by_answers(neighbours: Neighbours, systems: Sequence[Heard], answered: npt.NDArray[np.bool_]) -> list[Stretch]:
    """The stretches in which answers fit the texts of other rows; `answered` says which clips have any answer."""
    apart = [{by: _apart(neighbours, system, by) for by in (0, *SHIFTS)} for system in systems]
    gains = {by: _answer_gain(neighbours, systems, apart, by) for by in SHIFTS}
    return [whole(each, neighbours, answered, gains[each.by]) for each in _stretches(gains, _ANSWER_LEAST, ANSWERS)]


def _apart(neighbours: Neighbours, system: Heard, by: int) -> Array:
    """How far the answer at each place is from the text `by` places behind, shape (m,); NaN where either is missing."""
    own, other = neighbours.rows, neighbours.beside(by)
    both = (own >= 0) & (other >= 0)
    apart = np.full(len(own), np.nan)
    said, texts = [system.said[index] for index in own[both]], [system.texts[index] for index in other[both]]
    apart[both] = heard.distance(said, texts)
    return apart


def _answer_gain(
    neighbours: Neighbours, systems: Sequence[Heard], apart: Sequence[Mapping[int, Array]], by: int
) -> Array:
    """How much nearer the answers are to texts `by` rows behind than to their own, less the toll, shape (m,)."""
    own, other = neighbours.rows, neighbours.beside(by)
    total, known = np.zeros(len(own)), np.zeros(len(own))
    for system, each in zip(systems, apart, strict=True):
        unit = max(_LEAST_UNIT, _usual(system.chance) - min(map(_usual, each.values())))
        texts = np.array([*system.texts, ""], dtype=object)  # the last, -1, for none
        gain = np.where(texts[own] == texts[other], 0.0, (each[0] - each[by]) / unit)
        total += np.where(np.isnan(gain) | (own < 0), 0.0, gain)
        known += ~np.isnan(gain) & (own >= 0) & (other >= 0)
    mean = np.divide(total, known, out=np.zeros(len(own)), where=known > 0)
    return np.where(known > 0, mean - _ANSWER_TOLL, neighbours.silent)


def _usual(apart: Array) -> float:
    known = apart[~np.isnan(apart)]
    return float(np.median(known)) if len(known) else 1.0


def by_rate(neighbours: Neighbours, spoken: Spoken) -> list[Stretch]:
    """The stretches in which lengths of audio fit the lengths of other rows' texts."""
    rows = neighbours.rows
    there = rows >= 0
    lengths = {by: _lengths(neighbours, spoken, by) for by in (0, *SHIFTS)}
    time = np.where(there, spoken.time[rows], np.nan)
    truest = min(lengths, key=lambda by: _scatter(lengths[by] - time))
    known = ~np.isnan(lengths[truest] - time)
    if known.sum() < pools.SMALLEST:
        return []
    curve = Curve.of(lengths[truest][known], time[known])
    scale = pools.spread(curve.time(lengths[truest]) - time, 0.15) * (1 + 5 / known.sum())
    told = {by: np.log(pools.long_tailed(curve.time(lengths[by]) - time, scale)) for by in lengths}
    gains = {by: np.clip(told[by] - told[0], -_MOST_GAIN, _MOST_GAIN) - _RATE_TOLL for by in SHIFTS}
    gains = {by: np.where(np.isnan(gain), neighbours.silent, gain) for by, gain in gains.items()}
    everything = np.ones(len(spoken.chars), dtype=bool)
    return [whole(each, neighbours, everything, gains[each.by]) for each in _stretches(gains, _RATE_LEAST, RATE)]


def _lengths(neighbours: Neighbours, spoken: Spoken, by: int) -> Array:
    other = neighbours.beside(by)
    return np.where((neighbours.rows >= 0) & (other >= 0), spoken.length[other], np.nan)


def _scatter(off: Array) -> float:
    known = off[~np.isnan(off)]
    return float(np.median(np.abs(known - np.median(known)))) if len(known) >= pools.SMALLEST else math.inf


def _stretches(gains: dict[int, Array], least: float, found_by: str) -> list[Stretch]:
    """The stretches that gain more than chance does, the best first; none overlaps another."""
    threshold = max(least, _by_chance(np.concatenate(list(gains.values()))))
    candidates = [
        Stretch(start, stop, by, gain, found_by)
        for by, each in gains.items()
        for start, stop, gain in _excursions(each, threshold)
    ]
    kept: list[Stretch] = []
    for each in sorted(candidates, key=lambda each: (-each.gain, each.start)):
        if all(each.stop <= other.start or each.start >= other.stop for other in kept):
            kept.append(each)
    return kept


def _by_chance(gains: Array) -> float:
    """What the best stretch gains where there is no shift: a random walk with a drift, after Karlin and Altschul."""
    known = gains[np.isfinite(gains) & (gains != 0)]
    if not len(known):
        return math.inf
    middle = float(np.median(known))
    drift = max(0.05, -middle)
    variance = pools.spread(known - middle, 0.01) ** 2
    return variance / (2 * drift) * math.log(len(known) / _CHANCE_OF_ANY)


def _excursions(gains: Array, least: float) -> Iterator[tuple[int, int, float]]:
    """Stretches [start, stop) whose gains sum to `least` or more, with their sum; each ends where it is greatest."""
    values = gains.tolist()
    place, count = 0, len(values)
    while place < count:
        if values[place] <= 0:
            place += 1
            continue
        start, total, best, stop = place, 0.0, 0.0, place
        while place < count and total >= 0 and best - total < least:
            total += values[place]
            place += 1
            if total > best:
                best, stop = total, place
        if best >= least:
            yield start, stop, best
        place = stop if best >= least else max(start + 1, stop)


def whole(stretch: Stretch, neighbours: Neighbours, judged: npt.NDArray[np.bool_], gains: Array) -> Stretch:
    """The stretch with the rows left over at the ends of its manifest, if they are as likely as not shifted, too.

    The last rows have no text that could fit, some rows have no answer, and others say little.

    Args:
      stretch: of the neighbours.
      neighbours: the rows.
      judged: whether anything is known of a clip that could fit a text, shape (n,).
      gains: of its shift, shape (m,).
    """
    start, stop = stretch.start, stretch.stop
    before, behind = _left(neighbours, start - 1, -1), _left(neighbours, stop, 1)
    most = -_LITTLE * stretch.gain
    if _judged_among(neighbours, before, judged) <= max(0, -stretch.by) or gains[list(before)].sum() >= most:
        start -= len(before)
    if _judged_among(neighbours, behind, judged) <= max(0, stretch.by) or gains[list(behind)].sum() >= most:
        stop += len(behind)
    return replace(stretch, start=start, stop=stop)


def _left(neighbours: Neighbours, place: int, step: int) -> range:
    """The places from one to the end of its manifest."""
    end = place
    while neighbours.sources[end]:
        end += step
    return range(place, end, step)


def _judged_among(neighbours: Neighbours, places: range, judged: npt.NDArray[np.bool_]) -> int:
    rows = neighbours.rows[np.array(places, dtype=np.intp)]
    return int(judged[rows[rows >= 0]].sum())


def told(stretch: Stretch, neighbours: Neighbours) -> Shift:
    """The shift as people and programs read it."""
    first, last = neighbours.sources[stretch.start], neighbours.sources[stretch.stop - 1]
    (file, line), (end_file, end_line) = parted(first), parted(last)
    place = f"{file}:{line}-{end_line}" if file == end_file else f"{first} to {last}"
    rows, by = stretch.stop - stretch.start, stretch.by
    low, below = ("low", "below") if by > 0 else ("high", "above")
    seen = (
        "what is heard in a row is the text"
        if stretch.found_by == ANSWERS
        else "the length of a row's audio fits the text"
    )
    sentence = f"{place}: the texts of {rows:,} rows stand {_rows(by)} too {low}: {seen} {_rows(by)} {below}"
    return Shift(
        file if file == end_file else uris.parent(file), first, last, rows, by, stretch.found_by, place, sentence
    )


def _rows(by: int) -> str:
    return "one row" if abs(by) == 1 else f"{abs(by)} rows"
