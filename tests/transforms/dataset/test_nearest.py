"""A recording that is not there: the path that was tried, the nearest that exists, and what is odd about the path."""

import unicodedata

import pytest

from transforms import reasons
from transforms.clip import Clip
from transforms.dataset import nearest
from transforms.dataset.output import Output
from transforms.manifests.dead_letters import Origins
from transforms.settings import Settings
from transforms.storage import Storage

NFC = "é.wav"
NFD = unicodedata.normalize("NFD", NFC)
FILES = ["clips/a1.mp3", "clips/A2.wav", f"clips/{NFC}", "clips/two words.wav", "other/deep/b.flac", "clips/100%25.wav"]


@pytest.fixture
def output(tmp_path):
    for name in FILES:
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).touch()
    origins = Origins({"data/m.csv": str(tmp_path / "data")})
    return Output("", str(tmp_path), (str(tmp_path),), {}, Settings(), Storage(), origins=origins)


def refusal(path, output):
    uri = path if path.startswith("/") else f"data/{path}"
    return nearest.refusal(Clip("a", uri, "x", "data/m.csv:2"), output)


@pytest.mark.parametrize(
    ("path", "found", "why"),
    [
        ("clips\\a1.mp3", "clips/a1.mp3", "\\ is part of a name here: write /"),
        (
            "C:\\Users\\me\\clips\\a1.mp3",
            "clips/a1.mp3",
            "C: is a drive of Windows, and \\ is part of a name here: write /",
        ),
        ("D:/clips/a1.mp3", "clips/a1.mp3", "D: is a drive of Windows"),
        ("clips/a2.WAV", "clips/A2.wav", "another case"),
        ("CLIPS/a1.mp3", "clips/a1.mp3", "another case"),
        ("clips/a1.wav", "clips/a1.mp3", "another extension"),
        ("clips/a1", "clips/a1.mp3", "another extension"),
        ("clips/a1.mp3.wav", "", ""),
        (f"clips/{NFD}", f"clips/{NFC}", "another Unicode form"),
        ("clips/two%20words.wav", "clips/two words.wav", "%XX stands for itself: write the character"),
        ("clips/a1.mp3 ", "clips/a1.mp3", "blanks around it"),
        (" clips/a1.mp3", "clips/a1.mp3", "blanks around it"),
        ("data/clips/a1.mp3", "clips/a1.mp3", "in another folder"),
        ("/home/somebody/clips/a1.mp3", "clips/a1.mp3", "in another folder"),
        ("deep/b.flac", "", ""),
        ("/data/upload/1/0a1b2c3d-a1.mp3", "", "Label Studio's address: write the path of the exported file"),
        (
            "/data/upload/1/0a1b2c3d-clips/a1.mp3",
            "clips/a1.mp3",
            "Label Studio's address: write the path of the exported file",
        ),
        (
            "/data/local-files/?d=clips%2Fa1.mp3",
            "clips/a1.mp3",
            "Label Studio's address: write the path of the exported file",
        ),
        ("~/clips/none.mp3", "", "~ is not expanded: write the home folder in full"),
        ("$HOME/none.mp3", "", "variables are not expanded: write their value"),
        ("${AUDIO}/none.mp3", "", "variables are not expanded: write their value"),
        ("clips/none.mp3", "", ""),
        ("clips", "", ""),
        ("a\0b.wav", "", ""),
    ],
)
def test_the_nearest_that_exists(output, path, found, why):
    refused = refusal(path, output)
    uri = path if path.startswith("/") else f"data/{path}"
    there = f"; the nearest that exists is {found!r}" if found else ""
    assert refused.reason == reasons.NOT_FOUND
    assert refused.detail == f"there is no such file: not found: {uri!r}{there}{f' ({why})' if why else ''}"


@pytest.mark.parametrize("path", ["sox a.wav -t wav - |", "flac -c -d -s /x/a.flac |  ", "data:audio/wav;base64,AAAA"])
def test_what_is_no_path(output, path):
    assert refusal(path, output).reason == reasons.NOT_A_PATH


def test_a_file_that_appears_is_found_by_the_next_row(output, tmp_path):
    assert "nearest" not in refusal("clips/new.wav", output).detail
    (tmp_path / "data/clips/NEW.wav").touch()
    assert "'clips/NEW.wav' (another case)" in refusal("clips/new.wav", output).detail


def test_a_dead_letter_knows_its_root(output, tmp_path):
    row = '{"reject_root": "%s"}' % (tmp_path / "data")
    clip = Clip("a", f"{tmp_path}/data/C:\\x\\clips\\a1.mp3", "x", "out/rejected.jsonl:1", row)
    assert "'clips/a1.mp3' (C: is a drive of Windows" in nearest.refusal(clip, output).detail
