"""`dataset.json`: the description of a finished dataset, and the contract with the tuning half."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from transforms import records
from transforms.dataset import assign

VERSION = 1


@dataclass(frozen=True, slots=True)
class Shard:
    """One JSONL file of a split.

    Attributes:
      path: below the dataset's folder.
      examples: its lines.
      bytes: its size.
      sha256: of the file, hexadecimal.
    """

    path: str
    examples: int
    bytes: int
    sha256: str

    def __post_init__(self) -> None:
        parts = self.path.split("/")
        if "\0" in self.path or {"", ".", ".."} & {*parts}:
            raise ValueError(f"path: must be below the dataset's folder, got {self.path!r}")
        if min(self.examples, self.bytes) < 0:
            raise ValueError(f"{self.path}: examples and bytes must be 0 or more, got {self.examples}, {self.bytes}")


def _is_task(task: object) -> bool:
    names = ("name", "prompt", "system_instruction")
    return isinstance(task, dict) and all(isinstance(task.get(name), str) for name in names)


@dataclass(frozen=True, slots=True)
class Split:
    """One split: its totals and its files.

    Attributes:
      examples: lines of all shards.
      bytes: of all shards.
      audio_samples: of all payloads, at the dataset's rate.
      target_chars: characters (code points) of all targets.
      shards: in order; joined, they are the split.
    """

    examples: int
    bytes: int
    audio_samples: int
    target_chars: int
    shards: tuple[Shard, ...]


@dataclass(frozen=True, slots=True)
class DatasetDescription:
    """A finished dataset, as `dataset.json` holds it.

    Attributes:
      format_version: of this file.
      fingerprint: of all examples in their order, hexadecimal.
      settings: the fields of `Settings` that the dataset was made with.
      decoders: builds of the native libraries that decide bytes.
      rows: manifest rows.
      accepted: rows that became examples.
      rejected: rows that did not.
      splits: "train", "validation" and, where rows are marked so, "test".
    """

    format_version: int
    fingerprint: str
    settings: dict[str, Any]
    decoders: dict[str, str]
    rows: int
    accepted: int
    rejected: int
    splits: dict[str, Split]

    def __post_init__(self) -> None:
        for name in (assign.TRAIN, assign.VALIDATION):
            if name not in self.splits:
                raise ValueError(f"splits.{name}: missing")
        rate = self.settings.get("sample_rate")
        if not isinstance(rate, int) or rate <= 0:
            raise ValueError(f"settings.sample_rate: must be a positive integer, got {rate!r}")
        tasks = self.settings.get("tasks") or ()
        if not isinstance(tasks, list | tuple) or not all(map(_is_task, tasks)):
            raise ValueError(f"settings.tasks: must be a list of tasks, got {tasks!r:.60}")

    def seconds(self, split: str) -> float:
        """How long the audio of a split lasts."""
        return self.splits[split].audio_samples / int(self.settings["sample_rate"])

    def dump(self) -> bytes:
        """The contents of `dataset.json`, sealed."""
        return records.pretty(records.sealed(asdict(self)))

    @staticmethod
    def load(content: bytes) -> DatasetDescription:
        """The inverse of `dump`.

        Raises:
          ValueError: in one line, the field and the rule that it breaks.
        """
        return records.load(content, DatasetDescription, VERSION, seal=None)
