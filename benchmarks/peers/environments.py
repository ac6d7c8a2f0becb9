"""The environments of the other tools: `make bench-peers` makes them, each in a folder below `.bench`.

python -m benchmarks.peers.environments        those that are missing or out of date
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contestants import Contestant
from benchmarks.corpus import BENCH

FOLDER = BENCH / "peers"
# Some load FFmpeg's shared libraries from the system, and some its program. Those of wheels stand here for them.
LIBRARIES = "lib/ffmpeg"
# An index that sends half a package must not hold up the others.
_LIMIT_SECONDS = 600


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
        variables = (f"LD_LIBRARY_PATH={self.folder / LIBRARIES}", f"PATH={self.folder / 'bin'}:{os.defpath}")
        python = str(self.folder / "bin/python")
        return Contestant(self.title, self.what, ("env", *variables, python, "-m", f"benchmarks.peers.{self.name}"))

    def install(self) -> None:
        """Makes its environment.

        Raises:
          subprocess.SubprocessError: a package is not to be had, or not in time.
        """
        shutil.rmtree(self.folder, ignore_errors=True)
        venv.create(self.folder, with_pip=True)
        pip = [str(self.folder / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *self.requirements.split()], check=True, timeout=_LIMIT_SECONDS)
        (packages,) = self.folder.glob("lib/python*/site-packages")
        _link_libraries(packages / "av.libs", self.folder / LIBRARIES)
        for program in packages.glob("imageio_ffmpeg/binaries/ffmpeg-*"):
            (self.folder / "bin/ffmpeg").symlink_to(program)
        self.ready.write_text(self.requirements, encoding="utf-8")


def _link_libraries(wheel: Path, folder: Path) -> None:
    """Links the libraries of a wheel under their own names, and under those that a system gives them."""
    folder.mkdir()
    for library in wheel.glob("*.so*"):
        (folder / library.name).symlink_to(library)
        usual = re.sub(r"^(lib\w+)-[0-9a-f]+\.so\.(\d+).*$", r"\1.so.\2", library.name)
        if usual != library.name:
            (folder / usual).symlink_to(library)


PEERS = (
    Peer("daft_udf", "Daft", "a row-wise function over a data frame", 0.9),
    Peer("torchcodec_threads", "torchcodec", "decoder and encoder, in 2 threads"),
    Peer("lhotse_cuts", "lhotse", "cuts resampled and made mono, in 2 processes"),
    Peer("hf_datasets", "HF datasets", "an Audio column mapped by 2 processes"),
    Peer("ray_data", "Ray Data", "a map over paths, 2 CPUs"),
    Peer("librosa_pool", "librosa", "`librosa.load` in 2 processes", None),
)


def main() -> None:
    """Makes what is missing, and tells what could not be had."""
    for peer in PEERS:
        if peer.installed:
            print(f"{peer.title}: installed", file=sys.stderr, flush=True)
            continue
        print(f"{peer.title}: installing …", file=sys.stderr, flush=True)
        try:
            peer.install()
        except subprocess.SubprocessError as fault:
            print(f"{peer.title}: not installed: {fault}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
