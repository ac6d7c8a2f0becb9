"""Words from elsewhere, wherever a command prints some: none drives the terminal, forges a line or fills it.

The words are in column names, ids, file names, sources, targets, prompts, labels, tasks files, flags, the files of a
dataset, and in what a service and its models answer.
"""

import ast
import io
import json
import logging
from pathlib import Path

import httpx
import pytest
import soundfile

from cliptune.console import Console, logs_to
from cliptune.main import COMMANDS
from tests.cliptune.test_commands import run
from tests.sounds import tone
from tests.test_layers import imported, reaches
from tests.tuning.conftest import job_file
from transforms.printable import MAX_CHARS, escaped
from tuning.providers.vertex.tuner import VertexTuner

__all__ = ["run"]  # a fixture
ROOT = Path(__file__).parents[2]
# The title of the window, colour in eight bits, direction, line ends, tags, what is not seen, and a line that looks
# like one of ours.
UNSEEN = "\u3164\ue000a\u2800a\ufe0f"
HOSTILE = (
    f"\x1b]0;owned\x07\x9b31m\x7f\u202etxt\u2028\u2029\x85\u200b\U000e0041{UNSEEN}[bold]:100:\r\nforged: all is well\n"
)
NAME = "\x1b[31m\u202e[bold]\nforged.jsonl"  # as much as the name of a file may hold
ENDLESS = "x" * 1_000_000
PACKAGES = ("cliptune", "beam_pipeline", "tuning", "transforms")
SOURCES = [
    path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
    if path.name not in ("console.py", "ends.py")
]
PLACE = "projects/p/locations/us-central1"


def harmless(stderr, *others):
    """Whether each line is one that a command has made, and short."""
    for text in (stderr, *others):
        lines = text.split("\n")
        assert all(escaped(line) == line for line in lines)
        assert not [line for line in lines if line.lstrip().startswith("forged")]
        assert "💯" not in text
    assert all(len(line) <= MAX_CHARS for line in stderr.split("\n"))
    return stderr


@pytest.fixture
def folder(tmp_path):
    """A recording and a place for manifests, whose names are hostile, too."""
    place = tmp_path / NAME.removesuffix(".jsonl")
    place.mkdir()
    soundfile.write(place / "a.wav", tone(300, 16_000, 1.0), 16_000, "PCM_16")
    return place


def manifest(folder, *rows):
    path = folder / NAME
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return f"--manifest={path}"


ROW = {"id": HOSTILE, "audio": "a.wav", "text": HOSTILE}
TASK = f"{json.dumps(HOSTILE)}: {{prompt: {json.dumps(HOSTILE)}, labels: [{json.dumps(HOSTILE.strip())}, b]}}"


@pytest.mark.parametrize("endless", ["", ENDLESS])
@pytest.mark.parametrize(
    ("rows", "flags", "status"),
    [
        ([ROW], [], 0),
        ([ROW, ROW], [], 3),  # an id given twice
        ([{**ROW, "audio": HOSTILE}], [], 3),  # not found
        ([{**ROW, "audio": [HOSTILE]}], [], 3),
        ([{**ROW, "split": HOSTILE}], [], None),
        ([{**ROW, "offset": HOSTILE}], [], None),
        ([{HOSTILE: "a.wav", "text": HOSTILE}], [], 1),  # no column of audio
        ([{**ROW, "task": HOSTILE}], ["--tasks=tasks.yaml"], 3),
        ([{**ROW, "task": "other"}], ["--tasks=tasks.yaml"], 3),
        ([ROW], ["--tasks=" + HOSTILE], 1),
        ([ROW], ["--prompt=" + HOSTILE, "--dedupe=" + HOSTILE], 2),
        ([ROW], ["--sample_rate=" + HOSTILE], 2),
        ([ROW], ["--normalize_text=" + HOSTILE], 2),
        ([ROW], ["--text_column=" + HOSTILE], 1),
        ([ROW], ["--runner=" + HOSTILE], 2),
        ([ROW], ["--" + HOSTILE], 2),
        ([ROW], [HOSTILE], 2),
        ([ROW], ["--audio_root=" + HOSTILE], 3),
        ([ROW], ["--audio_part=uri", "--audio_uri=" + HOSTILE], 2),
        ([ROW], ["--manifest=" + HOSTILE], 1),
    ],
)
def test_prepare(run, folder, monkeypatch, rows, flags, status, endless):
    monkeypatch.chdir(folder)
    (folder / "tasks.yaml").write_text(TASK + f"\nc: {{prompt: p, target: {json.dumps('text')}}}\n", encoding="utf-8")
    rows = [{name: text + endless if name in ("id", "task") else text for name, text in row.items()} for row in rows]
    found, stdout, stderr = run("prepare", manifest(folder, *rows), f"--output={folder}/{HOSTILE[:9]}", *flags)
    assert found == (3 if endless and not status else status) or status is None, stderr  # an id may not be endless
    harmless(stderr, stdout)
    for page in folder.glob("**/report.html"):
        text = page.read_text(encoding="utf-8")
        harmless("", text)
        assert '<meta http-equiv="Content-Security-Policy" content="default-src' in text


@pytest.mark.parametrize(
    "line",
    [
        HOSTILE,
        json.dumps({HOSTILE: 1}),
        json.dumps({"contents": [{"role": HOSTILE, "parts": [{"text": HOSTILE}]}]}),
        json.dumps(
            {"contents": [{"role": "user", "parts": [{"fileData": {"mimeType": HOSTILE, "fileUri": HOSTILE}}]}]}
        ),
        json.dumps({"contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": HOSTILE, "data": "AAAA"}}]}]}),
        json.dumps(
            {"contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "audio/wav", "data": HOSTILE}}]}]}
        ),
    ],
)
def test_check_of_a_file(run, folder, line):
    (folder / NAME).write_text(line.replace("\n", "") + "\n", encoding="utf-8")
    status, stdout, stderr = run("check", folder / NAME, "--offline")
    assert status == 1
    harmless(stderr, stdout)


def changed(tree, value):
    """The tree with every text replaced, one at a time."""
    for name, found in tree.items() if isinstance(tree, dict) else enumerate(tree):
        if isinstance(found, dict | list):
            for other in changed(found, value):
                yield {**tree, name: other} if isinstance(tree, dict) else [*tree[:name], other, *tree[name + 1 :]]
        elif isinstance(found, str):
            yield {**tree, name: value} if isinstance(tree, dict) else [*tree[:name], value, *tree[name + 1 :]]


@pytest.mark.parametrize("name", ["dataset.json", "run.json", "report.json"])
def test_a_strangers_dataset(run, out, name):
    whole = (out / name).read_text(encoding="utf-8")
    for tree in changed(json.loads(whole), HOSTILE):
        (out / name).write_text(json.dumps(tree), encoding="utf-8")
        for words in (["check"], ["tune", "--project=p", "--staging_location=gs://bucket/s", "--dry_run"], ["predict"]):
            _, stdout, stderr = run(words[0], out, *words[1:])
            harmless(stderr, stdout)


@pytest.fixture
def service(monkeypatch):
    """A service whose answers hold hostile words wherever it may choose them; set `service.status` to refuse."""

    class Service:
        status = 200

        def answer(self, request):
            if self.status != 200:
                fault = {"error": {"code": self.status, "status": HOSTILE, "message": HOSTILE + ENDLESS}}
                return httpx.Response(self.status, json=fault)
            if "generateContent" in request.url.path:
                candidate = {
                    "content": {"role": "model", "parts": [{"text": HOSTILE + ENDLESS}]},
                    "finishReason": "STOP",
                }
                return httpx.Response(200, json={"candidates": [candidate]})
            job = {
                "name": f"{PLACE}/tuningJobs/1",
                "state": "JOB_STATE_FAILED",
                "error": {"code": 3, "message": HOSTILE},
                "baseModel": HOSTILE,
                "tunedModelDisplayName": HOSTILE,
                "experiment": HOSTILE,
                "tunedModel": {"model": HOSTILE, "endpoint": HOSTILE, "checkpoints": [{"checkpointId": HOSTILE}]},
            }
            listing = request.method == "GET" and request.url.path.endswith("/tuningJobs")
            return httpx.Response(200, json={"tuningJobs": [job]} if listing else job)

    played, make = Service(), VertexTuner._new_client

    def new_client(self, location, options, credentials):
        options.httpx_client = httpx.Client(transport=httpx.MockTransport(played.answer))
        return make(self, location, options, credentials)

    monkeypatch.setattr(VertexTuner, "_new_client", new_client)
    return played


ENDPOINT = f"{PLACE}/endpoints/1"
ELSEWHERE = "--api_endpoint=http://127.0.0.1:9"


@pytest.mark.parametrize("code", [200, 400, 403, 404])
@pytest.mark.parametrize(
    "words",
    [
        ["tune", "OUT"],
        ["tune", "OUT", "--no_watch"],
        ["tune", "OUT", "--display_name", "a\x1b[31m\nforged"],
        ["tune", "OUT", "--base_model", HOSTILE],
        ["tune", "OUT", "--base_model", ENDLESS],
        ["tune", "OUT", "--from_model", HOSTILE],
        ["tune", "OUT", "--label", HOSTILE],
        ["tune", "OUT", "--location", HOSTILE],
        ["tune", "OUT", "--kms_key", HOSTILE],
        ["tune", "OUT", "--prices", HOSTILE],
        ["tune", "OUT", "--service_account", HOSTILE],
        ["tune", HOSTILE],
        ["watch", "OUT"],
        ["watch", "OUT", "--default_checkpoint", HOSTILE],
        ["jobs", "OUT"],
        ["jobs", "--project", HOSTILE],
        ["cancel", "OUT"],
        ["cancel", HOSTILE],
        ["cancel", f"{PLACE}/tuningJobs/{HOSTILE}"],
        ["predict", "OUT"],
        ["predict", "OUT", "--model", ENDPOINT],
        ["predict", "OUT", "--model", HOSTILE],
        ["predict", "OUT", "--model", f"{PLACE}/models/{HOSTILE}"],
        ["predict", "OUT", "--checkpoint", HOSTILE],
        ["predict", "OUT", "--model", ENDPOINT, "--audio", "OUT/../clips\x1b[31m\nforged.wav"],
        ["predict", "OUT", "--model", ENDPOINT, "--audio", HOSTILE],
        ["predict", "OUT", "--audio", "a.wav", "--task", HOSTILE],
        ["delete", "OUT", "--yes"],
        ["delete", HOSTILE],
        ["delete", "OUT", "--run", HOSTILE],
        ["evaluate", "OUT"],
        ["evaluate", HOSTILE],
        ["evaluate", "OUT", "--run", HOSTILE],
        ["evaluate", "OUT", "--predictions", f"x={HOSTILE}"],
        ["evaluate", "OUT", "--predictions", f"{HOSTILE}=x"],
        ["evaluate", "OUT", "--fail_if", HOSTILE],
        ["evaluate", "OUT", "--normalizer", HOSTILE],
        ["evaluate", "OUT", "--task_normalizer", f"{HOSTILE}=none"],
        ["evaluate", "OUT", "--task_normalizer", f"x={HOSTILE}"],
        ["suspects", "OUT"],
        ["suspects", HOSTILE],
        ["suspects", "OUT", "--predictions", f"x={HOSTILE}"],
        ["suspects", "OUT", "--predictions", f"{HOSTILE}=x"],
        ["suspects", "OUT", "--normalizer", HOSTILE],
        ["curve", "OUT", "--fractions", "1/2,1"],
        ["curve", HOSTILE],
        ["curve", "OUT", "--fractions", HOSTILE],
        ["curve", "OUT", "--predictions", f"1={HOSTILE}"],
        ["curve", "OUT", "--predictions", f"{HOSTILE}=x"],
        ["curve", "OUT", "--normalizer", HOSTILE],
        ["check", "OUT", "--base_model", HOSTILE],
        ["check", HOSTILE],
        ["completion", HOSTILE],
        ["inspect", HOSTILE],
        ["export", "OUT", f"OUT{HOSTILE[:9]}"],
        ["export", HOSTILE, "OUT"],
        ["merge", "OUT", HOSTILE, "--output", HOSTILE],
        ["inspect", "OUT", HOSTILE],
        ["inspect", f"{HOSTILE}:1"],
        ["report", "OUT"],
        ["report", HOSTILE],
        ["init", HOSTILE],
        ["init", "clips.jsonl", "--file", HOSTILE],
        ["run", HOSTILE],
        ["run", "run.yaml"],
        ["run", "run.yaml", "--output", "OUT", "--from", "check"],
        ["run", "run.yaml", "--output", "OUT", "--from", "tune", "--tune.display_name", HOSTILE],
        ["run", "run.yaml", "--output", "OUT", "--from", "predict", "--until", "predict"],
        ["run", "run.yaml", "--output", HOSTILE],
        ["run", "run.yaml", "--split", HOSTILE],
        ["run", "run.yaml", "--tune.epochs", HOSTILE],
        ["run", "run.yaml", "--tune." + HOSTILE],
    ],
    ids=lambda words: " ".join(words)[:60].encode("unicode_escape").decode(),
)
def test_jobs_and_models(run, out, service, words, code, monkeypatch):
    service.status = code
    soundfile.write(out.parent / "clips\x1b[31m\nforged.wav", tone(300, 16_000, 1.0), 16_000, "PCM_16")
    if words[0] in ("watch", "jobs", "cancel", "predict", "delete", "evaluate", "suspects"):
        service.status = 200
        run("tune", out, ELSEWHERE, "--no_watch")
        service.status = code
    here = ("check", "evaluate", "suspects", "report", "init", "completion", "inspect", "export", "merge")
    service_flag = [] if words[0] in here else [ELSEWHERE]
    monkeypatch.chdir(out.parent)
    (out.parent / "run.yaml").write_text("manifest: clips.jsonl\noutput: new\n", encoding="utf-8")
    _, stdout, stderr = run(*(word.replace("OUT", str(out)) for word in words), *service_flag)
    assert stderr
    harmless(stderr, stdout)


def test_a_strangers_job_json(run, out, service):
    run("tune", out, ELSEWHERE, "--no_watch")
    whole = json.loads(job_file(out).read_text(encoding="utf-8"))
    for tree in changed(whole, HOSTILE):
        for words in (["watch"], ["jobs"], ["cancel"], ["predict"]):
            job_file(out).write_text(json.dumps(tree), encoding="utf-8")
            _, stdout, stderr = run(words[0], out, ELSEWHERE)
            harmless(stderr, stdout)


@pytest.mark.parametrize("content", [None, HOSTILE, '{"format_version": 1, "digest": ' + json.dumps(HOSTILE) + "}"])
def test_runs_that_a_stranger_has_named(run, out, service, content):
    run("tune", out, ELSEWHERE, "--no_watch")
    folder = job_file(out).parent
    folder.rename(folder.with_name(HOSTILE))
    if content is not None:
        job_file(out).write_text(content, encoding="utf-8")
    run("tune", out, ELSEWHERE, "--epochs=5", "--no_watch", "--another")
    named = [["watch", "--run", HOSTILE], ["cancel", "--run", HOSTILE], ["predict", "--run", HOSTILE + "x"]]
    for words in (["watch"], ["jobs"], ["cancel"], ["predict"], ["tune", "--epochs=9"], *named):
        _, stdout, stderr = run(words[0], out, *words[1:], ELSEWHERE)
        assert stderr
        harmless(stderr, stdout)


def test_on_a_terminal_bars_and_states_are_harmless():
    screen = io.StringIO()
    people = Console(screen, 2_000, terminal=True)
    with people.progress(HOSTILE, 3, "clips") as update:
        update(1, HOSTILE)
    with people.progress(HOSTILE, None) as update:
        update(1, HOSTILE)
    with people.waiting(HOSTILE) as show:
        show(HOSTILE)
    people.say(HOSTILE)
    told = screen.getvalue()
    for part in (
        "\x1b]0;",
        "\x9b",
        "\u202e",
        "\u2028",
        "\x85",
        "\u200b",
        "\U000e0041",
        "\u3164",
        "\u2800",
        "💯",
        "\nforged",
    ):
        assert part not in told
    assert told.count(r"\x1b]0;owned\x07\x9b31m") >= 6
    assert "[bold]:100:" in told


def test_what_libraries_log_is_lines_of_the_console(monkeypatch):
    monkeypatch.setattr(logging.root, "handlers", [])  # those of the tests
    screen, usual = io.StringIO(), logging.lastResort
    with logs_to(Console(screen, 200)):
        logging.getLogger("some.library").warning("refused: %s", HOSTILE)
        try:
            raise ValueError(HOSTILE)
        except ValueError:
            logging.getLogger("some.library").exception("failed")
    assert harmless(screen.getvalue()).startswith(r"refused: \x1b]0;owned")
    assert screen.getvalue().endswith("\nfailed\n")  # without the traceback
    assert logging.lastResort is usual


def test_the_emulator(run):
    for words in (["--scenario", HOSTILE], ["--port", HOSTILE], ["--state_file", HOSTILE, "--port", "x"]):
        status, stdout, stderr = run("emulator", *words)
        assert status in (1, 2)
        harmless(stderr, stdout)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_but_the_console_prints(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not [name for name in imported(tree) if reaches(name, "rich")]
    for node in ast.walk(tree):
        assert not (isinstance(node, ast.Name) and node.id == "print")
        assert not (isinstance(node, ast.Attribute) and node.attr in ("stderr", "stdout") and _of_sys(node))


def _of_sys(node):
    return isinstance(node.value, ast.Name) and node.value.id == "sys"


def test_every_command_is_walked():
    walked = Path(__file__).read_text(encoding="utf-8")
    assert {name for name in COMMANDS if f'["{name}"' not in walked} == {"prepare", "emulator"}
