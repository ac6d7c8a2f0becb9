"""`make bench`: what `cliptune prepare` costs beside bare library calls and other tools, and whether targets hold.

    python -m benchmarks.performance full 5        the tables and the plot of docs/performance.md, in 5 rounds
    python -m benchmarks.performance small 5       a part of it, on stdout

Every contestant is a whole process started afresh. All run once a round, in another order each round, and are compared
within it. In a round before the first, which is not timed, outputs are checked and memory is sampled.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import corpus, page, processes
from benchmarks.contestants import OURS, OWN, THREADS, WITHOUT_AUDIO, Contestant, WrongOutputError
from benchmarks.corpus import BENCH, KINDS, MIX, ROOT, Corpus, Recording
from benchmarks.figures import Key, Round
from benchmarks.page import FEW, MANY, MOST, RERUN, SOME
from benchmarks.peers import environments
from benchmarks.processes import CommandFailedError, Cost

# A clip of the longest run takes this much of the disk: its line, and its part of ledger and report.
_BYTES_A_CLIP = 20_000
# Bundled recordings of up to this length are repeated in the longest run.
_SHORT_SECONDS = 1.0
_PASSES = 3
# What takes minutes also differs less from run to run.
LONG_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured.

    Attributes:
      minutes: that it takes for five rounds on two cores, about.
      rows: of the manifests for every contestant: few, and some.
      clips_a_format: of the recordings.
      many: whether long runs of ours and of the bare calls are measured, too.
      others: whether peers are.
    """

    minutes: int
    rows: tuple[int, int] = (FEW, SOME)
    clips_a_format: int = corpus.CLIPS_A_FORMAT
    many: bool = False
    others: bool = False


SIZES = {
    "smoke": Size(1, (1, 2 * len(MIX)), 2),
    "small": Size(4),
    "medium": Size(15, others=True),
    "full": Size(35, many=True, others=True),
}


@dataclass(slots=True)
class Bench:
    """A folder with recordings and manifests, and runs over them.

    Attributes:
      folder: of all that is written.
      recordings: the mix.
      manifests: by their rows.
    """

    folder: Path
    recordings: list[Recording]
    manifests: dict[int, Path] = field(default_factory=dict)

    def manifest(self, rows: int, recordings: Sequence[Recording] = ()) -> None:
        """Writes a manifest of so many rows; the mix by default."""
        self.manifests[rows] = self.folder / f"{rows}.jsonl"
        corpus.write_manifest(self.manifests[rows], recordings or self.recordings, rows)

    def prepare(self, contestant: Contestant, rows: int, first: bool = False) -> dict[Key, Cost]:
        """Runs a contestant; ours a second time, too, when all is done, unless there is hardly anything to do.

        Args:
          contestant: the program.
          rows: of the manifest.
          first: whether to sample memory, and to check the output where it is one of the mix.

        Raises:
          CommandFailedError: it failed.
          WrongOutputError: it wrote something else.
        """
        out = self.folder / "out"
        remove(out)
        command = contestant.command(self.manifests[rows], out)
        try:
            found = {(contestant.name, rows): processes.measure(command, ROOT, os.environ, first)}
            if first and contestant is not WITHOUT_AUDIO and rows <= len(self.recordings):
                contestant.check(out, rows, sum(each.seconds for each in self.recordings[:rows]))
            if contestant is OURS and rows > FEW and not first:
                found[RERUN, rows] = processes.measure(command, ROOT, os.environ)
        finally:
            remove(out)
        return found


def remove(out: Path) -> None:
    """Removes an output, if there is one."""
    if out.is_dir():
        shutil.rmtree(out)
    out.unlink(missing_ok=True)


def plan(size: Size, others: Sequence[Contestant]) -> list[tuple[Contestant, int]]:
    """What is run once a round."""
    tasks = [(each, rows) for each in (*OWN, *others) for rows in size.rows]
    return [*tasks, *((each, MANY) for each in (OURS, THREADS, WITHOUT_AUDIO))] if size.many else tasks


def first_round(bench: Bench, tasks: Sequence[tuple[Contestant, int]]) -> tuple[dict[Key, Cost], set[str]]:
    """Everything once.

    Returns:
      the costs, and the names of peers that failed.

    Raises:
      CommandFailedError, WrongOutputError: ours or the bare calls failed, so there is nothing to compare.
    """
    costs: dict[Key, Cost] = {}
    failed: set[str] = set()
    for contestant, rows in tasks:
        if contestant.name in failed:
            continue
        try:
            costs |= _told(0, bench.prepare(contestant, rows, first=True))
        except (CommandFailedError, WrongOutputError) as fault:
            if contestant in (*OWN, WITHOUT_AUDIO):
                raise
            failed.add(contestant.name)
            print(f"{contestant.name} is left out: {fault}", file=sys.stderr, flush=True)
    return costs, failed


def one_round(bench: Bench, tasks: Sequence[tuple[Contestant, int]], number: int) -> Round:
    """Everything once, beginning elsewhere each time; long runs in the first rounds only."""
    if number > LONG_ROUNDS:
        tasks = [(contestant, rows) for contestant, rows in tasks if rows != MANY]
    begin = (number * 3) % len(tasks)
    costs: dict[Key, Cost] = {}
    for contestant, rows in (*tasks[begin:], *tasks[:begin]):
        try:
            costs |= _told(number, bench.prepare(contestant, rows))
        except CommandFailedError as fault:
            if contestant in (*OWN, WITHOUT_AUDIO):
                raise
            print(f"{contestant.name} is left out of round {number}: {fault}", file=sys.stderr, flush=True)
    return costs


def _told(number: int, costs: Mapping[Key, Cost]) -> Mapping[Key, Cost]:
    for (name, rows), cost in costs.items():
        tree = "" if cost.memory is None else f", {cost.memory.tree / 2**20:.0f} MiB"
        text = f"round {number}: {name}, {rows:,} rows: {cost.seconds:.2f} s, of the processor {cost.cpu:.2f} s{tree}"
        print(text, file=sys.stderr, flush=True)
    return costs


def alone(every: Corpus) -> dict[str, float]:
    """Ours to the bare calls by format, for one round."""
    sets = {kind.name: [str(each.path) for each in every.of([kind])] for kind in KINDS}
    words = [sys.executable, "-m", "benchmarks.one_process", str(_PASSES)]
    found: dict[str, float] = json.loads(processes.output(words, ROOT, json.dumps(sets)))
    return found


def longest(bench: Bench) -> None:
    """Makes room for the longest run.

    Raises:
      SystemExit: the disk has too little.
    """
    free, needed = shutil.disk_usage(bench.folder).free, MOST * _BYTES_A_CLIP
    if free < 2 * needed:
        raise SystemExit(f"{MOST:,} clips need {2 * needed / 2**30:.0f} GiB of disk, got {free / 2**30:.0f} GiB")
    bench.manifest(MOST, [each for each in corpus.bundled() if each.seconds <= _SHORT_SECONDS])


def measure(bench: Bench, every: Corpus, size: Size, rounds: int) -> page.Measured:
    """All rounds."""
    wanted = environments.PEERS if size.others else ()
    tasks = plan(size, [peer.contestant for peer in wanted if peer.installed])
    for rows in sorted({rows for _, rows in tasks}):
        bench.manifest(rows)
    if size.many:
        longest(bench)
    costs, failed = first_round(bench, tasks)
    tasks = [task for task in tasks if task[0].name not in failed]
    if size.many:
        costs |= _told(0, bench.prepare(OURS, MOST, first=True))
    done, formats = [], []
    for number in _counted(rounds):
        done.append(one_round(bench, tasks, number))
        formats.append(alone(every))
    left_out = {peer.title: "not installed" for peer in wanted if not peer.installed}
    return page.Measured(size.rows, costs, done, formats, left_out | dict.fromkeys(failed, "failed"))


def _counted(rounds: int) -> Iterator[int]:
    """The numbers of the rounds; tells how long the rest will take."""
    start = time.monotonic()
    for number in range(1, rounds + 1):
        yield number
        minutes = (time.monotonic() - start) / number * (rounds - number) / 60
        print(f"round {number} of {rounds} is done; about {minutes:.0f} minutes left", file=sys.stderr, flush=True)


def main(name: str, rounds: int) -> None:
    """Measures, and writes or prints the tables."""
    size = SIZES[name]
    minutes = size.minutes * (rounds + 1) / 6
    print(f"{name}, {rounds} rounds: about {minutes:.0f} minutes on two idle cores", file=sys.stderr, flush=True)
    every = Corpus(BENCH / "corpus", size.clips_a_format)
    measured = measure(Bench(BENCH, every.of(MIX)), every, size, rounds)
    if size.many:
        page.write(measured)
    print(page.text(measured))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
