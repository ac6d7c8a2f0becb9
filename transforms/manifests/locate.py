"""The manifests that --manifest names: files, globs and folders."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from transforms.errors import UserError
from transforms.manifests import pairs, shards
from transforms.manifests.row import Row
from transforms.storage import Storage, uris


@dataclass(frozen=True, slots=True)
class Manifest:
    """One manifest of a run.

    Attributes:
      name: as the user wrote it; sources are "name:line".
      uri: absolute path or gs:// URI, for workers with another working folder.
      is_folder: whether it is a folder, or a prefix in gs://. Looked up once, for a bucket must list its objects.
      folders: local folders, absolute and without links, in which its files must lie; None for a file that the user
        has named, who may have named a link. What lies in a folder, or matches a glob, was named by whoever made it.
      whole: whether all its rows are taken where others are sampled: somebody has chosen them one by one.
    """

    name: str
    uri: str
    is_folder: bool
    folders: tuple[str, ...] | None = None
    whole: bool = False

    def folder(self) -> str:
        """The folder that relative audio paths start from, as the user would write it."""
        return self.name if self.is_folder else uris.parent(self.name)

    def source(self, row: Row) -> str:
        """The place of one of its rows, as "name:line"; in a folder, the name is that of the row's file.

        The second of several rows that one line holds is "name:line.2".
        """
        line = f"{row.line}.{row.part}" if row.part else str(row.line)
        return f"{uris.join(self.name, row.file) if row.file else self.name}:{line}"


def locate(patterns: Sequence[str], base: str, storage: Storage) -> list[Manifest]:
    """The manifests that --manifest names: files, globs, shards such as "{000..099}.tar", folders.

    A folder of tables or shards is its files. An existing file of exactly the given name is never taken for a pattern.

    Raises:
      UserError: nothing is there; the text says which.
    """
    found: dict[str, Manifest] = {}
    for pattern in patterns:
        for manifest in _matching(pattern, base, storage):
            same = manifest.uri if uris.is_gcs(manifest.uri) else os.path.normpath(manifest.uri)
            found.setdefault(same, manifest)
    return list(found.values())


def _matching(pattern: str, base: str, storage: Storage) -> list[Manifest]:
    uri = uris.absolute(pattern, base)
    try:
        # Consoles of buckets make empty objects that stand for folders.
        if storage.exists(uri) and not (uris.is_gcs(uri) and _stands_for_folder(uri, storage)):
            return [Manifest(pattern, uri, is_folder=False)]
        if storage.is_folder(uri):
            # On a disk, slashes at the end say nothing; files are listed below the folder without them.
            plain = uri if uris.is_gcs(uri) else uri.rstrip("/") or "/"
            folders = _confined_to(plain)
            if files := shards.files_of(plain, pattern, storage):
                each_of = [(uris.join(pattern, file), uris.join(plain, file)) for file in files]
                return [Manifest(name, file, is_folder=False, folders=folders) for name, file in each_of]
            return [Manifest(pattern, plain, is_folder=True, folders=folders)]
    except PermissionError:
        raise UserError(f"{pattern}: no permission to read this manifest") from None
    except FileNotFoundError:  # gone between two looks
        raise UserError(f"{pattern}: there is no such manifest, file or folder") from None
    if (several := shards.expanded(pattern)) != [pattern]:
        return [manifest for each in several for manifest in _matching(each, base, storage)]
    if not re.search(r"[*?\[]", pattern):
        raise UserError(f"{pattern}: there is no such manifest, file or folder")
    named = uri.rpartition("/")[2].startswith(".")
    matches = [match for match in storage.match(uri) if named or not pairs.is_hidden(match.rpartition("/")[2])]
    if not matches:
        raise UserError(f"{pattern}: no manifest matches this pattern")
    start = base.rstrip("/") + "/"
    names = matches if uri == pattern else [match.removeprefix(start) for match in matches]
    folders = _confined_to(uris.parent(re.split(r"[*?\[]", uri)[0]))
    return [Manifest(name, match, is_folder=False, folders=folders) for name, match in zip(names, matches, strict=True)]


def _confined_to(folder: str) -> tuple[str, ...] | None:
    return Storage().within([folder]).folders


def _stands_for_folder(uri: str, storage: Storage) -> bool:
    return uri.endswith("/") or (storage.size(uri) == 0 and storage.is_folder(uri))
