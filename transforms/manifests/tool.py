"""Tables as tools write them: told by their columns in whatever file of rows, and each row said in Cliptune's words."""

from __future__ import annotations

import itertools
import os
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from transforms import reasons
from transforms.errors import ClipRejected, CliptuneError, NotARegularFileError, UserError
from transforms.manifests.cues import JOINED, CueSettings
from transforms.manifests.row import Fields, Row
from transforms.manifests.words import split_of
from transforms.storage import Storage, uris

# No path is longer.
_MAX_PATH_CHARS = 4_096
# Takes the URI of a file, and its name for messages.
RowsOf = Callable[[str, str], Iterator[Row]]


def _nothing(uri: str, name: str) -> Iterator[Row]:
    return iter(())


@dataclass(frozen=True, slots=True)
class Beside:
    """What lies beside a manifest.

    Attributes:
      name: of the manifest, as the user wrote it.
      uri: of the manifest: absolute path or gs:// URI.
      root: absolute path or gs:// URI of the folder that relative audio paths start from.
      is_given: whether --audio_root names it; else it is the manifest's folder.
      storage: looks there.
      split: that the manifest is named after, beside others that are named after other ones; "" for none.
      columns: names of columns that flags give, by their key in `ALIASES`.
      encoding: of the manifest, if a flag names it; else "".
      cues: how cues become clips.
      rows_of: reads another file of rows.
      stack: what is open while the manifest is read.
    """

    name: str
    uri: str
    root: str
    is_given: bool
    storage: Storage
    split: str = ""
    columns: tuple[tuple[str, str], ...] = ()
    encoding: str = ""
    cues: CueSettings = JOINED
    rows_of: RowsOf = _nothing
    stack: ExitStack = field(default_factory=ExitStack)

    def has(self, path: str) -> bool:
        """Whether there is a file of this relative path that may be read."""
        uri = uris.join(self.root, path)
        if path.startswith("/") or len(path) > _MAX_PATH_CHARS or uris.impossible(uri) or self.storage.leads_out(uri):
            return False
        try:
            return self.storage.exists(uri)
        except (PermissionError, NotADirectoryError, NotARegularFileError):
            return False

    def first_of(self, paths: Iterable[str]) -> int | None:
        """The index of the first relative path at which there is a file."""
        return next((index for index, path in enumerate(paths) if self.has(path)), None)

    @property
    def stem(self) -> str:
        """The manifest's file name without what follows the first dot."""
        return uris.stem(self.name)


# Says a row in Cliptune's words: as one row, or as one of each of its parts.
Retell = Callable[[Row], Iterable[Row]]


@dataclass(frozen=True, slots=True)
class Tool:
    """A format of rows, in any format of files.

    Attributes:
      name: unique in `FORMATS`.
      summary: what such a manifest is, in a few words, for help and docs.
      title: what people call it.
      wrote: whether a manifest's first row is of this format.
      retell: takes what lies beside the manifest, and returns what says its rows in Cliptune's words. Rows that are
        none do not come to it; `ClipRejected` is the row's fault.
    """

    name: str
    summary: str
    title: str
    wrote: Callable[[Row], bool]
    retell: Callable[[Beside], Retell]


def retold(rows: Iterator[Row], tool: Tool, beside: Beside) -> Iterator[Row]:
    """The rows of a manifest in Cliptune's words; those that are none as they are."""
    with ExitStack() as stack:
        yield from _retold(rows, tool, tool.retell(replace(beside, stack=stack)))


def _retold(rows: Iterator[Row], tool: Tool, retell: Retell) -> Iterator[Row]:
    for row in rows:
        if row.fault is not None:
            yield row
            continue
        try:
            # Held together: a row that turns out to be at fault is one row.
            parts = list(retell(row))
        except ClipRejected as fault:
            yield replace(row, fault=fault, cells=())
            continue
        except CliptuneError:
            raise
        except Exception as fault:  # in memory, whatever stands in the row
            frame = traceback.extract_tb(fault.__traceback__)[-1]
            place = f"{type(fault).__name__} in {os.path.basename(frame.filename)}:{frame.lineno}"  # noqa: PTH119
            why = f"the row is not what {tool.title} writes ({place})"
            yield replace(row, fault=ClipRejected(reasons.BAD_ROW, why), cells=())
            continue
        several = len(parts) > 1
        yield from (replace(part, part=number if several else 0) for number, part in enumerate(parts, 1))


def parted(retell: Retell, beside: Beside) -> Retell:
    """Gives rows that name no split the one that their manifest is named after."""
    if not beside.split:
        return retell

    def in_split(row: Row) -> Iterator[Row]:
        for each in retell(row):
            yield each if each.fields.get("split") else replace(each, fields={**each.fields, "split": beside.split})

    return in_split


def first_of(rows: Iterator[Row]) -> tuple[Row | None, Iterator[Row]]:
    """The first row that is one, and all rows."""
    before: list[Row] = []
    for row in rows:
        before.append(row)
        if row.fault is None or len(before) > MAX_FAULTS:
            return (row if row.fault is None else None), itertools.chain(before, rows)
    return None, iter(before)


# Lines that are no rows which may stand above the first that is one.
MAX_FAULTS = 100


def renamed(fields: Fields, **names: str) -> Fields:
    """The fields in their order, some under other names; `names` has the new ones by the old."""
    return {names.get(name, name): value for name, value in fields.items()}


def are_named_after_splits(names: Iterable[str]) -> bool:
    """Whether files are named after splits, such as train.tsv and test.tsv, and after more than one."""
    found = [split_of(uris.stem(name)) for name in names]
    return None not in found and len(set(found)) > 1


def stop(beside: Beside, fact: str, remedy: str) -> UserError:
    """The error that refuses a manifest as a whole."""
    return UserError(f"{beside.name}: {fact}; {remedy}")
