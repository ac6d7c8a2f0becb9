"""The sidecar: every clip of its shard, and nothing else is taken for one."""

from dataclasses import replace
from hashlib import sha256

import pytest

from tests.shards import output_of, write
from transforms import reasons
from transforms.clip import Clip, rejected
from transforms.dataset.sidecar import Sidecar
from transforms.storage import Storage

storage = Storage()


def test_the_sidecar_accounts_for_every_clip(tmp_path, clips):
    output = output_of(tmp_path)
    write(("train", 0), clips, output)
    sidecar = Sidecar.load(storage.read_bytes(output.sidecar_uri(("train", 0))))
    content = (tmp_path / "out/train/train-00000-of-00001.jsonl").read_bytes()
    assert (sidecar.bytes, sidecar.sha256) == (len(content), sha256(content).hexdigest())
    assert sorted(outcome.clip_id for outcome in sidecar.outcomes) == sorted(clip.clip_id for clip in clips)
    accepted = [outcome for outcome in sidecar.outcomes if outcome.status == "accepted"]
    assert [outcome.line_index for outcome in accepted] == list(range(10))
    lines = content.splitlines(keepends=True)
    assert [(outcome.line_bytes, outcome.line_sha256) for outcome in accepted] == [
        (len(line), sha256(line).hexdigest()) for line in lines
    ]
    (refused,) = (outcome for outcome in sidecar.outcomes if outcome.status == "rejected")
    assert (refused.reason, refused.source, refused.line_index) == (reasons.NOT_AUDIO.name, "m.csv:12", None)


def test_the_sidecar_survives_its_own_format():
    outcome = rejected(Clip("é", "a.wav", "t", "m:1", "{}"), reasons.SILENT, "nothing")
    sidecar = Sidecar("f", 1, "s", (outcome, replace(outcome, clip_id="b", num_samples=5)))
    assert Sidecar.load(sidecar.dump()) == sidecar


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"format_version": 99, "outcomes": []}', b"\xff"])
def test_what_is_no_sidecar_is_no_commit_mark(tmp_path, clips, content):
    output = output_of(tmp_path)
    write(("train", 0), clips, output)
    storage.write_bytes(output.sidecar_uri(("train", 0)), content)
    assert not write(("train", 0), clips, output).reused
