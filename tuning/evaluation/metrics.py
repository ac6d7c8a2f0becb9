"""Metrics, one row each: what is counted of one answer, and the value of the sums over many.

A value is a function of sums over clips, so that a resample of the clips is one product of matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from transforms import json_schema
from transforms.json_schema import JsonError
from transforms.settings import JSON, LABELS, TEXT, Task
from tuning.evaluation import align

Array = npt.NDArray[np.float64]
Counts = Sequence[float]


@dataclass(frozen=True)
class Metric:
    """A metric.

    Attributes:
      name: in the output, in --fail_if and in tables.
      what: for people.
      lower_is_better: for words about differences.
      counts: of one answer: (target, answer) to numbers, always as many.
      value: of sums of counts, shape (..., n), shape (...); NaN where there is nothing to divide by.
    """

    name: str
    what: str
    lower_is_better: bool
    counts: Callable[[str, str], Counts]
    value: Callable[[Array], Array]


def _ratio(over: Array, under: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(under > 0, over / under, np.nan), dtype=np.float64)


def _error_rate(sums: Array) -> Array:
    return _ratio(sums[..., :3].sum(axis=-1), sums[..., 3])


def _edit_counts(target: Sequence[str], answer: Sequence[str]) -> Counts:
    found = align.edits(target, answer)
    return found.substitutions, found.deletions, found.insertions, found.length


def _word_counts(target: str, answer: str) -> Counts:
    return _edit_counts(target.split(), answer.split())


def _char_counts(target: str, answer: str) -> Counts:
    # As in jiwer: blanks at the ends are nobody's, and those between words count.
    return _edit_counts(target.strip(), answer.strip())


def _share(sums: Array) -> Array:
    return _ratio(sums[..., 0], sums[..., 1])


def _exact(target: str, answer: str) -> Counts:
    return float(target.strip() == answer.strip()), 1


WER = Metric("wer", "word error rate", True, _word_counts, _error_rate)
CER = Metric("cer", "character error rate", True, _char_counts, _error_rate)
ACCURACY = Metric("accuracy", "share of right labels", False, _exact, _share)


def _label_counts(labels: Sequence[str]) -> Callable[[str, str], Counts]:
    """Of each label, how often it was meant and answered, meant, answered."""
    index = {label: number for number, label in enumerate(labels)}

    def counts(target: str, answer: str) -> Counts:
        row = np.zeros(3 * len(labels))
        meant, said = index.get(target.strip()), index.get(answer.strip())
        if meant is not None:
            row[3 * meant + 1] = 1
        if said is not None:
            row[3 * said + 2] = 1
        if meant is not None and meant == said:
            row[3 * meant] = 1
        return row.tolist()

    return counts


def _macro_f1(sums: Array) -> Array:
    """The mean of F1 over the labels that were meant or answered at all."""
    right, meant, said = sums[..., 0::3], sums[..., 1::3], sums[..., 2::3]
    scores = _ratio(2 * right, meant + said)
    there = ~np.isnan(scores)
    return _ratio(np.nansum(scores, axis=-1), there.sum(axis=-1).astype(np.float64))


def macro_f1(labels: Sequence[str]) -> Metric:
    """The metric for these labels."""
    return Metric("macro_f1", "mean F1 of the labels", False, _label_counts(labels), _macro_f1)


def _parsed(text: str) -> Any:  # noqa: ANN401 -- any JSON
    try:
        return json_schema.parse(text)
    except JsonError:
        return _NO_JSON


_NO_JSON = object()


def _valid(schema: bytes | None) -> Callable[[str, str], Counts]:
    def counts(target: str, answer: str) -> Counts:
        value = _parsed(answer)
        broken = value is _NO_JSON or (schema is not None and bool(json_schema.broken_rule(schema, value)))
        return float(not broken), 1

    return counts


def _same_json(target: str, answer: str) -> Counts:
    value = _parsed(answer)
    return float(value is not _NO_JSON and leaves(value) == leaves(_parsed(target))), 1


def leaves(value: Any, path: str = "") -> dict[str, str]:  # noqa: ANN401 -- any JSON
    """The fields of a JSON value by their paths; those of a list by their numbers.

    Numbers are compared by value: 1 and 1.0 are the same.
    """
    if isinstance(value, dict) and value:
        return {name: leaf for key, inner in value.items() for name, leaf in leaves(inner, f"{path}.{key}").items()}
    if isinstance(value, list) and value:
        return {
            name: leaf
            for number, inner in enumerate(value)
            for name, leaf in leaves(inner, f"{path}[{number}]").items()
        }
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return {path: repr(float(value)) if is_number else repr(value)}


def _field_counts(target: str, answer: str) -> Counts:
    value = _parsed(answer)
    meant = leaves(_parsed(target)).items()
    said = leaves(value).items() if value is not _NO_JSON else ()
    return len(meant & said) if said else 0, len(meant), len(said)


def _f1(sums: Array) -> Array:
    return _ratio(2 * sums[..., 0], sums[..., 1] + sums[..., 2])


EXACT_JSON = Metric("exact", "share of answers whose every field is right", False, _same_json, _share)
FIELD_F1 = Metric("field_f1", "F1 of the fields", False, _field_counts, _f1)


def of_task(kind: str, tasks: Iterable[Task]) -> tuple[Metric, ...]:
    """The metrics of a kind of target, the one that people look at first.

    Args:
      kind: "text", "labels" or "json".
      tasks: those of this kind; () for a dataset without tasks.
    """
    if kind == LABELS:
        labels = sorted({label for task in tasks for label in task.labels})
        return ACCURACY, macro_f1(labels)
    if kind == JSON:
        return FIELD_F1, EXACT_JSON, _schema_valid(list(tasks))
    assert kind == TEXT
    return WER, CER


def _schema_valid(tasks: Sequence[Task]) -> Metric:
    schema = orjson.dumps(tasks[0].schema) if len(tasks) == 1 and tasks[0].schema is not None else None
    return Metric("valid", "share of answers that are JSON of the task's schema", False, _valid(schema), _share)
