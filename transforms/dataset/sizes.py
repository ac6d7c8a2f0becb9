"""Whether a dataset's splits have sizes that the service takes: what `prepare` warns of, and what `check` refuses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from transforms import limits
from transforms.dataset.assign import TRAIN, VALIDATION

_REMEDY = (
    "prepare with a smaller --validation_fraction or fewer rows marked for validation, or tune with --no_validation"
)


class Sized(Protocol):
    """The totals of a split."""

    @property
    def examples(self) -> int:
        """Its lines."""

    @property
    def bytes(self) -> int:
        """Their size."""


@dataclass(frozen=True, slots=True)
class Over:
    """A limit that a split is over.

    Attributes:
      split: "train" or "validation".
      rule: short name of the limit.
      detail: the numbers.
      remedy: what can be done about it.
      cut: whether a tuning job can still be made with the first examples of the split, a uniform sample.
      certain: whether the service is known to refuse it.
    """

    split: str
    rule: str
    detail: str
    remedy: str
    cut: bool = False
    certain: bool = True


def over(train: Sized, validation: Sized) -> Iterator[Over]:
    """The limits that the splits are over. `limits.SOURCES` names the source of each limit."""
    for split, size, most in (
        (TRAIN, train, limits.MAX_TRAIN_EXAMPLES),
        (VALIDATION, validation, limits.MAX_VALIDATION_EXAMPLES),
    ):
        if size.bytes > limits.MAX_FILE_BYTES:
            detail = f"the {split} split has {size.bytes:,} bytes, over the limit of {limits.MAX_FILE_BYTES:,}"
            yield Over(split, "file_bytes", detail, "leave some out", cut=True)
        if size.examples > most:
            detail = f"the {split} split has {size.examples:,} examples, over the limit of {most:,}"
            yield Over(split, "examples", detail, "leave some out", cut=True)
    if validation.examples and train.examples:  # beside none, any share is too large
        yield from _shares(train, validation)


def _shares(train: Sized, validation: Sized) -> Iterator[Over]:
    if not limits.validation_fits(validation.examples, train.examples):
        share = f"over {100 * limits.MAX_VALIDATION_SHARE:g} % of the {train.examples:,} for training"
        detail = f"{validation.examples:,} validation examples, {share}"
        yield Over(VALIDATION, "validation_examples", detail, _REMEDY)
    if validation.bytes > limits.MAX_VALIDATION_BYTES_SHARE * train.bytes:
        share = f"over {100 * limits.MAX_VALIDATION_BYTES_SHARE:g} % of the {train.bytes:,} for training"
        detail = f"{validation.bytes:,} bytes of validation, {share}"
        yield Over(VALIDATION, "validation_bytes", detail, _REMEDY, certain=False)
