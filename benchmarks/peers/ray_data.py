"""Ray Data: files as bytes, mapped row by row on 2 CPUs."""

from typing import Any

import ray
import soxr

from benchmarks.peers import lines


def prepare(row: dict[str, Any]) -> dict[str, Any]:
    """A recording's line."""
    samples, rate = lines.read(row["bytes"])
    return {"line": lines.line(lines.flac(soxr.resample(samples.mean(axis=1), rate, lines.RATE)))}


def main() -> None:
    """Writes the lines of a manifest."""
    manifest, out = lines.arguments()
    ray.init(num_cpus=lines.CORES, include_dashboard=False, log_to_driver=False)
    rows = ray.data.read_binary_files(lines.paths(manifest)).map(prepare)
    lines.write(out, (row["line"] for row in rows.iter_rows()))
    ray.shutdown()


if __name__ == "__main__":
    main()
