"""Where a file ends by its own headers and frames, and how many samples it claims."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from transforms.audio import chunks, frames, plain, tags
from transforms.audio.walk import steps

# Padding that some writers of containers count and do not write.
SLACK_BYTES = 16
_BLOCK_BYTES = 1 << 20
_FACT_BYTES = 4
_ASF_PROPERTIES = b"\xa1\xdc\xab\x8c\x47\xa9\xcf\x11\x8e\xe4\x00\xc0\x0c\x20\x53\x65"
_MATROSKA_SEGMENT = b"\x18\x53\x80\x67"
_MATROSKA_CLUSTER = b"\x1f\x43\xb6\x75"
# That stand at the top of MP4 and QuickTime files.
_MP4_BOXES = set(
    b"ftyp styp moov moof mdat free skip wide uuid udta meta meco sidx ssix mfra prft emsg pdin pnot PICT junk".split()
)
_AC3_KBPS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
# Zeros, in the byte in front of an AMR frame.
_AMR_PADDING_BITS = 0x83
# Bytes of an AMR frame, its header byte included, by frame type (3GPP TS 26.101, 26.201).
_AMR_BYTES = {
    b"#!AMR\n": (13, 14, 16, 18, 20, 21, 27, 32, 6, 0, 0, 0, 0, 0, 0, 1),
    b"#!AMR-WB\n": (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 0, 0, 0, 0, 1, 1),
}


@dataclass(frozen=True, slots=True)
class Claims:
    """What a header says of the samples behind it.

    Attributes:
      missing: frames declared and frames held, of a file that was cut; None for others.
      right: whether the header is right, so that libsndfile, which believes it, reads every sample.
      mended: the file with a header that is right, where it can be mended.
    """

    missing: tuple[int, int] | None
    right: bool
    mended: bytes | None = None


def wav_fact(content: bytes) -> int | None:
    """Samples a channel that a compressed WAV declares. Its last block may be padded."""
    found = plain.wav(chunks.in_memory(content), len(content))
    if found is None or len(found.fact) < _FACT_BYTES:
        return None
    return int.from_bytes(found.fact[:_FACT_BYTES], "big" if found.magic == b"RIFX" else "little")


def mp3_claims(content: bytes) -> Claims:
    """The claims of an MP3. Of several streams, libsndfile reads the first only."""
    layout = frames.mp3_layout(content)
    claimed, held = layout.claimed_frames, layout.audio_frames
    # Some writers of VBRI count the frame of the header.
    least = None if claimed is None else claimed - layout.vbri
    missing = (claimed, held) if claimed is not None and least is not None and layout.cut and held < least else None
    # libsndfile does not read VBRI, guesses the length and ends there; of sizes that are wrong it prints a complaint.
    believed = layout.tagged and not layout.vbri and layout.sized and claimed == held
    right = layout.one_stream and believed
    return Claims(missing, right, None if right or missing else frames.mp3_mended(content, layout))


def _known(size: int) -> bool:
    return 0 < size < chunks.STREAMED_FROM


def _chunk_end(kind: chunks.Chunked, name: bytes, content: bytes, unknown_from: int) -> int | None:
    """The end of the first chunk of a name, unless its size stands for an unknown one."""
    found = (chunk for chunk in kind.chunks(chunks.in_memory(content)) if chunk.name == name)
    return next((chunk.start + chunk.size for chunk in found if 0 < chunk.size < unknown_from), None)


def wav_end(content: bytes) -> int | None:
    """The end of the data chunk, or what the ds64 chunk of an RF64 file says of it."""
    found = plain.wav(chunks.in_memory(content), len(content))
    return found.end if found is not None and found.sized else None


def avi_end(content: bytes) -> int | None:
    """The end of the RIFF chunk that is the file."""
    (size,) = struct.unpack_from("<I", content, 4)
    return 8 + size if _known(size) else None


def aiff_end(content: bytes) -> int | None:
    """The end of the sound data chunk."""
    return _chunk_end(chunks.RIFX, b"SSND", content, chunks.STREAMED_FROM)


def caf_end(content: bytes) -> int | None:
    """The end of the data chunk."""
    return _chunk_end(chunks.CAF, b"data", content, chunks.UNKNOWN_FROM)


def w64_end(content: bytes) -> int | None:
    """The end of the data chunk."""
    return _chunk_end(chunks.W64, chunks.W64_DATA, content, chunks.UNKNOWN_FROM)


def au_end(content: bytes) -> int | None:
    """The end of the data that the header announces."""
    if len(content) < 12:
        return None
    start, size = struct.unpack_from(">II", content, 4)
    return start + size if _known(size) else None


def nist_end(content: bytes) -> int | None:
    """The end of the samples that the header counts."""
    header = content[:16].split()
    fields = dict(re.findall(rb"^(\w+) -i (\d+)", content[:4096], re.MULTILINE))
    try:
        samples, channels, width = (
            int(fields[name]) for name in (b"sample_count", b"channel_count", b"sample_n_bytes")
        )
        return int(header[1]) + samples * channels * width
    except (KeyError, IndexError, ValueError):
        return None


def voc_end(content: bytes) -> int | None:
    """The end of the byte that says that no block follows."""
    if len(content) < 26:
        return None
    at = int.from_bytes(content[20:22], "little")
    for _ in steps():
        if at + 4 > len(content) or content[at] == 0:
            break
        at += 4 + int.from_bytes(content[at + 1 : at + 4], "little")
    return at + 1


def mp4_end(content: bytes) -> int | None:
    """The end of the last top-level box (ISO 14496-12)."""
    end = 0
    for box in chunks.mp4_boxes(content):
        end = box.start + box.size
        if box.size < 0 or (box.name not in _MP4_BOXES and end > len(content)):
            return None  # up to the file's end; others are tags and trailers behind the boxes
    return end


def matroska_end(content: bytes) -> int | None:
    """The end of the segment."""
    at = content.find(_MATROSKA_SEGMENT, 0, 1 << 12)
    _, start, size = (_ebml_element(content, at) if at >= 0 else None) or (b"", 0, None)
    return None if size is None else start + size


def matroska_is_whole(content: bytes) -> bool:
    """Whether elements follow one another to the end, none cut and nothing else between them."""
    at, end = 0, tags.audio_end(content)
    for _ in steps():
        if at >= end:
            break
        element = _ebml_element(content, at)
        if element is None:
            return tags.is_filling(content, at, end)
        name, start, size = element
        # What is within a segment and its clusters follows their heads, whatever sizes these state.
        within = name in (_MATROSKA_SEGMENT, _MATROSKA_CLUSTER)
        if size is None and not within:
            return False
        at = start if within else start + (size or 0)
    return at == end


def _ebml_element(content: bytes, at: int) -> tuple[bytes, int, int | None] | None:
    """Name, start and size of the contents of an element (RFC 8794); no size for an unknown one, None for none."""
    id_bytes, size_bytes = 9 - content[at].bit_length(), 0
    if id_bytes <= 4 and at + id_bytes < len(content):
        size_bytes = 9 - content[at + id_bytes].bit_length()
    if not 0 < size_bytes <= 8:
        return None
    start, unknown = at + id_bytes + size_bytes, (1 << 7 * size_bytes) - 1
    size = int.from_bytes(content[at + id_bytes : start], "big") & unknown
    return content[at : at + id_bytes], start, None if size == unknown else size


def asf_end(content: bytes) -> int | None:
    """The size that the file properties state."""
    at = content.find(_ASF_PROPERTIES, 0, 1 << 16)
    if at < 0 or len(content) < at + 92:
        return None
    (size,) = struct.unpack_from("<Q", content, at + 40)
    broadcast = content[at + 88] & 1  # then the size is not valid
    return None if broadcast or not size else int(size)


def wavpack_end(content: bytes) -> int:
    """The end of the last block."""
    at = 0
    for _ in steps():
        if content[at : at + 4] != b"wvpk" or at + 8 > len(content):
            break
        at += 8 + int.from_bytes(content[at + 4 : at + 8], "little")
    return at


def mpeg_end(content: bytes) -> int | None:
    """The end of the last frame; None where a header claims a length, which `mp3_claims` judges."""
    return None if frames.mpeg_is_tagged(content) else frames.mp3_layout(content).end


def ac3_end(content: bytes) -> int:
    """The end of the last AC-3 or E-AC-3 frame (ETSI TS 102 366)."""
    at = 0
    for _ in steps():
        if content[at : at + 2] != b"\x0b\x77" or at + 6 > len(content):
            break
        at += ac3_frame_bytes(content[at : at + 6]) or len(content)
    return at


def ac3_frame_bytes(head: bytes) -> int:
    """The length of the frame that these 6 bytes begin; 0 for none."""
    if head[5] >> 3 > 10:
        return 2 * (((head[2] & 7) << 8 | head[3]) + 1)
    rate, code = head[4] >> 6, head[4] & 63
    if rate == 3 or code >> 1 >= len(_AC3_KBPS):
        return 0
    kbps = _AC3_KBPS[code >> 1]
    return (4 * kbps, 2 * (320 * kbps // 147 + (code & 1)), 6 * kbps)[rate]


def amr_end(content: bytes) -> int | None:
    """The end of the last frame of AMR or AMR-WB."""
    for magic, sizes in _AMR_BYTES.items():
        if content.startswith(magic):
            at = len(magic)
            filled = _filled(content)
            for _ in steps():
                size = 0 if at >= filled or content[at] & _AMR_PADDING_BITS else sizes[content[at] >> 3 & 15]
                if not size:
                    break
                at += size
            return at
    return None


def _filled(content: bytes) -> int:
    """Where the zeros begin at the end of a file."""
    for end in range(len(content), 0, -_BLOCK_BYTES):
        start = max(0, end - _BLOCK_BYTES)
        if kept := content[start:end].rstrip(b"\0"):
            return start + len(kept)
    return 0
