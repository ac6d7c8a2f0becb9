"""Segments: which part of its recording a row means, however its columns tell it."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from transforms import reasons
from transforms.errors import ClipRejected
from transforms.manifests import columns, times
from transforms.manifests.columns import Columns, canonical
from transforms.manifests.row import CUT_END, CUT_START, UNITS, Fields

# Spellings of one time may be rounded differently.
TOLERANCE_SECONDS = 0.05
# A column that counts samples tells nothing without the rate of its recording.
_COUNTED = re.compile(r"(offset|start|begin|onset|end|stop|duration)_(sample|frame)s?(_\w+)?")


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a recording.

    Attributes:
      offset: seconds from its start; None for the whole recording.
      duration: seconds; None for all up to its end.
    """

    offset: float | None = None
    duration: float | None = None

    @property
    def place(self) -> str:
        """The segment as a part of a clip's name; "" for the whole recording."""
        if self.offset is None:
            return ""
        return f"@{_short(self.offset)}+{'' if self.duration is None else _short(self.duration)}"


WHOLE = Segment()


def _short(number: float) -> str:
    # Six digits are too few from 1,000 s on, where segments of one recording would share their name.
    short = f"{number:g}"
    return short if float(short) == number else f"{number:.6f}".rstrip("0").rstrip(".")


@dataclass(frozen=True, slots=True)
class _Names:
    """The columns of a row that tell a time: names in the order in which they count."""

    starts: tuple[str, ...]
    ends: tuple[str, ...]
    durations: tuple[str, ...]


_NONE = _Names((), (), ())


class ContradictionError(ClipRejected):
    """Columns of a row contradict each other."""


def _names(row: Columns) -> _Names:
    starts, ends = row.names["offset"], row.names["end"]
    if not starts and not ends:
        return _NONE
    return _paired(starts, ends, row.names["duration"], frozenset(row.settings.columns))


@functools.lru_cache(maxsize=64)  # rows of a manifest have the same fields
def _paired(
    starts: tuple[str, ...], ends: tuple[str, ...], durations: tuple[str, ...], named: frozenset[str]
) -> _Names:
    # Of an end and a duration, the one that a flag names settles it.
    if "end" in named and "duration" not in named:
        durations = ()
    if "duration" in named and "end" not in named:
        ends = ()
    if len(starts) > 1 and not ends and "offset" not in named:
        # Tables of sound events have an onset and an offset, which is the end.
        onsets = tuple(name for name in starts if canonical(name).startswith("onset"))
        offsets = tuple(name for name in starts if canonical(name).startswith("offset"))
        if onsets and len(onsets) + len(offsets) == len(starts):
            return _Names(onsets, offsets, durations)
    return _Names(starts, ends, durations)


def columns_of(row: Columns) -> tuple[str, ...]:
    """The names of all columns of a row that tell a time."""
    names = _names(row)
    return (*names.starts, *names.ends, *names.durations)


def counted_in_samples(fields: Fields) -> tuple[str, ...]:
    """The columns of a row that say by a count of samples where its segment lies."""
    header = tuple(fields)
    return _counted(header) if columns.is_small(header) else _counted_of_many(header)


def _of_samples(header: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in header if _COUNTED.fullmatch(canonical(name)))


_counted = functools.lru_cache(maxsize=64)(_of_samples)
_counted_of_many = functools.lru_cache(maxsize=1)(_of_samples)


def segment(row: Columns) -> Segment:
    """The part of its recording that a row means.

    In manifests of NeMo's style `duration` is that of the whole recording, so it counts only beside an offset.

    Raises:
      ClipRejected: BAD_FIELD for what is no time, and for an end that is not behind its start.
      ContradictionError: BAD_FIELD for columns that contradict each other.
    """
    names = _names(row)
    if names is _NONE:
        return WHOLE
    start, end, duration = _agreed(names, row.fields)
    if start is None and end is None:
        return WHOLE
    if start is None and names.starts:
        detail = f"{names.ends[0]} says where the clip ends, and {names.starts[0]} is empty"
        raise ClipRejected(reasons.BAD_FIELD, detail)
    if duration == 0 and start is not None:
        raise ClipRejected(reasons.BAD_FIELD, "duration must be above 0 s, got 0")
    if end is None:
        return Segment(start, duration)
    begin = start or 0.0
    if end <= begin:
        detail = f"{names.ends[0]} must be after the clip's start at {begin:g} s, got {end:g} s"
        raise ClipRejected(reasons.BAD_FIELD, detail)
    # Of two spellings, the length is the one that manifests of NeMo's style have always had.
    return Segment(begin, round(end - begin, 6) if duration is None or start is None else duration)


def cuts(row: Columns, segment: Segment) -> tuple[float, float]:
    """Seconds at the start and the end of a row's segment within which it is cut at the quietest point.

    Raises:
      ClipRejected: BAD_FIELD for what is no such time.
    """
    if CUT_START not in row.fields and CUT_END not in row.fields:
        return 0.0, 0.0
    start, end = (seconds(name, row.fields) or 0.0 for name in (CUT_START, CUT_END))
    if segment.duration is not None and start + end > segment.duration + TOLERANCE_SECONDS:
        detail = f"{CUT_START} and {CUT_END} are together longer than the segment of {segment.duration:g} s"
        raise ClipRejected(reasons.BAD_FIELD, detail)
    return start, end


def _agreed(names: _Names, fields: Fields) -> list[float | None]:
    """Start, end and duration; of columns that agree, the first tells."""
    told: list[tuple[str, float] | None] = []
    for group in (names.starts, names.ends, names.durations):
        found = [(name, value) for name in group if (value := seconds(name, fields)) is not None]
        if len(found) > 1 and max(value for _, value in found) - min(value for _, value in found) > TOLERANCE_SECONDS:
            raise _contradiction(found)
        told.append(found[0] if found else None)
    start, end, duration = (pair and pair[1] for pair in told)
    if end is not None and duration is not None and abs((start or 0.0) + duration - end) > TOLERANCE_SECONDS:
        raise _contradiction([pair for pair in told if pair])
    return [start, end, duration]


def _contradiction(found: list[tuple[str, float]]) -> ContradictionError:
    values = ", ".join(f"{name} is {value:g} s" for name, value in found)
    remedy = "name the right ones with --offset_column and --end_column or --duration_column"
    return ContradictionError(reasons.BAD_FIELD, f"columns contradict each other: {values}; {remedy}")


def seconds(name: str, fields: Fields) -> float | None:
    """The time in a column, in seconds; None for an empty one.

    Raises:
      ClipRejected: BAD_FIELD for what is no time.
    """
    value = fields.get(name)
    try:
        return times.seconds(value, _per_second(name))
    except (ValueError, OverflowError):
        text = str(value)[:40] if not isinstance(value, int) or abs(value) < 1e40 else "a number of many digits"
        raise ClipRejected(reasons.BAD_FIELD, f"{name} must be seconds from 0 on, got {text!r}") from None


@functools.lru_cache(maxsize=256)
def _per_second(name: str) -> int:
    """What a bare number in a column counts, by the end of its name."""
    return UNITS.get(canonical(name).rpartition("_")[2], 1)
