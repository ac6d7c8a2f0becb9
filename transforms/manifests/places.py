"""Where rows and recordings are, however the command line spells it: what fingerprints and digests are made of.

`m.jsonl`, `./m.jsonl` and `/data/m.jsonl` are one manifest. Its place is its path below the folder that all manifests
share, so it is the same on every machine, in every working folder, and after all was moved. What people read keeps the
spelling of the command line.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from transforms import reasons
from transforms.clip import Clip, Outcome, sorted_fields
from transforms.manifests.locate import Manifest
from transforms.storage import uris


@dataclass(frozen=True, slots=True)
class Places:
    """The places of a run's rows, from their spellings. Links are followed once, where the manifests are.

    Attributes:
      manifests: the place of each manifest, by its name.
      folders: names of the manifests, the longest first: rows stand in the files of folders, and in files that other
        rows name.
      roots: the place of each folder that audio paths start from, as they are spelled, and of its absolute path.
    """

    manifests: Mapping[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    roots: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def of(manifests: Iterable[Manifest], audio_root: str | None, base: str) -> Places:
        """The places of the rows of some manifests.

        Args:
          manifests: all of a run.
          audio_root: folder that relative audio paths start from; None for that of each manifest.
          base: absolute folder that relative names start from.
        """
        manifests = list(manifests)
        shared = _Shared.of(real_path(uris.absolute(each.folder(), base)) for each in manifests)
        named = {each.name: _manifest(each, shared, base) for each in manifests}
        roots = [each.folder() for each in manifests] if audio_root is None else [audio_root]
        places: dict[str, str] = {}
        for root in dict.fromkeys(roots):
            real = real_path(uris.absolute(root, base))
            for spelled in (root, uris.absolute(root, base), real):
                places[spelled.rstrip("/") or spelled] = shared.place(real)
        folders = sorted((each.name for each in manifests), key=len, reverse=True)
        return Places(named, tuple(folders), places)

    def source(self, source: str) -> str:
        """The place of a row, from its "manifest:line"."""
        name, _, line = source.rpartition(":")
        if name in self.manifests:
            return f"{self.manifests[name]}:{line}"
        for folder in self.folders:
            if name.startswith(folder.rstrip("/") + "/"):
                below = name[len(folder.rstrip("/")) :].lstrip("/")
                return f"{_joined(self.manifests[folder], below)}:{line}"
        return source

    def audio(self, uri: str) -> str:
        """The place of a recording; an absolute one that lies below no root is its own place."""
        end = len(uri)
        while (end := uri.rfind("/", 0, end)) >= 0:  # the folders above, as the path spells them, the nearest first
            folder = uri[:end].rstrip("/")
            if folder in self.roots and folder:
                return self._below(folder, uri)
        top = "/" if uri.startswith("/") else "" if not uris.scheme_of(uri) else uri
        return self._below(top, uri) if top in self.roots else uri

    def _below(self, root: str, uri: str) -> str:
        return _joined(self.roots[root], uri[len(root) :].lstrip("/"))

    def fields(self, row: Clip | Outcome) -> dict[str, Any]:
        """The row's fields for digests, with places for spellings."""
        fields = sorted_fields(row)
        fields["source"] = self.source(row.source)
        if isinstance(row, Clip):
            fields["uri"] = self.audio(row.uri)
        elif row.reason == reasons.DUPLICATE_ID.name:
            fields["detail"] = None  # it spells another row's source
        return fields

    def key(self, row: Clip | Outcome) -> str:
        """What decides shard and order of a row: a clip's id, else the row's place."""
        return row.clip_id if isinstance(row, Clip) else self.source(row.source)

    def are_spelled_in(self, text: str) -> bool:
        """Whether a text has "(manifest:line)" with a manifest as this run spells it."""
        return not self.manifests or any(f"({name}" in text for name in self.manifests)


NOWHERE = Places()


@dataclass(frozen=True, slots=True)
class _Shared:
    """The folders that all local manifests, and all those in gs://, have in common; None where there are none."""

    local: str | None
    remote: str | None

    @staticmethod
    def of(folders: Iterable[str]) -> _Shared:
        kinds: dict[bool, list[str]] = {False: [], True: []}
        for folder in folders:
            kinds[uris.is_gcs(folder)].append(folder)
        local = os.path.commonpath(kinds[False]) if kinds[False] else None
        return _Shared(local, _common(kinds[True]) if kinds[True] else None)

    def place(self, real: str) -> str:
        """The place of an absolute path or gs:// URI."""
        if not uris.is_gcs(real):
            return real if self.local is None else os.path.relpath(real, self.local)
        if self.remote is not None and f"{real}/".startswith(f"{self.remote}/"):
            return f"gs:{real[len(self.remote) :]}"
        return real


def _manifest(manifest: Manifest, shared: _Shared, base: str) -> str:
    folder = shared.place(real_path(uris.absolute(manifest.folder(), base)))
    return folder if manifest.is_folder else _joined(folder, manifest.name.rpartition("/")[2])


def _joined(folder: str, path: str) -> str:
    return path if folder == "." else f"{folder}/{path}"


def real_path(folder: str) -> str:
    """A folder in one spelling."""
    return folder.rstrip("/") if uris.is_gcs(folder) else os.path.realpath(folder)


def _common(folders: list[str]) -> str:
    parts = zip(*(folder.split("/") for folder in folders), strict=False)
    return "/".join(part[0] for part in itertools.takewhile(lambda part: len(set(part)) == 1, parts))
