"""Files on this machine of which only those in some folders are read or written, whatever links lead out of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import BinaryIO

from transforms.errors import NotARegularFileError
from transforms.storage import local, opening, uris


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

    @contextmanager
    def write(self, path: str) -> Iterator[BinaryIO]:
        """As `local.write`. A link of this name is replaced, and no link above it is written through."""
        self._refuse_outside(uris.parent(path), path)
        with local.write(path) as file:
            name = opening.name_of(file.fileno())
            if name is not None and not opening.lies_in(name, self.folders):  # a link was put there meanwhile
                raise opening.outside(path)
            yield file

    def write_once(self, path: str, content: bytes, mime_type: str, look_first: bool) -> None:
        """As `local.write_once`. A link to a file outside is replaced."""
        with suppress(FileNotFoundError, IsADirectoryError, NotARegularFileError), self.open_read(path) as file:
            if file.read() == content:
                return
        with self.write(path) as file:
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

    def match(self, pattern: str) -> list[str]:
        """As `local.match`: names may lead out of the folders, and then cannot be read."""
        return local.match(pattern)

    def delete(self, path: str) -> None:
        """As `local.delete`: a link is removed, not what it leads to, and none above it is followed out."""
        self._refuse_outside(uris.parent(path), path)
        local.delete(path)

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
