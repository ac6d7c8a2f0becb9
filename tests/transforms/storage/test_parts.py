"""Half-written files: whose they are, who removes them, and what a guard keeps from happening."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from tests import processes
from transforms.errors import OvertakenError, StorageError, UserError
from transforms.locks import held
from transforms.storage import Guard, Storage, parts, uris

storage = Storage()
ME, OTHER = "a" * 16, "b" * 16


def part(owner, number=0):
    return f"{parts.PART_PREFIX}{owner}-{number:032x}"


def guarded(root, owner=ME):
    """A storage that writes into a folder as long as `own` says that it is `owner`'s."""
    uri = uris.join(root, "own")
    storage.write_bytes(uri, owner.encode())
    return replace(storage, guard=Guard(uri, storage.generation(uri), owner, "it is another's"))


def left_in(folder):
    return sorted(path.name for path in folder.rglob(f"{parts.PART_PREFIX}*"))


WRITING = """
import sys
from transforms.storage import Storage
with Storage().write(sys.argv[1]):
    print("begun", flush=True)
    sys.stdin.read()
"""


def test_what_a_living_process_writes_stays_and_what_a_killed_one_wrote_is_swept(tmp_path):
    words = [sys.executable, "-c", WRITING, str(tmp_path / "train/file")]
    with processes.running(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        storage.sweep(str(tmp_path))
        assert len(left_in(tmp_path)) == 1
        process.kill()
        process.wait(processes.LIMIT_SECONDS)
    storage.sweep(str(tmp_path))
    assert left_in(tmp_path) == []
    with storage.write(str(tmp_path / "mine")) as file:
        storage.sweep(str(tmp_path))
        file.write(b"whole")
    assert storage.read_bytes(str(tmp_path / "mine")) == b"whole"


def test_a_guard_removes_what_other_owners_are_writing_and_nothing_else(tmp_path):
    mine, deep = guarded(str(tmp_path)), tmp_path / "audio/ab"
    deep.mkdir(parents=True)
    for owner in (ME, OTHER):
        (deep / part(owner)).touch()
        (deep / part(owner, 1)).mkdir()
        (deep / part(owner, 1) / "0").touch()
    descriptors = [os.open(deep / part(owner), os.O_RDWR) for owner in (ME, OTHER)]
    descriptors.append(os.open(deep / part(ME, 1), os.O_RDONLY))
    assert all(map(held, descriptors))
    (deep / ".cliptune-partner").touch()
    mine.sweep(str(tmp_path))
    assert sorted(path.name for path in deep.iterdir()) == [part(ME), part(ME, 1), ".cliptune-partner"]
    for descriptor in descriptors:
        os.close(descriptor)


def test_another_dataset_within_the_folder_is_left_alone(tmp_path):
    mine = guarded(str(tmp_path))
    (tmp_path / "sub/train").mkdir(parents=True)
    (tmp_path / "sub/own").touch()
    (tmp_path / "sub/train" / part(OTHER)).touch()
    mine.sweep(str(tmp_path))
    assert left_in(tmp_path) == [part(OTHER)]


def test_links_with_such_names_are_removed_and_not_followed(tmp_path):
    (tmp_path / "thesis").write_text("my only copy")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/thesis").write_text("my only copy")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / part(OTHER)).symlink_to(tmp_path / "thesis")
    (tmp_path / "out" / part(OTHER, 1)).symlink_to(tmp_path / "folder")
    os.mkfifo(tmp_path / "out" / part(OTHER, 2))
    storage.sweep(str(tmp_path / "out"))
    assert list((tmp_path / "out").iterdir()) == []
    assert [path.read_text() for path in tmp_path.rglob("thesis")] == ["my only copy"] * 2


def test_what_may_not_be_removed_stays(tmp_path, monkeypatch):
    def refuse(*words):
        raise PermissionError(13, os.strerror(13))

    (tmp_path / part(OTHER)).touch()
    (tmp_path / part(OTHER, 1)).mkdir()
    for name in ("unlink", "rename", "rmdir"):
        monkeypatch.setattr(os, name, refuse)
    storage.sweep(str(tmp_path))
    assert left_in(tmp_path) == [part(OTHER), part(OTHER, 1)]


def test_where_no_locks_are_known_only_parts_of_other_owners_are_swept(tmp_path, monkeypatch):
    def no_locks(*words):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", no_locks)
    mine = guarded(str(tmp_path))
    for owner in (ME, OTHER):
        (tmp_path / part(owner)).touch()
    mine.sweep(str(tmp_path))
    assert left_in(tmp_path) == [part(ME)]
    mine.delete(str(tmp_path / "nothing"))
    mine.write_bytes(str(tmp_path / "x"), b"whole")
    assert left_in(tmp_path) == [part(ME)]


def test_a_guarded_write_and_deletion_take_effect_while_the_folder_is_mine(root):
    mine, uri = guarded(root), uris.join(root, "train/file")
    for content in (b"one", b"two"):
        mine.write_bytes(uri, content)
        assert storage.read_bytes(uri) == content
    mine.confirm()
    mine.remove(root, [uri, uris.join(root, "missing"), uris.join(root, "train")])
    mine.delete(uris.join(root, "missing"))
    assert storage.list_files(root) == [uris.join(root, "own")]


@pytest.mark.parametrize("there", [True, False])
def test_nothing_is_written_or_removed_once_it_is_anothers(root, there):
    mine, uri = guarded(root), uris.join(root, "train/file")
    if there:
        storage.write_bytes(uri, b"theirs")
    before = storage.list_files(root)
    with pytest.raises(OvertakenError, match=r"^it is another's$"), mine.write(uri) as file:
        file.write(b"mine")
        guarded(root, OTHER)
    for call in (lambda: mine.delete(uri), lambda: mine.remove(root, [uri, f"{uri}2"]), mine.confirm):
        with pytest.raises(OvertakenError):
            call()
    assert storage.list_files(root) == before
    assert not there or storage.read_bytes(uri) == b"theirs"


def test_the_same_contents_written_anew_are_another_version(root):
    mine = guarded(root)
    guarded(root, OTHER)
    guarded(root, ME)
    with pytest.raises(OvertakenError):
        mine.confirm()


def test_a_file_without_a_version_is_none(root):
    assert storage.generation(uris.join(root, "own")) == ""
    guarded(root)
    storage.delete(uris.join(root, "own"))
    assert storage.generation(uris.join(root, "own")) == ""


def test_what_was_removed_before_it_got_its_name_is_told(tmp_path):
    with (
        pytest.raises(StorageError, match="what was written was removed meanwhile"),
        storage.write(str(tmp_path / "x")),
    ):
        next(tmp_path.iterdir()).unlink()
    assert list(tmp_path.iterdir()) == []


def test_a_write_below_a_link_is_refused(tmp_path):
    mine = guarded(str(tmp_path / "out"))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out/audio").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is a link to another folder"):
        mine.write_once(str(tmp_path / "out/audio/ab/x"), b"", "audio/flac")
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("name", ["train.jsonl.compose-00000", f"000001.json.now-{'0' * 32}"])
@pytest.mark.parametrize(("age", "left"), [(3_600.0, True), (3_600.5, False)])
def test_intermediate_objects_of_killed_processes_are_swept_after_an_hour(bucket, monkeypatch, name, age, left):
    monkeypatch.setattr("transforms.storage.gcs.Gcs.age", lambda self, uri: age)
    kept = [f"{bucket}/out/tuning/train.jsonl", f"{bucket}/out/tuning/notes.compose-me"]
    for uri in (*kept, f"{bucket}/out/tuning/{name}"):
        storage.write_bytes(uri, b"")
    storage.sweep(f"{bucket}/out/tuning")
    assert storage.list_files(bucket) == sorted([*kept, *([f"{bucket}/out/tuning/{name}"] if left else [])])
