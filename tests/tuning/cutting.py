"""A proxy that cuts the connection at a chosen byte of the exchange that creates a job."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Cut:
    """Where the first create is cut off.

    Attributes:
      request: bytes of the request that still pass; None for all.
      answer: bytes of the answer that still pass; None for all.
      held: whether the request reaches the service only after `release`, long after the client has lost it.
      creates: how many creates came, cut or not.
    """

    request: int | None = None
    answer: int | None = None
    held: bool = False
    creates: int = 0
    release: threading.Event = field(default_factory=threading.Event, repr=False)
    delivered: threading.Event = field(default_factory=threading.Event, repr=False)


def _read_request(client: socket.socket) -> bytes:
    """One whole request, with `Connection: close` for the service to end its answer by."""
    content = b""
    while b"\r\n\r\n" not in content:
        content += client.recv(65_536)
    head, _, body = content.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    length = next((int(line[15:]) for line in lines if line.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        body += client.recv(65_536)
    return b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n" + body


def _exchange(address: tuple[str, int], request: bytes) -> bytes:
    with socket.create_connection(address, timeout=30) as service:
        service.sendall(request)
        return b"".join(iter(lambda: service.recv(65_536), b""))


@contextmanager
def cutting(url: str, cut: Cut) -> Iterator[str]:
    """The address of a proxy of the service at `url`."""
    host, _, port = url.removeprefix("http://").partition(":")
    address = (host, int(port))

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            request = _read_request(self.request)
            first = request.startswith(b"POST") and b"/tuningJobs HTTP" in request and not cut.creates
            cut.creates += request.startswith(b"POST")
            if not first:
                self.request.sendall(_exchange(address, request))
            elif cut.request is not None:
                with socket.create_connection(address, timeout=30) as service:
                    service.sendall(request[: cut.request % len(request)])
            elif cut.held:
                self.request.shutdown(socket.SHUT_RDWR)
                cut.release.wait(60)
                _exchange(address, request)
                cut.delivered.set()
            else:
                answer = _exchange(address, request)
                self.request.sendall(answer if cut.answer is None else answer[: cut.answer % len(answer)])

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
