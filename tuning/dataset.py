"""A finished dataset as its `dataset.json` describes it: the only way into the preparing half."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from transforms.errors import UserError
from transforms.storage import Storage, uris

TRAIN, VALIDATION = "train", "validation"


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


@dataclass(frozen=True, slots=True)
class Dataset:
    """A finished dataset.

    Attributes:
      name: the folder as the user wrote it.
      uri: the folder, absolute or gs://.
      fingerprint: of all examples, hexadecimal.
      splits: shards of "train" and "validation", in order.
      settings: that the dataset was made with, as `dataset.json` has them.
      audio_seconds: of all clips of a split.
      storage: reads its files, and writes those of the tuning half.
    """

    name: str
    uri: str
    fingerprint: str
    splits: dict[str, tuple[Shard, ...]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    audio_seconds: Mapping[str, float] = field(default_factory=dict)
    storage: Storage = Storage()

    def examples(self, split: str) -> int:
        """Lines of a split."""
        return sum(shard.examples for shard in self.splits[split])

    def mean_seconds(self, split: str) -> float:
        """How long a clip of a split is on average."""
        return self.audio_seconds.get(split, 0.0) / max(1, self.examples(split))

    def tuning_uri(self, name: str) -> str:
        """A file of the tuning half, below the dataset's folder."""
        return uris.join(self.uri, "tuning", name)

    def changed(self) -> UserError:
        """The refusal of a dataset whose files are not as `dataset.json` says."""
        return UserError(f"{self.name} is not as its dataset.json says; cliptune check {self.name} tells more")

    def shown(self, uri: str) -> str:
        """A file of the dataset as the user would name it."""
        return uri.replace(self.uri.rstrip("/"), self.name.rstrip("/"), 1)


def load(name: str, storage: Storage) -> Dataset:
    """The dataset in the folder `name`.

    Raises:
      UserError: there is none, it is not finished, or it was made by another version.
    """
    uri = uris.absolute(name, os.getcwd())  # noqa: PTH109 -- text, as everywhere in storage
    try:
        tree = orjson.loads(storage.read_bytes(uris.join(uri, "dataset.json")))
        splits = {
            split: tuple(Shard(**shard) for shard in tree["splits"][split]["shards"]) for split in (TRAIN, VALIDATION)
        }
        rate = tree["settings"]["sample_rate"]
        seconds = {split: tree["splits"][split]["audio_samples"] / rate for split in splits}
        return Dataset(name, uri, tree["fingerprint"], splits, tree["settings"], seconds, storage)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(_why_missing(name, uri, storage)) from None
    except (orjson.JSONDecodeError, KeyError, TypeError, ZeroDivisionError) as fault:
        raise UserError(f"{name}/dataset.json is damaged ({fault}); run cliptune prepare again") from None


def _why_missing(name: str, uri: str, storage: Storage) -> str:
    if storage.exists(uris.join(uri, "run.json")):
        return f"{name} holds an unfinished dataset; run the same cliptune prepare again, it goes on where it stopped"
    if not storage.is_folder(uri):
        return f"{name}: there is no such dataset folder"
    return f"{name} holds no dataset (no dataset.json); make one with cliptune prepare"
