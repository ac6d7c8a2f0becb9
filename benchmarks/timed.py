"""`cliptune`, its time without the imports, and the processor time of its processes, as a line of JSON after its own.

python -m benchmarks.timed overlap prepare --manifest M --output OUT
python -m benchmarks.timed plain prepare --manifest M --output OUT    as if no request were overlapped with work
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

import beam_pipeline.prepare  # noqa: F401 -- else the command would import it, in the time that is measured
from beam_pipeline import write_shards
from benchmarks.replacing import Replacements, replaced
from cliptune import main as cliptune
from transforms.clip import Outcome
from transforms.dataset.prepare_clip import Convert
from transforms.dataset.shard import ClipPool
from transforms.payloads import Payload
from transforms.report import finish


def one_after_the_other() -> Replacements:
    """Nothing is read ahead, one shard is written after the other, and one sidecar read."""

    def without_reader(
        clips: Executor,
        convert: Convert,
        window: int,
        note: Callable[[Outcome], None],
        reader: Executor,
        reads: int,
        is_as_noted: Callable[[Payload, int], bool],
    ) -> ClipPool:
        return ClipPool(clips, convert, window, note, is_as_noted=is_as_noted)

    return {
        (write_shards, "SHARDS_AT_A_TIME"): 1,
        (finish, "SIDECARS_AT_A_TIME"): 1,
        (write_shards, "ClipPool"): without_reader,
    }


VARIANTS: dict[str, Callable[[], Replacements]] = {"overlap": dict, "plain": one_after_the_other}


def main(variant: str, words: Sequence[str]) -> int:
    """Runs the command."""
    with replaced(VARIANTS[variant]()):
        start = time.monotonic()
        status = cliptune.main(words)
        seconds = time.monotonic() - start
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps([seconds, sum(each.ru_utime + each.ru_stime for each in usage)]))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
