"""Dead letters: rejected rows as lines of a manifest that runs as it is, and what a reader makes of such a line."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from typing import Any

import orjson

from transforms import reasons, records
from transforms.clip import Clip, Outcome
from transforms.errors import ClipRejected
from transforms.manifests import allowed
from transforms.manifests.columns import Layout, ManifestSettings
from transforms.manifests.locate import Manifest
from transforms.manifests.row import ALIASES, Fields, Row
from transforms.reasons import REASONS
from transforms.storage import Storage, uris

# What is said of a damaged file of rows that were merged.
KEPT_FOR, REMEDY = "it keeps the rows of earlier merges", "remove it, and merge its rows again"
_PREFIX = "reject_"
_ADDED, _COVERED = "reject_added", "reject_covered"
_WHY = ("reject_reason", "reject_detail", "reject_source", "reject_row", "reject_heard", _ADDED, _COVERED)
# What the row alone does not show: its line was none, or another row has what it has.
_NOT_IN_THE_ROW = tuple(
    reason.name for reason in (reasons.BAD_ROW, reasons.DUPLICATE_ID, reasons.DUPLICATE_AUDIO, reasons.OVERLAPPING_CUES)
)
# How a row was read, which its next rejection says again.
_HOW = ("reject_root", "reject_columns", "reject_allow_path", "reject_layout")
_NO_ROW = 'it was no row of its manifest: write its columns in the place of "line"'


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What a line of `rejected.jsonl` holds beside the columns of its row.

    The names begin with "reject_", so that they do not clash with those columns. Readers take the last three as what
    the flags of the first run said of this row; the same flags, given again, count more.

    Attributes:
      reject_reason: the name of a `Reason`.
      reject_detail: what was found, for a person.
      reject_source: "manifest:line" of the row.
      reject_row: a digest of the row, where the reason does not lie in the row alone. While the row is as it was, it is
        refused again.
      reject_root: absolute folder or gs:// URI at which relative audio paths start.
      reject_columns: the columns that flags named, by their key in `ALIASES`.
      reject_allow_path: absolute folders, besides `reject_root`, that audio may lie in.
      reject_layout: what the whole table told of its columns, of which one row knows nothing: `ignored`,
        `first_channel` and `folders_are_splits`, as `Layout` has them.
    """

    reject_reason: str | None
    reject_detail: str | None
    reject_source: str
    reject_row: str | None = None
    reject_root: str | None = None
    reject_columns: dict[str, str] | None = None
    reject_allow_path: list[str] | None = None
    reject_layout: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Suspect(DeadLetter):
    """What a line of `suspects.jsonl` holds beside the columns of its row, which is accepted.

    Attributes:
      clip_id: of the clip.
      source: "manifest:line" of the row.
      score: from 0 to 1, how sure it is that the text is not that of the audio.
      why: what speaks against the text, for a person.
      reject_heard: what systems said of the audio, by their names.
      reject_added: which of the first four are no columns of the row. Readers drop them.
      reject_covered: the row's own columns of these names, where their values are others. Readers put them back.
    """

    clip_id: str = ""
    source: str = ""
    score: float = 0.0
    why: str = ""
    reject_heard: dict[str, str] | None = None
    reject_added: list[str] | None = None
    reject_covered: dict[str, Any] | None = None


SUSPECT = "suspect"


@dataclass(frozen=True, slots=True)
class Origins:
    """Where the rows of a run come from, so that a rejected one finds back.

    Attributes:
      roots: where the relative audio paths of each manifest start, absolute, by the manifest's name.
      columns: that flags named.
      allow_path: local folders that audio may lie in.
      root_given: whether --audio_root was given, which counts more than what a dead letter says.
      layout: what all rows tell together.
      keeps_columns: whether columns go along into the ledger.
    """

    roots: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    allow_path: tuple[str, ...] = ()
    root_given: bool = False
    layout: Layout = field(default_factory=Layout)
    keeps_columns: bool = False

    @staticmethod
    def of(manifests: Iterable[Manifest], settings: ManifestSettings, base: str) -> Origins:
        """The origins of a run's rows; `base` is the absolute folder that relative names start from."""
        manifests = list(manifests)
        given = settings.audio_root
        roots = {
            each.name: uris.absolute(each.folder() if given is None else given, base).rstrip("/") or "/"
            for each in manifests
        }
        folders = allowed.allowed_roots(manifests, settings, base)
        keeps = bool(settings.keep_columns)
        return Origins(roots, settings.columns, folders, given is not None, settings.layout, keeps)

    def root_of(self, source: str, row: Fields) -> str | None:
        """Where a row's relative paths start: what a dead letter says, else the root of its "manifest:line"."""
        if isinstance(row.get("reject_root"), str) and not self.root_given:
            return str(row["reject_root"])
        place = source.rpartition(":")[0]
        while place not in self.roots and (above := uris.parent(place)) not in ("", place, "/"):
            place = above
        return self.roots.get(place)


NOWHERE = Origins()


def line(outcome: Outcome, origins: Origins) -> bytes:
    """A rejected row as a line of `rejected.jsonl`: the row as it was, why it was refused, and how it was read."""
    row, letter = _letter(outcome, origins)
    return _line({**row, **letter})


def suspect(clip: Clip, origins: Origins, score: float, why: str, heard: Mapping[str, str]) -> bytes:
    """An accepted row as a line of `suspects.jsonl`: why it is doubted, the row as it is, and how it was read.

    Args:
      clip: of the row.
      origins: of the rows.
      score: as `Suspect` has it.
      why: likewise.
      heard: likewise.
    """
    doubted = Outcome(clip.clip_id, clip.source, clip.uri, "accepted", SUSPECT, row=clip.row)
    row, letter = _letter(doubted, origins)
    told = {"clip_id": clip.clip_id, "source": clip.source, "score": score, "why": why}
    covered = {name: value for name, value in row.items() if name in told and value != told[name]}
    added = [name for name in told if name not in row]
    more = {"reject_heard": heard, _ADDED: added, _COVERED: covered}
    # Columns stay where they are, so that the row that is put back is the same to the byte.
    shown = {name: told[name] if name in covered else value for name, value in row.items()}
    beside = {name: value for name, value in more.items() if value}
    return _line({**{name: told[name] for name in added}, **shown, **letter, **beside})


def _line(fields: Fields) -> bytes:
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)


def _letter(outcome: Outcome, origins: Origins) -> tuple[Fields, Fields]:
    """A row, and what its dead letter holds beside it."""
    row = orjson.loads(outcome.row) if outcome.row else {}
    kept = {name: row.pop(name) for name in list(row) if name in _HOW}
    root = origins.root_of(outcome.source, kept)
    folders = {*_texts(kept.get("reject_allow_path")), *origins.allow_path}
    if root is not None and not uris.is_gcs(root):
        folders.discard(os.path.realpath(root))
    letter = DeadLetter(
        outcome.reason,
        outcome.detail,
        outcome.source,
        digest(row) if outcome.reason in (*_NOT_IN_THE_ROW, reasons.PATH_NOT_ALLOWED.name) else None,
        root,
        {**_named(kept.get("reject_columns")), **origins.columns} or None,
        sorted(folders) or None,
        kept.get("reject_layout") if "reject_root" in kept else told(origins.layout),
    )
    return row, records.without_none(asdict(letter))


def told(layout: Layout) -> dict[str, Any] | None:
    """What a table has told of its columns, without what is usual; None for nothing."""
    found = {
        "ignored": sorted(layout.ignored),
        "first_channel": layout.first_channel,
        "folders_are_splits": layout.folders_are_splits,
    }
    return {name: value for name, value in found.items() if value not in ([], None, False)} or None


def _layout(fields: Fields) -> Layout:
    """The inverse of `told`, whatever stands there."""
    said = fields.get("reject_layout")
    said = said if isinstance(said, dict) else {}
    first = said.get("first_channel")
    return Layout(
        ignored=frozenset(_texts(said.get("ignored"))),
        first_channel=first if first in (0, 1) and not isinstance(first, bool) else None,
        folders_are_splits=said.get("folders_are_splits") is True,
    )


def digest(row: Fields) -> str:
    """Of a row's own columns, hexadecimal, whatever their order."""
    try:
        content = orjson.dumps(own(row), option=orjson.OPT_SORT_KEYS)
    except TypeError:  # what JSON cannot hold, and no rejection has written
        content = ascii(own(row)).encode()
    return blake2b(content, digest_size=8).hexdigest()


def own(row: Fields) -> Fields:
    """A row without what its rejection, or a doubt, added to it."""
    added, covered = _texts(row.get(_ADDED)), row.get(_COVERED)
    back = covered if isinstance(covered, dict) else {}
    kept = (name for name in row if not name.startswith(_PREFIX) and name not in added)
    return {name: back.get(name, row[name]) for name in kept}


def is_one(fields: Fields) -> bool:
    """Whether a row is a dead letter."""
    return isinstance(fields.get("reject_source"), str) and "reject_reason" in fields


def mended(uri: str, storage: Storage) -> dict[str, Fields]:
    """The rows that stand in the place of others, by the "manifest:line" of these; {} without such a file."""
    found = lines(uri, storage, ("source", str), ("row", dict)) if uri else []
    return {each["source"]: each["row"] for each in found}


def lines(uri: str, storage: Storage, *fields: tuple[str, type]) -> list[Fields]:
    """The lines of a file in which merges keep rows; [] without such a file.

    Args:
      uri: of the file.
      storage: reads it.
      *fields: name and type of what each line has.

    Raises:
      UserError: the file is damaged.
    """
    try:
        content = storage.within([uris.parent(uri)]).read_bytes(uri).splitlines()
        return [_kept(number, line, fields) for number, line in enumerate(content, 1)]
    except FileNotFoundError:
        return []
    except records.DAMAGES as fault:
        raise records.damaged(uri, fault, KEPT_FOR, REMEDY) from None


def _kept(number: int, line: bytes, fields: Iterable[tuple[str, type]]) -> Fields:
    try:
        found = records.object_of(line)
    except ValueError as fault:
        raise ValueError(f"line {number}: {fault}") from None
    for name, kind in fields:
        if not isinstance(found.get(name), kind):
            raise ValueError(f"line {number}: {name}: expected {kind.__name__}, got {found.get(name)!r:.60}")
    return found


def in_place_of(row: Row, fields: Fields) -> Row:
    """The row with other columns. What its own rejection said of it, if it is a dead letter, stays."""
    not_now = ("reject_row", _ADDED, _COVERED)  # of the row as its manifest has it
    said = {name: value for name, value in row.fields.items() if name.startswith(_PREFIX) and name not in not_now}
    return replace(row, fields={**fields, **said}, fault=None, text="")


@dataclass(frozen=True, slots=True)
class Opened:
    """A dead letter as a row.

    Attributes:
      row: without why it was refused; with the fault of one that is refused again.
      settings: how it is read.
      folders: local folders that it may lead to; None for those of the run.
      strict: whether its absolute path is confined, too: it was refused for it, as manifests in buckets are.
      is_letter: whether it is a dead letter, and no other row.
    """

    row: Row
    settings: ManifestSettings
    folders: tuple[str, ...] | None = None
    strict: bool = False
    is_letter: bool = False

    def confined(self, clip: Clip) -> Clip:
        """The clip, if its path stays in the folders.

        Raises:
          ClipRejected: PATH_NOT_ALLOWED.
        """
        clip = replace(clip, confined=True) if self.strict else clip
        if self.folders is None or not clip.confined:
            return clip
        allowed.check_allowed(clip.uri, self.folders)  # absolute, as the root is
        return replace(clip, folders=self.folders)


def opened(row: Row, given: ManifestSettings, read: ManifestSettings, manifest: Manifest) -> Opened:
    """What a reader makes of a dead letter.

    It opens no more than its manifest could with an absolute path: in a manifest on this machine, the folder that it
    names and what lies below; in one from a bucket, no folder that the command does not allow.

    Args:
      row: the line.
      given: what the flags say.
      read: how the other rows of the manifest are read.
      manifest: that holds it.
    """
    how = {name: value for name, value in row.fields.items() if name.startswith(_PREFIX) and name not in _WHY}
    fields = {**own(row.fields), **how}
    strict = row.fields["reject_reason"] == reasons.PATH_NOT_ALLOWED.name and _is_as_it_was(row.fields)
    read = replace(read, layout=_layout(fields))
    plain = Opened(replace(row, fields=fields), read, strict=strict, is_letter=True)
    try:
        refused_again(row.fields)
        root, columns = _root(fields), _columns(fields)
    except ClipRejected as fault:
        return replace(plain, row=replace(plain.row, fault=fault))
    if root is None or given.audio_root is not None:
        return replace(plain, settings=replace(read, columns={**columns, **given.columns}))
    settings = replace(read, audio_root=root, columns={**columns, **given.columns})
    if uris.is_gcs(root) or uris.is_gcs(manifest.uri):
        return replace(plain, settings=settings)
    folders = {root, *_texts(fields.get("reject_allow_path")), *given.allow_path}
    local = (os.path.realpath(path) for path in folders if not uris.is_gcs(path))
    return replace(plain, settings=settings, folders=tuple(sorted(set(local))))


def refused_again(fields: Fields) -> None:
    """Refuses a row that still is what it was refused for.

    Raises:
      ClipRejected: for a reason that the row alone does not show.
    """
    reason, detail = fields.get("reject_reason"), fields.get("reject_detail")
    if reason == reasons.BAD_ROW.name and own(fields).keys() == {"line"}:
        said = detail if isinstance(detail, str) else "the line is no row"
        raise ClipRejected(reasons.BAD_ROW, said if said.endswith(_NO_ROW) else f"{said}; {_NO_ROW}")
    if reason in _NOT_IN_THE_ROW and _is_as_it_was(fields):
        raise ClipRejected(REASONS[str(reason)], str(detail))


def _is_as_it_was(fields: Fields) -> bool:
    return fields.get("reject_row") == digest(fields)


def _root(fields: Fields) -> str | None:
    root = fields.get("reject_root")
    if root is None:
        return None
    if not isinstance(root, str) or "\0" in root or not (uris.is_gcs(root) or root.startswith("/")):
        raise ClipRejected(
            reasons.BAD_FIELD, f"reject_root must be an absolute folder or gs://, got {str(root)[:40]!r}"
        )
    return root


def _columns(fields: Fields) -> dict[str, str]:
    columns = fields.get("reject_columns")
    if columns is not None and _named(columns) != columns:
        raise ClipRejected(reasons.BAD_FIELD, f"reject_columns must name columns, got {str(columns)[:40]!r}")
    return _named(columns)


def _named(columns: object) -> dict[str, str]:
    pairs = columns.items() if isinstance(columns, dict) else ()
    return {key: name for key, name in pairs if key in ALIASES and isinstance(name, str)}


def _texts(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
