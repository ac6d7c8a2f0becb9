"""Whether a clip still costs what it did, to the bare calls: `make test` asks this, in a few seconds.

    python -m benchmarks.guard            exit status 1 if it has grown by more than a fifth
    python -m benchmarks.guard record     writes down what it is now

A ratio in one process depends little on the machine and on what else it does. Clips are a few of each format of `make
bench`; each is prepared by the product and by the bare calls in turn.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import one_process
from benchmarks.corpus import BENCH, MIX, Corpus
from benchmarks.one_process import Call

RECORDED = Path(__file__).with_name("recorded.json")
NAME = "cpu_to_bare_calls"
GROWTH = 1.2
CLIPS_A_FORMAT = 2
PASSES = 9


def paths(corpus: Corpus) -> list[str]:
    """The recordings that are prepared."""
    return [str(recording.path) for recording in corpus.of(MIX)]


def measured(recordings: Sequence[str], passes: int = PASSES, ours: Call = one_process.ours) -> float:
    """The median of the ratios of some passes."""
    return statistics.median(one_process.ratios(recordings, passes, ours))


def verdict(recordings: Sequence[str], recorded: float, passes: int = PASSES, ours: Call = one_process.ours) -> str:
    """What is wrong, in a sentence; "" if nothing is. What seems too slow is measured once more."""
    limit = recorded * GROWTH
    found = measured(recordings, passes, ours)
    if found > limit:
        found = min(found, measured(recordings, passes, ours))
    if found <= limit:
        return ""
    return (
        f"a clip takes {found:.2f} times the processor time of the bare calls, where {recorded:.2f} is recorded: more "
        f"than a fifth more. If that is meant: python -m benchmarks.guard record"
    )


def recorded() -> float:
    """The ratio that is written down."""
    return float(json.loads(RECORDED.read_text(encoding="utf-8"))[NAME])


def record(ratio: float) -> None:
    """Writes a ratio down."""
    RECORDED.write_text(json.dumps({NAME: round(ratio, 3)}) + "\n", encoding="utf-8")


def main(words: Sequence[str]) -> str:
    """Judges or records; what is wrong."""
    recordings = paths(Corpus(BENCH / "corpus", CLIPS_A_FORMAT))
    if words != ["record"]:
        return verdict(recordings, recorded())
    record(measured(recordings, 5 * PASSES))
    return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) or 0)
