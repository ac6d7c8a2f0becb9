"""Decoding in-process with libav: what libsndfile does not read. Nothing is opened but the stream that is given."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO, TypeVar, cast

import av
import numpy as np
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.plane import AudioPlane
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard
from numpy.typing import NDArray

from transforms import reasons
from transforms.audio import formats, tracks
from transforms.audio.format import Format
from transforms.audio.streams import Remembering
from transforms.audio.waveform import MAX_DECODED_BYTES, Samples, check_stream, too_large
from transforms.errors import ClipRejected
from transforms.workers import shortage

# Audio tracks that are searched for one with sound.
MAX_TRACKS = 4
# If more of a track's packets do not decode, it is damaged, whatever its codec. The ffmpeg program has the same limit.
MAX_ERROR_RATE = 2 / 3
# Packets that give no sound: of minutes, a track has some ten thousand in all.
MAX_FRUITLESS_PACKETS = 1 << 17
# Clocks are rounded to milliseconds, and frames are seldom shorter; a longer time without any packet is a pause.
_MIN_GAP_SECONDS = 0.05
# Containers count the duration of the last frame of a film or leave it out.
MAX_MISSING_SECONDS = 1.0
# What is read from the stream at a time.
BUFFER_BYTES = 1 << 16
_SILENT_PEAK = 1e-3  # −60 dBFS
_GENERATE_PTS = 1  # AVFMT_FLAG_GENPTS


@dataclass(frozen=True, slots=True)
class Decoded:
    """What came out of libav, in-process or in the ffmpeg program.

    Attributes:
      samples: float32 or int16, shape (num_samples, num_channels).
      sample_rate: Hz, of the source.
      codec: ffmpeg's name of it.
      declared_seconds: the duration that the file claims of this track; None if it claims none.
      broken: whether the file's end or its index is missing.
      damaged: whether a lossless frame did not decode (lossy decoders conceal, and complain of junk between frames).
    """

    samples: Samples
    sample_rate: int
    codec: str
    declared_seconds: float | None
    broken: bool
    damaged: bool


_Some = TypeVar("_Some", bound=Decoded)


class _OtherDecoderError(Exception):
    """Only the ffmpeg program can decode this."""


def decode(stream: BinaryIO, form: Format, max_seconds: float, start_seconds: float = 0.0) -> Decoded | None:
    """Decodes at most `max_seconds` of the first audio track that has sound, at its own rate and channels.

    libav is given bytes and an explicit demuxer, never a name. It may use no protocol, and finds every other file
    that a container names to be empty.

    Args:
      stream: seekable, at any position.
      form: what it is.
      max_seconds: the longest output.
      start_seconds: where to begin, found by the container's index where it has one.

    Returns:
      None for what the ffmpeg program alone decodes: a stream whose rate, channels or sample format change on the
      way, and codecs that are missing here.

    Raises:
      ClipRejected: DECODE_FAILED; BAD_SAMPLE_RATE; or FILE_TOO_LARGE for more output than fits in memory.
    """
    with contextlib.suppress(_OtherDecoderError):
        return first_with_sound(lambda track: _decode_track(stream, form, max_seconds, start_seconds, track))
    return None


def declared_seconds(stream: BinaryIO, form: Format) -> float | None:
    """What a file declares of the length of its first audio track, of which it has at least one packet.

    Returns:
      Seconds; None if it does not tell.

    Raises:
      ClipRejected: UNSUPPORTED_FORMAT for a film without sound, DECODE_FAILED for no track or packet.
    """
    with _opened(stream, form) as container:
        with contextlib.suppress(_OtherDecoderError):  # it need not be decoded
            _chosen(container, 0, form)
        audio = container.streams.audio[0]
        _discard_others(container, audio)
        seconds = tracks.declared_seconds(container, audio, form)
        if next(_packets(container, audio, None)) is None:
            raise ClipRejected(reasons.DECODE_FAILED, f"the {form.name} file has no audio in its track")
        return seconds or None


def first_with_sound(decode_track: Callable[[int], tuple[_Some, int]]) -> _Some:
    """The first track with sound, of at most `MAX_TRACKS`.

    Args:
      decode_track: gives a track by its number, and how many there are.
    """
    decoded, tracks = decode_track(0)
    for track in range(1, min(tracks, MAX_TRACKS)):
        full_scale = 32_768 if decoded.samples.dtype == np.int16 else 1
        if np.abs(decoded.samples / np.float32(full_scale)).max(initial=0.0) >= _SILENT_PEAK:
            break
        decoded, _ = decode_track(track)
    return decoded


def _decode_track(
    stream: BinaryIO, form: Format, max_seconds: float, start_seconds: float, track: int
) -> tuple[Decoded, int]:
    """One audio track, and how many the file has."""
    delay = form.delay if not start_seconds else None
    with _opened(stream, form, seeks=start_seconds > 0) as container:
        audio = _chosen(container, track, form)
        audio.codec_context.options = dict(form.options) | ({} if delay is None else {"flags2": "+skip_manual"})
        start = _sought(container, start_seconds) if start_seconds else None
        joined = _Joined(form, max_seconds, start, audio.time_base or Fraction())
        declared = tracks.declared_seconds(container, audio, form)
        # Where the file has other tracks, and does not tell how long this one is, they tell whether it is whole.
        reach = tracks.Reach(container) if declared is None and form.exact_duration else None
        _discard_others(container, None if reach else audio)
        broken, errors = _join(joined, container, audio, form, reach)
        if form.ends_by_duration and audio.duration and not joined.full:
            joined.end_at((audio.start_time or 0) + audio.duration)
        codec = audio.codec_context.codec.canonical_name
        decoded = Decoded(
            samples=joined.samples()[delay(codec, joined.sample_rate) if delay else 0 :],
            sample_rate=joined.sample_rate,
            codec=codec,
            declared_seconds=declared,
            broken=broken,
            damaged=errors > 0 and codec in formats.lossless_codecs(),
        )
        return decoded, len(container.streams.audio)


@contextlib.contextmanager
def _opened(stream: BinaryIO, form: Format, *, seeks: bool = False) -> Iterator[InputContainer]:
    """The stream as a container. Only who seeks has an index read: one out of order takes the square of its length."""
    source = Remembering(stream)
    index = {"fflags": "+ignidx"} if form.index_apart and not seeks else {}
    try:
        with av.open(
            source,
            "r",
            format=form.demuxer,
            options=dict(form.options) | index | {"protocol_whitelist": ""},
            metadata_errors="replace",
            buffer_size=BUFFER_BYTES,
            io_open=_nothing,
        ) as container:
            container.flags &= ~_GENERATE_PTS  # PyAV sets it, and packets would be read ahead for it
            yield container
    except av.FFmpegError as fault:
        _note_shortage(fault)
        raise _undecodable(form) from None
    finally:
        source.raise_fault()


def _note_shortage(fault: av.FFmpegError) -> None:
    if isinstance(fault, MemoryError):
        shortage.note()


def _nothing(*_: object) -> BinaryIO:
    """What stands in place of other files. An exception instead would be printed if there were two of them."""
    return io.BytesIO()


def _undecodable(form: Format) -> ClipRejected:
    return ClipRejected(reasons.DECODE_FAILED, f"the {form.name} contents are invalid: no audio decoded")


def _soundless(form: Format) -> ClipRejected:
    detail = f"a film without sound: the {form.name} file has no audio stream (unsupported); name that with the sound"
    return ClipRejected(reasons.UNSUPPORTED_FORMAT, detail)


def _chosen(container: InputContainer, track: int, form: Format) -> AudioStream:
    """An audio track."""
    tracks = container.streams.audio
    if track >= len(tracks):
        raise _soundless(form) if container.streams.video else _undecodable(form)
    audio = tracks[track]
    if audio.codec_context is None:
        raise _OtherDecoderError
    audio.codec_context.thread_count = 1
    return audio


def _discard_others(container: InputContainer, audio: AudioStream | None) -> None:
    """Has the tracks beside this one left out, if one is given."""
    for other in container.streams if audio is not None else ():
        if other is not audio:
            other.discard = Discard.all


def _sought(container: InputContainer, start_seconds: float) -> float:
    """Seeks to seconds from the recording's start on, and gives them by the container's clock."""
    start = start_seconds + (container.start_time or 0) / av.time_base
    # What cannot be sought, or is no 64-bit number, is read from its beginning.
    with contextlib.suppress(av.FFmpegError, OverflowError):
        container.seek(round(start * av.time_base))
    return start


def _join(
    joined: _Joined, container: InputContainer, audio: AudioStream, form: Format, reach: tracks.Reach | None
) -> tuple[bool, int]:
    """Decodes as much as is wanted, and gives whether the file ends within a packet and how many did not decode."""
    context, errors, good, fruitless = audio.codec_context, 0, 0, 0
    cut = before = False
    lossless = context.codec.canonical_name in formats.lossless_codecs()
    for packet in _packets(container, audio, reach):
        if packet is not None:
            cut, before = packet.is_corrupt, cut
        try:
            frames = context.decode(packet)
        except av.FFmpegError as fault:
            _note_shortage(fault)
            errors += 1
            joined.lost()
            frames = []
        if not frames:
            fruitless += 1
            if fruitless > MAX_FRUITLESS_PACKETS:
                raise _undecodable(form)
            continue
        if lossless and len(frames) > 1 and packet is not None:
            raise _OtherDecoderError  # behind a frame, PyAV is silent about one that does not decode
        good += len(frames)
        for frame in frames:
            joined.add(frame)
        if joined.full:
            break
    if errors > MAX_ERROR_RATE * (errors + good) or not context.sample_rate:
        raise _undecodable(form)
    joined.begin(context.sample_rate, context.layout.nb_channels)
    # Where a format declares its end, the bytes have been compared with it. Of unknown ends libav thinks they are cuts.
    # What a parser is left with at the end has no mark, but the packet before it does.
    cut = (cut or before) and form.end is None
    short = reach is not None and reach.missing_seconds > MAX_MISSING_SECONDS
    return (cut or short) and not joined.full, errors


def _packets(
    container: InputContainer, audio: AudioStream, reach: tracks.Reach | None
) -> Iterator[Packet[AudioStream] | None]:
    """The track's packets; at last None, for which the decoder gives what it still holds."""
    # A damaged file may end with any error; and PyAV has no place for tracks that appear on the way (IndexError).
    with contextlib.suppress(av.FFmpegError, IndexError):
        for packet in container.demux(audio) if reach is None else container.demux():
            if reach is not None and packet.size:
                reach.note(packet)
            if packet.size and packet.stream_index == audio.index:  # not PyAV's mark of the end
                yield cast("Packet[AudioStream]", packet)
    yield None


class _Joined:
    """Frames of one rate, sample format and number of channels, in libav's own memory until all are there.

    Attributes:
      sample_rate: Hz; 0 before the first frame.
      full: whether there is as much as is wanted.
    """

    def __init__(self, form: Format, max_seconds: float, start: float | None, tick: Fraction) -> None:
        self.sample_rate = 0
        self.full = False
        self._form = form
        self._max_seconds = max_seconds
        self._start = start
        self._tick = tick
        self._channels = self._wanted = self._front = self._late = 0
        self._lost = False
        self._tick_samples = 0.0
        self._end: int | None = None
        self._fifo = AudioFifo()
        self._last: AudioFrame | None = None

    def begin(self, sample_rate: int, channels: int) -> None:
        """Takes the first frame's parameters, and the decoder's where there is no frame."""
        if not self.sample_rate:
            check_stream(sample_rate, channels)
            self.sample_rate, self._channels = sample_rate, channels
            self._wanted = round(self._max_seconds * sample_rate)
            self._tick_samples = float(self._tick * sample_rate)

    def add(self, frame: AudioFrame) -> None:
        """Takes the next frame.

        Raises:
          _OtherDecoderError: it is unlike the others.
          ClipRejected: as `check_stream`, or there are too many.
        """
        channels = frame.layout.nb_channels
        self.begin(frame.sample_rate, channels)
        if channels != self._channels:  # of which `AudioFifo` takes no notice
            raise _OtherDecoderError
        if self._start is not None and self._is_before(frame, self._start):
            return
        if self._last is None:
            frame.time_base = Fraction()  # else `AudioFifo` refuses what has gaps in time
        if pause := self._pause(frame):
            self._write(_silence(frame, pause))
        self._last, self._lost = frame, False
        self._write(frame)
        held = self._fifo.samples - self._front
        self.full = held >= self._wanted
        if held * channels * frame.format.bytes > MAX_DECODED_BYTES:
            raise too_large(self._form.name)

    def lost(self) -> None:
        """Notes that a packet did not decode: the time up to the next frame is no pause."""
        self._lost = True

    def _write(self, frame: AudioFrame) -> None:
        try:
            self._fifo.write(frame)
        except ValueError:
            raise _OtherDecoderError from None

    def _pause(self, frame: AudioFrame) -> int:
        """Samples of silence in front of a frame, as many as are wanted."""
        if not self._form.gaps or self._lost or frame.pts is None:
            return 0
        least = _MIN_GAP_SECONDS * self.sample_rate
        if self._last is None or self._last.pts is None:
            pause = self._late
        else:
            ticks = frame.pts - self._last.pts
            if ticks * self._tick_samples - self._last.samples < least - 1:
                return 0  # nearly every frame, for which exact fractions are slow
            pause = round(ticks * self._tick * self.sample_rate) - self._last.samples
        wanted = self._wanted + self._front - self._fifo.samples
        return min(pause, wanted) if pause > least else 0

    def _is_before(self, frame: AudioFrame, start: float) -> bool:
        """Whether nothing of a frame is wanted. Of the first that is, the part in front is noted."""
        start_sample = round(start * self.sample_rate)
        tick = self._tick * self.sample_rate
        at = start_sample if self._end is None else self._end
        # Coarse clocks jitter within a tick, samples do not.
        if frame.pts is not None and (self._end is None or abs(frame.pts * tick - at) > tick):
            at = round(frame.pts * tick)
        self._end = at + frame.samples
        if self._end <= start_sample:
            return True
        self._front, self._late, self._start = max(0, start_sample - at), max(0, at - start_sample), None
        return False

    def end_at(self, end: int) -> None:
        """Leaves out what of the last frame lies behind a time, in ticks of the container's clock."""
        last = self._last
        if last is not None and last.pts is not None:
            behind = round((last.pts - end) * self._tick * self.sample_rate) + last.samples
            if 0 < behind < last.samples:
                self._wanted = self._fifo.samples - self._front - behind

    def samples(self) -> Samples:
        """All that is wanted, shape (num_samples, num_channels)."""
        frame = self._fifo.read()
        if frame is None:
            return np.zeros((0, self._channels), np.float32)
        planar, dtype = frame.format.is_planar, _DTYPES.get(frame.format.name.removesuffix("p"))
        if dtype is None:
            raise _OtherDecoderError
        # `frame.planes` counts too many where there are eight channels.
        planes = [AudioPlane(frame, index) for index in range(self._channels if planar else 1)]
        values = [
            np.frombuffer(memoryview(plane), dtype, frame.samples * self._channels // len(planes)) for plane in planes
        ]
        whole = np.stack(values).T if len(values) > 1 else values[0].reshape(-1, self._channels)
        return _scaled(whole[self._front : self._front + self._wanted])


def _silence(like: AudioFrame, num_samples: int) -> AudioFrame:
    """A frame of silence; unsigned samples are silent in their middle."""
    frame = AudioFrame(like.format.name, like.layout, num_samples)
    for plane in frame.planes:
        plane.update(bytes([128 if like.format.name.startswith("u8") else 0]) * plane.buffer_size)
    frame.sample_rate, frame.time_base = like.sample_rate, like.time_base or Fraction()
    return frame


_DTYPES: dict[str, type[np.generic]] = {
    "u8": np.uint8,
    "s16": np.int16,
    "s32": np.int32,
    "flt": np.float32,
    "dbl": np.float64,
}


def _scaled(values: NDArray[np.generic]) -> Samples:
    """Samples as they came, as int16 where they have no more bits, else as float32 with full scale 1."""
    if values.dtype == np.uint8:
        return (values.astype(np.int16) - 128) * 256
    if values.dtype == np.int16:
        return values.astype(np.int16, copy=False)
    samples = values.astype(np.float32, copy=False)
    return samples * np.float32(2.0**-31) if values.dtype == np.int32 else samples
