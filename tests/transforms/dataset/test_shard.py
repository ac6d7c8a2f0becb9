"""One shard, its sidecar, the ledger and the report: exact contents, and what a second run finds."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256

import pybase64
import pytest
import soundfile

from tests.sounds import tone
from transforms import reasons
from transforms.audio import encode
from transforms.audio.encode import Payload
from transforms.clip import Clip, Outcome, rejected
from transforms.dataset import assign, ledger, output, shard
from transforms.dataset.plan import make_plan
from transforms.dataset.shard import ClipPool, ShardResult, Target
from transforms.errors import AccountingError, PayloadError, StorageError, UserError
from transforms.reasons import REASONS
from transforms.report import finish
from transforms.settings import Settings
from transforms.storage import Storage

storage = Storage()

RATE = 16_000


@pytest.fixture
def clips(tmp_path):
    """Ten tones and one file that is none."""
    for index in range(10):
        soundfile.write(tmp_path / f"{index}.wav", tone(300 + 50 * index, RATE, 0.5), RATE, "PCM_16")
    (tmp_path / "bad.wav").write_text("no sound")
    names = [*map(str, range(10)), "bad"]
    return [
        Clip(f"clip-{n}", f"{n}.wav", f"text {n}", f"m.csv:{i + 2}", json.dumps({"id": n})) for i, n in enumerate(names)
    ]


def target_of(tmp_path, **settings):
    num_shards = {"train": 1, "validation": 1, "rejected": 1}
    return Target(str(tmp_path / "out"), str(tmp_path), (str(tmp_path),), num_shards, Settings(**settings), Storage())


def write(key, rows, target, window=4, on_outcome=lambda outcome: None):
    with ThreadPoolExecutor(2) as executor:
        return shard.write_shard(key, rows, target, ClipPool(executor, window, on_outcome))


def test_a_shard_is_its_clips_in_hash_order(tmp_path, clips):
    target = target_of(tmp_path)
    result = write(("train", 0), clips, target)
    in_order = sorted(clips, key=lambda clip: assign.order_key(clip.clip_id))
    digest = shard.fingerprint(in_order, target.settings)
    assert result == ShardResult(("train", 0), 11, reused=False, fingerprint=digest)
    content = (tmp_path / "out/train/train-00000-of-00001.jsonl").read_bytes()
    examples = [json.loads(line) for line in content.split(b"\n")[:-1]]
    assert [e["contents"][1]["parts"][0]["text"] for e in examples] == [
        c.target for c in in_order if c.uri != "bad.wav"
    ]
    blob = examples[0]["contents"][0]["parts"][1]["inline_data"]
    samples, rate = encode.decode_payload(Payload(pybase64.b64decode(blob["data"]), blob["mime_type"]))
    assert (rate, samples.ndim, len(samples)) == (RATE, 1, RATE // 2)


def test_the_sidecar_accounts_for_every_clip(tmp_path, clips):
    target = target_of(tmp_path)
    write(("train", 0), clips, target)
    sidecar = shard.load_sidecar(storage.read_bytes(target.sidecar_uri(("train", 0))))
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
    sidecar = shard.Sidecar("f", 1, "s", (outcome, replace(outcome, clip_id="b", num_samples=5)))
    assert shard.load_sidecar(shard.dump_sidecar(sidecar)) == sidecar


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"format_version": 99, "outcomes": []}', b"\xff"])
def test_what_is_no_sidecar_is_no_commit_mark(tmp_path, clips, content):
    target = target_of(tmp_path)
    write(("train", 0), clips, target)
    storage.write_bytes(target.sidecar_uri(("train", 0)), content)
    assert not write(("train", 0), clips, target).reused


def test_a_second_run_decodes_nothing(tmp_path, clips, monkeypatch):
    target = target_of(tmp_path)
    write(("train", 0), clips, target)
    monkeypatch.setattr(shard, "prepare_clip", None)
    noted: list[Outcome] = []
    assert write(("train", 0), list(reversed(clips)), target, on_outcome=noted.append).reused
    assert len(noted) == 11


@pytest.mark.parametrize("audio_format", ["flac", "mp3"])
def test_verify_decodes_what_an_earlier_run_wrote_too(tmp_path, clips, audio_format):
    bitrate = {"flac": 0, "mp3": 32}[audio_format]
    target = target_of(tmp_path, audio_format=audio_format, bitrate=bitrate)
    write(("train", 0), clips, target)
    verifying = replace(target, verify=True)
    assert write(("train", 0), clips, verifying).reused
    sidecar = shard.load_sidecar(storage.read_bytes(target.sidecar_uri(("train", 0))))
    longer = tuple(replace(o, num_samples=o.num_samples and 2 * o.num_samples) for o in sidecar.outcomes)
    storage.write_bytes(target.sidecar_uri(("train", 0)), shard.dump_sidecar(replace(sidecar, outcomes=longer)))
    with pytest.raises(PayloadError, match="longer than the clip"):
        write(("train", 0), clips, verifying)


@pytest.mark.parametrize("change", ["cut", "flip", "delete", "settings", "clip", "sidecar"])
def test_whatever_changed_is_written_again(tmp_path, clips, change):
    target = target_of(tmp_path)
    write(("train", 0), clips, target)
    path = tmp_path / "out/train/train-00000-of-00001.jsonl"
    before = path.read_bytes()
    if change == "cut":
        path.write_bytes(before[:-10])
    elif change == "flip":
        path.write_bytes(before[:500] + b"x" + before[501:])
    elif change == "delete":
        path.unlink()
    elif change == "sidecar":
        storage.delete(target.sidecar_uri(("train", 0)))
    elif change == "settings":
        target = target_of(tmp_path, sample_rate=8_000)
    else:
        clips = [replace(clips[0], target="another text"), *clips[1:]]
    assert not write(("train", 0), clips, target).reused
    assert (path.read_bytes() == before) == (change in ("cut", "flip", "delete", "sidecar"))
    assert write(("train", 0), clips, target).reused


@pytest.mark.parametrize("window", [1, 2, 50])
def test_the_bytes_do_not_depend_on_the_window(tmp_path, clips, window):
    write(("train", 0), clips, target_of(tmp_path), window)
    content = (tmp_path / "out/train/train-00000-of-00001.jsonl").read_bytes()
    (tmp_path / "out/train/train-00000-of-00001.jsonl").unlink()
    write(("train", 0), list(reversed(clips)), target_of(tmp_path), 1)
    assert (tmp_path / "out/train/train-00000-of-00001.jsonl").read_bytes() == content


def test_the_worlds_fault_is_raised_and_leaves_no_commit_mark(tmp_path, clips, monkeypatch):
    def fail(self, uri, max_bytes):
        raise StorageError("the network is gone")

    monkeypatch.setattr(Storage, "read_audio", fail)
    target = target_of(tmp_path)
    with pytest.raises(StorageError, match="network"):
        write(("train", 0), clips, target)
    assert not storage.list_files(target.output)


def test_a_row_confined_to_its_folder_cannot_reach_out(tmp_path, clips):
    target = replace(target_of(tmp_path), allowed=(str(tmp_path / "elsewhere"),))
    line, outcome = shard.prepare_clip(clips[0], target)
    assert (line, outcome.reason) == (b"", reasons.PATH_NOT_ALLOWED.name)
    line, outcome = shard.prepare_clip(replace(clips[0], confined=False), target)
    assert outcome.status == "accepted"


@pytest.mark.parametrize(("limit", "accepted"), [(0, True), (-1, False)])
def test_max_example_bytes_on_both_sides(tmp_path, clips, limit, accepted):
    line, _ = shard.prepare_clip(clips[0], target_of(tmp_path))
    again, outcome = shard.prepare_clip(clips[0], target_of(tmp_path, max_example_bytes=len(line) + limit))
    assert bool(again) == accepted
    assert outcome.reason == (None if accepted else reasons.EXAMPLE_TOO_LARGE.name)


def finished(tmp_path, clips, bad=()):
    rows = [*clips, *bad]
    settings = Settings(validation_fraction=0.0)
    plan = make_plan(rows, settings)
    target = replace(target_of(tmp_path), settings=settings, num_shards=plan.num_shards)
    output.claim(target, plan, overwrite=False)
    results = [write(("train", 0), clips, target), write(("rejected", 0), list(bad), target)]
    return finish.finish(results, plan, target), plan, target, results


def test_a_finished_dataset_adds_up(tmp_path, clips):
    bad = [replace(rejected(clips[0], reasons.BAD_ROW, "no row"), clip_id="", source="m.csv:99", row='{"line": "x"}')]
    summary, *_ = finished(tmp_path, clips, bad)
    assert (summary["rows"], summary["accepted"], summary["rejected"]) == (12, 10, 2)
    rows = list(ledger.read_ledger(str(tmp_path / "out/ledger"), Storage()))
    assert sorted(str(row["source"]) for row in rows) == sorted([*(c.source for c in clips), "m.csv:99"])
    letters = [json.loads(line) for line in (tmp_path / "out/rejected.jsonl").read_text().splitlines()]
    assert [(x["reject_reason"], x["reject_source"]) for x in letters] == [
        ("not_audio", "m.csv:12"),
        ("bad_row", "m.csv:99"),
    ]
    assert letters[0]["id"] == "bad"
    dataset = json.loads((tmp_path / "out/dataset.json").read_text())
    (entry,) = dataset["splits"]["train"]["shards"]
    content = (tmp_path / "out" / entry["path"]).read_bytes()
    assert entry == {
        "path": entry["path"],
        "examples": 10,
        "bytes": len(content),
        "sha256": sha256(content).hexdigest(),
    }
    assert dataset["splits"]["train"]["audio_samples"] == 10 * RATE // 2


@pytest.fixture
def unreadable(clips):
    return [replace(rejected(clips[0], reasons.BAD_ROW, "no row"), clip_id="", source="m.csv:99")]


@pytest.mark.parametrize("wrong", [[], [0], [1], [0, 1, 1], [0, 0, 1], [0, 0]])
def test_lost_or_doubled_rows_are_never_called_done(tmp_path, clips, unreadable, wrong):
    """Of eleven rows in the first shard and one in the second."""
    _, plan, target, results = finished(tmp_path, clips, unreadable)
    storage.delete(f"{target.output}/dataset.json")
    with pytest.raises(AccountingError, match="the manifests have 12 rows, the shards account for"):
        finish.finish([results[index] for index in wrong], plan, target)
    assert not storage.exists(f"{target.output}/dataset.json")


@pytest.mark.parametrize("change", ["lost", "doubled"])
def test_a_row_that_its_sidecar_lost_or_doubled_is_missed(tmp_path, clips, unreadable, change):
    _, plan, target, results = finished(tmp_path, clips, unreadable)
    storage.delete(f"{target.output}/dataset.json")
    uri = target.sidecar_uri(("train", 0))
    sidecar = shard.load_sidecar(storage.read_bytes(uri))
    outcomes = {"lost": sidecar.outcomes[1:], "doubled": (*sidecar.outcomes, sidecar.outcomes[0])}[change]
    storage.write_bytes(uri, shard.dump_sidecar(replace(sidecar, outcomes=outcomes)))
    with pytest.raises(AccountingError, match="the manifests have 12 rows, the ledger accounts for"):
        finish.finish(results, plan, target)
    assert not storage.exists(f"{target.output}/dataset.json")


def test_finishing_twice_writes_the_same_bytes(tmp_path, clips):
    _, plan, target, results = finished(tmp_path, clips)
    before = {uri: storage.read_bytes(uri) for uri in storage.list_files(target.output)}
    finish.finish(results, plan, target)
    assert {uri: storage.read_bytes(uri) for uri in storage.list_files(target.output)} == before


def test_output_of_another_run_is_refused_or_replaced(tmp_path, clips):
    _, plan, target, _ = finished(tmp_path, clips)
    other = Settings(sample_rate=8_000, validation_fraction=0.0)
    with pytest.raises(UserError, match=r"settings.sample_rate \(16000, now 8000\).*--overwrite"):
        output.claim(replace(target, settings=other), plan, overwrite=False)
    assert (tmp_path / "out/dataset.json").exists()
    (tmp_path / "out/tuning").mkdir()
    (tmp_path / "out/tuning/job.json").write_text("{}")
    output.claim(replace(target, settings=other), plan, overwrite=True)
    left = {uri.removeprefix(target.output + "/") for uri in storage.list_files(target.output)}
    assert left == {"run.json", "tuning/job.json"}  # what names a paid job is not ours to delete


def test_strangers_files_are_never_touched(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.doc").write_text("")
    plan = make_plan([], Settings())
    with pytest.raises(UserError, match=r"other files, for example .*thesis\.doc"):
        output.claim(target_of(tmp_path), plan, overwrite=True)


def test_a_run_of_the_same_command_that_begins_in_between_is_no_stranger(tmp_path, monkeypatch):
    target, plan = target_of(tmp_path), make_plan([], Settings())

    def list_files(self, folder):
        monkeypatch.undo()
        output.claim(target, plan, overwrite=False)
        return self.list_files(folder)

    monkeypatch.setattr(Storage, "list_files", list_files)
    assert output.claim(target, plan, overwrite=False).resumed
    assert storage.list_files(target.output) == [f"{target.output}/run.json"]


def test_every_reason_has_a_remedy():
    assert len(REASONS) == 25
    for reason in REASONS.values():
        assert all(text.endswith(".") and len(text) > 20 for text in (reason.meaning, reason.remedy))


def test_the_plan_does_not_depend_on_the_order_of_the_rows():
    rows = [Clip(f"c{i}", "a.wav", "t", f"m:{i}", group=f"g{i % 7}") for i in range(100)]
    plans = [make_plan(order, Settings()) for order in (rows, rows[::-1], rows[50:] + rows[:50])]
    assert plans[0] == plans[1] == plans[2]
    assert make_plan(rows[1:], Settings()).rows_digest != plans[0].rows_digest


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
        pool = ClipPool(executor, 2)
        with pytest.raises(StorageError) as kept:  # whose traceback keeps the shard's frames
            shard.write_shard(("train", 0), clips, target_of(tmp_path), pool)
        assert not pool.turn.locked(), kept
