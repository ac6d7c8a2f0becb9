"""Other tools that can do the same work, each in an environment of its own: `make bench-peers` makes those.

Each is used as its own documentation says: it decodes to 16 kHz mono, encodes FLAC, and writes lines with base64, on
two cores in its own way. `NAME.py` is the program, `NAME.txt` what is installed for it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contestants import Contestant
from benchmarks.corpus import BENCH

FOLDER = BENCH / "peers"
# FFmpeg's shared libraries, which some of them load from the system: those of PyAV's wheel under their usual names.
LIBRARIES = "ffmpeg"


@dataclass(frozen=True, slots=True)
class Peer:
    """A tool.

    Attributes:
      name: of its program and environment.
      title: in the tables.
      what: of it is used.
      target: for the wall time of ours to its.
    """

    name: str
    title: str
    what: str
    target: float | None = 0.4

    @property
    def requirements(self) -> str:
        """What is installed for it, one package a line, its own first."""
        return Path(__file__).with_name(f"{self.name}.txt").read_text(encoding="utf-8")

    @property
    def folder(self) -> Path:
        """Its environment."""
        return FOLDER / self.name

    @property
    def ready(self) -> Path:
        """The file that holds what has been installed."""
        return self.folder / "installed.txt"

    @property
    def installed(self) -> bool:
        """Whether its environment is there, and as it should be."""
        return self.ready.is_file() and self.ready.read_text(encoding="utf-8") == self.requirements

    @property
    def contestant(self) -> Contestant:
        """Its program."""
        python = str(self.folder / "bin/python")
        libraries = f"LD_LIBRARY_PATH={self.folder / LIBRARIES}"
        return Contestant(self.title, self.what, ("env", libraries, python, "-m", f"{__name__}.{self.name}"))


PEERS = (
    Peer("daft_udf", "Daft", "a row-wise function over a data frame", 0.9),
    Peer("torchcodec_threads", "torchcodec", "decoder and encoder, in 2 threads"),
    Peer("lhotse_cuts", "lhotse", "cuts resampled and made mono, in 2 processes"),
    Peer("hf_datasets", "HF datasets", "an Audio column mapped by 2 processes"),
    Peer("ray_data", "Ray Data", "a map over paths, 2 CPUs"),
    Peer("librosa_pool", "librosa", "`librosa.load` in 2 processes", None),
)


def installed() -> list[Peer]:
    """Those that can run."""
    return [peer for peer in PEERS if sys.platform == "linux" and peer.installed]
