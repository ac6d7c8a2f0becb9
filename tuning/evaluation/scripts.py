"""Scripts: in which one a text is written, and whether it has spaces between words."""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence

import regex

# Scripts that write no spaces between words: there, words cannot be counted by them.
_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]")
_LETTER = regex.compile(r"\p{L}")


def unspaced(text: str) -> bool:
    """Whether most letters of a text are of scripts without spaces between words."""
    return 2 * len(_UNSPACED.findall(text)) > len(_LETTER.findall(text))


_SCRIPTS = ("Latin", "Cyrillic", "Greek", "Arabic", "Hebrew", "Devanagari", "Bengali", "Tamil", "Telugu", "Gujarati",
            "Kannada", "Malayalam", "Gurmukhi", "Sinhala", "Armenian", "Georgian", "Ethiopic", "Hangul", "Thai", "Lao",
            "Khmer", "Myanmar", "Tibetan")  # fmt: skip
# Japanese mixes three; a Chinese answer to Japanese audio cannot be told by its letters alone.
_EAST_ASIAN = r"\p{Han}\p{Hiragana}\p{Katakana}"
_BY_SCRIPT = [(name, regex.compile(rf"\p{{{name}}}")) for name in _SCRIPTS] + [
    ("East Asian", regex.compile(f"[{_EAST_ASIAN}]"))
]


# Scripts that write vowels as marks on letters. Whisper's normalisers take marks for punctuation.
WITH_VOWEL_SIGNS = frozenset(
    ("Devanagari", "Bengali", "Tamil", "Telugu", "Gujarati", "Kannada", "Malayalam", "Gurmukhi", "Sinhala", "Thai",
     "Lao", "Khmer", "Myanmar", "Tibetan")
)  # fmt: skip


@functools.lru_cache(maxsize=1 << 16)  # a target is looked at beside each system's answer
def script_of(text: str) -> str:
    """The script of most letters of a text; "" for a text without letters."""
    if text.isascii():
        return "Latin" if any(map(str.isalpha, text)) else ""
    letters = len(_LETTER.findall(text))
    counts = ((len(pattern.findall(text)), name) for name, pattern in _BY_SCRIPT) if letters else ()
    most, name = max(counts, default=(0, ""))
    return name if 2 * most > letters else ""


# A script is usual in a group if so many of its texts are of it, and another one is rare if so few are.
_USUAL, _RARE, _FEWEST = 0.9, 0.05, 12


def usual_instead(scripts: Sequence[str], groups: Sequence[Hashable]) -> list[str]:
    """The script that is usual in a text's group, for a text of a rare one; "" for all others.

    Args:
      scripts: of each text.
      groups: of each text, such as its language.
    """
    members: dict[Hashable, Counter[str]] = defaultdict(Counter)
    for script, group in zip(scripts, groups, strict=True):
        members[group][script] += bool(script)
    return [_instead(script, members[group]) for script, group in zip(scripts, groups, strict=True)]


def _instead(script: str, counts: Counter[str]) -> str:
    total, (usual, most) = counts.total(), counts.most_common(1)[0]
    is_rare = bool(script) and total >= _FEWEST and most >= _USUAL * total and counts[script] <= _RARE * total
    return usual if is_rare else ""
