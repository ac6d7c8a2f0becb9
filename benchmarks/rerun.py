"""What the same command costs when its dataset is finished: the table of docs/reruns.md.

    python -m benchmarks.rerun            20,000 clips
    python -m benchmarks.rerun 100000     several minutes, and 5 GB of disk

Each clip is a file of its own, a copy of a bundled recording of up to a second: what is short costs little the first
time, and a look costs the same for every length. So this is the hard case; of longer clips the first run takes longer.
"""

from __future__ import annotations

import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import corpus, processes
from benchmarks.corpus import Recording
from benchmarks.processes import Cost

SHORT_SECONDS = 1.0
_FILES_A_FOLDER = 1_000
_ROUNDS = 3


def copies(folder: Path, clips: int) -> Iterator[Recording]:
    """Copies of short bundled recordings, each a file of its own, a thousand in a folder."""
    short = [each for each in corpus.bundled() if each.seconds <= SHORT_SECONDS]
    for number, each in zip(range(clips), itertools.cycle(short)):
        path = folder / f"{number // _FILES_A_FOLDER:04}" / f"{number:07}{each.path.suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(each.path, path)
        yield Recording(path, each.seconds)


def touched(folder: Path) -> None:
    """Gives every recording the time of now: nothing but its contents tells that it is the same."""
    for path in folder.rglob("*.*"):
        os.utime(path)


def measure(folder: Path, clips: int) -> dict[str, list[Cost]]:
    """The first run, and then each kind of rerun, several times in turn.

    Args:
      folder: empty; of recordings, manifest and output.
      clips: how many.

    Raises:
      CommandFailedError: a run failed.
    """
    manifest, audio = folder / "m.jsonl", folder / "audio"
    corpus.write_manifest(manifest, list(copies(audio, clips)), clips)
    words = [
        sys.executable,
        "-m",
        "cliptune",
        "prepare",
        f"--manifest={manifest}",
        f"--output={folder / 'out'}",
        "--validation_fraction=0",
    ]

    def run(before: Callable[[], object] = lambda: None) -> Cost:
        before()
        return processes.measure(words, corpus.ROOT, os.environ)

    found = {"the first run": [run()], "its first rerun": [run()]}
    for _ in range(_ROUNDS):
        found.setdefault("the same again", []).append(run())
        found.setdefault("all recordings touched", []).append(run(lambda: touched(audio)))
    return found


def main(clips: int) -> None:
    """Prints the table as Markdown: how many times the cost of each run the first one's is."""
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), clips)
    (first,) = found.pop("the first run")
    print(f"| {clips:,} clips | wall time of the first run to it | CPU of the first run to it |")
    print("|---|---|---|")
    for name, costs in found.items():
        wall = sorted(first.seconds / each.seconds for each in costs)[len(costs) // 2]
        cpu = sorted(first.cpu / each.cpu for each in costs)[len(costs) // 2]
        print(f"| {name} | {wall:.1f} | {cpu:.1f} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 20_000)
