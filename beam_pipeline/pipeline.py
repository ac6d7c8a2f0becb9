"""The pipeline: manifests in, shards out, one description of the whole at the end. Wiring only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.pvalue import PCollection, TaggedOutput
from apache_beam.transforms.window import GlobalWindows
from apache_beam.typehints import with_output_types
from apache_beam.utils.windowed_value import WindowedValue

from beam_pipeline.progress import ProgressFile
from transforms import reasons
from transforms.clip import Clip, Outcome, pack, rejected, unpack
from transforms.dataset import assign, repeats, shard
from transforms.dataset.output import Output
from transforms.dataset.plan import REJECTED, Plan, ShardKey
from transforms.dataset.repeats import Use
from transforms.dataset.shard import ClipPool, ShardResult
from transforms.manifests import read
from transforms.manifests.read import Manifest, ManifestSettings
from transforms.report import finish
from transforms.report.report import Report
from transforms.storage import Storage

CLIPS = "clips"
REJECTS = "rejects"
REUSED = Metrics.counter("cliptune", "clips_reused")
# A thread prepares tens of clips a second, and a request of a tenth of a second must not hold it up. A worker of
# many threads is bounded, for each read may hold `read_ahead.MAX_WAITING_BYTES`.
READS_PER_THREAD, MAX_READS = 8, 64  # and for one thread more
# While one is finished, which takes some requests, another one's clips are prepared.
SHARDS_AT_A_TIME = 3


@dataclass(frozen=True, slots=True)
class Job:
    """All that the pipeline needs to know: plain values, for it is pickled to the workers.

    Attributes:
      manifests: what to read.
      manifest_settings: how to read it.
      plan: what the launcher counted.
      output: what the dataset is and where it goes.
      clip_threads: clips prepared at a time by one worker.
      progress_path: a local file to note finished clips in, or "" for none.
      committed: shards that an earlier run had finished when this one began.
    """

    manifests: tuple[Manifest, ...]
    manifest_settings: ManifestSettings
    plan: Plan
    output: Output
    clip_threads: int
    progress_path: str = ""
    committed: frozenset[ShardKey] = frozenset()

    def claimed(self, claim: str, committed: frozenset[ShardKey], audio_there: bool) -> Job:
        """The same job, whose output is its own and holds what an earlier run has finished."""
        return replace(self, output=replace(self.output, claim=claim, audio_there=audio_there), committed=committed)

    def with_progress(self, path: str) -> Job:
        """The same job, noting its progress in a local file."""
        return replace(self, progress_path=path)


def build(pipeline: beam.Pipeline, job: Job) -> PCollection:
    """The whole pipeline.

    Returns:
      One element, the report, when the dataset is complete.
    """
    rows = (
        pipeline | "Manifests" >> beam.Create(job.manifests) | ReadManifests(job.manifest_settings, job.output.storage)
    )
    unique = rows[CLIPS] | Deduplicate()
    clips = unique[CLIPS] | KeyByShard(job.plan)
    rejects = (rows[REJECTS], unique[REJECTS]) | beam.Flatten() | KeyRejects(job.plan)
    every_shard = pipeline | "ShardKeys" >> beam.Create(job.plan.shard_keys()) | EmptyShards()
    written = (clips, rejects, every_shard) | "Rows" >> beam.Flatten() | WriteShards(job)
    if job.output.settings.dedupe == "audio":
        written = written | DropRepeats(job)
    return written | FinishDataset(job)


class ReadManifests(beam.PTransform):
    """Splits manifests into clips and the outcomes of rows that are none."""

    def __init__(self, settings: ManifestSettings, storage: Storage) -> None:
        super().__init__()
        self.settings = settings
        self.storage = storage

    def expand(self, manifests: PCollection) -> beam.pvalue.DoOutputsTuple:
        return manifests | beam.ParDo(_ReadManifest(self.settings, self.storage)).with_outputs(REJECTS, main=CLIPS)


@with_output_types(Clip)
class _ReadManifest(beam.DoFn):
    def __init__(self, settings: ManifestSettings, storage: Storage) -> None:
        super().__init__()
        self.settings = settings
        self.storage = storage

    def process(self, element: Manifest) -> Iterator[Clip | TaggedOutput]:
        for row in read.rows(element, self.settings, self.storage):
            yield TaggedOutput(REJECTS, row) if isinstance(row, Outcome) else row


class Deduplicate(beam.PTransform):
    """Keeps one clip of every id; the others become rejections."""

    @staticmethod
    def _with_id(clip: Clip) -> tuple[str, bytes]:
        return clip.clip_id, pack(clip)

    def expand(self, clips: PCollection) -> beam.pvalue.DoOutputsTuple:
        grouped = clips | beam.Map(self._with_id).with_output_types(tuple[str, bytes]) | beam.GroupByKey()
        return grouped | beam.ParDo(_KeepFirst()).with_outputs(REJECTS, main=CLIPS)


@with_output_types(Clip)
class _KeepFirst(beam.DoFn):
    def process(self, element: tuple[str, Iterable[bytes]]) -> Iterator[Clip | TaggedOutput]:
        clips = [row for row in map(unpack, element[1]) if isinstance(row, Clip)]
        # By contents first, so that the order of the manifests does not choose the clip.
        first, *others = sorted(clips, key=lambda clip: (clip.uri, clip.target, clip.row, clip.source))
        yield first
        for clip in others:
            detail = f"the id {clip.clip_id!r} is taken by {first.source}"
            yield TaggedOutput(REJECTS, rejected(clip, reasons.DUPLICATE_ID, detail))


class KeyByShard(beam.PTransform):
    """Pairs each clip with the shard it belongs to."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan

    def _with_key(self, clip: Clip) -> tuple[ShardKey, bytes]:
        split = assign.split_of(clip, self.plan.validation_keys)
        return (split, assign.shard_index(clip.clip_id, self.plan.num_shards[split])), pack(clip)

    def expand(self, clips: PCollection) -> PCollection:
        return clips | beam.Map(self._with_key).with_output_types(tuple[ShardKey, bytes])


class KeyRejects(beam.PTransform):
    """Pairs each outcome of a row without a clip with the sidecar that will hold it."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan

    def _with_key(self, outcome: Outcome) -> tuple[ShardKey, bytes]:
        return (REJECTED, assign.shard_index(outcome.source, self.plan.num_shards[REJECTED])), pack(outcome)

    def expand(self, outcomes: PCollection) -> PCollection:
        return outcomes | beam.Map(self._with_key).with_output_types(tuple[ShardKey, bytes])


class EmptyShards(beam.PTransform):
    """Gives every shard one empty row, so that a shard without clips is written too."""

    @staticmethod
    def _without_row(key: ShardKey) -> tuple[ShardKey, bytes]:
        return key, b""

    def expand(self, keys: PCollection) -> PCollection:
        return keys | beam.Map(self._without_row).with_output_types(tuple[ShardKey, bytes])


class WriteShards(beam.PTransform):
    """Groups rows by shard and writes each shard: the one step that touches audio."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job

    def expand(self, rows: PCollection) -> PCollection:
        # References cross the shuffle, audio never does.
        return rows | beam.GroupByKey() | beam.ParDo(_WriteShard(self.job)).with_output_types(ShardResult)


class _WriteShard(beam.DoFn):
    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job

    def setup(self) -> None:
        threads = self.job.clip_threads
        reads = min(READS_PER_THREAD * (threads + 1), MAX_READS)
        self.pending: set[Future[ShardResult]] = set()
        self.progress = ProgressFile(self.job.progress_path)
        self.shards = ThreadPoolExecutor(SHARDS_AT_A_TIME, thread_name_prefix="shard")
        self.clips = ThreadPoolExecutor(threads, thread_name_prefix="clip")
        self.reader = ThreadPoolExecutor(reads, thread_name_prefix="read")
        # Two a thread: one being prepared, one ready while the line before it is written.
        self.pool = ClipPool(self.clips, 2 * threads, self.progress.note, self.reader, reads)

    def process(self, element: tuple[ShardKey, Iterable[bytes]]) -> Iterator[ShardResult]:
        key, rows = element
        clips = [unpack(row) for row in rows if row]
        self.pending.add(self.shards.submit(shard.write_shard, key, clips, self.job.output, self.pool))
        if len(self.pending) >= SHARDS_AT_A_TIME:
            yield self._written()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        while self.pending:
            yield GlobalWindows.windowed_value(self._written())

    def _written(self) -> ShardResult:
        # Whichever is ready: the one that began first may have been last to take its turn.
        future = next(iter(wait(self.pending, return_when=FIRST_COMPLETED).done))
        self.pending.remove(future)
        try:
            result = future.result()
        except BaseException:
            self._stop()
            self.setup()  # the runner may try the bundle again here
            raise
        # On this thread: a counter incremented from another one is lost.
        # A bundle that runs again finds its own shard, which no earlier run has made.
        REUSED.inc(result.rows if result.reused and result.key in self.job.committed else 0)
        return result

    def _stop(self) -> None:
        """Lets what is running end and begins nothing more: shards without their clips leave no half-written file."""
        for executor in (self.clips, self.reader):
            executor.shutdown(wait=False, cancel_futures=True)
        self.shards.shutdown(cancel_futures=True)
        self.progress.close()

    def teardown(self) -> None:
        self._stop()


class DropRepeats(beam.PTransform):
    """Of clips with the same audio keeps one, once all shards are written."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job

    @staticmethod
    def _keyed(result: ShardResult) -> tuple[ShardKey, ShardResult]:
        return result.key, result

    def _uses(self, result: ShardResult) -> Iterator[tuple[str, Use]]:
        return repeats.uses(result.key, self.job.output)

    @staticmethod
    def _repeats(element: tuple[str, Iterable[Use]]) -> Iterator[tuple[ShardKey, tuple[str, str]]]:
        return repeats.repeats(element[1])

    def _drop(self, element: tuple[ShardKey, dict[str, list[Any]]]) -> ShardResult:
        key, found = element
        repeats.drop(key, dict(found["dropped"]), self.job.output)
        result: ShardResult = found["results"][0]
        return result

    def expand(self, results: PCollection) -> PCollection:
        uses = results | beam.FlatMap(self._uses).with_output_types(tuple[str, Use]) | "SameAudio" >> beam.GroupByKey()
        dropped = uses | beam.FlatMap(self._repeats).with_output_types(tuple[ShardKey, tuple[str, str]])
        keyed = results | beam.Map(self._keyed).with_output_types(tuple[ShardKey, ShardResult])
        both = {"results": keyed, "dropped": dropped} | beam.CoGroupByKey()
        return both | beam.Map(self._drop).with_output_types(ShardResult)


class FinishDataset(beam.PTransform):
    """Describes the dataset once all its shards are written."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job

    def _finish(self, results: list[ShardResult]) -> Report:
        return finish.finish(results, self.job.plan, self.job.output)

    def expand(self, results: PCollection) -> PCollection:
        return results | beam.combiners.ToList() | beam.Map(self._finish)
