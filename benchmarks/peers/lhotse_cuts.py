"""lhotse: a recording, lazily resampled, as a cut that is mixed down, in 2 processes."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import torch
from lhotse import Recording

from benchmarks.peers import lines


def prepare(path: str) -> str:
    """A recording's line."""
    cut = Recording.from_file(path).resample(lines.RATE).to_cut()
    samples = cut.load_audio()
    return lines.line(lines.flac(samples.mean(axis=0)))


def main() -> None:
    """Writes the lines of a manifest."""
    manifest, out = lines.arguments()
    torch.set_num_threads(1)
    with ProcessPoolExecutor(lines.CORES, multiprocessing.get_context("fork")) as processes:
        lines.write(out, processes.map(prepare, lines.paths(manifest)))


if __name__ == "__main__":
    main()
