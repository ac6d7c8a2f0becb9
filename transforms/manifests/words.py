"""Words that rows use: names of splits and of channels."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = {
    "train": TRAIN, "training": TRAIN, "trn": TRAIN,
    "validation": VALIDATION, "valid": VALIDATION, "val": VALIDATION, "dev": VALIDATION, "development": VALIDATION,
    "test": TEST, "testing": TEST, "eval": TEST, "evaluation": TEST, "holdout": TEST,
}  # fmt: skip
# Channels by name, counted from 0; None for all of them, mixed. A and B are the sides of a telephone call.
CHANNELS = {
    "left": 0, "l": 0, "a": 0, "right": 1, "r": 1, "b": 1,
    "mono": None, "stereo": None, "mix": None, "mixed": None, "both": None, "all": None,
}  # fmt: skip
_NUMBERED = re.compile(r"(?:(?:ch|chan|channel)[ _-]?)?(\d{1,2})(?:\.0)?")
# As ids of clips spell the channel of a recording.
_FROM_ZERO = re.compile(r"#(\d{1,2})")
# "not_in_train" names no split, and "held out" is one word.
_NEGATIONS = frozenset({"no", "non", "not", "exclude", "excluded", "without"})
_HELD_OUT = re.compile(r"held[\W_]*out|hold[\W_]out")
# Longer texts are no names.
_MAX_WORDS = 5
_MAX_CHARS = 1_000


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", _HELD_OUT.sub("holdout", text.lower()))


def speaks_of_splits(text: str) -> bool:
    """Whether a split's name is among the words of a cell, understood as a whole or not."""
    return any(word in SPLITS for word in _words(text))


def split_of(text: str) -> str | None:
    """The split that a cell such as "dev-other", "train-clean-100" or "en_test" names; None for none."""
    return _split_of(text) if len(text) <= _MAX_CHARS else None


@functools.lru_cache(maxsize=1024)  # the cells of a column come back
def _split_of(text: str) -> str | None:
    words = _words(text)
    if len(words) > _MAX_WORDS or _NEGATIONS.intersection(words):
        return None
    named = {SPLITS[word] for word in words if word in SPLITS}
    if named == {VALIDATION, TEST}:  # "test_dev93"
        return TEST
    return named.pop() if len(named) == 1 else None


def are_splits(folders: Iterable[str]) -> bool:
    """Whether folders are named after splits, such as train/ and test/, and after more than one."""
    found = set(map(split_of, folders))
    return None not in found and len(found) > 1


def is_channel(text: str) -> bool:
    """Whether a cell names a channel, by a number or by a word."""
    known = text.lower() in CHANNELS or channel_from_zero(text) is not None
    return known or channel_number(text) is not None


def channel_from_zero(text: str) -> int | None:
    """The number in "#2", which is counted from 0 wherever it stands; None for other texts."""
    found = _FROM_ZERO.fullmatch(text)
    return int(found[1]) if found else None


def channel_number(text: str) -> int | None:
    """The number in a cell such as "1" or "ch1", as it is counted there; None for a cell without one."""
    found = _NUMBERED.fullmatch(text.strip().lower())
    return int(found[1]) if found else None
