"""Machines: networks of their own on this one, joined by a bridge, and joined to nothing else."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from tests import processes
from tests.cluster.services import until

_BRIDGE = "join"
# Set where there are no networks of one's own: then the one worker is this machine, as all pools have the same port.
ON_THIS_MACHINE = "CLIPTUNE_CLUSTER_ON_THIS_MACHINE"
ARE_APART = not os.environ.get(ON_THIS_MACHINE)
# The address of this one, which Flink's JobManager, the job server and the commands share; and of its workers.
HERE = "10.7.0.1" if ARE_APART else "127.0.0.1"
WORKERS = {"worker1": "10.7.0.2", "worker2": "10.7.0.3"} if ARE_APART else {"worker1": HERE}


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine: all but its network is that of the others.

    Attributes:
      address: at which the others reach it.
      enter: words before those of a command, which then runs on it.
    """

    address: str
    enter: tuple[str, ...] = ()


def may_serve() -> bool:
    """Whether this process's network is a loopback, that is up or not, and nothing else; or must do as it is."""
    return not ARE_APART or [name for _, name in socket.if_nameindex()] == ["lo"]


@contextmanager
def joined() -> Iterator[dict[str, Machine]]:
    """The workers by name. This machine is joined to them until the block ends."""
    if not ARE_APART:
        yield {name: Machine(address) for name, address in WORKERS.items()}
        return
    _ip("link set lo up")
    _ip(f"link add {_BRIDGE} type bridge")
    _ip(f"addr add {HERE}/24 dev {_BRIDGE}")
    _ip(f"link set {_BRIDGE} up")
    with ExitStack() as stack:
        yield {name: stack.enter_context(_worker(name, address)) for name, address in WORKERS.items()}
    _ip(f"link del {_BRIDGE}")


@contextmanager
def _worker(name: str, address: str) -> Iterator[Machine]:
    # A network is there as long as a process is in it.
    with processes.running(["unshare", "--net", "sleep", "infinity"]) as holder:
        place, ours = f"/proc/{holder.pid}/ns/net", os.readlink("/proc/self/ns/net")  # noqa: PTH115 -- no path
        until(lambda: os.readlink(place) != ours, f"{name} has no network")  # noqa: PTH115
        enter = ("nsenter", f"--net={place}", "--")
        _ip(f"link add {name} type veth peer name out netns {holder.pid}")
        _ip(f"link set {name} master {_BRIDGE} up")
        _ip("link set lo up", enter)
        _ip(f"addr add {address}/24 dev out", enter)
        _ip("link set out up", enter)
        yield Machine(address, enter)


def _ip(words: str, enter: Sequence[str] = ()) -> None:
    subprocess.run([*enter, "ip", *words.split()], check=True)


def listening(place: Machine | None = None) -> dict[int, list[tuple[str, int]]]:
    """Where the processes of a machine, or of this one, listen.

    Returns:
      By the number of the process: "*" for every interface, else the address; and the port.
    """
    found: dict[int, list[tuple[str, int]]] = {}
    words = [*(place.enter if place else ()), "ss", "-ltnpH"]
    for line in subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines():
        address, _, port = line.split()[3].rpartition(":")
        address = "*" if address in ("*", "0.0.0.0", "[::]") else address.strip("[]").removeprefix("::ffff:")
        for holder in {part.partition(",")[0] for part in line.split("pid=")[1:]}:
            found.setdefault(int(holder), []).append((address, int(port)))
    return found
