"""What a conversion costs beside the bare calls of the same clip, by format and stage: where the processor time goes.

    python -m benchmarks.clip
    python -m benchmarks.clip 50        more rounds

In one process and one thread; product and bare calls in turn; medians. Every figure is a share of what the whole clip
costs by bare calls, so that no figure depends on the machine. Memory that is given back to the system after each clip
costs page faults, more than all else that can be saved here: set MALLOC as below to measure what workers see.
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from benchmarks import bare
from tests.sounds import BY_NAME, Format, encoded
from transforms.clip import Clip
from transforms.dataset import conversion
from transforms.dataset.converted import STAGES
from transforms.dataset.sources import Stored
from transforms.settings import Settings
from transforms.storage import Storage

ROUNDS = 11
SECONDS = 7.0
SPEECH = Path(__file__).parents[1] / "examples/clips/derived/lj_derived_06.caf"
TEXT = "What was said."
FORMATS = (
    Format("wav 16k mono", "wav", 16_000, sndfile=("WAV", "PCM_16"), channels=1),
    Format("wav 44.1k stereo", "wav", 44_100, sndfile=("WAV", "PCM_16")),
    Format("wav 48k 24-bit mono", "wav", 48_000, sndfile=("WAV", "PCM_24"), channels=1),
    Format("flac 16k mono", "flac", 16_000, sndfile=("FLAC", "PCM_16"), channels=1),
    Format("flac 44.1k stereo", "flac", 44_100, sndfile=("FLAC", "PCM_16")),
    *(BY_NAME[name] for name in ("mp3", "ogg vorbis", "m4a aac", "webm opus")),
)
# For the environment of the process: glibc keeps the memory of one clip for the next.
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "134217728"}
WHOLE = "whole"


def clip_of(form: Format) -> bytes:
    """Speech in a format; of two channels the second is softer and later."""
    speech, rate = soundfile.read(SPEECH)
    mono: NDArray[np.float64] = soxr.resample(speech[: round(SECONDS * rate)], rate, form.rate, "VHQ")
    channels = [mono, 0.8 * np.roll(mono, form.rate // 4_000)][: form.channels]
    return encoded(np.stack(channels, axis=1), form)


def by_bare_calls(path: str) -> Iterator[str]:
    """The same stages, by hand."""
    content = Path(path).read_bytes()
    yield "read"
    samples, rate = bare.decode(content)
    yield "decode"
    conformed = bare.conform(samples, rate)
    yield "conform"
    payload = bare.encode(conformed)
    yield "encode"
    bare.line(payload)
    yield "line"


def measure(path: str, rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """Processor time of the whole and of each stage, in ns: by the product, and by bare calls."""
    clip, source, settings = Clip("a", path, TEXT), Stored(path, Storage()), Settings()
    product: dict[str, list[int]] = {}
    by_hand: dict[str, list[int]] = {}

    def convert() -> None:
        spent = conversion.convert(clip, source, settings, verify=False).cpu_ns
        for stage, nanoseconds in zip(STAGES, spent, strict=True):
            product.setdefault(stage, []).append(nanoseconds)

    # Who comes second finds the libraries' code in the caches: each comes first as often.
    for product_first in [True, False] * rounds:
        for ours in (product_first, not product_first):
            if ours:
                _note(product, [WHOLE], (call() for call in [convert]))
            else:
                _note(by_hand, [WHOLE], (bare.prepare(Path(name).read_bytes()) for name in [path]))
        _note(by_hand, None, by_bare_calls(path))
    return _medians(product), _medians(by_hand)


def _medians(times: dict[str, list[int]]) -> dict[str, float]:
    return {name: statistics.median(values) for name, values in times.items()}


def _note(times: dict[str, list[int]], names: list[str] | None, steps: Iterator[object]) -> None:
    """Adds what each step took; the steps give their names themselves, but for `names`."""
    before = _processor_ns()
    for number, done in enumerate(steps):
        now = _processor_ns()
        times.setdefault(names[number] if names else str(done), []).append(now - before)
        before = _processor_ns()


def _processor_ns() -> int:
    """Of this process and of those that it has started and waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time_ns() + round(1e9 * (children.ru_utime + children.ru_stime))


def table(rounds: int) -> Iterator[str]:
    """The lines of a Markdown table."""
    with tempfile.TemporaryDirectory() as folder:
        for form in FORMATS:
            path = Path(folder, f"{form.name.replace(' ', '-')}.{form.extension}")
            path.write_bytes(clip_of(form))
            product, by_hand = measure(str(path), rounds)
            if form is FORMATS[0]:
                yield f"| format | conversion to bare calls | {' | '.join(STAGES)} |"
                yield "|---" * (2 + len(STAGES)) + "|"
            whole = by_hand[WHOLE]
            shares = [f"{100 * product[name] / whole:.1f} % / {100 * by_hand[name] / whole:.1f} %" for name in STAGES]
            yield f"| {form.name} | {product[WHOLE] / whole:.2f} | {' | '.join(shares)} |"


def main(rounds: int = ROUNDS) -> None:
    """Prints the table: of each stage the product's share, then that of the bare calls."""
    for line in table(rounds):
        print(line, flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
