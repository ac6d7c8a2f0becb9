"""From a recording and its text to the line of an example: all that is done to a clip's bytes, and nothing else.

It is done in a process that may die (`clip_workers`), so importing it imports no more than it needs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import BinaryIO, cast

from transforms import region
from transforms.audio import conform, decode, encode, level, pauses
from transforms.audio.streams import Remembering
from transforms.audio.waveform import Waveform
from transforms.clip import Clip, Outcome
from transforms.dataset import example
from transforms.dataset.converted import STAGES, Converted
from transforms.dataset.sources import Source
from transforms.errors import ClipRejected
from transforms.payloads import Payload
from transforms.settings import Settings
from transforms.storage import crc32c, inside, uris


def convert(clip: Clip, source: Source, settings: Settings, verify: bool) -> Converted:
    """Reads, decodes, conforms and encodes one clip.

    Args:
      clip: with its target as it will stand in the example.
      source: the recording.
      settings: of the dataset.
      verify: whether the payload is decoded again and compared.

    Raises:
      ClipRejected: the clip cannot become an example. DECODER_FAULT if that is our fault, for example because the
        payload does not decode to the clip's samples.
      StorageError: the storage failed; the runner may retry.
      UserError: the run cannot go on, for example because a bucket is forbidden.
    """
    watch = _Watch()
    name_hint = uris.without_generation(inside.name_of(source.uri))
    if clip.offset is None:
        with watch.stage("read"):
            content = source.read()
        with region.closed():
            with watch.stage("decode"):
                wave = decode.decode(content, max_duration=settings.max_duration, name_hint=name_hint)
            return _converted(clip, wave, content, settings, verify, watch)
    with watch.stage("read"):
        recording = source.open()
    with recording:
        heard = Remembering(recording)
        with region.closed(heard.raise_fault):
            with watch.stage("decode"):  # it reads as it decodes
                wave = decode.decode_segment(
                    cast(BinaryIO, heard),
                    offset=clip.offset,
                    duration=clip.duration,
                    max_duration=settings.max_duration,
                    name_hint=name_hint,
                    slack=clip.cut_end,
                )
            return _converted(clip, wave, b"", settings, verify, watch)


def is_as_noted(payload: Payload, num_samples: int, settings: Settings) -> bool:
    """Whether a payload decodes to so many samples, at the dataset's rate and in one channel."""
    try:
        with region.closed():
            encode.verify_length(payload, num_samples, settings)
    except ClipRejected as refusal:
        if isinstance(refusal.__cause__, MemoryError):  # with more, it may
            raise
        return False
    return True


def _converted(
    clip: Clip, recording: Waveform, content: bytes, settings: Settings, verify: bool, watch: _Watch
) -> Converted:
    """The line of a clip, from its waveform and its source file; b"" for a segment of a recording."""
    with watch.stage("conform"):
        wave = recording if clip.channel is None else conform.one_channel(recording, clip.channel)
        if clip.offset is not None and (clip.cut_start or clip.cut_end):
            wave = pauses.cut(wave, clip.offset, clip.duration, clip.cut_start, clip.cut_end)
        content = content if wave is recording else b""  # the file's own bytes hold the other channels, too
        conformed = conform.conform(wave, settings)
        heard = level.of(conformed.samples)
    with watch.stage("encode"):
        payload = encode.pass_through(content, wave, conformed, settings) or encode.encode(conformed.samples, settings)
        if verify:
            encode.verify(payload, conformed.samples, settings)
    by_uri = settings.audio_part == "uri"
    with watch.stage("line"):
        line = example.line(clip, payload, settings, len(conformed.samples) / settings.sample_rate)
        outcome = Outcome(
            clip_id=clip.clip_id,
            source=clip.source,
            uri=clip.uri,
            status="accepted",
            line_bytes=len(line),
            line_sha256=sha256(line).hexdigest(),
            mime_type=payload.mime_type,
            audio_bytes=len(payload.content),
            audio_sha256=payload.sha256,
            audio_crc32c=crc32c(payload.content) if by_uri else None,
            source_format=wave.source_format,
            source_sample_rate=wave.sample_rate,
            source_channels=recording.samples.shape[1],
            source_samples=wave.samples.shape[0],
            num_samples=len(conformed.samples),
            trimmed_start_samples=conformed.trimmed_start_samples,
            trimmed_end_samples=conformed.trimmed_end_samples,
            target_chars=len(clip.target),
            task=clip.task or None,
            group=clip.group or None,
            language=clip.language or None,
            kept_columns=clip.kept_columns or None,
            rms_dbfs=heard.rms_dbfs,
            peak_dbfs=heard.peak_dbfs,
            # A clip may be dropped later; its dead letter then holds the row.
            row=clip.row if settings.dedupe == "audio" else None,
        )
    return Converted(line, outcome, payload if by_uri else None, tuple(watch.spent.values()))


@dataclass(slots=True)
class _Watch:
    """Processor time of this thread, by stage, in nanoseconds."""

    spent: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STAGES, 0))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        begun = time.thread_time_ns()
        try:
            yield
        finally:
            self.spent[name] += time.thread_time_ns() - begun
