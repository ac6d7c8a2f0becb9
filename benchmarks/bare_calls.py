"""Whole programs that prepare a manifest by bare library calls, with nothing around them.

python -m benchmarks.bare_calls threads MANIFEST OUT      2 threads, by the fastest calls (`benchmarks.bare`)
python -m benchmarks.bare_calls processes MANIFEST OUT    the same in 2 processes
python -m benchmarks.bare_calls loop MANIFEST OUT         what most people write: soundfile and soxr in a loop
"""

from __future__ import annotations

import base64
import io
import itertools
import json
import multiprocessing
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import soundfile
import soxr

from benchmarks import bare
from benchmarks.corpus import paths_of

WORKERS = 2
# Clips under way: enough that no worker waits, and few enough that memory does not grow with the manifest.
_WINDOW = 16


def prepare(path: str) -> bytes:
    """A file's line."""
    return bare.prepare(Path(path).read_bytes())


def plain(path: str) -> bytes:
    """A file's line as most people write it."""
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError:  # most people would give up here, or start ffmpeg
        samples, rate = bare.decode_with_libav(Path(path).read_bytes())
    mono = soxr.resample(samples.mean(axis=1), rate, bare.RATE)
    stream = io.BytesIO()
    soundfile.write(stream, mono, bare.RATE, "PCM_16", format="FLAC")
    return (json.dumps(example(base64.b64encode(stream.getvalue()).decode())) + "\n").encode()


def example(data: str) -> dict[str, object]:
    """A line of the tuning dataset."""
    audio = {"inline_data": {"mime_type": "audio/flac", "data": data}}
    turn = {"role": "user", "parts": [{"text": "Transcribe this audio clip exactly as it is spoken."}, audio]}
    return {"contents": [turn, {"role": "model", "parts": [{"text": "What was said."}]}]}


def ordered(executor: Executor, call: Callable[[str], bytes], paths: Iterable[str]) -> Iterator[bytes]:
    """Results in the order of the paths, with a bounded number under way."""
    waiting: deque[Future[bytes]] = deque()
    paths = iter(paths)
    for path in itertools.islice(paths, _WINDOW):
        waiting.append(executor.submit(call, path))
    while waiting:
        yield waiting.popleft().result()
        for path in itertools.islice(paths, 1):
            waiting.append(executor.submit(call, path))


def lines(variant: str, paths: Iterable[str]) -> Iterator[bytes]:
    """The lines of a manifest.

    Args:
      variant: "threads", "processes" or "loop".
      paths: of its recordings.
    """
    if variant == "loop":
        yield from map(plain, paths)
        return
    fork = multiprocessing.get_context("fork")
    executor = ThreadPoolExecutor(WORKERS) if variant == "threads" else ProcessPoolExecutor(WORKERS, fork)
    with executor:
        yield from ordered(executor, prepare, paths)


def main(variant: str, manifest: str, out: str) -> None:
    """Writes one file of lines."""
    with open(out, "wb") as file:
        file.writelines(lines(variant, paths_of(Path(manifest))))


if __name__ == "__main__":
    main(*sys.argv[1:])
