"""The results of workers: their exceptions, without Beam's additions, and their counters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from apache_beam.metrics import MetricsFilter
from apache_beam.runners.runner import PipelineResult

from beam_pipeline.job import Ran, Spread
from beam_pipeline.write_shards import CPU, REUSED
from transforms import errors
from transforms.errors import StorageError, UserError

_JOB_FAILED = re.compile(r"Pipeline (\S+) failed in state \w+: (.*)", re.DOTALL)  # as Beam's job servers say it
_GO_ON = "; the same command goes on from there"
_PYTHON = "Traceback (most recent call last)"


@contextmanager
def of_workers() -> Iterator[None]:
    """Raises the worker's own exception, without Beam's additions.

    Raises:
      UserError, StorageError: a worker raised it, in this process or elsewhere.
      UserError: the runner could not end the job, or does not answer any more.
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
        original = errors.in_traceback(str(fault)) or _of_runner(str(fault))
        if original is None:
            raise
        raise type(original)(_without_step(str(original))) from None
    except grpc.RpcError as fault:
        details = fault.details() if isinstance(fault, grpc.Call) else fault
        raise UserError(f"the job server does not answer any more: {_one_line(details)}{_GO_ON}") from None


def _of_runner(text: str) -> UserError | None:
    """What a runner says of a job that it could not end; None for a fault of the code that it ran."""
    found = _JOB_FAILED.fullmatch(text)
    if found is None or _PYTHON in text:
        return None
    return UserError(f"the job {found[1]} failed: {_one_line(found[2])}{_GO_ON}")


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


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
