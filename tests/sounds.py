"""Sounds whose truth is known, in every format that people have: made here, by encoders that are not under test."""

from __future__ import annotations

import io
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import soundfile
from numpy.typing import NDArray


@dataclass(frozen=True)
class Format:
    """A format, and how far from the truth it may be.

    Attributes:
      name: of the format.
      extension: what people call such files.
      rate: of the source, in Hz.
      ffmpeg: encoder options; () for libsndfile.
      sndfile: format and subtype of libsndfile.
      channels: of the source.
      gain_db: largest deviation of the level of a tone.
      alias_db: what may come through of a tone above 8 kHz, below the tone (codecs add noise of their own).
      seconds: most that the length may differ (early, late).
      declares: whether a file that was cut can be told.
    """

    name: str
    extension: str
    rate: int = 48_000
    ffmpeg: tuple[str, ...] = ()
    sndfile: tuple[str, str] = ("", "")
    channels: int = 2
    gain_db: float = 0.1
    alias_db: float = -80
    seconds: tuple[float, float] = (0.0, 0.0)
    declares: bool = True


EXACT = (0.001, 0.001)
NEAR = (0.02, 0.02)
# AAC without an edit list keeps its encoder's delay and padding.
ADTS = (0.0, 0.07)
# A speech codec makes of a pure tone what it can: 6 dB.
OGG = (0.3, 0.3)
FORMATS = [
    Format("wav 16-bit", "wav", sndfile=("WAV", "PCM_16"), seconds=EXACT),
    Format("wav 24-bit", "wav", sndfile=("WAV", "PCM_24"), seconds=EXACT),
    Format("wav 32-bit float", "wav", sndfile=("WAV", "FLOAT"), seconds=EXACT),
    Format("wav 8-bit", "wav", 16_000, sndfile=("WAV", "PCM_U8"), seconds=EXACT),
    Format("wav A-law", "wav", 8_000, sndfile=("WAV", "ALAW"), gain_db=0.2, seconds=EXACT),
    Format("wav mu-law", "wav", 8_000, sndfile=("WAV", "ULAW"), seconds=EXACT),
    Format("wav IMA ADPCM", "wav", 44_100, ffmpeg=("-c:a", "adpcm_ima_wav", "-f", "wav"), alias_db=-50, seconds=EXACT),
    Format("wav MS ADPCM", "wav", 44_100, ffmpeg=("-c:a", "adpcm_ms", "-f", "wav"), alias_db=-50, seconds=EXACT),
    Format("wav extensible", "wav", sndfile=("WAVEX", "PCM_16"), seconds=EXACT),
    Format("rf64", "wav", sndfile=("RF64", "PCM_16"), seconds=EXACT),
    Format("w64", "w64", sndfile=("W64", "PCM_16"), seconds=EXACT),
    Format("aiff", "aiff", sndfile=("AIFF", "PCM_16"), seconds=EXACT),
    Format("au", "au", sndfile=("AU", "PCM_16"), seconds=EXACT),
    Format("caf", "caf", sndfile=("CAF", "PCM_16"), seconds=EXACT),
    Format("nist sphere", "sph", sndfile=("NIST", "PCM_16"), seconds=EXACT),
    Format("voc", "voc", 44_100, sndfile=("VOC", "PCM_16"), seconds=EXACT),
    Format("ircam", "sf", sndfile=("IRCAM", "PCM_16"), seconds=EXACT, declares=False),
    Format("avr", "avr", sndfile=("AVR", "PCM_16"), seconds=EXACT, declares=False),
    Format("paf", "paf", sndfile=("PAF", "PCM_16"), seconds=EXACT, declares=False),
    Format("pvf", "pvf", sndfile=("PVF", "PCM_16"), seconds=EXACT, declares=False),
    Format("svx", "iff", sndfile=("SVX", "PCM_16"), channels=1, seconds=EXACT, declares=False),
    Format("matlab 5", "mat", sndfile=("MAT5", "PCM_16"), seconds=EXACT, declares=False),
    Format("sds", "sds", 50_000, sndfile=("SDS", "PCM_16"), channels=1, seconds=EXACT, declares=False),
    Format("flac 16-bit", "flac", sndfile=("FLAC", "PCM_16"), seconds=EXACT),
    Format("flac 24-bit", "flac", sndfile=("FLAC", "PCM_24"), seconds=EXACT),
    Format("flac in ogg", "oga", ffmpeg=("-c:a", "flac", "-f", "ogg"), seconds=EXACT),
    Format("mp3", "mp3", 44_100, ffmpeg=("-c:a", "libmp3lame", "-q:a", "2", "-f", "mp3"), seconds=NEAR),
    Format("mp3 without a header", "mp3", 44_100, ("-c:a", "libmp3lame", "-q:a", "2", "-write_xing", "0", "-f", "mp3"),
           seconds=(0.0, 0.1), declares=False),
    Format("mp2", "mp2", ffmpeg=("-c:a", "mp2", "-f", "mp2"), seconds=(0.03, 0.03)),
    Format("ogg vorbis", "ogg", ffmpeg=("-c:a", "libvorbis", "-f", "ogg"), seconds=OGG),
    Format("ogg opus", "opus", ffmpeg=("-c:a", "libopus", "-f", "ogg"), seconds=NEAR),
    Format("webm opus", "webm", ffmpeg=("-c:a", "libopus", "-f", "webm"), seconds=NEAR),
    Format("m4a aac", "m4a", 44_100, ffmpeg=("-c:a", "aac", "-b:a", "128k", "-f", "ipod"), seconds=NEAR),
    Format("mp4 aac", "mp4", 44_100, ffmpeg=("-c:a", "aac", "-b:a", "128k", "-f", "mp4"), seconds=NEAR),
    Format("mp4 aac, fragmented", "mp4", 44_100, ("-c:a", "aac", "-movflags", "frag_keyframe+empty_moov", "-f", "mp4"),
           seconds=ADTS),
    Format("aac adts", "aac", 44_100, ffmpeg=("-c:a", "aac", "-b:a", "128k", "-f", "adts"), seconds=ADTS),
    Format("m4a alac", "m4a", 44_100, ffmpeg=("-c:a", "alac", "-f", "ipod"), seconds=EXACT),
    Format("caf alac", "caf", 44_100, ffmpeg=("-c:a", "alac", "-f", "caf"), seconds=EXACT),
    Format("mov pcm", "mov", 44_100, ffmpeg=("-c:a", "pcm_s16le", "-f", "mov"), seconds=EXACT),
    Format("matroska flac", "mka", ffmpeg=("-c:a", "flac", "-f", "matroska"), seconds=NEAR),
    Format("avi mp3", "avi", 44_100, ffmpeg=("-c:a", "libmp3lame", "-q:a", "2", "-f", "avi"), seconds=(0.03, 0.08)),
    Format("ac3", "ac3", ffmpeg=("-c:a", "ac3", "-f", "ac3"), seconds=(0.04, 0.04)),
    Format("eac3", "eac3", ffmpeg=("-c:a", "eac3", "-f", "eac3"), seconds=(0.04, 0.04)),
    Format("wma", "wma", 44_100, ffmpeg=("-c:a", "wmav2", "-f", "asf"), seconds=(0.0, 0.05)),
    Format("dts", "dts", ffmpeg=("-c:a", "dca", "-strict", "-2", "-f", "dts"), seconds=(0.02, 0.02), declares=False),
    Format("aac latm", "latm", 44_100, ffmpeg=("-c:a", "aac", "-f", "latm"), seconds=ADTS, declares=False),
    Format("real audio", "rm", 44_100, ffmpeg=("-c:a", "ac3", "-f", "rm"), seconds=(0.04, 0.04), declares=False),
    Format("flv mp3", "flv", 44_100, ffmpeg=("-c:a", "libmp3lame", "-q:a", "2", "-f", "flv"), seconds=(0.03, 0.08),
           declares=False),
    Format("mpeg-ps mp2", "mpg", ffmpeg=("-c:a", "mp2", "-f", "mpeg"), seconds=(0.04, 0.04), declares=False),
    Format("sox", "sox", 44_100, ffmpeg=("-f", "sox"), seconds=EXACT, declares=False),
    Format("wavpack", "wv", ffmpeg=("-c:a", "wavpack", "-f", "wv"), seconds=EXACT),
    Format("true audio", "tta", ffmpeg=("-c:a", "tta", "-f", "tta"), seconds=EXACT),
    Format("mpeg-ts aac", "ts", ffmpeg=("-c:a", "aac", "-f", "mpegts"), seconds=ADTS, declares=False),
    Format("amr", "amr", 8_000, ("-c:a", "libopencore_amrnb", "-b:a", "12.2k", "-f", "amr"), channels=1, gain_db=6,
           seconds=(0.0, 0.03)),
    Format("3gp amr", "3gp", 8_000, ("-c:a", "libopencore_amrnb", "-b:a", "12.2k", "-f", "3gp"), channels=1,
           gain_db=6, seconds=(0.0, 0.03)),
    Format("gsm", "gsm", 8_000, sndfile=("RAW", "GSM610"), channels=1, gain_db=6, seconds=EXACT, declares=False),
    Format("g722", "g722", 16_000, ffmpeg=("-c:a", "g722", "-f", "g722"), channels=1, seconds=EXACT, declares=False),
]  # fmt: skip

BY_NAME = {form.name: form for form in FORMATS}


def tone(frequency: float, rate: int, seconds: float = 2.0, peak: float = 0.5) -> NDArray[np.float64]:
    """A sine of `peak`, shape (num_samples,)."""
    wave: NDArray[np.float64] = peak * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)
    return wave


def encoded(samples: NDArray[np.float64], form: Format) -> bytes:
    """The samples, shape (num_samples,) or (num_samples, num_channels), as a file of the format."""
    samples = samples if samples.ndim == 2 else np.repeat(samples[:, None], form.channels, axis=1)
    stream = io.BytesIO()
    kind, subtype = form.sndfile if form.sndfile[0] else ("WAV", "PCM_24")
    with soundfile.SoundFile(stream, "w", form.rate, samples.shape[1], subtype, format=kind) as file:
        file.write(samples)
    return stream.getvalue() if form.sndfile[0] else run_ffmpeg(stream.getvalue(), *form.ffmpeg)


def run_ffmpeg(wav: bytes, *options: str) -> bytes:
    """What ffmpeg makes of a WAV; through files, for many containers go back to write their header."""
    with tempfile.TemporaryDirectory() as folder:
        source, sink = Path(folder, "in.wav"), Path(folder, "out")
        source.write_bytes(wav)
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-i", str(source), *options, str(sink)]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        return sink.read_bytes()


def level_db(samples: NDArray[np.floating], frequency: float, rate: int) -> float:
    """The level of one frequency in dB below full scale, from the middle of the samples, by a windowed projection."""
    middle = samples[len(samples) // 4 : 3 * len(samples) // 4]
    window = np.blackman(len(middle))
    turn = np.exp(-2j * np.pi * frequency * np.arange(len(middle)) / rate)
    return float(20 * np.log10(2 * abs(np.sum(middle * window * turn)) / window.sum() + 1e-12))
