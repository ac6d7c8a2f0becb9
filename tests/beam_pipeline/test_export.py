"""`cliptune export`: what is written is read again as the same clips, and what is not whole has no manifest."""

import base64
import json

import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from beam_pipeline import export
from beam_pipeline.export import file_name
from beam_pipeline.requests import ExportRequest
from tests.beam_pipeline.conftest import SOME, contents, examples, ledger, write_manifest
from tests.beam_pipeline.test_suspects import run
from transforms.storage import Storage

__all__ = ["run"]  # a fixture
AGAIN = ("--keep_silence", "--max_rejected_fraction=0")


def rows(place, split):
    return [json.loads(line) for line in (place / split / "metadata.jsonl").read_text().splitlines()]


def heard(output, split):
    """The texts and samples of the examples of a split."""
    found = []
    for tree in examples(output, split):
        part = tree["contents"][0]["parts"][1]["inline_data"]
        content = base64.b64decode(part["data"])
        (output / "one").write_bytes(content)
        samples = soundfile.read(output / "one", dtype="int16")[0].tobytes()
        part["data"] = ""
        found.append((tree, samples))
    (output / "one").unlink()
    return found


def test_what_is_written_is_prepared_as_the_same_clips(finished, prepare, run):
    told = run("export", "out", "files")
    assert told.status == 0, told.stderr
    assert told.json["splits"] == {split: len(examples(finished / "out", split)) for split in ("train", "validation")}
    assert [*told.json["manifests"]] == ["files/validation/metadata.jsonl", "files/train/metadata.jsonl"]
    again = prepare("files/*/metadata.jsonl", "again", *AGAIN)
    assert again.status == 0, again.stderr
    for split in ("train", "validation"):
        assert heard(finished / "again", split) == heard(finished / "out", split)
    kept = ("clip_id", "split", "group", "language", "task", "num_samples", "target_chars", "shard_index", "line_index")
    assert [[row[name] for name in kept] for row in ledger(finished / "again")] == [
        [row[name] for name in kept] for row in ledger(finished / "out") if row["status"] == "accepted"
    ]


def test_of_payloads_in_wav_every_byte_is_the_same(folder, prepare, run):
    first = prepare(folder / "m.jsonl", folder / "out", "--audio_format=wav")
    run("export", str(folder / "out"), str(folder / "files"))
    again = prepare(f"{folder}/files/*/metadata.jsonl", folder / "again", "--audio_format=wav", *AGAIN)
    assert again.json["fingerprint"] == first.json["fingerprint"]


def test_the_files_are_the_payloads_and_the_manifest_says_what_the_examples_say(folder, prepare, run):
    some = [{**row, "prompt": "Say it." if number % 2 else None} for number, row in enumerate(SOME[:6])]
    some[0]["split"] = "test"
    write_manifest(folder / "m.jsonl", [*some, {"id": "gone", "audio_path": "gone.wav", "text": "a"}])
    prepare(folder / "m.jsonl", folder / "out", "--max_rejected_fraction=1")
    run("export", str(folder / "out"), str(folder / "files"))
    found = {row["id"]: row for split in ("train", "test") for row in rows(folder / "files", split)}
    assert {name: (row["text"], row.get("prompt"), row["split"]) for name, row in found.items()} == {
        row["id"]: (row["text"], row["prompt"], row.get("split") or "train") for row in some
    }
    assert "task" not in found[some[0]["id"]]  # no row has one
    for row in ledger(folder / "out"):
        if row["status"] == "accepted":
            path = folder / "files" / row["split"] / found[row["clip_id"]]["file_name"]
            assert path.stat().st_size == row["audio_bytes"]
    assert not (folder / "files/validation").exists()


def test_several_tasks_come_with_their_file(folder, prepare, run):
    (folder / "tasks.yaml").write_text(
        "say: {prompt: Say., system_instruction: Be exact.}\nwhich: {prompt: 'Which?', labels: [a, b]}\n"
        "facts: {prompt: JSON., schema: {type: object}}\n"
    )
    texts = {"say": "hello", "which": "a", "facts": '{"n":1}'}
    some = [
        {**row, "id": f"{task}{n}", "task": task, "text": texts[task]}
        for n, row in enumerate(SOME[:3])
        for task in texts
    ]
    write_manifest(folder / "m.jsonl", some)
    flags = ("--audio_format=wav", "--max_rejected_fraction=1")
    first = prepare(folder / "m.jsonl", folder / "out", f"--tasks={folder}/tasks.yaml", *flags)
    run("export", str(folder / "out"), str(folder / "files"))
    again = prepare(
        f"{folder}/files/*/metadata.jsonl",
        folder / "again",
        f"--tasks={folder}/files/tasks.yaml",
        *flags,
        "--keep_silence",
    )
    assert (again.status, again.json["fingerprint"]) == (0, first.json["fingerprint"]), again.stderr


def test_a_killed_export_has_no_manifest_and_the_same_command_goes_on(finished, run, monkeypatch):
    written: list[str] = []
    write = Storage.write_bytes

    def dies(self, uri, content):
        if len(written) == 5:
            raise KeyboardInterrupt
        written.append(uri)
        write(self, uri, content)

    with monkeypatch.context() as patch:
        patch.setattr(Storage, "write_bytes", dies)
        assert run("export", "out", "files").status == 1
    assert [*(finished / "files").rglob("metadata.jsonl")] == []
    assert json.loads((finished / "files/export.json").read_text())["complete"] is False
    done = run("export", "out", "files")
    assert (done.status, done.json["reused"]) == (0, 4)
    assert run("export", "out", "whole").status == 0
    assert contents(finished / "files") == contents(finished / "whole")
    assert run("export", "out", "files").json["reused"] == done.json["files"]


def test_nothing_is_overwritten_without_a_word(finished, prepare, run):
    (finished / "files").mkdir()
    (finished / "files/mine.txt").write_text("mine")
    refused = run("export", "out", "files")
    assert (refused.status, refused.stderr.count("\n")) == (1, 1)
    assert "is not empty; name another folder, or pass --overwrite" in refused.stderr
    assert run("export", "out", "files", "--overwrite").status == 0
    assert (finished / "files/mine.txt").read_text() == "mine"
    prepare("m.jsonl", "few", "--limit=3")
    assert "holds another export" in run("export", "few", "files").stderr
    assert run("export", "few", "files", "--overwrite").status == 0
    assert len([*(finished / "files").rglob("*.flac")]) == 3
    for inside in ("out", "out/files", "."):
        assert "must lie apart" in run("export", "out", inside).stderr


def test_a_line_that_was_changed_is_told(finished, run):
    path = next((finished / "out/train").glob("*.jsonl"))
    path.write_bytes(path.read_bytes().replace(b"Transcribe", b"Translate!", 1))
    refused = run("export", "out", "files")
    assert (refused.status, f"{path}:1: it is not the line" in refused.stderr) == (1, True)


def test_an_unfinished_dataset_is_none(finished, run):
    (finished / "out/dataset.json").unlink()
    refused = run("export", "out", "files")
    assert (refused.status, "holds no finished dataset" in refused.stderr) == (1, True)
    assert not (finished / "files").exists()


def test_from_a_bucket_to_a_bucket(bucket, folder, prepare, run):
    storage = Storage()
    for row in SOME[:5]:
        storage.write_bytes(f"{bucket}/{row['audio_path']}", (folder / row["audio_path"]).read_bytes())
    storage.write_bytes(f"{bucket}/m.jsonl", write_manifest(folder / "m", SOME[:5]).read_bytes())
    first = prepare(f"{bucket}/m.jsonl", f"{bucket}/out", "--audio_format=wav")
    assert run("export", f"{bucket}/out", f"{bucket}/files").json["files"] == 5
    again = prepare(f"{bucket}/files/*/metadata.jsonl", f"{bucket}/again", "--audio_format=wav", *AGAIN)
    assert again.json["fingerprint"] == first.json["fingerprint"]


@given(st.text(max_size=300), st.booleans())
def test_every_id_makes_a_name_that_any_file_system_takes(clip_id, many):
    name = file_name(clip_id, "flac", many)
    parts = name.split("/")
    assert len(parts) == 1 + many
    assert all(part.isascii() and not part.startswith((".", "-")) and len(part) < 120 for part in parts)
    assert export._OURS.fullmatch(f"train/{name}")


@pytest.mark.parametrize(
    ("one", "other"), [("a", "A"), ("a/b", "a_b"), ("..", "."), ("x" * 300, "x" * 301), ("é", "e")]
)
def test_ids_that_look_alike_have_names_of_their_own(one, other):
    names = {file_name(each, "flac").lower() for each in (one, other)}
    assert len(names) == 2


def test_hugging_face_reads_it(finished):
    """As far as it goes without decoding, for which it wants torch."""
    datasets = pytest.importorskip("datasets")
    export.run(ExportRequest("out", "files"))
    builder = datasets.load_dataset_builder("audiofolder", data_dir="files")
    for part in builder._split_generators(datasets.StreamingDownloadManager()):
        read = [row for _, row in builder._generate_examples(**part.gen_kwargs)]
        folder = finished / "files" / part.name
        assert [(row["id"], row["text"], row["audio"]) for row in read] == [
            (row["id"], row["text"], str(folder / row["file_name"])) for row in rows(finished / "files", part.name)
        ]
        assert read
