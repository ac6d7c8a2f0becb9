"""The ffmpeg program: it encodes, and decodes what libav in-process does not. A crash or hang there costs one clip."""

from __future__ import annotations

import math
import os
import re
import resource
import selectors
import signal
import struct
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import ffmpeg
import numpy as np
from numpy.typing import NDArray

from transforms import reasons
from transforms.audio import builds, formats, libav, scratch
from transforms.audio.format import Format
from transforms.audio.waveform import MAX_DECODED_BYTES, too_large
from transforms.errors import ClipRejected
from transforms.workers import bounds, shortage

# Start-up, and a generous rate below the slowest decoder seen on a loaded machine.
TIMEOUT_SECONDS = 20.0
TIMEOUT_PER_AUDIO_SECOND = 0.5
MAX_MEMORY_BYTES = 1 << 30
# Of its threads, which hardly touch them: they count as memory that is allocated.
_STACKS_BYTES = 64 << 20
_PR_SET_PDEATHSIG = 1
BLOCK_BYTES = 1 << 20
# Of stderr, and of an encoder's output.
MAX_LOG_BYTES = 256 << 20
_DURATION = re.compile(rb"Duration: (\d+):(\d+):(\d+\.\d+)")
_CODEC = re.compile(rb"Stream #0:\S+.*?: Audio: (\w+)")
_FILM = re.compile(rb"Stream #0:\S+.*?: Video: (?!.*\(attached pic\))")
_NO_MEMORY = (b"Cannot allocate memory", b"alloc failed", b"emory allocation")
_BROKEN = (b"partial file", b"Truncated", b"truncated", b"moov atom not found")
_DAMAGED = (b"Decoding error", b"Error submitting packet to decoder")


@dataclass(frozen=True, slots=True)
class Decoded(libav.Decoded):
    """What came out of the program: always float32."""

    samples: NDArray[np.float32]


def decode(file: BinaryIO, form: Format, max_seconds: float, start_seconds: float = 0.0) -> Decoded:
    """Decodes at most `max_seconds` of the first audio track that has sound, at its own rate and channels.

    ffmpeg is given an open file, an explicit demuxer, and no protocol but
    files and pipes, so that no other file is read, no connection opened and no
    name interpreted.

    Args:
      file: a real file (one with a descriptor), at any position.
      form: what it is.
      max_seconds: the longest output.
      start_seconds: where to begin, found by the container's index where it has one.

    Raises:
      ClipRejected: DECODE_FAILED; DECODER_FAULT if it crashes or takes too long; or FILE_TOO_LARGE for more output
        than fits in memory.
    """
    return libav.first_with_sound(lambda track: _decode_track(file, form, max_seconds, start_seconds, track))


def _decode_track(
    file: BinaryIO, form: Format, max_seconds: float, start_seconds: float, track: int
) -> tuple[Decoded, int]:
    """One audio track, and how many the file has."""
    options = dict(form.options) | ({"ss": str(start_seconds)} if start_seconds else {})
    delay = form.delay if not start_seconds else None
    if delay is not None:
        options["flags2"] = "+skip_manual"
    source = ffmpeg.input(_path(file), f=form.demuxer, protocol_whitelist="file,pipe", threads=1, **options)
    sink = ffmpeg.output(
        source[f"a:{track}"],
        "pipe:1",
        f="wav",
        acodec="pcm_f32le",
        t=max_seconds,
        map_metadata=-1,
        fs=MAX_DECODED_BYTES,
    )
    timeout = TIMEOUT_SECONDS + TIMEOUT_PER_AUDIO_SECOND * max_seconds
    try:
        status, wav, log = _run(sink, [file.fileno()], timeout)
    except subprocess.TimeoutExpired:
        raise ClipRejected(reasons.DECODER_FAULT, f"decoding took longer than {timeout:.0f} s") from None
    if len(wav) > MAX_DECODED_BYTES:
        raise too_large(form.name)
    if status < 0:
        ended = f"decoding did not end well: ffmpeg was ended by {signal.Signals(-status).name}"
        raise ClipRejected(reasons.DECODER_FAULT, ended)
    header = _parse_wav(wav) if status == 0 else None
    if header is None:
        raise ClipRejected(reasons.DECODE_FAILED, f"the {form.name} contents are invalid: no audio decoded")
    samples, sample_rate = header
    codecs = _CODEC.findall(log.partition(b"\nOutput #0")[0])
    codec = codecs[track].decode() if track < len(codecs) else "unknown"
    if delay is not None:
        samples = samples[delay(codec, sample_rate) :]
    decoded = Decoded(
        samples=samples,
        sample_rate=sample_rate,
        codec=codec,
        declared_seconds=_declared_seconds(log),
        broken=any(word in log for word in _BROKEN),
        damaged=codec in formats.lossless_codecs() and any(word in log for word in _DAMAGED),
    )
    return decoded, len(codecs)


def encode(samples: NDArray[np.float32], sample_rate: int, muxer: str, options: dict[str, str]) -> bytes:
    """Encodes mono samples.

    Args:
      samples: float32, shape (num_samples,); full scale is 1 and may be exceeded.
      sample_rate: Hz.
      muxer: ffmpeg's name of the format, e.g. "adts".
      options: of the codec, e.g. {"acodec": "aac", "b:a": "64k"}.

    Raises:
      RuntimeError, subprocess.TimeoutExpired: the encoder failed, which is no clip's fault.
    """
    # A file, not a pipe: muxers go back to write the header.
    with scratch.file() as source_file, scratch.file() as sink_file:
        source_file.write(samples.tobytes())
        source_file.flush()
        source = ffmpeg.input(_path(source_file), f="f32le", ar=sample_rate, ac=1)
        sink = ffmpeg.output(source, _path(sink_file), f=muxer, map_metadata=-1, fflags="+bitexact", **options)
        seconds = len(samples) / sample_rate
        descriptors = [source_file.fileno(), sink_file.fileno()]
        timeout = TIMEOUT_SECONDS + TIMEOUT_PER_AUDIO_SECOND * seconds
        status, _, log = _run(ffmpeg.overwrite_output(sink), descriptors, timeout)
        sink_file.seek(0)
        content = sink_file.read()
    if status != 0 or not content:
        raise RuntimeError(f"ffmpeg cannot encode {muxer}: {log[-300:].decode(errors='replace')}")
    return content


def _path(file: BinaryIO) -> str:
    """An open file as a path for a child process that inherits it. So no name is interpreted."""
    file.seek(0)  # on some systems opening the path shares the descriptor's position
    return f"file:/dev/fd/{file.fileno()}"


def _run(sink: ffmpeg.nodes.OutputStream, descriptors: Sequence[int], timeout: float) -> tuple[int, bytes, bytes]:
    """Exit status, stdout and stderr.

    Raises:
      subprocess.TimeoutExpired: and the process is killed.
    """
    command = sink.global_args("-nostdin", "-hide_banner", "-v", "info", "-nostats").compile(cmd=builds.ffmpeg())
    limits = _limits(timeout)
    begin = _begin(os.getpid(), limits) if _is_single_threaded() else None
    with scratch.file() as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            pass_fds=descriptors,
            preexec_fn=begin,  # noqa: PLW1509 -- it has no threads
        )
        if begin is None and hasattr(resource, "prlimit"):
            for kind, most in limits.items():
                resource.prlimit(process.pid, kind, (most, most))
        output = _output(process, timeout)
        log.seek(0)
        told = log.read(1 << 20)
        if process.returncode and any(word in told for word in _NO_MEMORY):
            shortage.note()
        return process.returncode, output, told


def _is_single_threaded() -> bool:
    """Whether this process has one thread, as clip workers have: only then may code run between fork and exec."""
    try:
        return len(list(Path("/proc/self/task").iterdir())) == 1
    except OSError:
        return False


def _begin(parent: int, limits: Mapping[int, int]) -> Callable[[], None] | None:
    """Sets limits for the process in which it is called, and has the system kill that when its parent dies.

    Elsewhere than on Linux the limit of processor time ends what is left, or the pipe that nobody reads.
    """
    try:
        import ctypes  # noqa: PLC0415 -- where there is no prctl there may be no ctypes either

        prctl = ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        return None

    def begin() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        for kind, most in limits.items():
            resource.setrlimit(kind, (most, most))
        if os.getppid() != parent:  # it was too late
            os._exit(1)

    return begin


def _limits(timeout: float) -> dict[int, int]:
    """What the program may take: of memory, what is left of that of this process's task."""
    wanted = {
        resource.RLIMIT_CPU: math.ceil(timeout),
        resource.RLIMIT_AS: MAX_MEMORY_BYTES,
        resource.RLIMIT_FSIZE: MAX_LOG_BYTES,
    }
    left = bounds.left()
    if left is not None:
        wanted[resource.RLIMIT_DATA] = left + _STACKS_BYTES
    return {kind: _at_most(kind, most) for kind, most in wanted.items()}


def _at_most(kind: int, most: int) -> int:
    hard = resource.getrlimit(kind)[1]  # the limit of the system or the user cannot be raised
    return most if hard == resource.RLIM_INFINITY else min(most, hard)


def _output(process: subprocess.Popen[bytes], timeout: float) -> bytes:
    """What the process writes, up to a little more than the limit. It is dead afterwards."""
    assert process.stdout is not None
    deadline, output, ended = time.monotonic() + timeout, bytearray(), False
    try:
        with process.stdout as stream, selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            while not ended and len(output) <= MAX_DECODED_BYTES:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise subprocess.TimeoutExpired(process.args, timeout)
                block = os.read(stream.fileno(), BLOCK_BYTES)
                output += block
                ended = not block
        if ended:
            process.wait(max(0.0, deadline - time.monotonic()))
    finally:
        process.kill()
        process.wait()
    return bytes(output)


def _parse_wav(wav: bytes) -> tuple[NDArray[np.float32], int] | None:
    """Samples and rate of the WAV that ffmpeg streams. Its data size is a placeholder."""
    channels, sample_rate, at = 0, 0, 12
    while at + 8 <= len(wav):
        name, size = wav[at : at + 4], struct.unpack_from("<I", wav, at + 4)[0]
        if name == b"fmt ":
            channels, sample_rate = struct.unpack_from("<HI", wav, at + 10)
        if name == b"data" and channels:
            usable = (len(wav) - at - 8) // (4 * channels) * channels
            return np.frombuffer(wav, np.float32, usable, at + 8).reshape(-1, channels), sample_rate
        at += 8 + size + size % 2
    return None


def _declared_seconds(log: bytes) -> float | None:
    found = _DURATION.search(log)
    if not found or _FILM.search(log):  # which may be longer than its sound
        return None
    hours, minutes, seconds = found.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
