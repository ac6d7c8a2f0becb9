"""Metrics, one row each: what is counted of one answer, and the value of the sums over many.

A value is a function of sums over clips, so that a resample of the clips is one product of matrices.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from transforms import json_schema
from transforms.json_schema import JsonError
from transforms.settings import LABELS, TEXT, Task
from tuning.evaluation import align
from tuning.evaluation.json_fields import Comparer, Fields
from tuning.evaluation.labels import Labels

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
      width: of metrics that count many things of which an answer is few: how many. `counts` are then the numbers of
        those that it is, with -1 for none.
    """

    name: str
    what: str
    lower_is_better: bool
    counts: Callable[[str, str], Counts]
    value: Callable[[Array], Array]
    width: int = 0


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


WER = Metric("wer", "word error rate", True, _word_counts, _error_rate)
CER = Metric("cer", "character error rate", True, _char_counts, _error_rate)


def _accuracy(labels: Labels) -> Metric:
    def counts(target: str, answer: str) -> Counts:
        found = labels.find(answer)
        return float(found is not None and found == labels.find(target)), 1

    return Metric("accuracy", "share of right labels", False, counts, _share)


def _macro_f1(labels: Labels) -> Metric:
    """Of each label, how often it was meant and answered, meant, answered."""

    def counts(target: str, answer: str) -> Counts:
        meant, said = labels.find(target), labels.find(answer)
        first, second = labels.index.get(meant or "", -1), labels.index.get(said or "", -1)
        is_right = first >= 0 and first == second
        return 3 * first if is_right else -1, 3 * first + 1 if first >= 0 else -1, 3 * second + 2 if second >= 0 else -1

    width = 3 * len(labels.names)
    return Metric("macro_f1", "mean F1 of the labels", False, counts, _mean_f1, width)


def _mean_f1(sums: Array) -> Array:
    """The mean of F1 over the labels that were meant or answered at all."""
    right, meant, said = sums[..., 0::3], sums[..., 1::3], sums[..., 2::3]
    scores = _ratio(2 * right, meant + said)
    there = ~np.isnan(scores)
    return _ratio(np.nansum(scores, axis=-1), there.sum(axis=-1).astype(np.float64))


@functools.lru_cache(maxsize=4)  # an answer is looked at by one metric after the other
def parsed(text: str) -> Any:  # noqa: ANN401 -- any JSON
    """The JSON of a text; `NO_JSON` for another text."""
    try:
        return json_schema.parse(text)
    except JsonError:
        return NO_JSON


NO_JSON = object()


def _valid(schema: object) -> Metric:
    rules = None if schema is None else orjson.dumps(schema)

    def counts(target: str, answer: str) -> Counts:
        if answer == target:  # no row whose target breaks the schema gets into a dataset
            return 1.0, 1
        value = parsed(answer)
        broken = value is NO_JSON or (rules is not None and bool(json_schema.broken_rule(rules, value)))
        return float(not broken), 1

    return Metric("valid", "share of answers that are JSON of the task's schema", False, counts, _share)


FieldsOf = Callable[[str, str], Fields]


def fields_of(task: Task, same: Callable[[str], str]) -> FieldsOf:
    """The function of a target and its answer, both text, that compares their fields. It knows its last result.

    Args:
      task: of JSON.
      same: as `of_task` has it.
    """
    comparer = Comparer(task.schema, same)

    @functools.lru_cache(maxsize=1)
    def fields(target: str, answer: str) -> Fields:
        meant, value = parsed(target), parsed(answer)
        if answer == target:
            return comparer.same(meant)
        return comparer.missed(meant) if value is NO_JSON else comparer.compare(meant, value)

    return fields


def _of_fields(fields: FieldsOf) -> tuple[Metric, Metric]:
    @functools.lru_cache(maxsize=1)
    def sums(target: str, answer: str) -> tuple[int, int, int]:
        right, meant, said = (sum(counts) for counts in zip(*fields(target, answer).values(), strict=True))
        return right, meant, said

    def exact(target: str, answer: str) -> Counts:
        right, meant, said = sums(target, answer)
        return float(right == meant == said), 1

    return (
        Metric("field_f1", "F1 of the fields", False, sums, _f1),
        Metric("exact", "share of answers whose every field is right", False, exact, _share),
    )


def _f1(sums: Array) -> Array:
    return _ratio(2 * sums[..., 0], sums[..., 1] + sums[..., 2])


def of_task(task: Task | None, same: Callable[[str], str] = str, fields: FieldsOf | None = None) -> tuple[Metric, ...]:
    """The metrics of a task, the one that people look at first in front.

    Args:
      task: whose clips are scored; None for a dataset without tasks.
      same: makes the texts of labels and of JSON alike before they are compared. Targets that are text come so.
      fields: of `fields_of`, so that others see what it has found; None for one of its own.
    """
    if task is None or task.target == TEXT:
        return WER, CER
    if task.target == LABELS:
        labels = Labels(task.labels, same)
        return _accuracy(labels), _macro_f1(labels)
    return *_of_fields(fields or fields_of(task, same)), _valid(task.schema)
