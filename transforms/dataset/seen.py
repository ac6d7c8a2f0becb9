"""A manifest is read several times; whether its rows, and the files they stand in, are still the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b

from transforms.audio.formats import by_extension
from transforms.clip import Clip, Outcome
from transforms.dataset.plan import Digests
from transforms.errors import ManifestChangedError, UserError
from transforms.manifests.locate import Manifest
from transforms.manifests.places import Places
from transforms.storage import Storage, uris

_MAX_OBJECTS = 10_000_000


@dataclass(frozen=True, slots=True)
class Seen:
    """The manifests as they were when they were first looked at.

    Attributes:
      files: `version_of` each manifest, by its URI.
      digests: over the rows of each manifest and their places, by its URI.
    """

    files: dict[str, str] = field(default_factory=dict)
    digests: dict[str, int] = field(default_factory=dict)

    @staticmethod
    def of(manifests: Iterable[Manifest], storage: Storage) -> Seen:
        """The manifests before any of their rows is read."""
        return Seen({each.uri: version_of(each, storage) for each in manifests})

    def first(self, manifest: Manifest, rows: Iterable[Clip | Outcome], digests: Digests) -> Iterator[Clip | Outcome]:
        """The rows; notes their digest."""
        total = 0
        for row in rows:
            total += digests.of(row)[1]
            yield row
        self.digests[manifest.uri] = total

    def again(self, manifest: Manifest, rows: Iterable[Clip | Outcome], places: Places) -> Iterator[Clip | Outcome]:
        """The rows, which must be those of `first`.

        Raises:
          ManifestChangedError: they are not.
        """
        total, digests = 0, Digests(places)
        try:
            for row in rows:
                total += digests.of(row)[1]
                yield row
        except UserError as fault:
            if manifest.uri not in self.digests:
                raise
            raise changed(manifest.name) from fault
        if total != self.digests.get(manifest.uri, total):
            raise changed(manifest.name)

    @contextmanager
    def reading(self, manifests: Iterable[Manifest], storage: Storage) -> Iterator[None]:
        """Manifests that are read in this block, all rows of them, and then looked at once more.

        Raises:
          ManifestChangedError: as `check`. Of manifests that cannot be read this is told first: they may have changed.
        """
        try:
            yield
        except UserError:
            self.check(manifests, storage)
            raise
        self.check(manifests, storage)

    def check(self, manifests: Iterable[Manifest], storage: Storage) -> None:
        """Looks at the manifests once more, without reading them.

        Raises:
          ManifestChangedError: one is another file, or was written meanwhile.
        """
        for manifest in manifests:
            if version_of(manifest, storage) != self.files.get(manifest.uri):
                raise changed(manifest.name)


NOTHING = Seen()


def changed(name: str) -> ManifestChangedError:
    """The error that names a manifest."""
    return ManifestChangedError(f"the manifest {name} changed while it was read; run this command again")


def version_of(manifest: Manifest, storage: Storage) -> str:
    """What tells that a manifest, or in a folder the name of a file or a text, was changed; "" if it is gone."""
    if not manifest.is_folder:
        return _version(manifest.uri, storage)
    digest = blake2b(digest_size=16)
    if uris.is_gcs(manifest.uri):
        for each in storage.list_objects(manifest.uri, _MAX_OBJECTS):
            digest.update(f"{each.uri}\n{each.size} {each.crc32c}\n".encode())
        return digest.hexdigest()
    for uri in storage.list_files(manifest.uri):
        is_audio = by_extension(uri.rpartition(".")[2].lower()) is not None
        digest.update(f"{uri}\n{'' if is_audio else _version(uri, storage)}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _version(uri: str, storage: Storage) -> str:
    try:
        return storage.identity(uri)
    except (FileNotFoundError, IsADirectoryError):
        return ""
