"""One shard: exact contents, and what a second run finds of it."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pybase64
import pytest
import soundfile

from tests.shards import RATE, converting, output_of, write
from tests.sounds import tone
from transforms import reasons
from transforms.audio import encode
from transforms.clip import Outcome, rejected
from transforms.dataset import assign, shard
from transforms.dataset.shard import ClipPool, ShardResult
from transforms.dataset.sidecar import Sidecar, fingerprint
from transforms.errors import StorageError, UserError
from transforms.payloads import Payload
from transforms.storage import Storage

storage = Storage()


def test_a_shard_is_its_clips_in_hash_order(tmp_path, clips):
    output = output_of(tmp_path)
    result = write(("train", 0), clips, output)
    in_order = sorted(clips, key=lambda clip: assign.order_key(clip.clip_id))
    digest = fingerprint(in_order, output.settings)
    assert result == ShardResult(("train", 0), 11, reused=False, fingerprint=digest)
    content = (tmp_path / "out/train/train-00000-of-00001.jsonl").read_bytes()
    examples = [json.loads(line) for line in content.split(b"\n")[:-1]]
    assert [e["contents"][1]["parts"][0]["text"] for e in examples] == [
        c.target for c in in_order if c.uri != "bad.wav"
    ]
    blob = examples[0]["contents"][0]["parts"][1]["inline_data"]
    samples, rate = encode.decode_payload(Payload(pybase64.b64decode(blob["data"]), blob["mime_type"]))
    assert (rate, samples.ndim, len(samples)) == (RATE, 1, RATE // 2)


def test_each_outcome_names_its_place_and_is_told_at_once(tmp_path, clips):
    output = replace(output_of(tmp_path), num_shards={"train": 3, "validation": 1, "rejected": 1})
    noted: list[Outcome] = []
    write(("train", 2), clips, output, on_outcome=noted.append)
    assert tuple(noted) == Sidecar.load(storage.read_bytes(output.sidecar_uri(("train", 2)))).outcomes
    assert {(outcome.split, outcome.shard_index) for outcome in noted} == {("train", 2)}
    accepted = [outcome for outcome in noted if outcome.status == "accepted"]
    assert [outcome.line_index for outcome in accepted] == list(range(10))
    assert [outcome.line_index for outcome in noted if outcome not in accepted] == [None]


def test_rows_that_are_no_clips_are_placed_by_where_they_were_read(tmp_path, clips):
    bad = [rejected(replace(clips[0], source=f"m:{line}"), reasons.BAD_ROW, "no row") for line in range(9)]
    output = output_of(tmp_path)
    write(("rejected", 0), bad, output)
    sources = [row.source for row in Sidecar.load(storage.read_bytes(output.sidecar_uri(("rejected", 0)))).outcomes]
    assert sources == sorted(sources, key=assign.order_key) != sorted(sources)


def test_clips_with_one_id_are_refused(tmp_path, clips):
    """The plan knows of every doubled id, unless a manifest has changed since."""
    with pytest.raises(UserError, match="a manifest changed while it was read; run this command again"):
        write(("train", 0), [*clips, replace(clips[3], uri="other.wav")], output_of(tmp_path))
    assert not (tmp_path / "out").exists()


def test_a_second_run_decodes_nothing(tmp_path, clips, monkeypatch):
    output = output_of(tmp_path)
    first = write(("train", 0), clips, output)
    monkeypatch.setattr(shard, "prepare_clip", None)
    noted: list[Outcome] = []
    assert write(("train", 0), list(reversed(clips)), output, on_outcome=noted.append) == replace(first, reused=True)
    assert tuple(noted) == Sidecar.load(storage.read_bytes(output.sidecar_uri(("train", 0)))).outcomes
    assert len(noted) == 11


@pytest.mark.parametrize("audio_format", ["flac", "mp3", "aac"])
def test_verify_decodes_what_an_earlier_run_wrote_too(tmp_path, clips, audio_format):
    bitrate = {"flac": 0, "mp3": 32, "aac": 32}[audio_format]
    output = output_of(tmp_path, audio_format=audio_format, bitrate=bitrate)
    write(("train", 0), clips, output)
    verifying = replace(output, verify=True)
    assert write(("train", 0), clips, verifying).reused
    sidecar = Sidecar.load(storage.read_bytes(output.sidecar_uri(("train", 0))))
    longer = tuple(replace(o, num_samples=o.num_samples and 2 * o.num_samples) for o in sidecar.outcomes)
    storage.write_bytes(output.sidecar_uri(("train", 0)), replace(sidecar, outcomes=longer).dump())
    assert not write(("train", 0), clips, verifying).reused
    assert Sidecar.load(storage.read_bytes(output.sidecar_uri(("train", 0)))) == sidecar


def by_uri(tmp_path):
    return output_of(tmp_path, audio_part="uri", audio_uri="gs://b/audio")


@pytest.mark.parametrize("change", ["none", "missing", "changed", "longer"])
def test_verify_looks_at_the_audio_beside_a_shard_too(tmp_path, clips, change):
    output = by_uri(tmp_path)
    write(("train", 0), clips, output)
    files = sorted((tmp_path / "out/audio").rglob("*.flac"))
    assert len(files) == 10
    before = {path: path.read_bytes() for path in files}
    if change == "missing":
        files[3].unlink()
    elif change == "changed":
        files[3].write_bytes(before[files[4]])
    elif change == "longer":  # named by its contents, and not what the sidecar has noted
        sidecar = Sidecar.load(storage.read_bytes(output.sidecar_uri(("train", 0))))
        wrong = tuple(replace(o, num_samples=o.num_samples and o.num_samples - 1) for o in sidecar.outcomes)
        storage.write_bytes(output.sidecar_uri(("train", 0)), replace(sidecar, outcomes=wrong).dump())
    assert write(("train", 0), clips, replace(output, verify=True)).reused == (change == "none")
    assert {path: path.read_bytes() for path in files} == before


def test_verify_decodes_the_audio_beside_a_shard_as_what_it_is(tmp_path, clips):
    output = output_of(tmp_path, audio_part="uri", audio_uri="gs://b/audio", audio_format="aac", bitrate=32)
    write(("train", 0), clips, output)
    assert write(("train", 0), clips, replace(output, verify=True)).reused


def test_without_verify_the_audio_beside_a_shard_is_not_read(tmp_path, clips):
    output = by_uri(tmp_path)
    write(("train", 0), clips, output)
    for path in (tmp_path / "out/audio").rglob("*.flac"):
        path.unlink()
    assert write(("train", 0), clips, output).reused


def test_verify_of_rows_without_a_clip_reads_no_shard(tmp_path, clips):
    output = replace(output_of(tmp_path), verify=True)
    bad = [rejected(clips[0], reasons.BAD_ROW, "no row")]
    assert not write(("rejected", 0), bad, output).reused
    assert write(("rejected", 0), bad, output).reused
    assert not (tmp_path / "out/rejected/rejected-00000-of-00001.jsonl").exists()
    assert Sidecar.load(storage.read_bytes(output.sidecar_uri(("rejected", 0)))).bytes == 0


def test_a_shard_of_several_blocks_is_compared_to_its_end(tmp_path, clips):
    """A flipped byte in the last block of a shard of three megabytes."""
    output = output_of(tmp_path, audio_format="wav", max_duration=60.0, trim_silence=False)
    soundfile.write(tmp_path / "0.wav", tone(300, RATE, 50.0), RATE, "PCM_16")
    soundfile.write(tmp_path / "1.wav", tone(500, RATE, 50.0), RATE, "PCM_16")
    write(("train", 0), clips, output)
    path = tmp_path / "out/train/train-00000-of-00001.jsonl"
    content = bytearray(path.read_bytes())
    assert len(content) > 3 << 20
    assert write(("train", 0), clips, output).reused
    content[-20] ^= 1
    path.write_bytes(content)
    assert not write(("train", 0), clips, output).reused


@pytest.mark.parametrize("change", ["cut", "flip", "delete", "settings", "clip", "sidecar"])
def test_whatever_changed_is_written_again(tmp_path, clips, change):
    output = output_of(tmp_path)
    write(("train", 0), clips, output)
    path = tmp_path / "out/train/train-00000-of-00001.jsonl"
    before = path.read_bytes()
    if change == "cut":
        path.write_bytes(before[:-10])
    elif change == "flip":
        path.write_bytes(before[:500] + b"x" + before[501:])
    elif change == "delete":
        path.unlink()
    elif change == "sidecar":
        storage.delete(output.sidecar_uri(("train", 0)))
    elif change == "settings":
        output = output_of(tmp_path, sample_rate=8_000)
    else:
        clips = [replace(clips[0], target="another text"), *clips[1:]]
    assert not write(("train", 0), clips, output).reused
    assert (path.read_bytes() == before) == (change in ("cut", "flip", "delete", "sidecar"))
    assert write(("train", 0), clips, output).reused


@pytest.mark.parametrize("window", [1, 2, 50])
def test_the_bytes_do_not_depend_on_the_window(tmp_path, clips, window):
    write(("train", 0), clips, output_of(tmp_path), window)
    content = (tmp_path / "out/train/train-00000-of-00001.jsonl").read_bytes()
    (tmp_path / "out/train/train-00000-of-00001.jsonl").unlink()
    write(("train", 0), list(reversed(clips)), output_of(tmp_path), 1)
    assert (tmp_path / "out/train/train-00000-of-00001.jsonl").read_bytes() == content


def test_the_worlds_fault_is_raised_and_leaves_no_commit_mark(tmp_path, clips, monkeypatch):
    def fail(self, uri, max_bytes):
        raise StorageError("the network is gone")

    monkeypatch.setattr(Storage, "read_audio", fail)
    output = output_of(tmp_path)
    with pytest.raises(StorageError, match="network"):
        write(("train", 0), clips, output)
    assert not storage.list_files(output.folder)


def test_a_shard_waits_for_its_turn_with_its_reads_begun():
    turn, begun = threading.Lock(), threading.Event()

    def reads():
        begun.set()
        yield from "ab"

    with ThreadPoolExecutor(1) as executor:
        with turn:
            waiting = executor.submit(list, shard._in_turn(reads(), turn))
            assert begun.wait(30)
            assert not waiting.done()
        assert waiting.result(30) == ["a", "b"]
    assert not turn.locked()


def test_a_shard_that_fails_gives_its_turn_away(tmp_path, clips, monkeypatch):
    def fail(self, uri, max_bytes):
        raise StorageError("the network is gone")

    with monkeypatch.context() as patch, ThreadPoolExecutor(2) as executor:
        patch.setattr(Storage, "read_audio", fail)
        output = output_of(tmp_path)
        pool = ClipPool(executor, converting(output), 2)
        with pytest.raises(StorageError) as kept:  # whose traceback keeps the shard's frames
            shard.write_shard(("train", 0), clips, output, pool)
        assert not pool.turn.locked(), kept
