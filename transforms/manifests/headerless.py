"""Lists without a header: which cell is the audio, which the text and which the speaker, decided over several rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from transforms.audio.formats import by_extension
from transforms.errors import UserError
from transforms.manifests.lines import bad_row
from transforms.manifests.row import ALIASES, Fields, Row

# Rows that the decision is made over.
ROWS_LOOKED_AT = 500
# From so many rows on, values that come back tell a speaker from texts.
_ENOUGH_ROWS = 4
_NAME = re.compile(r"(?:[A-Z][\w.'-]*\s+){1,2}[A-Z][\w'-]*")

Layout = Callable[[Sequence[str]], Fields]
_KNOWN = frozenset(alias.lower() for aliases in ALIASES.values() for alias in aliases)
# What a text has and the name of a speaker has not: a space, the end of a sentence, letters beyond ASCII.
_OF_A_TEXT = re.compile(r"\s|[.,!?;:…。！？]$|[^\x00-\x7f]")


def is_path(cell: str) -> bool:
    """Whether a cell is a file name with the extension of an audio format."""
    stem, dot, extension = cell.strip().rpartition(".")
    return bool(dot and stem and by_extension(extension.lower()))


def is_header(cells: Sequence[str]) -> bool:
    """Whether a first row names columns: one by a usual name, and none is a recording."""
    names = {cell.strip().removeprefix("\ufeff").lower() for cell in cells}
    return bool(names & _KNOWN) and not any(map(is_path, cells))


def layout_of(rows: Sequence[Sequence[str]]) -> Layout | None:
    """What the cells of a list are; None if it is not clear.

    Known are lists that name files, with a text and perhaps a speaker in any order, and LJSpeech's
    `ID|text|normalized text`.

    Args:
      rows: the first rows, all with as many cells.
    """
    width = len(rows[0])
    columns = [[row[index].strip() for row in rows] for index in range(width)]
    paths = [index for index, column in enumerate(columns) if sum(map(is_path, column)) * 10 >= 9 * len(rows)]
    if width not in (2, 3) or len(paths) > 1:
        return None
    named = bool(paths)
    audio = paths[0] if named else 0
    others = [index for index in range(width) if index != audio]
    if len(others) == 1:
        return _layout(named, audio, others[0])
    return _of_three(named, audio, others[0], others[1], columns)


def _of_three(named: bool, audio: int, first: int, second: int, columns: Sequence[Sequence[str]]) -> Layout | None:
    """The layout of a list with two cells besides the audio: one is the speaker, or both are the text."""
    if _same_words(columns[first], columns[second]):
        return _layout(named, audio, second, instead=first)
    is_text = [_share_of_texts(columns[index]) for index in (first, second)]
    comes_back = [_comes_back(columns[index]) for index in (first, second)]
    for text, speaker, one, other in ((first, second, 0, 1), (second, first, 1, 0)):
        few = is_text[one] >= 0.2 and not is_text[other]
        told_by_words = (few or (is_text[one] >= 0.5 and is_text[other] <= 0.1)) and not _may_be_names(columns[text])
        told_by_names = is_text[one] >= 0.5 and comes_back[other] and not comes_back[one]
        if told_by_words or told_by_names:
            return _layout(named, audio, text, speaker)
    names = any(_may_be_names(columns[index]) for index in (first, second))
    if not named and min(is_text) >= 0.5 and not any(comes_back) and not names:
        return _layout(named, audio, second, instead=first)  # LJSpeech, whose two texts may share few words
    return None


def _layout(named: bool, audio: int, text: int, speaker: int | None = None, instead: int | None = None) -> Layout:
    """Makes fields of cells.

    Args:
      named: whether the audio's cell is its path, not LJSpeech's ID.
      audio: index of its cell.
      text: index of the target's cell.
      speaker: index of the speaker's cell, if there is one.
      instead: index of the cell that counts where the text's is empty.
    """

    def fields(cells: Sequence[str]) -> Fields:
        key = cells[audio] if named else cells[audio].strip()
        found: Fields = {"audio": key} if named else {"id": key, "audio": f"wavs/{key}.wav"}
        found["text"] = cells[text] or (cells[instead] if instead is not None else "")
        return found if speaker is None else {**found, "speaker": cells[speaker]}

    return fields


def _share_of_texts(column: Sequence[str]) -> float:
    filled = [cell for cell in column if cell]
    return sum(bool(_OF_A_TEXT.search(cell)) for cell in filled) / len(filled) if filled else 0.0


def _may_be_names(column: Sequence[str]) -> bool:
    """Whether texts may be the names of speakers, such as "John Smith": beside digits or words that they say."""
    filled = [cell for cell in column if cell]
    if sum(bool(_NAME.fullmatch(cell)) for cell in filled) * 2 >= len(filled):
        return True
    words = sum(len(cell.split()) for cell in filled)
    return _comes_back(column) and words <= 3 * len(filled) and all(map(str.isascii, filled))


def _comes_back(column: Sequence[str]) -> bool:
    return len(column) >= _ENOUGH_ROWS and len(set(column)) * 2 <= len(column)


def _same_words(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether two columns have the same texts, one perhaps with its numbers written out; or the second is empty."""
    alike = 0
    for one, other in zip(first, second, strict=True):
        words, others = (set(re.findall(r"\w+", cell.lower())) for cell in (one, other))
        alike += not other or len(words & others) * 2 >= max(len(words), len(others), 1)
    return alike * 2 > len(first)


def named(rows: Iterator[Row], name: str, columns: Mapping[str, str]) -> Iterator[Row]:
    """Rows of a list with the names that flags give to its cells: column1, column2 …, or those of its first row.

    Args:
      rows: of one manifest. Those without `cells` are passed on.
      name: of the manifest, for messages.
      columns: names of columns that flags give.

    Raises:
      UserError: neither the rows nor the flags say which cell is which.
    """
    chosen = set(columns.values())
    header: tuple[str, ...] | None = None
    for row in rows:
        if not row.cells or row.fault is not None:
            yield row
            continue
        if header is None:
            header = _numbered(row.cells)
            if chosen & set(row.cells):
                header = row.cells
                continue
        if chosen & set(header):
            yield _under(header, row)
        elif row.fields:
            yield row
        else:
            raise UserError(_unclear(row.cells, name))


def _numbered(cells: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"column{number}" for number in range(1, len(cells) + 1))


def _under(header: Sequence[str], row: Row) -> Row:
    if len(row.cells) != len(header):
        return bad_row(row.line, "|".join(row.cells), f"the row has {len(row.cells)} cells, the others {len(header)}")
    return Row(row.line, dict(zip(header, row.cells, strict=True)), file=row.file)


def _unclear(cells: Sequence[str], name: str) -> str:
    shown = ", ".join(f"{column}={cell[:60]!r}" for column, cell in list(zip(_numbered(cells), cells, strict=True))[:6])
    return (
        f"{name}: a list without a header, and which cell is the text is not clear; the first row has {shown}. Put a "
        "header above it that names the audio, the text and the speaker, or name the cells by flags: "
        "--audio_column=column1 --text_column=… --group_column=…"
    )


def usual_width(rows: Sequence[Sequence[str]]) -> int:
    """How many cells most rows have."""
    return Counter(map(len, rows)).most_common(1)[0][0] if rows else 0
