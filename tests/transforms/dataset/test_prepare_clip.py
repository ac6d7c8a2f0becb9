"""One clip: where it may lie, and how long its line may be."""

from dataclasses import replace

import pytest

from tests.shards import output_of, prepared
from transforms import reasons


def test_a_row_confined_to_its_folder_cannot_reach_out(tmp_path, clips):
    output = replace(output_of(tmp_path), allowed=(str(tmp_path / "elsewhere"),))
    line, outcome = prepared(clips[0], output)
    assert (line, outcome.reason) == (b"", reasons.PATH_NOT_ALLOWED.name)
    line, outcome = prepared(replace(clips[0], confined=False), output)
    assert outcome.status == "accepted"


@pytest.mark.parametrize(("limit", "accepted"), [(0, True), (-1, False)])
def test_max_example_bytes_on_both_sides(tmp_path, clips, limit, accepted):
    line, _ = prepared(clips[0], output_of(tmp_path))
    again, outcome = prepared(clips[0], output_of(tmp_path, max_example_bytes=len(line) + limit))
    assert bool(again) == accepted
    assert outcome.reason == (None if accepted else reasons.EXAMPLE_TOO_LARGE.name)
