"""Labels: which one an answer is, which ones are confused, and the answers that are none."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import regex
from rapidfuzz import fuzz, process

SHOWN = 20  # answers that are no label
_SHOWN_CHARS = 100
_NEAR = 60.0  # per cent of likeness, for a label to be named as the closest


class Labels:
    """The labels of a task.

    Args:
      names: of the task.
      same: makes texts alike. Labels that it makes alike are told apart as they are written.
    """

    def __init__(self, names: Sequence[str], same: Callable[[str], str]) -> None:
        self.names, self._same = tuple(names), same
        self.index = {name: number for number, name in enumerate(self.names)}
        alike: dict[str, list[str]] = defaultdict(list)
        for name in self.names:
            alike[same(name).strip()].append(name)
        self._alike = {text: names[0] for text, names in alike.items() if len(names) == 1 and text}

    def find(self, answer: str) -> str | None:
        """The label that an answer is: as written, white space around it aside, else by what makes texts alike."""
        written = answer.strip()
        return written if written in self.index else self._alike.get(self._same(answer).strip())

    def closest(self, answer: str) -> str | None:
        """The label that an answer may have meant: the only one that is a word of it, or the most alike."""
        said = answer.casefold()[:_SHOWN_CHARS]
        named = [name for name in self.names if _has_word(said, name.casefold())]
        if len(named) == 1:
            return named[0]
        found = process.extractOne(said.strip(), self.names, scorer=fuzz.ratio, processor=str.casefold)
        return str(found[0]) if found and found[1] >= _NEAR else None


def _has_word(text: str, word: str) -> bool:
    return word in text and bool(regex.search(rf"(?<!\w){regex.escape(word)}(?!\w)", text))


@dataclass(frozen=True, slots=True)
class LabelScores:
    """What was said where one label was meant.

    Attributes:
      clips: that have it as their target.
      answers: labels that were answered, each with the number of clips.
      unparsable: answers that are no label.
      empty: clips without an answer, or with an empty one.
      precision: share of the clips with this answer that have it as target; None where nobody answered it.
      recall: share of its clips that were answered so; None where there are none.
      f1: of the two; None where it was neither meant nor answered.
    """

    clips: int
    answers: dict[str, int]
    unparsable: int
    empty: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True, slots=True)
class Unparsable:
    """An answer that is no label.

    Attributes:
      answer: its beginning.
      clips: how many were answered so.
      closest: the label that it may have meant, which it does not count as; None if none is near.
    """

    answer: str
    clips: int
    closest: str | None


def confusion(labels: Labels, pairs: Iterable[tuple[str, str]]) -> dict[str, LabelScores]:
    """The confusion matrix: a row for each label that was meant or answered, in the task's order.

    Args:
      labels: of the task.
      pairs: targets and answers.
    """
    cells: dict[str, Counter[str]] = {name: Counter() for name in labels.names}
    unparsable: Counter[str] = Counter()
    empty: Counter[str] = Counter()
    for target, answer in pairs:
        meant, said = labels.find(target), labels.find(answer)
        if meant is not None and said is not None:
            cells[meant][said] += 1
        elif meant is not None:
            (unparsable if answer.strip() else empty)[meant] += 1
    answered = Counter[str]()
    for row in cells.values():
        answered.update(row)
    rows = ((name, row, row.total() + unparsable[name] + empty[name]) for name, row in cells.items())
    return {
        name: LabelScores(
            clips=count,
            answers={other: row[other] for other in sorted(row, key=labels.index.__getitem__)},
            unparsable=unparsable[name],
            empty=empty[name],
            precision=row[name] / answered[name] if answered[name] else None,
            recall=row[name] / count if count else None,
            f1=2 * row[name] / (count + answered[name]),
        )
        for name, row, count in rows
        if count or answered[name]
    }


def unparsable(labels: Labels, answers: Iterable[str]) -> tuple[int, tuple[Unparsable, ...]]:
    """How many answers are no label, and the most frequent of them."""
    none = Counter(answer.strip() for answer in answers if answer.strip() and labels.find(answer) is None)
    most = sorted(none.items(), key=lambda found: (-found[1], found[0]))[:SHOWN]
    return none.total(), tuple(Unparsable(text[:_SHOWN_CHARS], count, labels.closest(text)) for text, count in most)
