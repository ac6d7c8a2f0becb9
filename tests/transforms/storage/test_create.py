"""Files that are created exclusively, and how old they are: on the disk, in a bucket, without links."""

import errno
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from transforms.errors import UserError
from transforms.storage import Storage

storage = Storage()


@pytest.fixture(params=["disk", "bucket", "disk without links"])
def folder(request, tmp_path, gcs, monkeypatch):
    if request.param == "bucket":
        return "gs://cliptune-test/folder"
    if request.param == "disk without links":

        def link(source, target):
            raise PermissionError(errno.EPERM, "not permitted")

        monkeypatch.setattr(os, "link", link)
    return str(tmp_path / "folder")


def test_of_all_who_create_a_file_one_succeeds(folder):
    barrier = threading.Barrier(12)

    def create(number):
        barrier.wait()
        return storage.create(f"{folder}/file", b"%d" % number)

    with ThreadPoolExecutor(12) as pool:
        created = list(pool.map(create, range(12)))
    assert created.count(True) == 1
    assert storage.read_bytes(f"{folder}/file") == b"%d" % created.index(True)
    assert storage.list_files(folder) == [f"{folder}/file"]


@pytest.mark.parametrize("nth", range(3))
def test_a_lost_answer_is_one_file_and_its_own(gcs, nth):
    gcs.faults = {nth: "lost answer"}
    assert storage.create("gs://cliptune-test/a", b"mine")
    assert not storage.create("gs://cliptune-test/a", b"another's")
    assert storage.read_bytes("gs://cliptune-test/a") == b"mine"


def test_a_folder_of_that_name_is_no_place(tmp_path):
    (tmp_path / "file/x").mkdir(parents=True)
    assert not storage.create(str(tmp_path / "file"), b"")


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        storage.create(str(tmp_path / "file/x"), b"")


@pytest.mark.parametrize("skew", [-86_400.0, 0.0, 86_400.0])
def test_the_age_of_a_file_is_told_by_the_clock_of_its_storage(folder, monkeypatch, skew):
    storage.write_bytes(f"{folder}/file", b"")
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + skew)
    assert 0 <= storage.age(f"{folder}/file") < 30
    assert storage.list_files(folder) == [f"{folder}/file"]
    with pytest.raises(FileNotFoundError):
        storage.age(f"{folder}/none")


@pytest.mark.parametrize(("seconds", "age"), [(100.0, 100.0), (-100.0, 0.0)])
def test_the_age_of_a_file_on_the_disk(tmp_path, seconds, age):
    path = tmp_path / "file"
    path.touch()
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))
    assert age <= storage.age(str(path)) < age + 30
