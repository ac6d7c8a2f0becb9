"""What libraries have to say about a file reaches no terminal: real commands, whose streams are captured."""

import base64
import json
import subprocess
import sys

import pytest

from tests.processes import run
from tests.sounds import BY_NAME, encoded, tone
from transforms.audio import sniff

# What libmpg123, libsndfile and libav say things with.
CHATTER = (
    "mpg123",
    "Illegal",
    "resync",
    "Note:",
    "Warning: Xing",
    "error: Frame",
    "Error A",
    "Error 1",
    "[mp3",
    "[mov",
)


def spoiled():
    """Recordings about which libraries talk."""
    tagged, bare = (encoded(tone(700, 44_100, 2.0), BY_NAME[name]) for name in ("mp3", "mp3 without a header"))
    sds, m4a = (encoded(tone(700, BY_NAME[name].rate, 1.0), BY_NAME[name]) for name in ("sds", "m4a aac"))
    yield "junk.mp3", tagged[:9_000] + b"\xff\xfb\x00junk" * 40 + tagged[9_000:]
    yield "zeros.mp3", bare[:9_000] + bytes(500) + bare[9_000:]
    yield "front.mp3", b"\xff\xfa\x00\x01" * 20 + bare
    yield "lies.mp3", tagged + bytes(9_000)
    yield "cut.mp3", tagged[:-5_000]
    yield "spoiled.sds", sds[:3_000] + bytes(300) + sds[3_300:]
    yield "spoiled.m4a", m4a[:2_000] + b"\xff" * 300 + m4a[2_300:]


FILES = dict(spoiled())


def libsndfile_on(content):
    """What a bare call of libsndfile prints."""
    code = (
        "import io, sys, soundfile\n"
        "try: soundfile.read(io.BytesIO(sys.stdin.buffer.read()))\n"
        "except soundfile.LibsndfileError: pass\n"
    )
    found = subprocess.run([sys.executable, "-c", code], input=content, capture_output=True, check=True, timeout=120)
    return (found.stdout + found.stderr).decode()


@pytest.mark.parametrize("name", ["junk.mp3", "front.mp3", "lies.mp3"])
def test_these_files_make_a_library_talk(name):
    """Else the tests below would prove nothing."""
    assert any(word in libsndfile_on(FILES[name]) for word in CHATTER)


def said(done):
    text = done.stdout + done.stderr
    assert "Traceback" not in text
    return [line for line in text.splitlines() if any(word in line for word in CHATTER)]


@pytest.mark.parametrize("payload", ["flac", "mp3"])
def test_prepare_passes_none_of_it_on(tmp_path, payload):
    rows = []
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
        rows.append({"audio": name, "text": f"the words of {name}"})
        rows.append({"audio": name, "text": "a part", "id": f"part of {name}", "offset": 0.2, "duration": 0.5})
    manifest = tmp_path / "m.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = [sys.executable, "-m", "cliptune", "prepare", f"--manifest={manifest}", f"--output={tmp_path}/out"]
    done = run([*words, "--verify", f"--audio_format={payload}", "--max_rejected_fraction=1"])
    assert said(done) == []
    ledger = json.loads((tmp_path / "out/report.json").read_text())
    assert ledger["accepted"] > 2


def example(content, mime_type):
    data = {"inline_data": {"mime_type": mime_type, "data": base64.b64encode(content).decode()}}
    parts = [{"text": "Transcribe."}, data]
    turns = [{"role": "user", "parts": parts}, {"role": "model", "parts": [{"text": "words"}]}]
    return json.dumps({"contents": turns}) + "\n"


def test_check_passes_none_of_it_on(tmp_path):
    """It reads headers in the program itself."""
    path = tmp_path / "x.jsonl"
    types = ("audio/mp3", "audio/mpeg", "audio/mpga")
    path.write_text("".join(example(FILES[name], mime) for name in FILES if name.endswith("mp3") for mime in types))
    for flags in ([], ["--estimate"]):
        done = run([sys.executable, "-m", "cliptune", "check", str(path), *flags])
        assert said(done) == []
        assert done.returncode in (0, 1)


def test_the_length_of_an_mp3_is_counted_where_libsndfile_would_guess():
    for name, seconds in (("mp3", 2.0), ("mp3 without a header", 2.0), ("mp2", 2.0)):
        content = encoded(tone(700, BY_NAME[name].rate, 2.0), BY_NAME[name])
        for tags in (b"", b"ID3\x04\0\0\0\0\0\x0a" + bytes(10)):
            length = sniff.sniff(tags + content).seconds
            assert length is not None
            assert length(tags + content) == pytest.approx(seconds, abs=0.08)
