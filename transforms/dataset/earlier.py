"""What earlier runs have written into an output folder, by their own records. All else there is somebody else's."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import orjson

from transforms.dataset.plan import LEDGER_ROWS_PER_FILE
from transforms.records import DAMAGES

SIDECARS_AT_A_TIME = 16
# All that a run writes below its folder, beside the files at its top; `tuning/` names jobs that cost money.
FOLDERS = ("train", "validation", "test", "rejected", "ledger", "audio")
_SHARD = re.compile(r"(train|validation|test|rejected)/\1-(\d{5,9})-of-(\d{5,9})\.(jsonl|outcomes\.json)")
_LEDGER = re.compile(r"ledger/ledger-(\d{5,9})-of-(\d{5,9})\.parquet")
_AUDIO = re.compile(r"audio/([0-9a-f]{2})/(\1[0-9a-f]{62})\.([0-9a-z]+)")
_SIDECAR = ".outcomes.json"

Read = Callable[[str], bytes]


def is_run(tree: object) -> bool:
    """Whether this is the description of a run of ours, of any version."""
    if not isinstance(tree, dict) or not isinstance(tree.get("format_version"), int):
        return False
    manifest, shards, settings = (tree.get(name) for name in ("manifest", "num_shards", "settings"))
    if not (isinstance(manifest, dict) and isinstance(shards, dict) and isinstance(settings, dict)):
        return False
    return isinstance(manifest.get("rows"), int) and all(isinstance(count, int) for count in shards.values())


@dataclass(frozen=True, slots=True)
class Records:
    """The records in an output folder.

    Attributes:
      run: the description of the run that began last.
      listed: paths that `dataset.json` and `checksums.json` list, of whichever run finished last.
      read: reads a file by its path below the folder.
      sha256: of a file's contents, by its path.
    """

    run: Mapping[str, Any]
    listed: Collection[str]
    read: Read
    sha256: Callable[[str], str]

    def part(self, paths: Iterable[str]) -> Parted:
        """Parts the files of `FOLDERS` into those that the records name, and all others."""
        parted = Parted()
        found: dict[str, list[str]] = {"audio": [], "shards": [], "sidecars": []}
        for path in paths:
            kind = "sidecars" if path.endswith(_SIDECAR) else "audio" if path.startswith("audio/") else "shards"
            found[kind].append(path)
        uses_audio = bool(found["audio"]) and self.run["settings"].get("audio_part") == "uri"
        wanted = [path for path in found["sidecars"] if uses_audio or not self._names(path)]
        audio: set[str] = set()
        by_themselves: set[str] = set()
        for path, heard in self._sidecars(wanted):
            by_themselves |= {path, path.replace(_SIDECAR, ".jsonl")}
            audio |= heard
        for path in found["audio"]:
            (parted.audio if uses_audio and self._is_our_audio(path, audio) else parted.strangers).append(path)
        for kind, ours in (("shards", parted.shards), ("sidecars", parted.sidecars)):
            for path in found[kind]:
                (ours if self._names(path) or path in by_themselves else parted.strangers).append(path)
        return parted

    def _names(self, path: str) -> bool:
        """Whether the description, or the list of a finished dataset, names this shard, sidecar or ledger file."""
        shard = _SHARD.fullmatch(path)
        if not shard and not _LEDGER.fullmatch(path):
            return False
        if path in self.listed:
            return True
        if shard:
            split, index, count = shard[1], int(shard[2]), int(shard[3])
            return bool(index < count == self.run["num_shards"].get(split))
        return _is_ledger(path, self.run["manifest"]["rows"])

    def _sidecars(self, paths: Iterable[str]) -> Iterator[tuple[str, set[str]]]:
        """The sidecars among these files, and the sha256 of the audio of each."""
        with ThreadPoolExecutor(SIDECARS_AT_A_TIME, thread_name_prefix="sidecar") as executor:
            for path, heard in executor.map(lambda path: (path, self._sidecar(path)), paths):
                if heard is not None:
                    yield path, heard

    def _sidecar(self, path: str) -> set[str] | None:
        try:
            tree = orjson.loads(self.read(path)) if _SHARD.fullmatch(path) else None
        except (FileNotFoundError, *DAMAGES):
            return None
        if not isinstance(tree, dict) or not {"format_version", "fingerprint", "sha256"} <= tree.keys():
            return None
        outcomes = tree.get("outcomes")
        if not isinstance(outcomes, list):
            return None
        return {str(outcome.get("audio_sha256")) for outcome in outcomes if isinstance(outcome, dict)}

    def _is_our_audio(self, path: str, named: Collection[str]) -> bool:
        """Whether a sidecar names this file of audio; else, of a run killed before its sidecar, its own name does."""
        found = _AUDIO.fullmatch(path)
        if not found or found[3] != self.run["settings"].get("audio_format"):
            return False
        try:
            return found[2] in named or self.sha256(path) == found[2]
        except (FileNotFoundError, *DAMAGES):
            return False


@dataclass(slots=True)
class Parted:
    """Files of an output folder, by their paths.

    Attributes:
      audio: payloads.
      shards: shards, and files of the ledger.
      sidecars: of shards. They are removed last, for they name the others.
      strangers: files that no record names.
    """

    audio: list[str] = field(default_factory=list)
    shards: list[str] = field(default_factory=list)
    sidecars: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def without(self, planned: Collection[str], rows: int) -> Parted:
        """The same without the shards and sidecars of a plan, and without a ledger of its rows."""
        shards = [path for path in self.shards if path not in planned and not _is_ledger(path, rows)]
        return Parted([], shards, [path for path in self.sidecars if path not in planned], self.strangers)


def _is_ledger(path: str, rows: int) -> bool:
    """Whether a ledger of so many rows has this file."""
    found = _LEDGER.fullmatch(path)
    return bool(found and int(found[1]) < int(found[2]) == max(1, -(-rows // LEDGER_ROWS_PER_FILE)))


def listed(*trees: object) -> frozenset[str]:
    """The paths in a `dataset.json` and a `checksums.json`, damaged or not."""
    found: set[str] = set()
    for tree in trees:
        known = tree.get("sha256") if isinstance(tree, dict) else None
        found |= set(known) if isinstance(known, dict) else set()
        splits = tree.get("splits") if isinstance(tree, dict) else None
        for split in splits.values() if isinstance(splits, dict) else ():
            shards = split.get("shards") if isinstance(split, dict) else None
            for shard in shards if isinstance(shards, list) else ():
                if isinstance(shard, dict) and isinstance(shard.get("path"), str):
                    found.add(shard["path"])
    return frozenset(found)
