"""The way into a finished dataset: what is damaged is told with its file, its field and its rule."""

import json

import pytest

from transforms.errors import UserError
from transforms.storage import Storage
from tuning import dataset


def test_a_damaged_description_is_told_in_one_line(out):
    path = out / "dataset.json"
    tree = json.loads(path.read_text())
    path.write_text(json.dumps({**tree, "rows": "many"}))
    with pytest.raises(UserError) as fault:
        dataset.load(str(out), Storage())
    remedy = "it lists the files of the dataset; run cliptune prepare again"
    assert str(fault.value) == f"{out}/dataset.json is damaged (rows: expected int, got str): {remedy}"


def test_a_dataset_is_what_its_description_says(prepared):
    assert {split: len(shards) for split, shards in prepared.splits.items()} == {"train": 3, "validation": 1}
    assert (prepared.examples("train"), prepared.mean_seconds("train")) == (22, 0.5)
    assert prepared.audio_seconds == {"train": 11.0, "validation": 1.0}
    assert prepared.settings["sample_rate"] == 16_000
