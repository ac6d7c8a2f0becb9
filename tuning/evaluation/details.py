"""The page's tables of one task: which labels are confused, which fields are wrong, where words are invented."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from transforms.report import html
from tuning.evaluation.report import SystemScores

# More columns are no table that anybody reads; evaluation.json has them all.
_MOST_LABELS = 30


def details(name: str, systems: Mapping[str, SystemScores]) -> str:
    """The tables of a task, for each system.

    Args:
      name: of the task; "" in a dataset without tasks.
      systems: what they did about its clips, by their names.
    """
    return "\n".join(
        html.section(f"{title}: {system}{f', {name}' if name else ''}", content)
        for system, scores in systems.items()
        for title, content in _tables(scores)
    )


def _tables(scores: SystemScores) -> Iterator[tuple[str, str]]:
    if scores.confusion:
        yield "Labels", _labels(scores)
        if len(scores.confusion) <= _MOST_LABELS:
            yield "Confusion matrix, what was meant by what was answered", _confusion(scores)
    if scores.unparsable_answers:
        rows = ([one.answer, f"{one.clips:,}", one.closest or "–"] for one in scores.unparsable_answers)
        yield "Answers that are no label", html.table(["answer", "clips", "closest label"], rows)
    if scores.fields:
        found = scores.fields.items()
        rows = (
            [path, f"{one.clips:,}", f"{one.exact:.1%}", f"{one.f1:.1%}", f"{one.meant:,}", f"{one.said:,}"]
            for path, one in found
        )
        yield "Fields", html.table(["field", "clips", "exact", "f1", "meant", "said"], rows)
    if scores.insertions_by_duration:
        yield "Words that nobody said, by duration", insertions(scores)


def insertions(scores: SystemScores) -> str:
    """The table of the words that a system has added, by the length of the clips."""
    parts = (scores.insertions_by_duration or {}).items()
    rows = ([band, f"{part.clips:,}", f"{part.seconds:,.1f}", f"{part.insertions:,}"] for band, part in parts)
    return html.table(["duration", "clips", "seconds", "insertions"], rows)


def _labels(scores: SystemScores) -> str:
    found = (scores.confusion or {}).items()
    rows = ([label, f"{one.clips:,}", *map(_share, (one.precision, one.recall, one.f1))] for label, one in found)
    return html.table(["label", "clips", "precision", "recall", "f1"], rows)


def _confusion(scores: SystemScores) -> str:
    found = scores.confusion or {}
    rows = (
        [
            label,
            *(f"{one.answers.get(other, 0):,}" for other in found),
            f"{one.unparsable:,}",
            f"{one.empty:,}",
        ]
        for label, one in found.items()
    )
    return html.table(["meant", *found, "(no label)", "(empty)"], rows)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
