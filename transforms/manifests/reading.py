"""What a manifest was recognised as, and how much was read of it: one line for people."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from transforms.bounds import MAX_COLUMNS
from transforms.errors import UserError
from transforms.manifests.row import Row

# Of more manifests, those that were read alike share a line.
MAX_LINES = 10


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a manifest was read as.

    Attributes:
      manifest: its name, as the user wrote it.
      format: of it, with what was found out about how it is written.
      columns: how many its rows have together.
      rows: of it, readable or not.
    """

    manifest: str
    format: str
    columns: int
    rows: int


@dataclass(slots=True)
class Reading:
    """What is known of a manifest once it is read.

    Attributes:
      name: of the manifest, as the user wrote it.
      title: of its format.
      notes: what was found out about how it is written, such as its encoding.
      rows: its rows, readable or not.
      names: of its columns.
      cells: of a row without names.
    """

    name: str
    title: str = ""
    notes: list[str] = field(default_factory=list)
    rows: int = 0
    names: dict[str, None] = field(default_factory=dict)
    cells: int = 0

    def counted(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The rows, each counted as it passes."""
        for row in rows:
            self.rows += 1
            if row.fault is None:
                self.cells = max(self.cells, len(row.cells))
                if not row.fields.keys() <= self.names.keys() and len(self.names) < MAX_COLUMNS:
                    self.names.update(dict.fromkeys(row.fields))
            yield row

    def recognised(self) -> Recognised:
        """What is to be said of the manifest, once it is read."""
        columns = max(len(self.names), self.cells)
        return Recognised(self.name, ", ".join([self.title, *self.notes]), columns, self.rows)


def lines(found: Sequence[Recognised]) -> Iterator[str]:
    """What people are told of the manifests of a run, a line each; of many, a line for all that were read alike."""
    if len(found) <= MAX_LINES:
        for each in found:
            yield f"{each.manifest}: read as {each.format}: {_counts(each.columns, each.rows)}"
        return
    alike: dict[str, list[Recognised]] = {}
    for each in found:
        alike.setdefault(each.format, []).append(each)
    for form, group in alike.items():
        counts = _counts(max(each.columns for each in group), sum(each.rows for each in group))
        yield f"{len(group):,} manifest{'s' * (len(group) > 1)} read as {form}: {counts}"


def refuse_unknown(keep_columns: Iterable[str], readings: Collection[Reading]) -> None:
    """Refuses to keep a column that no row of any manifest has.

    Raises:
      UserError: there is none; the text has the likeliest one.
    """
    there = {name for each in readings for name in each.names}
    for name in keep_columns:
        if name != "all" and name not in there:
            near = difflib.get_close_matches(name, there, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"they have {', '.join(sorted(there)[:12])}"
            raise UserError(f"--keep_columns: no manifest has a column {name!r}; {hint}")


def _counts(columns: int, rows: int) -> str:
    return f"{columns:,} column{'s' * (columns != 1)}, {rows:,} row{'s' * (rows != 1)}"
