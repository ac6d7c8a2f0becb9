"""The builds that are found out without loading a library are those of the libraries that are then loaded."""

import av
import pytest
import soundfile

from transforms.audio import builds


def test_the_builds_are_those_of_the_libraries_in_use():
    found = builds.builds()
    assert found["libsndfile"] == soundfile.__libsndfile_version__
    assert (found["soundfile"], found["av"]) == (soundfile.__version__, av.__version__)
    assert found["libav"] == av.ffmpeg_version_info
    assert all(found.values())


@pytest.mark.parametrize("library", ["_libsndfile", "_libav"])
def test_a_library_that_is_in_no_wheel_is_loaded_and_asked(library, monkeypatch):
    before = getattr(builds, library)()
    monkeypatch.setattr(builds, "_asked", lambda *args: "")
    assert getattr(builds, library)() == before


@pytest.mark.parametrize(
    ("package", "pattern"), [("no_such_package", "libsndfile*"), ("_soundfile_data", "no*"), ("av", "../av.libs/lib*")]
)
def test_a_wheel_that_does_not_hold_exactly_one_such_library_tells_nothing(package, pattern):
    assert builds._asked(package, "", pattern, "sf_version_string") == ""
