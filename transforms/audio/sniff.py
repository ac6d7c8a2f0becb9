"""What a file is, told from its bytes and never from its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from transforms import reasons
from transforms.audio import frames
from transforms.errors import ClipRejected


@dataclass(frozen=True, slots=True)
class Kind:
    """A container that can be decoded.

    Attributes:
      name: as it appears in `source_format`.
      demuxer: ffmpeg's name of it, given explicitly so that nothing else is tried.
      sndfile: whether libsndfile reads it in-process.
      options: ffmpeg's further input options.
    """

    name: str
    demuxer: str
    sndfile: bool = False
    options: tuple[tuple[str, str], ...] = ()


WAV = Kind("wav", "wav", sndfile=True)
FLAC = Kind("flac", "flac", sndfile=True)
OGG = Kind("ogg", "ogg", sndfile=True)
OGG_OTHER = Kind("ogg", "ogg")
# ALAC's last frame knows its length; ffmpeg's demuxer would have it shortened a second time.
CAF_ALAC = Kind("caf", "caf", options=(("flags2", "+skip_manual"),))
# libsndfile cannot read FLAC to its end without knowing where that is.
FLAC_UNKNOWN_LENGTH = Kind("flac", "flac", options=(("err_detect", "crccheck+explode"),))
MP3 = Kind("mp3", "mp3", sndfile=True)
MP3_BEHIND_JUNK = Kind("mp3", "mp3")
MP2 = Kind("mp2", "mp3")
MP4 = Kind("mp4", "mov")
AAC = Kind("aac", "aac")
LOAS = Kind("latm", "loas")
AC3 = Kind("ac3", "ac3")
GSM = Kind("gsm", "gsm")
G722 = Kind("g722", "g722")
MPEG_TS = Kind("mpegts", "mpegts")

# Beginnings that are enough by themselves, longest first where they overlap.
MAGIC: tuple[tuple[bytes, Kind], ...] = (
    (b"fLaC", FLAC),
    (b".snd", Kind("au", "au", sndfile=True)),
    (b"caff", Kind("caf", "caf", sndfile=True)),
    (b"riff\x2e\x91\xcf\x11", Kind("w64", "w64", sndfile=True)),
    (b"NIST_1A", Kind("nist", "nistsphere", sndfile=True)),
    # libsndfile takes the headers between a VOC file's blocks for samples.
    (b"Creative Voice File", Kind("voc", "voc")),
    (b"\x64\xa3", Kind("ircam", "ircam", sndfile=True)),
    (b"\x00\x01\xa3\x64", Kind("ircam", "ircam", sndfile=True)),
    (b"\x00\x02\xa3\x64", Kind("ircam", "ircam", sndfile=True)),
    (b"2BIT", Kind("avr", "avr", sndfile=True)),
    (b" paf", Kind("paf", "epaf", sndfile=True)),
    (b"fap ", Kind("paf", "epaf", sndfile=True)),
    (b"PVF1\n", Kind("pvf", "pvf", sndfile=True)),
    (b"MATLAB 5.0 MAT-file", Kind("mat5", "wav", sndfile=True)),
    (b"\xf0\x7e", Kind("sds", "sds", sndfile=True)),
    (b"ALawSoundFile**", Kind("wve", "wv", sndfile=True)),
    (b".SoX", Kind("sox", "sox")),
    (b"XoS.", Kind("sox", "sox")),
    (b"\x7f\xfe\x80\x01", Kind("dts", "dts")),
    (b"\x1aE\xdf\xa3", Kind("matroska", "matroska")),
    (b"#!AMR", Kind("amr", "amr")),
    (b"0&\xb2u\x8ef\xcf\x11", Kind("asf", "asf")),
    (b"wvpk", Kind("wavpack", "wv")),
    (b"MAC ", Kind("ape", "ape")),
    (b"TTA1", Kind("tta", "tta")),
    (b"FLV\x01", Kind("flv", "flv")),
    (b".RMF", Kind("rm", "rm")),
    (b"\x00\x00\x01\xba", Kind("mpeg", "mpeg")),
)
_RIFF_FORMS = {b"WAVE": WAV, b"AVI ": Kind("avi", "avi")}
AIFF = Kind("aiff", "aiff", sndfile=True)
_SVX = Kind("svx", "iff", sndfile=True)
_FORM_TYPES = {b"AIFF": AIFF, b"AIFC": AIFF, b"8SVX": _SVX, b"16SV": _SVX}
_OGG_SNDFILE = (b"\x01vorbis", b"\x7fFLAC")

# What people pass off as audio, with a word on what it is.
_NOT_AUDIO: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer; run git lfs pull"),
    (b"#EXTM3U", "a playlist"),
    (b"ffconcat", "a list of other files"),
    (b"[playlist]", "a playlist"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"\x7fELF", "a program"),
    (b"SQLite format 3", "a database"),
    (b"PAR1", "a Parquet file"),
)
_ARCHIVES: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "zip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
)
# Headerless telephone codecs: the name may decide, but only where no bytes do.
_BY_NAME = {".g722": G722, ".gsm": GSM}
_RAW_NAMES = {".raw", ".pcm", ".sln", ".ulaw", ".alaw", ".ul", ".al", ".s16", ".lpcm"}
_GSM_FRAME_BYTES = 33
_TS_PACKET_BYTES = 188


def sniff(content: bytes, name_hint: str = "") -> Kind:
    """The kind of audio that `content` is.

    Args:
      content: the whole file.
      name_hint: the file's name, asked only about headerless telephone codecs.

    Raises:
      ClipRejected: NOT_AUDIO or UNSUPPORTED_FORMAT, with what was found instead.
    """
    body = content[frames.id3_length(content) :]
    kind = _by_magic(body) or _by_structure(body)
    if kind is not None:
        return kind
    _refuse_known(content)
    extension = "." + name_hint.rpartition(".")[2].lower()
    if _looks_like_text(content):
        raise ClipRejected(reasons.NOT_AUDIO, "not audio: the file is text, in no audio format")
    if extension in _BY_NAME:
        return _BY_NAME[extension]
    if extension in _RAW_NAMES:
        raise ClipRejected(
            reasons.UNSUPPORTED_FORMAT,
            "headerless raw samples: nothing in the file says its rate, width or channels (invalid as an audio format)",
        )
    raise ClipRejected(
        reasons.NOT_AUDIO, "not audio: no known audio format begins like this file (unsupported or invalid)"
    )


def _by_magic(content: bytes) -> Kind | None:
    if content[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64"):
        return _RIFF_FORMS.get(content[8:12])
    if content[:4] == b"FORM":
        return _FORM_TYPES.get(content[8:12])
    if content[:4] == b"OggS":
        whole = any(mark in content[:128] for mark in _OGG_SNDFILE) and not frames.is_chained(content)
        return OGG if whole else OGG_OTHER
    if content[4:8] == b"ftyp" or (content[4:8] in (b"moov", b"mdat", b"wide") and b"moov" in content):
        return MP4
    return _variant(next((kind for magic, kind in MAGIC if content.startswith(magic)), None), content)


def _variant(kind: Kind | None, content: bytes) -> Kind | None:
    """A kind, or the variant of it that needs a decoder of its own."""
    if kind is FLAC and frames.flac_total_samples(content) == 0:
        return FLAC_UNKNOWN_LENGTH
    if kind is not None and kind.name == "caf" and content[28:32] == b"alac":
        return CAF_ALAC
    return kind


def _by_structure(content: bytes) -> Kind | None:
    """Formats without a magic number, known by frames that follow one another."""
    return next((kind for kind, is_kind in _STRUCTURES if is_kind(content)), None)


def _is_mpeg_ts(content: bytes) -> bool:
    return content[:1] == b"\x47" and content[_TS_PACKET_BYTES : _TS_PACKET_BYTES + 1] == b"\x47"


def _is_mpeg(content: bytes, layers: tuple[int, ...]) -> bool:
    found = frames.mpeg_frames(content, limit=3)
    return bool(found) and found[0].layer in layers and len(found) >= min(3, 1 + len(content) // 4096)


def _is_gsm(content: bytes) -> bool:
    frame_starts = content[: 8 * _GSM_FRAME_BYTES : _GSM_FRAME_BYTES]
    return len(content) >= 2 * _GSM_FRAME_BYTES and all(byte >> 4 == 0xD for byte in frame_starts)


def _is_adts(content: bytes) -> bool:
    if content[:1] != b"\xff" or content[1:2] < b"\xf0" or content[1] & 0xF6 != 0xF0:
        return False
    length = (content[3] & 3) << 11 | content[4] << 3 | content[5] >> 5 if len(content) > 6 else 0
    following = content[length : length + 2]
    return length > 6 and (not following or (following[0] == 0xFF and following[-1] & 0xF6 == 0xF0))


# In this order: what looks like ADTS is never tried as MPEG audio, whose header is much like it.
_STRUCTURES: tuple[tuple[Kind, Callable[[bytes], bool]], ...] = (
    (MPEG_TS, _is_mpeg_ts),
    (AC3, lambda content: content[:2] == b"\x0b\x77"),
    (AAC, _is_adts),
    (MP3, lambda content: _is_mpeg(content, (3,))),
    (MP2, lambda content: _is_mpeg(content, (1, 2))),
    (LOAS, frames.loas_continues),
    (MP3_BEHIND_JUNK, lambda content: frames.mpeg_start(content) > 0),
    (GSM, _is_gsm),
)


def _refuse_known(content: bytes) -> None:
    head = content[:512].lstrip(b"\xef\xbb\xbf \t\r\n")
    for magic, what in _NOT_AUDIO:
        if head.startswith(magic):
            raise ClipRejected(reasons.NOT_AUDIO, f"not audio: the file is {what} (invalid as an audio format)")
    if head[:15].lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise ClipRejected(reasons.NOT_AUDIO, "not audio: the file is a web page or XML (invalid as an audio format)")
    for magic, what in _ARCHIVES:
        if content.startswith(magic):
            raise ClipRejected(
                reasons.UNSUPPORTED_FORMAT,
                f"a {what} archive, not an audio format: unpack it and name the file inside",
            )


def _looks_like_text(content: bytes) -> bool:
    head = content[:1024]
    return not any(byte < 9 or 13 < byte < 32 for byte in head) and b"\xff" not in head
