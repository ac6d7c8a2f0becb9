"""Ogg as recorders, phones and radio stations write it: whole without the last mark, and whole with several streams."""

import io

import numpy as np
import pytest
import soundfile

from tests.sounds import BY_NAME, encoded, run_ffmpeg, tone
from transforms import reasons
from transforms.audio import decode, formats, ogg, sniff
from transforms.errors import ClipRejected

RATE = 48_000
ENCODERS = {
    "opus": ("-c:a", "libopus", "-f", "ogg"),
    "vorbis": ("-c:a", "libvorbis", "-f", "ogg"),
    "flac": ("-c:a", "flac", "-f", "ogg"),
}


def wav(samples, rate=RATE):
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, "PCM_16", format="WAV")
    return stream.getvalue()


def stream(codec, frequency=440, seconds=3.0, rate=RATE, channels=1, extra=()):
    samples = np.stack([tone(frequency, rate, seconds)] * channels, axis=1)
    return run_ffmpeg(wav(samples, rate), *extra, *ENCODERS[codec])


def crc(page):
    """The checksum of a page whose field of it is zero (RFC 3533)."""
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value >> 31 else value << 1) & 0xFFFFFFFF
    return value.to_bytes(4, "little")


def with_flags(content, page, flags):
    """The file with other flags on one of its pages."""
    new = bytearray(content[page.start : page.end])
    new[5], new[22:26] = flags, bytes(4)
    new[22:26] = crc(new)
    return content[: page.start] + bytes(new) + content[page.end :]


def unmarked(content):
    last = list(ogg.pages(content))[-1]
    return with_flags(content, last, last.flags & ~4)


def decoded(content):
    return decode.decode(content, max_duration=30.0, name_hint="voice.ogg")


def segment(content, offset, duration):
    return decode.decode_segment(io.BytesIO(content), offset=offset, duration=duration, max_duration=30.0)


def refusal(content):
    with pytest.raises(ClipRejected) as caught:
        decoded(content)
    return caught.value


@pytest.mark.parametrize("codec", ENCODERS)
def test_a_file_whose_last_page_lacks_the_mark_is_whole(codec):
    content = stream(codec)
    assert ogg.is_whole(unmarked(content))
    whole, samples = decoded(content).samples, decoded(unmarked(content)).samples
    # Of Opus and Vorbis the last page's mark says how much of the last frame is padding.
    assert 0 <= len(samples) - len(whole) <= 0.03 * RATE
    assert np.array_equal(samples[: len(whole)], whole)


@pytest.mark.parametrize("codec", ENCODERS)
def test_a_file_that_ends_within_a_page_is_cut(codec):
    content = stream(codec)
    last = list(ogg.pages(content))[-1]
    for end in (last.start + 1, last.start + 4, last.start + 26, last.start + 30, last.end - 1):
        for cut in (content[:end], unmarked(content)[:end]):
            assert refusal(cut).reason == reasons.TRUNCATED, end


def test_a_file_whose_last_packet_goes_on_is_cut():
    content = unmarked(stream("opus"))
    header = content[list(ogg.pages(content))[-1].start :][:26]
    assert ogg.is_whole(content + header + bytes([2, 255, 254]) + bytes(509))
    assert not ogg.is_whole(content + header + bytes([2, 255, 255]) + bytes(510))


@pytest.mark.parametrize("tail", [bytes(300), b"TAG" + bytes(125), b"ID3\x04\x00\x00\x00\x00\x00\x00"], ids=repr)
def test_zeros_and_tags_behind_the_last_page_are_no_cut(tail):
    assert ogg.is_whole(unmarked(stream("opus")) + tail)


@pytest.mark.parametrize("codec", ENCODERS)
def test_streams_that_follow_one_another_are_joined_whatever_their_codebooks(codec):
    first = stream(codec, 440, 2.0)
    second = stream(codec, 880, 1.0, extra=("-q:a", "9") if codec == "vorbis" else ())
    both = decoded(first + second)
    assert np.array_equal(both.samples, np.concatenate([decoded(first).samples, decoded(second).samples]))
    assert both.source_format == decoded(first).source_format


def test_streams_of_several_codecs_are_joined_at_one_rate():
    first, second = stream("flac", 440, 1.0), stream("vorbis", 880, 1.0)
    whole = decoded(first + second).samples
    assert len(whole) == 2 * RATE
    assert np.allclose(whole[:RATE], decoded(first).samples / np.float32(32_768), atol=1e-6)


def test_a_stream_of_another_rate_is_refused_with_its_place():
    first = stream("vorbis")
    why = refusal(first + stream("vorbis", rate=44_100))
    assert why.reason == reasons.JOINED_FILES
    assert f"at byte {len(first):,} another one follows, of 44,100 Hz behind 48,000 Hz" in why.detail


@pytest.mark.parametrize("codec", ENCODERS)
def test_a_stream_of_more_channels_is_mixed_to_one_as_the_others_are(codec):
    one, two = stream(codec, 440, 1.0), stream(codec, 880, 1.0, channels=2)
    whole, second = decoded(one + two).samples, decoded(two).samples
    scale = 32_768 if second.dtype == np.int16 else 1
    assert whole.shape == (2 * RATE, 1)
    assert np.allclose(whole[RATE:, 0], second.mean(axis=1) / scale, atol=1e-6)


def test_each_stream_of_a_chain_must_be_whole():
    one = stream("opus")
    assert refusal(one[:-10] + one).reason == reasons.TRUNCATED
    assert refusal(one + one[:-10]).reason == reasons.TRUNCATED


@pytest.mark.parametrize("codec", ENCODERS)
@pytest.mark.parametrize(("offset", "duration"), [(0.5, 1.0), (1.5, 1.0), (2.25, 0.5)])
def test_a_segment_of_a_chain_is_that_of_the_whole(codec, offset, duration):
    chain = stream(codec, 440, 2.0) + stream(codec, 880, 1.0)
    found = segment(chain, offset, duration)
    start = round(offset * RATE)
    whole = decoded(chain).samples
    assert np.allclose(found.samples, whole[start : start + round(duration * RATE)], atol=1e-6)


def test_a_segment_behind_the_end_of_a_chain_is_refused():
    with pytest.raises(ClipRejected, match="behind the recording's end"):
        segment(stream("opus", seconds=1.0) * 2, 2.5, 0.2)


def test_streams_that_sound_together_are_one_part():
    film = ("-f", "lavfi", "-i", "color=red:size=64x64:duration=2", "-map", "1:v", "-map", "0:a", "-shortest")
    content = run_ffmpeg(wav(tone(440, RATE, 2.0)), *film, "-c:v", "libtheora", "-c:a", "libvorbis", "-f", "ogg")
    assert ogg.links(content) == [0]
    assert not ogg.is_chained(io.BytesIO(content))
    assert abs(len(decoded(content).samples) / RATE - 2.0) < 0.05


def test_sound_on_the_page_of_the_headers_is_not_lost():
    # One page holds the last headers and the first sound, as some writers have it.
    content = stream("vorbis", seconds=2.0)
    first, second, third = list(ogg.pages(content))[:3]
    merged = bytearray(content[second.start : second.end])
    other = content[third.start : third.end]
    lacing = bytes(merged[27 : 27 + merged[26]]) + other[27 : 27 + other[26]]
    body = bytes(merged[27 + merged[26] :]) + other[27 + other[26] :]
    page = bytes(merged[:6]) + other[6:14] + bytes(merged[14:22]) + bytes(4) + bytes([len(lacing)]) + lacing + body
    page = page[:22] + crc(page) + page[26:]
    crowded = content[: first.end] + page
    number = 1
    for rest in list(ogg.pages(content))[3:]:
        number += 1
        raw = bytearray(content[rest.start : rest.end])
        raw[18:22], raw[22:26] = number.to_bytes(4, "little"), bytes(4)
        raw[22:26] = crc(raw)
        crowded += bytes(raw)
    assert ogg.has_sound_beside_headers(crowded)
    assert not ogg.has_sound_beside_headers(content)
    assert np.allclose(decoded(crowded).samples, decoded(content).samples, atol=1e-4)


def test_only_ogg_has_parts_that_are_decoded_one_by_one():
    assert [form.name for form in formats.FORMATS if form.links] == ["ogg"]
    assert sniff.sniff(encoded(tone(440, RATE), BY_NAME["ogg opus"])).links is ogg.links
