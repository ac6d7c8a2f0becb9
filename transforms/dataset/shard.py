"""One shard: its clips become lines, and its sidecar is written last."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import chain, islice, pairwise
from threading import Lock
from typing import TypeVar

from transforms import records
from transforms.clip import Clip, Outcome
from transforms.dataset import assign, checksums, converted, example, look, read_ahead, respelled
from transforms.dataset.look import Watch, Written
from transforms.dataset.output import Output
from transforms.dataset.plan import REJECTED, ShardKey
from transforms.dataset.prepare_clip import Convert, Prepared, prepare_clip
from transforms.dataset.read_ahead import Room
from transforms.dataset.sidecar import Sidecar, fingerprint
from transforms.dataset.sources import Ahead
from transforms.errors import UserError
from transforms.manifests.places import Places
from transforms.ordered import map_ordered
from transforms.payloads import Payload
from transforms.storage import uris

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ShardResult:
    """A written shard, in few bytes: the result crosses a shuffle.

    Attributes:
      key: split and index.
      rows: clips that were assigned to the shard.
      reused: whether an earlier run had written it.
      fingerprint: of its sidecar.
      stale: whether it must be written again: a clip of it that was left out for its audio no longer is to be.
      left: sha256 of the audio files that an earlier sidecar of the shard names, and this one does not.
      cpu_ns: processor time of each of `STAGES`, of each clip that was converted; to be counted, and left out of the
        shuffle.
      counts: what became of its rows, by the name of a counter; likewise.
    """

    key: ShardKey
    rows: int
    reused: bool
    fingerprint: str
    stale: bool = False
    left: tuple[str, ...] = ()
    cpu_ns: tuple[tuple[int, ...], ...] = field(default=(), compare=False)
    counts: Mapping[str, int] = field(default_factory=dict, compare=False)


# What a clip's processor time is spent on: the conversion, and then its place in the shard.
STAGES = (*converted.STAGES, "write")
# Counters: clips that became examples, samples of their payloads, and rows by the reason that they were rejected for.
ACCEPTED, SAMPLES, REJECTED_FOR = "clips_accepted", "audio_samples", "clips_rejected_"


@dataclass(frozen=True, slots=True)
class ClipPool:
    """The threads that prepare clips, and the bounds of their work.

    Attributes:
      executor: runs the preparation of one clip, which waits for `convert`.
      convert: makes an example of a clip, in this process or in a worker.
      window: clips in flight, which bounds memory.
      on_outcome: called for every outcome, in the order of its shard, for progress.
      reader: reads sources in gs:// ahead; None to read each when it is decoded.
      reads: sources of one shard at a time that are being read, or wait to be decoded.
      room: the memory of what was read ahead.
      turn: held by the shard whose clips are being begun.
      is_as_noted: whether a payload of an earlier run decodes to so many samples, which a worker finds out. What nobody
        looks at is made again.
    """

    executor: Executor
    convert: Convert
    window: int
    on_outcome: Callable[[Outcome], None] = lambda outcome: None
    reader: Executor | None = None
    reads: int = 1
    room: Room = field(default_factory=Room)
    turn: Lock = field(default_factory=Lock)
    is_as_noted: Callable[[Payload, int], bool] = lambda payload, num_samples: False


def write_shard(key: ShardKey, rows: Iterable[Clip | Outcome], output: Output, pool: ClipPool) -> ShardResult:
    """Writes one shard and, when it is whole, its sidecar.

    A shard is reused, without decoding, if its sidecar has the same fingerprint, its file is as the sidecar says, and
    so are the recordings.

    Args:
      key: split and index. Split "rejected" has sidecars only.
      rows: clips of the shard, in any order; outcomes for split "rejected".
      output: what is written, and where to.
      pool: prepares the clips.

    Raises:
      StorageError: the world's fault, after retries; the runner may try the shard again.
      UserError: two of the clips have one id.
    """
    ordered = sorted(rows, key=lambda row: _place(row, output.places))
    _refuse_doubled_ids(key, ordered)
    digest = fingerprint(ordered, output.settings, output.places)
    clips = [row for row in ordered if isinstance(row, Clip)]
    generations = output.generations(key)
    sidecar = _committed(key, digest, clips, output, pool)
    if sidecar is not None and not respelled.is_possible(sidecar, output.places):
        sidecar = None
    reused = sidecar is not None and (not output.verify or _verified(key, sidecar, output, pool))
    if sidecar is not None and reused and output.renew(generations):
        if (spelled := respelled.outcomes(sidecar, ordered)) != sidecar.outcomes:
            sidecar = replace(sidecar, outcomes=spelled)
            output.storage.write_bytes(output.sidecar_uri(key), sidecar.dump())
        for outcome in sidecar.outcomes:
            pool.on_outcome(outcome)
        return ShardResult(key, len(sidecar.outcomes), True, digest, counts=_counts(sidecar.outcomes))
    if key[0] == REJECTED:
        return _write_rejected(key, [row for row in ordered if isinstance(row, Outcome)], digest, output)
    return _write_clips(key, clips, digest, output, pool)


def _write_rejected(key: ShardKey, outcomes: Sequence[Outcome], digest: str, output: Output) -> ShardResult:
    """Writes the sidecar of rows that are no clips."""
    sidecar = Sidecar(digest, 0, sha256().hexdigest(), tuple(outcomes))
    output.storage.write_bytes(output.sidecar_uri(key), sidecar.dump())
    return ShardResult(key, len(outcomes), False, digest, counts=_counts(outcomes))


def _write_clips(key: ShardKey, clips: Sequence[Clip], digest: str, output: Output, pool: ClipPool) -> ShardResult:
    """Writes the shard's file and its sidecar, with what was known of the recordings before the first was read."""
    uri, earlier = output.sidecar_uri(key), _audio_files(key, output)
    watch = Watch.begin(clips, output)
    sidecar, cpu_ns = _write_lines(key, clips, digest, output, pool)
    outcomes = watch.end(sidecar.outcomes)
    content = replace(sidecar, outcomes=outcomes).dump()
    output.storage.write_bytes(uri, content)
    watch.mark(Written(uri, content, outcomes))
    left = tuple(sorted(earlier - {outcome.audio_sha256 or "" for outcome in outcomes}))
    return ShardResult(key, len(outcomes), False, digest, left=left, cpu_ns=cpu_ns, counts=_counts(outcomes))


def _counts(outcomes: Iterable[Outcome]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for outcome in outcomes:
        accepted = outcome.status == "accepted"
        counts[ACCEPTED if accepted else f"{REJECTED_FOR}{outcome.reason}"] += 1
        counts[SAMPLES] += (outcome.num_samples or 0) if accepted else 0
    return counts


def _refuse_doubled_ids(key: ShardKey, ordered: Sequence[Clip | Outcome]) -> None:
    """Refuses clips with one id, of which the plan would have known."""
    ids = (row.clip_id for row in ordered if isinstance(row, Clip))
    if key[0] != REJECTED and any(one == other for one, other in pairwise(ids)):
        raise UserError("a manifest changed while it was read; run this command again")


def _place(row: Clip | Outcome, places: Places) -> tuple[int, str]:
    name = places.key(row)
    return assign.order_key(name), name


def _write_lines(
    key: ShardKey, clips: Sequence[Clip], digest: str, output: Output, pool: ClipPool
) -> tuple[Sidecar, tuple[tuple[int, ...], ...]]:
    """The shard's file; its sidecar, still to be written, and the processor time of each clip."""

    def prepare(source: tuple[Clip, Ahead]) -> Prepared:
        clip, ahead = source
        try:
            return prepare_clip(clip, output, pool.convert, ahead)
        finally:
            pool.room.leave(ahead)

    outcomes: list[Outcome] = []
    cpu_ns: list[tuple[int, ...]] = []
    line_index, written, file_hash = 0, 0, sha256()
    with (
        output.storage.write(output.shard_uri(key)) as stream,
        closing(_read_ahead(clips, output, pool)) as reads,
        closing(_in_turn(zip(clips, reads, strict=True), pool.turn)) as both,
    ):
        for clip, prepared in zip(clips, map_ordered(pool.executor, prepare, both, pool.window), strict=True):
            line, place = prepared.line, line_index if prepared.line else None
            # A clip that is held out may be dropped at the end; its dead letter then holds the row.
            row = clip.row if key[0] in assign.HELD_OUT else prepared.outcome.row
            placed = replace(prepared.outcome, split=key[0], shard_index=key[1], line_index=place, row=row)
            line_index += bool(line)
            begun = time.thread_time_ns()
            written += stream.write(line)
            file_hash.update(line)
            if line:
                cpu_ns.append((*prepared.cpu_ns, time.thread_time_ns() - begun))
            outcomes.append(placed)
            pool.on_outcome(placed)
    return Sidecar(digest, written, file_hash.hexdigest(), tuple(outcomes)), tuple(cpu_ns)


def _read_ahead(clips: Sequence[Clip], output: Output, pool: ClipPool) -> Generator[Ahead]:
    without = frozenset(bucket for bucket, _ in output.unreachable)
    return read_ahead.begin(clips, output.base, output.storage, pool.reader, pool.reads, without, pool.room)


def _audio_files(key: ShardKey, output: Output) -> set[str]:
    """The sha256 of the audio files that an earlier run has written for a shard."""
    if output.settings.audio_part != "uri":
        return set()
    try:
        outcomes = Sidecar.load(output.storage.read_bytes(output.sidecar_uri(key))).outcomes
    except (FileNotFoundError, *records.DAMAGES):
        return set()
    return {outcome.audio_sha256 for outcome in outcomes if outcome.audio_sha256 and outcome.audio_crc32c}


def _in_turn(values: Iterable[T], turn: Lock) -> Generator[T]:
    """The values of one shard after the other. While one shard is uploaded, the next one keeps the threads busy.

    Shards that shared the threads would end together, and the threads would then wait for the bucket.
    """
    values = iter(values)
    first = list(islice(values, 1))  # begins to read ahead, before the shard has its turn
    with turn:
        yield from chain(first, values)


def _committed(key: ShardKey, digest: str, clips: Sequence[Clip], output: Output, pool: ClipPool) -> Sidecar | None:
    """The sidecar of an earlier run, if sidecar and shard are what this run would write."""
    uri = output.sidecar_uri(key)
    try:
        content = output.storage.read_bytes(uri)
        sidecar = Sidecar.load(content)
    except (FileNotFoundError, *records.DAMAGES):
        return None
    if sidecar.fingerprint != digest or key[0] == REJECTED:
        return sidecar if sidecar.fingerprint == digest else None
    # An altered sidecar may have lost an outcome.
    if len(sidecar.outcomes) != len(clips) or not _intact(key, sidecar, output):
        return None
    # The recordings are looked for where this run names them.
    found = Written(uri, content, respelled.outcomes(sidecar, clips), clips)
    return sidecar if look.unchanged([found], output, pool.reader or pool.executor) else None


def _verified(key: ShardKey, sidecar: Sidecar, output: Output, pool: ClipPool) -> bool:
    """Decodes the payloads of a shard that an earlier run wrote, and compares their length with the sidecar's.

    Returns:
      False if an audio file is missing or changed, a payload has another length, or the lines are not those of the
      outcomes. Then the shard is written again, and what is wrong with a clip becomes its fate.
    """
    if key[0] == REJECTED:
        return True

    def is_as_noted(line: bytes, outcome: Outcome) -> bool:
        payload = _payload(line, outcome, output)
        return payload is not None and pool.is_as_noted(payload, outcome.num_samples or 0)

    accepted = [outcome for outcome in sidecar.outcomes if outcome.status == "accepted"]
    with output.storage.open_read(output.shard_uri(key)) as stream:
        lines = (stream.readline(output.settings.max_example_bytes) for _ in accepted)
        both = zip(lines, accepted, strict=True)
        checks = map_ordered(pool.executor, lambda pair: is_as_noted(*pair), both, pool.window)
        return all(checks) and not stream.read(1)


def _payload(line: bytes, outcome: Outcome, output: Output) -> Payload | None:
    """The payload of an accepted clip; None if its line or its file is missing, or has other contents than noted."""
    if sha256(line).hexdigest() != outcome.line_sha256:
        return None
    mime_type = outcome.mime_type or ""
    try:
        if output.settings.audio_part == "inline":
            payload = example.payload(line, mime_type)
        else:
            path = example.path_of(outcome.audio_sha256 or "", output.settings)
            payload = Payload(output.storage.read_bytes(uris.join(output.audio_folder(), path)), mime_type)
    except (FileNotFoundError, *records.DAMAGES):
        return None
    return payload if payload.sha256 == outcome.audio_sha256 else None


def _intact(key: ShardKey, sidecar: Sidecar, output: Output) -> bool:
    uri = output.shard_uri(key)
    try:
        if output.storage.size(uri) != sidecar.bytes:
            return False
        return checksums.of_file(uri, output.storage) == sidecar.sha256
    except (FileNotFoundError, *records.DAMAGES):
        return False
