"""The output folder: what lies where in it, whose it is, and what may be replaced."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from hashlib import file_digest, sha256
from typing import Any, cast

import orjson

from transforms import records
from transforms.audio import builds
from transforms.clip import Clip
from transforms.dataset import earlier, example
from transforms.dataset.plan import REJECTED, Plan, ShardKey
from transforms.errors import OvertakenError, UserError
from transforms.manifests.dead_letters import NOWHERE, Origins
from transforms.manifests.places import NOWHERE as NO_PLACES
from transforms.manifests.places import Places
from transforms.payloads import Payload
from transforms.settings import Settings
from transforms.storage import Guard, Storage, uris

# Of shards, sidecars, `run.json` and what else a rerun goes on from, together: who changes one of them, or what a
# recording is decoded to, counts it up. `dataset.json` and `report.json`, which others read, have their own versions.
FORMAT_VERSION = 2
RUN_FILE, DATASET_FILE, REPORT_FILE, PAGE_FILE = "run.json", "dataset.json", "report.json", "report.html"
CHECKSUMS_FILE = "checksums.json"
REJECTED_FILE = "rejected.jsonl"
# What the dataset was made from, and what was merged into it.
MANIFESTS_FILE, MENDED_FILE, ADDED_FILE = "manifests.json", "mended.jsonl", "added.jsonl"
# All that a run writes at the top of its folder; `earlier.FOLDERS` has the rest.
_FILES = (
    *(DATASET_FILE, CHECKSUMS_FILE, REPORT_FILE, PAGE_FILE, REJECTED_FILE),
    *(MANIFESTS_FILE, MENDED_FILE, ADDED_FILE),
)
TUNING_FOLDER = "tuning"
_CHOICE = "choose another --output"
_CHOICES = f"{_CHOICE}, or pass --overwrite to replace it"
# Other runs that begin at the same moment are looked at anew, so many times.
_LOOKS = 5


@dataclass(frozen=True, slots=True)
class Output:
    """What a run writes, where to, and where it finds its audio.

    Attributes:
      folder: absolute folder or gs:// URI of the dataset.
      base: absolute folder that relative audio paths start from.
      allowed: folders, besides the manifests' own, that local audio may lie in.
      num_shards: shards of each split.
      settings: what decides the bytes.
      storage: reads and writes the dataset, and is confined to its folder.
      verify: whether every payload is decoded again and compared.
      audio_there: whether an earlier run has written audio files into the output.
      inherits: whether shards of a run of another description may be reused.
      claim: sha256 of this run's `run.json`, hexadecimal; "" for an output that nobody else can claim.
      unreachable: buckets that cannot be read, and why: the clips in them are rejected.
      origins: where the rows come from, for `rejected.jsonl`.
      places: where they are, however they are spelled, for fingerprints.
    """

    folder: str
    base: str
    allowed: tuple[str, ...]
    num_shards: dict[str, int]
    settings: Settings
    storage: Storage
    verify: bool = False
    audio_there: bool = False
    inherits: bool = False
    claim: str = ""
    unreachable: tuple[tuple[str, str], ...] = ()
    origins: Origins = NOWHERE
    places: Places = NO_PLACES

    def storage_of(self, clip: Clip) -> Storage:
        """What reads the clip's recording, and nothing outside of the folders that it may lie in."""
        folders = self.allowed if clip.folders is None else tuple(clip.folders)  # a list, behind a shuffle
        return replace(self.storage, folders=folders if clip.confined else None)

    def audio_folder(self) -> str:
        """Where audio files go, with `audio_part="uri"`."""
        return uris.join(self.folder, "audio")

    def write_audio(self, payload: Payload) -> None:
        """Writes a payload as a file of its own, named by its contents: two runs, or two clips, may write the same."""
        uri = uris.join(self.audio_folder(), example.audio_path(payload, self.settings))
        self.storage.write_once(uri, payload.content, payload.mime_type, self.audio_there)

    def claimed(self, claim: Claim, audio_there: bool = False) -> Output:
        """The same output, once it is this run's: whatever is written is written while it is, or not at all."""
        storage = replace(self.storage, guard=claim.guard)
        return replace(self, storage=storage, claim=claim.digest, audio_there=audio_there, inherits=claim.inherits)

    def generations(self, key: ShardKey) -> dict[str, str]:
        """The generations of a shard and its sidecar, if they are to be told `renew` before they are reused."""
        return {uri: self.storage.generation(uri) for uri in self._files(key)} if self.inherits else {}

    def renew(self, generations: Mapping[str, str]) -> bool:
        """Whether what was looked at is still there, and stays, whatever the run that wrote it still does."""
        return all(self.storage.renew(uri, found) for uri, found in generations.items())

    def _files(self, key: ShardKey) -> list[str]:
        return [self.sidecar_uri(key), *([self.shard_uri(key)] if key[0] != REJECTED else [])]

    def delete_audio(self, audio_sha256: str) -> None:
        """Removes the file of a payload that no clip has any more."""
        self.storage.delete(uris.join(self.audio_folder(), example.path_of(audio_sha256, self.settings)))

    def check_claim(self) -> None:
        """Refuses to go on with an output that another run has taken over.

        Raises:
          OvertakenError: its `run.json` is not this run's.
        """
        self.storage.confirm()

    def sweep(self) -> None:
        """Removes what killed runs have left half-written, of any machine. In gs:// only joining files leaves any."""
        bucket = uris.is_gcs(self.folder)
        self.storage.sweep(uris.join(self.folder, TUNING_FOLDER) if bucket else self.folder)

    def shard_path(self, key: ShardKey) -> str:
        """The shard's path below the folder."""
        split, index = key
        return f"{split}/{split}-{index:05d}-of-{self.num_shards[split]:05d}.jsonl"

    def shard_uri(self, key: ShardKey) -> str:
        """Where the shard is."""
        return uris.join(self.folder, self.shard_path(key))

    def sidecar_path(self, key: ShardKey) -> str:
        """The path of the shard's outcomes below the folder."""
        return self.shard_path(key).removesuffix(".jsonl") + ".outcomes.json"

    def sidecar_uri(self, key: ShardKey) -> str:
        """Where the shard's outcomes are."""
        return uris.join(self.folder, self.sidecar_path(key))


@dataclass(frozen=True, slots=True)
class Claim:
    """A run's right to an output folder.

    Attributes:
      digest: sha256 of `run.json`, hexadecimal. Two runs of the same description share it.
      resumed: whether an earlier run of the same description may have left shards there.
      inherits: whether these may be of a run of another description.
      guard: holds while the folder is this run's.
      remarks: what people should know of what was there, one sentence each.
    """

    digest: str
    resumed: bool
    inherits: bool = False
    guard: Guard | None = field(default=None, compare=False)
    remarks: tuple[str, ...] = ()


def claim(output: Output, plan: Plan, overwrite: bool, merge: bool = False) -> Claim:
    """Makes the output this run's: empty, begun by the same run, cleared, or merged into.

    A killed run leaves `run.json` and perhaps shards; the same run goes on from there. Other files are never mixed
    with new shards. What no run has written stays, whatever it is.

    Raises:
      UserError: the folder holds another dataset, or no dataset at all.
      OvertakenError: other runs keep taking the folder over.
    """
    _refuse_file(output)
    content = run_file(plan, output.settings)
    run, guard = _looked_at(output, content, overwrite, merge)
    ours = replace(output, storage=replace(output.storage, guard=guard))
    if not uris.is_gcs(output.folder):
        ours.sweep()  # first of all: it stops those that had the folder before
    resumed = run is not None and (merge or run == orjson.loads(content))
    remarks = _clear(ours, plan, run, keep=resumed) if run is not None else ()
    return Claim(sha256(content).hexdigest(), resumed, merge, guard, remarks)


def refuse_unclaimable(output: Output, plan: Plan, overwrite: bool, merge: bool = False) -> None:
    """Raises the UserError that `claim` would raise for what is there now, and changes nothing."""
    _refuse_file(output)
    _may_be_taken(output, run_file(plan, output.settings), overwrite, merge)


def _refuse_file(output: Output) -> None:
    if output.storage.exists(output.folder):
        raise UserError(f"{output.folder} is a file; --output names a folder")


def _looked_at(output: Output, content: bytes, overwrite: bool, merge: bool) -> tuple[dict[str, Any] | None, Guard]:
    """The description of the run that had the folder, None for an empty one; and the guard of what is now this run's.

    If another run takes the folder between the look and the claim, it is looked at anew.
    """
    for _ in range(_LOOKS - 1):
        with suppress(OvertakenError):
            return _look(output, content, overwrite, merge)
    return _look(output, content, overwrite, merge)


def _look(output: Output, content: bytes, overwrite: bool, merge: bool) -> tuple[dict[str, Any] | None, Guard]:
    folder, storage = output.folder, output.storage
    before = storage.generation(uris.join(folder, RUN_FILE))
    run = _may_be_taken(output, content, overwrite, merge)
    return run, _taken(folder, storage, content, before)


def _may_be_taken(output: Output, content: bytes, overwrite: bool, merge: bool) -> dict[str, Any] | None:
    """The description of the run that had the folder, which may be replaced or gone on with; None for an empty one."""
    folder, storage = output.folder, output.storage
    run, mine = _earlier(folder, storage, content), orjson.loads(content)
    if run is not None and run != mine and not merge and not overwrite:
        raise UserError(f"{folder} holds a dataset with other {_differences(run, mine)}; {_CHOICES}")
    _refuse_no_folders(folder, storage)
    return run


def _taken(folder: str, storage: Storage, content: bytes, before: str) -> Guard:
    """Writes `run.json`, unless it is there already. Runs of one description share it: none takes it from the others.

    Args:
      folder: of the dataset.
      storage: unguarded.
      content: of `run.json`.
      before: its generation when it was decided to take the folder.

    Raises:
      OvertakenError: another run has come in between.
    """
    uri = uris.join(folder, RUN_FILE)
    digest = sha256(content).hexdigest()
    lost = f"another run has taken {folder} over while this one ran; nothing more is written"
    guard = Guard(uri, before, digest[:16], lost)
    if not before or not _is(uri, content, storage):
        replace(storage, guard=guard).write_bytes(uri, content)
    generation = storage.generation(uri)
    if _is(uri, content, storage) and storage.generation(uri) == generation:
        return replace(guard, generation=generation)
    raise OvertakenError(lost)


def _is(uri: str, content: bytes, storage: Storage) -> bool:
    """Whether a file has these contents."""
    try:
        return storage.read_record(uri) == content
    except (FileNotFoundError, *records.DAMAGES):
        return False


def _refuse_no_folders(folder: str, storage: Storage) -> None:
    """Refuses an output whose folders are links, or files: what lies behind a link is nobody's to replace."""
    for name in earlier.FOLDERS:
        uri = uris.join(folder, name)
        if storage.is_link(uri):
            raise UserError(f"{uri} is a link, behind which nothing is written; remove the link, or {_CHOICE}")
        if not uris.is_gcs(uri) and storage.exists(uri):
            raise UserError(f"{uri} is a file where a folder must be; move it away, or {_CHOICE}")


def withdraw(output: Output) -> None:
    """Takes a new claim back, of a run that has written nothing else: the same command then finds an empty folder."""
    output.check_claim()
    for name in (MANIFESTS_FILE, RUN_FILE):
        output.storage.delete(uris.join(output.folder, name))


def left_by_earlier_runs(output: Output) -> tuple[frozenset[ShardKey], bool]:
    """The shards with a sidecar, which an earlier run of the same description finished; and whether there is audio."""
    folders = (uris.join(output.folder, split) for split in output.num_shards)
    there = {uri for folder in folders for uri in output.storage.list_files(folder)}
    keys = ((split, index) for split, count in output.num_shards.items() for index in range(count))
    finished = frozenset(key for key in keys if output.sidecar_uri(key) in there)
    return finished, output.storage.is_folder(output.audio_folder())


def is_forgotten(output: Output, plan: Plan) -> bool:
    """Whether the end of a run has left no dataset, but forgotten a shard that must be written again."""
    if output.storage.exists(uris.join(output.folder, DATASET_FILE)):
        return False
    finished, _ = left_by_earlier_runs(output)
    return len(finished) < len(plan.shard_keys())


def describe(plan: Plan, settings: Settings) -> dict[str, Any]:
    """What a run is: two runs with equal descriptions write the same bytes."""
    description = {
        "format_version": FORMAT_VERSION,
        "settings": asdict(settings),
        "decoders": builds.builds(),
        "manifest": {"rows": plan.rows, "digest": plan.rows_digest},
        "num_shards": plan.num_shards,
    }
    as_read_back: dict[str, Any] = orjson.loads(orjson.dumps(records.sealed(description)))  # tuples are lists there
    return as_read_back


def run_file(plan: Plan, settings: Settings) -> bytes:
    """The contents of `run.json`."""
    return records.pretty(describe(plan, settings))


def _earlier(folder: str, storage: Storage, mine: bytes) -> dict[str, Any] | None:
    """The description of the run that made the folder; None for an empty folder. `mine` is this run's."""
    found = _description_in(folder, storage, mine)
    strangers = storage.list_files(folder) if found is None else []
    if not strangers:
        return found
    # Unless another run of the same command began between the two looks.
    found = _description_in(folder, storage, mine)
    if found is None:
        raise UserError(
            f"{folder} holds other files, for example {strangers[0]}; choose an empty or a new folder for --output"
        )
    return found


def _description_in(folder: str, storage: Storage, mine: bytes) -> dict[str, Any] | None:
    uri = uris.join(folder, RUN_FILE)
    try:
        tree = records.object_of(storage.read_record(uri))
        version = tree.get(records.VERSION_FIELD)
        if not isinstance(version, int) or version == FORMAT_VERSION:
            records.check_seal(tree)  # the first version had none; of a later one nothing is known
        if not earlier.is_run(tree):
            raise ValueError("it has not the fields of a run")
        return tree
    except (FileNotFoundError, *records.DAMAGES) as fault:
        if _was_finished_by(mine, folder, storage):
            return records.object_of(mine)
        if isinstance(fault, FileNotFoundError):
            return None
        remedy = f"{_CHOICE}, or put it back as it was"
        raise records.damaged(uri, fault, "it says what the folder was made from", remedy) from None


def _was_finished_by(mine: bytes, folder: str, storage: Storage) -> bool:
    """Whether the dataset in a folder was finished by a run of this description, by its checksums."""
    try:
        tree = records.tree_of(storage.read_record(uris.join(folder, CHECKSUMS_FILE)), FORMAT_VERSION)
        records.check_seal(tree)
        return bool(tree["sha256"][RUN_FILE] == sha256(mine).hexdigest())
    except (FileNotFoundError, LookupError, TypeError, *records.DAMAGES):
        return False


def _differences(earlier: dict[str, Any], mine: dict[str, Any]) -> str:
    """What changed, as "settings.sample_rate (16000, now 8000)"."""
    old, new = dict(_flat(earlier)), dict(_flat(mine))
    named = sorted((old | new).keys() - {records.CHECKSUM_FIELD})
    changed = [name for name in named if old.get(name) != new.get(name)]
    return ", ".join(f"{name} ({_short(old.get(name))}, now {_short(new.get(name))})" for name in changed)


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _flat(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _clear(output: Output, plan: Plan, run: dict[str, Any], keep: bool) -> tuple[str, ...]:
    """Removes what earlier runs have written, by their own records.

    Args:
      output: this run's.
      plan: of this run.
      run: the description of the earlier run.
      keep: whether shards that the plan has, and all audio, stay, because they may be reused.

    Returns:
      What people should know of what stays.
    """
    folder, storage = output.folder, output.storage
    listed = earlier.listed(*(_tree(name, output) for name in (DATASET_FILE, CHECKSUMS_FILE)))
    storage.delete(uris.join(folder, DATASET_FILE))  # first: from then on nobody takes the rest for a dataset
    folders = [name for name in earlier.FOLDERS if not (keep and name == "audio")]
    there = [uri for name in folders for uri in storage.list_files(uris.join(folder, name))]
    records = earlier.Records(
        run,
        listed,
        lambda path: storage.read_bytes(uris.join(folder, path)),
        lambda path: _sha256(uris.join(folder, path), storage),
    )
    ours = parted = records.part(uris.below(folder, uri) for uri in there)
    if keep:
        planned = {path for key in plan.shard_keys() for path in (output.shard_path(key), output.sidecar_path(key))}
        ours = parted.without(planned, plan.rows)
    else:
        ours.shards[:0] = _FILES
    for paths in (ours.audio, ours.shards, ours.sidecars):
        storage.remove(folder, [uris.join(folder, path) for path in paths])
    return () if keep else _remarks(output, parted.strangers)


def _tree(name: str, output: Output) -> object:
    try:
        return orjson.loads(output.storage.read_record(uris.join(output.folder, name)))
    except (FileNotFoundError, *records.DAMAGES):
        return None


def _sha256(uri: str, storage: Storage) -> str:
    with storage.open_read(uri) as stream:
        return file_digest(cast(io.BufferedIOBase, stream), "sha256").hexdigest()


def _remarks(output: Output, strangers: Sequence[str]) -> tuple[str, ...]:
    remarks = []
    if strangers:
        named = f"{len(strangers):,} files that no run has written" if len(strangers) > 1 else "a file of no run"
        remarks.append(f"{output.folder} keeps {named}: {', '.join(strangers[:3])}{' …' if strangers[3:] else ''}")
    tuning = output.storage.list_files(uris.join(output.folder, TUNING_FOLDER))
    if any(uri.endswith("/job.json") for uri in tuning):
        remarks.append(f"{output.folder}/{TUNING_FOLDER} stays: its job was made from the dataset that is replaced now")
    return tuple(remarks)
