"""Files of state that are damaged: the same command again mends them, or says in one line what to do."""

import json

import pytest

from cliptune.main import main
from tests.beam_pipeline.conftest import contents
from tests.damages import a_socket, folder, half, nothing, pipe, too_long

SHARD = "train/train-00002-of-00006.jsonl"
SIDECAR = SHARD.replace(".jsonl", ".outcomes.json")
STATE = [
    *("run.json", "manifests.json", "checksums.json", "dataset.json", "report.json", "report.html", "rejected.jsonl"),
    *("ledger/ledger-00000-of-00001.parquet", SHARD, SIDECAR, "rejected/rejected-00000-of-00001.outcomes.json"),
]


def link(to):
    def damage(path):
        path.unlink()
        path.symlink_to(to(path))

    return damage


def holds(content):
    return lambda path: path.write_bytes(content)


def recoded(encoding):
    return lambda path: path.write_bytes(path.read_bytes().decode(errors="replace").encode(encoding))


# What the same command mends.
MENDED = {
    "missing": nothing,
    "empty": holds(b""),
    "half": half,
    "too long": too_long,
    "a pipe": pipe,
    "a socket": a_socket,
    "a link to a device": link(lambda path: "/dev/zero"),
    "a link to nothing": link(lambda path: "nowhere"),
    "a link to itself": link(lambda path: path),
    "no text": holds(b"\xff\xfe"),
    "UTF-16": recoded("utf-16"),
    "a mark of its order": recoded("utf-8-sig"),
    "a list": holds(b"[]"),
    "null": holds(b"null"),
    "an object": holds(b"{}"),
    "another version": holds(b'{"format_version": 99}'),
    "nested without end": holds(b"[" * 100_000),
    "half a character": holds(b'{"format_version": 2, "settings": "\\ud800"}'),
}


# Every damage to the files that a rerun goes on from; some damage to all others.
DAMAGES = [("run.json", kind) for kind in MENDED if kind != "another version"] + [(SIDECAR, kind) for kind in MENDED]
DAMAGES += [
    (file, kind) for file in STATE for kind in ("half", "too long", "a pipe") if file not in ("run.json", SIDECAR)
]


@pytest.mark.parametrize(("file", "kind"), DAMAGES)
def test_the_same_command_mends_it(finished, prepare, reference, monkeypatch, file, kind):
    MENDED[kind](finished / "out" / file)
    monkeypatch.chdir(finished)
    run = prepare("m.jsonl", "out")
    assert run.status == 0, run.stderr
    assert contents(finished / "out") == contents(reference)


def test_a_run_of_another_version_is_told_from_a_damaged_one(finished, prepare):
    altered(finished / "out/run.json", "format_version", value=99)
    run = prepare("m.jsonl", "out")
    assert (run.status, "format_version (99, now 2)" in run.stderr) == (1, True)
    assert "choose another --output, or pass --overwrite to replace it" in run.stderr


@pytest.mark.parametrize("file", STATE)
def test_a_folder_in_its_place_is_one_line_that_says_what_to_do(finished, prepare, reference, file):
    path = finished / "out" / file
    folder(path)
    run = prepare("m.jsonl", "out")
    assert (run.status, run.stdout, run.stderr.count("\n")) == (1, "", 1), run.stderr
    assert f"{file}': a folder is in the place of this file; remove it, and run the same command again" in run.stderr
    path.rmdir()
    assert prepare("m.jsonl", "out").status == 0
    assert contents(finished / "out") == contents(reference)


def altered(path, *keys, value):
    """Another value in one place of a JSON file."""
    tree = json.loads(path.read_bytes())
    inner = tree
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    path.write_text(json.dumps(tree))


LIES = [
    (SIDECAR, ("outcomes", 0, "num_samples"), 1),
    (SIDECAR, ("outcomes", 0, "status"), "rejected"),
    (SIDECAR, ("outcomes", 0, "target_chars"), -1),
    (SIDECAR, ("later",), 1),
    ("run.json", ("settings", "sample_rate"), 8_000),
]


@pytest.mark.parametrize(("file", "keys", "value"), LIES)
def test_what_was_altered_by_hand_is_not_believed(finished, prepare, reference, file, keys, value):
    altered(finished / "out" / file, *keys, value=value)
    assert prepare("m.jsonl", "out").status == 0
    assert contents(finished / "out") == contents(reference)


def test_a_lie_in_the_description_of_an_unfinished_run_is_told(finished, prepare):
    (finished / "out/checksums.json").unlink()
    altered(finished / "out/run.json", "settings", "sample_rate", value=8_000)
    run = prepare("m.jsonl", "out")
    fault = "run.json is damaged (checksum: does not fit the contents, which have been altered): it says what"
    assert (run.status, fault in run.stderr) == (1, True)


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("run.json", b"[]", "run.json is damaged (must be a JSON object, got list): it says with which settings"),
        ("manifests.json", b"{", "manifests.json is damaged (not valid JSON"),
        (
            "mended.jsonl",
            b"[]\n",
            "mended.jsonl is damaged (line 1: must be a JSON object, got list): it keeps the rows",
        ),
        ("mended.jsonl", b'{"source": 1}\n', "mended.jsonl is damaged (line 1: source: expected str, got 1)"),
        ("added.jsonl", b"{}\n{", "added.jsonl is damaged (line 2: not valid JSON"),
    ],
)
def test_a_merge_does_not_guess_at_damaged_state(finished, prepare, reference, capfd, file, content, told):
    (finished / "out" / file).write_bytes(content)
    status = main(["prepare", "--manifest=out/rejected.jsonl", "--merge_into=out"])
    stderr = capfd.readouterr().err
    assert (status, told in stderr) == (1, True), stderr
    if file in ("mended.jsonl", "added.jsonl"):
        assert "; remove it, and merge its rows again" in stderr
        (finished / "out" / file).unlink()
    else:
        assert "; run the command that made it once more" in stderr
    assert prepare("m.jsonl", "out").status == 0
    assert contents(finished / "out") == contents(reference)
