"""The closed region: what is done to bytes in memory. No world can fail in it, so whatever is raised is the clip's.

Reading from the storage stays outside: its faults are the world's, and end or repeat the run's work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from transforms import reasons
from transforms.errors import ClipRejected, CliptuneError, StorageError, UserError

# Where these are raised depends on how deep the stack or how full the memory was before.
_ANYWHERE = (MemoryError, RecursionError)


def _nothing() -> None:
    """What the world has done to bytes that are all in memory."""


@contextmanager
def closed(raise_fault: Callable[[], None] = _nothing) -> Iterator[None]:
    """The block is inside the region: any exception is that clip's fate, and none ends a run.

    Args:
      raise_fault: raises what the world has done meanwhile, to a stream that is read in the block. That goes first: a
        decoder takes it for the end of the file.

    Raises:
      ClipRejected: of the block; DECODER_FAULT for an exception that should never have been.
      StorageError, UserError: of the block, such as a full disk under a temporary file.
    """
    try:
        yield
    except (ClipRejected, StorageError, UserError):
        raise_fault()
        raise
    except Exception as fault:
        raise_fault()
        raise ClipRejected(reasons.DECODER_FAULT, told(fault)) from fault
    raise_fault()


def told(fault: BaseException) -> str:
    """Class and place of an exception: the same on every machine.

    Texts of libraries hold addresses and paths. Those of Cliptune do not, and stay.
    """
    words = f": {fault}" if isinstance(fault, CliptuneError) else ""
    return f"{type(fault).__name__} at {_place(fault)}{words}"


def _place(fault: BaseException) -> str:
    """The innermost line of Cliptune's, as "transforms/audio/frames.py:12"."""
    places = list(_own_places(fault.__traceback__)) or ["an unknown place"]
    return places[0 if isinstance(fault, _ANYWHERE) else -1]


def _own_places(trace: TracebackType | None) -> Iterator[str]:
    package = __name__.partition(".")[0]
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        if module.startswith(f"{package}.") and module != __name__:
            yield f"{module.replace('.', '/')}.py:{trace.tb_lineno}"
        trace = trace.tb_next
