"""A command of a Cliptune that is installed elsewhere, run as a process: its lines, its end, its JSON.

Nothing but Python's own library is imported here: it runs in environments that have neither Beam nor Google's clients.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

_BLOCK = 65_536
# These lead to the packages of the environment that starts the command, not to its own.
_NOT_INHERITED = ("PYTHONPATH", "PYTHONHOME")
# A line that is longer is told in parts.
_MAX_LINE = 1_000_000
# What a command has started may hold its pipes for a moment longer.
_KILLED_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended.

    Attributes:
      status: its exit status; negative for the signal that killed it.
      report: the JSON of its stdout; None if there is none.
      last: the last line of its stderr; "" if there is none.
    """

    status: int
    report: dict[str, Any] | None
    last: str


class Invocation:
    """A command that is run once.

    Args:
      words: the program and its arguments; no shell reads them.
      environment: variables besides those of this process, of which it does not get PYTHONPATH and PYTHONHOME.
    """

    def __init__(self, words: Sequence[str], environment: Mapping[str, str]) -> None:
        self._words, self._environment = words, environment
        self._process: asyncio.subprocess.Process | None = None

    async def run(self, say: Callable[[str], None]) -> Ended:
        """Runs the command. If the call is cancelled, the command is killed: its next run repairs what it left.

        Args:
          say: gets each line of stderr as it comes.

        Raises:
          OSError: the program cannot be started.
        """
        pipe, none = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        inherited = {name: text for name, text in os.environ.items() if name not in _NOT_INHERITED}
        environment = {**inherited, **self._environment}
        self._process = process = await asyncio.create_subprocess_exec(
            *self._words, stdin=none, stdout=pipe, stderr=pipe, env=environment
        )
        assert process.stdout is not None
        assert process.stderr is not None
        last = ""
        try:
            stdout = asyncio.ensure_future(process.stdout.read())
            async for line in _lines(process.stderr):
                last = line
                say(line)
            return Ended(await process.wait(), _report(await stdout), last)
        finally:
            self.kill()
            with suppress(TimeoutError):  # else its pipes would outlive the event loop
                await asyncio.wait_for(process.wait(), _KILLED_SECONDS)

    def kill(self) -> None:
        """Kills the command, if it runs."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """The lines of a stream, without those that are empty."""
    rest = b""
    while block := await stream.read(_BLOCK):
        *lines, rest = (rest + block).split(b"\n")
        if len(rest) > _MAX_LINE:
            lines, rest = [*lines, rest], b""
        for line in lines:
            if text := line.decode(errors="replace").strip("\r"):
                yield text
    if rest:
        yield rest.decode(errors="replace")


def _report(stdout: bytes) -> dict[str, Any] | None:
    """The JSON object in the last line."""
    *_, line = stdout.strip().split(b"\n")
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
