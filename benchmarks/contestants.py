"""Who is measured by `make bench`: whole programs that make the same lines out of the same manifest."""

from __future__ import annotations

import base64
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import soundfile

from benchmarks.bare import RATE

# Of the seconds of a manifest, what must be in the payloads: silence at the ends may be trimmed, codecs pad.
SHORTEST, LONGEST = 0.95, 1.02


class WrongOutputError(Exception):
    """A contestant did not do the work."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A program.

    Attributes:
      name: in the tables.
      what: it is, for people.
      words: its command, without manifest and output.
      files: those of its output that hold lines, as a glob; "" for the output itself.
    """

    name: str
    what: str
    words: tuple[str, ...]
    files: str = ""

    def command(self, manifest: Path, out: Path) -> list[str]:
        """The command that prepares a manifest."""
        if self.files:
            return [*self.words, "--manifest", str(manifest), "--output", str(out)]
        return [*self.words, str(manifest), str(out)]

    def check(self, out: Path, rows: int, seconds: float) -> None:
        """Looks at what it wrote.

        Args:
          out: its output.
          rows: of the manifest.
          seconds: of all recordings of the manifest.

        Raises:
          WrongOutputError: there are more or fewer lines, or they hold other audio than FLAC of 16 kHz, mono, of
            about these seconds in all.
        """
        infos = [payload(line) for line in self._lines(out)]
        if len(infos) != rows:
            raise WrongOutputError(f"{self.name} wrote {len(infos)} lines for {rows} rows")
        wrong = [info for info in infos if (info.format, info.samplerate, info.channels) != ("FLAC", RATE, 1)]
        if wrong:
            raise WrongOutputError(f"{self.name} wrote {wrong[0]}")
        share = sum(info.duration for info in infos) / seconds
        if not SHORTEST <= share <= LONGEST:
            raise WrongOutputError(f"{self.name} wrote {share:.3f} of the audio's seconds")

    def _lines(self, out: Path) -> Iterator[str]:
        for path in sorted(out.glob(self.files)) if self.files else [out]:
            with path.open(encoding="utf-8") as file:
                yield from file


def payload(line: str) -> soundfile._SoundFileInfo:
    """What the audio of a line is."""
    audio = json.loads(line)["contents"][0]["parts"][1]["inline_data"]["data"]
    return soundfile.info(io.BytesIO(base64.b64decode(audio)))


def _module(name: str, *words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name, *words)


_SHARDS = "[tv]*/*.jsonl"  # train and validation
OURS = Contestant("Cliptune", "`cliptune prepare`", _module("cliptune", "prepare"), _SHARDS)
THREADS = Contestant("bare calls, 2 threads", "library calls alone", _module("benchmarks.bare_calls", "threads"))
PROCESSES = Contestant("bare calls, 2 processes", "the same", _module("benchmarks.bare_calls", "processes"))
LOOP = Contestant(
    "plain loop", "soundfile and soxr, one clip after the other", _module("benchmarks.bare_calls", "loop")
)
# Not a contestant: its payloads are made beforehand.
WITHOUT_AUDIO = Contestant("without audio", "all but audio", _module("benchmarks.without_audio", "prepare"), _SHARDS)
OWN = (OURS, THREADS, PROCESSES, LOOP)
