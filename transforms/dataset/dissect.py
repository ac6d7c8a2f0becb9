"""A clip step by step: what each step of its conversion has made of it. A worker does it, as it does the conversion."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from transforms import region
from transforms.audio import conform, decode, encode
from transforms.audio.streams import Remembering
from transforms.audio.waveform import Waveform, as_floats
from transforms.clip import Clip
from transforms.dataset import example
from transforms.dataset.dissected import Dissection, Step
from transforms.dataset.sources import Source
from transforms.errors import ClipRejected
from transforms.payloads import Payload
from transforms.settings import Settings
from transforms.storage import uris


@dataclass(slots=True)
class _Course:
    """How far a clip has come."""

    steps: list[Step]
    example: str = ""
    payload: Payload | None = None

    def heard(self, name: str, samples: NDArray[np.float32], rate: int, detail: str = "") -> None:
        """Adds a step: samples are float32 in ±1, shape (num_samples,) or (num_samples, num_channels)."""
        channels = samples.shape[1] if samples.ndim > 1 else 1
        square = float(np.mean(np.square(samples, dtype=np.float64))) if samples.size else 0.0
        peak = float(np.max(np.abs(samples))) if samples.size else 0.0
        levels = _decibels(math.sqrt(square)), _decibels(peak)
        self.steps.append(Step(name, detail, len(samples), len(samples) / rate, rate, channels, *levels))


def dissect(clip: Clip, source: Source, settings: Settings) -> tuple[Dissection, Payload | None]:
    """Converts a clip as `conversion.convert` does, and notes each step, up to the one that refuses it.

    Raises:
      StorageError, UserError: the recording cannot be read.
    """
    course = _Course([])
    try:
        with region.closed():
            _run(clip, source, settings, course)
    except ClipRejected as refusal:
        found = Dissection(tuple(course.steps), refusal.reason.name, refusal.detail, course.example)
        return found, course.payload
    return Dissection(tuple(course.steps), "", "", course.example), course.payload


def _run(clip: Clip, source: Source, settings: Settings, course: _Course) -> None:
    hint = uris.without_generation(source.uri)
    if clip.offset is None:
        content = source.read()
        course.steps.append(_sniffed(content, hint))
        wave = decode.decode(content, max_duration=settings.max_duration, name_hint=hint)
    else:
        content = b""
        with source.open() as recording:
            heard = Remembering(recording)
            wave = decode.decode_segment(
                cast(BinaryIO, heard),
                offset=clip.offset,
                duration=clip.duration,
                max_duration=settings.max_duration,
                name_hint=hint,
            )
    part = "" if clip.offset is None else f"from {clip.offset:g} s on"
    how = ", ".join(filter(None, (wave.source_format, part)))
    course.heard("decode", as_floats(wave.samples), wave.sample_rate, how)
    _conform(clip, wave, content, settings, course)


def _sniffed(content: bytes, hint: str) -> Step:
    """What the bytes are, before any is decoded."""
    form = decode.sniffed(content, hint)
    return Step("sniff", f"{form.name}, {len(content):,} bytes")


def _conform(clip: Clip, recording: Waveform, content: bytes, settings: Settings, course: _Course) -> None:
    wave, rate = recording, settings.sample_rate
    if clip.channel is not None:
        wave = conform.one_channel(recording, clip.channel)
        content = content if wave is recording else b""
        course.heard("channel", as_floats(wave.samples), wave.sample_rate, f"channel {max(0, clip.channel)}, from 0")
    mono = np.array(conform.to_mono(wave.samples))
    if wave.samples.shape[1] > 1:
        course.heard("mono", mono, wave.sample_rate, f"the mean of {wave.samples.shape[1]} channels")
    if wave.sample_rate != rate:
        course.heard("resample", conform.resample(mono, wave.sample_rate, rate), rate, f"from {wave.sample_rate:,} Hz")
    conformed = conform.conform(wave, settings)
    samples = as_floats(conformed.samples)
    start, end = conformed.trimmed_start_samples / rate, conformed.trimmed_end_samples / rate
    course.heard("trim", samples, rate, f"{start:.3f} s from the start, {end:.3f} s from the end")
    passed = encode.pass_through(content, wave, conformed, settings)
    payload = passed or encode.encode(conformed.samples, settings)
    how = "the file's own bytes" if passed else "encoded"
    course.payload = payload
    course.steps.append(Step("encode", f"{payload.mime_type}, {len(payload.content):,} bytes, {how}"))
    line = example.line(clip, payload, settings, len(conformed.samples) / rate)
    course.example = example.without_payload(line, settings).decode().rstrip("\n")
    course.steps.append(Step("example", f"{len(line):,} bytes of JSON"))


def _decibels(amplitude: float) -> float | None:
    return round(20 * math.log10(amplitude), 1) if amplitude > 0 else None
