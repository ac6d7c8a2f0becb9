"""A few workers at a time, and a new one for each that dies."""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError

import orjson

from transforms import errors, reasons
from transforms.errors import BrokenPromiseError, ClipRejected, StorageError
from transforms.workers import bounds, budget, wire
from transforms.workers.bounds import Bounds
from transforms.workers.budget import Budget
from transforms.workers.nursery import Nursery
from transforms.workers.wire import Kind
from transforms.workers.worker import Work

# What workers have imported when they begin.
MODULES = ("transforms.dataset.clip_workers", "transforms.dataset.conversion")
# A second try shows whether the clip was to blame, or who killed the process from outside.
TRIES = 2
# Workers die with their nursery, whatever they did. If so many nurseries die during one task, something is after them.
NURSERIES = 4
# Beyond its own bounds a worker may wait for a disk. After that it is taken for dead, whatever it waits for.
SILENT_SECONDS = 600
# A task that does not get on with its share of the memory gets so many times as much, as often as there is more.
MORE_TIMES = 4

# A worker that ends before it begins was killed from outside, or cannot begin.
STARTS = 3
_NO_PROCESS = "no process can be started that prepares clips"
_REMEDY = "with fewer --clip_workers a run takes less memory"

Answer = Callable[[bytes], bytes]


class WorkerDied(Exception):
    """A worker died of its task, or the task would not end.

    Attributes:
      detail: what happened, for people.
      hopeless: whether another try would end in the same way.
      exit_code: of its process, negative for a signal; None while it has none.
    """

    def __init__(self, detail: str, hopeless: bool, exit_code: int | None = None) -> None:
        super().__init__(detail, hopeless, exit_code)
        self.detail = detail
        self.hopeless = hopeless
        self.exit_code = exit_code


class _LostError(Exception):
    """A nursery has died, and all its workers with it: no task is to blame."""

    def __init__(self, nursery: Nursery) -> None:
        super().__init__()
        self.nursery = nursery


class Pool:
    """Workers that do one kind of work. Each thread that calls `run` waits for one of them."""

    def __init__(self, work: Work, size: int, limits: Bounds = bounds.DEFAULT, memory: Budget = budget.TASKS) -> None:
        """Makes a pool; a worker starts when it is first needed.

        Args:
          work: what a worker does with a task. It is pickled.
          size: workers at a time.
          limits: of each task.
          memory: of all tasks; shared with other pools.
        """
        self._begin = pickle.dumps((work, limits))
        self._limits = limits
        self._memory = memory
        self._most = min(limits.memory_bytes, memory.total)
        self._share = min(self._most, memory.share(size))
        self._places = threading.Semaphore(size)
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._lock = threading.Lock()
        self._closed = False

    def run(self, task: bytes, answer: Answer, needs: int = 0) -> Sequence[bytes]:
        """The result of a task.

        Args:
          task: for the work.
          answer: answers what the worker asks. What it raises ends the task; ClipRejected is told the worker.
          needs: bytes of memory that the task is known to need; it gets more if it does not get on with them.

        Raises:
          WorkerDied: twice, or of a limit.
          CancelledError: the pool was closed meanwhile; the task is not to blame.
          StorageError: no worker can be started, or all are killed again and again. That is no task's fault.
          ClipRejected, StorageError, UserError, BrokenPromiseError: the work, or `answer`, has raised it.
        """
        died, lost, allowed = 0, set[Nursery](), min(max(needs, self._share), self._most)
        while True:
            try:
                with self._memory.holding(allowed), self._worker(allowed) as worker:
                    return worker.run(task, answer, allowed)
            except WorkerDied as death:
                if death.exit_code == bounds.OUT_OF_MEMORY and allowed < self._most:
                    allowed = min(allowed * MORE_TIMES, self._most)
                    continue
                died += 1
                if (death.hopeless or died == TRIES) and not self._closed:
                    raise
            except _LostError as fault:
                _give_up(fault.nursery)
                lost.add(fault.nursery)
                if len(lost) == NURSERIES and not self._closed:
                    raise StorageError(
                        f"the processes that prepare clips are killed again and again; {_REMEDY}"
                    ) from None

    def close(self) -> None:
        """Ends all workers. Calls that are under way raise CancelledError."""
        with self._lock:
            self._closed = True
            for worker in self._busy:  # they end themselves, when their threads are done with them
                worker.hang_up()
        self._end_idle(0)

    @contextlib.contextmanager
    def _worker(self, allowed: int) -> Iterator[_Worker]:
        """One worker for one task, for which memory is held. It waits for the next if it is ready for it."""
        with self._places:
            # Idle workers keep up to a share of memory, which is somebody's now.
            self._end_idle(max(0, self._memory.free) // self._share + 1)
            with self._lock:
                waiting = self._idle.pop() if self._idle else None
            worker = waiting or self._start()
            with self._lock:
                self._busy.add(worker)
                if self._closed:
                    worker.hang_up()
            try:
                yield worker
            finally:
                self._after(worker, allowed)

    def _after(self, worker: _Worker, allowed: int) -> None:
        """Keeps the worker if it can do another task, and has not taken more than its share."""
        with self._lock:
            self._busy.discard(worker)
            if worker.ready and not self._closed and allowed <= self._share:
                self._idle.append(worker)
                return
        worker.kill()

    def _end_idle(self, but: int) -> None:
        """Ends idle workers, but for so many."""
        with self._lock:
            ended, self._idle = self._idle[but:], self._idle[:but]
        for worker in ended:
            worker.kill()

    def _start(self) -> _Worker:
        if self._closed:
            raise CancelledError
        nursery = started()
        for _ in range(STARTS):
            try:
                return _Worker(nursery, self._begin, self._limits)
            except ConnectionError:
                raise _LostError(nursery) from None
            except EOFError:  # killed from outside, unless that happens again and again
                continue
            except OSError as fault:
                raise StorageError(f"{_NO_PROCESS}: {fault}; {_REMEDY}") from None
        raise StorageError(f"{_NO_PROCESS}: it ends before it begins; {_REMEDY}")


class _Worker:
    """One worker, from this side.

    Attributes:
      ready: whether it waits for a task.
    """

    def __init__(self, nursery: Nursery, begin: bytes, limits: Bounds) -> None:
        self._nursery = nursery
        self._limits = limits
        self._pid, self._connection = nursery.fork()
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", SILENT_SECONDS, 0))
        self.ready = True
        try:
            wire.send(self._connection, Kind.TASK, begin)
            wire.receive(self._connection)
        except BaseException:
            self.kill()
            raise

    def run(self, task: bytes, answer: Answer, allowed: int) -> Sequence[bytes]:
        """As `Pool.run`, once, with so much memory."""
        self.ready = False
        self._send(Kind.TASK, task, allowed.to_bytes(8, "little"))
        kind, parts = self._receive()
        while kind == Kind.ASK:
            self._send(*_answered(answer, parts[0]))
            kind, parts = self._receive()
        self.ready = True
        if kind == Kind.FAULT:
            raise _fault(parts[0])
        return parts

    def _send(self, kind: Kind, *parts: bytes) -> None:
        try:
            wire.send(self._connection, kind, *parts)
        except OSError:
            raise self._death() from None

    def _receive(self) -> tuple[Kind, Sequence[bytes]]:
        try:
            return wire.receive(self._connection)
        except BlockingIOError:
            self.kill()
            raise WorkerDied(f"it did not answer within {SILENT_SECONDS} s", hopeless=True) from None
        except ValueError:
            self.kill()
            raise WorkerDied("its process answered with nonsense", hopeless=False) from None
        except (EOFError, OSError):
            raise self._death() from None

    def _death(self) -> WorkerDied | _LostError:
        self._connection.close()
        try:
            code = self._nursery.wait(self._pid)
        except OSError:  # the nursery is dead, too
            return _LostError(self._nursery)
        return WorkerDied(*bounds.death(code, self._limits), code)

    def hang_up(self) -> None:
        """Lets a call that is under way end, from another thread."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def kill(self) -> None:
        """Ends it, and what it has started; does nothing for one that is known to be dead."""
        if self._connection.fileno() < 0:
            return
        self._connection.close()
        with contextlib.suppress(OSError):
            self._nursery.kill(self._pid)


def _answered(answer: Answer, question: bytes) -> tuple[Kind, bytes]:
    try:
        return Kind.ANSWER, answer(question)
    except ClipRejected as refusal:
        return Kind.REFUSAL, orjson.dumps([refusal.reason.name, refusal.detail])


def _fault(told: bytes) -> Exception:
    """The exception that the work has raised, by the name of its class."""
    name, message, where = orjson.loads(told)
    if name == ClipRejected.__qualname__:
        return ClipRejected(reasons.REASONS[message], where)
    kind = next((kind for kind in errors.told() if kind.__qualname__ == name), None)
    return kind(message) if kind is not None else BrokenPromiseError(where)


# One nursery serves all pools of this process.
_nursery: Nursery | None = None
_nursery_lock = threading.Lock()


def started() -> Nursery:
    """The nursery, which starts at the first call: call it early, for it imports while this process does other work."""
    global _nursery  # noqa: PLW0603 -- there is one a process, like the process itself
    with _nursery_lock:
        if _nursery is None:
            _nursery = Nursery(MODULES)
        return _nursery


def stop() -> None:
    """Ends the nursery and all workers. The next pool starts another one."""
    with _nursery_lock:
        _forget(lambda nursery: nursery.stop())


@contextlib.contextmanager
def running() -> Iterator[None]:
    """The nursery runs during the block, and is gone after it."""
    started()
    try:
        yield
    finally:
        stop()


def _give_up(dead: Nursery) -> None:
    """Forgets a nursery that does not answer."""
    with _nursery_lock:
        if _nursery is dead:
            _forget(lambda nursery: nursery.stop())


def _forget(end: Callable[[Nursery], None]) -> None:
    global _nursery  # noqa: PLW0603
    if _nursery is not None:
        end(_nursery)
    _nursery = None


def _in_child() -> None:
    """A fork of this process is no owner: with its copy of the connection, the nursery would outlive its program."""
    global _nursery_lock  # noqa: PLW0603 -- another thread may have held it
    _nursery_lock = threading.Lock()
    _forget(lambda nursery: nursery.disown())


atexit.register(stop)
os.register_at_fork(after_in_child=_in_child)
