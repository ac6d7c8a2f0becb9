"""HF datasets: a column of paths cast to Audio, mapped by 2 processes, written as JSON lines."""

from typing import Any

import torch
from datasets import Audio, Dataset

from benchmarks.peers import lines


def prepare(row: dict[str, Any]) -> dict[str, Any]:
    """A recording's example."""
    samples = row["audio"].get_all_samples().data
    return {"contents": lines.contents(lines.flac(samples[0].numpy()))}


def main() -> None:
    """Writes the lines of a manifest."""
    manifest, out = lines.arguments()
    torch.set_num_threads(1)
    rows = Dataset.from_dict({"audio": lines.paths(manifest)})
    rows = rows.cast_column("audio", Audio(sampling_rate=lines.RATE, num_channels=1))
    rows.map(prepare, num_proc=lines.CORES, remove_columns="audio").to_json(out)


if __name__ == "__main__":
    main()
