"""What is not read, and what it is called: formats that no decoder here knows, and files that are no audio."""

from __future__ import annotations

import re
from dataclasses import dataclass

from transforms.audio import chunks

_FFMPEG = "convert it with ffmpeg"
_UNPROTECTED = "use a recording without copy protection"
_PLAYER = "export it as WAV from the program that made it"


@dataclass(frozen=True, slots=True)
class Unread:
    """A format that is known by its beginning, and not read.

    Attributes:
      magic: a regular expression that matches at the file's beginning.
      name: what to call it.
      remedy: what the user can do.
    """

    magic: bytes
    name: str
    remedy: str

    def begins(self, content: bytes) -> bool:
        """Whether a file begins like this."""
        return re.match(self.magic, content, re.DOTALL) is not None


UNREAD: tuple[Unread, ...] = (
    Unread(rb"\x02?#!SILK", "SILK (voice messages of chat apps)", "convert it with silk-v3-decoder, then to WAV"),
    Unread(rb"#!AMR(?:-WB)?_MC|#!AMR-WB\+", "AMR of several channels, or AMR-WB+", _PLAYER),
    Unread(
        rb"#!(?:EVRC|QCELP|SMV|iLBC|EVS|G7|LC3|IVAS)",
        "speech in a codec of telephones (EVRC, QCELP, SMV, iLBC, EVS)",
        _FFMPEG,
    ),
    Unread(rb"RIFF.{4}QLCM", "QCELP or EVRC (QCP)", _FFMPEG),
    Unread(rb"MP\+|MPCK", "Musepack", f"{_FFMPEG} or mpcdec"),
    Unread(rb"DSD |FRM8.{8}DSD ", "DSD (DSF, DSDIFF)", f"{_FFMPEG} to 44.1 kHz FLAC"),
    Unread(rb"tBaK", "TAK", f"{_FFMPEG} or Takc"),
    Unread(rb"OFR |OFRX", "OptimFROG", "unpack it with ofr to WAV"),
    Unread(rb"ajkg", "Shorten", f"{_FFMPEG} or shorten"),
    Unread(rb"LA0[234]", "Lossless Audio (LA)", "unpack it with la to WAV"),
    Unread(rb"LPAC", "LPAC", "unpack it to WAV"),
    Unread(rb"RKA[0-9]", "RK Audio", "unpack it to WAV"),
    Unread(rb"ALS\x00", "MPEG-4 ALS", _FFMPEG),
    Unread(rb"TTA2", "True Audio 2", _PLAYER),
    Unread(rb"TWIN97012000|TWIN00052200", "TwinVQ (VQF)", _FFMPEG),
    Unread(rb"(?:EA3|ea3)[\x01-\x03]", "Sony's ATRAC (OpenMG)", _FFMPEG),
    Unread(rb"MS_VOICE", "from a Sony voice recorder (DVF, MSV)", "export it as WAV from Sony's Sound Organizer"),
    Unread(rb"[\x02\x03\x06]ds[s2]", "a dictation (DSS, DS2)", f"{_FFMPEG}, or export it from the dictation program"),
    Unread(rb"\xac[\x40\x41].{2}", "Dolby AC-4", "convert it with a decoder licensed by Dolby"),
    Unread(rb".{4}\xf8\x72\x6f[\xba\xbb]", "Dolby TrueHD or MLP", _FFMPEG),
    Unread(rb"DTSHDHDR", "DTS-HD", _FFMPEG),
    Unread(rb"\x64\x58\x20\x25|\xfe\x7f\x01\x80|\x1f\xff\xe8\x00|\xff\x1f\x00\xe8", "DTS of another layout", _FFMPEG),
    Unread(rb"ADIF", "AAC in ADIF", f"{_FFMPEG} to M4A"),
    Unread(rb"\.ra\xfd", "old RealAudio", _FFMPEG),
    Unread(rb"\xc0\xde\xc2", "Codec 2", "convert it with c2dec"),
    Unread(rb".{4}\x57\x90\x75\x36", "an encrypted Audible book (AA)", _UNPROTECTED),
    Unread(rb"MThd|RIFF.{4}RMID|XMF_", "MIDI: notes, no recording", "render it to WAV first"),
    Unread(
        rb"Extended Module: |IMPM|.{44}SCRM|.{1080}(?:M\.K\.|M!K!|FLT[48]|[468]CHN)|MTM\x10",
        "a tracker's module: notes and samples, no recording",
        "render it to WAV first",
    ),
    Unread(
        rb"NESM\x1a|SNES-SPC700|[PR]SID\x00|Vgm |GBS\x01|RIFF.{4}sfbk",
        "music of a sound chip, no recording",
        "render it to WAV first",
    ),
    Unread(rb"FSB[45]|RSTM|BKHD|RIFF.{4}(?:XWMA|FEV )|XACT", "a game's sound bank", "unpack it with vgmstream"),
    Unread(rb"[FCZ]WS[\x01-\x40]", "a Flash film", _FFMPEG),
    Unread(rb"\x89HDF|CDF\x01|\x93NUMPY", "an array (HDF5, NumPy)", "write its samples as WAV"),
    Unread(rb"ARROW1|\xff\xff\xff\xff.{4}\x10\x00\x00\x00", "an Arrow table", "write each recording to a file"),
    Unread(rb".{257}ustar", "a tar archive", "unpack it and name the file inside"),
    Unread(rb"Rar!\x1a\x07", "a rar archive", "unpack it and name the file inside"),
)

# Types of the sample entries of an MP4 file (ISO 14496-12) that are not decoded.
UNREAD_ENTRIES: dict[bytes, tuple[str, str]] = {
    b"drms": ("encrypted (iTunes' FairPlay)", _UNPROTECTED),
    b"p608": ("encrypted", _UNPROTECTED),
    b"enca": ("encrypted", _UNPROTECTED),
    b"aavd": ("encrypted (Audible)", _UNPROTECTED),
    b"ac-4": ("Dolby AC-4", "convert it with a decoder licensed by Dolby"),
    b"mha1": ("MPEG-H", "convert it with Fraunhofer's mpeghdec"),
    b"mhm1": ("MPEG-H", "convert it with Fraunhofer's mpeghdec"),
    b"sawp": ("AMR-WB+", _PLAYER),
    b"sevc": ("EVRC", _FFMPEG),
    b"ssmv": ("SMV", _FFMPEG),
}
# Of these, too, there may be a track, which is then decoded.
_READ_ENTRIES = frozenset(
    (
        b"mp4a",
        b"alac",
        b"Opus",
        b"fLaC",
        b"samr",
        b"sawb",
        b"sqcp",
        b"ac-3",
        b"ec-3",
        b".mp3",
        b"lpcm",
        b"sowt",
        b"twos",
    )
)
_ENCRYPTED_ASF = (
    b"\xfb\xb3\x11\x22\x23\xbd\xd2\x11\xb4\xb7\x00\xa0\xc9\x55\xfc\x6e",  # content encryption
    b"\x14\xe6\x8a\x29\x22\x26\x17\x4c\xb9\x35\xda\xe0\x7e\xe9\x28\x9c",  # extended content encryption
)
_ASF_HEADER_BYTES = 1 << 16
_ENTRY = re.compile(rb"stsd.{12}(.{4})", re.DOTALL)


def named(content: bytes) -> Unread | None:
    """The format of this file, if it is one that is known and not read."""
    return next((each for each in UNREAD if each.begins(content)), None)


def mp4_contents(content: bytes) -> tuple[str, str] | None:
    """What the only sound of an MP4 file is, and the remedy, if it is not decoded."""
    found = set[bytes]()
    for box in chunks.mp4_boxes(content):
        if box.name == b"moov":
            end = box.start + box.size if box.size >= 0 else len(content)
            found.update(_ENTRY.findall(content, box.start, end))
    unread = [entry for entry in UNREAD_ENTRIES if entry in found]
    return UNREAD_ENTRIES[unread[0]] if unread and not found & _READ_ENTRIES else None


def asf_contents(content: bytes) -> tuple[str, str] | None:
    """That an ASF file is encrypted, and the remedy."""
    head = content[:_ASF_HEADER_BYTES]
    return ("encrypted (Windows Media DRM)", _UNPROTECTED) if any(guid in head for guid in _ENCRYPTED_ASF) else None
