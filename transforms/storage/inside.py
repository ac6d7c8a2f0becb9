"""A recording inside another file, as text: `FILE#bytes=OFFSET+SIZE:NAME/` or `FILE#row=NUMBER:COLUMN:NAME/`.

Nothing else has such a name: a path that ends with a slash names no file on this machine, and what has such a name in a
bucket stands for a folder. All that asks where a file lies asks for the file that holds the recording.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

_PLACE = re.compile(
    r"(?P<file>.*[^/])#"
    r"(?:bytes=(?P<offset>[0-9]{1,18})\+(?P<size>[0-9]{1,18})|row=(?P<row>[1-9][0-9]{0,17}):(?P<column>[^#:]+))"
    r":(?P<name>[^#]*)/",
    re.DOTALL,
)
_SPECIAL = re.compile(r"[%#\x00-\x1f\x7f]")
_IN_COLUMNS = re.compile(r"[%#:/\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a recording is.

    Attributes:
      file: that holds it: a path or a gs:// URI.
      name: that the recording had as a file, such as that of a member of an archive; "" where none is known.
      offset, size: of its bytes in the file, of a recording that lies there as it is.
      row, column: of a table. Rows are counted from 1; 0 for a range of bytes.
    """

    file: str
    name: str
    offset: int = 0
    size: int = 0
    row: int = 0
    column: str = ""

    def spelled(self) -> str:
        """The place as a URI."""
        where = f"bytes={self.offset}+{self.size}"
        if self.row:
            where = f"row={self.row}:{_IN_COLUMNS.sub(_escaped, self.column)}"
        return f"{self.file}#{where}:{_SPECIAL.sub(_escaped, self.name)}/"


def place_of(uri: str) -> Place | None:
    """The place that a URI spells; None for a file."""
    found = _PLACE.fullmatch(uri) if uri.endswith("/") else None
    if found is None:
        return None
    offset, size, row = (int(found[group] or 0) for group in ("offset", "size", "row"))
    return Place(found["file"], unquote(found["name"]), offset, size, row, unquote(found["column"] or ""))


def file_of(uri: str) -> str:
    """The file that holds a recording; of a recording that is a file, that file."""
    place = place_of(uri)
    return uri if place is None else place.file


def name_of(uri: str) -> str:
    """The name that may tell what a recording is: that of its file, or of the member that it is."""
    place = place_of(uri)
    return uri if place is None else place.name


def _escaped(character: re.Match[str]) -> str:
    return quote(character[0], safe="")
