"""What `cliptune prepare` takes of memory, whatever the number of its clip workers: the table of docs/performance.md.

    python -m benchmarks.memory                       all of it: half an hour, and 2 GiB of the disk
    python -m benchmarks.memory --workers 4 --scenes large --places local

Sampled is the memory of the program and of all processes that it starts, pages that they share counted once. Scenes:

- large: good recordings of 240 to 500 MiB, most of it pictures, padding and other channels, in several formats.
- long: hours of sound, which are refused for their length.
- middle: forty recordings of 17 MiB.
- bombs: small files that unpack to a great deal.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import soundfile

from benchmarks import processes
from transforms.storage import Storage
from transforms.workers.budget import PROCESS_BYTES

ROOT = Path(__file__).parents[1]
BUCKET = "gs://memory"
_MIB = 1 << 20
_LARGE_BYTES = 500 * _MIB
_RATE = 48_000


def main() -> int:
    """Prints a table; the exit status tells whether the promise holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", nargs="+", type=int, default=[4, 8, 16, 64])
    parser.add_argument("--scenes", nargs="+", choices=SCENES, default=list(SCENES))
    parser.add_argument("--places", nargs="+", choices=["local", "gs"], default=["local", "gs"])
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(_peak_mib(args.one[0], int(args.one[1])))
        return 0
    highest = 0
    print(f"| scene | place |{''.join(f' {workers} workers |' for workers in args.workers)}")
    print(f"|---|---|{'---|' * len(args.workers)}")
    with tempfile.TemporaryDirectory() as folder, emulator(args.places):
        for scene in args.scenes:
            names = SCENES[scene](Path(folder))
            for place in args.places:
                written = manifest(names, Path(folder), place)
                peaks = [_measured(written, workers) for workers in args.workers]
                print(f"| {scene} | {place} |{''.join(f' {peak:,} MiB |' for peak in peaks)}", flush=True)
                highest = max(highest, *peaks)
            for name in set(names):
                Path(folder, name).unlink()
    return int(highest * _MIB > PROCESS_BYTES)


def _measured(manifest: str, workers: int) -> int:
    """Measured by a process of its own, of which the emulator is no child."""
    words = [sys.executable, "-m", "benchmarks.memory", "--one", manifest, str(workers)]
    return int(subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True).stdout)


def _peak_mib(manifest: str, workers: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--manifest", manifest, "--output", f"{folder}/out", "--clip_workers", str(workers)]
        words = [sys.executable, "-m", "cliptune", "prepare", *flags, "--max_rejected_fraction=1"]
        memory = processes.measure(words, ROOT, os.environ, sample=True).memory
    assert memory is not None
    return memory.tree // _MIB


def manifest(names: list[str], folder: Path, place: str) -> str:
    """The manifest of a scene, and its recordings in their place."""
    base = str(folder) if place == "local" else BUCKET
    rows = [{"id": f"{number}", "audio": f"{base}/{name}", "text": "some words"} for number, name in enumerate(names)]
    content = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
    if place == "gs":
        for uri in Storage().list_files(BUCKET):
            Storage().delete(uri)
        for name in set(names):
            Storage().write_bytes(f"{BUCKET}/{name}", (folder / name).read_bytes())
    Storage().write_bytes(f"{base}/m.jsonl", content)
    return f"{base}/m.jsonl"


@contextlib.contextmanager
def emulator(places: list[str]) -> Iterator[None]:
    """A bucket while the block runs, if "gs" is among the places."""
    if "gs" not in places:
        yield
        return
    words = [sys.executable, "-m", "benchmarks.slow_storage", "0"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as emulator:
        try:
            assert emulator.stdout is not None
            (address,) = json.loads(emulator.stdout.readline()).values()
            os.environ["STORAGE_EMULATOR_HOST"] = address
            body = json.dumps({"name": BUCKET.removeprefix("gs://")}).encode()
            request = urllib.request.Request(
                f"{address}/storage/v1/b?project=bench", body, {"Content-Type": "application/json"}
            )
            urllib.request.urlopen(request).close()
            yield
        finally:
            emulator.kill()


def sound(seconds: float, channels: int) -> np.ndarray:
    """Something like speech at 48 kHz, shape (samples, channels), float64 in [-1, 1]."""
    times = np.arange(round(seconds * _RATE)) / _RATE
    tone = 0.3 * np.sin(2 * np.pi * 440 * times) * (1 + np.sin(2 * np.pi * 3 * times)) / 2
    return np.repeat(tone[:, None], channels, axis=1)


def _sparse(path: Path, *parts: bytes | int) -> str:
    """Writes bytes, and so many zeros for a number, which take no room on most disks."""
    with path.open("wb") as file:
        for part in parts:
            if isinstance(part, int):
                file.seek(part, os.SEEK_CUR)
            else:
                file.write(part)
        file.truncate(file.tell())
    return path.name


def _encoded(folder: Path, name: str, *options: str) -> bytes:
    source, made = folder / "source.wav", folder / name
    soundfile.write(source, sound(10, 2), _RATE)
    words = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-i", str(source), *options, str(made)]
    subprocess.run(words, check=True)
    content = made.read_bytes()
    for path in (source, made):
        path.unlink()
    return content


def _large(folder: Path) -> list[str]:
    size = _LARGE_BYTES
    wav = _encoded(folder, "a.wav", "-bitexact")
    riff = b"RIFF" + (len(wav) + size).to_bytes(4, "little") + b"WAVE"
    made = [_sparse(folder / "junk.wav", riff + b"JUNK" + size.to_bytes(4, "little"), size, wav[12:])]
    flac, block = _encoded(folder, "a.flac"), (1 << 24) - 1
    padding = [part for _ in range(size // block) for part in (b"\x01" + block.to_bytes(3, "big"), block)]
    made.append(_sparse(folder / "padded.flac", flac[:4] + b"\0" + flac[5:42], *padding, flac[42:]))
    tag = b"ID3\x03\0\0\x7f\x7f\x7f\x7f"
    made.append(_sparse(folder / "picture.mp3", tag, (1 << 28) - 1, _encoded(folder, "a.mp3")))
    m4a = _encoded(folder, "a.m4a", "-c:a", "aac")
    made.append(_sparse(folder / "free.m4a", m4a, (size + 8).to_bytes(4, "big") + b"free", size))
    soundfile.write(folder / "wide.wav", sound(10, 64), _RATE, subtype="DOUBLE")
    return [*made, "wide.wav"] * 3


def _long(folder: Path) -> list[str]:
    made = []
    for name, options in {"a.mp3": ["-b:a", "320k"], "a.aac": ["-c:a", "aac", "-b:a", "256k"]}.items():
        frames = _encoded(folder, name, *options, "-write_xing", "0")
        with (folder / f"long-{name}").open("wb") as file:
            for _ in range(_LARGE_BYTES // len(frames)):
                file.write(frames)
        made.append(f"long-{name}")
    data = _LARGE_BYTES // 6 * 6
    wav = _encoded(folder, "a.wav", "-c:a", "pcm_s24le")
    head = wav[: wav.index(b"data") + 4]
    made.append(
        _sparse(
            folder / "long.wav",
            head[:4] + (data + 256).to_bytes(4, "little") + head[8:],
            data.to_bytes(4, "little"),
            data,
        )
    )
    return made * 5


def _middle(folder: Path) -> list[str]:
    soundfile.write(folder / "middle.wav", sound(60, 2), _RATE, subtype="PCM_24")
    return ["middle.wav"] * 40


def _bombs(folder: Path) -> list[str]:
    empty = (
        b"RIFF\xff\xff\xff\x7eWAVEfmt \x10\0\0\0\x01\0\x02\0\x80\xbb\0\0\0\xee\x02\0\x04\0\x10\0data\xff\xff\xff\x7e"
    )
    (folder / "bomb.wav.gz").write_bytes(gzip.compress(empty + bytes(127 * _MIB)))
    with soundfile.SoundFile(folder / "bomb.flac", "w", 192_000, 8, "PCM_24") as file:
        for _ in range(300):
            file.write(np.zeros((192_000, 8), np.int32))
    return ["bomb.wav.gz", "bomb.flac"] * 15


SCENES: dict[str, Callable[[Path], list[str]]] = {"large": _large, "long": _long, "middle": _middle, "bombs": _bombs}


if __name__ == "__main__":
    sys.exit(main())
