"""`cliptune run`: the steps in their order, what each takes up, where the job stops, and what it says."""

import contextlib
import io
import json
import shutil
from pathlib import Path

import pytest

from beam_pipeline import launch
from beam_pipeline.launch import LaunchedJob
from beam_pipeline.requests import PrepareRequest
from cliptune import workflow
from cliptune.commands import run as command
from cliptune.console import Console
from cliptune.main import main
from cliptune.requests import RunRequest
from tests.beam_pipeline.conftest import FEW, fill, write_manifest
from tests.cliptune.test_commands import only_json, run
from transforms.errors import UsageError
from tuning.emulator import server
from tuning.emulator.scenario import Scenario
from tuning.providers.vertex.tuner import VertexTuner
from tuning.requests import EvaluateRequest, TuneRequest

__all__ = ["run"]  # a fixture
FILE = """\
manifest: manifest.jsonl
output: out
project: p
prepare: {validation_fraction: 0.4}
runs:
  short: {epochs: 1}
  long: {epochs: 3}
"""
BASE = "base gemini-3.1-flash-lite"
WHOLE = [
    *(("prepare", ""), ("check", ""), ("tune", "short"), ("watch", "short"), ("tune", "long"), ("watch", "long")),
    *(("predict", "short"), ("predict", "long"), ("predict", BASE), ("evaluate", "")),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a file, a manifest, a few recordings and the dataset of them."""
    folder = fill(tmp_path_factory.mktemp("made"), FEW)
    (folder / "m.jsonl").rename(folder / "manifest.jsonl")
    (folder / "cliptune.yaml").write_text(FILE, encoding="utf-8")
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        assert main(["run", "--until=prepare"]) == 0
    return folder


@pytest.fixture
def folder(made, tmp_path, monkeypatch):
    """The same as a working folder of the test's own."""
    shutil.copytree(made, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def bare(folder):
    """The same without the dataset."""
    shutil.rmtree(folder / "out")
    return folder


@pytest.fixture
def service():
    """Starts the service with a scenario; it goes on between commands."""
    with server.running() as url:
        yield f"--api_endpoint={url}"


def jobs(flag):
    return list(VertexTuner("p", "us-central1", flag.partition("=")[2]).jobs())


def told(stdout):
    """The steps with their states."""
    return [(step["step"], step["run"], step["state"]) for step in only_json(stdout)["steps"]]


def files(folder):
    return {path: path.read_bytes() for path in (folder / "out").rglob("*") if path.is_file()}


def test_the_whole_job_and_again(run, bare, service):
    status, stdout, stderr = run("run", "cliptune.yaml", service)
    report = only_json(stdout)
    assert status == report["status"] == 0, stderr
    assert told(stdout) == [(step, name, "done") for step, name in WHOLE]
    assert len(jobs(service)) == 2
    assert list(report["systems"]) == ["short", "long", "base"]
    assert [(one["name"], one["epochs"], one["state"]) for one in report["runs"]] == [
        ("short", 1, "SUCCEEDED"),
        ("long", 3, "SUCCEEDED"),
    ]
    lines = stderr.splitlines()
    assert lines[-1] == f"evaluation: {report['evaluation']}" == "evaluation: out/evaluation/evaluation.html"
    assert [line.split()[0] for line in lines[-5:-1]] == ["system", "short", "long", "base"]
    table = (bare / "out/evaluation/evaluation.json").read_bytes()
    before = files(bare)
    status, planned, _ = run("run", service, "--dry_run")
    assert (status, files(bare), only_json(planned)["cost"]) == (0, before, 0)
    # Nothing is left to pay. cliptune.yaml is meant.
    status, again, _ = run("run", service, "--max_cost=0.000001")
    assert status == 0
    assert told(again) == [(step, name, "done") for step, name in WHOLE if step != "watch"]
    details = [step["detail"] for step in only_json(again)["steps"] if step["step"] == "predict"]
    assert details == ["1 answers, 0 of them new"] * 3
    assert only_json(again)["systems"] == report["systems"]
    assert (bare / "out/evaluation/evaluation.json").read_bytes() == table
    assert len(jobs(service)) == 2
    short, long = (one["run"] for one in report["runs"])
    alone = only_json(run("evaluate", "out", f"--system=mine={long}")[1])
    assert list(alone["systems"]) == ["mine", "base"]
    both = only_json(run("evaluate", "out", f"--system=b={long}", f"--system=a={short}", "--fail_if=wer(a) > 99")[1])
    assert list(both["systems"]) == ["b", "a", "base"]


@pytest.mark.sweep
def test_jobs_and_answers_of_single_commands_are_taken_up(run, folder, service):
    job = only_json(run("tune", "out", "--project=p", "--epochs=3", service)[1])
    run("predict", "out", service)
    status, stdout, stderr = run("run", service)
    assert status == 0, stderr
    report = only_json(stdout)
    assert report["runs"][1]["job"] == job["name"]
    details = {step["run"]: step["detail"] for step in report["steps"] if step["step"] == "predict"}
    assert details["long"] == "1 answers, 0 of them new"
    assert len(jobs(service)) == 2


def test_until_tune_is_polled_until_all_have_ended(run, folder, service):
    """As a scheduler does it: 6 means later."""
    seen = []
    for _ in range(20):
        status, stdout, stderr = run("run", "--until=tune", service)
        seen.append((status, len(jobs(service))))  # a look moves the jobs on
        if status != 6:
            break
        assert "the same command, or cliptune watch out --run " in stderr
        assert told(stdout)[-1][::2] == ("tune", "goes on")
    assert seen[0] == (6, 1)
    assert seen[-1] == (0, 2)
    assert told(stdout) == [
        ("prepare", "", "done"),
        ("check", "", "done"),
        ("tune", "short", "done"),
        ("tune", "long", "done"),
    ]
    status, _, stderr = run("run", "--from=predict", "--max_cost=0.001", service)
    assert (status, "max_cost must be at least the sum of the upper bounds" in stderr) == (1, True)
    status, stdout, _ = run("run", "--from=predict", service)
    assert (status, told(stdout)) == (0, [(step, name, "done") for step, name in WHOLE[6:]])


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--from=check"], 1, "out: there is no such file or dataset folder"),
        (["--from=tune", "--until=check"], 2, "--until must be tune or a step behind it, got 'check'"),
        (["--until=train"], 2, "invalid choice: 'train'"),
        (["--project="], 0, ""),
    ],
)
def test_steps_that_cannot_be(run, bare, service, words, status, message):
    found, _, stderr = run("run", *words, *([service] if status else ["--until=check"]))
    assert found == status, stderr
    assert message in stderr


@pytest.mark.parametrize(
    "first", ["predict", *(pytest.param(step, marks=pytest.mark.sweep) for step in ("watch", "evaluate"))]
)
def test_a_run_that_was_not_submitted_cannot_be_gone_on_with(run, folder, service, first):
    assert run("run", "--until=check", service)[0] == 0
    status, stdout, stderr = run("run", f"--from={first}", service)
    assert status == 1
    assert stderr.splitlines()[-1] == "cliptune run: run short was not submitted; begin with --from tune"
    assert only_json(stdout)["fault"] == "run short was not submitted; begin with --from tune"
    assert jobs(service) == []


def test_too_many_rejected_rows_end_it_before_money(run, bare, service):
    write_manifest(bare / "manifest.jsonl", [*FEW, {**FEW[0], "id": "gone", "audio_path": "gone.wav"}])
    status, stdout, stderr = run("run", service)
    assert (status, told(stdout)) == (3, [("prepare", "", "failed")])
    assert "more than max_rejected_fraction 0.05 of the rows were rejected; nothing is sent" in stderr
    assert jobs(service) == []
    assert run("run", "--prepare.max_rejected_fraction=0.5", "--until=check", service)[0] == 0


def test_an_error_of_the_check_ends_it_before_money(run, folder, service):
    (shard,) = (folder / "out/train").glob("*.jsonl")
    shard.write_text(shard.read_text().replace('"model"', '"nobody"'))
    status, stdout, stderr = run("run", "--from=check", service)
    assert (status, told(stdout)) == (1, [("check", "", "failed")])
    assert "out breaks the service's rules; nothing is sent" in stderr
    assert jobs(service) == []


@pytest.mark.parametrize("first", ["check", "tune"])
def test_without_clips_to_ask_about_nothing_is_paid(run, folder, service, first):
    status, _, stderr = run("run", f"--from={first}", "--split=test", service)
    assert status == 1
    assert stderr.splitlines()[-1].startswith("cliptune run: out has no test clips to evaluate on; hold some out")
    assert jobs(service) == []
    assert run("run", f"--from={first}", "--until=tune", "--split=test", service)[0] == 6


def test_max_cost_holds_over_all_runs_and_questions(run, folder, service):
    plan = only_json(run("run", "--until=check", service)[1])
    most = plan["cost"]
    each = [one["estimate"]["upper_cost"] for one in only_json(run("run", "--until=check", service)[1])["runs"]]
    assert most > sum(each)
    status, stdout, stderr = run("run", service, f"--max_cost={most - 1e-6:.9f}")
    assert (status, told(stdout)[-1]) == (1, ("check", "", "failed"))
    assert "max_cost must be at least the sum of the upper bounds, $" in stderr
    assert jobs(service) == []
    assert run("run", service, f"--max_cost={most - 1e-6:.9f}", "--from=tune")[0] == 1  # the gate is that of the money
    assert jobs(service) == []
    assert run("run", service, f"--max_cost={most:.9f}", "--until=tune")[0] == 6


def test_a_price_that_is_not_known_cannot_be_held(run, folder, service):
    status, _, stderr = run(
        "run", service, "--max_cost=5", "--tune.base_model=gemini-2.5-flash", "--tune.allow_retired"
    )
    assert status == 1
    assert "max_cost 5 cannot be held: a price is not known; give tune.price_per_million" in stderr
    assert jobs(service) == []


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("FAILED", 4),
        pytest.param("EXPIRED", 4, marks=pytest.mark.sweep),
        pytest.param("CANCELLED", 5, marks=pytest.mark.sweep),
        pytest.param("NO_ENDPOINT", 7, marks=pytest.mark.sweep),
    ],
)
def test_a_job_without_a_model_ends_it_with_the_jobs_status(run, folder, end, status):
    with server.running(played=Scenario(end=end, error="The quota of the moon.")) as url:
        found, stdout, stderr = run("run", f"--api_endpoint={url}")
        assert (found, told(stdout)[-1]) == (status, ("watch", "short", "failed"))
        assert only_json(stdout)["status"] == status
        assert len(jobs(f"={url}")) == 1
    assert "The quota of the moon." in stderr or end == "CANCELLED"


@pytest.mark.sweep
def test_a_timeout_leaves_the_job_to_itself(run, folder):
    with server.running(played=Scenario(states=("RUNNING",) * 50)) as url:
        status, stdout, stderr = run("run", f"--api_endpoint={url}", "--tune.timeout=0.001")
        assert (status, told(stdout)[-1]) == (6, ("watch", "short", "goes on"))
        assert "not ended after 0.001 s; the job goes on, and the same command follows it" in stderr
        assert len(jobs(f"={url}")) == 1
        assert run("run", f"--api_endpoint={url}")[0] == 0
        assert len(jobs(f"={url}")) == 2


def test_a_gate_at_the_end_knows_the_names_of_the_file(run, folder, service):
    (folder / "cliptune.yaml").write_text(f"{FILE}evaluate: {{fail_if: wer(long) >= wer(base)}}\n")
    status, stdout, stderr = run("run", service)
    assert (status, told(stdout)[-1]) == (8, ("evaluate", "", "failed"))
    assert only_json(stdout)["failed"] == ["wer(long) >= wer(base)"]
    assert "--fail_if holds: wer(long) >= wer(base)" in stderr


@pytest.mark.parametrize(
    ("flags", "status", "message"),
    [
        (["--system=a=nothing"], 1, "cliptune evaluate: run must be one of none, got 'nothing'"),
        (["--system=a"], 2, "cliptune evaluate: --system must be NAME=RUN, got 'a'"),
        (
            ["--system=a b=x"],
            2,
            "cliptune evaluate: --system must be NAME=RUN, NAME of letters, digits, . _ @ and -, got",
        ),
        (["--system=a=x", "--system=a=y"], 2, "cliptune evaluate: --system: 'a' names two systems"),
        (["--system=a=x", "--run=x"], 2, "cliptune evaluate: --system names the runs to compare; leave run out"),
    ],
)
def test_systems_that_cannot_be_compared(run, folder, flags, status, message):
    found, _, stderr = run("evaluate", "out", *flags)
    assert (found, stderr.startswith(message)) == (status, True), stderr


def test_a_job_on_dataflow_that_is_not_waited_for_goes_on(run, folder, service, monkeypatch):
    job = LaunchedJob("out", "DataflowRunner", "2026-1", "cliptune-1", "JOB_STATE_RUNNING", False, "https://console")
    with monkeypatch.context() as patch:
        patch.setattr(launch, "submit", lambda request, listener: job)
        status, stdout, stderr = run("run", service, "--prepare.no_wait")
    assert (status, told(stdout)) == (6, [("prepare", "", "goes on")])
    assert "job 2026-1 goes on: https://console; the same command goes on from there" in stderr
    assert jobs(service) == []
    beam = FILE.replace("0.4}", "0.4, no_wait: true}")
    (folder / "cliptune.yaml").write_text(beam)
    status, _, stderr = run("run", service)
    assert status == 2
    assert (
        "cliptune run: cliptune.yaml:4: prepare.no_wait needs a runner whose jobs can be found again: DataflowRunner"
        in stderr
    )


def test_what_beam_does_not_know_is_told_with_its_line(run, bare, service):
    (bare / "cliptune.yaml").write_text(FILE.replace("0.4}", "0.4, beam_options: {runer: DirectRunner}}"))
    status, _, stderr = run("run", service)
    assert status == 2
    told = "cliptune run: cliptune.yaml:4: prepare.beam_options: unknown flag --runer; did you mean --runner?"
    assert stderr.splitlines()[-1] == told


def test_a_dry_run_changes_nothing(run, bare, service):
    status, stdout, stderr = run("run", service, "--dry_run")
    assert status == 0
    assert not (bare / "out").exists()
    assert told(stdout)[:4] == [
        ("prepare", "", "to do"),
        ("check", "", "to do"),
        ("tune", "short", "to do"),
        ("watch", "short", "to do"),
    ]
    assert "if each of 5 rows became 30 s of audio, tuning on it would cost at most: short $0.0" in stderr
    assert run("run", service, "--until=prepare")[0] == 0
    before = files(bare)
    status, stdout, stderr = run("run", service, "--dry_run")
    report = only_json(stdout)
    assert (status, files(bare), jobs(service)) == (0, before, [])
    assert {step["step"]: step["state"] for step in report["steps"]} == {
        **dict.fromkeys(("prepare", "check"), "done"),
        **dict.fromkeys(("tune", "watch", "predict", "evaluate"), "to do"),
    }
    costs = [step["cost"] for step in report["steps"] if step["cost"] is not None]
    assert sum(costs) == pytest.approx(report["cost"])


@pytest.mark.sweep
def test_several_base_models_each_answer_under_a_name_of_their_own(run, folder, service):
    (folder / "cliptune.yaml").write_text(
        FILE.partition("runs:")[0] + "matrix: {base_model: [gemini-3.1-flash-lite, gemini-3.5-flash]}\n"
    )
    status, stdout, stderr = run("run", service)
    assert status == 0, stderr
    names = ["tuned-gemini-3.1-flash-lite", "tuned-gemini-3.5-flash", "base", "gemini-3.5-flash"]
    assert list(only_json(stdout)["systems"]) == names


@pytest.mark.sweep
def test_without_runs_there_is_one(run, folder, service):
    (folder / "cliptune.yaml").write_text(FILE.partition("runs:")[0])
    status, stdout, _ = run("run", service)
    assert (status, list(only_json(stdout)["systems"])) == (0, ["tuned", "base"])


def test_nobody_pays_is_told_before_anything_is_prepared(run, bare):
    (bare / "cliptune.yaml").write_text(FILE.replace("project: p\n", ""))
    status, _, stderr = run("run")
    assert status == 2
    assert "cliptune run: cliptune.yaml: project is needed: the Google Cloud project that pays" in stderr
    assert not (bare / "out").exists()


def test_what_goes_on_after_ctrl_c_is_said(folder, monkeypatch, capsys):
    def interrupted(self):
        self.step, self.run_name = self.stopped_at
        raise KeyboardInterrupt

    request = RunRequest(PrepareRequest(("m",), "out"), {"a": TuneRequest("out", emulator=True)})
    monkeypatch.setattr(workflow.Workflow, "run", interrupted)
    for step, name, lines in (("prepare", "", 0), ("tune", "a", 1), ("watch", "a", 1), ("predict", "a", 0)):
        monkeypatch.setattr(workflow.Workflow, "stopped_at", (step, name), raising=False)
        with pytest.raises(KeyboardInterrupt):
            command.run(request, Console())
        said = capsys.readouterr().err.splitlines()
        assert len(said) == lines
        assert not lines or said == [
            "a job of run a that was submitted goes on and is paid: cliptune watch out --emulator follows it, "
            "cliptune cancel out --emulator ends it"
        ]
    assert command.stopped(request) == "; the same command goes on from here"


@pytest.mark.parametrize(
    ("others", "field"),
    [
        ({"tune": {}}, "tune"),
        ({"tune": {"a": TuneRequest("other")}}, "tune"),
        ({"tune": {"base": TuneRequest("out")}}, "tune"),
        ({"tune": {"gemini-2.5-flash": TuneRequest("out", base_model="gemini-2.5-flash")}}, "tune"),
        ({"tune": {"a": TuneRequest("out"), "b": TuneRequest("out")}}, "tune"),
        ({"evaluate": EvaluateRequest("other")}, "tune"),
        ({"max_cost": 0.0}, "max_cost"),
        ({"from_step": "train"}, "from_step"),
        ({"until": "prepare", "from_step": "check"}, "until"),
    ],
)
def test_the_request_checks_itself(others, field):
    fields = {"prepare": PrepareRequest(("m",), "out"), "tune": {"a": TuneRequest("out")}, **others}
    with pytest.raises(UsageError) as fault:
        RunRequest(**fields)
    assert fault.value.field == field


def test_the_bundled_file_is_the_whole_job(run, tmp_path, monkeypatch):
    """What `make run` does."""
    monkeypatch.chdir(tmp_path)
    file = Path(__file__).parents[2] / "examples/cliptune.yaml"
    status, stdout, stderr = run("run", file, "--output=out/example")
    assert status == 0, stderr
    assert list(only_json(stdout)["systems"]) == ["short", "long", "base"]
    assert json.loads((tmp_path / "out/example/report.json").read_text())["accepted"] == 71
