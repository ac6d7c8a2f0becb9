"""The page's tables of one task: which labels are confused, which fields are wrong, where words are invented."""

from __future__ import annotations

from collections.abc import Iterator

from transforms.report import html
from tuning.evaluation.report import SystemScores, TaskScores

# More columns are no table that anybody reads; evaluation.json has them all.
_MOST_LABELS = 30


def details(name: str, task: TaskScores) -> str:
    """The tables of a task, for each system.

    Args:
      name: of the task.
      task: what all systems did about its clips.
    """
    return "\n".join(
        html.section(f"{title}: {system}, {name}", content)
        for system, scores in task.systems.items()
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
        parts = scores.insertions_by_duration.items()
        rows = ([band, f"{part.clips:,}", f"{part.seconds:,.1f}", f"{part.insertions:,}"] for band, part in parts)
        yield "Words that nobody said, by duration", html.table(["duration", "clips", "seconds", "insertions"], rows)


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
