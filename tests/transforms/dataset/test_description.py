"""`dataset.json`: the bytes of the contract, pinned, and what a damaged one is refused for."""

from dataclasses import asdict, replace
from typing import Any

import orjson
import pytest

from transforms.dataset.description import DatasetDescription, Shard, Split

SHARD = Shard("train/train-00000-of-00001.jsonl", 2, 200, "ab")
NONE = Split(0, 0, 0, 0, ())
DESCRIPTION = DatasetDescription(
    1,
    "f0",
    {"sample_rate": 16_000},
    {"numpy": "2"},
    3,
    2,
    1,
    {"train": Split(2, 200, 24_000, 9, (SHARD,)), "validation": NONE},
)
# As the first version of Cliptune wrote it, but for the checksum.
CONTENT = b"""\
{
  "format_version": 1,
  "fingerprint": "f0",
  "settings": {
    "sample_rate": 16000
  },
  "decoders": {
    "numpy": "2"
  },
  "rows": 3,
  "accepted": 2,
  "rejected": 1,
  "splits": {
    "train": {
      "examples": 2,
      "bytes": 200,
      "audio_samples": 24000,
      "target_chars": 9,
      "shards": [
        {
          "path": "train/train-00000-of-00001.jsonl",
          "examples": 2,
          "bytes": 200,
          "sha256": "ab"
        }
      ]
    },
    "validation": {
      "examples": 0,
      "bytes": 0,
      "audio_samples": 0,
      "target_chars": 0,
      "shards": []
    }
  },
  "checksum": "6a015747b0f3878e860dfbdce781264a22f3e4d9d7295865b302bd6b5b5f7b2d"
}
"""


def test_the_file_is_what_it_was():
    assert DESCRIPTION.dump() == CONTENT
    assert DatasetDescription.load(CONTENT) == DESCRIPTION


def test_an_earlier_version_wrote_it_without_a_checksum():
    tree = orjson.loads(CONTENT)
    del tree["checksum"]
    assert DatasetDescription.load(orjson.dumps(tree)) == DESCRIPTION


def test_what_is_altered_by_hand_is_refused():
    with pytest.raises(ValueError, match=r"^checksum: does not fit the contents, which have been altered$"):
        DatasetDescription.load(CONTENT.replace(b'"rows": 3', b'"rows": 4'))


def test_how_long_a_splits_audio_lasts():
    assert (DESCRIPTION.seconds("train"), DESCRIPTION.seconds("validation")) == (1.5, 0.0)


def test_a_settings_field_of_another_version_is_kept():
    other = replace(DESCRIPTION, settings={**DESCRIPTION.settings, "later": [1]})
    assert DatasetDescription.load(other.dump()).settings == {"sample_rate": 16_000, "later": [1]}


def damaged(*path, value):
    """The file's contents with another value, or none, in one place."""
    tree: Any = orjson.loads(CONTENT)
    place = tree
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return orjson.dumps(tree)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (damaged("format_version", value=2), "format_version must be 1, got 2"),
        (damaged("fingerprint", value=None), "fingerprint: missing"),
        (damaged("rows", value="3"), "rows: expected int, got str"),
        (
            damaged("splits", "train", "shards", 0, "bytes", value="1"),
            "splits.*.shards[0].bytes: expected int, got str",
        ),
        (damaged("splits", "validation", value=None), "splits.validation: missing"),
        (damaged("settings", "sample_rate", value=0), "settings.sample_rate: must be a positive integer, got 0"),
        (damaged("settings", "sample_rate", value=None), "settings.sample_rate: must be a positive integer, got None"),
    ],
)
def test_a_damaged_file_names_the_field_and_the_rule(content, fault):
    with pytest.raises(ValueError) as found:
        DatasetDescription.load(content)
    assert str(found.value) == fault


@pytest.mark.parametrize("name", list(asdict(DESCRIPTION)))
def test_no_field_may_be_missing(name):
    with pytest.raises(ValueError, match=name):
        DatasetDescription.load(damaged(name, value=None))
