"""The tuning service's limits for datasets, each with its source and the day that it is true of.

Nothing here was tried against the live service. The facts about models are in the provider's `models.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

# Of the newest copy of the documentation that the facts were taken from. Single pages were older.
FACTS_DATE = date(2026, 9, 25)
DOCS = "https://cloud.google.com/vertex-ai/generative-ai/docs"
TUNING_DOCS = f"{DOCS}/models/gemini-supervised-tuning"

# The limits of one file, which is one split.
MAX_FILE_BYTES = 1_000_000_000
MAX_TRAIN_EXAMPLES = 300_000
MAX_VALIDATION_EXAMPLES = 5_000
# More than 1,000 validation examples may be at most 30 % of the training examples.
MAX_VALIDATION_SHARE = 0.30
VALIDATION_SHARE_FROM = 1_000
# One of Google's samples limits the validation bytes to 25 % of the training bytes.
MAX_VALIDATION_BYTES_SHARE = 0.25
MAX_TOKENS_PER_EXAMPLE = 131_072
MAX_AUDIO_PARTS = 1
MAX_AUDIO_SECONDS = 3_600
MAX_AUDIO_BYTES = 100_000_000

# A job of which a larger part of the examples is over a limit fails. Fewer are left out without a word.
MAX_DROPPED_FRACTION = 0.10
# Jobs of a project that run at a time, in all locations together, as long as nobody asks for more.
DEFAULT_QUOTA = 1

# The audio types that Gemini on Vertex AI accepts.
_MIME_NAMES = "x-aac flac mp3 m4a mpeg mpga mp4 ogg pcm wav webm"
MIME_TYPES = frozenset(f"audio/{name}" for name in _MIME_NAMES.split())

# Tokens of a second of audio: the documented number, and bounds around the numbers that users measured.
TOKENS_PER_SECOND = 32
MIN_TOKENS_PER_SECOND = 30
MAX_TOKENS_PER_SECOND = 35
# A token holds at least one UTF-8 byte. In English text it holds about four characters, and on average fewer than ten.
CHARS_PER_TOKEN = 4
MAX_CHARS_PER_TOKEN = 10


def expected_tokens(seconds: float, text_chars: int) -> int:
    """The tokens to expect of an example with so much audio and text."""
    return round(seconds * TOKENS_PER_SECOND) + -(-text_chars // CHARS_PER_TOKEN)


def validation_fits(validation_examples: int, train_examples: int) -> bool:
    """Whether a validation split is not too large beside its training split."""
    few = validation_examples <= VALIDATION_SHARE_FROM
    return few or validation_examples <= MAX_VALIDATION_SHARE * train_examples


@dataclass(frozen=True, slots=True)
class Source:
    """The source of a fact.

    Attributes:
      mark: "documented" by Google, "transcribed" from Google's prices by others, "reported" by users, or "unverified".
      where: URL or description of the source.
      as_of: the day of the newest copy that says so.
    """

    mark: str
    where: str
    as_of: date = FACTS_DATE

    def __str__(self) -> str:
        return f"{self.mark}, {self.where}, as of {self.as_of:%Y-%m}"


_TUNING = Source("documented", TUNING_DOCS)
_AUDIO = Source("documented", f"{TUNING_DOCS} (written for 2.5; nothing is written for 3.x)")
_MEASURED = Source("unverified", "a bound around the 31.7 tokens a second that users measured")
SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        "MAX_FILE_BYTES": _TUNING,
        "MAX_TRAIN_EXAMPLES": _TUNING,
        "MAX_VALIDATION_EXAMPLES": _TUNING,
        "MAX_VALIDATION_SHARE": _TUNING,
        "VALIDATION_SHARE_FROM": _TUNING,
        "MAX_VALIDATION_BYTES_SHARE": Source("unverified", "one of Google's samples, against the others"),
        "MAX_TOKENS_PER_EXAMPLE": _TUNING,
        "MAX_AUDIO_PARTS": _AUDIO,
        "MAX_AUDIO_SECONDS": _AUDIO,
        "MAX_AUDIO_BYTES": _AUDIO,
        "MAX_DROPPED_FRACTION": _TUNING,
        "DEFAULT_QUOTA": _TUNING,
        "TOKENS_PER_SECOND": Source(
            "documented", "the Developer API's page on tokens, https://ai.google.dev/gemini-api/docs/tokens"
        ),
        "MIN_TOKENS_PER_SECOND": _MEASURED,
        "MAX_TOKENS_PER_SECOND": _MEASURED,
        "MIME_TYPES": Source("documented", f"{DOCS}/multimodal/audio-understanding"),
    }
)
