"""Lines as cells: where quotes are syntax, where they are text, and where one never closes."""

from __future__ import annotations

import csv
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import InitVar, dataclass, field
from typing import TextIO

from transforms.bounds import MAX_COLUMNS, MAX_LINE_BYTES
from transforms.errors import UserError

# Common Voice and LJSpeech are written between these without quoting: a lone quote there is text.
LOOSE = ("\t", "|")
# The longest cell that is looked for behind a quote that its own line does not close.
MAX_CELL_LINES = 1_000
# Lines that may be looked at for the ends of cells, so many for each line and so many more. Real files need one or two.
_LOOKS_PER_LINE = 8
_FREE_LOOKS = 200_000


@dataclass(frozen=True, slots=True)
class Record:
    """The cells of one row, on one line or, where a cell holds line ends, on several.

    Attributes:
      line: 1-based line where it begins.
      cells: without the quotes that are syntax.
      text: the lines as they stand.
      fault: why the lines are no row; "" for a row.
      certain: whether the quotes of the record can only be syntax.
    """

    line: int
    cells: list[str]
    text: str
    fault: str = ""
    certain: bool = False


@dataclass(frozen=True, slots=True)
class Quoting:
    """Which cells of a file between `LOOSE` delimiters have quotes that are syntax, besides those with doubled ones.

    Attributes:
      everywhere: every cell that begins and ends with a quote.
      columns: every such cell of these columns.
    """

    everywhere: bool = False
    columns: frozenset[int] = frozenset()

    def unquoted(self, cell: str, column: int) -> str:
        """The text of a cell: `"He said ""yes"" twice."` without its quotes, `"He said` as it is."""
        if not _is_regular(cell):
            return cell
        inner = cell[1:-1]
        if '\\"' in inner and not _is_doubled(inner):
            return inner.replace('\\"', '"')
        certain = '""' in inner or not inner
        return inner.replace('""', '"') if certain or self.everywhere or column in self.columns else cell


def _is_regular(cell: str) -> bool:
    """Whether a cell is quoted as CSV has it: a quote at each end, and within only doubled or escaped ones."""
    if len(cell) < 2 or cell[0] != '"' or cell[-1] != '"':
        return False
    return _is_doubled(cell[1:-1]) or '"' not in cell[1:-1].replace('\\"', "")


def _is_doubled(inner: str) -> bool:
    return '"' not in inner.replace('""', "")


@dataclass(slots=True)
class Records:
    """The records of an open file.

    Attributes:
      text: the file, opened with newline="", so that line ends within cells stay as they are.
      delimiter: between cells.
      quoting: of a file between `LOOSE` delimiters; None for cells as they stand.
      width: cells of a row; 0 while it is not known.
      spaced: whether a space follows each delimiter, as the header shows.
      is_row: whether cells look like a row of the table, which no cell of another row may hold.
      name: of the manifest, for messages.
      _line: of the record that was read last.
      _ahead: lines that have been looked at and not been read.
      _opened: the line of a quote that is still to close; 0 for none.
      _looks: lines that have been looked at for the ends of cells, each as often as it was.
    """

    text: TextIO
    delimiter: str
    quoting: Quoting | None = None
    width: int = 0
    spaced: bool = False
    is_row: Callable[[list[str]], bool] = lambda cells: False
    name: str = ""
    _line: int = 0
    _ahead: deque[str] = field(default_factory=deque)
    _opened: int = 0
    _looks: int = 0

    def __iter__(self) -> Iterator[Record]:
        """Every record; blank lines are none."""
        while line := self._peek(0):
            self._ahead.popleft()
            self._line += 1
            start = self._line
            if len(line) >= MAX_LINE_BYTES:
                yield Record(start, [], line[:2_000], f"the line is longer than {MAX_LINE_BYTES:,} characters")
            elif line.strip():
                yield self._record(start, line)

    def _peek(self, index: int) -> str:
        """The line after `index` others that are not taken yet; "" at the end. One that is too long is cut."""
        while len(self._ahead) <= index:
            line = self.text.readline(MAX_LINE_BYTES)
            if not line:
                return ""
            self._ahead.append(line)
            self._skip_rest(line)
        return self._ahead[index]

    def _skip_rest(self, line: str) -> None:
        while len(line) >= MAX_LINE_BYTES and not line.endswith(("\n", "\r")):
            line = self.text.readline(MAX_LINE_BYTES)

    def _record(self, start: int, line: str) -> Record:
        if '"' not in line:
            return Record(start, self._split(line), line)
        return self._loose(start, line) if self.delimiter in LOOSE else self._strict(start, line)

    def _split(self, line: str) -> list[str]:
        cells = line.rstrip("\r\n").split(self.delimiter)
        return [cell.removeprefix(" ") for cell in cells] if self.spaced else cells

    def _parse(self, text: str) -> tuple[list[str] | None, bool]:
        """The cells as CSV has them, None if the quotes are irregular; and whether one is open at the end."""
        cells, is_open = self._parse_as(text, escape=None)
        if cells is None and '\\"' in text:
            cells, is_open = self._parse_as(text, escape="\\")
        return cells, is_open

    def _parse_as(self, text: str, escape: str | None) -> tuple[list[str] | None, bool]:
        reader = csv.reader(
            [text],
            delimiter=self.delimiter,
            escapechar=escape,
            doublequote=escape is None,
            skipinitialspace=self.spaced,
            strict=True,
        )
        try:
            return next(reader, []), False
        except csv.Error as fault:
            return None, "unexpected end" in str(fault)

    def _strict(self, start: int, line: str) -> Record:
        """A record of a file in which a quote at a cell's beginning is syntax."""
        cells, is_open = self._parse(line)
        if not is_open and self._opened and line.count('"') % 2:
            opened, self._opened = self._opened, 0
            why = f"the quote that opens in line {opened} may close here, so no cell is certain; double or remove it"
            return Record(start, [], line, why)
        if cells is not None:
            return Record(start, cells, line)
        if not is_open:
            return self._irregular(start, line)
        lines, cells = self._closed(line, self._looks_like_row)
        self._take(len(lines) - 1)
        text = "".join(lines)
        if cells is not None:
            return Record(start, cells, text)
        self._opened = start
        follows = self._peek(0)
        why = "never closes" if not follows else f"does not close within {MAX_CELL_LINES:,} lines"
        if follows and self._looks_like_row(follows):
            why = "closes only behind what look like further rows"
        span = f" (lines {start} to {self._line} are no row)" if self._line > start else ""
        return Record(start, [], text, f"the quote that opens in line {start} {why}{span}; double or remove it")

    def _irregular(self, start: int, line: str) -> Record:
        """Quotes that follow no rule are text, if the cells can be told all the same: `"Yes," he said`."""
        cells = self._split(line)
        if len(cells) == self.width and all(cell.count('"') % 2 == 0 for cell in cells):
            return Record(start, cells, line)
        return Record(start, [], line, "the quotes of the row follow no rule (invalid row: quote the text)")

    def _loose(self, start: int, line: str) -> Record:
        """A record of a file in which quotes may be text or syntax."""
        plain = self._split(line)
        cells, is_open = self._parse(line)
        if cells is not None and len(plain) != self.width == len(cells):
            return Record(start, cells, line, certain=True)  # the delimiter is in a quoted cell
        if cells is not None and len(cells) == 1 and self.delimiter in cells[0]:
            return Record(start, cells[0].split(self.delimiter), line, certain=True)  # a spreadsheet quoted the line
        if is_open and self.width:
            lines, cells = self._closed(line, lambda more: len(self._split(more)) >= self.width)
            if cells is not None and len(cells) == self.width:
                self._take(len(lines) - 1)
                return Record(start, cells, "".join(lines), certain=True)
        if self.quoting is not None:
            plain = [self.quoting.unquoted(cell, column) for column, cell in enumerate(plain)]
        return Record(start, plain, line)

    def _closed(self, line: str, ends: Callable[[str], bool]) -> tuple[list[str], list[str] | None]:
        """The lines up to where the open quote closes, or up to one that ends the search; the cells if it closes."""
        lines, length = [line], len(line)
        stays = _Open(self, line)
        while len(lines) < MAX_CELL_LINES and length < MAX_LINE_BYTES:
            more = self._peek(len(lines) - 1)
            self._count_looks(1)
            if not more or ends(more):
                break
            lines.append(more)
            length += len(more)
            if '"' in more and not stays.through(more):
                self._count_looks(len(lines))
                cells, is_open = self._parse("".join(lines))
                if not is_open:
                    return lines, cells
        return lines, None

    def _count_looks(self, number: int) -> None:
        self._looks += number
        if self._looks > _FREE_LOOKS + _LOOKS_PER_LINE * self._line:
            fact = "quotes open and do not close, line for line, so no cell is certain"
            raise UserError(f"{self.name}:{self._line}: {fact}; double or remove them")

    def _looks_like_row(self, line: str) -> bool:
        cells, _ = self._parse(line)
        return any(len(found) == self.width and self.is_row(found) for found in (cells, self._split(line)) if found)

    def _take(self, num_lines: int) -> None:
        for _ in range(num_lines):
            self._ahead.popleft()
        self._line += num_lines


@dataclass(slots=True)
class _Open:
    """Whether a quote that is open stays so, told line by line: to parse all lines again for each would take for ever.

    Attributes:
      records: that parse.
      line: the first.
      plain, escaped: whether it is open if a quote within quotes is doubled, and if it is escaped.
      has_escapes: whether there is an escaped quote, which decides between the two.
      is_unclear: whether a line may go on behind a backslash, so that one line alone tells nothing.
    """

    records: Records
    line: InitVar[str]
    plain: bool = True
    escaped: bool = True
    has_escapes: bool = False
    is_unclear: bool = False

    def __post_init__(self, line: str) -> None:
        self.plain = self.records._parse_as(line, None)[1]
        self.escaped = self.records._parse_as(line, "\\")[1]
        self._look_for_escapes(line)

    def _look_for_escapes(self, line: str) -> None:
        self.has_escapes = self.has_escapes or '\\"' in line
        self.is_unclear = self.is_unclear or line.rstrip("\r\n").endswith("\\")

    def through(self, line: str) -> bool:
        """Whether it certainly is open behind the next line with a quote."""
        self._look_for_escapes(line)
        cells = None
        if self.plain:
            cells, self.plain = self.records._parse_as(f'"{line}', None)
        self.escaped = self.escaped and self.records._parse_as(f'"{line}', "\\")[1]
        return cells is None and not self.is_unclear and (self.escaped if self.has_escapes else self.plain)


def quoting_of(records: Records) -> Quoting:
    """How the cells of a file are quoted, by all of its cells as they stand."""
    headed = doubled = torn = False
    filled: Counter[int] = Counter()
    regular: Counter[int] = Counter()
    for number, record in enumerate(records):
        if number == 0:
            headed = all(map(_is_regular, record.cells))
            records.width = len(record.cells)
            continue
        doubled |= record.certain
        for column, cell in enumerate(() if record.certain else record.cells[: min(records.width, MAX_COLUMNS)]):
            whole = '"' in cell and _is_regular(cell)
            filled[column] += bool(cell)
            regular[column] += whole
            doubled |= whole and '"' in cell[1:-1]
            torn |= '"' in cell and not whole
    columns = frozenset(column for column, count in regular.items() if count == filled[column] > 1)
    return Quoting(headed or (doubled and not torn), columns)
