"""What recordings inside other files take of memory, whatever the length of the file: `docs/shards.md` names it.

    python -m benchmarks.inside            tables and shards of 100 MB and of 1 GB: some minutes, and 4 GiB of the disk
    python -m benchmarks.inside 10 100     of 10 MB and of 100 MB

Sampled is the memory of the program and of all processes that it starts, pages that they share counted once.
"""

from __future__ import annotations

import io
import os
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

from benchmarks import processes

ROOT = Path(__file__).parents[1]
_MB = 10**6
_SECONDS, _RATE = 20, 16_000
_BYTES = 2 * _SECONDS * _RATE
_ROWS = 100  # of a row group or batch, as `datasets` has them
_SCHEMA = pa.schema([("audio", pa.struct([("bytes", pa.binary()), ("path", pa.string())])), ("text", pa.string())])


def main(sizes: list[int]) -> None:
    """Prints a table: peak MiB of each format, by the file's MB."""
    print(f"| format |{''.join(f' {size:,} MB |' for size in sizes)}\n|---|{'---|' * len(sizes)}")
    for name, write in FORMATS.items():
        with tempfile.TemporaryDirectory() as folder:
            peaks = [_peak(write(Path(folder), size * _MB // _BYTES)) >> 20 for size in sizes]
        print(f"| {name} |{''.join(f' {peak:,} |' for peak in peaks)}", flush=True)


def _peak(manifest: Path) -> int:
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "cliptune", "prepare", "--manifest", str(manifest), "--output", f"{folder}/out"]
        memory = processes.measure(words, ROOT, os.environ, sample=True).memory
    manifest.unlink()
    assert memory is not None
    return memory.tree


def _recordings(count: int) -> Iterator[bytes]:
    noise = np.random.default_rng(7)
    for _ in range(count):
        stream = io.BytesIO()
        soundfile.write(stream, noise.integers(-3_000, 3_000, _SECONDS * _RATE).astype(np.int16), _RATE, format="WAV")
        yield stream.getvalue()


def _tables(count: int) -> Iterator[pa.Table]:
    recordings = _recordings(count)
    for start in range(0, count, _ROWS):
        rows = range(start, min(count, start + _ROWS))
        cells = [{"bytes": next(recordings), "path": f"{row}.wav"} for row in rows]
        yield pa.table({"audio": cells, "text": [f"text {row}" for row in rows]}, schema=_SCHEMA)


def _parquet(folder: Path, count: int) -> Path:
    path = folder / "t.parquet"
    with pq.ParquetWriter(path, _SCHEMA, use_content_defined_chunking=True, write_page_index=True) as writer:
        for table in _tables(count):
            writer.write_table(table)
    return path


def _pages_of_groups(folder: Path, count: int) -> Path:
    path = folder / "t.parquet"
    with pq.ParquetWriter(path, _SCHEMA) as writer:
        for table in _tables(count):
            writer.write_table(table)
    return path


def _arrow(folder: Path, count: int) -> Path:
    path = folder / "t.arrow"
    with path.open("wb") as sink, pa.ipc.new_stream(sink, _SCHEMA) as writer:
        for table in _tables(count):
            writer.write_table(table)
    return path


def _tar(folder: Path, count: int) -> Path:
    path = folder / "t.tar"
    with tarfile.open(path, "w") as archive:
        for row, recording in enumerate(_recordings(count)):
            for name, content in ((f"{row:06}.wav", recording), (f"{row:06}.txt", f"text {row}".encode())):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return path


FORMATS: dict[str, Callable[[Path, int], Path]] = {
    "Parquet, as `datasets` writes it": _parquet,
    "Parquet, a row group in a page": _pages_of_groups,
    "Arrow": _arrow,
    "WebDataset": _tar,
}


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [100, 1_000])
