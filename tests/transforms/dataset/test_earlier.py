"""--overwrite removes what earlier runs have written, by their own records, and nothing else."""

import json
import shutil
from dataclasses import replace
from hashlib import sha256

import pytest

from tests.shards import output_of
from transforms.clip import Outcome
from transforms.dataset import earlier
from transforms.dataset.output import Claim, claim, run_file
from transforms.dataset.plan import Plan
from transforms.dataset.sidecar import Sidecar
from transforms.errors import UserError
from transforms.storage import Storage, uris

storage = Storage()

SHARDS = {"train": 2, "validation": 1, "rejected": 1}
PLAN = Plan(7, "0" * 64, SHARDS, frozenset())
SOUND = b"sound of a clip"
NAME = sha256(SOUND).hexdigest()
AUDIO = f"audio/{NAME[:2]}/{NAME}.flac"
OTHERS = Plan(9, "1" * 64, {"train": 1, "validation": 0, "rejected": 1}, frozenset())


@pytest.fixture
def output(tmp_path):
    """The output of a run that has written everything a run may write, with audio as files of its own."""
    return filled(tmp_path, str(tmp_path / "out"))


@pytest.fixture(params=["local", "gs"])
def anywhere(request, tmp_path):
    """The same, on disk and in a bucket."""
    return filled(tmp_path, str(tmp_path / "out") if request.param == "local" else in_bucket(request))


def in_bucket(request):
    return f"{request.getfixturevalue('bucket')}/some/out"


def filled(tmp_path, folder):
    place = replace(output_of(tmp_path, audio_part="uri", audio_uri="gs://b/audio"), folder=folder, num_shards=SHARDS)
    for path in OURS:
        storage.write_bytes(uris.join(folder, path), CONTENTS.get(path, b"{}"))
    storage.write_bytes(uris.join(folder, "run.json"), run_file(PLAN, place.settings))
    return place


def sidecar(audio_sha256=NAME):
    outcome = Outcome("c", "m:1", "c.wav", "accepted", audio_sha256=audio_sha256)
    return Sidecar("f" * 32, 0, sha256().hexdigest(), (outcome,)).dump()


def shard(split, index, count):
    return f"{split}/{split}-{index:05d}-of-{count:05d}.jsonl"


def beside(path):
    return path.replace(".jsonl", ".outcomes.json")


PAIRS = [shard("train", 0, 2), shard("train", 1, 2), shard("validation", 0, 1)]
OURS = [
    *("dataset.json", "checksums.json", "report.json", "report.html", "rejected.jsonl", "manifests.json"),
    *("mended.jsonl", "added.jsonl", "ledger/ledger-00000-of-00001.parquet", AUDIO),
    *(*PAIRS, *map(beside, PAIRS), beside(shard("rejected", 0, 1))),
]
CONTENTS = {AUDIO: SOUND, **{beside(path): sidecar() for path in PAIRS}}


def other(output):
    return replace(output, settings=replace(output.settings, sample_rate=8_000), num_shards=OTHERS.num_shards)


def overwritten(output):
    """What is left, without the new `run.json`; and what is said."""
    remarks = claim(other(output), OTHERS, overwrite=True).remarks
    left = {uris.below(output.folder, uri) for uri in storage.list_files(output.folder)}
    assert "run.json" in left
    return left - {"run.json"}, remarks


def put(output, path, content=b"my only copy"):
    storage.write_bytes(uris.join(output.folder, path), content)


def test_all_that_a_run_writes_is_removed_and_nothing_is_said(anywhere):
    assert overwritten(anywhere) == (set(), ())


STRANGERS = {
    "audio of mine": "audio/my-only-copy.wav",
    "audio below a folder": "audio/ab/my-only-copy.flac",
    "audio that is named like ours, with other contents": f"audio/ab/ab{'0' * 62}.flac",
    "audio named by its contents, in another folder": f"audio/zz/{sha256(b'my only copy').hexdigest()}.flac",
    "audio of another format": AUDIO.replace("flac", "wav"),
    "a note": "train/notes.txt",
    "a shard of mine": "train/train.jsonl",
    "a shard of another split": "train/validation-00000-of-00001.jsonl",
    "a shard beyond the last": shard("train", 2, 2),
    "a shard of another number": shard("train", 0, 3),
    "a copy of a shard": f"{PAIRS[0]}.bak",
    "a sidecar that is none": "train/train-00000-of-00009.outcomes.json",
    "a shard in a folder below": f"train/old/{PAIRS[0].rpartition('/')[2]}",
    "a rejected shard": shard("rejected", 0, 2),
    "a test set": "test/mine.jsonl",
    "a ledger of mine": "ledger/accounts.parquet",
    "a ledger beyond the last": "ledger/ledger-00001-of-00001.parquet",
    "a ledger of another number": "ledger/ledger-00000-of-00002.parquet",
    "a hidden file": "audio/.keep",
}
ELSEWHERE = [
    "tuning/job.json",
    "tuning/train.jsonl",
    "notes.txt",
    "trained/x",
    "x/train/y",
    "evaluation/scores.parquet",
]


@pytest.mark.parametrize("path", STRANGERS.values(), ids=STRANGERS)
def test_what_no_run_has_written_stays_and_is_named(output, path):
    put(output, path)
    left, remarks = overwritten(output)
    assert (left, remarks) == ({path}, (f"{output.folder} keeps a file of no run: {path}",))
    assert storage.read_bytes(uris.join(output.folder, path)) == b"my only copy"


def test_many_strangers_are_counted(anywhere):
    for path in STRANGERS.values():
        put(anywhere, path)
    left, (remark,) = overwritten(anywhere)
    assert left == {*STRANGERS.values()}
    assert remark.startswith(f"{anywhere.folder} keeps {len(STRANGERS)} files that no run has written: audio/")
    assert remark.endswith(" …")


def test_nothing_outside_of_the_folders_of_a_run_is_looked_at_and_a_tuning_job_is_told(anywhere):
    for path in ELSEWHERE:
        put(anywhere, path)
    told = f"{anywhere.folder}/tuning stays: its job was made from the dataset that is replaced now"
    assert overwritten(anywhere) == ({*ELSEWHERE}, (told,))


def test_a_shard_without_a_sidecar_is_of_the_run_that_was_killed(anywhere):
    for path in (*map(beside, PAIRS), "dataset.json", "checksums.json"):
        storage.delete(uris.join(anywhere.folder, path))
    assert overwritten(anywhere) == (set(), ())  # and its audio is what its name says


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"outcomes": 3}', b"\xff" * 99, b"[" * 100_000])
@pytest.mark.parametrize("path", [beside(PAIRS[0]), "dataset.json", "checksums.json"])
def test_damaged_records_leave_nothing_behind_that_run_json_names(output, path, content):
    put(output, path, content)
    assert overwritten(output) == (set(), ())


def test_a_sidecar_of_an_older_plan_names_its_shard_and_its_audio(output):
    """Of a run that was killed while it cleared the dataset before."""
    older = f"audio/00/00{'1' * 62}.flac"
    put(output, older, b"whose contents have been damaged since")
    put(output, shard("train", 5, 9))
    put(output, beside(shard("train", 5, 9)), sidecar(older[9:73]))
    assert overwritten(output) == (set(), ())


def test_what_a_finished_dataset_lists_is_known_beside_the_plan(output):
    listed = [shard("train", 0, 5), beside(shard("train", 0, 5)), "ledger/ledger-00003-of-00007.parquet"]
    for path in listed:
        put(output, path)
    put(
        output,
        "checksums.json",
        json.dumps({"sha256": dict.fromkeys([*listed, "audio/x.wav", "notes.txt"], "")}).encode(),
    )
    put(output, "audio/x.wav")
    put(output, "notes.txt")
    left, _ = overwritten(output)
    assert left == {"audio/x.wav", "notes.txt"}  # a list cannot make anything ours that no run would write


def test_with_audio_inside_the_examples_all_of_the_audio_folder_is_somebody_elses(output):
    inline = replace(output, settings=replace(output.settings, audio_part="inline", audio_uri=""))
    storage.write_bytes(uris.join(output.folder, "run.json"), run_file(PLAN, inline.settings))
    assert overwritten(output)[0] == {AUDIO}


@pytest.mark.parametrize("merge", [False, True])
def test_a_run_that_goes_on_keeps_its_shards_and_removes_those_of_other_plans(anywhere, merge):
    stale = [shard("train", 5, 9), beside(shard("train", 5, 9))]
    for path in stale:
        put(anywhere, path, sidecar())
    put(anywhere, "train/notes.txt")
    settings = replace(anywhere.settings, prompt="Another.") if merge else anywhere.settings
    taken = claim(replace(anywhere, settings=settings), PLAN, overwrite=False, merge=merge)
    left = {uris.below(anywhere.folder, uri) for uri in storage.list_files(anywhere.folder)}
    assert (taken.resumed, taken.remarks) == (True, ())
    assert left == {*OURS, "run.json", "train/notes.txt"} - {"dataset.json"}


@pytest.mark.parametrize(
    "tree",
    [
        *(
            [],
            None,
            3,
            {},
            {"foo": 1},
            {"format_version": "1"},
            {"format_version": 1, "settings": {}, "num_shards": {}},
        ),
        {"format_version": 1, "settings": {}, "num_shards": {"train": "many"}, "manifest": {"rows": 1}},
        {"format_version": 1, "settings": [], "num_shards": {"train": 1}, "manifest": {"rows": 1}},
    ],
)
def test_a_folder_whose_run_json_is_not_ours_is_refused(output, tree):
    put(output, "run.json", json.dumps(tree).encode())
    before = {uri: storage.read_bytes(uri) for uri in storage.list_files(output.folder)}
    with pytest.raises(UserError, match=r"run\.json is damaged \(.*\): .*; choose another --output"):
        claim(output, PLAN, overwrite=True)
    assert {uri: storage.read_bytes(uri) for uri in storage.list_files(output.folder)} == before


@pytest.mark.parametrize("name", earlier.FOLDERS)
@pytest.mark.parametrize("there", [True, False])
def test_a_folder_that_is_a_link_is_neither_cleared_nor_written(tmp_path, name, there):
    place = replace(output_of(tmp_path), num_shards=SHARDS)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"elsewhere/{name}-00000-of-00001.jsonl").write_text("my only copy")
    (tmp_path / "out").mkdir()
    if there:
        claim(place, PLAN, overwrite=False)
    (tmp_path / "out" / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=f"{name} is a link, behind which nothing is written"):
        claim(other(place), OTHERS, overwrite=True)
    assert [path.read_text() for path in (tmp_path / "elsewhere").iterdir()] == ["my only copy"]


@pytest.mark.parametrize("name", earlier.FOLDERS)
def test_a_file_in_the_place_of_a_folder_is_told_before_anything_is_removed(output, tmp_path, name):
    shutil.rmtree(tmp_path / "out" / name, ignore_errors=True)
    (tmp_path / "out" / name).write_text("my only copy")
    before = storage.list_files(output.folder)
    with pytest.raises(UserError, match=f"{name} is a file where a folder must be; move it away"):
        overwritten(output)
    assert storage.list_files(output.folder) == before


def test_a_shard_that_is_a_link_is_removed_as_a_link(tmp_path):
    place = replace(output_of(tmp_path), num_shards=SHARDS)
    claim(place, PLAN, overwrite=False)
    (tmp_path / "mine.jsonl").write_text("my only copy")
    (tmp_path / "out/train").mkdir()
    for name in (PAIRS[0], beside(PAIRS[0]), "dataset.json", "report.html"):
        (tmp_path / "out" / name).symlink_to(tmp_path / "mine.jsonl")
    claim(other(place), OTHERS, overwrite=True)
    assert (tmp_path / "mine.jsonl").read_text() == "my only copy"
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_symlink()] == []


def test_a_folder_link_that_appears_later_is_not_written_behind(tmp_path):
    place = replace(output_of(tmp_path), num_shards=SHARDS)
    ours = place.claimed(claim(place, PLAN, overwrite=False))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out/train").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is a link to another folder; remove the link"):
        ours.storage.write_bytes(ours.shard_uri(("train", 0)), b"")
    (tmp_path / "elsewhere/train-00000-of-00002.jsonl").write_text("my only copy")
    with pytest.raises(UserError, match="is a link to another folder; remove the link"):
        ours.storage.delete(ours.shard_uri(("train", 0)))
    assert [path.read_text() for path in (tmp_path / "elsewhere").iterdir()] == ["my only copy"]


def test_an_output_that_is_a_link_itself_is_the_users_choice(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    place = replace(output_of(tmp_path), num_shards=SHARDS)
    ours = place.claimed(claim(place, PLAN, overwrite=False))
    ours.storage.write_bytes(ours.shard_uri(("train", 0)), b"{}\n")
    assert claim(other(place), OTHERS, overwrite=True) == Claim(
        sha256(run_file(OTHERS, other(place).settings)).hexdigest(), False
    )
    assert [path.name for path in (tmp_path / "disk").rglob("*") if path.is_file()] == ["run.json"]


def test_folders_in_the_place_of_files_stay(tmp_path):
    place = replace(output_of(tmp_path), num_shards=SHARDS)
    claim(place, PLAN, overwrite=False)
    for name in ("dataset.json", PAIRS[0], "report.html"):
        (tmp_path / "out" / name).mkdir(parents=True)
        (tmp_path / "out" / name / "mine").write_text("my only copy")
    claim(other(place), OTHERS, overwrite=True)
    assert len(list((tmp_path / "out").rglob("mine"))) == 3
