"""What a slow bucket costs `cliptune prepare`: the table and the plot of docs/latency.md.

    python -m benchmarks.latency                                                                         the table
    python -m benchmarks.latency --clips 4260 --rounds 1 --delays 0 25 50 100 --plot docs/latency.svg    the plot

The bundled recordings are repeated under new ids. Manifest, audio and output lie on this disk, or in a local
emulator's bucket behind an address that answers every request late. All variants run once a round, so that other work
on the machine meets them alike; each round's runs are compared with one another. The plot needs matplotlib
(`pip install matplotlib`).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import cpu_of
from benchmarks.scale import EXAMPLES, write_manifest
from transforms.storage import Storage

ROOT = EXAMPLES.parent
BUCKET = "gs://bench"


@dataclass(frozen=True, slots=True)
class Variant:
    """Where everything lies, and how it is read.

    Attributes:
      delay: of each request, in ms; None for this disk.
      overlap: whether requests are overlapped with work.
    """

    delay: float | None
    overlap: bool = True


@dataclass(frozen=True, slots=True)
class Run:
    """One run: seconds on the clock, processor seconds of its own processes and of the emulator's."""

    seconds: float
    cpu: float
    emulator_cpu: float


class Bench:
    """The recordings on disk and in the emulator, and runs over them."""

    def __init__(self, folder: Path, clips: int, addresses: dict[float, str], emulator: int) -> None:
        self._folder = folder
        self._addresses = addresses
        self._emulator = emulator
        self._runs = 0
        write_manifest(folder / "m.jsonl", clips)
        self._upload(min(addresses))

    def _upload(self, delay: float) -> None:
        os.environ["STORAGE_EMULATOR_HOST"] = self._addresses[delay]
        body = json.dumps({"name": BUCKET.removeprefix("gs://")}).encode()
        url = f"{self._addresses[delay]}/storage/v1/b?project=bench"
        urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": "application/json"})).close()
        for path in (EXAMPLES / "clips").rglob("*"):
            if path.is_file():
                Storage().write_bytes(f"{BUCKET}/{path.relative_to(EXAMPLES)}", path.read_bytes())
        manifest = (self._folder / "m.jsonl").read_text(encoding="utf-8")
        Storage().write_bytes(f"{BUCKET}/m.jsonl", manifest.replace(f"{EXAMPLES}/", f"{BUCKET}/").encode())

    def run(self, variant: Variant) -> Run:
        """Prepares the dataset once."""
        self._runs += 1
        root = str(self._folder) if variant.delay is None else BUCKET
        out = f"{root}/out-{self._runs}"
        address = self._addresses[variant.delay or 0.0]
        words = ["prepare", "--manifest", f"{root}/m.jsonl", "--output", out]
        before = cpu_of(self._emulator)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.timed", "overlap" if variant.overlap else "plain", *words],
            env={**os.environ, "STORAGE_EMULATOR_HOST": address},
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True,
        )  # fmt: skip
        seconds, cpu = json.loads(done.stdout.splitlines()[-1])
        used = cpu_of(self._emulator) - before
        for uri in Storage().list_files(out):
            Storage().delete(uri)
        return Run(seconds, cpu, used)


@contextlib.contextmanager
def bench(clips: int, delays: list[float]) -> Iterator[Bench]:
    """A bench whose emulator runs while the body does."""
    words = [sys.executable, "-m", "benchmarks.slow_storage", *(f"{delay:g}" for delay in delays)]
    with (
        subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as emulator,
        tempfile.TemporaryDirectory() as folder,
    ):
        try:
            assert emulator.stdout is not None
            addresses = {float(delay): url for delay, url in json.loads(emulator.stdout.readline()).items()}
            yield Bench(Path(folder), clips, addresses, emulator.pid)
        finally:
            emulator.kill()


def measure(clips: int, rounds: int, delays: list[float], both: bool) -> dict[Variant, list[Run]]:
    """Every variant once a round; those that overlap nothing only if `both` are wanted, for they take long."""
    remote = [Variant(delay, overlap) for delay in delays for overlap in ((True, False) if both else (True,))]
    runs: dict[Variant, list[Run]] = {variant: [] for variant in [Variant(None), *remote]}
    for number in range(rounds):
        with bench(clips, delays) as here:  # a new one: the emulator takes longer with every object it has ever had
            for variant, done in runs.items():
                done.append(here.run(variant))
                print(f"round {number + 1}: {variant} {done[-1]}", file=sys.stderr, flush=True)
    return runs


def ratios(base: list[Run], other: list[Run]) -> list[float]:
    """The throughput of `other` relative to `base`, round by round."""
    return [one.seconds / two.seconds for one, two in zip(base, other, strict=True)]


def _spread(base: list[Run], other: list[Run]) -> str:
    found = ratios(base, other)
    return f"{min(found):.2f}–{max(found):.2f}"


def table(runs: dict[Variant, list[Run]]) -> str:
    """The figures as Markdown, all relative."""
    disk, calm = runs[Variant(None)], runs[Variant(0.0)]
    lines = [
        "| where, delay of each request | overlapped | throughput, of no delay | its rounds | of local disk "
        "| processor time, of local disk | and the emulator's own |",
        "|---|---|---|---|---|---|---|",
    ]
    for variant, done in runs.items():
        where = "local disk" if variant.delay is None else f"emulator, {variant.delay:g} ms"
        cpu = statistics.median(two.cpu / one.cpu for one, two in zip(disk, done, strict=True))
        emulator = statistics.median(two.emulator_cpu / one.cpu for one, two in zip(disk, done, strict=True))
        words = (
            "yes" if variant.overlap else "no",
            f"{statistics.median(ratios(calm, done)):.2f}",
            _spread(calm, done),
        )
        of_disk = statistics.median(ratios(disk, done))
        lines.append(f"| {where} | {' | '.join(words)} | {of_disk:.2f} | {cpu:.2f} | {emulator:.2f} |")
    return "\n".join(lines)


def plot(runs: dict[Variant, list[Run]], path: str) -> None:
    """Throughput against delay, with and without overlap."""
    import matplotlib.pyplot as plt  # type: ignore[import-not-found, unused-ignore] # noqa: PLC0415 -- no dependency

    plt.rcParams["svg.hashsalt"] = "cliptune"
    figure, axes = plt.subplots(figsize=(6, 3.5))
    delays = sorted({variant.delay for variant in runs if variant.delay is not None})
    for overlap, label in ((True, "requests overlapped (as it is)"), (False, "one after the other")):
        found = [statistics.median(ratios(runs[Variant(0.0)], runs[Variant(delay, overlap)])) for delay in delays]
        axes.plot(delays, found, marker="o", label=label)
    axes.axhline(0.9, color="grey", linewidth=0.8, linestyle=":")
    axes.set(xlabel="delay of every request, ms", ylabel="throughput, of no delay", ylim=(0, 1.1))
    axes.legend()
    figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")


def main() -> None:
    """Prints the table; writes the plot if one is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=8_520)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--delays", type=float, nargs="+", default=[0.0, 50.0], help="ms; 0 among them")
    parser.add_argument("--plot", metavar="FILE")
    args = parser.parse_args()
    runs = measure(args.clips, args.rounds, args.delays, bool(args.plot))
    print(table(runs))
    if args.plot:
        plot(runs, args.plot)


if __name__ == "__main__":
    main()
