"""Merging mended rows into a dataset: which manifests made it, and which of their rows have been replaced or added.

`manifests.json` says what the dataset was made from. `mended.jsonl` has the rows that stand in the place of others,
`added.jsonl` those that no manifest had. A later merge reads all three, so that merges add up.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256

import orjson

from transforms import reasons, records
from transforms.clip import Clip, Outcome
from transforms.dataset.output import (
    ADDED_FILE,
    FORMAT_VERSION,
    MANIFESTS_FILE,
    MENDED_FILE,
    REJECTED_FILE,
    RUN_FILE,
    Output,
)
from transforms.dataset.plan import Plan, ShardKey
from transforms.dataset.sidecar import Sidecar
from transforms.errors import UserError
from transforms.manifests import allowed, dead_letters, locate
from transforms.manifests import read as reading
from transforms.manifests.columns import ManifestSettings
from transforms.manifests.cues import CueSettings
from transforms.manifests.dead_letters import Origins
from transforms.manifests.formats import read_manifest
from transforms.manifests.locate import Manifest
from transforms.manifests.places import real_path
from transforms.manifests.row import Fields
from transforms.manifests.tool import Beside
from transforms.settings import Settings
from transforms.storage import Guard, Storage, uris

SIDECARS_AT_A_TIME = 16


@dataclass(frozen=True, slots=True)
class Made:
    """What a dataset was made from, as `manifests.json` holds it.

    Attributes:
      format_version: of this file.
      base: the folder that relative names start from: relative to a dataset on the same machine, else absolute. "/" if
        no name is relative.
      manifests: their names, each a file or a folder; globs are resolved.
      audio_root: as `ManifestSettings` has it.
      allow_path: as `ManifestSettings` has it.
      columns: as `ManifestSettings` has it.
      rows: of the manifests.
      digest: over the contents of these rows, as `Plan.rows_digest`.
      merged: sha256 of the files of rows that were merged, hexadecimal, by their names: of what is there, and while one
        is being written, of what it is to be.
      manifest_encoding: as `ManifestSettings` has `encoding`.
      keep_columns: as `ManifestSettings` has it.
      join_cues: as `CueSettings` has it.
      tier: likewise, as `tiers`.
      last_place: of the sample that was taken of the manifests, as `sample.last_place` has it; None for all rows.
    """

    format_version: int
    base: str
    manifests: tuple[str, ...]
    audio_root: str | None
    allow_path: tuple[str, ...]
    columns: dict[str, str]
    rows: int
    digest: str
    merged: dict[str, list[str]] = field(default_factory=dict)
    manifest_encoding: str = ""
    keep_columns: tuple[str, ...] = ()
    join_cues: float | None = None
    tier: tuple[str, ...] = ()
    last_place: int | None = None

    @staticmethod
    def of(manifests: Iterable[Manifest], settings: ManifestSettings, base: str, folder: str, plan: Plan) -> Made:
        """What a run makes its dataset from; `base` and `folder`, of the dataset, are absolute."""
        names = tuple(manifest.name for manifest in manifests)
        named = [*names, *settings.allow_path, *filter(None, [settings.audio_root])]
        if all(uris.absolute(name, base) == name for name in named):
            base = "/"
        elif not uris.is_gcs(folder):
            base = os.path.relpath(base, folder)
        return Made(
            FORMAT_VERSION,
            base,
            names,
            settings.audio_root,
            settings.allow_path,
            dict(settings.columns),
            plan.rows,
            plan.rows_digest,
            manifest_encoding=settings.encoding,
            keep_columns=settings.keep_columns,
            join_cues=settings.cues.join_cues,
            tier=settings.cues.tiers,
            last_place=settings.last_place,
        )

    def rows_settings(self, settings: Settings, folder: str, mended: str = "") -> ManifestSettings:
        """How the manifests of the dataset in `folder` are read; `mended` as `ManifestSettings` has it."""
        return ManifestSettings(
            self.audio_root,
            self.allow_path,
            self.columns,
            settings.tasks,
            mended=mended,
            base=self.base_of(folder),
            encoding=self.manifest_encoding,
            keep_columns=self.keep_columns,
            cues=CueSettings(settings.max_duration, self.join_cues, self.tier),
            last_place=self.last_place,
        )

    def dump(self) -> bytes:
        """The contents of `manifests.json`, sealed."""
        tree = asdict(self)
        if self.last_place is None:
            del tree["last_place"]
        return records.pretty(records.sealed(tree))

    def is_recorded(self, folder: str, storage: Storage) -> bool:
        """Whether the dataset in a folder says that it was made from just this, however it was spelled."""
        earlier = self._earlier(folder, storage)
        if earlier is None or self._rows_as_read() != earlier._rows_as_read():
            return False
        allowed, then = (frozenset(map(each._real(folder), each.allow_path)) for each in (self, earlier))
        return allowed == then and self._place(folder) == earlier._place(folder)

    def _rows_as_read(self) -> tuple[object, ...]:
        how = self.columns, tuple(self.keep_columns), self.join_cues, tuple(self.tier)
        return *how, self.rows, self.digest

    def spelled_from(self, folder: str, storage: Storage) -> str:
        """The folder that relative names of the dataset in `folder` start from; that of these, if it says nothing."""
        earlier = self._earlier(folder, storage) or self
        return earlier.base_of(folder)

    def _earlier(self, folder: str, storage: Storage) -> Made | None:
        try:
            return records.load(_content(MANIFESTS_FILE, folder, storage), Made, FORMAT_VERSION, seal=True)
        except ValueError:
            return None

    def _place(self, folder: str) -> tuple[frozenset[str], frozenset[str]]:
        """The manifests, and the folders where their relative audio paths start, in one spelling."""
        real = self._real(folder)
        manifests = frozenset(map(real, self.manifests))
        return manifests, manifests if self.audio_root is None else frozenset([real(self.audio_root)])

    def _real(self, folder: str) -> Callable[[str], str]:
        base = self.base_of(folder)
        return lambda name: real_path(uris.absolute(name, base))

    def base_of(self, folder: str) -> str:
        """The absolute folder that relative names start from."""
        return self.base if uris.is_gcs(folder) else os.path.normpath(os.path.join(folder, self.base))  # noqa: PTH118


@dataclass(frozen=True, slots=True)
class Merge:
    """A merge that has been read and not yet written.

    Attributes:
      made: what the dataset was made from.
      settings: of the dataset.
      rows: how its manifests are read.
      mended: rows that stand in the place of others, by their "manifest:line", earlier merges included.
      added: rows that no manifest had, as dead letters, earlier merges included.
      again: sources of the rejected rows that are tried again, though nothing of them may have changed.
    """

    made: Made
    settings: Settings
    rows: ManifestSettings
    mended: Mapping[str, Fields]
    added: Sequence[Fields]
    again: frozenset[str]

    def records(self, guard: Guard) -> MergeRecords:
        """What it writes; `guard` holds while the dataset is the one that was read."""
        mended = [{"source": source, "row": row} for source, row in sorted(self.mended.items())]
        return MergeRecords(self.made, {MENDED_FILE: _jsonl(mended), ADDED_FILE: _jsonl(self.added)}, guard)

    def manifests(self, folder: str, storage: Storage) -> list[Manifest]:
        """What is read: the manifests of the dataset, and the rows that were added."""
        return originals(self.made, folder, storage) + added(folder, storage)


@dataclass(frozen=True, slots=True)
class MergeRecords:
    """What a merge writes before anything else, and what a killed one goes on from: whoever claims the output does.

    Attributes:
      made: what the dataset was made from.
      rows: contents of the files of merged rows, earlier merges included, by their names; empty for one of no rows.
      guard: holds while the dataset is the one that was read.
    """

    made: Made
    rows: Mapping[str, bytes]
    guard: Guard

    def write(self, folder: str, storage: Storage) -> None:
        """Writes what is not there already.

        Raises:
          OvertakenError: the dataset is not the one that was read any more.
        """
        storage = replace(storage.within([folder]), guard=self.guard)
        there = {name: _content(name, folder, storage) for name in self.rows}  # empty for one that is not there
        if there != self.rows:  # killed in between, either of both is what a merge has written
            both = {name: [_digest(there[name]), _digest(content)] for name, content in self.rows.items()}
            _write(MANIFESTS_FILE, replace(self.made, merged=both).dump(), folder, storage)
        for name, content in self._contents().items():
            _write(name, content, folder, storage)

    def are_there(self, folder: str, storage: Storage) -> bool:
        """Whether an earlier merge has written just this."""
        return all(_content(name, folder, storage) == content for name, content in self._contents().items())

    def ahead(self, folder: str, storage: Storage) -> Storage:
        """The storage, to which the rows are there already."""
        return replace(storage, ahead=tuple((uris.join(folder, name), rows) for name, rows in self.rows.items()))

    def _contents(self) -> dict[str, bytes]:
        after = {name: [_digest(content)] for name, content in self.rows.items() if content}
        return {**self.rows, MANIFESTS_FILE: replace(self.made, merged=after).dump()}


def added(folder: str, storage: Storage) -> list[Manifest]:
    """The rows that merges have added to a dataset, as one more manifest of it."""
    there = _content(ADDED_FILE, folder, storage)
    own = storage.within([folder]).folders
    whole = Manifest(ADDED_FILE, uris.join(folder, ADDED_FILE), is_folder=False, folders=own, whole=True)
    return [whole] if there else []


def originals(made: Made, folder: str, storage: Storage) -> list[Manifest]:
    """The manifests that the dataset was made from.

    Raises:
      UserError: one of them is gone.
    """
    base = made.base_of(folder)
    try:
        return [manifest for name in made.manifests for manifest in locate.locate([name], base, storage)]
    except UserError as fault:
        raise UserError(f"{fault}; the dataset was made from it, and a merge reads it again") from None


def clips(made: Made, settings: Settings, folder: str, storage: Storage) -> tuple[Iterator[Clip], Origins]:
    """The rows of a dataset that are clips, as its manifests and later merges have them, and where they come from.

    Args:
      made: what the dataset was made from.
      settings: of the dataset.
      folder: of the dataset, absolute.
      storage: reads the manifests.

    Raises:
      UserError: a manifest is gone or cannot be read, or a file of merged rows is damaged.
    """
    every, output = reading_of(made, settings, folder, storage)
    return (row for row in every if isinstance(row, Clip)), output.origins


def reading_of(
    made: Made, settings: Settings, folder: str, storage: Storage
) -> tuple[Iterator[Clip | Outcome], Output]:
    """All rows of a dataset, as `clips` has them, and the dataset as what their recordings are found with."""
    base = made.base_of(folder)
    mended = uris.join(folder, MENDED_FILE)
    rows = made.rows_settings(settings, folder, mended)
    manifests = allowed.confined(originals(made, folder, storage) + added(folder, storage), rows, base)
    rows = reading.survey(manifests, rows, storage)
    every = (row for manifest in manifests for row in reading.rows(manifest, rows, storage))
    roots = allowed.allowed_roots(manifests, rows, base)
    return every, Output(folder, base, roots, {}, settings, storage, origins=Origins.of(manifests, rows, base))


def load(name: str, folder: str, storage: Storage) -> tuple[Made, Settings, Guard]:
    """What a dataset was made from, its settings, and what holds as long as no other run takes it over.

    Raises:
      UserError: there is no dataset that says so.
    """
    remedy = "run the command that made it once more"
    file, meaning = RUN_FILE, "it says with which settings the dataset was made"
    storage = storage.within([folder])
    try:
        uri = uris.join(folder, RUN_FILE)
        generation = storage.generation(uri)
        content = storage.read_record(uri)
        _refuse_earlier(content, name)
        run = records.tree_of(content, FORMAT_VERSION)
        settings = records.convert(run.get("settings"), Settings)
        records.check_seal(run)
        file, meaning = MANIFESTS_FILE, "it says from what the dataset was made"
        made = storage.read_record(uris.join(folder, MANIFESTS_FILE))
        lost = f"another run has taken {folder} over while this one ran; nothing is merged"
        guard = Guard(uri, generation, _digest(content)[:16], lost)
        return records.load(made, Made, FORMAT_VERSION, seal=True), settings, guard
    except FileNotFoundError:
        if file == RUN_FILE:
            raise UserError(f"--merge_into {name}: there is no dataset") from None
        raise UserError(f"--merge_into {name}: it has no {MANIFESTS_FILE}; {remedy}") from None
    except records.DAMAGES as fault:
        raise records.damaged(f"--merge_into {name}: {file}", fault, meaning, remedy) from None


def _refuse_earlier(run: bytes, name: str) -> None:
    """Refuses a dataset whose shards an earlier version has written: none of them could be reused."""
    for version in range(1, FORMAT_VERSION):
        with suppress(ValueError):
            records.tree_of(run, version)
            fact = f"it was made with format_version {version}, now {FORMAT_VERSION}"
            raise UserError(f"--merge_into {name}: {fact}; prepare it anew from its manifests, with --overwrite")


def read(given: Iterable[Manifest], made: Made, settings: Settings, folder: str, base: str, storage: Storage) -> Merge:
    """The merge of the rows of some manifests. Nothing is checked against the dataset's own manifests yet.

    Args:
      given: manifests of mended rows: `rejected.jsonl`, or a copy of it.
      made: what the dataset was made from.
      settings: of the dataset.
      folder: of the dataset, absolute.
      base: absolute folder that the names of `given` start from.
      storage: reads the files.

    Raises:
      UserError: a line is no row.
    """
    for name in (MENDED_FILE, ADDED_FILE):
        _refuse_altered(name, made, folder, storage)
    mended = dict(dead_letters.mended(uris.join(folder, MENDED_FILE), storage))
    added = dead_letters.lines(uris.join(folder, ADDED_FILE), storage)
    known = {dead_letters.digest(row) for row in added}
    again = set()
    for manifest, source, row in _given(given, storage):
        if dead_letters.is_one(row):
            again.add(str(row["reject_source"]))
            mended[str(row["reject_source"])] = dead_letters.own(row)
        elif dead_letters.digest(row) not in known:
            known.add(dead_letters.digest(row))
            root = uris.absolute(manifest.folder(), base).rstrip("/") or "/"
            added.append({"reject_root": root, **row, "reject_reason": None, "reject_source": source})
    rows = made.rows_settings(settings, folder)
    return Merge(made, settings, rows, mended, added, frozenset(again))


def _refuse_altered(name: str, made: Made, folder: str, storage: Storage) -> None:
    """Refuses rows of earlier merges that no merge has written. Where the file is gone, there are none."""
    content = _content(name, folder, storage)
    if content and name in made.merged and _digest(content) not in made.merged[name]:
        fault = ValueError("altered since it was written")
        raise records.damaged(uris.join(folder, name), fault, dead_letters.KEPT_FOR, dead_letters.REMEDY)


def _given(manifests: Iterable[Manifest], storage: Storage) -> Iterator[tuple[Manifest, str, Fields]]:
    """Each row of the mended manifests, with its manifest and "manifest:line"."""
    for manifest in manifests:
        if not manifest.is_folder and _is_empty(manifest, storage):
            continue  # nothing was rejected
        within = replace(storage, folders=manifest.folders)
        beside = Beside(manifest.name, manifest.uri, uris.parent(manifest.uri), is_given=False, storage=within)
        for row in read_manifest(manifest.uri, manifest.is_folder, beside, within):
            source = manifest.source(row)
            if row.fault is not None:
                raise UserError(f"{source}: {row.fault.detail}; nothing is merged")
            yield manifest, source, row.fields


def _is_empty(manifest: Manifest, storage: Storage) -> bool:
    try:
        return not storage.size(manifest.uri)
    except FileNotFoundError:
        return False  # reading it will say so


def checked(merge: Merge, as_made: Iterable[Clip | Outcome], name: str) -> Merge:
    """The merge without the rows that are as they were, when its sources are known to be rows of the dataset.

    Args:
      merge: from `read`.
      as_made: every row of the dataset's manifests as they are now, and of those that were added.
      name: of the dataset, for messages.

    Raises:
      UserError: a mended row stands for none of them.
    """
    mended, unknown = dict(merge.mended), set(merge.mended)
    for row in as_made:
        unknown.discard(row.source)
        if row.source in mended and dead_letters.own(orjson.loads(row.row or "{}")) == mended[row.source]:
            del mended[row.source]
    if unknown:
        first = min(unknown)
        raise UserError(
            f"{first}: no row of {name} is from there ({len(unknown):,} such rows); merge the rejected.jsonl of this"
            " dataset, or take reject_source out of rows that are to be added"
        )
    return replace(merge, mended=mended)


def check_unchanged(made: Made, plan: Plan, name: str) -> None:
    """Refuses to merge into a dataset whose manifests have changed; `plan` is of their rows as they are now.

    Raises:
      UserError: their rows are not those that the dataset was made from.
    """
    if plan.rows_digest != made.digest:
        names = ", ".join(made.manifests[:3]) + (" …" if len(made.manifests) > 3 else "")
        raise UserError(
            f"{names}: changed since {name} was made ({made.rows:,} rows then, {plan.rows:,} now); a merge needs the"
            " manifests as they were: restore them, or prepare the dataset anew from what they are now"
        )


def forget(output: Output, keys: Iterable[ShardKey], sources: frozenset[str]) -> None:
    """Removes the sidecars of shards that hold rejected rows to be tried again, so that these are written again."""

    def stale(key: ShardKey) -> bool:
        try:
            outcomes = Sidecar.load(output.storage.read_bytes(output.sidecar_uri(key))).outcomes
        except (FileNotFoundError, *records.DAMAGES):
            return False
        return any(_is_tried_again(outcome, sources) for outcome in outcomes)

    keys = list(keys)
    with ThreadPoolExecutor(SIDECARS_AT_A_TIME, thread_name_prefix="sidecar") as executor:
        for key, is_stale in zip(keys, executor.map(stale, keys), strict=True):
            if is_stale:
                output.storage.delete(output.sidecar_uri(key))


def are_rejected(folder: str, storage: Storage, sources: frozenset[str]) -> bool:
    """Whether a finished dataset has rejected some of these rows, by its `rejected.jsonl`."""
    try:
        letters = dead_letters.lines(uris.join(folder, REJECTED_FILE), storage, ("reject_source", str))
    except UserError:
        return True
    return any(letter["reject_source"] in sources for letter in letters)


def _is_tried_again(outcome: Outcome, sources: frozenset[str]) -> bool:
    # The clip for which a duplicate was dropped may be another one now.
    duplicate = outcome.reason == reasons.DUPLICATE_AUDIO.name
    return outcome.status == "rejected" and (duplicate or outcome.source in sources)


def _content(name: str, folder: str, storage: Storage) -> bytes:
    try:
        return storage.within([folder]).read_bytes(uris.join(folder, name))
    except (FileNotFoundError, *records.DAMAGES):
        return b""


def _write(name: str, content: bytes, folder: str, storage: Storage) -> None:
    """Writes a file, unless it is as it should be."""
    if content != _content(name, folder, storage):
        storage.write_bytes(uris.join(folder, name), content)


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()


def _jsonl(rows: Iterable[object]) -> bytes:
    return b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)
