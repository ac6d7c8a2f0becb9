"""Files on this machine of which only those in some folders are read or written, whatever links lead out of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import BinaryIO

from transforms.errors import NotARegularFileError, OutsideError
from transforms.storage import local, opening, uris
from transforms.storage.base import Guard, Part, Status, Version


@dataclass(frozen=True, slots=True)
class Confined:
    """`local`, as `transforms.storage.base.Backend` has it, within folders. All else raises OutsideError.

    Links within the folders are followed, and those from one into another.

    Attributes:
      folders: absolute, without links.
    """

    folders: tuple[str, ...]

    def open_read(self, path: str) -> BinaryIO:
        """As `local.open_read`, of a file that lies in the folders when it is opened."""
        return local.open_read(path, self.folders)

    def read_at_most(self, path: str, num_bytes: int) -> bytes:
        """As `local.read_at_most`, of a file that lies in the folders when it is opened."""
        return local.read_at_most(path, num_bytes, self.folders)

    def open_range(self, path: str) -> BinaryIO:
        """As `local.open_range`, of a file that lies in the folders when it is opened."""
        return local.open_range(path, self.folders)

    def read_part(self, path: str, offset: int, size: int) -> Part:
        """As `local.read_part`, of a file that lies in the folders when it is opened."""
        return local.read_part(path, offset, size, self.folders)

    @contextmanager
    def write(self, path: str, guard: Guard | None = None) -> Iterator[BinaryIO]:
        """As `local.write`. A link of this name is replaced, and no link above it is written through."""
        self._refuse_outside(uris.parent(path), path)
        with local.write(path, guard) as file:
            name = opening.name_of(file.fileno())
            if name is not None and not opening.lies_in(name, self.folders):  # a link was put there meanwhile
                raise opening.outside(path)
            yield file

    def write_once(
        self, path: str, content: bytes, mime_type: str, look_first: bool, guard: Guard | None = None
    ) -> None:
        """As `local.write_once`. A link to a file outside is replaced."""
        with suppress(FileNotFoundError, IsADirectoryError, NotARegularFileError), self.open_read(path) as file:
            if file.read() == content:
                return
        with self.write(path, guard) as file:
            file.write(content)

    def create(self, path: str, content: bytes) -> bool:
        """As `local.create`, in a folder that is no link to one outside."""
        self._refuse_outside(uris.parent(path), path)
        return local.create(path, content)

    def age(self, path: str) -> float:
        """As `local.age`, of a file that lies in the folders."""
        self._refuse_outside(path, path)
        return local.age(path)

    def size(self, path: str) -> int:
        """As `local.size`, of a file that lies in the folders."""
        self._refuse_outside(path, path)
        return local.size(path)

    def is_folder(self, path: str) -> bool:
        """As `local.is_folder`, wherever it is."""
        return local.is_folder(path)

    def list_files(self, folder: str) -> list[str]:
        """As `local.list_files`, of a folder that lies in the folders or is one."""
        self._refuse_outside(folder, folder)
        return local.list_files(folder)

    def names(self, folder: str) -> list[str]:
        """As `local.names`, of a folder that lies in the folders or is one."""
        self._refuse_outside(folder, folder)
        return local.names(folder)

    def match(self, pattern: str) -> list[str]:
        """As `local.match`: names may lead out of the folders, and then cannot be read."""
        return local.match(pattern)

    def delete(self, path: str) -> None:
        """As `local.delete`: a link is removed, not what it leads to, and none above it is followed out."""
        self._refuse_outside(uris.parent(path), path)
        local.delete(path)

    def remove(self, folder: str, paths: Sequence[str], guard: Guard) -> None:
        """As `local.remove`, below folders that are no links to some outside."""
        for place in dict.fromkeys((folder, *map(uris.parent, paths))):
            self._refuse_outside(place, place)
        local.remove(folder, paths, guard)

    def generation(self, path: str) -> str:
        """As `local.generation`, of a file that lies in the folders."""
        self._refuse_outside(uris.parent(path), path)
        return local.generation(path)

    def identity(self, path: str) -> str:
        """As `local.identity`, of a file that lies in the folders."""
        self._refuse_outside(path, path)
        return local.identity(path)

    def renew(self, path: str, generation: str) -> bool:
        """As `local.renew`."""
        return local.renew(path, generation)

    def sweep(self, folder: str, guard: Guard | None = None) -> None:
        """As `local.sweep`, which enters no links."""
        self._refuse_outside(folder, folder)
        local.sweep(folder, guard)

    def version(self, path: str) -> Version | None:
        """As `local.version`."""
        return local.version(path)

    def status(self, path: str, places: dict[str, str]) -> Status | None:
        """As `local.status`; nothing of what lies outside."""
        try:
            self._refuse_outside(path, path)
        except OutsideError:
            return None
        return local.status(path, places)

    def mark(self, path: str, number: int) -> None:
        """As `local.mark`, of a file that lies in the folders."""
        self._refuse_outside(path, path)
        local.mark(path, number)

    def marked(self, path: str) -> int | None:
        """As `local.marked`, of a file that lies in the folders."""
        self._refuse_outside(path, path)
        return local.marked(path)

    def compose(self, sources: list[str], destination: str) -> bool:
        """Files on a disk are joined by copying them."""
        return local.compose(sources, destination)

    def _refuse_outside(self, place: str, path: str) -> None:
        """Refuses `path` if `place`, which is it or its folder, lies outside as links are now."""
        try:
            real = os.path.realpath(place)
        except ValueError:  # a NUL
            return  # whatever is done with it will say what is wrong
        except OSError:  # a link that came or went meanwhile
            raise opening.outside(path) from None
        if not opening.lies_in(real, self.folders):
            raise opening.outside(path)
