"""The columns of a manifest: their names, and their values with types and rules."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from transforms import reasons, tasks
from transforms.errors import ClipRejected, UserError
from transforms.manifests.locate import Manifest
from transforms.manifests.row import ALIASES, Fields
from transforms.reasons import Reason
from transforms.settings import Task

SPLITS = {
    "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ManifestSettings:
    """How manifests are read.

    Attributes:
      audio_root: where relative audio paths start; None for their manifest's folder.
      allow_path: folders that audio may lie in besides.
      columns: names of columns, by their key in `ALIASES`; for the others their aliases are looked for.
      tasks: that rows may name; () for a dataset without a tasks file.
      mended: URI of the rows that stand in the place of others; "" for none.
    """

    audio_root: str | None = None
    allow_path: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    tasks: tuple[Task, ...] = ()
    mended: str = ""


def find_columns(fields: Fields, manifest: Manifest, settings: ManifestSettings) -> dict[str, str]:
    """The columns found in a manifest's first row.

    Raises:
      UserError: there is none for the audio, or one named by a flag is missing.
    """
    found = {}
    for column in dict.fromkeys(("audio", "text", *settings.columns)):  # rows may do without the others
        name = name_of(column, fields, settings)
        if name is None:
            chosen = settings.columns.get(column)
            wanted = repr(chosen) if chosen else f"{column}: {', '.join(ALIASES[column])}"
            there = ", ".join(list(fields)[:12]) or "none"
            raise UserError(f"{manifest.name}: missing column {wanted}; it has {there}. Name it with --{column}_column")
        found[column] = name
    return found


def name_of(column: str, fields: Fields, settings: ManifestSettings) -> str | None:
    """The name that `column` has in this row; None if it has none."""
    chosen = settings.columns.get(column)
    if chosen is not None:
        return chosen if chosen in fields else None
    return _usual_name(column, tuple(fields))


@functools.lru_cache(maxsize=64)  # rows of a manifest have the same fields
def _usual_name(column: str, names: tuple[str, ...]) -> str | None:
    lower = {name.lower(): name for name in reversed(names)}
    return next((lower[alias.lower()] for alias in ALIASES[column] if alias.lower() in lower), None)


def value_of(column: str, fields: Fields, settings: ManifestSettings) -> object:
    """What stands in `column`; None where the row has no such column."""
    name = name_of(column, fields, settings)
    return None if name is None else fields[name]


def text(column: str, fields: Fields, settings: ManifestSettings, reason: Reason, task: Task | None = None) -> str:
    """A text that a row must have: its audio path, or its target.

    Raises:
      ClipRejected: `reason` for none or an empty one; BAD_FIELD for another type.
    """
    value = tasks.target_text(task, value_of(column, fields, settings))
    word = {"audio": "the audio path", "text": "the text (transcript)"}[column]
    if value is None:
        raise ClipRejected(reason, f"{word} is missing: the row has no {column} field, or it is null")
    if not isinstance(value, str):
        raise ClipRejected(reasons.BAD_FIELD, f"{word} must be a string, got type {type(value).__name__}")
    if not value.strip():
        raise ClipRejected(reason, f"{word} is empty")
    return _encodable(value, word)


def _encodable(value: str, word: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ClipRejected(reasons.BAD_FIELD, f"{word} holds half a surrogate pair, which is no character") from None
    return value


def optional(column: str, fields: Fields, settings: ManifestSettings) -> str:
    """A text that a row may have; "" for none.

    Raises:
      ClipRejected: BAD_FIELD for another type than a string or an integer.
    """
    value = value_of(column, fields, settings)
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise ClipRejected(reasons.BAD_FIELD, f"{column} must be a string, got type {type(value).__name__}")
    return _encodable(value, column)


def seconds(column: str, fields: Fields, settings: ManifestSettings) -> float | None:
    """A time in seconds that a row may have.

    Raises:
      ClipRejected: BAD_FIELD for what is no number from 0 on.
    """
    value = value_of(column, fields, settings)
    if value is None or value == "":
        return None
    try:
        found = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        found = math.nan
    if not 0 <= found < 1e9:
        raise ClipRejected(reasons.BAD_FIELD, f"{column} must be seconds from 0 on, got {str(value)[:40]!r}")
    return found


def split(fields: Fields, settings: ManifestSettings) -> str:
    """The split that a row names; "" for none.

    Raises:
      ClipRejected: BAD_FIELD for a word that names no split.
    """
    value = optional("split", fields, settings).strip().lower()
    if not value:
        return ""
    if value not in SPLITS:
        raise ClipRejected(reasons.BAD_FIELD, f"split must be one of {', '.join(SPLITS)}, got {value[:40]!r}")
    return SPLITS[value]
