"""The results of workers: their exceptions, without Beam's additions, and their counters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from apache_beam.metrics import MetricsFilter
from apache_beam.metrics.metric import MetricResults

from beam_pipeline.job import Ran, Spread
from beam_pipeline.write_shards import CPU, REUSED
from transforms import errors
from transforms.errors import CliptuneError, StorageError, UserError

_JOB_FAILED = re.compile(r"Pipeline (\S+) failed in state \w+: (.*)", re.DOTALL)  # as Beam's job servers say it
_PYTHON = "Traceback (most recent call last)"


class JobEndedError(UserError):
    """The runner could not end the job, or does not answer any more. The dataset tells how far it has come."""


@contextmanager
def of_workers() -> Iterator[None]:
    """Raises the worker's own exception, without Beam's additions.

    Raises:
      UserError, StorageError: a worker raised it, in this process or elsewhere.
      JobEndedError: the runner could not end the job, or does not answer any more.
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
        original = original_of(str(fault)) or _of_runner(str(fault))
        if original is None:
            raise
        raise original from None
    except grpc.RpcError as fault:
        details = fault.details() if isinstance(fault, grpc.Call) else fault
        raise JobEndedError(f"the job server does not answer any more: {one_line(details)}") from None


def original_of(text: str) -> CliptuneError | None:
    """The worker's own exception in the text of a traceback; None for a fault of the code that it ran."""
    found = errors.in_traceback(text)
    return None if found is None else type(found)(_without_step(str(found)))


def _of_runner(text: str) -> JobEndedError | None:
    """What a runner says of a job that it could not end; None for a fault of the code that it ran."""
    found = _JOB_FAILED.fullmatch(text)
    if found is None or _PYTHON in text:
        return None
    return JobEndedError(f"the job {found[1]} failed: {one_line(found[2])}")


def one_line(text: object) -> str:
    """The text without breaks of lines."""
    return " ".join(str(text).split())


def _without_step(text: str) -> str:
    """Removes " [while running 'Step']", which Beam appends to a worker's message."""
    return re.sub(r" \[while running '.*'\](?: with exceptions:.*)?$", "", text)


def counted(metrics: MetricResults) -> Ran:
    """What the workers have counted."""
    found = metrics.query(MetricsFilter().with_namespace(REUSED.metric_name.namespace))
    named = {metric.key.metric.name: metric.result for kind in ("counters", "distributions") for metric in found[kind]}
    spreads = {stage: named.get(distribution.metric_name.name) for stage, distribution in CPU.items()}
    # A job server reports a counter of zero as None.
    return Ran(
        named.get(REUSED.metric_name.name) or 0,
        {stage: Spread(times.count, times.sum, times.max) for stage, times in spreads.items() if times and times.count},
    )
