"""A look at all rows before any becomes a clip: what only the whole table tells of its columns."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from transforms.errors import ClipRejected, UserError
from transforms.keys import Keys
from transforms.manifests import columns, segments, times, words
from transforms.manifests.columns import Columns, Layout, ManifestSettings

# Different values of a column that are kept, to tell what it means and to show some.
MAX_VALUES = 200
# Of each, and of a column's name. No word for a split or a channel is longer.
MAX_CHARS = 100
# Recordings that several rows mean as a whole are sent to every worker. Of more, every row's recording is its group.
MAX_REPEATED = 100_000
# Where more of the rows contradict themselves, a column is misunderstood; where fewer do, these rows are at fault.
MAX_CONTRADICTIONS = 0.05


def survey(rows: Iterable[tuple[Columns, str]], settings: ManifestSettings) -> Layout:
    """Looks at all rows as one table.

    Args:
      rows: the columns of each, and its place for messages.
      settings: without a layout yet.

    Raises:
      UserError: columns contradict each other, tell starts without ends, or name channels that cannot be understood.
    """
    table = _Table(settings)
    for row, place in rows:
        try:
            table.add(row, place)
        except Exception:
            continue
    return table.layout()


@dataclass(slots=True)
class _Values:
    """The different values of a column."""

    seen: dict[str, None] = field(default_factory=dict)

    def add(self, value: str) -> None:
        if len(self.seen) < MAX_VALUES:
            self.seen[value[:MAX_CHARS]] = None

    def some(self) -> str:
        """A few of them, for people."""
        return ", ".join(repr(value[:20]) for value in list(self.seen)[:3]) + (" …" if len(self.seen) > 3 else "")


@dataclass(slots=True)
class _Table:
    """What is gathered row by row.

    Attributes:
      splits: by column, the values of columns that may name a split.
      channels: by column, likewise.
      times: by column, how many values are times in a recording (True) and how many points of time (False).
      parts: rows that are segments.
      contradictions: rows whose columns contradict each other; the first with its place.
      recordings, starts, is_open: of each segment: its recording, its start, and whether nothing says where it ends.
      first_open: the first segment without an end, with its place.
      counted: columns that count samples, with the place of their first row, where nothing else tells the segment.
      wholes: recordings that rows mean as a whole.
      folders: the folders that audio lies in.
      lengths, with_length, length_columns: of rows with a start, an end and a duration that contradicts them: the
        durations of each recording; how many rows; the columns.
      several: recordings, and the first channel that a row of theirs names by a word that is not understood.
    """

    settings: ManifestSettings
    splits: defaultdict[str, _Values] = field(default_factory=lambda: defaultdict(_Values))
    channels: defaultdict[str, _Values] = field(default_factory=lambda: defaultdict(_Values))
    times: defaultdict[str, Counter[bool]] = field(default_factory=lambda: defaultdict(Counter))
    parts: int = 0
    contradictions: int = 0
    first_contradiction: str = ""
    recordings: array[int] = field(default_factory=lambda: array("Q"))
    starts: array[float] = field(default_factory=lambda: array("d"))
    is_open: array[int] = field(default_factory=lambda: array("b"))
    first_open: str = ""
    counted: str = ""
    wholes: Keys = field(default_factory=Keys)
    folders: dict[str, None] = field(default_factory=dict)
    several: dict[int, str] = field(default_factory=dict)
    unclear_channel: str = ""
    lengths: dict[int, set[float]] = field(default_factory=dict)
    with_length: int = 0
    length_columns: set[str] = field(default_factory=set)

    def add(self, row: Columns, place: str) -> None:
        """Looks at one row."""
        path = row.value("audio")
        if not isinstance(path, str):
            return
        for column, seen in (("split", self.splits), ("channel", self.channels)):
            for name in row.names[column]:
                if (text := _text(row.fields[name])) is not None and (name in seen or len(seen) < MAX_VALUES):
                    seen[name].add(text)
        if len(self.folders) < MAX_VALUES:
            self.folders[columns.top_folder(path)[:MAX_CHARS]] = None
        key = columns.place_key(path)
        segment = self._segment(row, key, place)
        channel = self._channel(row, key, place)
        if segment.offset is not None:
            self._add_part(segment, key, place)
        elif not channel:
            self.wholes.add(key)

    def _segment(self, row: Columns, key: int, place: str) -> segments.Segment:
        """The row's segment, as far as it can be told yet."""
        names = segments.columns_of(row)
        if not names:
            counted = [name for name in segments.counted_in_samples(row.fields) if row.fields[name] not in (None, "")]
            if counted and not self.counted:
                self.counted = f"{place}: {', '.join(counted)} count samples"
            return segments.WHOLE
        for name in names:
            value = row.fields[name]
            if value is not None and value != "" and (name in self.times or len(self.times) < MAX_VALUES):
                self.times[name][not times.is_date(value)] += 1
        try:
            return segments.segment(row)
        except segments.ContradictionError as fault:
            self.contradictions += 1
            self.first_contradiction = self.first_contradiction or f"{place}: {fault.detail}"
            self._add_length(row, key)
            return segments.WHOLE
        except ClipRejected:
            return segments.WHOLE

    def _add_length(self, row: Columns, key: int) -> None:
        """Notes a duration beside a start and an end that may be that of the whole recording."""
        names = row.names["duration"]
        without = Layout(ignored=self.settings.layout.ignored.union(names))
        segment = segments.segment(Columns.of(row.fields, replace(self.settings, layout=without)))
        length = segments.seconds(names[0], row.fields)
        end = (segment.offset or 0.0) + (segment.duration or 0.0)
        if segment.duration and length is not None and length >= end - segments.TOLERANCE_SECONDS:
            self.lengths.setdefault(key, set()).add(length)
            self.with_length += 1
            self.length_columns.update(names)

    def _lengths(self, remarks: list[str]) -> set[str]:
        """Columns of durations that are not those of segments: they are the same for all segments of a recording."""
        each_one = all(len(lengths) == 1 for lengths in self.lengths.values())
        if not each_one or self.with_length < self.contradictions or self.with_length <= len(self.lengths):
            return set()
        self.contradictions = 0
        names = ", ".join(map(repr, sorted(self.length_columns)))
        remarks.append(f"beside start and end, {names} is taken for the length of the whole recording")
        return self.length_columns

    def _channel(self, row: Columns, key: int, place: str) -> str:
        """What the row's channel column says; "" for nothing."""
        names = row.names["channel"]
        text = _text(row.fields[names[0]]) if names else None
        if text and not words.is_channel(text):
            text = text[:MAX_CHARS]
            other = self.several.setdefault(key, text)
            if other != text and not self.unclear_channel:
                self.unclear_channel = f"{place}: column {names[0]!r} has {other!r} and {text!r} of one recording"
        return text or ""

    def _add_part(self, segment: segments.Segment, key: int, place: str) -> None:
        self.parts += 1
        self.recordings.append(key)
        self.starts.append(segment.offset or 0.0)
        self.is_open.append(segment.duration is None)
        if segment.duration is None and not self.first_open:
            self.first_open = place

    def layout(self) -> Layout:
        """What the rows tell together.

        Raises:
          UserError: as `survey`.
        """
        remarks: list[str] = []
        lengths = self._lengths(remarks)
        if self.contradictions > MAX_CONTRADICTIONS * (self.parts + self.contradictions):
            raise UserError(self.first_contradiction)
        self._refuse_endless()
        if self.counted:
            remedy = "Cliptune reads seconds: add columns start and end, or take these away if each file is a clip"
            raise UserError(f"{self.counted}; {remedy}")
        ignored = {*lengths, *self._no_splits(remarks), *self._no_channels(remarks), *self._no_times(remarks)}
        doubled = frozenset(self.wholes.repeats())
        by_folder = words.are_splits(self.folders) and not any(name not in ignored for name in self.splits)
        if by_folder:
            remarks.append("all audio lies in folders named after splits, so each row's folder is its split")
        return Layout(
            ignored=frozenset(ignored),
            first_channel=_first_channel(text for values in self.channels.values() for text in values.seen),
            repeated=doubled if len(doubled) <= MAX_REPEATED else None,
            folders_are_splits=by_folder,
            remarks=tuple(remarks),
        )

    def _refuse_endless(self) -> None:
        """Refuses a segment without an end that another segment of its recording follows."""
        if not self.first_open:
            return
        last: dict[int, float] = {}
        for key, start in zip(self.recordings, self.starts, strict=True):
            last[key] = max(start, last.get(key, 0.0))
        rows = zip(self.recordings, self.starts, self.is_open, strict=True)
        followed = sum(is_open and start < last[key] for key, start, is_open in rows)
        if followed:
            fact = f"{followed:,} rows say where their clip begins and not where it ends, though others follow in the"
            remedy = "add a column end or duration, or name it with --end_column or --duration_column"
            raise UserError(f"{self.first_open}: {fact} same recording; {remedy}")

    def _no_splits(self, remarks: list[str]) -> Iterator[str]:
        """Columns of which no value speaks of a split."""
        for name, values in self.splits.items():
            if name != self.settings.columns.get("split") and not any(map(words.speaks_of_splits, values.seen)):
                remarks.append(f"the column {name!r} names no split ({values.some()}) and is passed over")
                yield name

    def _no_channels(self, remarks: list[str]) -> Iterator[str]:
        """Columns of which no value names a channel, such as that of a broadcaster."""
        for name, values in self.channels.items():
            if name == self.settings.columns.get("channel"):
                continue
            if not any(map(words.is_channel, values.seen)):
                if self.unclear_channel:
                    raise UserError(f"{self.unclear_channel}; write left or right, or 0 or 1, which Cliptune cuts out")
                remarks.append(
                    f"the column {name!r} names no channel of a recording ({values.some()}), so all are mixed"
                )
                yield name

    def _no_times(self, remarks: list[str]) -> Iterator[str]:
        """Columns of which every value is a point of time in the world."""
        named = set(self.settings.columns.values())
        for name, kinds in self.times.items():
            if name not in named and not kinds[True]:
                remarks.append(f"the column {name!r} has dates, no times in a recording, and is passed over")
                yield name


def _text(value: object) -> str | None:
    """A cell as text; None for an empty one and for what is no text."""
    try:
        return columns.channel_cell(value)
    except ClipRejected:
        return None


def _first_channel(cells: Iterable[str]) -> int | None:
    """From where channels are counted: from 0 if there is one, from 1 if there is also another; else unknown."""
    numbers = {number for text in cells if (number := words.channel_number(text)) is not None}
    if 0 in numbers:
        return 0
    return 1 if 1 in numbers and len(numbers) > 1 else None
