"""Payloads: 16-bit mono samples as FLAC, WAV, MP3 or AAC bytes, and back."""

from __future__ import annotations

import io

import numpy as np
import soundfile
from numpy.typing import NDArray

from transforms.audio import ffmpeg, formats, frames, libav
from transforms.audio.conform import INT16_SCALE, Conformed, to_int16
from transforms.audio.waveform import Waveform
from transforms.errors import PayloadError
from transforms.payloads import PAYLOADS, Payload
from transforms.settings import Settings

# A source is passed through up to this multiple of the wanted bitrate.
_BITRATE_SLACK = 1.05
# Lossy codecs pad to whole frames and keep the encoder's delay; of AAC at 16 kHz that is up to four frames.
LOSSY_PADDING_SECONDS = 0.26
# A lossy payload whose level differs by more is damaged.
LOSSY_LEVEL_DB = 3.0
# What is above this part of the sample rate may be left out: the lower the bitrate, the more.
LOSSY_BANDWIDTH = 0.2


def encode(samples: NDArray[np.int16], settings: Settings) -> Payload:
    """Encodes a clip; the same samples give the same bytes.

    Args:
      samples: int16, shape (num_samples,), at the settings' sample rate.
      settings: format, sample rate and bitrate.
    """
    form = PAYLOADS[settings.audio_format]
    if form.lossy:
        scaled = samples.astype(np.float32) * np.float32(form.gain / INT16_SCALE)
        options = {**form.codec, "b:a": f"{settings.bitrate}k"}
        return Payload(ffmpeg.encode(scaled, settings.sample_rate, form.muxer, options), form.mime_type)
    stream = io.BytesIO()
    container, rate = form.name.upper(), settings.sample_rate
    with soundfile.SoundFile(stream, "w", rate, 1, "PCM_16", format=container, **form.sndfile) as file:
        file.write(samples)
    return Payload(stream.getvalue(), form.mime_type)


def pass_through(content: bytes, wave: Waveform, conformed: Conformed, settings: Settings) -> Payload | None:
    """The source's own audio without its tags, if it is already what encoding would make; else None.

    So FLAC is not compressed twice, and MP3 and AAC lose nothing a second time.

    Args:
      content: the whole source file; b"" for a segment.
      wave: what it was decoded to.
      conformed: what became of that.
      settings: what is wanted.
    """
    untouched = wave.sample_rate == settings.sample_rate and wave.samples.shape == (len(conformed.samples), 1)
    if not content or not untouched:
        return None
    form = PAYLOADS[settings.audio_format]
    own_audio = formats.by_name(form.name).own_audio if form.passes == wave.source_format else None
    audio = own_audio(content) if own_audio else None
    if audio is None or not _fits(audio, wave, settings):
        return None
    return Payload(audio, form.mime_type)


def _fits(audio: bytes, wave: Waveform, settings: Settings) -> bool:
    """Whether a lossless file holds just these samples, and a lossy one no more than the wanted bitrate."""
    if not PAYLOADS[settings.audio_format].lossy:
        # The samples were decoded from the very frames of `audio`: it holds them all if it counts as many.
        return frames.flac_total_samples(audio) == len(wave.samples)
    seconds = len(wave.samples) / wave.sample_rate
    return len(audio) * 8 <= settings.bitrate * 1000 * seconds * _BITRATE_SLACK


def decode_payload(payload: Payload) -> tuple[NDArray[np.int16], int]:
    """The samples, shape (num_samples,) or (num_samples, num_channels), and the rate of a payload."""
    form = formats.by_mime_type(payload.mime_type)
    if form is not None and not form.sndfile:
        decoded = libav.decode(io.BytesIO(payload.content), form, max_seconds=24 * 3600.0)
        if decoded is None or decoded.samples.dtype != np.float32:
            raise PayloadError(f"the payload is no {payload.mime_type}")
        return to_int16(decoded.samples[:, 0].astype(np.float32, copy=False)), decoded.sample_rate
    samples, sample_rate = soundfile.read(io.BytesIO(payload.content), dtype="int16")
    return samples, int(sample_rate)


def verify(payload: Payload, samples: NDArray[np.int16], settings: Settings) -> None:
    """Decodes a payload and compares it with what it was made from.

    Lossless payloads must hold the very samples; lossy ones their length (with
    the codec's padding) and level.

    Raises:
      PayloadError: they differ.
    """
    decoded = verify_length(payload, len(samples), settings)
    if not PAYLOADS[settings.audio_format].lossy:
        if not np.array_equal(decoded, samples):
            raise PayloadError("the payload does not decode to the samples it was made from")
        return
    level = _level(decoded)
    lowest, highest = _level_kept(samples) - LOSSY_LEVEL_DB, _level(samples) + LOSSY_LEVEL_DB
    if not lowest <= level <= highest:
        raise PayloadError(f"the payload is {level - _level(samples):+.1f} dB louder than the clip")


def verify_length(payload: Payload, num_samples: int, settings: Settings) -> NDArray[np.int16]:
    """Decodes a payload and compares its rate, channels and length.

    Returns:
      The decoded samples, int16, shape (num_samples,).

    Raises:
      PayloadError: they differ by more than a lossy codec's padding.
    """
    decoded, sample_rate = decode_payload(payload)
    if sample_rate != settings.sample_rate or decoded.ndim != 1:
        raise PayloadError(f"the payload has {sample_rate} Hz and shape {decoded.shape}")
    longer = (len(decoded) - num_samples) / sample_rate
    if not -0.001 <= longer <= (LOSSY_PADDING_SECONDS if PAYLOADS[settings.audio_format].lossy else 0):
        raise PayloadError(f"the payload is {longer:+.3f} s longer than the clip")
    return decoded


def _level_kept(samples: NDArray[np.int16]) -> float:
    """Energy in dB of the frequencies that every lossy codec keeps; a clip may hold nothing else but a whistle."""
    spectrum = np.abs(np.fft.rfft(samples)[: int(LOSSY_BANDWIDTH * len(samples))])
    return float(10 * np.log10(2 * (spectrum[1:] @ spectrum[1:]) / len(samples) + 1))


def _level(samples: NDArray[np.int16]) -> float:
    """Energy in dB. Padding is silent, so it adds nothing."""
    wide = samples.astype(np.float64)
    return float(10 * np.log10(wide @ wide + 1))
