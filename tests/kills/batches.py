"""Many trials, in two processes: one kills what works on the disk, one what works in a bucket."""

from __future__ import annotations

import logging
import multiprocessing
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.kills import places
from tests.kills.prepare import PrepareTrials
from tests.kills.trial import MISSED, Trial
from tests.kills.tune import TuneTrials

PROCESSES = 2
# Of eight trials, one is of `tune`.
TUNE_EVERY = 8


def batch(seed: str, kills: int, first: int) -> tuple[Counter[str], list[Trial]]:
    """The trials of every second number until they were so many kills: what became of each, and the broken ones."""
    logging.disable(logging.CRITICAL)  # the emulator logs each name that is not there
    counts, broken, number = Counter[str](), [], first
    with tempfile.TemporaryDirectory() as folder, places.both(Path(folder)) as found:
        prepared, tuned = PrepareTrials(Path(folder), found), TuneTrials(Path(folder), found)
        while landed(counts) < kills:
            kind = tuned if number // PROCESSES % TUNE_EVERY == TUNE_EVERY - 1 else prepared
            trial = kind.one(seed, number)
            number += PROCESSES
            counts += trial.counts
            broken += [trial] if trial.wrong else []
            print(f"{trial.name}: {trial.wrong or 'held'}", file=sys.stderr, flush=True)
    return counts, broken


def landed(counts: Counter[str]) -> int:
    """The kills whose victim was there: a moment may come after the end of its run."""
    return sum(count for name, count in counts.items() if not name.endswith(MISSED))


def run(kills: int, seed: str) -> int:
    """Prints the counts; 1 if a promise was broken."""
    shares = [kills - kills // PROCESSES, kills // PROCESSES]
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        found = pool.starmap(batch, [(seed, share, first) for first, share in enumerate(shares)])
    counts: Counter[str] = sum((each for each, _ in found), Counter())
    for name, count in sorted(counts.items()):
        print(f"{count:5}  {name}")
    broken = [trial for _, trials in found for trial in trials]
    for trial in broken:
        print(f"{trial.name}\n  " + "\n  ".join(trial.wrong))
    missed = counts.total() - landed(counts)
    told = f"{len(broken)} commands that did not end as they should"
    print(f"SEED={seed}: {landed(counts)} kills ({missed} more came too late), {told}")
    return int(bool(broken))
