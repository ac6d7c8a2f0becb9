"""What a container declares of one audio track. The container's duration is that of its longest track, maybe a film."""

from __future__ import annotations

import re
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream

from transforms.audio.format import Format

# As writers of Matroska state where a track ends: hours, minutes, seconds.
_END = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)\s*")


def declared_seconds(container: InputContainer, audio: AudioStream, form: Format) -> float | None:
    """The track's own duration in seconds, pauses included; None if the file does not tell."""
    if form.tracks_declare and audio.duration is not None and audio.time_base is not None:
        return float(audio.duration * audio.time_base)
    if (end := _END.fullmatch(audio.metadata.get("DURATION", ""))) is not None:
        hours, minutes, seconds = end.groups()
        start = float((audio.start_time or 0) * (audio.time_base or 0)) - (container.start_time or 0) / av.time_base
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds) - max(0.0, start)
    if container.duration is None or not is_alone(container, audio):
        return None
    return container.duration / av.time_base


def is_alone(container: InputContainer, audio: AudioStream) -> bool:
    """Whether no other track could be longer. A picture of the cover is none."""
    return not any(
        other is not audio and other.type in ("audio", "video") and not _is_picture(other)
        for other in container.streams
    )


class Reach:
    """How far the packets of all tracks reach: a film that is there to its end has its sound, however short that is.

    Args:
      container: of which all tracks are read.
    """

    def __init__(self, container: InputContainer) -> None:
        self._start = (container.start_time or 0) / av.time_base
        self._declared = (container.duration or 0) / av.time_base
        self._end = 0.0

    def note(self, packet: Packet[Any]) -> None:
        """Takes a packet of any track."""
        time = packet.pts if packet.dts is None else packet.dts
        if time is not None and packet.time_base is not None:
            self._end = max(self._end, float((time + (packet.duration or 0)) * packet.time_base))

    @property
    def missing_seconds(self) -> float:
        """What is missing of the declared duration."""
        return self._start + self._declared - self._end


def _is_picture(stream: Stream) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)
