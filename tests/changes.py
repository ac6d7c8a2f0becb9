"""Records with one field changed: a test that asks every field cannot forget a new one."""

from dataclasses import fields, replace
from typing import Any

from transforms.clip import Clip, Outcome
from transforms.settings import Settings, Task

CLIP = Clip(
    *("c", "a.wav", "hello", "m:1", '{"id": "c"}', "Say it.", "Be brief.", "t", "anna", "train"),
    offset=1.5,
    duration=2.5,
    confined=True,
)
OUTCOME = Outcome("c", "m:1", "a.wav", "accepted", split="train", shard_index=0, line_index=0)
# Each field of it can be changed alone without breaking a rule.
SETTINGS = Settings(audio_format="mp3", bitrate=64, audio_part="uri", tasks=(Task("t", "Say it."),))
OTHER_SETTINGS: dict[str, Any] = {
    "prompt": "Say it.",
    "sample_rate": 8_000,
    "audio_format": "aac",
    "bitrate": 32,
    "audio_part": "inline",
    "audio_uri": "gs://b/audio",
    "json_names": "camelCase",
    "max_duration": 20.0,
    "min_duration": 0.2,
    "over_duration": "trim",
    "max_example_bytes": 1_000,
    "tasks": (),
    "normalize_text": ("casefold",),
    "dedupe": "audio",
    "trim_silence": False,
    "validation_fraction": 0.2,
}
OTHER_TASK: dict[str, Any] = {
    "name": "u",
    "prompt": "Say it again.",
    "target": "labels",
    "labels": ("yes", "no"),
    "schema": {"type": "string"},
    "system_instruction": "Be brief.",
}


def another(value: object, kind: object) -> Any:
    """A value of the same kind that is not this one."""
    if isinstance(value, bool):
        return not value
    if value is None:
        return 1 if "int" in str(kind) else 1.5 if "float" in str(kind) else "x"
    return value + type(value)("1")  # type: ignore[operator, call-arg]


def names(record: Any) -> list[str]:
    return [field.name for field in fields(record)]


def changed(record: Any, name: str) -> Any:
    """The record with another value in this one field."""
    table = {Settings: OTHER_SETTINGS, Task: OTHER_TASK}.get(type(record))
    (kind,) = (field.type for field in fields(record) if field.name == name)
    return replace(record, **{name: table[name] if table else another(getattr(record, name), kind)})
