"""What is known of the base models that can be tuned: data, with its date and its sources.

Marks: D documented by Google, R reported by users, ? not known. None of it was
tried against the live service.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

from transforms.clip import UserError

FACTS_DATE = date(2026, 11, 1)
TUNING_DOCS = "https://cloud.google.com/vertex-ai/generative-ai/docs/models/gemini-use-supervised-tuning"

# Limits of a tuning dataset (D, TUNING_DOCS).
MAX_FILE_BYTES = 1_000_000_000
MAX_TRAIN_EXAMPLES = 300_000
MAX_VALIDATION_EXAMPLES = 5_000
# R: at most 30 % of the training examples, once these are more than 1,000.
MAX_VALIDATION_SHARE = 0.30
VALIDATION_SHARE_FROM = 1_000
# R: one of Google's own sources says 25 % of the training bytes.
MAX_VALIDATION_BYTES_SHARE = 0.25
MAX_TOKENS_PER_EXAMPLE = 131_072
MAX_AUDIO_SECONDS = 3_600
MAX_AUDIO_BYTES = 100_000_000

# D: the audio types that Gemini on Vertex AI takes.
_MIME_NAMES = "x-aac flac mp3 m4a mpeg mpga mp4 ogg pcm wav webm"
MIME_TYPES = frozenset(f"audio/{name}" for name in _MIME_NAMES.split())


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A model that can be tuned.

    Attributes:
      name: as requests name it.
      adapter_sizes: ranks it can be tuned with (D).
      locations: where it can be tuned; empty for every regional location (D).
      price_per_million: US dollars for a million training tokens; None if not known.
      price_source: a mark and a date.
      thinking: how to switch thinking off, or nearly, in google-genai's words (D).
      retired_for_new: from this day on new projects cannot tune it.
      shut_down: from this day on nobody can.
    """

    name: str
    adapter_sizes: tuple[int, ...]
    locations: tuple[str, ...]
    price_per_million: float | None
    price_source: str
    thinking: Mapping[str, str | int]
    retired_for_new: date | None = None
    shut_down: date | None = None


_ALL_SIZES = (1, 2, 4, 8, 16)
_PREVIEW = ("us-central1", "europe-west4")
_RETIRED = date(2026, 10, 20)
_LEVEL: Mapping[str, str | int] = {"thinking_level": "MINIMAL"}
_BUDGET: Mapping[str, str | int] = {"thinking_budget": 0}
_LEAST_BUDGET: Mapping[str, str | int] = {"thinking_budget": 128}  # the Pro model always thinks

MODELS: Mapping[str, BaseModel] = MappingProxyType(
    {
        model.name: model
        for model in (
            BaseModel("gemini-3.5-flash", _ALL_SIZES, _PREVIEW, None, "?", _LEVEL),
            BaseModel("gemini-3.1-flash-lite", _ALL_SIZES, _PREVIEW, 3.0, "R, 2026-11", _LEVEL),
            BaseModel("gemini-3.5-flash-lite", _ALL_SIZES, _PREVIEW, None, "?", _LEVEL),
            BaseModel("gemini-2.5-flash", _ALL_SIZES, (), 5.0, "R, 2026-11", _BUDGET, _RETIRED, date(2027, 3, 31)),
            BaseModel("gemini-2.5-flash-lite", _ALL_SIZES, (), 1.5, "R, 2026-11", _BUDGET, _RETIRED, date(2027, 1, 28)),
            BaseModel(
                "gemini-2.5-pro", (1, 2, 4, 8), (), 25.0, "R, 2026-11", _LEAST_BUDGET, _RETIRED, date(2027, 3, 31)
            ),
        )
    }
)
DEFAULT_MODEL = "gemini-3.1-flash-lite"


def find(name: str) -> BaseModel:
    """The model of this name.

    Raises:
      UserError: none is known under it; the text names those that are.
    """
    if name in MODELS:
        return MODELS[name]
    close = difflib.get_close_matches(name, MODELS, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(MODELS)}"
    raise UserError(f"base_model {name!r} is not known to support tuning on audio; {hint}")


def check_location(location: str) -> str:
    """The location, if it is one: it becomes part of the host that credentials are sent to.

    Raises:
      UserError: it is not.
    """
    if not re.fullmatch(r"[a-z]+(-[a-z]+)*[0-9]*", location):
        raise UserError(f"location {location!r} is none, such as us-central1")
    return location


def refuse_wrong(model: BaseModel, location: str, adapter_size: int | None, today: date) -> list[str]:
    """Refuses what the service would refuse, before money is spent.

    Returns:
      Warnings: what may be refused, depending on the project.

    Raises:
      UserError: wrong location or adapter size, or a model that is shut down.
    """
    check_location(location)
    if location == "global":
        raise UserError(f"location 'global' cannot tune; use {' or '.join(model.locations or _PREVIEW)}")
    if model.locations and location not in model.locations:
        raise UserError(f"{model.name} cannot be tuned in location {location!r}; use {' or '.join(model.locations)}")
    if adapter_size is not None and adapter_size not in model.adapter_sizes:
        sizes = ", ".join(map(str, model.adapter_sizes))
        raise UserError(f"adapter_size of {model.name} must be one of {sizes}, got {adapter_size}")
    if model.shut_down and today >= model.shut_down:
        raise UserError(f"{model.name} was shut down on {model.shut_down}; use {DEFAULT_MODEL}")
    if model.retired_for_new and today >= model.retired_for_new:
        return [f"{model.name} is retired for projects that never tuned it, since {model.retired_for_new}"]
    return []
