"""The columns of a manifest: their names, and their values with types and rules."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from hashlib import blake2b
from typing import NamedTuple, NoReturn
from uuid import UUID

from transforms import reasons, tasks
from transforms.clip import ONLY_CHANNEL
from transforms.errors import ClipRejected, UserError
from transforms.manifests import words
from transforms.manifests.cues import JOINED, CueSettings
from transforms.manifests.locate import Manifest
from transforms.manifests.row import ALIASES, Fields
from transforms.manifests.shards import ONE, Shards
from transforms.printable import is_unicode
from transforms.reasons import Reason
from transforms.settings import Task
from transforms.storage import inside

# No name of a column that means anything is longer.
_MAX_NAME_CHARS = 200
# The longest tags of BCP 47 in use have some thirty; what is longer is no language.
_MAX_LANGUAGE_CHARS = 100
# Characters of the names in a row that is remembered.
_MAX_REMEMBERED = 1 << 14
# Above, floats skip whole numbers, so two ids could become one.
_MAX_WHOLE_FLOAT = 2**53


@dataclass(frozen=True, slots=True)
class Layout:
    """What only a look at all rows tells of their columns.

    Attributes:
      ignored: columns with a usual name whose values show that they mean something else.
      first_channel: the number of the first channel, 0 or 1; None where no row tells from where they are counted.
      repeated: `place_key` of the recordings that several rows mean as a whole; None for more than can be kept.
      folders_are_splits: whether each row's audio lies in a folder that is named after its split.
      remarks: what people should know of the columns, one sentence each.
    """

    ignored: frozenset[str] = frozenset()
    first_channel: int | None = None
    repeated: frozenset[int] | None = frozenset()
    folders_are_splits: bool = False
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ManifestSettings:
    """How manifests are read.

    Attributes:
      audio_root: where relative audio paths start; None for their manifest's folder.
      allow_path: folders that audio may lie in besides.
      columns: names of columns, by their key in `ALIASES`; for the others their aliases are looked for.
      tasks: that rows may name; () for a dataset without a tasks file.
      layout: what `survey.survey` has found.
      mended: URI of the rows that stand in the place of others; "" for none.
      base: absolute folder that a relative `audio_root` starts from; "" for the working folder.
      encoding: of manifests that are text; "" for UTF-8, or what is certain.
      keep_columns: names of columns that go along into the ledger; ("all",) for all that serve no other purpose.
      files_are_splits: whether the manifests are named after splits, such as train.tsv and dev.tsv, and after several.
      shards: what the names of all manifests tell.
      id_prefix: of the ids of rows that have none, in one manifest among others.
      cues: how the cues of subtitles, labels and tiers become clips.
      last_place: of the sample that is read, as `sample.last_place` has it; None for all rows.
    """

    audio_root: str | None = None
    allow_path: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    tasks: tuple[Task, ...] = ()
    layout: Layout = Layout()
    mended: str = ""
    base: str = ""
    encoding: str = ""
    keep_columns: tuple[str, ...] = ()
    files_are_splits: bool = False
    shards: Shards = ONE
    id_prefix: str = ""
    cues: CueSettings = JOINED
    last_place: int | None = None


class Columns(NamedTuple):
    """The columns of one row. They are looked for once a row, for every column is asked for.

    Attributes:
      fields: the row, by the names that it has for them.
      settings: how it is read.
      names: all names that each column of `ALIASES` has in this row, the one that counts first; only that of a flag
        where there is one.
    """

    fields: Fields
    settings: ManifestSettings
    names: Mapping[str, tuple[str, ...]]

    @staticmethod
    def of(fields: Fields, settings: ManifestSettings) -> Columns:
        """The columns of a row that is read with `settings`."""
        header = tuple(fields)
        found = _names if is_small(header) else _names_of_many
        names = found(header, tuple(settings.columns.items()), settings.layout.ignored)
        return Columns(fields, settings, names)

    def name(self, column: str) -> str | None:
        """The name that `column` has in this row; None if it has none."""
        names = self.names[column]
        return names[0] if names else None

    def value(self, column: str) -> object:
        """What stands in `column`; None where the row has none, and for NaN, a table's way to say nothing."""
        names = self.names[column]
        if not names:
            return None
        value = self.fields[names[0]]
        return None if isinstance(value, (float, Decimal)) and math.isnan(value) else value


def is_small(header: Sequence[str]) -> bool:
    """Whether the names of a row may be remembered beside those of others."""
    return len(header) < _MAX_REMEMBERED and sum(map(len, header)) < _MAX_REMEMBERED


def _found(
    header: tuple[str, ...], chosen: tuple[tuple[str, str], ...], ignored: frozenset[str]
) -> Mapping[str, tuple[str, ...]]:
    named = dict(chosen)
    # What a flag names is no other column.
    free = [name for name in reversed(header) if name not in ignored and name not in named.values()]
    known = {canonical(name): name for name in free} | {name.lower(): name for name in free}
    usual = {
        column: tuple(dict.fromkeys(known[spelling] for spelling in spellings if spelling in known))
        for column, spellings in _SPELLINGS.items()
    }
    return usual | {column: (name,) if name in header else () for column, name in chosen}


# Rows of a manifest have the same fields. Of very many fields, only those of the last row are remembered.
_names = functools.lru_cache(maxsize=256)(_found)
_names_of_many = functools.lru_cache(maxsize=1)(_found)


def canonical(name: str) -> str:
    """A column's name in one spelling: "startTime", "Start time" and "start-time" are "start_time"."""
    return name if len(name) > _MAX_NAME_CHARS else _canonical(name)


@functools.lru_cache(maxsize=1024)
def _canonical(name: str) -> str:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[\W_]+", "_", spaced.lower()).strip("_")


# What each column's names are compared with, in the order in which they count.
_SPELLINGS = {
    column: tuple(dict.fromkeys(spelling for alias in aliases for spelling in (alias.lower(), canonical(alias))))
    for column, aliases in ALIASES.items()
}


def find_columns(fields: Fields, manifest: Manifest, settings: ManifestSettings) -> dict[str, str]:
    """The columns found in a manifest's first row.

    Raises:
      UserError: there is none for the audio, or one named by a flag is missing.
    """
    row, found = Columns.of(fields, settings), {}
    for column in dict.fromkeys(("audio", "text", *settings.columns)):  # rows may do without the others
        name = row.name(column)
        if name is None:
            chosen = settings.columns.get(column)
            wanted = repr(chosen) if chosen else f"{column}: {', '.join(ALIASES[column])}"
            there = ", ".join(list(fields)[:12]) or "none"
            raise UserError(f"{manifest.name}: missing column {wanted}; it has {there}. Name it with --{column}_column")
        found[column] = name
    return found


def text(column: str, row: Columns, reason: Reason, task: Task | None = None) -> str:
    """A text that a row must have: its audio path, or its target.

    Raises:
      ClipRejected: `reason` for none or an empty one; BAD_FIELD for another type.
    """
    value = tasks.target_text(task, row.value(column))
    word = {"audio": "the audio path", "text": "the text (transcript)"}[column]
    if value is None:
        raise ClipRejected(reason, f"{word} is missing: the row has no {column} field, or it is null")
    if not isinstance(value, str):
        raise ClipRejected(reasons.BAD_FIELD, f"{word} must be a string, got type {type(value).__name__}")
    if not value.strip():
        raise ClipRejected(reason, f"{word} is empty")
    return _encodable(value, word)


def _encodable(value: str, word: str) -> str:
    if not is_unicode(value):
        raise ClipRejected(reasons.BAD_FIELD, f"{word} holds half a surrogate pair, which is no character")
    return value


def optional(column: str, row: Columns) -> str:
    """A text that a row may have; "" for none.

    A whole number is its digits, also where a table has made 3.0 of 3: all three are one speaker.

    Raises:
      ClipRejected: BAD_FIELD for another type than a string, a whole number or a date.
    """
    value = row.value(column)
    if value is None:
        return ""
    if isinstance(value, str):
        return _encodable(value, column)
    if isinstance(value, (float, Decimal)) and -_MAX_WHOLE_FLOAT <= value <= _MAX_WHOLE_FLOAT and value == int(value):
        return str(int(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise ClipRejected(reasons.BAD_FIELD, f"{column} must be a string, got type {type(value).__name__}")


def language(row: Columns) -> str:
    """The language that a row names, as it writes it; "" for none, and for what names none. No row fails of it."""
    value = row.value("language")
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MAX_WHOLE_FLOAT:
        value = f"{value:.0f}" if value == int(value) else None  # a label's number, which a table may write as 3.0
    if not isinstance(value, str) or len(value) > _MAX_LANGUAGE_CHARS or not is_unicode(value):
        return ""
    return value.strip()


def top_folder(path: object) -> str:
    """The first folder of a relative path; "" for a path without one."""
    file = inside.file_of(path) if isinstance(path, str) else ""
    return file.removeprefix("./").rpartition("/")[0].partition("/")[0]


def place_key(path: str) -> int:
    """A number for a path, the same in every process."""
    return int.from_bytes(blake2b(path.encode(errors="replace"), digest_size=8).digest(), "big")


def is_repeated(path: str, settings: ManifestSettings) -> bool:
    """Whether several rows may mean the whole of this recording."""
    repeated = settings.layout.repeated
    return repeated is None or (bool(repeated) and place_key(path) in repeated)


def split(row: Columns) -> str:
    """The split that a row names; "" for none.

    Raises:
      ClipRejected: BAD_FIELD for a word that names no split.
    """
    value = optional("split", row).strip()
    if not value and row.settings.layout.folders_are_splits:
        value = top_folder(row.value("audio"))
    if not value:
        return ""
    named = words.split_of(value)
    for name in row.names["split"][1:]:
        other = words.split_of(str(row.fields[name]))
        if named and other and named != other:
            both = f"{row.name('split')} says {named}, {name} says {other}"
            raise ClipRejected(reasons.BAD_FIELD, f"columns contradict each other: {both}; name one by --split_column")
    if named is None:
        raise ClipRejected(reasons.BAD_FIELD, f"split must be one of {', '.join(words.SPLITS)}, got {value[:40]!r}")
    return named


def channel(row: Columns) -> int | None:
    """The channel that a row names, from 0; None for all; `ONLY_CHANNEL` for a number that tells nothing.

    Raises:
      ClipRejected: BAD_FIELD for what names no channel.
    """
    value = channel_cell(row.value("channel"))
    if value is None:
        return None
    if (told := words.channel_from_zero(value)) is not None:
        return told
    number = words.channel_number(value)
    if number is None:
        if value.lower() not in words.CHANNELS:
            _refuse_channel(value)
        return words.CHANNELS[value.lower()]
    first = row.settings.layout.first_channel
    if first is None:
        return ONLY_CHANNEL if number else 0
    return number - first if number >= first else _refuse_channel(value)


def channel_cell(value: object) -> str | None:
    """A cell of a channel column as text; None for an empty one, and for a list of several channels.

    Raises:
      ClipRejected: BAD_FIELD for another type than a string or a whole number.
    """
    if isinstance(value, list):
        value = value[0] if len(value) == 1 else None
    if isinstance(value, float) and value == value // 1:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value < _MAX_WHOLE_FLOAT:
        value = str(value)
    if value is not None and not isinstance(value, str):
        _refuse_channel(value)
    return value.strip() or None if isinstance(value, str) else None


def _refuse_channel(value: object) -> NoReturn:
    named = ", ".join(words.CHANNELS)
    raise ClipRejected(reasons.BAD_FIELD, f"channel must be its number or one of {named}, got {str(value)[:40]!r}")
