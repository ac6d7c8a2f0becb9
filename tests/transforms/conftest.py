"""What tests of several rooms share."""

import pytest

from tests import shards


@pytest.fixture
def clips(tmp_path):
    """Ten tones and one file that is none."""
    return shards.ten_tones(tmp_path)
