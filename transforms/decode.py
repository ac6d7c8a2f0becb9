"""From a file's bytes to a waveform: whole, at its level, or refused with a reason."""

from __future__ import annotations

import functools
import importlib.metadata
import io
import struct
from dataclasses import dataclass

import numpy as np
import soundfile
from numpy.typing import NDArray

from transforms import ffmpeg, sniff
from transforms.clip import ClipRejected, RejectReason
from transforms.sniff import Kind

# Silence at the ends is trimmed after decoding, so a clip may be longer than
# its payload; this much longer, no more.
TRIMMABLE_SECONDS = 60.0
MIN_SAMPLE_RATE = 4_000
MAX_SAMPLE_RATE = 768_000
MAX_CHANNELS = 64
# Decoding goes on in blocks, so that no header decides how much memory is asked for.
BLOCK_SECONDS = 10.0
# A container may round its duration, and lossy codecs pad or drop part of a frame at the ends.
DURATION_TOLERANCE_SECONDS = 0.3
DURATION_TOLERANCE_FRACTION = 0.01
# Data sizes that writers to a pipe leave in WAV headers, for "unknown".
_UNKNOWN_SIZES = {0, 0x7FFFFFFF, 0x7FFFF000, 0x80000000, 0xFFFFFFFF}
_STREAMED_FROM = 0x7FFF0000
# Containers whose stated duration is an index of what the file holds, not an estimate.
_EXACT_DURATIONS = {"mp4", "matroska", "asf", "wavpack", "caf", "tta", "ape", "flv", "avi", "wav"}


@dataclass(frozen=True, slots=True)
class Waveform:
    """Decoded audio.

    Attributes:
      samples: float32 in ±1, or int16, shape (num_samples, num_channels).
      sample_rate: Hz, of the source.
      source_format: container and codec, e.g. "wav/pcm_16" or "mp4/aac".
    """

    samples: NDArray[np.float32] | NDArray[np.int16]
    sample_rate: int
    source_format: str


@functools.cache
def builds() -> dict[str, str]:
    """The builds of all that decides samples and bytes."""
    return {
        "libsndfile": soundfile.__libsndfile_version__,
        "soundfile": importlib.metadata.version("soundfile"),
        "soxr": importlib.metadata.version("soxr"),
        "numpy": importlib.metadata.version("numpy"),
        "ffmpeg": ffmpeg.version(),
    }


def decode(
    content: bytes, *, max_duration: float, offset: float = 0.0, duration: float | None = None, name_hint: str = ""
) -> Waveform:
    """Decodes a recording, or the segment of it that begins at `offset`.

    Args:
      content: the whole file.
      max_duration: the dataset's limit, in seconds; up to `TRIMMABLE_SECONDS` more are decoded.
      offset: seconds from the recording's start.
      duration: seconds to decode; None for all up to its end.
      name_hint: the file's name, for headerless telephone codecs only.

    Raises:
      ClipRejected: not audio, damaged, cut short, or longer than the limit.
    """
    kind = sniff.sniff(content, name_hint)
    cap = max_duration + TRIMMABLE_SECONDS
    # Half a second over the cap is decoded, to tell "just within" from "too long".
    seconds = min(cap + 0.5, duration) if duration is not None else cap + 0.5
    if kind.sndfile and not _needs_ffmpeg(kind, content):
        wave = _decode_here(content, kind, seconds, offset) or _decode_outside(content, kind, seconds, offset)
    else:
        wave = _decode_outside(content, kind, seconds, offset)
    if not wave.samples.shape[0]:
        raise ClipRejected(RejectReason.TOO_SHORT, "the recording is empty: it has no samples (0 s)")
    if wave.samples.shape[0] > cap * wave.sample_rate:
        raise ClipRejected(
            RejectReason.TOO_LONG, f"the recording lasts over {cap:g} s; the limit is max_duration={max_duration:g} s"
        )
    return wave


def _needs_ffmpeg(kind: Kind, content: bytes) -> bool:
    """Whether libsndfile would read only a part of the file, and say nothing."""
    if kind is not sniff.MP3:
        return False
    start = sniff.id3_length(content)
    frames = sniff.mpeg_frames(content, start)
    first = content[frames[0].start : frames[0].start + frames[0].num_bytes]
    tagged = any(mark in first for mark in (b"Xing", b"Info", b"VBRI"))
    one_rate = len({frame.sample_rate for frame in frames}) == 1
    # Something behind the frames that is no tag: another stream, or damage.
    rest = content[frames[-1].start + frames[-1].num_bytes :]
    tail = not rest.strip(b"\0") or rest.startswith((b"TAG", b"APETAGEX", b"ID3", b"LYRICS"))
    second = any(mark in content[frames[1].start :] for mark in (b"Xing", b"Info\0", b"LAME3")) if frames[1:] else False
    return not (tagged and one_rate and tail and not second)


def _decode_here(content: bytes, kind: Kind, seconds: float, offset: float) -> Waveform | None:
    """Decodes with libsndfile; None for a codec that it does not read."""
    try:
        file = soundfile.SoundFile(io.BytesIO(content))
    except (soundfile.LibsndfileError, ValueError):
        return None
    with file:
        _check_stream(file.samplerate, file.channels)
        _check_wav_size(kind, content)
        dtype = "int16" if file.subtype in ("PCM_16", "PCM_S8", "PCM_U8") else "float32"
        try:
            samples, at_end = _read_blocks(file, seconds, offset, dtype)
        except soundfile.LibsndfileError:
            raise ClipRejected(RejectReason.DECODE_FAILED, f"the {kind.name} contents are invalid (damaged)") from None
        declared = file.frames - round(offset * file.samplerate)
        if at_end and _falls_short(len(samples), declared, file.samplerate, kind, content):
            raise _truncated(len(samples) / file.samplerate, declared / file.samplerate)
        return Waveform(samples, file.samplerate, f"{kind.name}/{file.subtype.lower()}")


def _read_blocks(
    file: soundfile.SoundFile, seconds: float, offset: float, dtype: str
) -> tuple[NDArray[np.float32] | NDArray[np.int16], bool]:
    """At most `seconds` from `offset` on, and whether the file ended before."""
    if offset:
        _seek(file, offset)
    wanted = round(seconds * file.samplerate)
    blocks = []
    while wanted > 0:
        block = file.read(min(wanted, int(BLOCK_SECONDS * file.samplerate)), dtype=dtype, always_2d=True)
        if not len(block):
            break
        blocks.append(block)
        wanted -= len(block)
    empty = np.zeros((0, file.channels), dtype)
    return (blocks[0] if len(blocks) == 1 else np.concatenate([empty, *blocks])), wanted > 0


def _seek(file: soundfile.SoundFile, offset: float) -> None:
    frame = round(offset * file.samplerate)
    if frame >= file.frames:
        raise ClipRejected(
            RejectReason.TOO_SHORT,
            f"the clip's offset of {offset:g} s is behind the recording's end ({file.frames / file.samplerate:.3f} s)",
        )
    file.seek(frame)


def _check_stream(sample_rate: int, channels: int) -> None:
    if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
        raise ClipRejected(
            RejectReason.BAD_SAMPLE_RATE,
            f"the sample rate is {sample_rate} Hz, outside {MIN_SAMPLE_RATE}-{MAX_SAMPLE_RATE} Hz (invalid header)",
        )
    if not 1 <= channels <= MAX_CHANNELS:
        raise ClipRejected(
            RejectReason.DECODE_FAILED, f"the header claims {channels} channels, over {MAX_CHANNELS} (invalid)"
        )


def _check_wav_size(kind: Kind, content: bytes) -> None:
    """A WAV whose data chunk claims more than the file holds was cut; libsndfile would read on silently."""
    if kind is not sniff.WAV or content[:4] not in (b"RIFF", b"RIFX"):
        return
    order = "<I" if content[:4] == b"RIFF" else ">I"
    at = 12
    while at + 8 <= len(content):
        (size,) = struct.unpack_from(order, content, at + 4)
        if content[at : at + 4] == b"data":
            held = len(content) - at - 8
            if size > held and size not in _UNKNOWN_SIZES and size < _STREAMED_FROM:
                raise ClipRejected(
                    RejectReason.TRUNCATED,
                    f"truncated: the header declares {size:,} bytes of samples, {held:,} are there",
                )
            return
        at += 8 + size + size % 2


def _falls_short(found: int, declared: int, sample_rate: int, kind: Kind, content: bytes) -> bool:
    if kind is sniff.OGG and not sniff.ogg_ends(content):
        return True
    # FLAC may leave its total unknown, which libsndfile shows as an enormous one.
    unknown = declared <= 0 or declared >= 1 << 40
    return not unknown and found < declared - _tolerance(declared / sample_rate) * sample_rate * (
        kind is not sniff.FLAC
    )


def _tolerance(declared_seconds: float) -> float:
    return max(DURATION_TOLERANCE_SECONDS, DURATION_TOLERANCE_FRACTION * declared_seconds)


def _truncated(found_seconds: float, declared_seconds: float) -> ClipRejected:
    return ClipRejected(
        RejectReason.TRUNCATED,
        f"truncated: {declared_seconds:.2f} s are declared, {found_seconds:.2f} s could be decoded",
    )


def _decode_outside(content: bytes, kind: Kind, seconds: float, offset: float) -> Waveform:
    decoded = ffmpeg.decode(content, kind, seconds, offset)
    _check_stream(decoded.sample_rate, decoded.samples.shape[1])
    found = decoded.samples.shape[0] / decoded.sample_rate
    declared = decoded.declared_seconds - offset if decoded.declared_seconds is not None else None
    if declared is not None and kind.name in _EXACT_DURATIONS and found < min(declared, seconds) - _tolerance(declared):
        raise _truncated(found, declared)
    if decoded.broken or (kind.name == "ogg" and found < seconds and not sniff.ogg_ends(content)):
        raise ClipRejected(RejectReason.TRUNCATED, f"truncated: the {kind.name} file ends in the middle")
    return Waveform(decoded.samples, decoded.sample_rate, f"{kind.name}/{decoded.codec}")
