"""Daft: a row-wise function over a column of paths."""

from pathlib import Path

import daft
import soxr

from benchmarks.peers import lines


@daft.func
def prepare(path: str) -> str:
    """A recording's line."""
    samples, rate = lines.read(Path(path).read_bytes())
    return lines.line(lines.flac(soxr.resample(samples.mean(axis=1), rate, lines.RATE)))


def main() -> None:
    """Writes the lines of a manifest."""
    manifest, out = lines.arguments()
    frame = daft.read_json(manifest).select(prepare(daft.col("audio_path")).alias("line"))
    lines.write(out, (row["line"] for row in frame.iter_rows()))


if __name__ == "__main__":
    main()
