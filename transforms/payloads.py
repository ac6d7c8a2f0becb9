"""Payloads, and their formats: one row a format, with all that encoding, verifying and passing through ask of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True)
class Payload:
    """Audio as it stands in an example.

    Attributes:
      content: a whole file.
      mime_type: as its row of `PAYLOADS` has it.
    """

    content: bytes
    mime_type: str

    @cached_property
    def sha256(self) -> str:
        """Of the content, hexadecimal: the name of its file, and in the ledger."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class Outline:
    """What can be told of a payload without decoding it.

    Attributes:
      format: name of its format.
      mime_types: that the tuning service may know its format by.
      seconds: that it lasts; None if nothing says so.
      fault: why there is no sound in it; "" for what has some.
      cut: what is missing of what it declares; "" if nothing is known to be.
    """

    format: str
    mime_types: tuple[str, ...]
    seconds: float | None
    fault: str = ""
    cut: str = ""


@dataclass(frozen=True, slots=True)
class PayloadFormat:
    """What a clip's audio can be encoded to.

    Attributes:
      name: as `audio_format` has it; a file's extension, and the name of its row in `transforms.audio.formats`.
      mime_type: its name on Vertex's list of audio types; Python's mimetypes gives others.
      passes: the `source_format` of recordings that may be passed through as they are.
      muxer: ffmpeg's name of the format; "" for the formats that libsndfile writes.
      codec: ffmpeg's options of the encoder.
      sndfile: libsndfile's options.
      gain: what samples are multiplied by before they are encoded.
    """

    name: str
    mime_type: str
    passes: str = ""
    muxer: str = ""
    codec: Mapping[str, str] = field(default_factory=dict)
    sndfile: Mapping[str, float] = field(default_factory=dict)
    gain: float = 1.0

    @property
    def lossy(self) -> bool:
        """Whether it has a bitrate, and gives back other samples than went in: ffmpeg writes these formats."""
        return bool(self.muxer)


_ROWS = (
    # libsndfile's 0.625 is FLAC level 5: lower levels are slower and larger.
    PayloadFormat("flac", "audio/flac", passes="flac/pcm_16", sndfile={"compression_level": 0.625}),
    PayloadFormat("wav", "audio/wav"),
    # libsndfile would save a tenth of the processor time, the rest being LAME's. But where frames are too small for a
    # header (at 16 kHz up to 32 kbit/s), it would leave 69 ms of the encoder's delay in the audio; and it knows no
    # lowest bitrate.
    # LAME lowers constant-bitrate audio to 95 % (−0.45 dB), against clipping in players. A clip keeps its level.
    PayloadFormat(
        "mp3",
        "audio/mp3",
        passes="mp3/mpeg_layer_iii",
        muxer="mp3",
        codec={"acodec": "libmp3lame", "id3v2_version": "0"},
        gain=1 / 0.95,
    ),
    PayloadFormat(
        "aac",
        "audio/x-aac",
        passes="aac/aac",
        muxer="adts",
        codec={"acodec": "aac", "aac_coder": "twoloop"},
    ),
)
PAYLOADS: Mapping[str, PayloadFormat] = {row.name: row for row in _ROWS}
