"""What hostile files and decoders try: no other file is read, nothing is connected to, no worker is lost."""

import io
import socket
import stat
import struct
import sys
from dataclasses import replace

import av
import numpy as np
import pytest
import soundfile

from tests import shards
from tests.sounds import BY_NAME, encoded, level_db, run_ffmpeg, tone
from transforms import reasons
from transforms.audio import builds, encode, ffmpeg, formats, libav
from transforms.audio.formats import FORMATS
from transforms.clip import Clip
from transforms.dataset.output import Output
from transforms.errors import ClipRejected
from transforms.settings import Settings
from transforms.storage import Storage

SECRET_HZ = 1_234


@pytest.fixture
def listener():
    """A port that somebody might be talked into connecting to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        yield server


@pytest.fixture
def place(tmp_path):
    """A folder for clips, and a secret recording beside it that no clip may play."""
    (tmp_path / "in").mkdir()
    for name in ("secret.wav", "in/neighbour.wav"):
        soundfile.write(tmp_path / name, tone(SECRET_HZ, 16_000), 16_000, "PCM_16")
    return tmp_path


def prepared(place, clip):
    settings = Settings()
    output = Output(str(place / "out"), str(place / "in"), (str(place / "in"),), {"train": 1}, settings, Storage())
    return shards.prepared(clip, output)


def texts(place, port):
    secret, url = place / "secret.wav", f"http://127.0.0.1:{port}/x.wav"
    hls = "#EXTM3U\n#EXT-X-TARGETDURATION:20\n#EXTINF:10.0,\n{}\n#EXT-X-ENDLIST\n"
    yield from (hls.format(what) for what in (f"file://{secret}", url, f"concat:{secret}", "neighbour.wav"))
    yield from (f"ffconcat version 1.0\nfile '{what}'\n" for what in (secret, url, "neighbour.wav"))
    yield f"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
    yield f"[playlist]\nFile1={secret}\nNumberOfEntries=1\n"
    yield f"{secret}\n"
    yield f'<asx version="3.0"><entry><ref href="{url}"/></entry></asx>'
    yield f"RTSPtext\nrtsp://127.0.0.1:{port}/x\n"
    yield f"[Reference]\nRef1={url}\n"
    yield ";FFMETADATA1\ntitle=x\n"
    yield 'WavSource("secret.wav")\n'
    yield f"<?xml version='1.0'?><MPD><BaseURL>{url}</BaseURL></MPD>"


def test_texts_that_lead_elsewhere_lead_nowhere(place, listener):
    for number, text in enumerate(texts(place, listener.getsockname()[1])):
        for suffix in ("wav", "m3u8", "mp3"):
            name = f"{number}.{suffix}"
            (place / "in" / name).write_text(text)
            line, outcome = prepared(place, Clip(name, name, "x"))
            assert (line, outcome.reason) == (b"", reasons.NOT_AUDIO.name), text
    with pytest.raises(BlockingIOError):
        listener.accept()


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_no_demuxer_is_led_elsewhere_by_a_text(place, listener, form):
    for text in texts(place, listener.getsockname()[1]):
        try:
            decoded = libav.decode(io.BytesIO(text.encode()), form, 30.0)
        except ClipRejected:
            continue
        # Raw samples may be anything, even letters; so it is their length that tells them from another file's.
        assert decoded is None or len(decoded.samples) <= 160 * (len(text) // 33 + 1)
    with pytest.raises(BlockingIOError):
        listener.accept()


def alias(target):
    """A QuickTime alias, which says that a track's samples are in another file."""
    path = ("volume" + str(target).replace("/", ":")).encode()
    names = bytes([6]) + b"volume".ljust(27, b"\0") + bytes(12) + bytes([1]) + b"x".ljust(63, b"\0")
    record = struct.pack(">HH", 2, len(path)) + path + bytes(len(path) % 2)
    return bytes(10) + names + bytes(16) + struct.pack(">HH", 1, 1) + bytes(16) + record + struct.pack(">HH", 0xFFFF, 0)


def referring(target):
    """A QuickTime film whose sound is in another file."""
    wav = io.BytesIO()
    soundfile.write(wav, tone(300, 16_000, 1.0), 16_000, "PCM_16", format="WAV")
    film = bytearray(run_ffmpeg(wav.getvalue(), "-c:a", "pcm_s16le", "-f", "mov"))
    reference = struct.pack(">I4sI", 12 + len(alias(target)), b"alis", 0) + alias(target)
    at = 0
    for name in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        while bytes(film[at + 4 : at + 8]) != name:
            at += int.from_bytes(film[at : at + 4], "big")
        size = int.from_bytes(film[at : at + 4], "big") + len(reference) - 12
        film[at : at + 4] = size.to_bytes(4, "big")
        at += 8
    film[at + 8 : at + 20] = reference  # in the place of "the samples are in this file"
    return bytes(film)


DEREFERENCING = {"enable_drefs": "1", "use_absolute_path": "1"}


@pytest.mark.parametrize("options", [{}, DEREFERENCING], ids=["as it is", "if the demuxer were willing"])
def test_a_film_does_not_play_the_file_that_it_refers_to(place, options):
    content = referring(place / "secret.wav")
    form = replace(formats.by_name("mp4"), options=tuple(options.items()))
    decoded = libav.decode(io.BytesIO(content), form, 30.0)
    assert decoded is not None
    assert decoded.samples.shape == (0, 1)
    (place / "in/film.mov").write_bytes(content)
    line, outcome = prepared(place, Clip("x", "film.mov", "x"))
    assert (line, outcome.status) == (b"", "rejected")


def test_that_film_would_play_it_by_its_name(place):
    """Else the test above would prove nothing."""
    (place / "film.mov").write_bytes(referring(place / "secret.wav"))
    with av.open(str(place / "film.mov"), options=DEREFERENCING) as film:
        samples = np.concatenate([frame.to_ndarray()[0] for frame in film.decode(audio=0)]) / 32_768
    assert abs(level_db(samples, SECRET_HZ, 16_000) - 20 * np.log10(0.5)) < 0.1


@pytest.mark.parametrize(
    "path",
    [
        "concat:{secret}", "concat:neighbour.wav|neighbour.wav", "subfile,,start,0,end,0,,:{secret}", "file:{secret}",
        "pipe:0", "-", "-i", "%03d.wav", "*.wav", "neigh?our.wav", "~/x.wav", "$HOME/x.wav", "crypto:{secret}",
        "data:audio/wav;base64,AAAA", "async:{secret}", "cache:{secret}", "fd:0", "neighbour.wav\0.txt",
        "../secret.wav", "a/../../secret.wav",
    ],
)  # fmt: skip
def test_names_are_names(place, path):
    line, outcome = prepared(place, Clip("x", path.format(secret=place / "secret.wav"), "x"))
    assert line == b""
    refusals = (reasons.NOT_FOUND, reasons.PATH_NOT_ALLOWED, reasons.NOT_A_FILE, reasons.NOT_A_PATH)
    assert outcome.reason in [reason.name for reason in refusals]


ODD_NAMES = [
    "concat:a.wav",
    "-i",
    "%03d.wav",
    "a*.wav",
    "subfile,,:x.wav",
    "line\nbreak.wav",
    'it\'s "q".wav',
    "http:__x",
]


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize("codec", ["WAV", "OGG"])  # one for each decoder
def test_a_file_may_have_any_name(place, name, codec):
    subtype = {"WAV": "PCM_16", "OGG": "OPUS"}[codec]
    soundfile.write(place / "in" / name, tone(440, 16_000), 16_000, subtype, format=codec)
    _, outcome = prepared(place, Clip("x", name, "x"))
    assert (outcome.status, outcome.num_samples) == ("accepted", 32_000)


def test_what_stands_in_a_secret_file_is_told_to_nobody(place):
    (place / "in/password.wav").write_text("hunter2 is the password\n" * 100)
    _, outcome = prepared(place, Clip("x", "password.wav", "x"))
    assert "hunter2" not in str(outcome)


# AAC whose rate changes on the way: only the program decodes it whole.
CHANGING = b"".join(encoded(tone(440, rate), replace(BY_NAME["aac adts"], rate=rate)) for rate in (16_000, 24_000))


@pytest.fixture
def decoder(tmp_path, monkeypatch):
    """Puts a script in the place of ffmpeg."""

    def install(script):
        path = tmp_path / "decoder"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(builds, "ffmpeg", lambda: str(path))
        monkeypatch.setattr(ffmpeg, "TIMEOUT_PER_AUDIO_SECOND", 0.0)
        return tmp_path

    return install


@pytest.mark.parametrize(
    ("script", "reason", "told"),
    [
        ("kill -SEGV $$", reasons.DECODER_FAULT, "ffmpeg was ended by SIGSEGV"),
        ("exit 1", reasons.DECODE_FAILED, "no audio decoded"),
        ("exit 0", reasons.DECODE_FAILED, "no audio decoded"),
        ("head -c 100000 /dev/urandom", reasons.DECODE_FAILED, "no audio decoded"),
        ("echo RIFFxxxxWAVEdataxxxxxxxx", reasons.DECODE_FAILED, "no audio decoded"),
        ("exec sleep 1000", reasons.DECODER_FAULT, "took longer than 1 s"),
        ("trap '' TERM INT HUP; while true; do true; done", reasons.DECODER_FAULT, "took longer than 1 s"),
        ("exec cat /dev/zero", reasons.FILE_TOO_LARGE, "over the limit"),
        ("exec cat /dev/zero >&2", reasons.DECODER_FAULT, "ffmpeg was ended by SIGXFSZ"),
        (f"exec {sys.executable} -c 'bytes(3 << 30)'", reasons.DECODE_FAILED, "no audio decoded"),
    ],
)
def test_a_decoder_that_fails_costs_one_clip(place, decoder, monkeypatch, script, reason, told):
    monkeypatch.setattr(ffmpeg, "MAX_DECODED_BYTES", 8 << 20)
    monkeypatch.setattr(ffmpeg, "MAX_LOG_BYTES", 1 << 20)
    (place / "in/x.aac").write_bytes(CHANGING)
    decoder(script)
    if "1 s" in told:
        monkeypatch.setattr(ffmpeg, "TIMEOUT_SECONDS", 1.0)
    line, outcome = prepared(place, Clip("x", "x.aac", "x"))
    assert (line, outcome.reason) == (b"", reason.name)
    assert told in outcome.detail


def test_a_fault_of_the_encoder_is_not_the_clips(decoder):
    decoder("exit 1")
    with pytest.raises(RuntimeError, match="cannot encode"):
        encode.encode(np.ones(1_600, np.int16), Settings(audio_format="aac", bitrate=64))
