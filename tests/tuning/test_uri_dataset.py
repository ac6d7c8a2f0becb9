"""Datasets whose audio lies beside the shards, and datasets of several tasks: from prepare to predict."""

import json

import pytest
import soundfile

from tests.cliptune.test_commands import only_json, run  # noqa: F401 -- a fixture
from tests.sounds import tone
from transforms.storage import Storage

storage = Storage()

COUNT = 24


def write_recordings(folder):
    for index in range(COUNT):
        soundfile.write(folder / f"{index}.wav", tone(300 + 20 * index, 16_000, 0.5), 16_000, "PCM_16")


@pytest.fixture
def by_uri(run, bucket, tmp_path):  # noqa: F811
    """A dataset in a bucket whose examples point to its audio."""
    write_recordings(tmp_path)
    lines = [json.dumps({"audio": f"{index}.wav", "text": f"text {index}"}) for index in range(COUNT)]
    (tmp_path / "m.jsonl").write_text("\n".join(lines))
    words = ("--manifest", tmp_path / "m.jsonl", "--output", f"{bucket}/d", "--audio_part=uri", "--keep_silence")
    assert run("prepare", *words)[0] == 0
    return f"{bucket}/d"


def test_the_whole_way_of_a_dataset_by_uri(run, by_uri):  # noqa: F811
    status, stdout, _ = run("check", by_uri)
    checked = only_json(stdout)
    assert (status, checked["problems"]) == (0, [])
    # Half a second a clip: dataset.json tells how long the audio is that the lines only point to.
    assert checked["splits"]["train"]["tokens"]["unknown_audio"] == checked["splits"]["train"]["examples"] == 22
    assert checked["estimate"]["tokens"] >= 3 * 22 * 16
    job = only_json(run("tune", by_uri, "--emulator")[1])
    assert job["state"] == "SUCCEEDED"
    joined = storage.read_bytes(f"{by_uri}/tuning/train.jsonl").splitlines()
    assert len(joined) == 22
    parts = [json.loads(line)["contents"][0]["parts"][1]["file_data"] for line in joined]
    assert all(part["file_uri"].startswith(f"{by_uri}/audio/") for part in parts)
    told = only_json(run("predict", by_uri, "--emulator", "--limit", 1)[1])
    assert told["predictions"] == 1
    answer = json.loads(storage.read_bytes(told["file"]))
    assert answer["prediction"].startswith("[emulator]")
    assert answer["target"] == "text " + answer["clip_id"].removesuffix(".wav")


def test_audio_that_is_gone_or_changed_is_told_by_file_and_line(run, by_uri):  # noqa: F811
    lines = storage.read_bytes(f"{by_uri}/train/train-00000-of-00001.jsonl").splitlines()
    uris = [json.loads(line)["contents"][0]["parts"][1]["file_data"]["file_uri"] for line in lines]
    storage.delete(uris[3])
    storage.write_once(uris[5], b"something else", "audio/flac")
    storage.delete(uris[7])
    storage.write_once(uris[7], b"", "text/plain")
    status, stdout, _ = run("check", by_uri)
    found = [(each["source"].rpartition("/")[2], each["rule"]) for each in only_json(stdout)["problems"]]
    assert (status, found) == (
        1,
        [
            ("train-00000-of-00001.jsonl:4", "missing_audio"),
            ("train-00000-of-00001.jsonl:6", "changed_audio"),
            ("train-00000-of-00001.jsonl:8", "audio_type"),
            ("train-00000-of-00001.jsonl:8", "changed_audio"),
        ],
    )
    assert run("check", by_uri, "--offline")[0] == 0
    assert run("tune", by_uri, "--emulator")[0] == 1
    assert not storage.exists(f"{by_uri}/tuning/job.json")


def test_a_recording_is_asked_about_inline(run, by_uri, tmp_path):  # noqa: F811
    run("tune", by_uri, "--emulator")
    status, stdout, _ = run("predict", by_uri, "--emulator", "--audio", tmp_path / "0.wav")
    assert (status, len(only_json(stdout)["answers"])) == (0, 1)


TASKS = """
transcribe: {prompt: Transcribe this.}
pitch: {prompt: "High or low?", labels: [high, low]}
"""


@pytest.fixture
def two_tasks(run, tmp_path):  # noqa: F811
    write_recordings(tmp_path)
    (tmp_path / "tasks.yaml").write_text(TASKS)
    rows = [
        {"id": f"{task}-{index}", "audio": f"{index}.wav", "task": task, "text": text}
        for index in range(COUNT)
        for task, text in (("transcribe", "beep"), ("pitch", "high" if index > 11 else "low"))
    ]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    words = ("--manifest", tmp_path / "m.jsonl", "--output", tmp_path / "out", "--tasks", tmp_path / "tasks.yaml")
    assert run("prepare", *words)[0] == 0
    assert run("tune", tmp_path / "out", "--emulator")[0] == 0
    return tmp_path


def test_a_recording_is_asked_about_as_in_one_of_the_tasks(run, two_tasks):  # noqa: F811
    words = ("predict", two_tasks / "out", "--emulator", "--audio", two_tasks / "3.wav")
    (answer,) = only_json(run(*words, "--task", "pitch")[1])["answers"]
    (other,) = only_json(run(*words, "--task", "transcribe")[1])["answers"]
    assert answer["prediction"] != other["prediction"] or "low" in answer["prediction"]
    status, stdout, stderr = run(*words)
    assert (status, stdout) == (2, "")
    assert "--task must be one of transcribe, pitch, got ''" in stderr
    assert "got 'pich'" in run(*words, "--task", "pich")[2]
    assert "needs audio" in run("predict", two_tasks / "out", "--emulator", "--task", "pitch")[2]
