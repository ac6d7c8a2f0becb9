"""Duplicate audio: which clip of several is kept, and what is left of a shard."""

import shutil
from dataclasses import replace
from hashlib import sha256

import pytest

from tests.shards import output_of, write
from transforms import reasons
from transforms.dataset import assign, duplicates
from transforms.dataset.sidecar import Sidecar
from transforms.storage import Storage

storage = Storage()

KEY = ("train", 0)


def sidecar_of(output):
    return Sidecar.load(storage.read_bytes(output.sidecar_uri(KEY)))


def test_the_first_in_hash_order_is_kept():
    uses = [(name, f"m:{name}", ("train", n)) for n, name in enumerate("abc")]
    first, *others = sorted(uses, key=lambda use: assign.order_key(use[0]))
    expected = [(key, (name, f"the same audio as {first[0]!r} ({first[1]})")) for name, _, key in others]
    assert list(duplicates.duplicates(uses)) == list(duplicates.duplicates(uses[::-1])) == expected


@pytest.mark.parametrize(("task", "name"), [(None, "ab:"), ("", "ab:"), ("summary", "ab:summary")])
def test_audio_is_named_by_its_hash_and_its_task(task, name):
    assert duplicates.audio_of("ab", task) == name


def test_a_clip_alone_with_its_audio_is_no_duplicate():
    assert not list(duplicates.duplicates([("a", "m:1", KEY)]))


def test_a_shard_tells_the_audio_of_its_accepted_clips_and_of_those_dropped_before(tmp_path, clips):
    output = output_of(tmp_path)
    shutil.copy(tmp_path / "0.wav", tmp_path / "1.wav")
    write(KEY, [replace(clip, task="t") for clip in clips[:2]] + clips[-1:], output)
    uses = list(duplicates.uses_of(KEY, output))
    assert {use[0] for _, use in uses} == {"clip-0", "clip-1"}
    (digest,) = {outcome.audio_sha256 for outcome in sidecar_of(output).outcomes if outcome.status == "accepted"}
    assert {audio for audio, _ in uses} == {f"{digest}:t"}
    assert sorted(use for _, use in uses) == [("clip-0", "m.csv:2", KEY), ("clip-1", "m.csv:3", KEY)]
    duplicates.drop(KEY, {"clip-1": "the same audio"}, output)
    assert list(duplicates.uses_of(KEY, output)) == uses
    assert not list(duplicates.uses_of(("rejected", 0), output))


def test_a_dropped_line_leaves_a_whole_shard(tmp_path, clips):
    output = output_of(tmp_path)
    write(KEY, clips, output)
    before = storage.read_bytes(output.shard_uri(KEY)).splitlines(keepends=True)
    accepted = [outcome for outcome in sidecar_of(output).outcomes if outcome.status == "accepted"]
    duplicates.drop(KEY, {accepted[3].clip_id: "the same audio"}, output)
    after = storage.read_bytes(output.shard_uri(KEY))
    assert after == b"".join(before[:3] + before[4:])
    sidecar = sidecar_of(output)
    assert (sidecar.bytes, sidecar.sha256) == (len(after), sha256(after).hexdigest())
    assert [outcome.line_index for outcome in sidecar.outcomes if outcome.status == "accepted"] == list(range(9))
    (dropped,) = (outcome for outcome in sidecar.outcomes if outcome.clip_id == accepted[3].clip_id)
    assert {o.line_index for o in sidecar.outcomes if o.status == "rejected"} == {None}
    assert (dropped.status, len(sidecar.outcomes)) == ("rejected", len(clips))
    assert (dropped.reason, dropped.detail) == (reasons.DUPLICATE_AUDIO.name, "the same audio")
    assert (dropped.line_index, dropped.line_bytes, dropped.line_sha256) == (None, None, None)


def test_dropping_twice_writes_nothing(tmp_path, clips, monkeypatch):
    output = output_of(tmp_path)
    write(KEY, clips, output)
    duplicates.drop(KEY, {"clip-1": "the same audio"}, output)
    once = {uri: storage.read_bytes(uri) for uri in storage.list_files(output.folder)}
    monkeypatch.setattr(Storage, "write", None)
    duplicates.drop(KEY, {"clip-1": "the same audio"}, output)
    duplicates.drop(KEY, {}, output)
    assert {uri: storage.read_bytes(uri) for uri in storage.list_files(output.folder)} == once
