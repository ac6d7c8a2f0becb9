"""What comes back from workers: their faults in their own words, and what they counted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from apache_beam.metrics import MetricsFilter
from apache_beam.runners.runner import PipelineResult

from beam_pipeline.write_shards import REUSED
from transforms import errors
from transforms.errors import StorageError, UserError


@contextmanager
def of_workers() -> Iterator[None]:
    """Raises what a worker raised, without Beam's additions.

    Raises:
      UserError, StorageError: as a worker here, or one elsewhere, has raised it.
      KeyboardInterrupt: Ctrl-C.
    """
    try:
        yield
    except (UserError, StorageError) as fault:
        raise type(fault)(_without_step(str(fault))) from None
    except RuntimeError as fault:
        if str(fault).startswith("KeyboardInterrupt"):  # Beam raises what it caught as its own
            raise KeyboardInterrupt from None
        # A worker elsewhere sends its exception as the text of a traceback.
        told = errors.in_traceback(str(fault))
        if told is None:
            raise
        raise type(told)(_without_step(str(told))) from None


def _without_step(text: str) -> str:
    """Beam appends " [while running 'Step']" to a worker's message."""
    return re.sub(r" \[while running '.*'\](?: with exceptions:.*)?$", "", text)


def reused(result: PipelineResult) -> int:
    """The clips that an earlier run had made ready."""
    counters = result.metrics().query(MetricsFilter().with_name(REUSED.metric_name.name))["counters"]
    # A job server tells a counter that was never above zero as None.
    return sum(counter.result or 0 for counter in counters)
