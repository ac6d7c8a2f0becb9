"""Optional normalisation of targets. By default a text stays exactly as it is given."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence

# Marks that belong to the spelling of a word when they stand inside it: don't, l'eau, co-operate.
_INNER = frozenset("'’-‐‑")


def _whitespace(text: str) -> str:
    return " ".join(text.split())


def _strip_punctuation(text: str) -> str:
    kept = (char for index, char in enumerate(text) if not _is_punctuation(text, index))
    return _whitespace("".join(kept))


def _is_punctuation(text: str, index: int) -> bool:
    char = text[index]
    inside = 0 < index < len(text) - 1 and text[index - 1].isalnum() and text[index + 1].isalnum()
    return unicodedata.category(char).startswith("P") and not (char in _INNER and inside)


# By name: the step, an example, and what the step makes of it.
STEPS: dict[str, tuple[Callable[[str], str], str, str]] = {
    "nfc": (lambda text: unicodedata.normalize("NFC", text), "cafe\u0301", "café"),
    "nfkc": (lambda text: unicodedata.normalize("NFKC", text), "ﬁve ½ №1", "five 1⁄2 No1"),
    "whitespace": (_whitespace, "  two \t words\n", "two words"),
    "lowercase": (str.lower, "Große Stadt", "große stadt"),
    "casefold": (str.casefold, "Große Stadt", "grosse stadt"),
    "strip_punctuation": (_strip_punctuation, "“Don't,” he said – co-operate!", "Don't he said co-operate"),
}


def normalize(text: str, steps: Sequence[str]) -> str:
    """The text after each step, in the order they are named."""
    for step in steps:
        text = STEPS[step][0](text)
    return text
