"""`cliptune init`: what it finds, and that the file which it writes runs as it is, whatever is in the manifest."""

from dataclasses import replace

import pytest

from beam_pipeline.requests import PrepareRequest
from cliptune import config, config_schema
from tests.beam_pipeline.conftest import FEW, fill, write_manifest
from tests.cliptune.test_commands import only_json, run
from tests.cliptune.test_hostile_words import HOSTILE, harmless
from transforms.storage import Storage

__all__ = ["run"]  # a fixture


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(*changes):
    return [{"audio": f"{number}.wav", "text": "x", **change} for number, change in enumerate(changes)]


def test_it_says_what_the_manifest_holds(run, folder):
    write_manifest(
        folder / "m.jsonl",
        rows(
            {"speaker": "a", "lang": "en", "split": "train", "offset": 0, "duration": 1800.5},
            {"speaker": "a", "lang": "de", "split": "test", "offset": 0, "duration": 1799.5},
            {"speaker": "b", "lang": "en", "split": "validation", "task": "digits"},
            {"speaker": "b", "text": ""},
        ),
    )
    status, stdout, stderr = run("init", "m.jsonl")
    report = only_json(stdout)
    assert status == 0, stderr
    assert (report["rows"], report["unusable"], report["groups"]) == (4, {"missing_text": 1}, 2)
    assert report["columns"] == {
        "audio": "audio",
        "text": "text",
        "group": "speaker",
        "language": "lang",
        "split": "split",
        "offset": "offset",
        "duration": "duration",
    }
    assert report["splits"] == {"train": 1, "validation": 1, "test": 1}
    assert report["languages"] == {"en": 2, "de": 1}
    assert (report["stated_seconds"], report["stated"]) == (3600.0, 2)
    text = (folder / "cliptune.yaml").read_text()
    for line in (
        "# 4 rows, 3 of which may become clips",
        "#   1 × missing_text",
        "# columns: audio, text, group (speaker), language (lang), split, offset, duration",
        "# splits: 1 train, 1 validation, 1 test",
        "# groups: 2",
        "# languages: en (2), de (1)",
        "# audio: 1.00 hours in the 2 rows whose length is stated",
    ):
        assert f"\n{line}\n" in text
        assert line.removeprefix("# ").strip() in stderr
    assert stderr.endswith("wrote cliptune.yaml; look at it, then: cliptune run --dry_run\n")


@pytest.mark.sweep  # tests/test_run_page.py does the same with the page's commands
def test_what_is_written_runs_as_it_is(run, folder):
    fill(folder, FEW)
    assert run("init")[0] == 0  # the only manifest
    status, stdout, stderr = run("run")
    assert status == 0, stderr
    assert list(only_json(stdout)["systems"]) == ["epochs-1", "epochs-3", "base"]
    assert (folder / config_schema.FILE).read_bytes() == config_schema.content()
    first = (folder / "cliptune.yaml").read_text().partition("\n")[0]
    assert first == f"# yaml-language-server: $schema={config_schema.FILE}"


def test_it_replaces_nothing_unless_it_is_told_to(run, folder):
    write_manifest(folder / "m.jsonl", rows({}))
    (folder / "cliptune.yaml").write_text("mine")
    status, stdout, stderr = run("init", "m.jsonl")
    assert (status, stdout) == (1, "")
    assert (
        stderr == "cliptune init: cliptune.yaml is there already; --overwrite replaces it, --file names another one\n"
    )
    assert (folder / "cliptune.yaml").read_text() == "mine"
    assert run("init", "m.jsonl", "--file=other.yaml")[0] == 0
    assert run("init", "m.jsonl", "--overwrite")[0] == 0
    assert (folder / "cliptune.yaml").read_text() == (folder / "other.yaml").read_text()
    assert {path.name for path in folder.iterdir()} == {"m.jsonl", "cliptune.yaml", "other.yaml", config_schema.FILE}


def test_a_link_to_nowhere_is_there_already(run, folder):
    write_manifest(folder / "m.jsonl", rows({}))
    (folder / "cliptune.yaml").symlink_to("nowhere")
    assert run("init", "m.jsonl")[0] == 1
    assert not (folder / "nowhere").exists()


@pytest.mark.parametrize(
    ("files", "words", "message"),
    [
        ([], [], "name the manifest: cliptune init MANIFEST (there is none in this folder)"),
        (["a.csv", "b.jsonl"], [], "name the manifest: cliptune init MANIFEST (there are a.csv, b.jsonl)"),
        ([], ["m.jsonl"], "m.jsonl: there is no such manifest, file or folder"),
        (["a.jsonl"], ["a.jsonl"], "a.jsonl: "),
        (["a.jsonl"], ["a.jsonl", "--file=nowhere/c.yaml"], ""),
    ],
)
def test_what_cannot_be_looked_at(run, folder, files, words, message):
    for name in files:
        (folder / name).write_text("")
    status, stdout, stderr = run("init", *words)
    assert (status, stdout) == (1, "")
    assert stderr.startswith(f"cliptune init: {message}")
    assert not (folder / "cliptune.yaml").exists()


def test_a_folder_that_is_not_there_is_told(run, folder):
    write_manifest(folder / "m.jsonl", rows({}))
    status, _, stderr = run("init", "m.jsonl", "--file=nowhere/c.yaml")
    assert status == 1
    assert stderr.splitlines()[-1] == "cliptune init: nowhere/c.yaml: No such file or directory"


def test_names_are_those_of_where_the_file_lies(run, folder):
    (folder / "in").mkdir()
    (folder / "jobs").mkdir()
    write_manifest(folder / "in/m.jsonl", rows({"words": "y"}))
    flags = ["--file=jobs/c.yaml", "--text_column=words", "--audio_root=in", "--output=out"]
    status, stdout, stderr = run("init", "in/m.jsonl", *flags)
    assert status == 0, stderr
    assert only_json(stdout)["manifest"] == ["../in/m.jsonl"]
    assert stderr.endswith("wrote jobs/c.yaml; look at it, then: cliptune run jobs/c.yaml --dry_run\n")
    wanted = PrepareRequest(("in/m.jsonl",), "out", audio_root="in", columns={"text": "words"})
    found = config.load("jobs/c.yaml").prepare
    assert replace(found, settings=wanted.settings) == wanted


def test_manifests_of_a_bucket_are_named_whole(run, folder, bucket):
    Storage().write_bytes(f"{bucket}/lists/a.jsonl", b'{"audio": "a.wav", "text": "x"}\n')
    assert run("init", f"{bucket}/lists/*.jsonl")[0] == 0
    made = config.load("cliptune.yaml").prepare
    assert (made.manifest, made.output) == ((f"{bucket}/lists/*.jsonl",), f"{bucket}/dataset")


@pytest.mark.parametrize(
    "name",
    [
        "no",
        "true",
        "a b.jsonl",
        "010",
        "${HOME}.jsonl",
        "#x",
        "a: b",
        "'q\".jsonl",
        "é.jsonl",
        "-x",
        "1e3",
        "@x",
        "[x]",
    ],
)
def test_every_name_of_a_manifest_is_written_so_that_it_is_read_again(run, folder, name):
    write_manifest(folder / name, rows({}))
    assert run("init", "--", name)[0] == 0
    assert config.load("cliptune.yaml").prepare.manifest == (name,)


def test_a_file_is_no_home(run, folder):
    write_manifest(folder / "~", rows({}))
    assert run("init", "~")[0] == 0
    assert config.load("cliptune.yaml").prepare.manifest == ("~",)


def test_a_strangers_words_stay_in_their_comments(run, folder):
    write_manifest(folder / "m.jsonl", rows({"speaker": HOSTILE, "lang": HOSTILE[:90], HOSTILE: "x"}))
    status, stdout, stderr = run("init", "m.jsonl")
    assert status == 0
    harmless(stderr, stdout, (folder / "cliptune.yaml").read_text(encoding="utf-8"))
    assert config.load("cliptune.yaml").prepare == config.load("cliptune.yaml", environment={}).prepare
