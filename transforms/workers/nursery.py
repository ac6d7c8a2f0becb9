"""The process that workers are forked from: it has imported what they need, and has done nothing else.

A fork takes milliseconds where a fresh interpreter imports for a fifth of a second. It has no threads, so forking it is
safe, whatever the program that uses it does. The program itself is never forked, and its main module never run again.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import importlib
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from transforms.workers import worker

_FORK, _WAIT, _KILL = b"F", b"W", b"K"
_REQUEST = struct.Struct("<ci")  # what, and which worker
_REPLY = struct.Struct("<i")
_NO_WORKER = 0
# A process whose connection is closed is about to end.
_PATIENCE_SECONDS = 1.0
# A decoded clip takes megabytes. By default the C library gives them back to the system after each use and has them
# filled with zeros at the next, which takes up to a fifth of the time.
_ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(128 << 20),
    "MALLOC_TOP_PAD_": str(16 << 20),
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


class Nursery:
    """The nursery of this process."""

    def __init__(self, modules: Sequence[str]) -> None:
        """Starts it; returns while it still imports.

        Args:
          modules: that the workers will need.

        Raises:
          OSError: the system does not let it start.
        """
        ours, theirs = _pair()
        code = f"import sys; sys.path[:] = {_paths()!r}; from transforms.workers import nursery; nursery.main()"
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", code, str(theirs.fileno()), *modules],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,  # Ctrl-C is for the program, which then ends its workers
                    env={**os.environ, **_ENVIRONMENT},
                )
        except BaseException:
            ours.close()
            raise
        self._control = ours
        self._lock = threading.Lock()

    def fork(self) -> tuple[int, socket.socket]:
        """A new worker: its process id, and the connection to it.

        Raises:
          OSError: there is none to be had; the nursery may have died.
        """
        ours, theirs = _pair()
        try:
            with theirs:
                pid = self._ask(_FORK, 0, [theirs.fileno()])
            if pid == _NO_WORKER:
                raise OSError("the system does not let a worker process start")
        except BaseException:
            ours.close()
            raise
        return pid, ours

    def wait(self, pid: int) -> int:
        """The exit code of a worker that has closed its connection; negative for a signal, as in `subprocess`.

        Raises:
          OSError: the nursery has died, and with it all its workers.
        """
        return self._ask(_WAIT, pid)

    def kill(self, pid: int) -> int:
        """Ends a worker and the processes that it has started; its exit code, as `wait`."""
        return self._ask(_KILL, pid)

    def stop(self) -> None:
        """Ends the nursery and all its workers."""
        self._control.close()
        self._process.wait()

    def disown(self) -> None:
        """Lets go of a nursery that belongs to the process which this one was forked from."""
        self._control.close()
        self._process.returncode = 0  # it is no child of this process, which need not wait for it

    def _ask(self, what: bytes, pid: int, descriptors: Sequence[int] = ()) -> int:
        died = ConnectionResetError("the process that starts workers has died")
        try:
            with self._lock:
                socket.send_fds(self._control, [_REQUEST.pack(what, pid)], descriptors)
                reply = self._control.recv(_REPLY.size, socket.MSG_WAITALL)
        except OSError as fault:
            if fault.errno == errno.EBADF:  # another thread has found that out, and replaced it
                raise died from None
            raise
        if len(reply) < _REPLY.size:
            raise died
        return int(_REPLY.unpack(reply)[0])


def _pair() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets that block: under a default timeout of the program's, the nursery's would not."""
    pair = socket.socketpair()
    for end in pair:
        end.setblocking(True)
    return pair


def _paths() -> list[str]:
    """Where this process finds its modules, also from another folder."""
    return [os.path.abspath(path) for path in sys.path]  # noqa: PTH100 -- text, and "" is the current folder


def main() -> None:
    """The nursery itself. Ends with its program, however that ends: its end of the connection is then closed."""
    # Who ends all processes of a service at once means the program, whose end is this one's, too. A worker that died
    # before it would be taken for a victim of its clip.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(
        signal.SIGCHLD, signal.SIG_DFL
    )  # whoever ignores it gets no exit codes, and its children inherit that
    descriptor, *modules = sys.argv[1:]
    for module in modules:
        importlib.import_module(module)
    gc.freeze()  # else each worker would copy all pages that hold objects
    workers: set[int] = set()
    with socket.socket(fileno=int(descriptor)) as control, contextlib.suppress(OSError):
        _serve(control, workers)
    for pid in workers:
        _end(pid)
        os.waitpid(pid, 0)  # its processor time is its program's


def _serve(control: socket.socket, workers: set[int]) -> None:
    while True:
        request, descriptors, _, _ = socket.recv_fds(control, _REQUEST.size, 1)
        if len(request) < _REQUEST.size:
            return
        what, pid = _REQUEST.unpack(request)
        if what == _FORK:
            reply = _fork(descriptors[0], control)
            workers.add(reply)
        else:
            reply = _exit_code(pid, at_once=what == _KILL)
        workers.discard(pid)
        control.sendall(_REPLY.pack(reply))


def _fork(descriptor: int, control: socket.socket) -> int:
    """The process id of the new worker; `_NO_WORKER` if there is none."""
    nursery = os.getpid()
    try:
        pid = os.fork()
    except OSError:
        pid = _NO_WORKER
    else:
        if pid == 0:
            control.close()
            worker.begin(socket.socket(fileno=descriptor), nursery)
    os.close(descriptor)
    return pid


def _exit_code(pid: int, at_once: bool) -> int:
    """The worker's exit code. It gets no more time than it should need, for another one may wait for a fork."""
    deadline = time.monotonic() + (0 if at_once else _PATIENCE_SECONDS)
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found or time.monotonic() >= deadline:
            break
        time.sleep(0.001)
    _end(pid)  # its children, too
    if not found:
        _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def _end(pid: int) -> None:
    for kill in (os.killpg, os.kill):  # it may not have its group yet
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)
            return
