"""Alignment of an answer with its target: which words or characters were replaced, left out or added."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein


@dataclass(frozen=True, slots=True)
class Edits:
    """The fewest edits that make an answer of its target.

    Attributes:
      substitutions: replaced.
      deletions: left out.
      insertions: added.
      length: of the target.
    """

    substitutions: int
    deletions: int
    insertions: int
    length: int

    @property
    def errors(self) -> int:
        """All edits."""
        return self.substitutions + self.deletions + self.insertions


@dataclass(frozen=True, slots=True)
class Span:
    """Neighbouring words with the same fate.

    Attributes:
      kind: "equal", "replace", "delete" or "insert".
      target: of the target.
      answer: of the answer.
    """

    kind: str
    target: tuple[str, ...]
    answer: tuple[str, ...]


def edits(target: Sequence[Hashable], answer: Sequence[Hashable]) -> Edits:
    """Counts the edits of a Levenshtein alignment in which each edit counts 1, as in jiwer.

    Args:
      target: words or characters.
      answer: likewise.
    """
    found = Levenshtein.editops(target, answer)
    kinds = [operation.tag for operation in found]
    return Edits(kinds.count("replace"), kinds.count("delete"), kinds.count("insert"), len(target))


def spans(target: Sequence[str], answer: Sequence[str]) -> list[Span]:
    """The alignment, for people.

    Args:
      target: words or characters.
      answer: likewise.
    """
    return [
        Span(
            code.tag,
            tuple(target[code.src_start : code.src_end]),
            tuple(answer[code.dest_start : code.dest_end]),
        )
        for code in Levenshtein.opcodes(target, answer)
    ]
