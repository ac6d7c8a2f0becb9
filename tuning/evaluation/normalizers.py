"""Normalisers of text before it is compared, named and versioned: a rate without their name is worth nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version

import regex

from transforms.text import STEPS as _STEPS
from transforms.text import normalize

NONE, CLIPTUNE, WHISPER_BASIC, WHISPER_ENGLISH = "none", "cliptune", "whisper_basic", "whisper_english"
_OURS = ("nfkc", "casefold", "strip_punctuation", "whitespace")
assert all(step in _STEPS for step in _OURS)
# Scripts that write no spaces between words: there, words cannot be counted by them.
_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]")
_LETTER = regex.compile(r"\p{L}")


@dataclass(frozen=True)
class Normalizer:
    """A way to make texts alike.

    Attributes:
      name: for --normalizer, and in the output.
      summary: what it does.
      make: makes the function; called once, because some import much.
      package: whose version decides what it does; "" for our own.
    """

    name: str
    summary: str
    make: Callable[[], Callable[[str], str]]
    package: str = ""

    @property
    def version(self) -> str:
        """Tells apart two states of the same normaliser."""
        return f"{self.package} {version(self.package)}" if self.package else "1"


def _whisper_basic() -> Callable[[str], str]:
    from whisper_normalizer.basic import BasicTextNormalizer  # noqa: PLC0415 -- few need it

    made: Callable[[str], str] = BasicTextNormalizer()
    return made


def _whisper_english() -> Callable[[str], str]:
    from whisper_normalizer.english import EnglishTextNormalizer  # noqa: PLC0415 -- few need it

    made: Callable[[str], str] = EnglishTextNormalizer()
    return made


_ROWS = (
    Normalizer(NONE, "texts as they are, words parted by white space", lambda: lambda text: text),
    Normalizer(CLIPTUNE, ", ".join(_OURS), lambda: lambda text: normalize(text, _OURS)),
    Normalizer(WHISPER_BASIC, "Whisper's for all languages", _whisper_basic, "whisper-normalizer"),
    Normalizer(WHISPER_ENGLISH, "Whisper's: spellings, numbers", _whisper_english, "whisper-normalizer"),
)
NORMALIZERS = {row.name: row for row in _ROWS}


@cache
def find(name: str) -> Callable[[str], str]:
    """The function of a normaliser, key of `NORMALIZERS`."""
    return NORMALIZERS[name].make()


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


def script_of(text: str) -> str:
    """The script of most letters of a text; "" for a text without letters."""
    letters = len(_LETTER.findall(text))
    counts = ((len(pattern.findall(text)), name) for name, pattern in _BY_SCRIPT) if letters else ()
    most, name = max(counts, default=(0, ""))
    return name if 2 * most > letters else ""
