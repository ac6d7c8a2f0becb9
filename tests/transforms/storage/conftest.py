"""What tests of the storage share."""

import pytest


@pytest.fixture(params=["local", "gs"])
def root(request, tmp_path):
    """A folder that each law is tried in: on disk, and in a bucket."""
    return str(tmp_path) if request.param == "local" else request.getfixturevalue("bucket") + "/some/folder"
