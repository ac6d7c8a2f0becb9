"""librosa: `load` resamples and mixes, in 2 processes; the ffmpeg program decodes what libsndfile does not."""

from concurrent.futures import ProcessPoolExecutor

import librosa

from benchmarks.peers import lines


def prepare(path: str) -> str:
    """A recording's line."""
    samples, _ = librosa.load(path, sr=lines.RATE)
    return lines.line(lines.flac(samples))


def main() -> None:
    """Writes the lines of a manifest."""
    manifest, out = lines.arguments()
    with ProcessPoolExecutor(lines.CORES) as processes:
        lines.write(out, processes.map(prepare, lines.paths(manifest)))


if __name__ == "__main__":
    main()
