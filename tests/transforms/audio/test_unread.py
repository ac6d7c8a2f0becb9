"""Formats that are not read are called by their names, with what to do; nothing that is read is."""

import io
import re

import numpy as np
import pytest

from benchmarks import headerless
from tests.sounds import BY_NAME, FORMATS, encoded, run_ffmpeg, tone
from transforms import reasons
from transforms.audio import decode, sniff, unread
from transforms.errors import ClipRejected

NOISE = np.random.default_rng(3).bytes(4_000)
# A beginning of each, and a word of its name.
BEGINNINGS = [
    (b"#!SILK_V3\x3c\0", "SILK"),
    (b"\x02#!SILK_V3\x3c\0", "SILK"),
    (b"#!AMR_MC1.0\n", "AMR of several channels"),
    (b"#!AMR-WB_MC1.0\n", "AMR of several channels"),
    (b"#!AMR-WB+\n", "AMR-WB+"),
    (b"#!EVRC\n", "telephones"),
    (b"#!iLBC30\n", "telephones"),
    (b"RIFF\x10\0\0\0QLCMfmt ", "QCELP"),
    (b"MP+\x07", "Musepack"),
    (b"MPCKSH", "Musepack"),
    (b"DSD \x1c\0\0\0", "DSD"),
    (b"FRM8\0\0\0\0\0\0\0\x10DSD ", "DSD"),
    (b"tBaK", "TAK"),
    (b"OFR \x0c", "OptimFROG"),
    (b"ajkg\x02", "Shorten"),
    (b"TWIN97012000", "TwinVQ"),
    (b"ea3\x03", "ATRAC"),
    (b"\x02dss", "dictation"),
    (b"\x03ds2", "dictation"),
    (b"\xac\x40\xff\xff", "AC-4"),
    (b"\0\0\0\x10\xf8\x72\x6f\xba", "TrueHD"),
    (b"ADIF", "ADIF"),
    (b".ra\xfd\0\x04", "RealAudio"),
    (b"\0\0\0\x10\x57\x90\x75\x36", "Audible"),
    (b"MThd\0\0\0\x06", "MIDI"),
    (b"RIFF\x10\0\0\0RMIDdata", "MIDI"),
    (b"Extended Module: a song", "tracker"),
    (b"IMPM", "tracker"),
    (bytes(44) + b"SCRM", "tracker"),
    (b"a song".ljust(1080, b"\0") + b"M.K.", "tracker"),
    (b"PSID\0\x02", "sound chip"),
    (b"FSB5", "sound bank"),
    (b"FWS\x09", "Flash"),
    (b"\x93NUMPY\x01\0", "NumPy"),
    (b"\x89HDF\r\n\x1a\n", "HDF5"),
    (b"ARROW1\0\0", "Arrow"),
    (b"clips/a.mp3".ljust(257, b"\0") + b"ustar\x0000", "tar"),
    (b"Rar!\x1a\x07\x01\0", "rar"),
]


def refusal(content, name="x.wav"):
    with pytest.raises(ClipRejected) as caught:
        decode.decode(content, max_duration=30.0, name_hint=name)
    return caught.value


@pytest.mark.parametrize(
    ("beginning", "name"), BEGINNINGS, ids=[name + str(i) for i, (_, name) in enumerate(BEGINNINGS)]
)
def test_it_is_named_with_a_remedy_whatever_its_extension(beginning, name):
    for extension in ("wav", "amr", "mp3", "gsm"):
        refused = refusal(beginning + NOISE, f"x.{extension}")
        assert refused.reason == reasons.UNSUPPORTED_FORMAT
        assert name in refused.detail
        assert refused.detail.endswith(tuple(row.remedy for row in unread.UNREAD))
    with pytest.raises(ClipRejected, match=re.escape(name)):
        decode.decode_segment(io.BytesIO(beginning + NOISE), offset=0.1, duration=0.2, max_duration=30.0)


def test_what_is_named_is_so_before_frames_are_looked_for_behind_it():
    """A tar or rar file may hold an MP3, which is not the recording."""
    mp3 = encoded(tone(700, 44_100), BY_NAME["mp3"])
    for beginning in (b"a.mp3".ljust(257, b"\0") + b"ustar".ljust(255, b"\0"), b"Rar!\x1a\x07\x01\0", b"PK\x03\x04"):
        assert refusal(beginning + mp3).reason == reasons.UNSUPPORTED_FORMAT
    assert len(decode.decode(b"\x01\x02\x03" * 50 + mp3, max_duration=30.0).samples)


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_what_is_read_has_no_such_name(form):
    assert unread.named(encoded(tone(700, form.rate, 0.5), form)) is None


def test_raw_samples_have_no_such_name():
    named = [unread.named(headerless.raw(number).content) for number in range(390)]
    assert set(named) == {None}


@pytest.mark.parametrize(("entry", "name"), [(b"drms", "FairPlay"), (b"enca", "encrypted"), (b"aavd", "Audible"),
                                             (b"ac-4", "AC-4"), (b"mhm1", "MPEG-H")])  # fmt: skip
@pytest.mark.parametrize("sound", ["m4a aac", "mp4 aac, fragmented", "3gp amr"])
def test_the_sound_of_an_mp4_is_named_where_nobody_decodes_it(entry, name, sound):
    content = encoded(tone(700, BY_NAME[sound].rate), BY_NAME[sound])
    own = b"samr" if sound == "3gp amr" else b"mp4a"
    refused = refusal(content.replace(own, entry, 1))
    assert refused.reason == reasons.UNSUPPORTED_FORMAT
    assert name in refused.detail


def test_a_wma_under_copy_protection_is_named():
    content = encoded(tone(700, 44_100), BY_NAME["wma"])
    size = int.from_bytes(content[16:24], "little")
    header = (
        b"\xfb\xb3\x11\x22\x23\xbd\xd2\x11\xb4\xb7\x00\xa0\xc9\x55\xfc\x6e" + (40).to_bytes(8, "little") + bytes(16)
    )
    protected = content[:16] + (size + 40).to_bytes(8, "little") + content[24:30] + header + content[30:]
    refused = refusal(protected)
    assert refused.reason == reasons.UNSUPPORTED_FORMAT
    assert "Windows Media DRM" in refused.detail


FILMS = {
    "mp4": ("-f", "mp4"),
    "mov": ("-f", "mov"),
    "matroska": ("-f", "matroska"),
    "avi": ("-c:v", "mjpeg", "-f", "avi"),
    "flv": ("-c:v", "flv", "-f", "flv"),
    "mpegts": ("-c:v", "mpeg2video", "-f", "mpegts"),
    "asf": ("-c:v", "wmv2", "-f", "asf"),
}


@pytest.mark.parametrize("options", FILMS.values(), ids=FILMS)
def test_a_film_without_sound_is_called_that(options):
    wav = encoded(tone(700, 16_000), BY_NAME["wav 8-bit"])
    picture = ("-f", "lavfi", "-i", "testsrc=size=64x64:rate=25:duration=2")
    silent = run_ffmpeg(wav, *picture, "-map", "1:v", *options)
    refused = refusal(silent)
    assert refused.reason == reasons.UNSUPPORTED_FORMAT
    assert "a film without sound" in refused.detail
    with pytest.raises(ClipRejected, match="a film without sound"):
        decode.decode_segment(io.BytesIO(silent), offset=0.1, duration=0.2, max_duration=30.0)


@pytest.mark.parametrize("level", [0.001, 0.0001])
def test_g722_that_begins_quietly_is_no_text(level):
    """Its first thousand bytes may be letters; a text is so to its end."""
    noise = np.random.default_rng(0).normal(0, level, 32_000)
    sound = np.concatenate([noise, tone(700, 16_000, 1.0)])
    content = encoded(sound, BY_NAME["g722"])
    quiet = bytes(65 + number % 26 for number in range(1_500)) + content
    for found in (content, quiet):
        assert sniff.sniff(found, "x.g722").name == "g722"
    for text in (
        b"a page of text, " * 500,
        b"hunter2 is the password\n" * 100,
        "Übung macht den Meister. ".encode() * 90,
    ):
        with pytest.raises(ClipRejected, match="the file is text"):
            sniff.sniff(text, "x.g722")
    with pytest.raises(ClipRejected, match="the file is text"):
        sniff.sniff(quiet, "x.wav")
