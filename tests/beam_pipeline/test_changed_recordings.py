"""Recordings that change between two runs: the next run ends with the bytes of a run into an empty folder."""

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cliptune.main import main
from tests.beam_pipeline.conftest import contents, ledger, write_manifest
from tests.sounds import tone
from transforms.dataset import look
from transforms.dataset.clip_workers import ClipWorkers
from transforms.storage import Storage, crc32c
from transforms.workers.pool import Pool, WorkerDied

RATE = 16_000
NAMES = [f"{number}.wav" for number in range(8)]
LONG = "long.wav"


def sound(path, hertz, seconds=0.5):
    """A tone: those of one length have files of one size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone(hertz, RATE, seconds), RATE, "PCM_16")


def rows():
    """Whole recordings, one of them held out, and segments of a long one."""
    whole = [{"id": name, "audio": f"a/{name}", "text": f"text {name}"} for name in NAMES]
    parts = [{"id": f"{n}", "audio": f"a/{LONG}", "offset": n, "duration": 0.5, "text": f"part {n}"} for n in range(3)]
    held_out = [{"id": "held", "audio": "a/held.wav", "text": "held out", "split": "test"}]
    return [*({**row, "split": "train"} for row in whole + parts), *held_out]


@pytest.fixture
def place(tmp_path, small_shards, monkeypatch):
    """The current folder, with recordings and `m.jsonl`."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate([*NAMES, "held.wav"]):
        sound(tmp_path / "a" / name, 300 + 50 * number)
    parts = [tone(hertz, RATE, 1) for hertz in (2_000, 2_100, 2_200, 2_300)]
    soundfile.write(tmp_path / "a" / LONG, np.concatenate(parts), RATE, "PCM_16")
    write_manifest(tmp_path / "m.jsonl", rows())
    return tmp_path


@pytest.fixture
def decoded(monkeypatch):
    """The sources of all clips that have been converted."""
    seen, convert = [], ClipWorkers.convert

    def counted(self, clip, source):
        seen.append(source.uri)
        return convert(self, clip, source)

    monkeypatch.setattr(ClipWorkers, "convert", counted)
    return seen


FLAGS = ("--max_rejected_fraction=1",)


def is_as_new(place, prepare, *flags):
    """Whether the command, run again, leaves what it would leave in an empty folder."""
    again = prepare("m.jsonl", "out", *FLAGS, *flags)
    shutil.rmtree(place / "new", ignore_errors=True)
    new = prepare("m.jsonl", "new", *FLAGS, *flags)
    assert (again.status, new.status) == (0, 0), again.stderr + new.stderr
    found, wanted = contents(place / "out"), contents(place / "new")
    assert found.keys() == wanted.keys()
    different = [name for name in wanted if found[name] != wanted[name]]
    return different == []


def replaced(path):
    sound(path, 1_000)


def replaced_by_an_older_file(path):
    """As `mv`, `cp -p`, `rsync -t` and `tar` do it."""
    older = path.with_name("older.wav")
    sound(older, 1_000)
    os.utime(older, (1_000_000_000, 1_000_000_000))
    older.replace(path)


def written_in_place_with_its_time_put_back(path):
    before = path.stat()
    sound(path, 1_000)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def one_bit(path):
    content = bytearray(path.read_bytes())
    content[-100] ^= 64
    path.write_bytes(content)


def cut(path):
    os.truncate(path, path.stat().st_size - 100)


def emptied(path):
    os.truncate(path, 0)


def no_sound(path):
    path.write_bytes(b"<html>" * 100)


def a_folder(path):
    path.unlink()
    path.mkdir()


def a_pipe(path):
    path.unlink()
    os.mkfifo(path)


def a_link_to_another(path):
    path.unlink()
    path.symlink_to("1.wav")


def a_link_into_nothing(path):
    path.unlink()
    path.symlink_to("nothing.wav")


def a_link_out(path):
    outside = path.parents[2] / f"outside-{path.parents[1].name}.wav"
    path.replace(outside)
    path.symlink_to(outside)


def its_folder_is_a_link_out(path):
    outside = path.parents[2] / f"outside-{path.parents[1].name}"
    path.parent.replace(outside)
    path.parent.symlink_to(outside)


def swapped(path):
    other = path.with_name("2.wav")
    other.rename(path.with_name("x"))
    path.rename(other)
    path.with_name("x").rename(path)


def the_audio_of_another(path):
    shutil.copyfile(path.with_name("2.wav"), path)


CHANGES = [
    *(replaced, replaced_by_an_older_file, written_in_place_with_its_time_put_back, one_bit, cut, emptied, no_sound),
    *(Path.unlink, a_folder, a_pipe, a_link_to_another, a_link_into_nothing, a_link_out, its_folder_is_a_link_out),
    *(swapped, the_audio_of_another),
]


@pytest.mark.parametrize("settled", [True, False], ids=["marked", "unmarked"])
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_rerun_sees_it(place, prepare, monkeypatch, change, settled):
    if settled:
        monkeypatch.setattr(look, "UNSETTLED_NS", -(10**18))
    assert prepare("m.jsonl", "out", *FLAGS).status == 0
    before = contents(place / "out")
    change(place / "a/0.wav")
    assert is_as_new(place, prepare)
    assert contents(place / "out") != before


@pytest.mark.parametrize("change", [replaced, replaced_by_an_older_file, cut, Path.unlink, one_bit])
def test_a_rerun_sees_it_of_a_recording_that_has_segments(place, prepare, change):
    assert prepare("m.jsonl", "out", *FLAGS).status == 0
    change(place / "a" / LONG)
    assert is_as_new(place, prepare)


@pytest.mark.sweep
@pytest.mark.parametrize(
    "kind", [Path.unlink, cut, emptied, no_sound, a_folder, a_pipe, a_link_into_nothing, a_link_out]
)
def test_a_recording_that_is_mended_is_taken(place, prepare, kind):
    """What was rejected for its file is looked at again."""
    shutil.copyfile(place / "a/0.wav", place / "whole")
    kind(place / "a/0.wav")
    first = prepare("m.jsonl", "out", *FLAGS)
    assert first.json["rejected"] == 1
    shutil.rmtree(place / "a/0.wav") if kind is a_folder else (place / "a/0.wav").unlink(missing_ok=True)
    (place / "whole").replace(place / "a/0.wav")
    assert is_as_new(place, prepare)
    assert prepare("m.jsonl", "out", *FLAGS).json["rejected"] == 0


def test_what_is_near_a_missing_file_is_said_anew(place, prepare):
    (place / "a/0.wav").unlink()
    assert prepare("m.jsonl", "out", *FLAGS).status == 0
    sound(place / "a/0.WAV", 300)
    assert is_as_new(place, prepare)
    assert "0.WAV" in (place / "out/rejected.jsonl").read_text()


def touched(place):
    for path in [*place.glob("a/*"), *place.glob("out/**/*")]:
        os.utime(path)


def rights_changed(place):
    for path in place.glob("a/*"):
        path.chmod(0o600)


def copied_with_times(place):
    subprocess.run(["cp", "-a", "a", "b"], cwd=place, check=True)
    shutil.rmtree(place / "a")
    (place / "b").rename(place / "a")


def copied_with_its_dataset(place):
    for name in ("a", "out"):
        shutil.copytree(place / name, place / "b", copy_function=shutil.copyfile)
        shutil.rmtree(place / name)
        (place / "b").rename(place / name)


def its_dataset_moved_away_and_back(place):
    shutil.move(place / "out", place / "elsewhere")
    shutil.copytree(place / "elsewhere", place / "out")


def nothing(place):
    pass


@pytest.mark.parametrize(
    "harmless",
    [nothing, touched, rights_changed, copied_with_times, copied_with_its_dataset, its_dataset_moved_away_and_back],
)
@pytest.mark.parametrize("lost", ["", "report.html"], ids=["finished", "not finished"])
def test_what_has_not_changed_is_not_decoded_again(place, prepare, decoded, harmless, lost):
    first = prepare("m.jsonl", "out", *FLAGS)
    before = contents(place / "out")
    harmless(place)
    if lost:
        (place / "out" / lost).unlink()
    decoded.clear()
    again = prepare("m.jsonl", "out", *FLAGS)
    assert (again.json["reused"], decoded) == (first.json["rows"], [])
    assert contents(place / "out") == before


def test_a_marked_dataset_is_known_without_reading_a_recording(place, prepare, monkeypatch):
    monkeypatch.setattr(look, "UNSETTLED_NS", -(10**18))
    assert prepare("m.jsonl", "out", *FLAGS).status == 0
    read = []
    monkeypatch.setattr(Storage, "open_audio", lambda self, uri: read.append(uri))
    assert prepare("m.jsonl", "out", *FLAGS).json["reused"] == len(rows())
    assert read == []


@pytest.mark.parametrize("harmless", [touched, copied_with_times, copied_with_its_dataset])
def test_after_other_times_the_recordings_are_read_once(place, prepare, monkeypatch, harmless):
    monkeypatch.setattr(look, "UNSETTLED_NS", -(10**18))
    assert prepare("m.jsonl", "out", *FLAGS).status == 0
    harmless(place)
    read, open_audio = [], Storage.open_audio

    def noted(self, uri):
        read.append(uri)
        return open_audio(self, uri)

    monkeypatch.setattr(Storage, "open_audio", noted)
    for expected in (len({row["audio"] for row in rows()}), 0):
        assert prepare("m.jsonl", "out", *FLAGS).json["reused"] == len(rows())
        assert len(read) == expected
        read.clear()


def test_only_the_shards_of_what_changed_are_written_again(place, prepare, decoded):
    assert prepare("m.jsonl", "out", *FLAGS).status == 0
    decoded.clear()
    replaced(place / "a/0.wav")
    again = prepare("m.jsonl", "out", *FLAGS)
    sidecars = [json.loads(path.read_bytes()) for path in (place / "out/train").glob("*.outcomes.json")]
    (shard,) = (each for each in sidecars if any(row["clip_id"] == "0.wav" for row in each["outcomes"]))
    assert again.json["reused"] == len(rows()) - len(shard["outcomes"])
    assert len(decoded) == len(shard["outcomes"])


@pytest.mark.parametrize("flags", [(), ("--dedupe=audio",)], ids=["", "dedupe"])
def test_a_clip_whose_twin_is_gone_comes_back(place, prepare, flags):
    """It was left out for the audio of another clip, which has another one now."""
    twin, other = place / "a/held.wav", place / "a/3.wav"
    shutil.copyfile(other, twin)
    shutil.copyfile(place / "a/4.wav", place / "a/5.wav")
    reasons = {"duplicate_audio": 2} if flags else {"audio_in_train": 1}
    assert prepare("m.jsonl", "out", *FLAGS, *flags).json["reasons"] == reasons
    for path, hertz in ((other, 1_000), (place / "a/5.wav", 1_100), (place / "a/4.wav", 1_200)):
        sound(path, hertz)
        assert is_as_new(place, prepare, *flags)
    assert prepare("m.jsonl", "out", *FLAGS, *flags).json["rejected"] == 0


@pytest.mark.parametrize("flags", [(), ("--dedupe=audio",)], ids=["", "dedupe"])
def test_a_twin_that_comes_first_is_the_one_that_is_named(place, prepare, flags):
    for name in ("3.wav", "5.wav", "held.wav"):
        shutil.copyfile(place / "a/4.wav", place / "a" / name)
    assert prepare("m.jsonl", "out", *FLAGS, *flags).status == 0
    for name in (name for name in NAMES if name != "4.wav"):
        shutil.copyfile(place / "a/4.wav", place / "a" / name)
        assert is_as_new(place, prepare, *flags)


def test_verify_reads_what_its_times_say_nothing_of(place, prepare, monkeypatch):
    monkeypatch.setattr(look, "is_marked", lambda *_: True)
    assert prepare("m.jsonl", "out", *FLAGS).status == 0
    before = contents(place / "out")
    replaced(place / "a/0.wav")
    assert prepare("m.jsonl", "out", *FLAGS).json["reused"] == len(rows())
    assert contents(place / "out") == before
    assert prepare("m.jsonl", "out", "--verify", *FLAGS).json["reused"] < len(rows())
    assert contents(place / "out") != before


def test_a_merge_sees_it(place, prepare):
    (place / "a/7.wav").unlink()
    assert prepare("m.jsonl", "out", *FLAGS).status == 0
    replaced(place / "a/0.wav")
    replaced(place / "a/7.wav")
    shutil.copyfile(place / "out/rejected.jsonl", place / "r.jsonl")
    assert main(["prepare", "--merge_into=out", "--manifest=r.jsonl", *FLAGS]) == 0
    assert prepare("m.jsonl", "new", *FLAGS).status == 0
    shards = {name: content for name, content in contents(place / "new").items() if name.endswith(".jsonl")}
    assert {name: contents(place / "out")[name] for name in shards} == shards


def written(out):
    """When each shard was written. Beam's runner loses counters of what has a side input."""
    return {path.name: path.stat().st_mtime_ns for path in out.glob("*/*.jsonl")}


def test_workers_elsewhere_see_it(place, prepare):
    assert prepare("m.jsonl", "out", *FLAGS).status == 0
    replaced(place / "a/0.wav")
    before = written(place / "out")
    assert prepare("m.jsonl", "out", "--runner=BundleBasedDirectRunner", *FLAGS).status == 0
    after = written(place / "out")
    assert 0 < sum(before[name] == after[name] for name in before) < len(before)
    assert prepare("m.jsonl", "new", *FLAGS).status == 0
    assert contents(place / "out") == contents(place / "new")


def some_change(chance, place):
    """Changes something, or nothing, at random."""
    path = place / "a" / chance.choice([*NAMES, LONG, "held.wav"])
    if path.is_symlink() or not path.is_file():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
        sound(path, chance.choice([300, 350, 1_000]))
        return
    harmless = [os.utime, lambda path: path.chmod(0o640), lambda path: None]
    chance.choice([*CHANGES[:12], the_audio_of_another, *harmless])(path)


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(4))
def test_any_changes(place, prepare, seed):
    chance = random.Random(seed)
    flags = chance.choice([(), ("--dedupe=audio",), ("--audio_format=wav",)])
    for name in NAMES[2:4]:  # what some changes copy or lead to
        shutil.copyfile(place / "a" / name, place / "a" / f"copy of {name}")
    assert prepare("m.jsonl", "out", *FLAGS, *flags).status == 0
    for _ in range(5):
        for _ in range(chance.randint(0, 3)):
            try:
                some_change(chance, place)
            except OSError:
                continue  # the recording, or another one, is away
        assert is_as_new(place, prepare, *flags)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("name", ["0.wav", LONG])
def test_a_recording_that_is_replaced_while_it_is_read_is_read_again(place, prepare, monkeypatch, name, moment):
    """Between the look at a shard's recordings and its sidecar: what the sidecar says is not what is there."""
    convert, path = ClipWorkers.convert, place / "a" / name
    seen: list[str] = []

    def meanwhile(self, clip, source):
        first = source.uri.endswith(f"/{name}") and not seen
        seen.extend([name] * first)
        if first and moment == "before":
            replaced(path)
        try:
            return convert(self, clip, source)
        finally:
            if first and moment == "after":
                replaced(path)

    monkeypatch.setattr(look, "UNSETTLED_NS", -(10**18))
    monkeypatch.setattr(ClipWorkers, "convert", meanwhile)
    assert prepare("m.jsonl", "out", *FLAGS).status == 0
    assert seen
    assert is_as_new(place, prepare)


def test_a_clip_that_a_worker_died_of_is_not_tried_again_until_it_is_another(place, prepare, monkeypatch):
    run, fatal = Pool.run, b"0.wav"

    def dying(self, task, answer, *needs):
        if fatal in task:
            raise WorkerDied("it crashed", hopeless=True)
        return run(self, task, answer)

    with monkeypatch.context() as patch:
        patch.setattr(Pool, "run", dying)
        assert prepare("m.jsonl", "out", *FLAGS).json["reasons"] == {"decoder_fault": 1}
        assert prepare("m.jsonl", "out", *FLAGS).json["reused"] == len(rows())
    replaced(place / "a/0.wav")
    assert prepare("m.jsonl", "out", *FLAGS).json["rejected"] == 0


@pytest.mark.parametrize("name", ["0.wav", LONG])
def test_the_ledger_tells_length_and_crc32c_of_what_was_read(place, prepare, name):
    cut(place / "a/1.wav")
    (place / "a/2.wav").unlink()
    assert prepare("m.jsonl", "out", *FLAGS).status == 0
    versions = {row["uri"]: (row["source_bytes"], row["source_crc32c"]) for row in ledger(place / "out")}
    for each in (name, "1.wav"):
        content = (place / "a" / each).read_bytes()
        assert versions[f"a/{each}"] == (len(content), crc32c(content))
    assert versions["a/2.wav"] == (None, None)


def test_shards_of_an_earlier_version_are_not_reused(place, prepare, capfd):
    assert prepare("m.jsonl", "out", *FLAGS).status == 0
    path = place / "out/run.json"
    path.write_bytes(path.read_bytes().replace(b'"format_version": 2', b'"format_version": 1'))
    again = prepare("m.jsonl", "out", *FLAGS)
    assert (again.status, again.stdout) == (1, "")
    assert "holds a dataset with other format_version (1, now 2); choose another --output, or" in again.stderr
    with pytest.raises(SystemExit) as ended:
        sys.exit(main(["prepare", "--merge_into=out", "--manifest=out/rejected.jsonl", *FLAGS]))
    told = capfd.readouterr().err
    assert (ended.value.code, told.count("\n")) == (1, 1)
    assert "--merge_into out: it was made with format_version 1, now 2; prepare it anew" in told
    assert main(["check", "out"]) == 0  # whoever only uses the dataset is not concerned
    assert prepare("m.jsonl", "out", "--overwrite", *FLAGS).json["reused"] == 0


def test_the_audio_file_of_what_was_replaced_goes_with_it(place, prepare):
    """But not that of another clip with the same audio, nor a stranger's."""
    flags = ("--audio_part=uri", "--audio_uri=gs://bucket/audio")
    shutil.copyfile(place / "a/0.wav", place / "a/7.wav")
    assert prepare("m.jsonl", "out", *FLAGS, *flags).status == 0
    for name in ("1.wav", "0.wav", "7.wav"):
        sound(place / "a" / name, 1_000 + int(name[0]))
        assert is_as_new(place, prepare, *flags)
    (place / "out/audio/mine.flac").write_bytes(b"mine")
    replaced(place / "a/2.wav")
    assert prepare("m.jsonl", "out", *FLAGS, *flags).status == 0
    assert (place / "out/audio/mine.flac").exists()
