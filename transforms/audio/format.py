"""What there is to know of a format: the record whose rows `formats.py` has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from transforms.audio import chunks, lengths, plain, tags


@dataclass(frozen=True, slots=True)
class Format:
    """A container or stream that can be decoded.

    Attributes:
      name: as it stands in `source_format`; a variant keeps it.
      demuxer: ffmpeg's name of it. ffmpeg is given this one, so that it tries no other.
      extensions: lower case, of the files that a folder of pairs takes for audio.
      magic: beginnings that are enough by themselves, or together with `forms`.
      forms: what must stand at byte 8 besides; () for anything.
      begins: whether a file without a magic number begins like this format.
      headerless: whether its extension decides where no bytes do.
      variant: the row, or a variant of it that needs another decoder, by the whole file.
      sndfile: whether libsndfile reads it, in-process.
      seekable: whether libsndfile finds a segment exactly and reads little more than the segment.
      options: ffmpeg's further input options.
      start: where the audio begins; by default behind tags.
      delay: samples in front that are the decoder's delay, by codec and sample rate, where ffmpeg drops too many.
      end: where the file ends by its own headers or frames; None where they do not say.
      tags_behind: whether tags and filling at the end must be cut off, for decoders would take them for sound.
      stops: whether decoders go no further than `end`, whatever follows, so that only tags may follow.
      framed: whether it is frames that follow one another, so that `end` is exact. Writers of containers may count
        padding that they did not write.
      is_whole: whether its parts follow one another up to the end, and the last one is whole.
      links: where its streams begin that follow one another, to be decoded one by one; None where they cannot.
      is_chained: whether they do, told without reading the whole.
      again: how another file of the format begins, that may stand behind the first; None where its bytes are weak.
      joins: whether decoders go on with such a file, and give both.
      parts: where its parts begin, and at last its end.
      once: names of parts of which a file has one.
      plain: what of it is sound, for libsndfile; None where its chunks lead nowhere, which libsndfile follows for ever.
      unread: what its only sound is, and a remedy, if no decoder here reads it.
      claims: what the header says of the samples, where headers may be wrong.
      unpadded: samples a channel without the padding of a compressed file's last block; None where it does not say.
      exact_duration: whether the duration that ffmpeg finds is an index of what the file holds, not an estimate.
      tracks_declare: whether each track has a duration of its own, by its index.
      index_apart: whether only seeking needs its index, which says nothing of its length.
      gaps: whether its clock is that of the recording: where no packet is, there was silence.
      ends_by_duration: whether a track's duration ends within its last frame, and libav leaves that frame whole.
      exact_samples: whether the header counts samples, so that not one may be missing.
      lossless: ffmpeg's names of the lossless codecs that the format is for; no frame of these may fail to decode.
      mime_types: types that the tuning service may know it by.
      own_audio: the file without its tags, as a payload; None where it is not built as one.
      seconds: its length by its frames, where libsndfile cannot say, or says things to the terminal.
    """

    name: str
    demuxer: str
    extensions: tuple[str, ...] = ()
    magic: tuple[bytes, ...] = ()
    forms: tuple[bytes, ...] = ()
    begins: Callable[[bytes], bool] | None = None
    headerless: bool = False
    variant: Callable[[Format, bytes], Format] | None = None
    sndfile: bool = False
    seekable: bool = False
    options: tuple[tuple[str, str], ...] = ()
    start: Callable[[bytes], int] = tags.audio_start
    delay: Callable[[str, int], int] | None = None
    end: Callable[[bytes], int | None] | None = None
    framed: bool = False
    is_whole: Callable[[bytes], bool] | None = None
    links: Callable[[bytes], list[int]] | None = None
    is_chained: Callable[[BinaryIO], bool] | None = None
    stops: bool = False
    tags_behind: bool = False
    again: chunks.Again | None = None
    joins: bool = False
    parts: Callable[[bytes], Iterator[int]] | None = None
    once: tuple[bytes, ...] = ()
    plain: Callable[[chunks.Read, int], plain.Plain | None] | None = None
    unread: Callable[[bytes], tuple[str, str] | None] | None = None
    claims: Callable[[bytes], lengths.Claims] | None = None
    unpadded: Callable[[bytes], int | None] | None = None
    exact_duration: bool = False
    tracks_declare: bool = False
    index_apart: bool = False
    gaps: bool = False
    ends_by_duration: bool = False
    exact_samples: bool = False
    lossless: tuple[str, ...] = ()
    mime_types: tuple[str, ...] = ()
    own_audio: Callable[[bytes], bytes | None] | None = None
    seconds: Callable[[bytes], float | None] | None = None

    def begins_like(self, content: bytes) -> bool:
        """Whether the first bytes behind the tags are those of this format."""
        if content.startswith(self.magic) and (not self.forms or content[8:12] in self.forms):
            return True
        return self.begins is not None and self.begins(content)

    def shortfall(self, content: bytes) -> tuple[int, int] | None:
        """Bytes that the file declares and bytes that it has, if these are fewer."""
        declared = self.end(content) if self.end else None
        slack = 0 if self.framed else lengths.SLACK_BYTES
        return (declared, len(content)) if declared is not None and declared > len(content) + slack else None
