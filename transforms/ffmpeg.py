"""Decoding in a process of its own: a crash, a hang or a bomb there costs one clip, not a worker."""

from __future__ import annotations

import functools
import os
import re
import resource
import signal
import struct
import subprocess
import tempfile
from dataclasses import dataclass

import ffmpeg
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from transforms.clip import ClipRejected, RejectReason
from transforms.sniff import Kind

# Start-up, and a generous rate below the slowest decoder seen on a loaded machine.
TIMEOUT_SECONDS = 20.0
TIMEOUT_PER_AUDIO_SECOND = 0.5
MAX_OUTPUT_BYTES = 384 << 20
MAX_MEMORY_BYTES = 2 << 30
_DURATION = re.compile(rb"Duration: (\d+):(\d+):(\d+\.\d+)")
_CODEC = re.compile(rb"Stream #\S+.*?: Audio: (\w+)")


@dataclass(frozen=True, slots=True)
class Decoded:
    """What came out of ffmpeg.

    Attributes:
      samples: float32, shape (num_samples, num_channels).
      sample_rate: Hz, of the source.
      codec: ffmpeg's name of it.
      declared_seconds: the duration that the container claims; None if it claims none.
      broken: whether ffmpeg complained about the file's end or its index.
    """

    samples: NDArray[np.float32]
    sample_rate: int
    codec: str
    declared_seconds: float | None
    broken: bool


@functools.cache
def executable() -> str:
    """The ffmpeg that the imageio-ffmpeg wheel brings: pinned with it, nothing to install by hand."""
    return str(imageio_ffmpeg.get_ffmpeg_exe())


@functools.cache
def version() -> str:
    """What the binary calls itself, e.g. "7.0.2-static"."""
    banner = subprocess.run([executable(), "-version"], capture_output=True, check=True, text=True).stdout
    return banner.split()[2]


def decode(content: bytes, kind: Kind, max_seconds: float, start_seconds: float = 0.0) -> Decoded:
    """Decodes at most `max_seconds` of the best audio stream, at its own rate and channels.

    ffmpeg is given a private copy of the bytes by absolute name, an explicit
    demuxer, and no protocol but files and pipes, so that no other file is read,
    no connection opened and no name interpreted.

    Raises:
      ClipRejected: DECODE_FAILED, or TOO_LONG for more output than fits.
    """
    with tempfile.NamedTemporaryFile(prefix="cliptune-") as file:
        file.write(content)
        file.flush()
        command = _command(file.name, kind, max_seconds, start_seconds)
        status, wav, log = _run(command, TIMEOUT_SECONDS + TIMEOUT_PER_AUDIO_SECOND * max_seconds)
    if status != 0 or len(wav) < 44:
        raise ClipRejected(
            RejectReason.DECODE_FAILED, f"the {kind.name} contents are invalid: nothing could be decoded"
        )
    samples, sample_rate = _parse_wav(wav)
    codec = _CODEC.search(log)
    return Decoded(
        samples=samples,
        sample_rate=sample_rate,
        codec=codec.group(1).decode() if codec else "unknown",
        declared_seconds=_declared_seconds(log),
        broken=any(word in log for word in (b"partial file", b"Truncated", b"truncated", b"moov atom not found")),
    )


def _command(path: str, kind: Kind, max_seconds: float, start_seconds: float) -> list[str]:
    seek = {"ss": start_seconds} if start_seconds else {}
    source = ffmpeg.input(f"file:{path}", f=kind.demuxer, protocol_whitelist="file,pipe", threads=1, **seek)
    sink = ffmpeg.output(source.audio, "pipe:1", f="wav", acodec="pcm_f32le", t=max_seconds, map_metadata=-1)
    command: list[str] = sink.global_args("-nostdin", "-hide_banner", "-v", "info", "-nostats").compile(
        cmd=executable()
    )
    return command


def _run(command: list[str], timeout: float) -> tuple[int, bytes, bytes]:
    """Exit status, stdout and stderr; the whole process group is killed at a limit."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True
        )
        # prlimit rather than preexec_fn, which is not safe in a process with threads.
        if hasattr(resource, "prlimit"):
            resource.prlimit(process.pid, resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise ClipRejected(RejectReason.DECODE_FAILED, f"decoding took longer than {timeout:.0f} s") from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        log.seek(0)
        return process.returncode, output, log.read(1 << 20)


def _parse_wav(wav: bytes) -> tuple[NDArray[np.float32], int]:
    """Samples and rate of the WAV that ffmpeg streams: its sizes are placeholders, so chunks are walked."""
    channels, sample_rate, at = 0, 0, 12
    while at + 8 <= len(wav):
        name, size = wav[at : at + 4], struct.unpack_from("<I", wav, at + 4)[0]
        if name == b"fmt ":
            channels, sample_rate = struct.unpack_from("<HI", wav, at + 10)
        if name == b"data":
            usable = (len(wav) - at - 8) // (4 * channels) * channels
            return np.frombuffer(wav, np.float32, usable, at + 8).reshape(-1, channels), sample_rate
        at += 8 + size
    raise ClipRejected(RejectReason.DECODE_FAILED, "nothing could be decoded")


def _declared_seconds(log: bytes) -> float | None:
    found = _DURATION.search(log)
    if not found:
        return None
    hours, minutes, seconds = found.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
