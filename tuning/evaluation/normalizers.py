"""Normalisers of text before it is compared, named and versioned: a rate without their name is worth nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from transforms.text import STEPS as _STEPS
from transforms.text import normalize

NONE, CLIPTUNE, WHISPER_BASIC, WHISPER_ENGLISH = "none", "cliptune", "whisper_basic", "whisper_english"
_OURS = ("nfkc", "casefold", "strip_punctuation", "whitespace")
assert all(step in _STEPS for step in _OURS)


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
        from importlib.metadata import version  # noqa: PLC0415 -- every command knows the names, few the versions

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
