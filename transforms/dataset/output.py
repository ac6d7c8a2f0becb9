"""The output folder: what lies where in it, whose it is, and what may be replaced."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

import orjson

from transforms import records
from transforms.audio import builds
from transforms.dataset import example
from transforms.dataset.plan import Plan, ShardKey
from transforms.errors import UserError
from transforms.manifests.dead_letters import NOWHERE, Origins
from transforms.manifests.places import NOWHERE as NO_PLACES
from transforms.manifests.places import Places
from transforms.payloads import Payload
from transforms.settings import Settings
from transforms.storage import Storage, uris

# Of shards, sidecars, `run.json` and `dataset.json` together: who changes one of them counts it up.
FORMAT_VERSION = 1
RUN_FILE, DATASET_FILE, REPORT_FILE, PAGE_FILE = "run.json", "dataset.json", "report.json", "report.html"
CHECKSUMS_FILE = "checksums.json"
REJECTED_FILE = "rejected.jsonl"
# What the dataset was made from, and what was merged into it.
MANIFESTS_FILE, MENDED_FILE, ADDED_FILE = "manifests.json", "mended.jsonl", "added.jsonl"
# All that a run writes; `tuning/` is not ours to delete: it names jobs that cost money.
_FILES = (
    *(DATASET_FILE, CHECKSUMS_FILE, REPORT_FILE, PAGE_FILE, REJECTED_FILE),
    *(MANIFESTS_FILE, MENDED_FILE, ADDED_FILE, RUN_FILE),
)
_FOLDERS = ("train/", "validation/", "test/test-", "rejected/", "ledger/", "audio/")
_CHOICES = "choose another --output, or pass --overwrite to replace it"


@dataclass(frozen=True, slots=True)
class Output:
    """What a run writes, where to, and where it finds its audio.

    Attributes:
      folder: absolute folder or gs:// URI of the dataset.
      base: absolute folder that relative audio paths start from.
      allowed: folders, besides the manifests' own, that local audio may lie in.
      num_shards: shards of each split.
      settings: what decides the bytes.
      storage: reads the audio and writes the dataset.
      verify: whether every payload is decoded again and compared.
      audio_there: whether an earlier run has written audio files into the output.
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
    claim: str = ""
    unreachable: tuple[tuple[str, str], ...] = ()
    origins: Origins = NOWHERE
    places: Places = NO_PLACES

    def audio_folder(self) -> str:
        """Where audio files go, with `audio_part="uri"`."""
        return uris.join(self.folder, "audio")

    def write_audio(self, payload: Payload) -> None:
        """Writes a payload as a file of its own, named by its contents: two runs, or two clips, may write the same."""
        uri = uris.join(self.audio_folder(), example.audio_path(payload, self.settings))
        self.storage.write_once(uri, payload.content, payload.mime_type, self.audio_there)

    def check_claim(self) -> None:
        """Refuses to write into an output that another run has taken over.

        Raises:
          UserError: its `run.json` is not this run's.
        """
        if not self.claim:
            return
        try:
            found = sha256(self.storage.read_bytes(uris.join(self.folder, RUN_FILE))).hexdigest()
        except FileNotFoundError:
            found = ""
        if found != self.claim:
            raise UserError(f"another run has taken {self.folder} over while this one ran; nothing more is written")

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
    """

    digest: str
    resumed: bool


def claim(output: Output, plan: Plan, overwrite: bool, merge: bool = False) -> Claim:
    """Makes the output this run's: empty, begun by the same run, cleared, or merged into.

    A killed run leaves `run.json` and perhaps shards; the same run goes on from there. Other files are never mixed
    with new shards.

    Raises:
      UserError: the folder holds another dataset, or no dataset at all.
    """
    folder, storage = output.folder, output.storage
    if storage.exists(folder):
        raise UserError(f"{folder} is a file; --output names a folder")
    content = run_file(plan, output.settings)
    mine = orjson.loads(content)
    earlier = _earlier(folder, storage)
    resumed = earlier == mine or (merge and earlier is not None)
    if resumed:
        storage.delete(uris.join(folder, DATASET_FILE))  # not complete again until the run has ended
        if earlier != mine:
            _clear_unplanned(output, plan)
    elif earlier is not None:
        if not overwrite:
            raise UserError(f"{folder} holds a dataset with other {_differences(earlier, mine)}; {_CHOICES}")
        _clear(folder, storage)
    storage.sweep(folder)
    storage.write_bytes(uris.join(folder, RUN_FILE), content)
    return Claim(sha256(content).hexdigest(), resumed)


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


def describe(plan: Plan, settings: Settings) -> dict[str, Any]:
    """What a run is: two runs with equal descriptions write the same bytes."""
    description = {
        "format_version": FORMAT_VERSION,
        "settings": asdict(settings),
        "decoders": builds.builds(),
        "manifest": {"rows": plan.rows, "digest": plan.rows_digest},
        "num_shards": plan.num_shards,
    }
    as_read_back: dict[str, Any] = orjson.loads(orjson.dumps(description))  # tuples are lists there
    return as_read_back


def run_file(plan: Plan, settings: Settings) -> bytes:
    """The contents of `run.json`."""
    return records.pretty(describe(plan, settings))


def _earlier(folder: str, storage: Storage) -> dict[str, Any] | None:
    """The description of the run that made the folder; None for an empty folder."""
    earlier = _description_in(folder, storage)
    strangers = storage.list_files(folder) if earlier is None else []
    if not strangers:
        return earlier
    # Unless another run of the same command began between the two looks.
    earlier = _description_in(folder, storage)
    if earlier is None:
        raise UserError(
            f"{folder} holds other files, for example {strangers[0]}; choose an empty or a new folder for --output"
        )
    return earlier


def _description_in(folder: str, storage: Storage) -> dict[str, Any] | None:
    try:
        tree: dict[str, Any] = orjson.loads(storage.read_bytes(uris.join(folder, RUN_FILE)))
        return tree
    except FileNotFoundError:
        return None
    except orjson.JSONDecodeError:
        raise UserError(f"{folder}/{RUN_FILE} is damaged; delete it to replace what the folder holds") from None


def _differences(earlier: dict[str, Any], mine: dict[str, Any]) -> str:
    """What changed, as "settings.sample_rate (16000, now 8000)"."""
    old, new = dict(_flat(earlier)), dict(_flat(mine))
    changed = [name for name in sorted(old | new) if old.get(name) != new.get(name)]
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


def _clear_unplanned(output: Output, plan: Plan) -> None:
    """Removes the shards and ledger files that the plan does not have; the others may be reused."""
    keys = plan.shard_keys()
    planned = {path for key in keys for path in (output.shard_path(key), output.sidecar_path(key))}
    for uri in output.storage.list_files(output.folder):
        path = uris.below(output.folder, uri)
        if path.startswith(_FOLDERS) and not path.startswith("audio/") and path not in planned:
            output.storage.delete(uri)


def _clear(folder: str, storage: Storage) -> None:
    for name in _FILES:  # dataset.json first: from then on nobody takes the rest for a dataset
        storage.delete(uris.join(folder, name))
    for uri in storage.list_files(folder):
        if uris.below(folder, uri).startswith(_FOLDERS):
            storage.delete(uri)
