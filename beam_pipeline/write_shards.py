"""Writing shards: the one step that touches audio, and the threads and processes that it works with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from threading import Lock

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.pvalue import AsSingleton, PCollection
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.shared import Shared
from apache_beam.utils.windowed_value import WindowedValue

from beam_pipeline.job import Claimed, Job
from beam_pipeline.progress import ProgressFile
from beam_pipeline.spool import Spool
from transforms.audio import builds
from transforms.clip import Clip, Outcome, unpack
from transforms.dataset import example, shard
from transforms.dataset.clip_workers import ClipWorkers
from transforms.dataset.copies import Copies
from transforms.dataset.output import Output
from transforms.dataset.plan import ShardKey
from transforms.dataset.shard import ClipPool, ShardResult

# What a service's page shows of a job, too.
NAMESPACE = "cliptune"
REUSED = Metrics.counter(NAMESPACE, "clips_reused")
# Microseconds of processor time of each converted clip.
CPU = {stage: Metrics.distribution(NAMESPACE, f"cpu_us_{stage}") for stage in shard.STAGES}
# A thread prepares tens of clips a second: a request of a tenth of a second must not hold it up. The cap bounds the
# memory of a worker with many threads, for each read may hold `read_ahead.MAX_WAITING_BYTES`.
READS_PER_THREAD, MAX_READS = 8, 64  # and for one thread more
# Of lines that wait to be written. Only lines of several megabytes are so many that fewer clips are prepared at a time.
RESULT_BYTES = 128 << 20
# The end of a shard takes some requests; meanwhile the clips of another one are prepared.
SHARDS_AT_A_TIME = 3


class WriteShards(beam.PTransform):
    """Groups rows by shard and writes each shard.

    Args:
      job: what is prepared.
      claimed: side input with its claim; () if the job has claimed its output before.
    """

    def __init__(self, job: Job, claimed: Sequence[AsSingleton] = ()) -> None:
        super().__init__()
        self.job = job
        self.claimed = claimed

    def step(self) -> beam.DoFn:
        """What each thread of the runner's harness has a copy of; the copies of a process share its threads."""
        return _WriteShard(self.job)

    def expand(self, rows: PCollection) -> PCollection:
        # References cross the shuffle, audio never does.
        written = beam.ParDo(self.step(), *self.claimed)
        return rows | beam.GroupByKey() | written.with_output_types(ShardResult)


class _WriteShard(beam.DoFn):
    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job
        self.place = Shared()

    def setup(self) -> None:
        builds.refuse_others(self.job.decoders)
        self.writer = ShardWriter(self.job, self.place.acquire(Place))
        self.spool = Spool(self.job.spool)

    def process(
        self, element: tuple[ShardKey, Iterable[bytes]], claimed: Claimed | None = None
    ) -> Iterator[ShardResult]:
        if claimed is not None:
            self.job = self.writer.job = self.job.claimed(claimed)
        key, places = element
        blocks = filter(None, map(self.spool.get, places))
        self.writer.begin(key, [row for block in blocks for row in unpack(block)])
        if self.writer.is_full():
            yield self._written()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        while self.writer.is_busy():
            yield GlobalWindows.windowed_value(self._written())

    def _written(self) -> ShardResult:
        result = self.writer.wait()
        # Counted on this thread: a counter incremented on another one is lost.
        # A bundle that runs again finds its own shard, which no earlier run has made.
        REUSED.inc(result.rows if result.reused and result.key in self.job.committed else 0)
        for name, count in result.counts.items():
            Metrics.counter(NAMESPACE, name).inc(count)
        for spent in result.cpu_ns:
            for distribution, nanoseconds in zip(CPU.values(), spent, strict=True):
                distribution.update(nanoseconds // 1000)
        return replace(result, cpu_ns=(), counts={})

    def teardown(self) -> None:
        self.writer.stop()
        self.spool.close()


class ShardWriter:
    """Writes a few shards at a time, on the threads of its place.

    The threads start with the first shard. A fault of a shard drops the writer's other shards, and stops the threads
    unless another writer has them, too; the next shard starts them anew, for the runner may try the bundle again with
    the same writer.

    Args:
      job: of the shards.
      place: of the threads; None for one of the writer's own.

    Attributes:
      job: of the shards that begin from now on.
    """

    def __init__(self, job: Job, place: Place | None = None) -> None:
        self.job = job
        self._place = place or Place()
        self._threads: _Threads | None = None
        self._pending: set[Future[ShardResult]] = set()

    def begin(self, key: ShardKey, rows: Sequence[Clip | Outcome]) -> None:
        """Begins to write a shard."""
        if self._threads is None:
            self._threads = self._place.enter(self.job)
        self._pending.add(self._threads.write(key, rows, self.job.output))

    def is_busy(self) -> bool:
        """Whether a shard has been begun and not been waited for."""
        return bool(self._pending)

    def is_full(self) -> bool:
        """Whether one more shard would wait for a thread."""
        return len(self._pending) >= SHARDS_AT_A_TIME

    def wait(self) -> ShardResult:
        """The next shard that is written, in whatever order they were begun.

        Raises:
          StorageError, UserError: as `shard.write_shard`.
        """
        # The shard that began first may have been last to take its turn.
        future = next(iter(wait(self._pending, return_when=FIRST_COMPLETED).done))
        self._pending.remove(future)
        try:
            return future.result()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends the threads, if nobody else has them; shards that are not whole leave nothing behind."""
        pending, self._pending = self._pending, set()
        if self._threads is not None and not self._place.leave(self._threads):
            for future in pending:
                future.cancel()
            wait(pending)  # those that have begun; the next try must not meet them
        self._threads = None


class Place:
    """Where the threads of a process are. All its writers share them, however many threads the runner's harness has.

    So memory does not grow with these: there is one window of clips, one of reads, and one bound of their bytes.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._threads: _Threads | None = None
        self._writers = 0

    def enter(self, job: Job) -> _Threads:
        """The threads, for one more writer; they are started for the first."""
        with self._lock:
            self._threads = self._threads or _Threads(job)
            self._writers += 1
            return self._threads

    def leave(self, threads: _Threads) -> bool:
        """Takes a writer away, and stops the threads after the last; whether it was that."""
        with self._lock:
            self._writers -= 1
            if self._writers:
                return False
            self._threads = None
        threads.stop()
        return True


class _Threads:
    """Three pools of threads: for shards, for their clips, and for reads of sources in gs://; and the clip workers.

    A thread of a clip reads its source, if that is not on this machine, and waits for a worker.
    """

    def __init__(self, job: Job) -> None:
        threads = job.clip_workers
        reads = min(READS_PER_THREAD * (threads + 1), MAX_READS)
        self._workers = ClipWorkers(job.output.settings, job.output.verify, threads)
        self._progress = ProgressFile(job.progress_path)
        self._shards = ThreadPoolExecutor(SHARDS_AT_A_TIME, thread_name_prefix="shard")
        self._clips = ThreadPoolExecutor(threads, thread_name_prefix="clip")
        self._reads = ThreadPoolExecutor(reads, thread_name_prefix="read")
        # Two a thread: one being prepared, one ready while the line before it is written.
        window = min(2 * threads, max(1, RESULT_BYTES // example.expected_bytes(job.output.settings)))
        note, check = self._progress.note, self._workers.is_as_noted
        convert, reader = self._workers.convert, self._reads if not job.copies else None
        if job.copies:  # few recordings are read, if any
            convert = Copies(job.copies, job.output, convert).convert
        self._pool = ClipPool(self._clips, convert, window, note, reader, reads, is_as_noted=check)

    def write(self, key: ShardKey, rows: Sequence[Clip | Outcome], output: Output) -> Future[ShardResult]:
        """Writes a shard on one of the threads."""
        return self._shards.submit(shard.write_shard, key, rows, output, self._pool)

    def stop(self) -> None:
        """Lets what is running end and begins nothing more."""
        # Shards whose clips are cancelled end with a fault, and leave no half-written file.
        for executor in (self._clips, self._reads):
            executor.shutdown(wait=False, cancel_futures=True)
        self._workers.close()
        self._shards.shutdown(cancel_futures=True)
        self._progress.close()
