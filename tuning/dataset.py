"""A finished dataset as its `dataset.json` describes it: the only way into the preparing half."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transforms.dataset.assign import TRAIN, VALIDATION
from transforms.dataset.description import DatasetDescription, Shard
from transforms.dataset.output import DATASET_FILE, RUN_FILE
from transforms.errors import UserError
from transforms.storage import Storage, uris

__all__ = ["TRAIN", "VALIDATION", "Dataset", "Shard", "load"]


@dataclass(frozen=True, slots=True)
class Dataset:
    """A finished dataset, and where it is.

    Attributes:
      name: the folder as the user wrote it.
      uri: the folder, absolute or gs://.
      description: what `dataset.json` holds.
      storage: reads its files, and writes those of the tuning half.
    """

    name: str
    uri: str
    description: DatasetDescription
    storage: Storage

    @property
    def fingerprint(self) -> str:
        """Of all examples, hexadecimal."""
        return self.description.fingerprint

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the dataset was made with."""
        return self.description.settings

    @property
    def splits(self) -> dict[str, tuple[Shard, ...]]:
        """The shards of "train" and "validation", in order."""
        return {name: split.shards for name, split in self.description.splits.items()}

    @property
    def audio_seconds(self) -> dict[str, float]:
        """How long the audio of each split lasts."""
        return {name: self.description.seconds(name) for name in self.description.splits}

    def examples(self, split: str) -> int:
        """Lines of a split."""
        return sum(shard.examples for shard in self.splits[split])

    def mean_seconds(self, split: str) -> float:
        """How long a clip of a split is on average."""
        return self.description.seconds(split) / max(1, self.examples(split))

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
        content = storage.read_bytes(uris.join(uri, DATASET_FILE))
        return Dataset(name, uri, DatasetDescription.load(content), storage)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(_why_missing(name, uri, storage)) from None
    except ValueError as fault:
        raise UserError(f"{name}/{DATASET_FILE} is damaged ({fault}); run cliptune prepare again") from None


def _why_missing(name: str, uri: str, storage: Storage) -> str:
    if storage.exists(uris.join(uri, RUN_FILE)):
        return f"{name} holds an unfinished dataset; run the same cliptune prepare again, it goes on where it stopped"
    if not storage.is_folder(uri):
        return f"{name}: there is no such dataset folder"
    return f"{name} holds no dataset (no dataset.json); make one with cliptune prepare"
