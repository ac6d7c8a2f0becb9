"""The product's processor time for a clip to that of the bare calls, in one process: what a machine changes least.

    python -m benchmarks.one_process PASSES     the median of so many passes over each of some sets of recordings

On stdin and stdout is one line of JSON: the paths of each set by its name, and its ratio.

Each clip is prepared by both, one after the other, so that other work on the machine meets them alike.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import bare
from transforms.clip import Clip
from transforms.dataset import conversion
from transforms.dataset.sources import Stored
from transforms.settings import Settings
from transforms.storage import Storage

Call = Callable[[str], object]


def ours(path: str) -> bytes:
    """A file's line as `prepare` makes it, checks and all."""
    clip = Clip(clip_id=path, uri=path, target="What was said.")
    return conversion.convert(clip, Stored(path, Storage()), Settings(), verify=False).line


def bare_calls(path: str) -> bytes:
    """A file's line by bare calls."""
    return bare.prepare(Path(path).read_bytes())


def cpu_seconds() -> float:
    """The processor time of this process and of children that it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def ratio(paths: Sequence[str], one: Call = ours, other: Call = bare_calls) -> float:
    """The time of `one` for all paths to that of `other`, clip by clip in turn."""
    spent = [0.0, 0.0]
    for path in paths:
        for place, call in enumerate((one, other)):
            begun = cpu_seconds()
            call(path)
            spent[place] += cpu_seconds() - begun
    return spent[0] / spent[1]


def ratios(paths: Sequence[str], passes: int, one: Call = ours, other: Call = bare_calls) -> list[float]:
    """One ratio a pass; before the first pass, each does what it does only once."""
    ratio(paths, one, other)
    return [ratio(paths, one, other) for _ in range(passes)]


if __name__ == "__main__":
    sets = json.load(sys.stdin)
    print(json.dumps({name: statistics.median(ratios(paths, int(sys.argv[1]))) for name, paths in sets.items()}))
