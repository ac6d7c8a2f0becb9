"""What a rerun of the same command finds: the finished dataset, if a run would write just this."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256

from transforms.dataset import checksums, look
from transforms.dataset.checksums import Checksums
from transforms.dataset.description import DatasetDescription
from transforms.dataset.look import Written
from transforms.dataset.output import CHECKSUMS_FILE, DATASET_FILE, REPORT_FILE, RUN_FILE, Output, run_file
from transforms.dataset.plan import REJECTED, Plan, ShardKey
from transforms.dataset.sidecar import Sidecar
from transforms.listener import Listener
from transforms.ordered import map_ordered
from transforms.records import DAMAGES
from transforms.report.report import Report
from transforms.storage import uris

# Files that are hashed at a time: a few for each core, and enough to hide the delay of a bucket.
FILES_AT_A_TIME = 16
# Recordings that are asked for at a time, and shards whose recordings are looked at together: a listing of a folder in
# gs:// then tells of many of them.
LOOKS_AT_A_TIME, SHARDS_AT_A_TIME = 64, 256


def finished(plan: Plan, output: Output, listener: Listener, by_size: bool = False) -> Report | None:
    """The report of the dataset that an earlier run has finished, if nothing of it would be different now.

    Every file is read and compared with its checksum, every recording is looked at, and no byte is written: a sidecar
    is only marked. Whatever else decides a run's result must be compared here, too.

    Args:
      plan: what the manifests hold now.
      output: where the dataset is. Its `verify` asks for more than is compared here.
      listener: is told how many files have been compared.
      by_size: whether the examples of a dataset in a bucket are listed and compared by their size, instead of read.

    Returns:
      None if the pipeline must run, to finish the dataset, to mend it or to say what is wrong.

    Raises:
      StorageError, UserError: as `Storage.open_read`.
    """
    try:
        known = Checksums.load(output.storage.read_record(uris.join(output.folder, CHECKSUMS_FILE)))
        same = (
            _same_run(known, plan, output)
            and _all_there(known, plan, output)
            and _intact(_listed(known, output) if by_size else known, output, listener)
            and _same_recordings(plan, output, listener)
        )
        return Report.load(output.storage.read_record(uris.join(output.folder, REPORT_FILE))) if same else None
    except (FileNotFoundError, *DAMAGES):
        return None


def _same_run(known: Checksums, plan: Plan, output: Output) -> bool:
    """Whether rows, their places, settings and decoders are those of the earlier run."""
    described = sha256(run_file(plan, output.settings)).hexdigest()
    return known.sources_digest == plan.sources_digest and known.sha256.get(RUN_FILE) == described


def _all_there(known: Checksums, plan: Plan, output: Output) -> bool:
    """Whether the list itself is whole."""
    keys = plan.shard_keys()
    shards = {output.shard_path(key) for key in keys if key[0] != REJECTED}
    sidecars = {output.sidecar_path(key) for key in keys}
    return {DATASET_FILE, REPORT_FILE} | shards | sidecars <= known.sha256.keys()


def _listed(known: Checksums, output: Output) -> Checksums:
    """The files that a listing says nothing of, or something else than `dataset.json`: they have to be read."""
    if not uris.is_gcs(output.folder):
        return known
    described = DatasetDescription.load(output.storage.read_record(uris.join(output.folder, DATASET_FILE)))
    shards = [shard for split in described.splits.values() for shard in split.shards]
    sizes: dict[str, int] = {}
    for name in described.splits:
        folder, count = uris.join(output.folder, name), 2 * len(described.splits[name].shards)
        found = output.storage.list_objects(folder, count)
        sizes |= {uris.below(output.folder, each.uri): each.size for each in found}
    same = {shard.path for shard in shards if sizes.get(shard.path) == shard.bytes}
    return replace(known, sha256={path: digest for path, digest in known.sha256.items() if path not in same})


def _intact(known: Checksums, output: Output, listener: Listener) -> bool:
    """Whether every file is as the earlier run wrote it."""

    def same(path: str) -> bool:
        return checksums.of_file(uris.join(output.folder, path), output.storage) == known.sha256[path]

    with (
        ThreadPoolExecutor(FILES_AT_A_TIME, thread_name_prefix="checksum") as executor,
        listener.progress("comparing with the earlier run", len(known.sha256), "files") as update,
    ):
        for number, is_same in enumerate(map_ordered(executor, same, known.sha256, 4 * FILES_AT_A_TIME), start=1):
            update(number, "")
            if not is_same:
                return False
    return True


def _same_recordings(plan: Plan, output: Output, listener: Listener) -> bool:
    """Whether every recording is as the earlier run found it."""
    keys = [key for key in plan.shard_keys() if key[0] != REJECTED]

    def written(key: ShardKey) -> Written:
        uri = output.sidecar_uri(key)
        content = output.storage.read_bytes(uri)
        return Written(uri, content, Sidecar.load(content).outcomes)

    with (
        ThreadPoolExecutor(LOOKS_AT_A_TIME, thread_name_prefix="look") as executor,
        listener.progress("looking at the recordings", len(keys), "shards") as update,
    ):
        for start in range(0, len(keys), SHARDS_AT_A_TIME):
            some = list(map_ordered(executor, written, keys[start : start + SHARDS_AT_A_TIME], 4 * FILES_AT_A_TIME))
            if not look.unchanged(some, output, executor):
                return False
            update(start + len(some), "")
    return True
