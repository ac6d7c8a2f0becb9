"""Which processes and threads convert clips best: the table of docs/performance.md.

    python -m benchmarks.workers            every way, in rounds
    python -m benchmarks.workers NAME       one way, once: what is measured

The conversion is the product's. What differs is where it is done: in threads of one process, or in workers, a clip at a
time or several. Every way is a process started afresh; ratios are to the first way, within a round.
"""

from __future__ import annotations

import os
import pickle
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from benchmarks import processes
from benchmarks.batches import clip_of, line_of, several
from benchmarks.corpus import BENCH, MIX, ROOT, Corpus
from benchmarks.figures import cpu, wall
from benchmarks.page import table
from benchmarks.processes import Cost
from transforms.dataset.clip_workers import ClipWorkers
from transforms.ordered import map_ordered
from transforms.settings import Settings
from transforms.workers import pool
from transforms.workers.pool import Pool

ROUNDS = 5
BATCH = 8


def in_threads(paths: Sequence[str], size: int) -> Iterator[bytes]:
    """In threads of this process."""
    with ThreadPoolExecutor(size) as threads:
        yield from map_ordered(threads, line_of, paths, 2 * size)


def in_workers(paths: Sequence[str], size: int) -> Iterator[bytes]:
    """In workers, each of which converts one clip at a time: the product's way."""
    with pool.running(), closing(ClipWorkers(Settings(), False, size)) as workers, ThreadPoolExecutor(size) as threads:
        for converted in map_ordered(threads, lambda path: workers.convert(*clip_of(path)), paths, 2 * size):
            yield converted.line


def in_batches(paths: Sequence[str], size: int) -> Iterator[bytes]:
    """In workers, each of which converts several clips at a time."""

    def run(batch: Sequence[str]) -> bytes:
        return workers.run(pickle.dumps(batch), lambda question: b"")[0]

    batches = (paths[start : start + BATCH] for start in range(0, len(paths), BATCH))
    with pool.running(), closing(Pool(several, size)) as workers, ThreadPoolExecutor(size) as threads:
        yield from map_ordered(threads, run, batches, 2 * size)


WAYS: dict[str, tuple[Callable[[Sequence[str], int], Iterator[bytes]], int]] = {
    "2 workers": (in_workers, 2),
    "3 workers": (in_workers, 3),
    "4 workers": (in_workers, 4),
    "2 threads": (in_threads, 2),
    "1 worker, several files at a time": (in_batches, 1),
    "2 workers, several files at a time": (in_batches, 2),
}


def convert(name: str) -> int:
    """Converts the whole corpus in one way; the bytes of the lines."""
    way, size = WAYS[name]
    paths = [str(recording.path) for recording in Corpus(BENCH / "corpus").of(MIX)]
    return sum(map(len, way(paths, size)))


def compare(rounds: int) -> str:
    """The table, in Markdown."""
    Corpus(BENCH / "corpus")
    costs: dict[str, list[Cost]] = {name: [] for name in WAYS}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        for name in WAYS:
            words = [sys.executable, "-m", "benchmarks.workers", name]
            costs[name].append(processes.measure(words, ROOT, os.environ, sample=False))
    first = costs[next(iter(WAYS))]
    rows = [(name, _ratio(each, first, wall), _ratio(each, first, cpu)) for name, each in costs.items()]
    return table(("where clips are converted", "time", "processor time"), rows)


def _ratio(costs: Sequence[Cost], base: Sequence[Cost], of: Callable[[Cost], float]) -> str:
    return f"{statistics.median(of(one) / of(other) for one, other in zip(costs, base, strict=True)):.2f}"


if __name__ == "__main__":
    print(convert(sys.argv[1]) if len(sys.argv) > 1 else compare(ROUNDS))
