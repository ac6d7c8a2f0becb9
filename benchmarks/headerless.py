"""How often files that are no single recording are taken for one: the table of docs/audio.md.

    python -m benchmarks.headerless [FILES]

Raw samples of the bundled speech in many codecs, at many rates, behind many silences; bytes of chance, some as quiet as
samples; whole files appended to one another; and real recordings, of which none may be refused. Every file is made from
its number, so a number gives the same file each time.
"""

from __future__ import annotations

import functools
import io
import os
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from benchmarks.corpus import EXAMPLES, ROOT
from tests.sounds import FORMATS, Format, encoded, level_db, tone
from transforms.audio import conform, decode
from transforms.errors import ClipRejected
from transforms.settings import Settings

PAGE = ROOT / "docs/audio.md"
BEGIN, END = "<!-- measured: `python -m benchmarks.headerless` writes from here -->", "<!-- to here -->"
FILES = 10_000
CODECS = (
    *("ALAW", "ULAW", "PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"),
    *("VOX_ADPCM", "NMS_ADPCM_16", "NMS_ADPCM_32", "DWVW_16"),
)
RATES = (8_000, 11_025, 16_000, 44_100)
SILENCES = (0.0, 0.1, 0.5, 2.0)
LEVELS = (1.0, 0.1, 0.01, 0.0)
OFFSETS = (0.0, 0.0, 0.003, -0.02)
NAMES = ("", "x", "x.wav", "x.gsm", "x.mp3", "x.raw", "x.ulaw", "x.aac", "x.bin")
# A speech codec makes of a tone what it can; of two tones, the right one must be the louder by this much.
_TOLD_APART_DB = 10
_TONES = (700.0, 900.0)
_PART_SECONDS = 0.6
# Formats whose beginning may be anything, or is certain only where a file is known to begin.
UNCERTAIN = ("mp3", "mp3 without a header", "mp2", "aac adts", "aac latm", "ac3", "eac3", "dts", "mpeg-ps mp2",
             "mpeg-ts aac", "gsm", "g722")  # fmt: skip
# Samples of the blocks of all codecs.
_BLOCK = 480


@dataclass(frozen=True, slots=True)
class File:
    """A file, and what it is.

    Attributes:
      content: its bytes.
      name: its name, which is a hint.
      what: the codec, or the formats that are joined.
    """

    content: bytes
    name: str
    what: str


@functools.cache
def speech() -> list[tuple[NDArray[np.float32], int]]:
    """The bundled recordings that libsndfile reads, as mono samples and their rate."""
    found = []
    for path in sorted(EXAMPLES.rglob("clips/*/*")):
        if path.suffix in (".wav", ".flac", ".ogg"):
            samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
            found.append((samples.mean(axis=1)[: 8 * rate], rate))
    return found


def raw(number: int) -> File:
    """Speech without a header: codec, rate, silence in front, level and DC offset by the number."""
    chance = random.Random(number)
    samples, rate = chance.choice(speech())
    codec = CODECS[number % len(CODECS)]
    to_rate, silence = chance.choice(RATES), chance.choice(SILENCES)
    at_rate = soxr.resample(samples, rate, to_rate)
    sound = np.concatenate([np.zeros(round(silence * to_rate), np.float32), chance.choice(LEVELS) * at_rate])
    sound = sound[: len(sound) // _BLOCK * _BLOCK] + np.float32(chance.choice(OFFSETS))
    stream = io.BytesIO()
    endian = chance.choice(("LITTLE", "BIG")) if codec.startswith(("PCM_1", "PCM_2", "PCM_3", "FLOAT")) else "FILE"
    with soundfile.SoundFile(stream, "w", to_rate, 1, codec, endian, "RAW") as file:
        file.write(sound)
    return File(stream.getvalue(), chance.choice(NAMES), codec)


def chance_bytes(number: int) -> File:
    """Bytes of chance: of any value, of few values, or round one value as quiet samples are."""
    chance, generator = random.Random(number), np.random.default_rng(number)
    size = chance.choice((100, 333, 1_000, 3_300, 20_000, 100_000))
    kind = ("any", "few", "quiet", "repeated")[number % 4]
    if kind == "any":
        content = generator.bytes(size)
    elif kind == "few":
        content = bytes(generator.choice(generator.integers(0, 256, 4), size).astype(np.uint8))
    elif kind == "quiet":
        noise = generator.normal(chance.randrange(256), chance.choice((0.3, 1, 4)), size)
        content = (np.rint(noise).astype(np.int64) % 256).astype(np.uint8).tobytes()
    else:
        content = generator.bytes(chance.choice((1, 2, 33, 65, 188, 417))) * (size // 33)
    return File(content, chance.choice(NAMES), kind)


@functools.cache
def _part(form: Format, second: bool) -> bytes:
    return encoded(tone(_TONES[second], form.rate, _PART_SECONDS), form)


def joined(number: int, others: Sequence[Format] = ()) -> File:
    """Two whole files, one behind the other: of one format, or the second of another one of these."""
    chance = random.Random(number)
    first = FORMATS[number % len(FORMATS)]
    second = chance.choice([form for form in others if _container(form) != _container(first)] or [first])
    between = chance.choice((b"", b"", b"", bytes(16)))
    content = _part(first, False) + between + _part(second, True)
    return File(content, f"x.{first.extension}", f"{first.name} + {second.name}")


def _container(form: Format) -> str:
    return form.ffmpeg[-1] if form.ffmpeg else form.sndfile[0]


def real(number: int) -> File:
    """A bundled recording, or speech in one of all formats."""
    if number < len(bundled := _bundled()):
        path = bundled[number]
        return File(path.read_bytes(), path.name, path.suffix.lstrip("."))
    chance = random.Random(number)
    form = FORMATS[number % len(FORMATS)]
    samples, rate = speech()[chance.randrange(len(speech()))]
    sound = soxr.resample(samples, rate, form.rate).astype(np.float64)
    return File(encoded(np.clip(sound, -1, 1), form), f"x.{form.extension}", form.name)


@functools.cache
def _bundled() -> list[Path]:
    return sorted(path for path in EXAMPLES.rglob("clips/*/*") if path.is_file())


def accepted(file: File) -> str | None:
    """The format that a file is taken for, if it becomes a clip; None for a refusal."""
    try:
        wave = decode.decode(file.content, max_duration=30.0, name_hint=file.name)
        conform.conform(wave, Settings())
    except ClipRejected:
        return None
    return wave.source_format


def taken_for_one(file: File) -> str | None:
    """As `accepted`, of joined files; None, too, where the sound of both has come out."""
    taken = accepted(file)
    if taken is None:
        return None
    wave = decode.decode(file.content, max_duration=30.0, name_hint=file.name)
    samples = wave.samples.mean(axis=1)
    halves = samples[: len(samples) // 2], samples[len(samples) // 2 :]
    whole = len(samples) / wave.sample_rate > 2 * _PART_SECONDS - 0.1
    right = whole and all(
        level_db(half, own, wave.sample_rate) > level_db(half, other, wave.sample_rate) + _TOLD_APART_DB
        for half, own, other in zip(halves, _TONES, reversed(_TONES), strict=True)
    )
    return None if right else f"{file.what}: {taken}"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table: how many of a kind were made, and what they were taken for."""

    title: str
    wrong: str
    files: int
    found: Counter[str]

    def cells(self) -> str:
        """The row as a line of Markdown."""
        explained = ", ".join(f"{count:,} {name}" for name, count in self.found.most_common(6)) or "–"
        return f"| {self.title} | {self.files:,} | {self.found.total():,} {self.wrong} | {explained} |"


def _judged_raw(number: int) -> str | None:
    file = raw(number)
    return (taken := accepted(file)) and f"{file.what}: {taken}"


def _judged_chance(number: int) -> str | None:
    return accepted(chance_bytes(number))


def _judged_alike(number: int) -> str | None:
    return taken_for_one(joined(number))


def _judged_certain(number: int) -> str | None:
    return taken_for_one(joined(number, [form for form in FORMATS if form.name not in UNCERTAIN]))


def _judged_uncertain(number: int) -> str | None:
    return taken_for_one(joined(number, [form for form in FORMATS if form.name in UNCERTAIN]))


def _refused_real(number: int) -> str | None:
    file = real(number)
    try:
        decode.decode(file.content, max_duration=300.0, name_hint=file.name)
    except ClipRejected as refusal:
        return f"{file.what}: {refusal.reason}"
    return None


# What is made, what is wrong of it, its share of the files, and what judges the one of a number.
KINDS: tuple[tuple[str, str, float, Callable[[int], str | None]], ...] = (
    ("raw speech without a header, in 13 codecs", "accepted", 0.5, _judged_raw),
    ("bytes of chance", "accepted", 0.3, _judged_chance),
    ("two files of one format in one", "accepted in part", 0.1, _judged_alike),
    ("two files of two formats in one", "accepted in part", 0.05, _judged_certain),
    ("the same, the second without a certain beginning", "accepted in part", 0.05, _judged_uncertain),
    ("real recordings in all formats", "refused", 0.1, _refused_real),
)


def rows(files: int, run: Callable[..., Iterator[str | None]] = map) -> Iterator[Row]:
    """The table, of so many files that are wrong, and a tenth as many real ones."""
    for title, wrong, share, judge in KINDS:
        count = round(files * share)
        found = Counter(name for name in run(judge, range(count)) if name is not None)
        yield Row(title, wrong, count, found)


def table(measured: list[Row]) -> str:
    """The rows as Markdown."""
    head = "| files | made | wrong | taken for |\n|---|---|---|---|\n"
    return head + "\n".join(row.cells() for row in measured)


def main() -> None:
    """Measures, and writes the table into the page."""
    files = int(sys.argv[1]) if len(sys.argv) > 1 else FILES
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        measured = list(rows(files, functools.partial(pool.map, chunksize=50)))
    print(table(measured))
    if files == FILES:
        page = PAGE.read_text(encoding="utf-8")
        before, _, rest = page.partition(BEGIN)
        _, _, after = rest.partition(END)
        PAGE.write_text(f"{before}{BEGIN}\n\n{table(measured)}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
