"""A Google Cloud Storage emulator behind addresses that answer late, in a process of its own.

    python -m benchmarks.slow_storage 0 50 200      prints one address for each delay, in ms, as a line of JSON

Every address leads to the same emulator, whose server takes one request a connection. So holding a connection back
holds its one request back, and any number of them at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys

from gcp_storage_emulator.server import create_server

HOST = "127.0.0.1"
# The emulator answers one request after the other, and drops what does not fit into its queue of five.
EMULATOR_QUEUE = 4


class SlowAddress:
    """An address that hands each connection on to the emulator after a delay."""

    def __init__(self, port: int, delay_seconds: float, queue: asyncio.Semaphore) -> None:
        self._port = port
        self._delay = delay_seconds
        self._queue = queue

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection, which is one request."""
        with contextlib.suppress(ConnectionError):
            await asyncio.sleep(self._delay)
            async with self._queue:
                answers, requests = await asyncio.open_connection(HOST, self._port)
                asking = asyncio.create_task(_pass_on(reader, requests))
                await _pass_on(answers, writer)
                asking.cancel()
                requests.close()
        writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while content := await reader.read(1 << 16):
            writer.write(content)
            await writer.drain()


async def main(delays_ms: list[float]) -> None:
    """Serves until the process is ended."""
    emulator = create_server(HOST, 0, in_memory=True)
    emulator.start()
    port = emulator._api._httpd.server_address[1]
    queue = asyncio.Semaphore(EMULATOR_QUEUE)
    addresses = {}
    for delay in delays_ms:
        server = await asyncio.start_server(SlowAddress(port, delay / 1_000, queue).serve, HOST, 0, backlog=512)
        addresses[f"{delay:g}"] = f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
    print(json.dumps(addresses), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main([float(word) for word in sys.argv[1:]]))
