"""A finished dataset, as its `dataset.json` describes it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from transforms.dataset import ledger
from transforms.dataset.assign import HELD_OUT, TEST, TRAIN, VALIDATION
from transforms.dataset.checksums import Checksums
from transforms.dataset.description import DatasetDescription, Shard
from transforms.dataset.output import CHECKSUMS_FILE, DATASET_FILE, RUN_FILE
from transforms.errors import UserError
from transforms.records import DAMAGES, damage, damaged
from transforms.storage import Storage, uris

__all__ = ["DAMAGES", "HELD_OUT", "TEST", "TRAIN", "VALIDATION", "Dataset", "Shard", "damage", "ledger_rows", "load"]

PREPARE_AGAIN = "run cliptune prepare again"
_LEDGER = "ledger/"


@dataclass(frozen=True, slots=True)
class Dataset:
    """A finished dataset and its location.

    Attributes:
      name: the folder as the user wrote it.
      uri: the folder as an absolute path or gs:// URI.
      description: the contents of `dataset.json`.
      storage: reads the dataset's files, and writes the files below `tuning/`; confined to the folder.
    """

    name: str
    uri: str
    description: DatasetDescription
    storage: Storage

    @property
    def fingerprint(self) -> str:
        """The fingerprint of all examples, hexadecimal."""
        return self.description.fingerprint

    @property
    def seed(self) -> int:
        """What is drawn of the dataset is drawn with this: the same of the same examples."""
        return int(self.fingerprint[:16] or "0", 16)

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings with which the dataset was made."""
        return self.description.settings

    @property
    def splits(self) -> dict[str, tuple[Shard, ...]]:
        """The shards of "train", "validation" and, where rows are marked so, "test", in order."""
        return {name: split.shards for name, split in self.description.splits.items()}

    @property
    def audio_seconds(self) -> dict[str, float]:
        """The seconds of audio of each split."""
        return {name: self.description.seconds(name) for name in self.description.splits}

    def examples(self, split: str) -> int:
        """The number of examples of a split."""
        return sum(shard.examples for shard in self.splits[split])

    def mean_seconds(self, split: str) -> float:
        """The mean duration of a split's clips, in seconds."""
        return self.description.seconds(split) / max(1, self.examples(split))

    def tuning_uri(self, name: str) -> str:
        """The URI of a file in the dataset's `tuning` folder."""
        return uris.join(self.uri, "tuning", name)

    def refuse_links(self) -> None:
        """Refuses shards that a link leads out of the dataset's folder.

        Raises:
          UserError: there is one; it would be read, shown and sent.
        """
        if uris.is_gcs(self.uri):
            return
        top = os.path.join(os.path.realpath(self.uri), "")  # noqa: PTH118 -- text, as everywhere in storage
        for shard in itertools.chain(*self.splits.values()):
            if not os.path.realpath(uris.join(self.uri, shard.path)).startswith(top):
                problem = f"{self.name}/{shard.path} is a link to a file outside of the dataset"
                raise UserError(f"{problem}; put the file itself there, or run cliptune prepare again")

    def ledger_rows(self, columns: list[str]) -> Iterator[dict[str, object]]:
        """The rows of the ledger, in the dataset's order.

        Raises:
          UserError: a file of it is damaged.
        """
        return ledger_rows(uris.join(self.uri, "ledger"), self.storage, columns)

    def changed(self) -> UserError:
        """The error for a dataset whose files differ from its `dataset.json`."""
        return UserError(f"{self.name} differs from its dataset.json; cliptune check {self.name} tells more")

    def shown(self, uri: str) -> str:
        """The name of a file of the dataset, beginning with the folder as the user wrote it."""
        return uri.replace(self.uri.rstrip("/"), self.name.rstrip("/"), 1)


def ledger_rows(folder: str, storage: Storage, columns: list[str]) -> Iterator[dict[str, object]]:
    """The rows of the ledger in `folder`; raises what `Dataset.ledger_rows` raises."""
    known = _checksums(uris.parent(folder), storage)
    try:
        yield from ledger.read_ledger(folder, storage, columns, known)
    except DAMAGES as fault:
        raise damaged(folder, fault, "it tells which clip each example is", PREPARE_AGAIN) from None


def _checksums(folder: str, storage: Storage) -> dict[str, str] | None:
    """The sha256 of each file of the ledger, by its name; None if the dataset does not say."""
    uri = uris.join(folder, CHECKSUMS_FILE)
    try:
        known = Checksums.load(storage.read_record(uri)).sha256
    except FileNotFoundError:
        return None
    except DAMAGES as fault:
        raise damaged(uri, fault, "it tells whether the dataset is as it was made", PREPARE_AGAIN) from None
    return {path.removeprefix(_LEDGER): digest for path, digest in known.items() if path.startswith(_LEDGER)}


def load(name: str, storage: Storage) -> Dataset:
    """The dataset in the folder `name`.

    Raises:
      UserError: there is no dataset, it is not finished, or its `dataset.json` cannot be used.
    """
    uri = uris.absolute(name, os.getcwd())  # noqa: PTH109 -- text, as everywhere in storage
    storage = storage.within([uri])
    try:
        content = storage.read_record(uris.join(uri, DATASET_FILE))
        found = Dataset(name, uri, DatasetDescription.load(content), storage)
        found.refuse_links()
        return found
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(_why_missing(name, uri, storage)) from None
    except DAMAGES as fault:
        raise damaged(f"{name}/{DATASET_FILE}", fault, "it lists the files of the dataset", PREPARE_AGAIN) from None


def _why_missing(name: str, uri: str, storage: Storage) -> str:
    if storage.exists(uris.join(uri, RUN_FILE)):
        return f"{name} holds an unfinished dataset; run the same cliptune prepare again, it goes on where it stopped"
    if not storage.is_folder(uri):
        return f"{name}: there is no such dataset folder"
    return f"{name} holds no dataset (no dataset.json); make one with cliptune prepare"
