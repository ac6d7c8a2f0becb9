"""Other flags, rights and ways to the recordings than those of the earlier run: what may be read is asked anew."""

import os
import shutil
from pathlib import Path

import pytest
import soundfile

from cliptune.main import main
from tests.beam_pipeline.conftest import contents, ledger, write_manifest
from tests.sounds import tone
from transforms.dataset import look

RATE = 16_000
FLAGS = ("--max_rejected_fraction=1",)


def sound(path, hertz):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone(hertz, RATE, 0.3), RATE, "PCM_16")


def refused(output):
    return {row["clip_id"]: row["reason"] for row in ledger(output) if row["status"] == "rejected"}


@pytest.fixture(params=["marked", "unmarked"])
def place(request, tmp_path, small_shards, monkeypatch):
    """The current folder: `here/m.jsonl` names recordings of its own folder and, by links, of two others."""
    if request.param == "marked":
        monkeypatch.setattr(look, "UNSETTLED_NS", -(10**18))
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(["here/0.wav", "here/1.wav", "b/2.wav", "b/3.wav", "c/4.wav"]):
        sound(tmp_path / name, 300 + 50 * number)
    Path("here/2.wav").symlink_to("../b/2.wav")
    Path("here/b").symlink_to("../b")
    os.link("c/4.wav", "here/4.wav")
    names = ["0.wav", "1.wav", "2.wav", "b/3.wav", "../c/4.wav"]
    rows = [{"id": name, "audio": name, "text": f"text {name}", "split": "train"} for name in names]
    write_manifest(tmp_path / "here/m.jsonl", rows)
    return tmp_path


def is_as_new(place, prepare, *flags):
    """Whether the command, run again, leaves what it would leave in an empty folder."""
    again = prepare("here/m.jsonl", "out", *FLAGS, *flags)
    shutil.rmtree(place / "new", ignore_errors=True)
    new = prepare("here/m.jsonl", "new", *FLAGS, *flags)
    assert (again.status, new.status) == (0, 0), again.stderr + new.stderr
    spelled = ("manifests.json", "checksums.json")
    return contents(place / "out", spelled) == contents(place / "new", spelled)


OUTSIDE = {"2.wav": "path_not_allowed", "b/3.wav": "path_not_allowed", "../c/4.wav": "path_not_allowed"}
B, C = "--allow_path=b", "--allow_path=c"


@pytest.mark.sweep
@pytest.mark.parametrize(
    "steps",
    [
        [(), (B,), (B, C)],  # wider and wider
        [(B, C), (B,), ()],  # narrower and narrower
        [(B,), (C,), (B,)],  # others
        [(), ("--allow_path=.",), ()],
        [(B, C), (C, B), ("--allow_path=./b/", "--allow_path=here/../c")],  # the same in other words
    ],
)
def test_an_allowed_folder_that_comes_or_goes(place, prepare, steps):
    for number, flags in enumerate(steps):
        assert is_as_new(place, prepare, *flags)
        allowed = {Path(flag.partition("=")[2]).resolve().name for flag in flags}
        everywhere = place.name in allowed
        wanted = {
            name: reason
            for name, reason in OUTSIDE.items()
            if not everywhere and ("c" if "4" in name else "b") not in allowed
        }
        assert refused(place / "out") == wanted
        if number:
            (place / "out/report.html").unlink()  # what is not finished is looked at shard by shard


def test_a_merge_with_a_wider_list_takes_what_was_refused(place, prepare):
    assert prepare("here/m.jsonl", "out", *FLAGS).json["rejected"] == 3
    shutil.copyfile("out/rejected.jsonl", "r.jsonl")
    assert main(["prepare", "--merge_into=out", "--manifest=r.jsonl", B, C, *FLAGS]) == 0
    assert refused(place / "out") == {}
    assert prepare("here/m.jsonl", "out", B, *FLAGS).status == 0
    assert refused(place / "out") == {"../c/4.wav": "path_not_allowed"}


def a_link_is_repointed(place):
    sound(place / "b/other.wav", 900)
    (place / "here/2.wav").unlink()
    (place / "here/2.wav").symlink_to("../b/other.wav")


def a_link_to_a_folder_is_repointed(place):
    shutil.copytree(place / "b", place / "b2")
    sound(place / "b2/3.wav", 900)
    (place / "here/b").unlink()
    (place / "here/b").symlink_to("../b2")


def another_file_of_the_same_size_and_time(place):
    """As `cp -p` brings it."""
    path, status = place / "b/2.wav", (place / "b/2.wav").stat()
    sound(place / "b/x.wav", 900)
    os.utime(place / "b/x.wav", ns=(status.st_atime_ns, status.st_mtime_ns))
    (place / "b/x.wav").replace(path)


def written_through_another_name(place):
    """A hard link: the folder that the manifest names is not touched."""
    status = (place / "here/4.wav").stat()
    other = place / "here/other name.wav"
    os.link(place / "c/4.wav", other)
    sound(place / "x.wav", 900)
    other.write_bytes((place / "x.wav").read_bytes())
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))


def two_folders_change_places(place):
    """Each path, length and time is as it was."""
    shutil.copytree(place / "b", place / "d")
    sound(place / "d/2.wav", 900)
    for name in ("2.wav", "3.wav"):
        status = (place / "b" / name).stat()
        os.utime(place / "d" / name, ns=(status.st_atime_ns, status.st_mtime_ns))
    (place / "b").rename(place / "e")
    (place / "d").rename(place / "b")


def restored_from_an_old_backup(place):
    sound(place / "b/3.wav", 900)
    os.utime(place / "b/3.wav", (1_000_000_000, 1_000_000_000))


def written_when_the_clock_was_ahead(place):
    sound(place / "b/3.wav", 900)
    os.utime(place / "b/3.wav", (4_000_000_000, 4_000_000_000))


def the_folder_of_the_manifest_is_a_copy(place):
    """Behind a link in its place, with one other recording."""
    shutil.copytree(place / "here", place / "there", symlinks=True)
    sound(place / "there/1.wav", 900)
    (place / "here").rename(place / "before")
    (place / "here").symlink_to("there")


WAYS = [
    *(a_link_is_repointed, a_link_to_a_folder_is_repointed, another_file_of_the_same_size_and_time),
    *(written_through_another_name, two_folders_change_places, restored_from_an_old_backup),
    *(written_when_the_clock_was_ahead, the_folder_of_the_manifest_is_a_copy),
]
EVERYWHERE = "--allow_path=."


@pytest.mark.sweep
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_another_recording_by_another_way(place, prepare, way):
    assert prepare("here/m.jsonl", "out", *FLAGS, EVERYWHERE).json["rejected"] == 0
    before = (place / "out/ledger/ledger-00000-of-00001.parquet").read_bytes()
    way(place)
    assert is_as_new(place, prepare, EVERYWHERE)
    assert (place / "out/ledger/ledger-00000-of-00001.parquet").read_bytes() != before


def renamed_and_linked(place):
    (place / "b").rename(place / "b on another disk")
    (place / "b").symlink_to("b on another disk")


def copied_and_renamed(place):
    shutil.copytree(place / "b", place / "d")
    shutil.rmtree(place / "b")
    (place / "d").rename(place / "b")


def one_more_name(place):
    os.link(place / "b/2.wav", place / "b/9.wav")


@pytest.mark.parametrize("harmless", [renamed_and_linked, copied_and_renamed, one_more_name])
def test_the_same_recordings_by_another_way_are_not_decoded(place, prepare, harmless):
    first = prepare("here/m.jsonl", "out", *FLAGS, EVERYWHERE)
    harmless(place)
    assert prepare("here/m.jsonl", "out", *FLAGS, EVERYWHERE).json["reused"] == first.json["rows"]
    assert is_as_new(place, prepare, EVERYWHERE)
