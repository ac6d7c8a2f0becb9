"""One tuning job on the live service, for those who have an account: it costs a few cents, and about an hour.

CLIPTUNE_LIVE_PROJECT=my-project CLIPTUNE_LIVE_BUCKET=gs://my-bucket/smoke python -m pytest tests/tuning/test_live.py -s
"""

import os

import pytest

from cliptune.main import main

PROJECT, BUCKET = os.environ.get("CLIPTUNE_LIVE_PROJECT"), os.environ.get("CLIPTUNE_LIVE_BUCKET")


@pytest.mark.skipif(
    not (PROJECT and BUCKET),
    reason="the live service is not asked: set CLIPTUNE_LIVE_PROJECT and CLIPTUNE_LIVE_BUCKET=gs://…",
)
def test_a_small_model_is_tuned_and_answers(out):
    staged = ["--project", str(PROJECT), "--staging_location", str(BUCKET)]
    assert main(["tune", str(out), *staged, "--epochs", "1", "--max_cost", "1", "--wait_for_quota"]) == 0
    assert main(["watch", str(out)]) == 0
    assert main(["predict", str(out), "--limit", "1"]) == 0
    (answers,) = out.glob("tuning/runs/*/predictions-validation-tuned-*.jsonl")
    assert answers.read_bytes().count(b"\n") == 1
