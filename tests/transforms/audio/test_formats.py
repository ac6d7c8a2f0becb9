"""Every row of `formats.FORMATS` is asked for every fact, and a row that is added is seen everywhere."""

import functools
import io
import re
import struct
import subprocess
from dataclasses import replace

import av
import numpy as np
import pytest
import soundfile

from cliptune import tables
from tests import sounds
from tests.sounds import encoded, tone
from transforms import limits, reasons
from transforms.audio import builds, decode, ffmpeg, formats, frames, libav, sniff, tags
from transforms.audio.format import Format
from transforms.audio.formats import FORMATS
from transforms.errors import ClipRejected
from transforms.manifests import formats as manifests
from transforms.payloads import PAYLOADS
from transforms.storage import Storage

# Neither encoder makes these.
WITHOUT_A_SAMPLE = {"wve", "ape"}
# Where the first sound of a format does not show its facts.
SAMPLES = {"mp3": "mp3 without a header"}


@functools.cache
def samples():
    """Sounds by the name of the format that they are sniffed as."""
    found: dict[str, list[tuple[bytes, str]]] = {}
    for form in sounds.FORMATS:
        content = encoded(tone(700, form.rate, 1.0), form)
        found.setdefault(sniff.sniff(content, f"x.{form.extension}").name, []).append((content, form.name))
    return found


def sample(form):
    """A sound in the format."""
    wanted = SAMPLES.get(form.name)
    return next(content for content, name in samples()[form.name] if wanted in (None, name))


def rows(condition):
    chosen = [form for form in FORMATS if condition(form)]
    assert chosen
    return pytest.mark.parametrize("form", chosen, ids=lambda form: form.name)


def every(condition=lambda form: True):
    """The rows of which there is a sound."""
    return rows(lambda form: form.name not in WITHOUT_A_SAMPLE and condition(form))


def test_there_is_a_sound_of_every_row_but_of_those_that_nobody_encodes():
    assert {form.name for form in FORMATS} - samples().keys() == WITHOUT_A_SAMPLE


@functools.cache
def demuxers():
    command = [builds.ffmpeg(), "-hide_banner", "-demuxers"]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = re.findall(r"^ D\w? +(\S+)", listing, re.MULTILINE)
    return {name for line in lines for name in line.split(",")}


@rows(lambda form: True)
def test_a_row_has_a_demuxer_of_ffmpegs_and_libavs_and_some_way_to_be_known(form):
    assert form.demuxer in demuxers()
    assert form.demuxer in av.formats_available
    assert form.magic or form.begins or form.headerless
    assert form.forms == () or form.magic
    assert not form.headerless or form.extensions


@rows(lambda form: form.seekable)
def test_what_is_sought_is_read_by_libsndfile(form):
    assert form.sndfile


@rows(lambda form: form.framed)
def test_what_is_framed_has_an_end(form):
    assert form.end


@rows(lambda form: form.mime_types)
def test_types_are_on_the_services_list(form):
    assert set(form.mime_types) <= limits.MIME_TYPES


def test_each_type_of_the_services_has_its_formats():
    known = {mime: {form.name for form in FORMATS if mime in form.mime_types} for mime in limits.MIME_TYPES}
    assert known == {
        "audio/flac": {"flac"},
        "audio/wav": {"wav"},
        "audio/mp3": {"mp3"},
        "audio/mpeg": {"mp3", "mp2"},
        "audio/mpga": {"mp3", "mp2"},
        "audio/m4a": {"mp4"},
        "audio/mp4": {"mp4"},
        "audio/x-aac": {"aac"},
        "audio/ogg": {"ogg"},
        "audio/webm": {"matroska"},
        "audio/pcm": set(),  # headerless: no bytes say it
    }


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=lambda payload: payload.name)
def test_a_payload_is_in_a_format_that_is_read(payload):
    form = formats.by_name(payload.name)
    assert payload.mime_type in form.mime_types
    assert payload.passes == "" or (payload.passes.startswith(f"{form.name}/") and form.own_audio)


def test_names_are_one_word_in_lower_case():
    assert all(re.fullmatch("[a-z0-9]+", name) for name in formats.names())


def beginnings(form):
    return [(magic, tag) for magic in form.magic for tag in form.forms or (b"",)]


def test_no_two_rows_claim_the_same_beginning():
    claims = [(magic, tag, form.name) for form in FORMATS for magic, tag in beginnings(form)]
    for number, (magic, tag, name) in enumerate(claims):
        for other, other_tag, owner in claims[:number]:
            overlap = magic.startswith(other) or other.startswith(magic)
            assert not overlap or (tag and other_tag and tag != other_tag), (name, owner)


@rows(lambda form: form.magic)
def test_each_beginning_is_sniffed_as_its_own_row(form):
    for magic, tag in beginnings(form):
        content = magic + bytes(8 - len(magic)) + tag if tag else magic
        assert sniff.sniff(content + bytes(100)).name == form.name
        tags = b"ID3\x04\0\0\0\0\0\x0a" + bytes(10)
        assert sniff.sniff(tags + content + bytes(100)).name == form.name


@rows(lambda form: form.forms)
def test_a_container_with_another_form_is_another_format(form):
    with pytest.raises(ClipRejected):
        sniff.sniff(form.magic[0] + bytes(4) + b"XXXX" + bytes(100))


@pytest.mark.parametrize(
    ("beginning", "name"),
    [
        *((riff + bytes(4) + b"WAVE", "wav") for riff in (b"RIFF", b"RIFX", b"RF64", b"BW64")),
        (b"RIFF" + bytes(4) + b"AVI ", "avi"),
        (b"FORM" + bytes(4) + b"AIFF", "aiff"),
        (b"FORM" + bytes(4) + b"AIFC", "aiff"),
        (b"FORM" + bytes(4) + b"8SVX", "svx"),
        (b"FORM" + bytes(4) + b"16SV", "svx"),
        (bytes(4) + b"ftypM4A ", "mp4"),
        (bytes(4) + b"wide" + bytes(8) + b"moov", "mp4"),
        (b"\x64\xa3\x01\0" + struct.pack("<fII", 16_000, 1, 2), "ircam"),
        (b"\0\x01\xa3\x64" + struct.pack(">fII", 16_000, 1, 2), "ircam"),
        (b"\0\x02\xa3\x64" + struct.pack("<fII", 16_000, 1, 2), "ircam"),
        (b" paf", "paf"),
        (b"fap ", "paf"),
        (b".SoX", "sox"),
        (b"XoS.", "sox"),
    ],
)
def test_formats_that_begin_in_several_ways(beginning, name):
    assert sniff.sniff(beginning).name == name


def test_one_codec_of_the_telephone_is_known_by_its_name():
    assert {form.name for form in FORMATS if form.headerless} == {"g722"}


@rows(lambda form: form.headerless)
def test_an_extension_decides_only_where_no_bytes_do(form):
    nobodys = bytes([1, 2, 3]) * 100
    for extension in form.extensions:
        assert sniff.sniff(nobodys, f"x.{extension.upper()}") is form
        assert sniff.sniff(b"fLaC" + nobodys, f"x.{extension}").name == "flac"
    with pytest.raises(ClipRejected):
        sniff.sniff(nobodys, "x.wav")


@every(lambda form: not form.magic and form.begins)
def test_frames_are_sniffed_as_their_own_row(form):
    assert sniff.sniff(sample(form)).name == form.name


def test_no_extension_has_two_owners():
    owners: dict[str, set[str]] = {}
    for form in FORMATS:
        for extension in form.extensions:
            assert extension == extension.lower().lstrip(".")
            owners.setdefault(extension, set()).add(form.name)
    assert all(len(names) == 1 for names in owners.values())


@every(lambda form: form.sndfile)
def test_a_row_that_says_sndfile_is_decoded_by_libsndfile(form, monkeypatch):
    monkeypatch.delattr(libav, "decode")
    # libsndfile does not know the end of an MP3 without a header, and not the FLAC in Ogg that ffmpeg writes.
    wanted = {"mp3": "mp3", "ogg": "ogg vorbis"}.get(form.name)
    content = next(content for content, name in samples()[form.name] if wanted in (None, name))
    assert decode.decode(content, max_duration=30.0).samples.any()


@every(lambda form: form.seekable)
def test_a_row_that_says_seekable_is_cut_by_libsndfile_to_the_sample(form, monkeypatch):
    monkeypatch.delattr(libav, "decode")
    content = next(content for content, name in samples()[form.name] if sniff.sniff(content).seekable)
    whole = decode.decode(content, max_duration=30.0)
    part = decode.decode_segment(io.BytesIO(content), offset=0.25, duration=0.5, max_duration=30.0)
    start, end = whole.sample_rate // 4, whole.sample_rate * 3 // 4
    assert np.array_equal(part.samples, whole.samples[start:end])


@every(lambda form: not form.sndfile)
def test_a_row_that_does_not_say_sndfile_is_left_to_libav(form, monkeypatch):
    content = bytes(500) + sample(form) if form is formats.MP3_BEHIND_JUNK else sample(form)
    monkeypatch.delattr("transforms.audio.sndfile.decode")
    monkeypatch.delattr(ffmpeg, "decode")
    name = f"x.{(form.extensions or ('x',))[0]}"
    assert decode.decode(content, max_duration=30.0, name_hint=name).samples.any()


@every(lambda form: form.end and form is not formats.MP3_BEHIND_JUNK)
def test_a_file_is_whole_up_to_its_end_and_cut_before_it(form):
    content = sample(form)
    end = form.end(content)
    slack = 0 if form.framed else 16
    assert end is not None
    assert 0.9 * len(content) < end <= len(content)
    assert form.shortfall(content) is None
    assert form.shortfall(content[: end - slack]) is None
    assert form.shortfall(content[: end - slack - 1]) == (end, end - slack - 1)
    with pytest.raises(ClipRejected) as refusal:
        decode.decode(content[: end - slack - 1], max_duration=30.0)
    assert refusal.value.reason == reasons.TRUNCATED


@every(lambda form: form.is_whole)
def test_a_file_whose_last_page_lacks_a_byte_has_no_is_whole(form):
    for content, _ in samples()[form.name]:
        assert form.is_whole(content)
        assert not form.is_whole(content[:-1])
        with pytest.raises(ClipRejected) as refusal:
            decode.decode(content[:-1], max_duration=30.0)
        assert refusal.value.reason == reasons.TRUNCATED


def test_an_mp3_that_lacks_a_frame_of_those_it_claims_is_cut():
    content = next(content for content, name in samples()["mp3"] if name == "mp3")
    claims = formats.MP3.claims
    assert claims is not None
    assert (claims(content).missing, claims(content).right) == (None, True)
    held = frames.mp3_layout(content).audio_frames
    last = frames.mpeg_frames(content, tags.audio_start(content)).starts[-1]
    assert claims(content[:last]).missing == (held, held - 1)


@every(lambda form: form.unpadded)
def test_the_padding_of_a_last_block_is_cut_off(form):
    (content,) = (content for content, name in samples()[form.name] if name == "wav IMA ADPCM")
    assert form.unpadded(content) == 44_100
    decoded = soundfile.info(io.BytesIO(content)).frames
    assert decoded > 44_100 == len(decode.decode(content, max_duration=30.0).samples)


@every(lambda form: form.exact_samples)
def test_where_samples_are_counted_not_one_may_be_missing(form):
    content = bytearray(sample(form))
    total = int.from_bytes(content[18:26], "big")
    for missing, refused in ((0, False), (1, True)):
        content[18:26] = (total + missing).to_bytes(8, "big")
        if refused:
            with pytest.raises(ClipRejected):
                decode.decode(bytes(content), max_duration=30.0)
        else:
            assert len(decode.decode(bytes(content), max_duration=30.0).samples)


@every(lambda form: form.exact_duration)
def test_where_a_duration_is_exact_a_decode_that_falls_short_of_it_is_a_cut(form, monkeypatch):
    content, whole = sample(form), libav.decode

    def half(*args):
        decoded = whole(*args)
        assert decoded is not None
        return replace(decoded, samples=decoded.samples[: len(decoded.samples) // 2])

    monkeypatch.setattr(libav, "decode", half)
    monkeypatch.setattr("transforms.audio.sndfile.decode", lambda *args: None)
    with pytest.raises(ClipRejected, match="could be decoded"):
        decode.decode(content, max_duration=30.0)


def test_the_lossless_codecs():
    assert formats.lossless_codecs() == {"flac", "alac", "wavpack", "tta", "ape"}


@every(lambda form: form.own_audio)
def test_a_formats_own_audio_has_no_tags_and_the_same_samples(form):
    content = next(content for content, name in samples()[form.name] if name in ("mp3", "flac 16-bit", "aac adts"))
    tags = b"ID3\x04\0\0\0\0\0\x0a" + b"a title   "
    own = form.own_audio(content if form.name == "flac" else tags + content)
    assert b"title" not in own
    first, second = (decode.decode(each, max_duration=30.0).samples for each in (content, own))
    assert np.array_equal(first, second)


@every(lambda form: form.seconds)
def test_frames_that_are_counted_give_the_length(form):
    assert form.seconds(sample(form)) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(
    ("name", "change", "sndfile"),
    [
        ("flac 16-bit", lambda content: content, True),
        ("flac 16-bit", lambda content: content[:21] + bytes([content[21] & 0xF0]) + bytes(4) + content[26:], False),
        ("caf", lambda content: content, True),
        ("caf alac", lambda content: content, False),
        ("ogg vorbis", lambda content: content, True),
        ("ogg opus", lambda content: content, False),
        ("mp3", lambda content: content, True),
        ("mp3", lambda content: bytes(500) + content, False),
    ],
)
def test_a_variant_keeps_the_name_and_the_end_of_its_row_and_loses_libsndfile(name, change, sndfile):
    form = sniff.sniff(change(encoded(tone(700, sounds.BY_NAME[name].rate, 1.0), sounds.BY_NAME[name])))
    row = formats.by_name(form.name)
    assert form.sndfile is sndfile
    assert form.seekable is (sndfile and row.seekable)
    assert (form.name, form.end, form.is_whole) == (row.name, row.end, row.is_whole)


def _au_end(content):
    start, size = (int.from_bytes(content[at : at + 4], "little") for at in (4, 8))
    return start + size


# Sun's AU with its bytes the other way round, which libsndfile reads and no row names.
TOY = Format("toy", "au", ("toy",), (b"dns.",), sndfile=True, seekable=True, end=_au_end)


@pytest.fixture
def toy():
    stream = io.BytesIO()
    with soundfile.SoundFile(stream, "w", 16_000, 1, "PCM_16", "LITTLE", "AU") as file:
        file.write(tone(440, 16_000))
    return stream.getvalue()


def test_before_its_row_is_there_a_toy_format_is_seen_nowhere(toy):
    with pytest.raises(ClipRejected):
        sniff.sniff(toy)
    assert "toy" not in formats.names()
    assert formats.by_extension("toy") is None


@pytest.fixture
def with_toy(monkeypatch):
    monkeypatch.setattr(formats, "FORMATS", (*FORMATS, TOY))


@pytest.mark.usefixtures("with_toy")
def test_a_row_added_at_run_time_is_sniffed_and_decoded(toy):
    assert sniff.sniff(toy) is TOY
    wave = decode.decode(toy, max_duration=30.0)
    assert (wave.source_format, wave.samples.shape) == ("toy/pcm_16", (32_000, 1))


@pytest.mark.usefixtures("with_toy")
def test_a_row_added_at_run_time_has_its_segments_sought(toy, monkeypatch):
    monkeypatch.delattr(libav, "decode")
    wave = decode.decode_segment(io.BytesIO(toy), offset=1.0, duration=0.5, max_duration=30.0)
    assert np.array_equal(wave.samples, decode.decode(toy, max_duration=30.0).samples[16_000:24_000])


@pytest.mark.usefixtures("with_toy")
@pytest.mark.parametrize(("missing", "refused"), [(16, False), (17, True)])
def test_the_end_that_an_added_row_declares_is_respected(toy, missing, refused):
    if not refused:
        assert len(decode.decode(toy[:-missing], max_duration=30.0).samples) == 32_000 - missing // 2
        return
    with pytest.raises(ClipRejected) as refusal:
        decode.decode(toy[:-missing], max_duration=30.0)
    assert refusal.value.detail == f"truncated: the file declares {len(toy):,} bytes and has {len(toy) - 17:,}"


@pytest.mark.usefixtures("with_toy")
def test_an_added_row_that_libsndfile_does_not_read_is_libavs(toy, monkeypatch):
    au = io.BytesIO()
    soundfile.write(au, tone(440, 16_000), 16_000, "PCM_16", format="AU")
    toy_of_libavs = Format("toy", "au", magic=(b"!toy",), start=lambda content: 4)
    monkeypatch.setattr(formats, "FORMATS", (*FORMATS, toy_of_libavs))
    wave = decode.decode(b"!toy" + au.getvalue(), max_duration=30.0)
    assert (wave.source_format, wave.samples.shape) == ("toy/pcm_s16be", (32_000, 1))


@pytest.mark.usefixtures("with_toy")
def test_the_extension_of_an_added_row_is_audio_in_folders_and_lists(tmp_path):
    for name, content in {"a.TOY": b"", "a.txt": b"a text", "list.txt": b"clips/b.toy|a text\n"}.items():
        (tmp_path / name).write_bytes(content)
    pair, *_ = manifests.read_rows(str(tmp_path), "pairs", True, Storage())
    assert (pair.fields["audio"], pair.fields["text"]) == ("a.TOY", "a text")
    (row,) = manifests.read_rows(str(tmp_path / "list.txt"), "list.txt", False, Storage())
    assert row.fields == {"audio": "clips/b.toy", "text": "a text"}


@pytest.mark.usefixtures("with_toy")
def test_an_added_row_is_listed_in_the_docs_and_in_the_help(capsys):
    assert "| `toy` | toy | libsndfile | yes | declared bytes |" in tables.FORMATS_TABLE.lines()
    assert "toy" in _formats_in_help(capsys)


def test_the_help_lists_every_format(capsys):
    assert _formats_in_help(capsys) == formats.names()


def _formats_in_help(capsys):
    from cliptune.main import main  # noqa: PLC0415 - a test of the help alone

    with pytest.raises(SystemExit):
        main(["prepare", "--help"])
    listed = re.search(r"formats read: ((?:[\w,]+\s+)*?\w+)\n\n", capsys.readouterr().out)
    assert listed
    return listed[1].replace(",", " ").split()
