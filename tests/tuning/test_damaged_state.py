"""Files of state that are damaged: each command that reads one says so in one line, and what mends it."""

import json
import shutil
from typing import Any

import pytest

from tests import wrong_types
from tests.cliptune.test_commands import run
from tests.damages import folder, half, pipe, too_long
from tests.tuning.conftest import noted
from transforms import records
from transforms.errors import UserError
from transforms.storage import Storage
from tuning import dataset, predictions, service
from tuning.jobs import claims, note

__all__ = ["run"]  # a fixture
COMMANDS = {
    "check": ["check", "OUT"],
    "tune": ["tune", "OUT", "--emulator", "--no_watch"],
    "watch": ["watch", "OUT", "--emulator"],
    "jobs": ["jobs", "OUT", "--emulator"],
    "cancel": ["cancel", "OUT", "--emulator"],
    "predict": ["predict", "OUT", "--emulator", "--split", "validation"],
}
# Where the note of a run is, and was in earlier versions; where its answers are.
NOTE, EARLIER_NOTE = "tuning/runs/*/job.json", "tuning/job.json"
ANSWERS = "tuning/runs/*/predictions-validation-tuned-*.jsonl"
OF_A_NOTE = (
    ("tune", "watch", "jobs", "cancel", "predict"),
    "delete it if no job of this dataset is running, as cliptune jobs tells; cliptune tune finds a running one",
)
# Each file of state: the commands that read it, and the words with which they say how it is mended.
STATE = {
    "dataset.json": (COMMANDS.keys(), "it lists the files of the dataset; run cliptune prepare again"),
    NOTE: OF_A_NOTE,
    EARLIER_NOTE: OF_A_NOTE,
    "tuning/emulator.json": (("tune", "watch", "jobs", "cancel", "predict"), "delete it, and the emulator begins"),
    "ledger/ledger-00000-of-00001.parquet": (
        ("check", "tune"),
        "which clip each example is; run cliptune prepare again",
    ),
}
# What is only compared, or is appended to, may hold anything: only what is no file at all is damage.
KEPT = {
    "tuning/joined.json": (("tune",), "delete it, and cliptune tune joins them again"),
    ANSWERS: (("predict",), "remove it, and cliptune predict asks again"),
}


DAMAGES = {
    "a folder": folder,
    "a pipe": pipe,
    "too long": too_long,
    "half a file": half,
    "nothing": lambda path: path.write_bytes(b""),
    "no text": lambda path: path.write_bytes(b"\xff\xfe"),
    "a list": lambda path: path.write_bytes(b"[]"),
    "nested without end": lambda path: path.write_bytes(b"[" * 100_000),
}


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(service, "EMULATOR_POLL_SECONDS", 0)


@pytest.fixture(scope="module")
def _tuned(_prepared, tmp_path_factory):
    """A dataset with a tuned model that was asked."""
    from cliptune.main import main  # noqa: PLC0415 -- as the fixture `run` has it

    out = shutil.copytree(_prepared, tmp_path_factory.mktemp("tuned") / "out")
    assert main(["tune", str(out), "--emulator"]) == 0
    assert main(["predict", str(out), "--emulator"]) == 0
    return out


@pytest.fixture
def tuned(_tuned, tmp_path):
    return shutil.copytree(_tuned, tmp_path / "tuned")


def found(tuned, file):
    """The file of state that is meant."""
    if file == EARLIER_NOTE:
        found(tuned, NOTE).rename(tuned / EARLIER_NOTE)
    (path,) = tuned.glob(file)
    return path


def assert_told(run, out, command, remedy):
    status, stdout, stderr = run(*[str(out) if word == "OUT" else word for word in COMMANDS[command]])
    last = stderr.splitlines()[-1]
    assert (status, stdout) == (1, ""), (command, stderr)
    assert last.startswith(f"cliptune {command}: "), last
    assert " is damaged" in last, last
    assert remedy in last
    assert "Traceback" not in stderr


@pytest.mark.parametrize(
    ("file", "kind"),
    # The ledger is all files below its folder: a folder in the place of one is one file fewer.
    [(file, kind) for file in STATE for kind in DAMAGES if (file[:6], kind) != ("ledger", "a folder")],
)
def test_a_damaged_file_is_one_line_of_every_command_that_reads_it(run, tuned, file, kind):
    commands, remedy = STATE[file]
    DAMAGES[kind](found(tuned, file))
    for command in commands:
        assert_told(run, tuned, command, remedy)


@pytest.mark.parametrize("kind", ["a folder", "a pipe", "too long"])
@pytest.mark.parametrize("file", KEPT)
def test_what_is_no_file_is_one_line(run, tuned, file, kind):
    commands, remedy = KEPT[file]
    DAMAGES[kind](found(tuned, file))
    for command in commands:
        assert_told(run, tuned, command, remedy)


@pytest.mark.parametrize("kind", ["half a file", "nothing", "no text", "a list", "nested without end"])
@pytest.mark.parametrize("file", KEPT)
def test_what_can_be_made_again_is(run, _tuned, tuned, file, kind):
    path = found(tuned, file)
    before = path.read_bytes().replace(bytes(_tuned), bytes(tuned))  # where the joined files are
    DAMAGES[kind](path)
    for command in KEPT[file][0]:
        status, _, stderr = run(*[str(tuned) if word == "OUT" else word for word in COMMANDS[command]])
        assert status == 0, stderr
    assert path.read_bytes() == before


def altered(path, keys, value):
    tree = json.loads(path.read_text())
    inner = tree
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    path.write_text(json.dumps(tree))


SHARD = ("splits", "train", "shards", 0)
# What each field cannot be.
NEVER: list[tuple[tuple[Any, ...], list[Any]]] = [
    *((key, [None, 5, [], [5]]) for key in [("splits",), ("settings",), ("fingerprint",)]),
    (
        (*SHARD, "path"),
        ["../x", "/etc/passwd", "gs://bkt/x", "", ".", "train/../../x", "a\0b", "train//x", "train/./x"],
    ),
    ((*SHARD, "path"), [None, 5, []]),
    *(((*SHARD, name), [-1, 1.5, "x", None]) for name in ("examples", "bytes")),
    (("settings", "sample_rate"), [None, 0, -1, "x", 1.5]),
    (("settings", "tasks"), [5, "x", [5], [{}], [{"name": 5}], {"a": 1}]),
    (("splits", "train"), [None]),
    (("format_version",), [99]),
]


@pytest.mark.parametrize(("keys", "value"), [(keys, value) for keys, values in NEVER for value in values])
def test_a_field_of_dataset_json_that_cannot_be_is_one_line(out, keys, value):
    altered(out / "dataset.json", keys, value)
    with pytest.raises(
        UserError, match=r"^[^\n]*dataset.json is damaged \([^\n]*\): it lists the files of the dataset; run"
    ):
        dataset.load(str(out), Storage())


@pytest.mark.parametrize("command", ["check", "tune", "predict"])
@pytest.mark.parametrize("what", ["file", "folder"])
def test_nothing_outside_of_the_dataset_is_read(run, tuned, tmp_path, command, what):
    """A link is as good as a path."""
    secret = tmp_path / "secret"
    shutil.copytree(tuned / "train", secret)
    if what == "folder":
        shutil.rmtree(tuned / "train")
        (tuned / "train").symlink_to(secret)
    else:
        shard = min((tuned / "train").glob("*.jsonl"))
        shard.unlink()
        shard.symlink_to(secret / shard.name)
    status, stdout, stderr = run(*[str(tuned) if word == "OUT" else word for word in COMMANDS[command]])
    assert (status, stdout) == (1, "")
    assert (
        "is a link to a file outside of the dataset; put the file itself there, or run cliptune prepare again" in stderr
    )


def test_links_within_a_dataset_and_to_it_are_no_harm(run, tuned, tmp_path):
    (tuned / "train").rename(tuned / "elsewhere")
    (tuned / "train").symlink_to("elsewhere")
    (tmp_path / "link").symlink_to(tuned)
    assert run("check", str(tmp_path / "link"))[0] == 0


@pytest.mark.parametrize(
    "name",
    [
        *("x", "", "projects/../x", "projects/p/locations/l/tuningJobs/..", "projects/p/locations/l/tuningJobs/1/../2"),
        *(
            "projects/p/locations/../tuningJobs/1",
            "projects/p/locations/l/tuningJobs/1?x",
            "projects/p#/locations/l/a/1",
        ),
        *("//evil.example/p/locations/l/tuningJobs/1", "projects/p/locations/l/tuningJobs/1\n"),
    ],
)
def test_the_name_of_a_job_leads_nowhere_else(tuned, name):
    altered(found(tuned, NOTE), ("job", "name"), name)
    with pytest.raises(UserError, match=r"job.json is damaged \(job.name: must be a resource's name"):
        noted(dataset.load(str(tuned), Storage()))


@pytest.mark.parametrize("keys", [("digest",), ("request",), ("request", "epochs"), ("job",), ("job", "state")])
@pytest.mark.parametrize("value", [5.5, "x", [], [5], {"a": {}}], ids=repr)
def test_a_field_of_job_json_of_another_type_is_one_line(run, tuned, keys, value):
    if isinstance(value, str) and keys in (("digest",), ("job", "state")):
        return  # a text, as it should be
    altered(found(tuned, NOTE), keys, value)
    assert_told(run, tuned, "watch", STATE[NOTE][1])


def test_a_prediction_of_wrong_types_is_asked_again(run, tuned):
    path = found(tuned, ANSWERS)
    before = path.read_bytes()
    lines = [json.loads(line) for line in before.splitlines()]
    path.write_text("".join(json.dumps({**line, "prediction": 7}) + "\n" for line in lines))
    status, stdout, _ = run("predict", str(tuned), "--emulator")
    assert (status, json.loads(stdout)["asked"]) == (0, len(lines))
    assert path.read_bytes() == before


def a_prediction(content):
    return records.convert(json.loads(content), predictions.Prediction)


def a_step(content):
    return records.load(content, claims.Step, claims.FORMAT_VERSION)


# Each record of tuning, where one of it is kept, and what reads it.
TYPED = {
    "a note": (note.Note, NOTE, note.load),
    "a prediction": (predictions.Prediction, ANSWERS, a_prediction),
    "a step of a claim": (claims.Step, "tuning/claims/*/*", a_step),
}


@pytest.mark.parametrize("name", TYPED)
def test_no_value_of_another_type_passes(tuned, name):
    """At every path of a record, found from its type."""
    kind, file, load = TYPED[name]
    content = sorted(tuned.glob(file))[-1].read_bytes().splitlines()
    tree = json.loads(content[0] if file == ANSWERS else b"\n".join(content))
    passed, tried = [], 0
    for path, value in wrong_types.wrong(kind, tree):
        tried += 1
        try:
            load(json.dumps(wrong_types.altered(tree, path, value)).encode())
        except ValueError as fault:
            assert "\n" not in str(fault)
            continue
        passed.append((path, value))
    assert (passed, tried > 30) == ([], True)


@pytest.mark.parametrize("field", ["emulator", "tunedModel", "supervisedTuningSpec", "labels", "baseModel", "endTime"])
def test_a_job_of_the_emulator_of_another_type_is_one_line(run, tuned, field):
    path = tuned / "tuning/emulator.json"
    (name,) = json.loads(path.read_text())
    altered(path, (name, field), [None])
    assert_told(run, tuned, "jobs", STATE["tuning/emulator.json"][1])
