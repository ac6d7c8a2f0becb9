"""The end of a run: the ledger, the dead letters, the report, and last `dataset.json`. Every row is accounted for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from hashlib import sha256
from typing import BinaryIO

from transforms import reasons
from transforms.audio import builds
from transforms.clip import Outcome
from transforms.dataset import assign, description, duplicates, ledger, sidecar
from transforms.dataset.checksums import Checksums, Recorder
from transforms.dataset.description import DatasetDescription, Shard, Split
from transforms.dataset.duplicates import Leaks, audio_of
from transforms.dataset.output import (
    CHECKSUMS_FILE,
    DATASET_FILE,
    FORMAT_VERSION,
    PAGE_FILE,
    REJECTED_FILE,
    REPORT_FILE,
    RUN_FILE,
    Output,
)
from transforms.dataset.plan import REJECTED, Plan, ShardKey
from transforms.dataset.shard import ShardResult
from transforms.dataset.sidecar import Sidecar
from transforms.errors import AccountingError, UserError
from transforms.manifests import dead_letters
from transforms.ordered import map_ordered
from transforms.report import page
from transforms.report.counts import Count, SplitCount
from transforms.report.report import RepeatedAudio, Report, report_of
from transforms.settings import Settings
from transforms.storage import uris

# Sidecars are small: in a bucket the delay of each request dominates, so some are read at a time.
SIDECARS_AT_A_TIME = 16


def finish(results: Sequence[ShardResult], plan: Plan, output: Output) -> Report | None:
    """Writes all that describes the dataset as a whole, `dataset.json` last.

    Every sidecar is read once, in the dataset's order; a few are in memory at a time. A second call writes the same
    bytes.

    Returns:
      What `report.json` holds; None if a clip that an earlier run has left out for its audio no longer is to be, since
      another recording has changed. Its shard is then forgotten, and the dataset not complete until it is written.

    Raises:
      AccountingError: accepted and rejected rows are not the manifest's rows.
      UserError: another run has written into the same output meanwhile.
    """
    fingerprints = {result.key: result.fingerprint for result in results}
    rows = sum(result.rows for result in results)
    if rows != plan.rows or not rows:
        raise AccountingError(f"the manifests have {plan.rows} rows, the shards account for {rows}")
    marked = [assign.TEST] if assign.TEST in plan.num_shards else []
    splits = {split: SplitCount() for split in (assign.TRAIN, assign.VALIDATION, *marked)}
    count = Count(splits, output.settings.sample_rate)
    output.check_claim()
    files = Recorder(output.folder, output.storage)
    files.note(uris.join(output.folder, RUN_FILE), output.claim)
    stale = [result.key for result in results if result.stale]
    left = {audio for result in results for audio in result.left}
    with files.write(uris.join(output.folder, REJECTED_FILE)) as letters:
        outcomes = _count(_outcomes(plan, output, count, fingerprints, files, stale), count, letters, output.origins)
        outcomes = _without_audio_of(outcomes, left)
        folder, keeps = uris.join(output.folder, "ledger"), output.origins.keeps_columns
        written = ledger.write_ledger(outcomes, folder, plan.rows, files, keeps)
    if written != plan.rows or count.accepted + count.rejected != plan.rows:
        raise AccountingError(f"the manifests have {plan.rows} rows, the ledger accounts for {written}")
    report = report_of(count, plan, _repeated_audio(count, output))
    for audio in left:  # of recordings that are others now
        output.delete_audio(audio)
    if stale:
        for key in stale:
            output.storage.delete(output.sidecar_uri(key))
        return None
    files.write_bytes(uris.join(output.folder, REPORT_FILE), report.dump())
    files.write_bytes(uris.join(output.folder, PAGE_FILE), page.page(report).encode())
    output.sweep()
    _complete(_description(count, plan, output.settings), plan, output, files)
    return report


def _complete(description: DatasetDescription, plan: Plan, output: Output, files: Recorder) -> None:
    """Writes `checksums.json`, in which `dataset.json` has its place, and last `dataset.json`."""
    content, uri = description.dump(), uris.join(output.folder, DATASET_FILE)
    files.note(uri, sha256(content).hexdigest())
    known = Checksums(FORMAT_VERSION, plan.sources_digest, files.sha256)
    output.storage.write_bytes(uris.join(output.folder, CHECKSUMS_FILE), known.dump())
    output.storage.write_bytes(uri, content)


def _outcomes(
    plan: Plan,
    output: Output,
    count: Count,
    fingerprints: Mapping[ShardKey, str],
    files: Recorder,
    stale: list[ShardKey],
) -> Iterator[Outcome]:
    """Every outcome, shard by shard.

    Adds each shard to its split, shard and sidecar to the files, and those that must be written again to `stale`.
    """

    def read(key: ShardKey) -> tuple[ShardKey, Sidecar, str]:
        return key, *_sidecar(key, output, fingerprints[key])

    with ThreadPoolExecutor(SIDECARS_AT_A_TIME, thread_name_prefix="sidecar") as executor:
        held_out = (key for key in plan.shard_keys() if key[0] in assign.HELD_OUT)
        leaks = Leaks.of(each for _, each, _ in map_ordered(executor, read, held_out, SIDECARS_AT_A_TIME))
        for key, found, digest in map_ordered(executor, read, plan.shard_keys(), SIDECARS_AT_A_TIME):
            kept, checksum = found, digest
            dropped = leaks.add(key[0], found.outcomes)
            if dropped or duplicates.has_leaks(found):
                if not duplicates.drop(key, dropped, output, reasons.AUDIO_IN_TRAIN):
                    stale.append(key)
                _, kept, checksum = read(key)
            files.note(output.sidecar_uri(key), checksum)
            if key[0] != REJECTED:
                files.note(output.shard_uri(key), kept.sha256)
                count.splits[key[0]].shards.append(_shard(output.shard_path(key), kept))
            yield from kept.outcomes


def _sidecar(key: ShardKey, output: Output, fingerprint: str) -> tuple[Sidecar, str]:
    """The sidecar, and the sha256 of its file."""
    found, content = sidecar.read(output.sidecar_uri(key), output.storage)
    if found.fingerprint == fingerprint:
        return found, sha256(content).hexdigest()
    raise UserError(f"another run has written into {output.folder} while this one ran; run this command again alone")


def _shard(path: str, written: Sidecar) -> Shard:
    examples = sum(outcome.status == "accepted" for outcome in written.outcomes)
    return Shard(path, examples, written.bytes, written.sha256)


def _count(
    outcomes: Iterable[Outcome], count: Count, letters: BinaryIO, origins: dead_letters.Origins
) -> Iterator[Outcome]:
    for outcome in outcomes:
        count.add(outcome)
        if outcome.status == "rejected":
            letters.write(dead_letters.line(outcome, origins))
        yield outcome if outcome.row is None else replace(outcome, row=None)  # which the ledger has not


def _without_audio_of(outcomes: Iterable[Outcome], left: set[str]) -> Iterator[Outcome]:
    """The outcomes as they come; audio files that one of them names stay."""
    for outcome in outcomes:
        left.discard(outcome.audio_sha256 or "")
        yield outcome


def _description(count: Count, plan: Plan, settings: Settings) -> DatasetDescription:
    """The contract with the tuning half."""
    splits = {
        name: Split(split.examples, split.bytes, split.audio_samples, split.target_chars, tuple(split.shards))
        for name, split in count.splits.items()
    }
    return DatasetDescription(
        description.VERSION,
        fingerprint=count.digest.hexdigest(),
        settings=asdict(settings),
        decoders=builds.builds(),
        rows=plan.rows,
        accepted=count.accepted,
        rejected=count.rejected,
        splits=splits,
    )


def _repeated_audio(count: Count, output: Output) -> RepeatedAudio:
    """How many clips have the audio of another one in the same task, with the sources of the first few."""
    shown: dict[str, list[str]] = {audio: [] for audio in count.first_duplicates}
    columns = ["source", "status", "audio_sha256", "task"]
    for row in ledger.read_ledger(uris.join(output.folder, "ledger"), output.storage, columns) if shown else ():
        audio = audio_of(row["audio_sha256"], row["task"])
        if row["status"] == "accepted" and audio in shown:
            shown[audio].append(str(row["source"]))
    return RepeatedAudio(count.duplicates, tuple(map(tuple, shown.values())))
