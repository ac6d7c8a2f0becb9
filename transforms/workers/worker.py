"""Inside a worker: one task at a time, each within the bounds, until its parent is gone."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import traceback
from collections.abc import Callable, Sequence

import orjson

from transforms import reasons
from transforms.errors import ClipRejected
from transforms.workers import bounds, shortage, wire
from transforms.workers.bounds import Bounds, Clock
from transforms.workers.wire import MAX_PARTS, Kind


class Parent:
    """The process that has given the task, as the task sees it."""

    def __init__(self, connection: socket.socket, clock: Clock) -> None:
        self._connection = connection
        self.clock = clock

    def ask(self, question: bytes) -> bytes:
        """What the parent answers. The task's time stands still.

        Raises:
          ClipRejected: the parent refuses the clip.
        """
        with self.clock.paused():
            wire.send(self._connection, Kind.ASK, question)
            kind, parts = wire.receive(self._connection)
        if kind == Kind.REFUSAL:
            reason, detail = orjson.loads(parts[0])
            raise ClipRejected(reasons.REASONS[reason], detail)
        return parts[0]


# The task as bytes, and whom to ask; the parts of the result.
Work = Callable[[bytes, Parent], Sequence[bytes]]


def begin(connection: socket.socket, nursery: int) -> None:
    """Serves a connection to its end. Never returns.

    Args:
      connection: the first message is the work and its bounds, pickled.
      nursery: the process that this one was forked from, and that it must not outlive.
    """
    status = 1
    try:
        _die_with(nursery)
        _isolate()
        _serve(connection)
        status = 0
    except MemoryError:
        status = bounds.OUT_OF_MEMORY
    except (EOFError, OSError):  # the parent is gone
        status = 0
    finally:
        os._exit(status)


def _isolate() -> None:
    """A group of its own, so that its children are killed with it; and no library speaks to the user's terminal."""
    os.setpgid(0, 0)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nowhere, descriptor)
    for number in (bounds.CPU_SIGNAL, bounds.WALL_SIGNAL):
        signal.signal(number, signal.SIG_DFL)


def _serve(connection: socket.socket) -> None:
    _, parts = wire.receive(connection)
    work, limits = _unpickled(parts[0])
    memory, parent = bounds.Memory(), Parent(connection, Clock(limits))
    wire.send(connection, Kind.READY)
    while True:
        _, (task, allowed, _) = wire.receive(connection)
        memory.allow(int.from_bytes(allowed, "little"))
        shortage.forget()
        kind, result = _done(work, task, parent)
        if shortage.noted() and int.from_bytes(allowed, "little") < limits.memory_bytes:
            raise MemoryError  # with more, the result may be another
        wire.send(connection, kind, *result)


def _unpickled(content: bytes) -> tuple[Work, Bounds]:
    work, limits = pickle.loads(content)
    return work, limits


def _done(work: Work, task: bytes, parent: Parent) -> tuple[Kind, Sequence[bytes]]:
    try:
        with parent.clock.running():
            result = work(task, parent)
        assert len(result) <= MAX_PARTS
        return Kind.DONE, result
    except (MemoryError, EOFError, BrokenPipeError, ConnectionError):
        raise
    except ClipRejected as refusal:
        if isinstance(refusal.__cause__, MemoryError):
            raise refusal.__cause__ from None
        return Kind.FAULT, [orjson.dumps([ClipRejected.__qualname__, refusal.reason.name, refusal.detail])]
    except Exception as fault:
        where = "".join(traceback.format_exception(fault))
        return Kind.FAULT, [orjson.dumps([type(fault).__qualname__, str(fault), where])]


def _die_with(nursery: int) -> None:
    """Has the system kill this process when the nursery dies, however it dies. Other systems than Linux cannot."""
    try:
        import ctypes  # noqa: PLC0415 -- where there is no prctl there may be no ctypes either

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    except (ImportError, OSError, AttributeError):
        return
    if os.getppid() != nursery:  # it was too late
        os._exit(0)
