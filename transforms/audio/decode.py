"""Decoding: from a file's bytes to a waveform that is whole and at its level, or a refusal with a reason."""

from __future__ import annotations

import contextlib
import io
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import BinaryIO, cast

import numpy as np

from transforms import reasons
from transforms.audio import ffmpeg, joined, libav, scratch, sndfile, sniff, tags
from transforms.audio.format import Format
from transforms.audio.waveform import Samples, Waveform, as_floats, check_stream
from transforms.errors import ClipRejected

# A recording may be this much longer than its payload, because silence at the ends is trimmed after decoding.
TRIMMABLE_SECONDS = 60.0
MAX_UNPACKED_BYTES = 128 << 20
# The longest block of the ADPCM codecs in use.
MAX_PADDING_SAMPLES = 8_192
MAX_COPIED_BYTES = 4 << 30
# Of a chained file, such as a recording of the radio, which has one a title. Each begins a decoder.
MAX_LINKS = 1_000
# Frames of an hour or more, of which the beginning tells that they are too long.
BEGINNING_BYTES = 48 << 20
# What sniffing reads of a long recording.
HEAD_BYTES = 1 << 16
# Containers round durations. Lossy codecs pad or drop part of a frame at the ends.
DURATION_TOLERANCE_SECONDS = 0.3
DURATION_TOLERANCE_FRACTION = 0.01
# What is decoded behind a segment that is still to be cut: some samples.
BEYOND_SECONDS = 0.001
# What encoders put in front, and at the end, and players leave out: 2,112 samples of AAC, and the rest of two frames.
DELAY_SAMPLES = 4_160


def decode(content: bytes, *, max_duration: float, name_hint: str = "") -> Waveform:
    """Decodes a whole recording.

    Args:
      content: the whole file.
      max_duration: the dataset's limit, in seconds; up to `TRIMMABLE_SECONDS` more are decoded.
      name_hint: the file's name, for headerless telephone codecs only.

    Raises:
      ClipRejected: not audio, damaged, cut short, or longer than the limit.
    """
    content = _unpacked(content)
    form = sniff.sniff(content, name_hint)
    cap = max_duration + TRIMMABLE_SECONDS
    start = form.start(content)
    _refuse_long(content, start, form, cap, max_duration)
    # Decoders expect tags in front of MP3 only.
    content = _without_tags_behind(content[start:], form)
    # Half a second more than the cap is decoded, so that a recording over the cap is known as such.
    wave = _decode_whole(content, form, cap + 0.5)
    return _bounded(wave, cap, max_duration)


def sniffed(content: bytes, name_hint: str = "") -> Format:
    """The format of a whole recording, as `decode` finds it; raises what that raises for what is not audio."""
    return sniff.sniff(_unpacked(content), name_hint)


def decode_segment(
    recording: BinaryIO,
    *,
    offset: float,
    duration: float | None,
    max_duration: float,
    name_hint: str = "",
    slack: float = 0.0,
) -> Waveform:
    """Decodes a part of a recording by seeking. Where the format allows it, the rest is not read either.

    Args:
      recording: seekable; its position does not matter.
      offset: seconds from the recording's start.
      duration: seconds to decode; None for all up to its end.
      max_duration: as in `decode`.
      name_hint: as in `decode`.
      slack: seconds at the segment's end that the recording need not have. With it, a little more is decoded, so that
        whoever cuts the segment has all samples up to its end, however their number is rounded.

    Raises:
      ClipRejected: as in `decode`; TRUNCATED or TOO_SHORT for a segment that is not in the recording.
    """
    head = _head(recording)
    form = sniff.sniff(head, name_hint)
    joined.refuse_joined_recording(recording, form, form.start(head))
    cap = max_duration + TRIMMABLE_SECONDS
    more = BEYOND_SECONDS if slack else 0.0
    seconds = min(cap + 0.5, duration + more) if duration is not None else cap + 0.5
    wave = _segment_with_sndfile(recording, head, form, seconds, offset) if form.seekable else None
    if form.is_chained and form.is_chained(recording):
        wave = _segment_of_links(recording, form, seconds, offset)
    if wave is None:
        wave = _segment_with_libav(recording, form, seconds, offset)
    found = wave.samples.shape[0] / wave.sample_rate
    if duration is not None and found < seconds - slack - _tolerance(duration, wave.sample_rate):
        raise ClipRejected(
            reasons.TRUNCATED,
            f"truncated: the segment is {duration:g} s from {offset:g} s on, the recording holds {found:.2f} s of it",
        )
    return _bounded(wave, cap, max_duration)


def _refuse_long(content: bytes, start: int, form: Format, cap: float, max_duration: float) -> None:
    """Refuses hours of frames by their beginning: each would be walked over, or copied for a tag in front of them."""
    if not form.framed or len(content) - start <= BEGINNING_BYTES:
        return
    try:
        decoded = _with_libav(io.BytesIO(content[start : start + BEGINNING_BYTES]), form, cap + 0.5)
    except ClipRejected:  # of the whole more is known
        return
    if decoded.samples.shape[0] > cap * decoded.sample_rate:
        raise _too_long(cap, max_duration)


def _without_tags_behind(content: bytes, form: Format) -> bytes:
    """The audio alone of formats whose decoders take all that follows for sound."""
    if not form.tags_behind:
        return content
    content = content[: tags.audio_end(content)]
    end = form.end(content) if form.end else None
    if end is None or end >= len(content):
        return content
    if tags.is_filling(content, end):
        return content[:end]
    if form.stops:
        joined.refuse_joined(content, form)
        detail = f"the {form.name} contents are invalid: its frames end at byte {end:,} of {len(content):,}"
        raise ClipRejected(reasons.DECODE_FAILED, detail)
    return content


def _head(recording: BinaryIO) -> bytes:
    """The recording's beginning, with some audio behind its tags, which may hold a picture."""
    recording.seek(0)
    head = recording.read(HEAD_BYTES)
    while (wanted := min(tags.audio_start(head), MAX_UNPACKED_BYTES) + HEAD_BYTES) > len(head):
        more = recording.read(wanted - len(head))
        if not more:
            break
        head += more
    return head


def _bounded(wave: Waveform, cap: float, max_duration: float) -> Waveform:
    if not wave.samples.shape[0]:
        raise sndfile.empty()
    if wave.samples.shape[0] > cap * wave.sample_rate:
        raise _too_long(cap, max_duration)
    return wave


def _too_long(cap: float, max_duration: float) -> ClipRejected:
    detail = f"the recording lasts over {cap:g} s; the limit is max_duration={max_duration:g} s"
    return ClipRejected(reasons.TOO_LONG, detail)


def _unpacked(content: bytes) -> bytes:
    """The contents of a gzip file; any other file as it is."""
    if not content.startswith(b"\x1f\x8b"):
        return content
    try:
        inflater = zlib.decompressobj(wbits=31)
        unpacked = inflater.decompress(content, MAX_UNPACKED_BYTES)
    except zlib.error:
        raise ClipRejected(reasons.DECODE_FAILED, "the gzip file is damaged (invalid)") from None
    if inflater.eof:
        return unpacked
    if len(unpacked) >= MAX_UNPACKED_BYTES:
        raise ClipRejected(reasons.FILE_TOO_LARGE, f"unpacked, the gzip file is over {MAX_UNPACKED_BYTES:,} bytes")
    raise ClipRejected(reasons.TRUNCATED, "truncated: the gzip file ends in the middle")


def _decode_whole(content: bytes, form: Format, seconds: float) -> Waveform:
    joined.refuse_joined(content, form)
    links = form.links(content) if form.links else []
    if len(links) > MAX_LINKS:
        detail = f"several streams in one: over {MAX_LINKS:,} follow one another (invalid)"
        raise ClipRejected(reasons.JOINED_FILES, detail)
    return _decode_links(content, links, seconds) if len(links) > 1 else _decode_one(content, form, seconds)


def _decode_links(content: bytes, links: list[int], seconds: float) -> Waveform:
    """Decodes the parts of a chained file one by one: decoders go on with the first one's codebooks, or stop there."""
    waves: list[Waveform] = []
    for start, end in pairwise([*links, len(content)]):
        left = seconds - sum(wave.samples.shape[0] / wave.sample_rate for wave in waves)
        if left <= 0:
            break
        part = content[start:end]
        wave = _decode_one(part, sniff.sniff(part, ""), left)
        _refuse_unlike(wave, waves[0] if waves else wave, start)
        waves.append(wave)
    samples: list[Samples] = [wave.samples for wave in waves]
    if len({part.shape[1:] for part in samples}) > 1:
        samples = [as_floats(part).mean(axis=1, keepdims=True) for part in samples]
    if len({part.dtype for part in samples}) > 1:
        samples = [as_floats(part) for part in samples]
    return replace(waves[0], samples=cast(Samples, np.concatenate(samples)))


def _segment_of_links(recording: BinaryIO, form: Format, seconds: float, offset: float) -> Waveform:
    """A segment of a chained file: its clock begins anew in each part, so all up to the segment's end is decoded."""
    recording.seek(0)
    wave = _decode_whole(recording.read(MAX_UNPACKED_BYTES), form, offset + seconds)
    start = round(offset * wave.sample_rate)
    if start >= wave.samples.shape[0]:
        raise sndfile.behind_end(offset)
    return replace(wave, samples=wave.samples[start : start + round(seconds * wave.sample_rate)])


def _refuse_unlike(wave: Waveform, first: Waveform, at: int) -> None:
    """Refuses a part that does not go on at the first one's rate."""
    if wave.sample_rate != first.sample_rate:
        rates = f"of {wave.sample_rate:,} Hz behind {first.sample_rate:,} Hz"
        fact = f"several streams in one: at byte {at:,} another one follows, {rates}"
        raise ClipRejected(reasons.JOINED_FILES, fact)


def _decode_one(content: bytes, form: Format, seconds: float) -> Waveform:
    if missing := form.shortfall(content):
        declared, held = missing
        raise ClipRejected(reasons.TRUNCATED, f"truncated: the file declares {declared:,} bytes and has {held:,}")
    claims = form.claims(content) if form.claims else None
    if claims and claims.missing:
        declared, held = claims.missing
        counts = f"{declared:,} frames are declared, {held:,} are there"
        raise ClipRejected(reasons.TRUNCATED, f"truncated: {counts}")
    if claims and claims.mended is not None:
        content, claims = claims.mended, None
    with_sndfile = form.sndfile and (claims is None or claims.right)
    wave = _whole_with_sndfile(content, form, seconds) if with_sndfile else None
    return wave or _whole_with_libav(content, form, seconds)


def _whole_with_sndfile(content: bytes, form: Format, seconds: float) -> Waveform | None:
    """Decodes with libsndfile; None for a codec that it does not read."""
    decoded = sndfile.decode(content, form, seconds)
    if decoded is None:
        return None
    if decoded.at_end and decoded.unread:
        joined.refuse_behind(content, form, len(content) - decoded.unread)
    samples, rate = decoded.samples, decoded.sample_rate
    if decoded.at_end and form.is_whole and not form.is_whole(content):
        raise _cut(form)
    if decoded.at_end and _falls_short(len(samples), decoded.declared, rate, form):
        raise _truncated(len(samples) / rate, decoded.declared / rate)
    if form.unpadded and not decoded.subtype.startswith(("PCM", "FLOAT", "DOUBLE")):
        samples = _without_padding(samples, form.unpadded(content))
    return Waveform(samples, rate, f"{form.name}/{decoded.subtype.lower()}")


def _without_padding(samples: Samples, declared: int | None) -> Samples:
    """The samples without those that fill the last block of a compressed WAV."""
    padded = declared is not None and 0 < len(samples) - declared <= MAX_PADDING_SAMPLES
    return samples[:declared] if padded else samples


def _segment_with_sndfile(
    recording: BinaryIO, head: bytes, form: Format, seconds: float, offset: float
) -> Waveform | None:
    decoded = sndfile.decode(sndfile.Recording(recording, head), form, seconds, offset)
    if decoded is None:
        return None
    return Waveform(decoded.samples, decoded.sample_rate, f"{form.name}/{decoded.subtype.lower()}")


def _falls_short(found: int, declared: int, sample_rate: int, form: Format) -> bool:
    # libsndfile gives an unknown total as 0 or as an enormous number.
    unknown = declared <= 0 or declared >= 1 << 40
    tolerance = 0 if form.exact_samples else _tolerance(declared / sample_rate, sample_rate) * sample_rate
    return not unknown and found < declared - tolerance


def _tolerance(declared_seconds: float, sample_rate: int) -> float:
    delay = DELAY_SAMPLES / sample_rate
    return max(DURATION_TOLERANCE_SECONDS, DURATION_TOLERANCE_FRACTION * declared_seconds, delay)


def _truncated(found_seconds: float, declared_seconds: float) -> ClipRejected:
    return ClipRejected(
        reasons.TRUNCATED,
        f"truncated: {declared_seconds:.2f} s are declared, {found_seconds:.2f} s could be decoded",
    )


def _cut(form: Format) -> ClipRejected:
    return ClipRejected(
        reasons.TRUNCATED, f"truncated: a part of the {form.name} file is missing, at its end or before"
    )


def _whole_with_libav(content: bytes, form: Format, seconds: float) -> Waveform:
    joined.refuse_behind(content, form, 0)
    decoded = _with_libav(io.BytesIO(content), form, seconds)
    if decoded.damaged:
        raise ClipRejected(reasons.DECODE_FAILED, f"the {form.name} contents are invalid (damaged)")
    found, declared = decoded.samples.shape[0] / decoded.sample_rate, decoded.declared_seconds
    if (
        declared is not None
        and form.exact_duration
        and found < min(declared, seconds) - _tolerance(declared, decoded.sample_rate)
    ):
        raise _truncated(found, declared)
    unmarked = form.is_whole is not None and found < seconds and not form.is_whole(content)
    if decoded.broken or unmarked:
        raise _cut(form)
    return Waveform(decoded.samples, decoded.sample_rate, f"{form.name}/{decoded.codec}")


def _segment_with_libav(recording: BinaryIO, form: Format, seconds: float, offset: float) -> Waveform:
    decoded = _with_libav(recording, form, seconds, offset)
    if not decoded.samples.shape[0]:
        raise sndfile.behind_end(offset)
    return Waveform(decoded.samples, decoded.sample_rate, f"{form.name}/{decoded.codec}")


def _with_libav(recording: BinaryIO, form: Format, seconds: float, offset: float = 0.0) -> libav.Decoded:
    """Decodes in-process; with the ffmpeg program what only that decodes whole."""
    decoded = libav.decode(recording, form, seconds, offset)
    if decoded is None:
        with _real_file(recording) as file:
            decoded = ffmpeg.decode(file, form, seconds, offset)
        check_stream(decoded.sample_rate, decoded.samples.shape[1])
    return decoded


@contextlib.contextmanager
def _real_file(stream: BinaryIO) -> Iterator[BinaryIO]:
    """The stream itself if it has a descriptor, else a copy of it on disk."""
    if _has_descriptor(stream):
        yield stream
        return
    size = stream.seek(0, io.SEEK_END)
    if size > MAX_COPIED_BYTES:
        detail = f"the recording is longer than the limit of {MAX_COPIED_BYTES:,} bytes for this format"
        raise ClipRejected(reasons.FILE_TOO_LARGE, detail)
    with scratch.file() as copy:
        stream.seek(0)
        shutil.copyfileobj(stream, copy, sndfile.BLOCK_BYTES)
        copy.flush()
        yield copy


def _has_descriptor(stream: BinaryIO) -> bool:
    try:
        stream.fileno()
    except OSError:
        return False
    return True
