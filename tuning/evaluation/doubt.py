"""Weighs all evidence against each clip's text, and says in words what it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein

from transforms.settings import LABELS, TEXT, Task
from tuning.evaluation import elsewhere, heard, labelled, normalizers, pools, rate, shifts
from tuning.evaluation.answers import System
from tuning.evaluation.clips import HeldOut
from tuning.evaluation.heard import Heard
from tuning.evaluation.pools import Array, Indexes
from tuning.evaluation.rate import Spoken
from tuning.evaluation.scores import NOTHING
from tuning.evaluation.scripts import script_of, usual_instead
from tuning.evaluation.shifts import Neighbours, Shift, Stretch

# The share of texts that are thought wrong before anything is known of one: it makes a score of evidence.
PRIOR = 0.05
_IN_A_SHIFT, _ANOTHERS, _RARE_SCRIPT = 5.0, 4.0, 3.0
_WORTH_TELLING = 1.0
_LONG = 16  # characters: answers to shorter texts are judged by themselves
_SHOWN = 80


@dataclass(frozen=True)
class Asked:
    """What is looked at.

    Attributes:
      clips: of all splits; their texts may be those of neighbours.
      languages: of each clip; "" where it is not known.
      asked: whether a clip is of the split that is looked at, shape (n,).
      sources: of every row of the manifests, and whether it is a clip: its number, else -1.
      systems: their answers about the split.
      tasks: of the dataset, by name.
      normalizer: key of `NORMALIZERS`.
    """

    clips: Sequence[HeldOut]
    languages: Sequence[str]
    asked: npt.NDArray[np.bool_]
    sources: Sequence[tuple[str, int]]
    systems: Sequence[System]
    tasks: Mapping[str, Task]
    normalizer: str


@dataclass(frozen=True)
class Doubts:
    """What speaks against the texts.

    Attributes:
      scores: of each clip, from 0 to 1, shape (n,); NaN for what cannot be judged.
      why: of each clip, for people.
      shifts: stretches of rows whose texts are of other rows.
      telling: names of the systems whose answers fit their own texts better than others.
    """

    scores: Array
    why: Sequence[str]
    shifts: tuple[Shift, ...] = ()
    telling: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Part:
    """The evidence against the clips of one kind of target.

    Attributes:
      chosen: their numbers, shape (n,).
      against: how much likelier what is known is of wrong targets, as logarithms, shape (n,); NaN where nothing is.
      why: says of each what is known, for people.
      telling: as `Doubts` has it.
      shifts: as `Doubts` has it.
    """

    chosen: Indexes
    against: Array
    why: Callable[[int], str]
    telling: frozenset[str]
    shifts: tuple[Shift, ...] = ()


def weigh(asked: Asked) -> Doubts:
    """Weighs the evidence against each clip's text or label. Those of other kinds of target have no score."""
    scores, why = np.full(len(asked.clips), np.nan), [""] * len(asked.clips)
    kinds = {clip.kind for clip in asked.clips}
    parts = [weighed(asked) for kind, weighed in _PARTS.items() if kind in kinds]
    for part in parts:
        scores[part.chosen] = 1 / (1 + np.exp(-(np.log(PRIOR / (1 - PRIOR)) + part.against)))
        for place in np.flatnonzero(scores[part.chosen] > PRIOR).tolist():
            why[part.chosen[place]] = part.why(place)
    found = tuple(shift for part in parts for shift in part.shifts)
    return Doubts(scores, why, found, frozenset().union(*(part.telling for part in parts)))


def _of_kind(asked: Asked, kind: str) -> Indexes:
    return np.array([number for number, clip in enumerate(asked.clips) if clip.kind == kind], dtype=np.intp)


def _said(asked: Asked, system: System, chosen: Indexes) -> list[str]:
    """The answers of a system about some clips; "" for none."""
    clips = (asked.clips[index] for index in chosen.tolist())
    return [system.answers.get(clip.clip_id, NOTHING).said for clip in clips]


def _texts(asked: Asked) -> Part:
    """The evidence against texts."""
    return _Texts.of(asked).weighed(asked)


def _labels(asked: Asked) -> Part:
    """The evidence against labels."""
    chosen = _of_kind(asked, LABELS)
    clips = [asked.clips[index] for index in chosen.tolist()]
    labels, known = [clip.target.strip() for clip in clips], {clip.target.strip() for clip in clips}
    known |= {label for task in asked.tasks.values() for label in task.labels}
    members = pools.pooled([(clip.task,) for clip in clips])
    said = {system.name: [text.strip() for text in _said(asked, system, chosen)] for system in asked.systems}
    against = {name: labelled.evidence(answers, labels, known, members) for name, answers in said.items()}
    telling = [name for name, each in against.items() if not np.isnan(each).all()]
    agreement = labelled.agreement([said[name] for name in telling], known) if telling else np.zeros(len(clips))

    def why(place: int) -> str:
        other: dict[str, list[str]] = {}
        for name in telling:
            if said[name][place] in known - {labels[place]}:
                other.setdefault(said[name][place], []).append(name)
        return "; ".join(f"{_listed(names)} answered {_quoted(label)}" for label, names in other.items())

    total = heard.together([against[name] for name in telling], agreement)
    silent = (
        np.all([np.isnan(against[name]) for name in telling], axis=0) if telling else np.ones(len(clips), dtype=bool)
    )
    return Part(chosen, np.where(silent, np.nan, total), why, frozenset(telling))


_PARTS: dict[str, Callable[[Asked], Part]] = {TEXT: _texts, LABELS: _labels}


@dataclass(frozen=True)
class _Texts:
    """Texts, and all that is measured of them before it is weighed."""

    chosen: Indexes
    clips: Sequence[HeldOut]
    texts: Sequence[str]
    spoken: Spoken
    members: Sequence[Indexes]
    by_length: Sequence[Indexes]
    found: Mapping[str, Heard]
    instead: Sequence[str]

    @staticmethod
    def of(asked: Asked) -> _Texts:
        chosen = _of_kind(asked, TEXT)
        clips = [asked.clips[index] for index in chosen.tolist()]
        same = normalizers.find(asked.normalizer)
        texts = [same(clip.target) for clip in clips]
        languages = [asked.languages[index] for index in chosen.tolist()]
        written = [script_of(clip.target) for clip in clips]
        traits = [(clip.task, *trait) for clip, *trait in zip(clips, written, languages, strict=True)]
        instead = usual_instead(
            written, [(clip.task, language) for clip, language in zip(clips, languages, strict=True)]
        )
        by_length = pools.pooled(
            [(*trait, len(text) >= _LONG) for trait, text in zip(traits, texts, strict=True)], heard.SMALLEST
        )
        spoken = Spoken(rate.chars(texts), np.array([clip.seconds for clip in clips], dtype=np.float64))
        found = {
            system.name: Heard.of([same(text) for text in _said(asked, system, chosen)], texts, by_length)
            for system in asked.systems
        }
        return _Texts(chosen, clips, texts, spoken, pools.pooled(traits), by_length, found, instead)

    def weighed(self, asked: Asked) -> Part:
        """The evidence of rates, answers and neighbours."""
        number_of = {index: place for place, index in enumerate(self.chosen.tolist())}
        neighbours = Neighbours.of((source, number_of.get(index, -1)) for source, index in asked.sources)
        stretches = shifts.found(neighbours, list(self.found.values()), self.spoken)
        right = neighbours.right(stretches, len(self.clips))
        by_rate, times = rate.evidence(self.spoken, Spoken(self.spoken.chars[right], self.spoken.seconds), self.members)
        by_system = self._by_system(right)
        by_answers = heard.together(list(by_system.values()), self._agreement(by_system))
        told = {stretch: shifts.told(stretch, neighbours) for stretch in stretches}
        in_shift = self._in_shift(neighbours, told, right)
        matched = elsewhere.found({name: self.found[name] for name in by_system}, by_answers)
        places = np.arange(len(right))
        total = by_rate + by_answers + self._by_script(by_system)
        total += _IN_A_SHIFT * np.isin(places, [*in_shift]) + _ANOTHERS * np.isin(places, [*matched])
        against = np.where(np.isnan(times) & (total == 0), np.nan, total)
        why = _WhyText(self, times, by_rate, by_system, in_shift, matched)
        return Part(self.chosen, against, why.of, frozenset(by_system), tuple(told.values()))

    def _agreement(self, names: Iterable[str]) -> Array:
        said = [self.found[name].said for name in names]
        return heard.agreement(said) if said else np.zeros(len(self.clips))

    def _by_system(self, right: Indexes) -> dict[str, Array]:
        """The evidence of each system that tells anything."""
        moved, texts = right != np.arange(len(right)), [self.texts[index] for index in right.tolist()]
        against = {
            name: heard.evidence(each, np.where(moved, heard.distance(each.said, texts), each.apart), self.by_length)
            for name, each in self.found.items()
        }
        return {name: each for name, each in against.items() if not np.isnan(each).all()}

    def _by_script(self, by_system: Mapping[str, Array]) -> Array:
        """The evidence of a rare script: more, if what was heard is of the usual one; less, if it is of the same."""
        against = np.zeros(len(self.clips))
        for place in np.flatnonzero([bool(usual) for usual in self.instead]).tolist():
            heard_in = [script_of(self.found[name].said[place]) for name in by_system]
            for_it, against_it = heard_in.count(script_of(self.texts[place])), heard_in.count(self.instead[place])
            against[place] = _RARE_SCRIPT * (1 + min(against_it, 1) - 2 * min(for_it, 1))
        return against

    def _in_shift(self, neighbours: Neighbours, told: Mapping[Stretch, Shift], right: Indexes) -> dict[int, Shift]:
        """The clips in stretches, but for those whose neighbour has the same text."""
        rows = ((shift, neighbours.rows[stretch.start : stretch.stop].tolist()) for stretch, shift in told.items())
        return {
            row: shift
            for shift, numbers in rows
            for row in numbers
            if row >= 0 and (right[row] == row or self.texts[right[row]] != self.texts[row])
        }


@dataclass(frozen=True)
class _WhyText:
    """Says what speaks against a text."""

    part: _Texts
    times: Array
    by_rate: Array
    by_system: Mapping[str, Array]
    in_shift: Mapping[int, Shift]
    matched: Mapping[int, int]

    def of(self, place: int) -> str:
        """The reasons, the clearest first; "" for none."""
        return "; ".join(filter(None, [self._shift(place), self._heard(place), self._script(place), self._rate(place)]))

    def _shift(self, place: int) -> str:
        shift = self.in_shift.get(place)
        return f"the texts of {shift.place} stand {shift.far}" if shift else ""

    def _heard(self, place: int) -> str:
        against = {name: float(each[place]) for name, each in self.by_system.items() if each[place] > _WORTH_TELLING}
        told = [f"{name} heard {_quoted(self.part.found[name].said[place])}" for name in against]
        rates = [self._rate_of(name, place) for name in against]
        other = self.matched.get(place)
        like = f", which is like the text of {self.part.clips[other].source}" if other is not None else ""
        return f"{_listed(told)} (CER {_listed(rates)}){like}" if told else ""

    def _rate_of(self, name: str, place: int) -> str:
        each = self.part.found[name]
        return f"{Levenshtein.distance(each.said[place], each.texts[place]) / max(1, len(each.texts[place])):.0%}"

    def _script(self, place: int) -> str:
        usual = self.part.instead[place]
        return f"{script_of(self.part.texts[place])}, where nearly all texts are {usual}" if usual else ""

    def _rate(self, place: int) -> str:
        if self.by_rate[place] <= _WORTH_TELLING:
            return ""
        spoken, times = self.part.spoken, self.times[place]
        speed = f"{spoken.chars[place] / max(spoken.seconds[place], 0.01):.1f} characters a second"
        if np.isnan(times):
            return f"{speed}, more than anybody says"
        return f"{speed}, {np.exp(abs(times)):.1f} times {'as fast' if times > 0 else 'as slow'} as is usual"


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _quoted(text: str) -> str:
    return f'"{text if len(text) <= _SHOWN else text[:_SHOWN] + "…"}"'
