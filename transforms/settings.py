"""The settings of a dataset: all that decides its bytes besides the manifests. They check themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from transforms import limits, text
from transforms.errors import require
from transforms.payloads import PAYLOADS

AUDIO_FORMATS = tuple(PAYLOADS)
LOSSY_FORMATS = tuple(name for name, form in PAYLOADS.items() if form.lossy)
DEFAULT_BITRATE = 64
# What MPEG audio, layer III and AAC, is defined for.
_LOSSY_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
JSON_NAMES = ("snake_case", "camelCase")
OVER_DURATION = ("reject", "trim")
AUDIO_PARTS = ("inline", "uri")
DEDUPE = ("none", "audio")
# Kinds of target.
TEXT, LABELS, JSON = "text", "labels", "json"
DEFAULT_PROMPT = "Transcribe this audio clip exactly as it is spoken."


@dataclass(frozen=True, slots=True)
class Task:
    """One thing that the model is taught.

    Attributes:
      name: as rows name it in their `task` column.
      prompt: text of the user turn, word for word the same in every example of the task.
      target: kind of target: "text", one of "labels", or "json".
      labels: the targets there may be, of kind "labels".
      schema: JSON Schema (2020-12) of the targets, of kind "json"; None for any JSON.
      system_instruction: text of the system turn; "" for none.
    """

    name: str
    prompt: str
    target: str = TEXT
    labels: tuple[str, ...] = ()
    schema: Any = None
    system_instruction: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that decides the bytes of a dataset, besides its manifests.

    Attributes:
      prompt: the user turn's text where a row brings none of its own.
      sample_rate: of every payload, in Hz.
      audio_format: container and codec of the payload, one of `AUDIO_FORMATS`.
      bitrate: of a lossy payload, in kbit/s; 0 for the lossless formats.
      audio_part: how an example carries its audio: "inline" as base64, or "uri" as the URI of a file beside the shards.
      audio_uri: with "uri", the folder in a bucket where the service finds these files; "" otherwise.
      json_names: spelling of the examples' field names.
      max_duration: longest payload, in seconds, after trimming.
      min_duration: shortest payload, in seconds, after trimming.
      over_duration: what becomes of longer clips: "reject" them or "trim" them at the limit.
      max_example_bytes: longest JSONL line, its newline included.
      tasks: what the dataset teaches; () for one task, without a tasks file.
      normalize_text: steps of `transforms.text` that targets go through, in this order; () for none.
      dedupe: what becomes of clips with the same audio: "none" for nothing, "audio" to keep one of each task.
      trim_silence: whether silence is cut at both ends.
      validation_fraction: share of the clips that becomes the validation split.
    """

    prompt: str = DEFAULT_PROMPT
    sample_rate: int = 16_000
    audio_format: str = "flac"
    bitrate: int = 0
    audio_part: str = "inline"
    audio_uri: str = ""
    json_names: str = "snake_case"
    max_duration: float = 30.0
    min_duration: float = 0.1
    over_duration: str = "reject"
    max_example_bytes: int = 20_000_000
    tasks: tuple[Task, ...] = ()
    normalize_text: tuple[str, ...] = ()
    dedupe: str = "none"
    trim_silence: bool = True
    validation_fraction: float = 0.1

    def __post_init__(self) -> None:
        require(8_000 <= self.sample_rate <= 48_000, "sample_rate", "between 8000 and 48000 Hz", self.sample_rate)
        require(self.audio_format in AUDIO_FORMATS, "audio_format", f"one of {AUDIO_FORMATS}", self.audio_format)
        require(self.audio_part in AUDIO_PARTS, "audio_part", f"one of {AUDIO_PARTS}", self.audio_part)
        if self.audio_uri:
            require(self.audio_part == "uri", "audio_uri", "left out without audio_part=uri", self.audio_uri)
            is_folder = re.fullmatch(r"gs://[^/\s]+(/[^\x00-\x1f\x7f]*)?", self.audio_uri) is not None
            require(is_folder, "audio_uri", "a folder in gs://", self.audio_uri)
        require(self.json_names in JSON_NAMES, "json_names", f"one of {JSON_NAMES}", self.json_names)
        require(self.over_duration in OVER_DURATION, "over_duration", f"one of {OVER_DURATION}", self.over_duration)
        # Encoders of lossy formats add up to some tenths of a second, which count for the service, too.
        most = limits.MAX_AUDIO_SECONDS - (self.audio_format in LOSSY_FORMATS)
        require(0 < self.max_duration <= most, "max_duration", f"above 0 and at most {most} s", self.max_duration)
        require(0 <= self.min_duration < self.max_duration, "min_duration", "from 0 to max_duration", self.min_duration)
        require(self.max_example_bytes > 0, "max_example_bytes", "positive", self.max_example_bytes)
        require(0 <= self.validation_fraction <= 0.5, "validation_fraction", "from 0 to 0.5", self.validation_fraction)
        require(self.dedupe in DEDUPE, "dedupe", f"one of {DEDUPE}", self.dedupe)
        self._check_bitrate()
        for step in self.normalize_text:
            require(step in text.STEPS, "normalize_text", f"some of {', '.join(text.STEPS)}", step)
        require(bool(self.prompt.strip()), "prompt", "some text", self.prompt)

    def _check_bitrate(self) -> None:
        if self.audio_format not in LOSSY_FORMATS:
            require(self.bitrate == 0, "bitrate", f"left out: {self.audio_format} is lossless", self.bitrate)
            return
        require(self.sample_rate in _LOSSY_RATES, "sample_rate", f"one of {_LOSSY_RATES} Hz", self.sample_rate)
        require(8 <= self.bitrate <= 320, "bitrate", "between 8 and 320 kbit/s", self.bitrate)
