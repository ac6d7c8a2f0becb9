"""The names right below a folder, on disk, confined and in a bucket."""

import pytest

from transforms.errors import OutsideError
from transforms.storage import Storage


def test_names_are_those_of_files_folders_and_links_of_any_kind(tmp_path):
    (tmp_path / "in/folder/deep").mkdir(parents=True)
    (tmp_path / "in/file").touch()
    (tmp_path / "in/to nowhere").symlink_to(tmp_path / "nothing")
    (tmp_path / "in/out").symlink_to("/")
    expected = ["file", "folder", "out", "to nowhere"]
    assert Storage().names(f"{tmp_path}/in") == expected
    assert Storage().within([str(tmp_path)]).names(f"{tmp_path}/in") == expected


@pytest.mark.parametrize("folder", ["nothing", "file", "file/below"])
def test_where_there_is_no_folder_there_are_no_names(tmp_path, folder):
    (tmp_path / "file").touch()
    assert Storage().names(f"{tmp_path}/{folder}") == []


def test_a_folder_that_leads_out_is_not_listed(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/out").symlink_to("/")
    with pytest.raises(OutsideError):
        Storage().within([f"{tmp_path}/in"]).names(f"{tmp_path}/in/out")


def test_in_a_bucket(bucket):
    for name in ("runs/a/job.json", "runs/a/x/y", "runs/b", "runsc/d", "other"):
        Storage().write_bytes(f"{bucket}/{name}", b"x")
    assert Storage().names(f"{bucket}/runs") == ["a", "b"]
    assert Storage().names(f"{bucket}/nothing") == []
