"""What an overtaken run may leave behind if it is killed in between: shards that no record of the dataset names."""

import shutil

from cliptune.main import main
from tests.beam_pipeline.conftest import contents


def test_they_are_in_no_dataset_and_go_with_the_next_overwrite(finished, prepare, reference):
    train = finished / "out/train"
    shard = min(train.glob("*.jsonl"))
    for path in (shard, shard.with_suffix(".outcomes.json")):
        shutil.copy(path, train / path.name.replace("-of-", "-of-0"))  # of a run with more shards
    strays = {path.name for path in train.glob("*-of-0?????.*")}
    assert len(strays) == 2
    assert main(["check", "out"]) == 0
    run = prepare("m.jsonl", "out")
    assert run.json["reused"] == run.json["rows"]
    assert contents(finished / "out", without=strays) == contents(reference)
    assert prepare("m.jsonl", "out", "--overwrite", "--sample_rate=8000").status == 0
    assert not strays & {path.name for path in train.iterdir()}
