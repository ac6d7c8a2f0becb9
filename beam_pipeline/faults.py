"""The results of workers: their exceptions, without Beam's additions, and their counters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from apache_beam.metrics import MetricsFilter
from apache_beam.runners.runner import PipelineResult

from beam_pipeline.job import Ran, Spread
from beam_pipeline.write_shards import CPU, REUSED
from transforms import errors
from transforms.errors import StorageError, UserError


@contextmanager
def of_workers() -> Iterator[None]:
    """Raises the worker's own exception, without Beam's additions.

    Raises:
      UserError, StorageError: a worker raised it, in this process or elsewhere.
      KeyboardInterrupt: the user pressed Ctrl-C.
      OSError, MemoryError: a worker in this process raised it.
    """
    try:
        yield
    except (UserError, StorageError) as fault:
        raise type(fault)(_without_step(str(fault))) from None
    except RuntimeError as fault:
        if str(fault).startswith("KeyboardInterrupt"):  # Beam wraps the exceptions that it catches
            raise KeyboardInterrupt from None
        if isinstance(fault.__context__, OSError | MemoryError):  # what the system refused, in this process
            raise fault.__context__ from None
        # A worker elsewhere sends its exception as the text of a traceback.
        original = errors.in_traceback(str(fault))
        if original is None:
            raise
        raise type(original)(_without_step(str(original))) from None


def _without_step(text: str) -> str:
    """Removes " [while running 'Step']", which Beam appends to a worker's message."""
    return re.sub(r" \[while running '.*'\](?: with exceptions:.*)?$", "", text)


def counted(result: PipelineResult) -> Ran:
    """What the workers have counted."""
    found = result.metrics().query(MetricsFilter().with_namespace(REUSED.metric_name.namespace))
    named = {metric.key.metric.name: metric.result for kind in ("counters", "distributions") for metric in found[kind]}
    spreads = {stage: named.get(distribution.metric_name.name) for stage, distribution in CPU.items()}
    # A job server reports a counter of zero as None.
    return Ran(
        named.get(REUSED.metric_name.name) or 0,
        {stage: Spread(times.count, times.sum, times.max) for stage, times in spreads.items() if times and times.count},
    )
