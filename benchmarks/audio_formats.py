"""What decoding makes of each format: decoder, level, length, aliases and cost. The table of docs/audio.md.

    python -m benchmarks.audio_formats

Sounds are made here, so their truth is known; costs are medians of several
rounds, taken in turn, relative to 16-bit WAV in the same run.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import soundfile

from tests.sounds import FORMATS, Format, encoded, level_db, tone
from transforms.audio import conform, decode, sniff
from transforms.settings import Settings

ROUNDS = 7
SECONDS = 8.0
UNTRIMMED = Settings(trim_silence=False)


@dataclass(frozen=True)
class Measured:
    """One row of the table."""

    form: Format
    decoder: str
    source_format: str
    gain_db: float
    length_ms: float
    alias_db: float | None


def measure(form: Format) -> Measured:
    """Level, length and alias of tones that went through the format."""
    content = encoded(tone(1_000, form.rate), form)
    wave = decode.decode(content, max_duration=30.0, name_hint=f"x.{form.extension}")
    samples = conform.conform(wave, UNTRIMMED).samples / 32_768
    codec = wave.source_format.rpartition("/")[2]  # the decoders name most codecs differently
    sniffed = sniff.sniff(content, f"x.{form.extension}")
    with_sndfile = sniffed.sndfile and codec.upper() in soundfile.available_subtypes()
    return Measured(
        form=form,
        decoder="libsndfile" if with_sndfile else "libav",
        source_format=wave.source_format,
        gain_db=level_db(samples, 1_000, 16_000) - 20 * np.log10(0.5),
        length_ms=1_000 * (len(samples) / 16_000 - 2.0),
        alias_db=_alias(form) if form.rate >= 44_100 else None,
    )


def _alias(form: Format) -> float:
    content = encoded(tone(9_000, form.rate) + tone(300, form.rate, peak=0.1), form)
    wave = decode.decode(content, max_duration=30.0, name_hint=f"x.{form.extension}")
    samples = conform.conform(wave, UNTRIMMED).samples / 32_768
    return float(level_db(samples, 7_000, 16_000) - 20 * np.log10(0.5))


def costs() -> dict[str, float]:
    """Decode and conform of each format, relative to 16-bit WAV."""
    noise = np.random.default_rng(0).normal(0, 0.1, round(48_000 * SECONDS))
    calls = {form.name: _call(encoded(noise[: round(form.rate * SECONDS)], form), form) for form in FORMATS}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    base = statistics.median(times[FORMATS[0].name])
    return {name: statistics.median(values) / base for name, values in times.items()}


def _call(content: bytes, form: Format) -> Callable[[], object]:
    name = f"x.{form.extension}"
    return lambda: conform.conform(decode.decode(content, max_duration=30.0, name_hint=name), UNTRIMMED)


def main() -> None:
    """Prints the table as Markdown."""
    cost = costs()
    print("| format | decoder | as | gain, dB | length, ms | alias, dB | cost |")
    print("|---|---|---|---|---|---|---|")
    for form in FORMATS:
        row = measure(form)
        alias = "–" if row.alias_db is None else f"{row.alias_db:.0f}"
        print(
            f"| {form.name} | {row.decoder} | `{row.source_format}` | {row.gain_db:+.2f} | {row.length_ms:+.0f} "
            f"| {alias} | {cost[form.name]:.1f} |"
        )


if __name__ == "__main__":
    main()
