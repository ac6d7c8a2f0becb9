"""Data sets that are several files: which files of a folder are its manifests, and which splits they are of.

Tables of Hugging Face's hub, its `save_to_disk`, folders with a metadata file, and WebDataset's shards: each file is a
manifest of its own, as if all had been named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import orjson

from transforms.audio.formats import by_extension
from transforms.errors import UserError
from transforms.manifests import kaldi
from transforms.manifests.pairs import is_hidden
from transforms.manifests.words import TRAIN, VALIDATION, split_of
from transforms.storage import Storage, uris

_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
ENDINGS = (".parquet", ".arrow", ".tar")
_STATE, _DICT = "state.json", "dataset_dict.json"
# What tools put behind the name of a split: "-00000-of-00005", and a digest of the contents.
_NUMBERED = re.compile(r"(-\d{3,}(-of-\d{3,})?|-[0-9a-f]{16})+$")
_LHOTSE = re.compile(r"cuts\.\d+\.jsonl(\.gz)?")
# Of a data set's own folders, as the hub has them.
_PLAIN_FOLDERS = frozenset({"", "data", "default"})
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
# More folders than any path has.
_ALL = 1 << 16
# Shards of one pattern: more are a slip.
MAX_SHARDS = 1_000_000


def files_of(folder: str, name: str, storage: Storage) -> list[str]:
    """The manifests of a folder that is a data set of several files, below it; [] for any other folder.

    Args:
      folder: absolute path or gs:// URI.
      name: as the user wrote it.
      storage: lists it.

    Raises:
      UserError: it holds several data sets, or one that cannot be read as it lies there.
    """
    found = [uris.below(folder, uri) for uri in storage.list_files(folder)]
    found = [path for path in found if not is_hidden(path)]
    names = frozenset(found)
    if any(path.rpartition("/")[2] == _STATE for path in found):
        return _saved(folder, name, found, storage)
    if kaldi.likeness(folder, storage) > 0 or _has_pairs(found) or "dataset.json" in names:
        return []
    metadata = [path for path in found if path.rpartition("/")[2] in _METADATA]
    if metadata and any(by_extension(_ending(path)) is not None for path in found):
        return metadata
    for ending in ENDINGS:
        shards = [path for path in found if path.endswith(ending)]
        if shards:
            _refuse_lhotse(name, found)
            _refuse_several(name, shards)
            return shards
    return []


def _saved(folder: str, name: str, found: Sequence[str], storage: Storage) -> list[str]:
    """The files of data sets that `save_to_disk` has written."""
    shards: list[str] = []
    for path in (path for path in found if path.rpartition("/")[2] == _STATE):
        top = path.removesuffix(_STATE)
        try:
            state = orjson.loads(storage.read_record(f"{folder.rstrip('/')}/{path}"))
            names = [str(each["filename"]) for each in state["_data_files"]]
            chosen = state.get("_indices_data_files") or state.get("_indices_files")
        except (ValueError, LookupError, TypeError, AttributeError):
            return []
        if chosen:
            raise UserError(f"{name}: {path} tells of a selection of rows; save it once more after flatten_indices()")
        missing = [each for each in names if f"{top}{each}" not in found]
        if missing:
            raise UserError(f"{name}: {top}{missing[0]}, which {path} names, is not there; copy the data set whole")
        shards += [f"{top}{each}" for each in names]
    return shards


def _has_pairs(found: Iterable[str]) -> bool:
    stems: dict[str, set[bool]] = {}
    for path in found:
        ending = _ending(path)
        if ending == "txt" or by_extension(ending) is not None:
            stems.setdefault(path.rpartition(".")[0], set()).add(ending == "txt")
    return any(len(kinds) > 1 for kinds in stems.values())


def _ending(path: str) -> str:
    return path.rpartition(".")[2].lower()


def _refuse_lhotse(name: str, found: Iterable[str]) -> None:
    if any(_LHOTSE.fullmatch(path.rpartition("/")[2]) for path in found):
        raise UserError(
            f"{name}: a folder of Lhotse Shar, which is not read; write its recordings with save_audios, its cuts with"
            " to_file, and name these"
        )


def _refuse_several(name: str, shards: Sequence[str]) -> None:
    """Refuses a repository of several data sets, which may hold the same rows."""
    folders = {path.rpartition("/")[0] for path in shards}
    plain = {tuple(part for part in folder.split("/") if not _is_plain(part)) for folder in folders}
    if len(plain) > 1:
        several = ", ".join(sorted(filter(None, map("/".join, plain)))[:4])
        raise UserError(
            f"{name}: the folder holds several data sets: {several}; name those that are meant, such as"
            f" --manifest={uris.join(name, sorted(filter(None, folders))[0])}"
        )


def _is_plain(part: str) -> bool:
    return part in _PLAIN_FOLDERS or split_of(part) is not None


class Shards(NamedTuple):
    """What the names of all manifests tell that are shards, or the metadata of folders.

    Attributes:
      shared: how many folders they share, which say nothing.
      are_splits: whether their names say which splits they are of, and of more than one.
      has_validation: whether one is of the validation split. If none is, it is chosen from those for training.
    """

    shared: int = _ALL
    are_splits: bool = False
    has_validation: bool = False

    @staticmethod
    def of(files: Mapping[str, str]) -> Shards:
        """What the manifests tell.

        Args:
          files: name of each as the user wrote it, by its URI.

        Raises:
          UserError: some say that they are held out, and of others it cannot be told.
        """
        folders = [uri.split("/")[:-1] for uri in files if _is_shard(uri)]
        levels = enumerate(zip(*folders, strict=False))
        all_ = min(map(len, folders), default=0)
        shared = next((number for number, level in levels if len(set(level)) > 1), all_)
        found = {uri: _split_of(uri, shared) for uri in files if _is_shard(uri)}
        known = set(found.values()) - {None}
        unclear = next((uri for uri, split in found.items() if split is None), None)
        if unclear is not None and known - {TRAIN}:
            other = next(uri for uri, split in found.items() if split not in (None, TRAIN))
            fact = f"{uris.last_part(other)} is held out by its name, and which split this file is of cannot be told"
            raise UserError(f"{files[unclear]}: {fact}; name the files that are meant, one --manifest for each")
        return Shards(shared, unclear is None and len(known) > 1, VALIDATION in known)

    def split_of(self, uri: str) -> str | None:
        """The split that the rows of a manifest are marked for; None for none."""
        split = _split_of(uri, self.shared) if self.are_splits and _is_shard(uri) else None
        return None if split == TRAIN and not self.has_validation else split

    def prefix(self, uri: str) -> str:
        """The folders of a manifest that others do not share, with a slash behind them: they tell equal names apart."""
        own = uri.split("/")[self.shared : -1] if _is_shard(uri) else []
        return "".join(f"{folder}/" for folder in own)


# Of a manifest that is alone.
ONE = Shards()


def _split_of(uri: str, shared: int) -> str | None:
    """The split that a name speaks of, or else a folder, the nearest first."""
    *folders, file = uri.split("/")[shared:]
    stem = _NUMBERED.sub("", file.rpartition(".")[0])
    return next(filter(None, map(split_of, (stem, *reversed(folders)))), None)


def _is_shard(name: str) -> bool:
    return name.endswith(ENDINGS) or name.rpartition("/")[2] in _METADATA


def expanded(pattern: str) -> list[str]:
    """The names that a pattern such as "shard-{000..099}.tar" or "{a,b}.tar" stands for; the pattern alone for none.

    Raises:
      UserError: these are too many.
    """
    braces = _BRACES.search(pattern)
    parts = _alternatives(braces[1]) if braces else []
    if braces is None or not parts:
        return [pattern]
    rests = expanded(pattern[braces.end() :])
    if len(rests) * len(parts) > MAX_SHARDS:
        raise UserError(f"{pattern}: stands for over {MAX_SHARDS:,} files")
    return [f"{pattern[: braces.start()]}{part}{rest}" for part in parts for rest in rests]


def _alternatives(text: str) -> list[str]:
    found = _RANGE.fullmatch(text)
    if found is None:
        return text.split(",") if "," in text else []
    first, last = int(found[1]), int(found[2])
    if last - first >= MAX_SHARDS:
        raise UserError(f"{{{text}}}: stands for over {MAX_SHARDS:,} files")
    width = len(found[1]) if found[1].startswith("0") else 0
    return [str(number).zfill(width) for number in range(first, last + 1)]
