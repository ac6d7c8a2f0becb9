"""The limits of the tuning service on datasets: each once, with its source and the day it was read.

None was tried against the live service. Facts about the models are in the folder of their provider.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

FACTS_DATE = date(2026, 11, 1)
DOCS = "https://cloud.google.com/vertex-ai/generative-ai/docs"
TUNING_DOCS = f"{DOCS}/models/gemini-supervised-tuning"

# Of one file, which is one split.
MAX_FILE_BYTES = 1_000_000_000
MAX_TRAIN_EXAMPLES = 300_000
MAX_VALIDATION_EXAMPLES = 5_000
# At most 30 % of the training examples, once these are more than 1,000.
MAX_VALIDATION_SHARE = 0.30
VALIDATION_SHARE_FROM = 1_000
# One of Google's own sources says 25 % of the training bytes.
MAX_VALIDATION_BYTES_SHARE = 0.25
MAX_TOKENS_PER_EXAMPLE = 131_072
MAX_AUDIO_SECONDS = 3_600
MAX_AUDIO_BYTES = 100_000_000

# The audio types that Gemini on Vertex AI takes.
_MIME_NAMES = "x-aac flac mp3 m4a mpeg mpga mp4 ogg pcm wav webm"
MIME_TYPES = frozenset(f"audio/{name}" for name in _MIME_NAMES.split())

# Tokens of a second of audio: as documented, and bounds of what users measured.
TOKENS_PER_SECOND = 32
MIN_TOKENS_PER_SECOND = 30
MAX_TOKENS_PER_SECOND = 35
# A token holds at least one UTF-8 byte; about four characters of English text, and not ten on average.
CHARS_PER_TOKEN = 4
MAX_CHARS_PER_TOKEN = 10


@dataclass(frozen=True, slots=True)
class Source:
    """Where a limit is stated, and when that was read.

    Attributes:
      mark: "documented" by Google, "reported" by users, or "unverified".
      where: an address, or in words.
      read: the day.
    """

    mark: str
    where: str
    read: date = FACTS_DATE

    def __str__(self) -> str:
        return f"{self.mark}, {self.where}, {self.read:%Y-%m}"


_TUNING = Source("documented", TUNING_DOCS)
SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        "MAX_FILE_BYTES": _TUNING,
        "MAX_TRAIN_EXAMPLES": _TUNING,
        "MAX_VALIDATION_EXAMPLES": _TUNING,
        "MAX_VALIDATION_SHARE": Source("reported", "users' bills and forum posts"),
        "MAX_VALIDATION_BYTES_SHARE": Source("unverified", "one of Google's samples, against the others"),
        "MAX_TOKENS_PER_EXAMPLE": _TUNING,
        "MAX_AUDIO_SECONDS": _TUNING,
        "MAX_AUDIO_BYTES": _TUNING,
        "MIME_TYPES": Source("documented", f"{DOCS}/multimodal/audio-understanding"),
    }
)
