"""The output folder: whose it is, and what may be replaced in it."""

import json
from dataclasses import replace
from hashlib import sha256

import pytest

from tests.shards import finished, output_of
from transforms import records
from transforms.audio.builds import builds
from transforms.dataset.output import Claim, claim, describe, left_by_earlier_runs
from transforms.dataset.plan import make_plan
from transforms.errors import UserError
from transforms.payloads import Payload
from transforms.settings import Settings
from transforms.storage import Storage

storage = Storage()


def test_output_of_another_run_is_refused_or_replaced(tmp_path, clips):
    _, plan, output, _ = finished(tmp_path, clips)
    other = Settings(sample_rate=8_000, validation_fraction=0.0)
    with pytest.raises(UserError, match=r"settings.sample_rate \(16000, now 8000\).*--overwrite"):
        claim(replace(output, settings=other), plan, overwrite=False)
    assert (tmp_path / "out/dataset.json").exists()
    (tmp_path / "out/tuning").mkdir()
    (tmp_path / "out/tuning/job.json").write_text("{}")
    claim(replace(output, settings=other), plan, overwrite=True)
    left = {uri.removeprefix(output.folder + "/") for uri in storage.list_files(output.folder)}
    assert left == {"run.json", "tuning/job.json"}  # what names a paid job is not ours to delete


def test_strangers_files_are_never_touched(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.doc").write_text("")
    plan = make_plan([], Settings())
    with pytest.raises(UserError, match=r"other files, for example .*thesis\.doc"):
        claim(output_of(tmp_path), plan, overwrite=True)


def test_a_run_of_the_same_command_that_begins_in_between_is_no_stranger(tmp_path, monkeypatch):
    output, plan = output_of(tmp_path), make_plan([], Settings())

    def list_files(self, folder):
        monkeypatch.undo()
        claim(output, plan, overwrite=False)
        return self.list_files(folder)

    monkeypatch.setattr(Storage, "list_files", list_files)
    assert claim(output, plan, overwrite=False).resumed
    assert storage.list_files(output.folder) == [f"{output.folder}/run.json"]


def test_where_everything_is(tmp_path):
    output = replace(output_of(tmp_path), num_shards={"train": 12, "validation": 1})
    assert output.shard_path(("train", 3)) == "train/train-00003-of-00012.jsonl"
    assert output.shard_uri(("train", 3)) == f"{tmp_path}/out/train/train-00003-of-00012.jsonl"
    assert output.sidecar_uri(("validation", 0)) == f"{tmp_path}/out/validation/validation-00000-of-00001.outcomes.json"
    assert output.audio_folder() == f"{tmp_path}/out/audio"


@pytest.mark.parametrize("audio_there", [False, True])
def test_a_payload_is_written_once_under_its_hash(tmp_path, monkeypatch, audio_there):
    asked = []
    monkeypatch.setattr(Storage, "write_once", lambda self, *words: asked.append(words))
    output = replace(output_of(tmp_path, audio_part="uri", audio_uri="gs://b/audio"), audio_there=audio_there)
    output.write_audio(Payload(b"sound", "audio/flac"))
    digest = sha256(b"sound").hexdigest()
    uri = f"{tmp_path}/out/audio/{digest[:2]}/{digest}.flac"
    assert asked == [(uri, b"sound", "audio/flac", audio_there)]


@pytest.mark.parametrize("audio", [False, True])
def test_what_earlier_runs_have_left(tmp_path, audio):
    output = replace(output_of(tmp_path), num_shards={"train": 3, "validation": 2, "rejected": 1})
    assert left_by_earlier_runs(output) == (frozenset(), False)
    for key in (("train", 0), ("train", 2), ("validation", 1), ("rejected", 0)):
        storage.write_bytes(output.sidecar_uri(key), b"{}")
    storage.write_bytes(output.shard_uri(("train", 1)), b"")  # a shard without a sidecar is not finished
    storage.write_bytes(f"{output.folder}/train/train-00000-of-00009.outcomes.json", b"{}")  # of another plan
    if audio:
        storage.write_bytes(f"{output.folder}/audio/ab/abc.flac", b"")
    finished_keys = frozenset({("train", 0), ("train", 2), ("validation", 1), ("rejected", 0)})
    assert left_by_earlier_runs(output) == (finished_keys, audio)


def test_a_file_is_no_place_for_a_dataset(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(UserError) as fault:
        claim(output_of(tmp_path), make_plan([], Settings()), overwrite=True)
    assert str(fault.value) == f"{tmp_path}/out is a file; --output names a folder"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"{", "not valid JSON: unexpected end of data: line 1 column 2 (char 1)"),
        (b"[]", "must be a JSON object, got list"),
        (b'{"format_version": 2}', "checksum: missing"),
    ],
)
def test_a_damaged_description_is_told_and_nothing_is_lost(tmp_path, content, fault):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/run.json").write_bytes(content)
    with pytest.raises(UserError) as found:
        claim(output_of(tmp_path), make_plan([], Settings()), overwrite=True)
    told = (
        f"{tmp_path}/out/run.json is damaged ({fault}): it says what the folder was made from; choose another --output,"
        " or put it back as it was"
    )
    assert (str(found.value), (tmp_path / "out/run.json").read_bytes()) == (told, content)


def test_a_resumed_run_is_not_complete_until_it_has_ended(tmp_path, clips):
    _, plan, output, _ = finished(tmp_path, clips)
    before = (tmp_path / "out/run.json").read_bytes()
    assert claim(output, plan, overwrite=False) == Claim(sha256(before).hexdigest(), resumed=True)
    assert not (tmp_path / "out/dataset.json").exists()
    assert (tmp_path / "out/report.json").exists()
    assert (tmp_path / "out/run.json").read_bytes() == before


def test_half_written_files_of_killed_runs_are_swept(tmp_path, monkeypatch):
    swept = []
    monkeypatch.setattr(Storage, "sweep", lambda self, folder: swept.append(folder))
    assert not claim(output_of(tmp_path), make_plan([], Settings()), overwrite=False).resumed
    assert swept == [f"{tmp_path}/out"]


@pytest.mark.parametrize(("chars", "told"), [(60, "x" * 60), (61, "x" * 57 + "…")])
def test_what_differs_is_told_in_short(tmp_path, chars, told):
    plan = make_plan([], Settings())
    claim(output_of(tmp_path, prompt="x" * chars), plan, overwrite=False)
    other = output_of(tmp_path, prompt="y", bitrate=0, sample_rate=8_000)
    with pytest.raises(UserError) as fault:
        claim(other, plan, overwrite=False)
    differences = f"settings.prompt ({told}, now y), settings.sample_rate (16000, now 8000)"
    choices = "choose another --output, or pass --overwrite to replace it"
    assert str(fault.value) == f"{tmp_path}/out holds a dataset with other {differences}; {choices}"


def test_a_field_that_only_one_description_has_is_a_difference(tmp_path):
    output, plan = output_of(tmp_path), make_plan([], Settings())
    claim(output, plan, overwrite=False)
    path = tmp_path / "out/run.json"
    tree = json.loads(path.read_text())
    del tree["settings"]["dedupe"]
    del tree["checksum"]
    path.write_text(json.dumps(records.sealed({**tree, "extra": 1})))
    with pytest.raises(UserError, match=r"other extra \(1, now None\), settings.dedupe \(None, now none\);"):
        claim(output, plan, overwrite=False)


def test_a_description_is_what_is_read_back():
    """Tuples are lists in JSON: else no run would ever be resumed."""
    described = describe(make_plan([], Settings()), Settings(normalize_text=("nfc",)))
    assert described["settings"]["normalize_text"] == ["nfc"]
    assert described["manifest"] == {"rows": 0, "digest": "0" * 64}
    assert (described["format_version"], described["num_shards"]["rejected"]) == (2, 1)
    assert described["decoders"] == builds()


def test_a_description_is_text_that_people_can_read(tmp_path):
    plan = make_plan([], Settings())
    output = output_of(tmp_path)
    claim(output, plan, overwrite=False)
    text = (tmp_path / "out/run.json").read_text()
    assert text == json.dumps(describe(plan, output.settings), indent=2, ensure_ascii=False) + "\n"
