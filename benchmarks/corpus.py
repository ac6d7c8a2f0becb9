"""The recordings that `make bench` prepares: made here out of the bundled ones, the same bytes each time, once.

700 clips of real speech, a hundred of each of seven formats, 7.2 s each on average and every one different; and a
hundred each in formats that are measured alone. They stay in `.bench/`, which git ignores.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
BENCH = ROOT / ".bench"
EXAMPLES = ROOT / "examples"

CLIPS_A_FORMAT = 100
SECONDS = (2.0, 12.4)  # evenly spread; 7.2 on average
TRACK_RATE = 48_000
# Below this rate recordings are of telephones: half of the band would be empty, and cheap to encode.
_LEAST_RATE = 16_000
_LEAST_SECONDS = 0.8
# As of a quiet room: real recordings have no digital silence between words.
_NOISE = 10 ** (-60 / 20)
_ENCODING_LIMIT_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Kind:
    """A format of the corpus.

    Attributes:
      name: of its folder.
      extension: of its files.
      rate: in Hz.
      channels: 2 are two microphones: alike, but not equal.
      subtype: of libsndfile, which writes it; "" for the ffmpeg program.
      options: of the ffmpeg program.
    """

    name: str
    extension: str
    rate: int
    channels: int = 1
    subtype: str = ""
    options: tuple[str, ...] = ()


MIX = (
    Kind("m4a-aac", "m4a", 44_100, options=("-c:a", "aac", "-b:a", "96k", "-f", "ipod")),
    Kind("flac-stereo", "flac", 44_100, 2, "PCM_16"),
    Kind("mp3", "mp3", 44_100, options=("-c:a", "libmp3lame", "-q:a", "4", "-f", "mp3")),
    Kind("ogg-vorbis", "ogg", 44_100, options=("-c:a", "libvorbis", "-q:a", "4", "-f", "ogg")),
    Kind("wav-stereo", "wav", 44_100, 2, "PCM_16"),
    Kind("wav-24-bit", "wav", 48_000, 1, "PCM_24"),
    Kind("wav-16k", "wav", 16_000, 1, "PCM_16"),
)
# Decoded by libav alone: what people's telephones and browsers record.
ALONE = (
    MIX[0],
    Kind("webm-opus", "webm", 48_000, options=("-c:a", "libopus", "-b:a", "48k", "-f", "webm")),
    Kind("ogg-opus", "opus", 48_000, options=("-c:a", "libopus", "-b:a", "48k", "-f", "ogg")),
)
KINDS = tuple(dict.fromkeys((*MIX, *ALONE)))


@dataclass(frozen=True, slots=True)
class Recording:
    """A file of the corpus and its length in seconds."""

    path: Path
    seconds: float


class Corpus:
    """The files of some formats, of which each has the same number."""

    def __init__(self, folder: Path, clips_a_format: int = CLIPS_A_FORMAT) -> None:
        """Makes what is missing.

        Args:
          folder: where the files are kept.
          clips_a_format: how many.
        """
        self._folder = folder / str(clips_a_format)
        self._lengths = np.linspace(*SECONDS, clips_a_format)
        self._make()

    def of(self, kinds: Sequence[Kind]) -> list[Recording]:
        """Files of these formats in turn, so that any part of them is a mix."""
        return [
            Recording(self._path(kind, number), float(seconds))
            for number, seconds in enumerate(self._lengths)
            for kind in kinds
        ]

    def _path(self, kind: Kind, number: int) -> Path:
        return self._folder / kind.name / f"{number:03}.{kind.extension}"

    def _make(self) -> None:
        mark, recipe = self._folder / "recipe", _recipe()
        if mark.is_file() and mark.read_text() == recipe:
            return
        print(f"making recordings in {self._folder}, once …", file=sys.stderr, flush=True)
        shutil.rmtree(self._folder, ignore_errors=True)
        track = speech()
        with ThreadPoolExecutor(2) as threads:
            tasks = [
                threads.submit(self._write, track, kind, number)
                for kind in KINDS
                for number in range(len(self._lengths))
            ]
            for task in tasks:
                task.result()
        mark.write_text(recipe)

    def _write(self, track: NDArray[np.float32], kind: Kind, number: int) -> None:
        seed = KINDS.index(kind) * 1_000 + number
        samples = take(track, kind, float(self._lengths[number]), seed)
        path = self._path(kind, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind.subtype:
            soundfile.write(path, samples, kind.rate, kind.subtype)
            return
        source = path.with_suffix(".source.wav")
        soundfile.write(source, samples, kind.rate, "PCM_16")
        _encode(source, path, kind.options)
        source.unlink()


def speech() -> NDArray[np.float32]:
    """All bundled recordings that libsndfile reads and that are not of a telephone, one after the other.

    Returns:
      float32, shape (num_samples,), at `TRACK_RATE`; each as loud as the others.
    """
    pieces: list[NDArray[np.float32]] = []
    for recording in bundled():
        samples, rate = soundfile.read(recording.path, dtype="float32", always_2d=True)
        mono = samples.mean(axis=1, dtype=np.float32)
        if rate >= _LEAST_RATE and recording.seconds >= _LEAST_SECONDS:
            pieces.append(soxr.resample(mono / np.abs(mono).max(), rate, TRACK_RATE))
    return np.concatenate(pieces, dtype=np.float32)


def take(track: NDArray[np.float32], kind: Kind, seconds: float, seed: int) -> NDArray[np.float32]:
    """A clip like no other: from somewhere in the track, a little faster or slower, louder or softer.

    Args:
      track: of speech; read on from its beginning at its end.
      kind: decides rate and channels.
      seconds: how long the clip is.
      seed: of all that is chosen.

    Returns:
      float32, shape (num_samples, num_channels), within ±1.
    """
    random = np.random.default_rng(seed)
    speed, start, gain = random.uniform(0.9, 1.1), random.integers(len(track)), random.uniform(0.3, 0.8)
    size = round(seconds * kind.rate)
    part = np.take(track, np.arange(start, start + int((seconds + 0.1) * TRACK_RATE * speed)), mode="wrap")
    mono = gain * soxr.resample(part, TRACK_RATE * speed, kind.rate)[:size]
    channels = [random.uniform(0.7, 1.0) * mono + random.normal(0, _NOISE, size) for _ in range(kind.channels)]
    clip: NDArray[np.float32] = np.stack(channels, axis=1).clip(-1, 1).astype(np.float32)
    return clip


def write_manifest(path: Path, recordings: Sequence[Recording], rows: int) -> None:
    """Repeats the recordings under new ids until there are `rows` of them."""
    with path.open("w", encoding="utf-8") as file:
        for number, recording in zip(range(rows), itertools.cycle(recordings)):
            row = {"id": f"clip-{number}", "audio_path": str(recording.path), "text": f"What clip {number} says."}
            file.write(json.dumps(row) + "\n")


def paths_of(manifest: Path) -> Iterator[str]:
    """The recordings that a manifest names."""
    with manifest.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)["audio_path"]


def bundled() -> Iterator[Recording]:
    """The bundled recordings that libsndfile reads."""
    for line in (EXAMPLES / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
        path = EXAMPLES / json.loads(line)["audio_path"]
        with contextlib.suppress(soundfile.LibsndfileError):
            yield Recording(path, soundfile.info(path).duration)


def _encode(source: Path, path: Path, options: Sequence[str]) -> None:
    exact = ("-map_metadata", "-1", "-flags", "+bitexact", "-fflags", "+bitexact", "-threads", "1")
    words = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", "-i", source, *options, *exact, path]
    subprocess.run(words, check=True, timeout=_ENCODING_LIMIT_SECONDS)


def _recipe() -> str:
    """What decides the bytes: this file, the recordings it begins with, and the encoders."""
    parts = [Path(__file__).read_bytes(), (EXAMPLES / "manifest.jsonl").read_bytes()]
    versions = (soundfile.__libsndfile_version__, soxr.__version__, imageio_ffmpeg.get_ffmpeg_version())
    return sha256(b"\0".join([*parts, "\0".join(versions).encode()])).hexdigest()
