"""Tags and junk before and behind the audio, MP3 headers that lie, and delays that nothing declares."""

import contextlib
import io
import struct

import numpy as np
import pytest

from tests.sounds import BY_NAME, Format, encoded, tone
from transforms import reasons
from transforms.audio import decode, frames, tags
from transforms.errors import ClipRejected


def id3(size, footer=False):
    """A tag with bytes that look like frames of MP3."""
    seven_bits = bytes(size >> shift & 127 for shift in (21, 14, 7, 0))
    flags = b"\x10" if footer else b"\0"
    contents = (b"\xff\xfb\x90\x64" * (size // 4 + 1))[:size]
    return b"ID3\x04\0" + flags + seven_bits + contents + (b"3DI\x04\0\x10" + seven_bits if footer else b"")


def ape(size, header=True):
    item = struct.pack("<II", size, 0) + b"Title\0" + b"x" * size
    ends = [struct.pack("<8sIIII8x", b"APETAGEX", 2000, len(item) + 32, 1, flags) for flags in (0xA << 28, 8 << 28)]
    return (
        ends[0] + item + ends[1] if header else item + struct.pack("<8sIIII8x", b"APETAGEX", 2000, len(item) + 32, 1, 0)
    )


def lyrics(text):
    contents = b"LYRICSBEGIN" + b"IND0000200" + b"LYR%05d" % len(text) + text
    return contents + b"%06d" % len(contents) + b"LYRICS200"


ID3V1 = b"TAG" + b"A title".ljust(125, b"\0")
EXTENSION = b"TAG+" + bytes(223)
OLD_LYRICS = b"LYRICSBEGIN" + b"la la " * 50 + b"LYRICSEND"
TAILS = {
    "ID3v1": ID3V1,
    "two ID3v1": ID3V1 * 2,
    "extended ID3v1": EXTENSION + ID3V1,
    "APE": ape(60),
    "APE without a header": ape(60, header=False),
    "large APE": ape(200_000),
    "APE, Lyrics3 and ID3v1": ape(60) + lyrics(b"hello") + ID3V1,
    "old Lyrics3": OLD_LYRICS + ID3V1,
    "ID3v2": id3(500, footer=True),
    "zeros": bytes(70_000),
    "zeros and ID3v1": bytes(100) + ID3V1,
    "a newline": b"\n",
}
HEADS = {
    "ID3v2": id3(300),
    "several": id3(300) + id3(70_000) + id3(5),
    "a footer": id3(300, footer=True),
    "APE": ape(60),
}
JUNK = {
    "a byte": b"\xab",
    "a byte behind a large tag": id3(70_000) + b"\0",
    "junk behind a larger tag": id3(200_000) + b"junk" * 100,
    "a byte behind several": id3(70_000) + id3(80_000) + b"\xff",
}
MP3S = ["mp3", "mp3 without a header", "mp2"]
NAMES = [*MP3S, "aac adts", "m4a aac", "m4a alac", "flac 16-bit", "wav 16-bit", "aiff", "amr", "ac3", "wma", "wavpack"]
NAMES += ["ogg opus", "ogg vorbis", "webm opus"]


@pytest.fixture(scope="module")
def sound():
    made = {name: encoded(tone(440, BY_NAME[name].rate, 1.0), BY_NAME[name]) for name in NAMES}
    return made.__getitem__


def samples(content):
    return decode.decode(content, max_duration=30.0).samples


def refusal(content):
    with pytest.raises(ClipRejected) as refused:
        samples(content)
    return refused.value.reason


@pytest.mark.parametrize("name", NAMES)
def test_tags_behind_the_audio_are_no_sound_and_no_cut(name, sound):
    whole = samples(sound(name))
    for tail in TAILS.values():
        np.testing.assert_allclose(samples(sound(name) + tail), whole, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_tags_before_the_audio_are_passed_over(name, sound):
    whole = samples(sound(name))
    for head in HEADS.values():
        np.testing.assert_array_equal(samples(head + sound(name)), whole)


@pytest.mark.parametrize("name", MP3S)
@pytest.mark.parametrize("junk", JUNK)
def test_junk_before_mpeg_audio_is_passed_over_however_long_the_tags_are(name, junk, sound):
    whole = samples(sound(name))
    for tail in (b"", ape(60) + ID3V1):
        np.testing.assert_allclose(samples(JUNK[junk] + sound(name) + tail), whole, atol=1e-3)


@pytest.mark.parametrize("head", [*HEADS, *JUNK])
def test_a_segment_is_found_behind_tags_and_junk(head, sound):
    content = (HEADS | JUNK)[head] + sound("mp3")
    found = decode.decode_segment(io.BytesIO(content), offset=0.25, duration=0.5, max_duration=30.0)
    assert len(found.samples) == 0.5 * found.sample_rate


@pytest.mark.parametrize("name", ["m4a aac", "amr", "ac3"])
@pytest.mark.parametrize("tail", [b"", ID3V1, ape(60) + ID3V1], ids=len)
def test_tags_behind_a_cut_do_not_hide_it(name, tail, sound):
    content = sound(name)
    assert refusal(content[: len(content) * 2 // 3 + 1] + tail) == reasons.TRUNCATED


@pytest.mark.parametrize(
    "trailer", [b"\0\0\0\x0bImage_UTC_DataSEFHe\0\0\0SEFT", b"Recorded with an app\r\n", b"\xff" * 512]
)
def test_trailers_of_apps_behind_mp4_are_no_cut(trailer, sound):
    np.testing.assert_array_equal(samples(sound("m4a aac") + trailer), samples(sound("m4a aac")))


def test_what_follows_the_frames_of_amr_and_is_no_tag_is_not_decoded(sound):
    assert refusal(sound("amr") + b"Recorded with an app\r\n") == reasons.DECODE_FAILED


@pytest.mark.parametrize("tail", TAILS)
def test_tags_begin_where_the_audio_ends_or_what_fills_it_up(tail):
    audio = b"audio" * 100
    content = audio + TAILS[tail]
    assert content[: tags.audio_end(content)].rstrip(b"\0\n") == audio


@pytest.mark.parametrize("name", ["mp3", "mp3 without a header", "aac adts", "ac3", "wav 16-bit", "ogg vorbis"])
@pytest.mark.parametrize("head", [id3(300)[:9], id3(300)[:3], ape(60)[:31], ID3V1[:3], b"T"])
def test_a_tag_whose_header_is_cut_off_ends_the_tags(name, head, sound):
    assert tags.without_tags(ID3V1 + id3(5) + head) == (b"" if head[:3] == b"TAG" else head)
    with contextlib.suppress(ClipRejected):
        assert samples(sound(name) + head).any()


AAC = ("-c:a", "aac", "-f")
UNDECLARED = {"adts": (*AAC, "adts"), "fragmented": ("-movflags", "frag_keyframe+empty_moov", *AAC, "mp4")}
UNDECLARED |= {"mpegts": (*AAC, "mpegts"), "mp3": ("-c:a", "libmp3lame", "-write_xing", "0", "-f", "mp3")}


@pytest.mark.parametrize("kind", UNDECLARED)
@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
def test_a_delay_that_is_not_declared_stays(kind, rate):
    noise = np.random.default_rng(1).normal(0, 0.2, rate)
    found = samples(encoded(noise, Format(kind, kind, rate, ffmpeg=UNDECLARED[kind], channels=1)))[:, 0]
    spectrum = np.fft.rfft(found, 4 * rate) * np.conj(np.fft.rfft(noise, 4 * rate))
    delay = 1_105 if kind == "mp3" else 1_024
    assert int(np.argmax(np.fft.irfft(spectrum))) == delay
    assert rate + delay <= len(found) < rate + delay + 1_152


def test_a_delay_that_an_edit_list_of_a_fragmented_mp4_declares_is_left_out():
    noise = np.random.default_rng(1).normal(0, 0.2, 16_000)
    options = ("-movflags", "frag_keyframe+delay_moov", *AAC, "mp4")
    found = samples(encoded(noise, Format("mp4", "mp4", 16_000, ffmpeg=options, channels=1)))[:, 0]
    spectrum = np.fft.rfft(found, 64_000) * np.conj(np.fft.rfft(noise, 64_000))
    assert int(np.argmax(np.fft.irfft(spectrum))) == 0


def parts(content):
    """An MP3's first frame, which is its header, the others, and how many these are."""
    found = frames.mpeg_frames(content, tags.audio_start(content)).starts
    return bytearray(content[found[0] : found[1]]), content[found[1] :], len(found) - 1


def vbri(content, more_frames=0, more_bytes=0):
    """The MP3 with a VBRI header in place of Xing's."""
    head, rest, count = parts(content)
    fields = (1, 1105, 75, len(head) + len(rest) + more_bytes, count + more_frames, 0, 1, 2, 1)
    head[4:] = (bytes(32) + b"VBRI" + struct.pack(">HHHIIHHHH", *fields)).ljust(len(head) - 4, b"\0")
    return bytes(head) + rest


@pytest.mark.parametrize("more_frames", [0, 1, -1])  # some writers count the header
def test_an_mp3_with_a_vbri_header_is_whole(more_frames, sound):
    content = sound("mp3")
    without = samples(parts(content)[1])
    np.testing.assert_allclose(samples(vbri(content, more_frames)), without, atol=1e-3)
    np.testing.assert_allclose(samples(vbri(content, more_frames, more_bytes=45)), without, atol=1e-3)


def test_an_mp3_with_a_vbri_header_that_is_cut_is_told(sound):
    content = vbri(sound("mp3"))
    assert refusal(content[: len(content) * 2 // 3]) == reasons.TRUNCATED
    starts = frames.mpeg_frames(content).starts
    assert refusal(content[: starts[-4]]) == reasons.TRUNCATED


@pytest.mark.parametrize("lie", [0, 1, 20, 1_000, 0xFFFFFFFF])
def test_an_mp3_whose_header_lies_of_its_frames_is_whole(lie, sound):
    head, rest, _ = parts(sound("mp3"))
    struct.pack_into(">I", head, max(head.find(b"Xing"), head.find(b"Info")) + 8, lie)
    np.testing.assert_array_equal(samples(bytes(head) + rest), samples(sound("mp3")))


@pytest.mark.parametrize("factor", [0.5, 0.9])
def test_an_mp3_whose_header_lies_of_its_bytes_is_whole_and_no_library_complains(factor, sound, capfd):
    head, rest, _ = parts(sound("mp3"))
    size = round(factor * (len(head) + len(rest)))
    struct.pack_into(">I", head, max(head.find(b"Xing"), head.find(b"Info")) + 12, size)
    np.testing.assert_allclose(samples(bytes(head) + rest), samples(sound("mp3")), atol=1e-3)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("more", [2, 6, 7, 8])
def test_an_adts_stream_that_ends_within_a_header_is_cut(more, sound):
    content = sound("aac adts")
    boundary = frames.adts_end(content[: len(content) // 2])
    assert refusal(content[: boundary + more]) == reasons.TRUNCATED
