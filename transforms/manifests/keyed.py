"""Files of lines that begin with a key, and what lies in a folder: what readers of corpora share."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

from transforms.audio.formats import by_extension
from transforms.bounds import MAX_LINE_BYTES
from transforms.errors import OutsideError
from transforms.manifests.lines import bad_row, numbered
from transforms.manifests.pairs import is_hidden
from transforms.manifests.row import Row
from transforms.manifests.words import are_splits
from transforms.storage import Storage, uris

# Of each table, in memory.
_CACHE_KIB = 8 << 10
# Files that tell what a folder is.
_FILES_LOOKED_AT = 1_000


def keyed(folder: str, file: str, storage: Storage) -> Iterator[tuple[int, str, str] | Row]:
    """Number, key and the rest of each line, and a row for a line that is none; nothing for a file that is not there.

    Args:
      folder: absolute path or gs:// URI.
      file: its path below.
      storage: reads it.
    """
    uri = uris.join(folder, file)
    if not storage.exists(uri):
        return
    with storage.open_read(uri) as stream:
        for number, line in numbered(stream):
            if len(line) > MAX_LINE_BYTES:
                text, why = line[:2_000].decode(errors="replace"), f"the line is longer than {MAX_LINE_BYTES:,} bytes"
                yield bad_row(number, text, why)
                continue
            try:
                key, _, rest = line.decode().partition(" ")
            except UnicodeDecodeError:
                yield bad_row(number, line.decode(errors="replace"), "the line is not valid UTF-8")
                continue
            if key.strip():
                yield number, *_split(key, rest)


def _split(key: str, rest: str) -> tuple[str, str]:
    first, tab, more = key.partition("\t")  # some files have a tab after the key
    return (first, f"{more} {rest}".strip()) if tab else (key, rest.strip())


class Table:
    """The lines of a file by their keys, of which the last counts. Of millions, most wait on the disk.

    They are in a file of SQLite's own, to which no name leads, so that nothing of it outlives its process.

    Attributes:
      count: of lines, those with a key that was there before included.
    """

    def __init__(self, lines: Iterable[tuple[int, str, str]]) -> None:
        # Beam may take rows on another thread than it began with, one after the other.
        self._base = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._taken = bytearray()
        for words in (f"PRAGMA cache_size = -{_CACHE_KIB}", "PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF"):
            self._base.execute(words)
        self._base.execute("CREATE TABLE line (key TEXT PRIMARY KEY, number INTEGER, rest TEXT) WITHOUT ROWID")
        self._base.execute("BEGIN")
        put = "INSERT OR REPLACE INTO line VALUES (?2, ?1, ?3)"
        self.count = self._base.executemany(put, lines).rowcount
        self._base.execute("COMMIT")

    def __enter__(self) -> Table:
        return self

    def __exit__(self, *_: object) -> None:
        self._base.close()

    def get(self, key: str) -> str | None:
        """The rest of the line with a key."""
        found = self._found(key)
        return found[1] if found else None

    def take(self, key: str) -> str | None:
        """As `get`; the line is not among those that are left."""
        if (found := self._found(key)) is None:
            return None
        number, text = found
        self._taken.extend(bytes(max(0, number // 8 + 1 - len(self._taken))))
        self._taken[number // 8] |= 1 << number % 8
        return text

    def left(self) -> Iterator[tuple[int, str, str]]:
        """The lines that nobody took."""
        for number, key, rest in self._base.execute("SELECT number, key, rest FROM line ORDER BY number"):
            if number // 8 >= len(self._taken) or not self._taken[number // 8] >> number % 8 & 1:
                yield number, key, rest

    def share(self, rest: str) -> bool:
        """Whether several keys have the same rest."""
        self._base.execute("CREATE INDEX IF NOT EXISTS by_rest ON line (rest)")
        return len(self._base.execute("SELECT 1 FROM line WHERE rest = ? LIMIT 2", (rest,)).fetchall()) > 1

    def _found(self, key: str) -> tuple[int, str] | None:
        if self.count <= 0:
            return None
        one = self._base.execute("SELECT number, rest FROM line WHERE key = ?", (key,))
        found: tuple[int, str] | None = one.fetchone()
        return found


def first_files(folder: str, storage: Storage) -> Iterator[str]:
    """The first files of a folder, by their paths below it: what it is has to be told without listing all of it."""
    if uris.is_gcs(folder):
        for each in storage.list_objects(folder, _FILES_LOOKED_AT):
            yield uris.below(folder, each.uri)
        return
    waiting, found = [""], 0
    while waiting and found < _FILES_LOOKED_AT:
        at = waiting.pop()
        try:
            below = storage.names(uris.join(folder, at) if at else folder)
        except OutsideError:  # a link to a folder elsewhere, which nobody enters
            continue
        names = [f"{at}/{name}" if at else name for name in below]
        files = [name for name in names if is_recording(name) or not storage.is_folder(uris.join(folder, name))]
        yield from files
        found += len(files) + 1
        waiting += sorted(set(names) - set(files), reverse=True)


def has_pairs(files: Iterable[str]) -> bool:
    """Whether a recording has a text of its own beside it, as in a folder of pairs."""
    files = list(files)
    texts = {file.removesuffix(".txt") for file in files if file.endswith(".txt")}
    return not texts.isdisjoint(by_stem(files))


def files_of(folder: str, storage: Storage) -> list[str]:
    """The paths of a folder's files below it, sorted, without those that systems leave there."""
    below = (uris.below(folder, uri) for uri in storage.list_files(folder))
    return [file for file in below if not is_hidden(file)]


def is_recording(file: str) -> bool:
    """Whether a file's name has the extension of an audio format."""
    return by_extension(file.rpartition(".")[2].lower()) is not None


def by_stem(files: Iterable[str]) -> dict[str, str]:
    """Recordings by their paths without the extension."""
    return {file.rpartition(".")[0]: file for file in files if is_recording(file)}


def split_folders(files: Iterable[str]) -> bool:
    """Whether the folders in which files lie are named after splits, such as train-clean-100 and dev-other."""
    return are_splits({file.partition("/")[0] if "/" in file else "" for file in files})
