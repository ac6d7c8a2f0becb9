"""The formats that are read: one row a format, with every fact of it.

`FORMATS` is read when it is asked, never copied. This file imports nothing slow, for `--help` lists the formats.
"""

from __future__ import annotations

from dataclasses import replace

from transforms.audio import chunks, evidence, frames, lengths, ogg, plain, unread
from transforms.audio.chunks import again
from transforms.audio.format import Format

# A frame whose checksum is wrong does not decode.
_CHECKED = (("err_detect", "crccheck+explode"),)


def _with_libav(form: Format, options: tuple[tuple[str, str], ...] = ()) -> Format:
    """A variant that libsndfile does not read."""
    return replace(form, sndfile=False, seekable=False, variant=None, options=options)


def _flac_variant(form: Format, content: bytes) -> Format:
    """Without a total, libsndfile does not know where the samples end."""
    unknown = frames.flac_total_samples(content) == 0
    return _with_libav(form, _CHECKED) if unknown else form


def _caf_variant(form: Format, content: bytes) -> Format:
    """ALAC's last frame knows its length; ffmpeg's demuxer would have it shortened a second time."""
    return _with_libav(form, (("flags2", "+skip_manual"),)) if content[28:32] == b"alac" else form


def _ogg_variant(form: Format, content: bytes) -> Format:
    """Libsndfile reads single streams of Vorbis, and of FLAC from some encoders."""
    known = any(mark in content[:128] for mark in (b"\x01vorbis", b"\x7fFLAC"))
    overlooked = b"\x01vorbis" in content[:128] and ogg.has_sound_beside_headers(content)
    return form if known and not overlooked else _with_libav(form)


# Of a WavPack block's flags: it is the first of its samples.
_FIRST_WAVPACK_BLOCK = b"[" + b"".join(b"\\x%02x" % byte for byte in range(256) if byte & 8) + b"]"
_RIFF = (b"RIFF", b"RIFX", b"RF64", b"BW64")
FLAC = Format(
    "flac",
    "flac",
    extensions=("flac",),
    magic=(b"fLaC",),
    variant=_flac_variant,
    sndfile=True,
    seekable=True,
    exact_samples=True,
    lossless=("flac",),
    again=again(rb"fLaC[\x00\x80]\x00\x00\x22"),
    mime_types=("audio/flac",),
    own_audio=frames.flac_without_tags,
)
AAC = Format(
    "aac",
    "aac",
    extensions=("aac",),
    begins=evidence.adts_begins,
    end=frames.adts_end,
    framed=True,
    mime_types=("audio/x-aac",),
    own_audio=frames.adts_without_tags,
    seconds=frames.adts_seconds,
)
MP3 = Format(
    "mp3",
    "mp3",
    extensions=("mp3", "mpga"),
    begins=evidence.mp3_begins,
    sndfile=True,
    end=lengths.mpeg_end,
    framed=True,
    claims=lengths.mp3_claims,
    mime_types=("audio/mp3", "audio/mpeg", "audio/mpga"),
    own_audio=frames.mp3_without_tags,
    seconds=frames.mpeg_seconds,
)
MP3_BEHIND_JUNK = replace(_with_libav(MP3), begins=frames.mpeg_begins_later, start=frames.behind_junk, claims=None)

# In the order in which they are tried. The first two groups say what they are; the last is known by frames that follow
# one another. What looks like ADTS is never tried as MPEG audio, whose header is much like it.
FORMATS: tuple[Format, ...] = (
    Format(
        "wav",
        "wav",
        extensions=("wav", "wave"),
        magic=_RIFF,
        forms=(b"WAVE",),
        sndfile=True,
        seekable=True,
        end=lengths.wav_end,
        again=again(rb"WAVE(?<=(?:RIFF|RIFX|RF64|BW64).{4}WAVE)", lead=8),
        parts=plain.wav_parts,
        plain=plain.wav_plain,
        unpadded=lengths.wav_fact,
        exact_duration=True,
        mime_types=("audio/wav",),
    ),
    Format(
        "avi",
        "avi",
        magic=_RIFF,
        forms=(b"AVI ",),
        end=lengths.avi_end,
        again=again(rb"AVI (?<=(?:RIFF|RIFX|RF64|BW64).{4}AVI )", lead=8),
        joins=True,
        exact_duration=True,
        tracks_declare=True,
    ),
    Format(
        "aiff",
        "aiff",
        extensions=("aif", "aiff"),
        magic=(b"FORM",),
        forms=(b"AIFF", b"AIFC"),
        sndfile=True,
        seekable=True,
        end=lengths.aiff_end,
        again=again(rb"AIF[FC](?<=FORM.{8})", lead=8),
        parts=chunks.RIFX.parts,
        plain=plain.aiff_plain,
    ),
    Format(
        "svx",
        "iff",
        magic=(b"FORM",),
        forms=(b"8SVX", b"16SV"),
        sndfile=True,
        again=again(rb"8SVX(?<=FORM.{8})", lead=8) | again(rb"16SV(?<=FORM.{8})", lead=8),
        parts=chunks.RIFX.parts,
        plain=plain.svx_plain,
    ),
    Format(
        "ogg",
        "ogg",
        extensions=("oga", "ogg", "opus", "spx"),
        magic=(b"OggS",),
        variant=_ogg_variant,
        sndfile=True,
        is_whole=ogg.is_whole,
        links=ogg.links,
        is_chained=ogg.is_chained,
        again=again(rb"OggS\x00\x02"),
        parts=ogg.parts,
        joins=True,
        mime_types=("audio/ogg",),
    ),
    Format(
        "mp4",
        "mov",
        extensions=("m4a", "m4b", "mov", "mp4"),
        begins=frames.mp4_begins,
        end=lengths.mp4_end,
        again=again(rb"ftyp(?<=\x00\x00\x00.ftyp)[ -~]{4}", lead=4),
        parts=chunks.mp4_parts,
        once=(b"ftyp", b"moov"),
        unread=unread.mp4_contents,
        exact_duration=True,
        tracks_declare=True,
        gaps=True,
        ends_by_duration=True,
        lossless=("alac",),
        mime_types=("audio/m4a", "audio/mp4"),
    ),
    FLAC,
    Format(
        "au",
        "au",
        extensions=("au", "snd"),
        magic=(b".snd",),
        sndfile=True,
        seekable=True,
        end=lengths.au_end,
        plain=plain.au_plain,
        again=again(rb"\.snd\x00\x00.{6}\x00\x00\x00[\x01-\x1b]\x00.{3}\x00\x00"),
    ),
    Format(
        "caf",
        "caf",
        extensions=("caf",),
        magic=(b"caff",),
        variant=_caf_variant,
        sndfile=True,
        seekable=True,
        end=lengths.caf_end,
        again=again(rb"caff\x00\x01\x00.desc"),
        parts=chunks.CAF.parts,
        plain=plain.caf_plain,
        exact_duration=True,
        lossless=("alac",),
    ),
    Format(
        "w64",
        "w64",
        extensions=("w64",),
        magic=(b"riff\x2e\x91\xcf\x11",),
        sndfile=True,
        seekable=True,
        end=lengths.w64_end,
        again=again(rb"riff\x2e\x91\xcf\x11"),
        parts=chunks.W64.parts,
        plain=plain.w64_plain,
    ),
    Format(
        "nist",
        "nistsphere",
        magic=(b"NIST_1A",),
        sndfile=True,
        seekable=True,
        end=lengths.nist_end,
        again=again(rb"NIST_1A\n"),
    ),
    # libsndfile takes the headers between a VOC file's blocks for samples.
    Format(
        "voc",
        "voc",
        extensions=("voc",),
        magic=(b"Creative Voice File",),
        end=lengths.voc_end,
        again=again(rb"Creative Voice File\x1a"),
    ),
    Format(
        "ircam",
        "ircam",
        begins=evidence.ircam_begins,
        sndfile=True,
        seekable=True,
        again=again(rb"\x64\xa3[\x01-\x04]\x00.{4}[\x01-\x08]\x00\x00\x00")
        | again(rb"\xa3\x64(?<=\x00[\x01-\x04]..).{4}\x00\x00\x00[\x01-\x08]", lead=2),
    ),
    Format("avr", "avr", magic=(b"2BIT",), sndfile=True, seekable=True, again=again(rb"2BIT.{8}(?:\0\0|\xff\xff)\0")),
    Format(
        "paf",
        "epaf",
        magic=(b" paf", b"fap "),
        sndfile=True,
        seekable=True,
        again=again(rb" paf\0{4}") | again(rb"fap \0{4}"),
    ),
    Format("pvf", "pvf", magic=(b"PVF1\n",), sndfile=True, seekable=True, again=again(rb"PVF1\n\d+ \d+ \d+\n")),
    Format(
        "mat5", "wav", magic=(b"MATLAB 5.0 MAT-file",), sndfile=True, seekable=True, again=again(rb"MATLAB 5\.0 MAT")
    ),
    Format(
        "sds", "sds", begins=evidence.sds_begins, sndfile=True, seekable=True, again=again(rb"\xf0\x7e[\0-\x7f]\x01")
    ),
    Format("wve", "wv", magic=(b"ALawSoundFile**",), sndfile=True, seekable=True, again=again(rb"ALawSoundFile\*\*\0")),
    Format("sox", "sox", magic=(b".SoX", b"XoS."), again=again(rb"\.SoX.{3}\x00.{6}\x00\x00")),
    Format("dts", "dts", begins=evidence.dts_begins),
    Format(
        "matroska",
        "matroska",
        extensions=("mka", "mkv", "weba", "webm"),
        magic=(b"\x1aE\xdf\xa3",),
        end=lengths.matroska_end,
        is_whole=lengths.matroska_is_whole,
        again=again(rb"\x1aE\xdf\xa3.{0,9}\x42\x86\x81"),
        joins=True,
        exact_duration=True,
        index_apart=True,
        gaps=True,
        mime_types=("audio/webm",),
    ),
    Format(
        "amr",
        "amr",
        extensions=("amr",),
        magic=(b"#!AMR\n", b"#!AMR-WB\n"),
        end=lengths.amr_end,
        tags_behind=True,
        stops=True,
        framed=True,
        again=again(rb"#!AMR(?:-WB)?\n"),
    ),
    Format(
        "asf",
        "asf",
        extensions=("asf", "wma"),
        magic=(b"0&\xb2u\x8ef\xcf\x11",),
        delay=frames.wma_delay,
        end=lengths.asf_end,
        tags_behind=True,
        again=again(rb"0&\xb2u\x8ef\xcf\x11"),
        unread=unread.asf_contents,
        exact_duration=True,
    ),
    Format(
        "wavpack",
        "wv",
        extensions=("wv",),
        magic=(b"wvpk",),
        end=lengths.wavpack_end,
        framed=True,
        options=_CHECKED,
        exact_duration=True,
        lossless=("wavpack",),
        again=again(rb"wvpk.{12}\0\0\0\0(?!\0\0\0\0).{5}" + _FIRST_WAVPACK_BLOCK),
    ),
    Format(
        "ape",
        "ape",
        extensions=("ape",),
        magic=(b"MAC ",),
        options=_CHECKED,
        exact_duration=True,
        lossless=("ape",),
        again=again(rb"MAC .\x0f..\x34\0\0\0"),
    ),
    Format(
        "tta",
        "tta",
        extensions=("tta",),
        magic=(b"TTA1",),
        options=_CHECKED,
        exact_duration=True,
        lossless=("tta",),
        again=again(rb"TTA1[\x01-\x03]\0[\x01-\x08]\0[\x08\x10\x18\x20]\0"),
    ),
    Format(
        "flv",
        "flv",
        ("flv",),
        (b"FLV\x01",),
        exact_duration=True,
        index_apart=True,
        again=again(rb"FLV\x01.\0\0\0\x09"),
    ),
    Format("rm", "rm", magic=(b".RMF",), again=again(rb"\.RMF\0\0\0.\0")),
    Format("mpeg", "mpeg", begins=evidence.mpegps_begins),
    Format("mpegts", "mpegts", begins=evidence.mpegts_begins),
    Format(
        "ac3",
        "ac3",
        extensions=("ac3",),
        begins=evidence.ac3_begins,
        end=lengths.ac3_end,
        framed=True,
        tags_behind=True,
    ),
    AAC,
    MP3,
    Format(
        "mp2",
        "mp3",
        extensions=("mp2",),
        begins=evidence.mp2_begins,
        end=lengths.mpeg_end,
        framed=True,
        mime_types=("audio/mpeg", "audio/mpga"),
        seconds=frames.mpeg_seconds,
    ),
    Format("latm", "loas", begins=evidence.loas_begins),
    MP3_BEHIND_JUNK,
    Format("gsm", "gsm", ("gsm",), begins=evidence.gsm_begins),
    Format("g722", "g722", ("g722",), headerless=True),
)


def beginning(content: bytes) -> Format | None:
    """The first format that bytes begin like; not one whose frames come later."""
    return next((form for form in FORMATS if form is not MP3_BEHIND_JUNK and form.begins_like(content)), None)


def by_name(name: str) -> Format:
    """The format of a name, of its variants the first."""
    return {form.name: form for form in reversed(FORMATS)}[name]


def by_mime_type(mime_type: str) -> Format | None:
    """The first format that the tuning service may know by a type; None for no such."""
    return next((form for form in FORMATS if mime_type in form.mime_types), None)


def by_extension(extension: str) -> Format | None:
    """The format whose files bear an extension (lower case, without its dot); None for no audio."""
    return next((form for form in FORMATS if extension in form.extensions), None)


def names() -> list[str]:
    """The names of all formats, in alphabetical order."""
    return sorted({form.name for form in FORMATS})


def lossless_codecs() -> set[str]:
    """The codecs that lose nothing, in whatever container, by ffmpeg's names."""
    return {codec for form in FORMATS for codec in form.lossless}
