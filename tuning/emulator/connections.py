"""The emulator's connections: so many, and none that waits for ever for a request that does not come."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

# Far more than `predict` opens, and fewer than the files that a process may have open.
MAX_CONNECTIONS = 500
# A request, its body included, is whole after at most twice this time. A local one takes milliseconds.
WAIT_SECONDS = 30.0


class Connection(H11Protocol):
    """A connection that is closed when it is one too many, or when a request does not come to its end."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Takes the connection, or closes it at once."""
        super().connection_made(transport)
        self._waited_for: object = self
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
            return
        self._look()

    def _look(self) -> None:
        if self.transport.is_closing():
            return
        awaited = self._awaited()
        if awaited is not None and awaited is self._waited_for:
            self.transport.abort()
            return
        self._waited_for = awaited
        self.loop.call_later(WAIT_SECONDS, self._look)

    def _awaited(self) -> object:
        """What is waited for: the request after the last one, or the rest of one; None while one is answered."""
        if self.cycle is None:
            return self.conn
        answered = self.cycle.response_complete
        return self.cycle if answered or self.cycle.more_body else None
