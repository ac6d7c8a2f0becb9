"""The output folder as a whole: whose it is, and what may be replaced in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

import orjson

from transforms.audio import decode
from transforms.dataset.plan import Plan, ShardKey
from transforms.dataset.shard import FORMAT_VERSION, RUN_FILE, Target
from transforms.errors import UserError
from transforms.settings import Settings
from transforms.storage import Storage, uris

DATASET_FILE = "dataset.json"
# All that a run writes; `tuning/` is not ours to delete: it names jobs that cost money.
_FILES = (DATASET_FILE, "report.json", "report.html", "rejected.jsonl", RUN_FILE)
_FOLDERS = ("train/", "validation/", "rejected/", "ledger/", "audio/")


@dataclass(frozen=True, slots=True)
class Claim:
    """A run's right to an output folder.

    Attributes:
      digest: sha256 of `run.json`, hexadecimal. Two runs of the same description share it.
      resumed: whether an earlier run of the same description may have left shards there.
    """

    digest: str
    resumed: bool


def claim(target: Target, plan: Plan, overwrite: bool) -> Claim:
    """Makes the output this run's: empty, begun by the same run, or cleared.

    A run that was killed left `run.json` and perhaps shards; the same run goes
    on from there. Anything else is not mixed with new shards.

    Raises:
      UserError: the folder holds another dataset, or no dataset at all.
    """
    output, storage = target.output, target.storage
    if storage.exists(output):
        raise UserError(f"{output} is a file; --output names a folder")
    mine = describe(plan, target.settings)
    earlier = _earlier(output, storage)
    resumed = earlier == mine
    if resumed:
        storage.delete(uris.join(output, DATASET_FILE))  # not complete again until the run has ended
    elif earlier is not None:
        if not overwrite:
            raise UserError(f"{output} holds a dataset with other {_differences(earlier, mine)}; {_CHOICES}")
        _clear(output, storage)
    storage.sweep(output)
    content = orjson.dumps(mine, option=_PRETTY)
    storage.write_bytes(uris.join(output, RUN_FILE), content)
    return Claim(sha256(content).hexdigest(), resumed)


def left_by_earlier_runs(target: Target) -> tuple[frozenset[ShardKey], bool]:
    """The shards with a sidecar, which an earlier run of the same description finished; and whether there is audio."""
    folders = (uris.join(target.output, split) for split in target.num_shards)
    there = {uri for folder in folders for uri in target.storage.list_files(folder)}
    keys = ((split, index) for split, count in target.num_shards.items() for index in range(count))
    finished = frozenset(key for key in keys if target.sidecar_uri(key) in there)
    return finished, target.storage.is_folder(target.audio_folder())


_CHOICES = "choose another --output, or pass --overwrite to replace it"
_PRETTY = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE


def describe(plan: Plan, settings: Settings) -> dict[str, Any]:
    """What a run is: two runs with equal descriptions write the same bytes."""
    description = {
        "format_version": FORMAT_VERSION,
        "settings": asdict(settings),
        "decoders": decode.builds(),
        "manifest": {"rows": plan.rows, "digest": plan.rows_digest},
        "num_shards": plan.num_shards,
    }
    as_read_back: dict[str, Any] = orjson.loads(orjson.dumps(description))  # tuples are lists there
    return as_read_back


def _earlier(output: str, storage: Storage) -> dict[str, Any] | None:
    """The description of the run that made the folder; None for an empty folder."""
    earlier = _description_in(output, storage)
    strangers = storage.list_files(output) if earlier is None else []
    if not strangers:
        return earlier
    # Unless another run of the same command began between the two looks.
    earlier = _description_in(output, storage)
    if earlier is None:
        raise UserError(
            f"{output} holds other files, for example {strangers[0]}; choose an empty or a new folder for --output"
        )
    return earlier


def _description_in(output: str, storage: Storage) -> dict[str, Any] | None:
    try:
        tree: dict[str, Any] = orjson.loads(storage.read_bytes(uris.join(output, RUN_FILE)))
        return tree
    except FileNotFoundError:
        return None
    except orjson.JSONDecodeError:
        raise UserError(f"{output}/{RUN_FILE} is damaged; delete it to replace what the folder holds") from None


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


def _clear(output: str, storage: Storage) -> None:
    for name in _FILES:  # dataset.json first: from then on nobody takes the rest for a dataset
        storage.delete(uris.join(output, name))
    for uri in storage.list_files(output):
        if uri.removeprefix(output.rstrip("/") + "/").startswith(_FOLDERS):
            storage.delete(uri)
