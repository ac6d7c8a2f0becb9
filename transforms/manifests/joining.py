"""How neighbouring cues become clips.

Clips are cut where it is quiet. Two clips that follow each other closely name the same window of the recording between
their cues, and `transforms.audio.pauses` cuts both at its quietest point: no word is halved, lost or heard twice.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from transforms import reasons
from transforms.errors import ClipRejected
from transforms.manifests.cues import Cue, CueSettings, Transcript, chosen, joined, spoken
from transforms.manifests.row import CUT_END, CUT_START, Fields, Row

# A pause that is longer ends a clip: something may be said in it that no cue tells.
MAX_PAUSE_SECONDS = 2.0
# Cues that are closer touch: the point between them is looked for within them, too, so much on both sides.
TOUCHING_SECONDS = 0.2
INSIDE_SECONDS = 0.1
# Rounding, and the habit of tools to let one cue begin before the last has gone. More is two voices at once.
OVERLAP_SECONDS = 0.25
# A subtitle's end is when it vanishes where more of the cues than this reach into the next one.
ROLLING_SHARE = 0.5
_SENTENCE_END = re.compile(r"[.!?…。！？।؟][\"'”’»)\]」』]*$")


@dataclass(frozen=True, slots=True)
class _Part:
    """Cues that become one clip.

    Attributes:
      cues: in their order.
      before: where what is said before them ends; None for nothing.
      after: where what is said after them begins; None for nothing.
    """

    cues: Sequence[Cue]
    before: float | None
    after: float | None

    @property
    def start(self) -> float:
        return self.cues[0].start

    @property
    def end(self) -> float:
        return self.cues[-1].end or self.cues[-1].start


_Between = tuple[_Part | None, _Part, _Part | None]


def rows(transcript: Transcript, file: str, audio: str, settings: CueSettings) -> Iterator[Row]:
    """The rows of a recording's cues: a clip each, or the reason why a cue is none.

    Args:
      transcript: the cues.
      file: that they stand in, for messages; its rows are named after the recording.
      audio: path of the recording.
      settings: how they become clips.

    Raises:
      ClipRejected: MISSING_TEXT, it has none of the tiers that are wanted.
      UserError: it has several tiers, and nobody says which.
    """
    tiers = chosen(transcript, file, settings)
    given = [cue for tier in tiers for cue in spoken(tier, len(tiers) > 1)]
    kept, faults = _in_order(given, transcript.ordered and len(tiers) == 1)
    kept, overlapping = _apart(_rolled(kept))
    fields = {"audio": audio, "group": audio, **({"language": transcript.language} if transcript.language else {})}
    found: list[tuple[int, Cue | _Between]] = [(cue.line, cue) for cue in (*faults, *overlapping)]
    found += [(between[1].cues[0].line, between) for between in _with_neighbours(_parts(kept, settings))]
    found.sort(key=lambda each: each[0])
    several = len({line for line, _ in found}) < len(found)  # cues that share a line are counted instead
    for number, (line, what) in enumerate(found, start=1):
        row = _rejected(what, fields) if isinstance(what, Cue) else _row(what, fields, settings)
        yield replace(row, line=number if several else line, file=file)


def _in_order(cues: Sequence[Cue], ordered: bool) -> tuple[list[Cue], list[Cue]]:
    """The cues by their starts, and those with a fault. Of cues out of order, the fewest are at fault."""
    checked = [_checked(cue) for cue in cues]
    good, bad = [cue for cue in checked if cue.fault is None], [cue for cue in checked if cue.fault is not None]
    if not ordered:
        return _closed(sorted(good, key=lambda cue: (cue.start, cue.line))), bad
    follow = _longest_ascent([cue.start for cue in good])
    for index, cue in enumerate(good):
        if index not in follow:
            detail = f"out of order: it begins at {cue.start:g} s, and cues around it do not"
            bad.append(replace(cue, fault=ClipRejected(reasons.OVERLAPPING_CUES, detail)))
    return _closed([good[index] for index in sorted(follow)]), bad


def _closed(cues: list[Cue]) -> list[Cue]:
    """The cues; one that does not say where it ends ends where the next one begins."""
    ends = [cue.end if cue.end is not None else after.start for cue, after in pairwise(cues)]
    return [*(replace(cue, end=end) for cue, end in zip(cues, ends, strict=False)), *cues[-1:]]


def _checked(cue: Cue) -> Cue:
    if cue.fault is None and not cue.text:
        return replace(cue, fault=ClipRejected(reasons.MISSING_TEXT, "the cue has no text"))
    if cue.fault is not None or cue.end is None or cue.end > cue.start:
        return cue
    detail = f"a cue must end after its start at {cue.start:g} s, got {cue.end:g} s"
    return replace(cue, fault=ClipRejected(reasons.BAD_FIELD, detail))


def _longest_ascent(values: Sequence[float]) -> set[int]:
    """The indices of as many values as possible of which none is below the one before."""
    tails: list[tuple[float, int]] = []  # of the ascents of each length, the one that ends lowest
    before: list[int] = []
    for index, value in enumerate(values):
        at = bisect_left(tails, (value, index))
        before.append(tails[at - 1][1] if at else -1)
        tails[at : at + 1] = [(value, index)]
    found, index = set[int](), tails[-1][1] if tails else -1
    while index >= 0:
        found.add(index)
        index = before[index]
    return found


def _rolled(cues: list[Cue]) -> list[Cue]:
    """The cues, each up to the next one's start where most stay on the screen while the next one is said."""
    reach = sum(_end(cue) - after.start > OVERLAP_SECONDS for cue, after in pairwise(cues))
    rising = all(after.start > cue.start and _end(after) >= _end(cue) for cue, after in pairwise(cues))
    if len(cues) < 3 or not rising or reach <= ROLLING_SHARE * (len(cues) - 1):
        return cues
    return [*(replace(cue, end=min(_end(cue), after.start)) for cue, after in pairwise(cues)), cues[-1]]


def _end(cue: Cue) -> float:
    return float("inf") if cue.end is None else cue.end


def _apart(cues: Sequence[Cue]) -> tuple[list[Cue], list[Cue]]:
    """The cues, those at fault among them, and these alone: who speaks at the same time as another."""
    with_other: dict[int, Cue] = {}
    longest = 0
    for index, cue in enumerate(cues):
        last = cues[longest]
        if index and _end(last) - cue.start > _tolerated(last, cue):
            with_other.setdefault(index, last)
            with_other.setdefault(longest, cue)
        longest = index if _end(cue) >= _end(last) else longest
    marked = [replace(cue, fault=_overlap(with_other[n])) if n in with_other else cue for n, cue in enumerate(cues)]
    return marked, [marked[index] for index in with_other]


def _tolerated(cue: Cue, after: Cue) -> float:
    return min(OVERLAP_SECONDS, (_end(cue) - cue.start) / 4, (_end(after) - after.start) / 4)


def _overlap(other: Cue) -> ClipRejected:
    end = "" if other.end is None else f" to {other.end:g}"
    who = f" of {other.speaker}" if other.speaker else ""
    detail = f"the cue{who} from {other.start:g}{end} s (number or line {other.line}) speaks at the same time"
    return ClipRejected(reasons.OVERLAPPING_CUES, detail)


def _parts(cues: Sequence[Cue], settings: CueSettings) -> Iterator[_Part]:
    """The cues without a fault, joined."""
    at, before = 0, None
    while at < len(cues):
        end = at + 1 if cues[at].fault is not None else _joined(cues, at, settings.longest)
        after = cues[end].start if end < len(cues) else None
        if cues[at].fault is None:
            yield _Part(cues[at:end], before, after)
        last = max(_end(cue) for cue in cues[at:end])
        before = last if before is None else max(before, last)
        at = end


def _joined(cues: Sequence[Cue], at: int, longest: float) -> int:
    """Behind the last cue that is joined to the one at `at`."""
    end = at + 1
    while end < len(cues) and _belong(cues[end - 1], cues[end]) and _end(cues[end]) - cues[at].start <= longest:
        end += 1
    if end == len(cues) or end == at + 1 or not _belong(cues[end - 1], cues[end]):
        return end
    # The clip is full: it ends with a sentence in its second half, else at the longest pause there.
    half = [k for k in range(at + 1, end + 1) if _end(cues[k - 1]) - cues[at].start >= longest / 2] or [end]
    return max(half, key=lambda k: (_ends_sentence(cues[k - 1]), cues[k].start - _end(cues[k - 1]), k))


def _belong(cue: Cue, after: Cue) -> bool:
    together = cue.fault is None and after.fault is None and cue.speaker == after.speaker
    return together and after.start - _end(cue) <= MAX_PAUSE_SECONDS


def _ends_sentence(cue: Cue) -> bool:
    return bool(_SENTENCE_END.search(cue.text[-20:]))


def _with_neighbours(parts: Iterable[_Part]) -> Iterator[_Between]:
    """Each part between the one before and the one after."""
    every: list[_Part | None] = [None, *parts, None]
    for before, part, after in zip(every, every[1:], every[2:], strict=False):
        if part is not None:
            yield before, part, after


def _row(between: _Between, fields: Fields, settings: CueSettings) -> Row:
    """A clip: its segment with the windows in which it is cut."""
    before, part, after = between
    own = _slack(part, settings)
    other = [settings.window if each is None else _slack(each, settings) for each in (before, after)]
    start_cut = (part.start - min(own, part.start), part.start)
    end_cut = (part.end, part.end + own)
    if part.before is not None:
        length = None if before is None or before.end != part.before else before.cues[-1]
        start_cut = _between(part.before, part.start, other[0], own, length, part.cues[0])[1]
    if part.after is not None:
        following = None if after is None or after.start != part.after else after.cues[0]
        end_cut = _between(part.end, part.after, own, other[1], part.cues[-1], following)[0]
    if part.cues[-1].end is None:
        open_end = {CUT_START: _length(start_cut), CUT_END: 0.0}
        return Row(part.cues[0].line, {**_fields(part, fields, start_cut[0], None), **open_end})
    found = _fields(part, fields, start_cut[0], end_cut[1])
    windows = {CUT_START: _length(start_cut), CUT_END: _length(end_cut)}
    return Row(part.cues[0].line, {**found, **windows})


def _slack(part: _Part, settings: CueSettings) -> float:
    """Seconds that a clip may reach beyond its cues on each side."""
    return min(settings.window, max(0.0, (settings.max_duration - (part.end - part.start)) / 2))


def _between(
    end: float, start: float, before: float, after: float, last: Cue | None, first: Cue | None
) -> tuple[tuple[float, float], tuple[float, float]]:
    """The windows in which the clip before and the clip after are cut: one and the same if they are close.

    Args:
      end: of the last cue before.
      start: of the first cue after.
      before: seconds that the clip before may reach beyond its cues.
      after: likewise of the clip after.
      last: cue of the clip before; None for one that is no clip.
      first: likewise of the clip after.
    """
    gap = start - end
    inside = 0.0
    if gap < TOUCHING_SECONDS:
        lengths = [(_end(cue) - cue.start) / 4 for cue in (last, first) if cue is not None]
        inside = min(INSIDE_SECONDS, before, after, *lengths)
    # No further than either clip may reach.
    low, high = max(min(end, start) - inside, start - after), min(max(end, start) + inside, end + before)
    if low > high or gap > min(before, after):
        return (end, end + min(before, gap / 2)), (start - min(after, gap / 2), start)
    return (low, high), (low, high)


def _fields(part: _Part, fields: Fields, start: float, end: float | None) -> Fields:
    duration = None if end is None else _rounded(_rounded(end) - _rounded(start))
    lasts = "" if end is None else f"{_rounded(part.end - part.start):.10g}"
    found = {"id": f"{_stem(fields['audio'])}@{part.start:.10g}+{lasts}", **fields, "offset": _rounded(start)}
    text = joined(cue.text for cue in part.cues)
    return {**found, "duration": duration, "text": text, "speaker": part.cues[0].speaker}


def _rejected(cue: Cue, fields: Fields) -> Row:
    place = cue.times or f"{cue.start:.10g}"
    found: Fields = {"id": f"{_stem(fields['audio'])}@{place}", **fields, "offset": cue.times or _rounded(cue.start)}
    found["duration"] = None if cue.end is None else _rounded(cue.end - cue.start)
    return Row(cue.line, {**found, "text": cue.text, "speaker": cue.speaker}, cue.fault)


def _stem(audio: str) -> str:
    return audio.rpartition(".")[0]


def _rounded(seconds: float) -> float:
    # To the microsecond: finer than a sample, and the same for the clip before and the clip after.
    return round(seconds, 6) + 0.0


def _length(window: tuple[float, float]) -> float:
    return _rounded(_rounded(window[1]) - _rounded(window[0]))
