"""What a dataset would look like: rows are read once, a few clips are prepared in memory, nothing is written."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import orjson

from beam_pipeline.job import Job
from transforms import limits
from transforms.clip import Clip, Outcome
from transforms.dataset import assign, example
from transforms.dataset.clip_workers import ClipWorkers
from transforms.dataset.plan import REJECTED
from transforms.dataset.prepare_clip import Prepared, attempt
from transforms.errors import StorageError, UserError
from transforms.manifests import read
from transforms.workers import pool

# The first rows are shown; the first clips of the dataset, a uniform sample, tell the sizes.
SHOWN, SAMPLED = 3, 16


@dataclass(frozen=True, slots=True)
class RecognisedManifest:
    """How a manifest is read.

    Attributes:
      name: as the user wrote it.
      rows: that it has, of a sample those that are taken.
      columns: the name that each column of a clip has in it.
    """

    name: str
    rows: int
    columns: dict[str, str]


@dataclass(frozen=True, slots=True)
class ExamplePreview:
    """One of the first rows, and what it would become.

    Attributes:
      source: "manifest:line".
      clip_id: of the clip.
      split: "train", "validation" or "test".
      example: the line of JSON, with words in place of its base64; None for a row that would be rejected.
      bytes: of the line; 0 for none.
      seconds: that its audio lasts; 0 for none.
      reason: why it would be rejected; "" if it would not.
      detail: what was found; "" likewise.
    """

    source: str
    clip_id: str
    split: str
    example: dict[str, Any] | None
    bytes: int
    seconds: float
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SizeEstimate:
    """What the dataset would amount to, from the clips that were tried.

    Attributes:
      tried: clips that were prepared, a uniform sample.
      rejected: of these.
      bytes: of all lines.
      audio_seconds: of all payloads.
      tokens: of one epoch over the training split; `cliptune check --estimate` prices them.
      told_seconds: that the rows themselves say their clips last; None if some do not say.
    """

    tried: int
    rejected: int
    bytes: int
    audio_seconds: float
    tokens: int
    told_seconds: float | None


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be made of the rows.

    Attributes:
      manifests: as they are read.
      splits: rows of each split, and "rejected": rows that are no clips.
      examples: the first rows.
      estimate: of sizes.
    """

    manifests: tuple[RecognisedManifest, ...]
    splits: dict[str, int]
    examples: tuple[ExamplePreview, ...]
    estimate: SizeEstimate


def preview(job: Job) -> Preview:
    """Reads the rows of a job once more, and prepares the first few and a sample of them.

    Raises:
      UserError: a manifest cannot be used.
    """
    seen = _Seen(job)
    storage = job.manifest_storage()
    manifests = []
    for manifest in job.manifests:
        before = seen.splits.total()
        for row in job.seen.again(manifest, read.rows(manifest, job.manifest_settings, storage), job.output.places):
            seen.add(row)
        columns = read.columns_of(manifest, job.manifest_settings, storage)
        manifests.append(RecognisedManifest(manifest.name, seen.splits.total() - before, columns))
    clips = {row.source: row for row in (*seen.first, *seen.sample()) if isinstance(row, Clip)}
    tried = dict(zip(clips, _tried(list(clips.values()), job), strict=True))
    examples = tuple(_shown(row, tried.get(row.source), job) for row in seen.first)
    estimate = _estimate(seen, [(clip, tried[clip.source]) for clip in seen.sample()], job)
    splits = {split: seen.splits[split] for split in job.plan.num_shards}
    return Preview(tuple(manifests), splits, examples, estimate)


@dataclass(slots=True)
class _Seen:
    """What one pass over the rows tells.

    Attributes:
      job: whose rows they are.
      splits: rows of each.
      told: seconds that clips say they last.
      silent: clips that do not say it.
      first: the first rows.
      heap: the clips whose places are the first, as (minus the place, order, clip).
    """

    job: Job
    splits: Counter[str] = field(default_factory=Counter)
    told: float = 0.0
    silent: int = 0
    first: list[Clip | Outcome] = field(default_factory=list)
    heap: list[tuple[int, int, Clip]] = field(default_factory=list)

    def add(self, row: Clip | Outcome) -> None:
        if len(self.first) < SHOWN:
            self.first.append(row)
        self.splits[_split(row, self.job)] += 1
        if isinstance(row, Outcome):
            return
        self.told += row.duration or 0.0
        self.silent += row.duration is None
        place = -assign.order_key(row.clip_id)
        if len(self.heap) < SAMPLED:
            heapq.heappush(self.heap, (place, self.splits.total(), row))
        elif place > self.heap[0][0]:
            heapq.heapreplace(self.heap, (place, self.splits.total(), row))

    def sample(self) -> list[Clip]:
        """The clips of the sample, in the order of the dataset."""
        return [clip for _, _, clip in sorted(self.heap, reverse=True)]


def _split(row: Clip | Outcome, job: Job) -> str:
    return REJECTED if isinstance(row, Outcome) else assign.split_of(row, job.plan.validation_keys)


def _tried(clips: Sequence[Clip], job: Job) -> Iterator[Prepared | str]:
    """What becomes of each clip; what hinders this machine from trying it, for workers elsewhere may read more."""
    threads = min(job.clip_workers or 2, max(1, len(clips)))
    with (
        pool.running(),
        closing(ClipWorkers(job.output.settings, job.output.verify, threads)) as workers,
        ThreadPoolExecutor(threads, thread_name_prefix="preview") as executor,
    ):
        yield from executor.map(lambda clip: _try(clip, job, workers), clips)


def _try(clip: Clip, job: Job, workers: ClipWorkers) -> Prepared | str:
    try:
        return attempt(clip, job.output, workers.convert)[0]
    except (StorageError, UserError) as fault:
        return str(fault)


def _shown(row: Clip | Outcome, tried: Prepared | str | None, job: Job) -> ExamplePreview:
    split, rate = _split(row, job), job.output.settings.sample_rate
    if isinstance(tried, str):
        return ExamplePreview(row.source, row.clip_id, split, None, 0, 0.0, "not_tried", tried)
    outcome = row if isinstance(row, Outcome) else tried.outcome if tried else None
    if outcome is None or outcome.status == "rejected" or tried is None:
        reason, detail = (outcome.reason or "", outcome.detail or "") if outcome else ("", "")
        return ExamplePreview(row.source, row.clip_id, split, None, 0, 0.0, reason, detail)
    tree = orjson.loads(example.without_payload(tried.line, job.output.settings))
    seconds = (outcome.num_samples or 0) / rate
    return ExamplePreview(row.source, row.clip_id, split, tree, len(tried.line), seconds)


def _estimate(seen: _Seen, tried: Sequence[tuple[Clip, Prepared | str]], job: Job) -> SizeEstimate:
    """The mean of the clips that were tried, times all clips."""
    done = [(clip, each) for clip, each in tried if isinstance(each, Prepared)]
    good = [(clip, each.outcome) for clip, each in done if each.line]
    clips, share = seen.splits.total() - seen.splits[REJECTED], 1 / max(1, len(done))
    seconds = [(outcome.num_samples or 0) / job.output.settings.sample_rate for _, outcome in good]
    prompt = job.output.settings.prompt
    tokens = [
        limits.expected_tokens(each, sum(map(len, (clip.prompt or prompt, clip.system_instruction, clip.target))))
        for each, (clip, _) in zip(seconds, good, strict=True)
    ]
    return SizeEstimate(
        tried=len(done),
        rejected=len(done) - len(good),
        bytes=round(share * clips * sum(outcome.line_bytes or 0 for _, outcome in good)),
        audio_seconds=round(share * clips * sum(seconds), 3),
        tokens=round(share * seen.splits[assign.TRAIN] * sum(tokens)),
        told_seconds=round(seen.told, 3) if clips and not seen.silent else None,
    )
