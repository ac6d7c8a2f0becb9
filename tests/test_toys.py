"""A runner, a provider and a reason are one row each: a toy row that is added at run time is seen everywhere.

A toy format is added in tests/transforms/audio/test_formats.py.
"""

import json
import sys
from dataclasses import dataclass, field, replace
from types import ModuleType

import orjson
import pytest

from beam_pipeline import embedded
from beam_pipeline.runners import RUNNERS, Runner
from cliptune import tables
from cliptune.main import main
from tests.beam_pipeline.conftest import FEW, fill, ledger, prepare
from tests.cliptune.test_commands import only_json, run
from tests.tuning.conftest import _prepared, out
from transforms.dataset.clip_workers import ClipWorkers
from transforms.errors import ClipRejected, UserError
from transforms.limits import Source
from transforms.reasons import REASONS, Reason
from tuning.providers import PROVIDERS
from tuning.providers.base import (
    ERROR,
    REQUEST_LABEL,
    Answer,
    BaseModel,
    Example,
    Facts,
    Problem,
    Provider,
    Question,
    ServiceTrial,
    TuningJob,
    TuningRequest,
)

__all__ = ["_prepared", "out", "prepare", "run"]  # fixtures


def help_of(command, captured):
    captured.readouterr()
    with pytest.raises(SystemExit):
        main([command, "--help"])
    return " ".join(captured.readouterr().out.split())


@pytest.fixture
def toy_runner(monkeypatch):
    """A row of `RUNNERS` whose engine is the embedded one; what was asked of it, in order."""
    asked = []
    engine = ModuleType("toy_engine")

    def check(options):
        asked.append(("check", options.get_all_options()["runner"]))

    def threads():
        asked.append(("threads", 3))
        return 3

    def run(job, options, listener):
        asked.append(("run", job.clip_workers))
        return embedded.run(job, options, listener)

    for function in (check, threads, run):
        setattr(engine, function.__name__, function)
    monkeypatch.setitem(sys.modules, "toy_engine", engine)
    monkeypatch.setitem(RUNNERS, "ToyRunner", Runner("a toy's own box", "toy_engine", outlives=False))
    return asked


def test_a_runner_is_a_row(tmp_path, prepare, toy_runner, capfd):
    fill(tmp_path, FEW)
    done = prepare(tmp_path / "m.jsonl", tmp_path / "out", "--runner=ToyRunner")
    assert (done.status, done.json["accepted"]) == (0, len(FEW))
    assert toy_runner == [("check", "ToyRunner"), ("threads", 3), ("run", 3)]
    assert "ToyRunner a toy's own box" in help_of("prepare", capfd)
    assert "| `ToyRunner` | a toy's own box | `toy_engine.py` | no |" in tables.RUNNERS_TABLE.lines()


def test_a_fault_that_the_check_of_an_added_runner_finds_is_told_before_anything_is_read(
    tmp_path, prepare, toy_runner, monkeypatch
):
    def refuse(options):
        raise UserError("the toy is broken")

    monkeypatch.setattr(sys.modules["toy_engine"], "check", refuse)
    done = prepare(tmp_path / "nowhere.jsonl", tmp_path / "out", "--runner=ToyRunner")
    assert (done.status, done.stderr) == (1, "cliptune prepare: the toy is broken\n")


TOY_REASON = Reason("too_cheerful", "The text is merrier than is allowed.", "Be <graver>, and say so in the manifest.")


def test_a_reason_is_a_row(tmp_path, prepare, monkeypatch):
    monkeypatch.setitem(REASONS, TOY_REASON.name, TOY_REASON)
    convert = ClipWorkers.convert

    def grave(self, clip, source):
        if clip.clip_id == FEW[0]["id"]:
            raise ClipRejected(TOY_REASON, "merry: it has a laugh in it")
        return convert(self, clip, source)

    monkeypatch.setattr(ClipWorkers, "convert", grave)
    fill(tmp_path, FEW)
    done = prepare(tmp_path / "m.jsonl", tmp_path / "out", "--max_rejected_fraction=1")
    (row,) = (row for row in ledger(tmp_path / "out") if row["status"] == "rejected")
    assert (row["clip_id"], row["reason"], row["detail"]) == (
        *(FEW[0]["id"], "too_cheerful", "merry: it has a laugh in it"),
    )
    letter = json.loads((tmp_path / "out/rejected.jsonl").read_text())
    assert (letter["id"], letter["reject_reason"]) == (FEW[0]["id"], "too_cheerful")
    found = json.loads((tmp_path / "out/report.json").read_text())["reasons"]["too_cheerful"]
    assert (found["rows"], found["remedy"]) == (1, TOY_REASON.remedy)
    page = (tmp_path / "out/report.html").read_text()
    assert "too_cheerful" in page
    assert "Be &lt;graver&gt;, and say so in the manifest." in page
    assert done.json["reasons"] == {"too_cheerful": 1}
    assert f"1 × too_cheerful: {TOY_REASON.remedy}" in done.stderr
    row_in_docs = f"| `too_cheerful` | {TOY_REASON.meaning} | {TOY_REASON.remedy} |"
    assert row_in_docs in tables.REASONS_TABLE.lines()


TOY_MODEL = BaseModel("toy-1", (1,), ("here",), ("here",), ("here",), 2.0, None, 1.0, {})


@dataclass
class ToyTuner:
    """A service that trains at once, and answers with the length of the question."""

    opened: list[tuple[str, str, str | None]] = field(default_factory=list)
    created: list[TuningRequest] = field(default_factory=list)
    all_jobs: list[TuningJob] = field(default_factory=list)

    def open(self, project, location, api_endpoint):
        self.opened.append((project, location, api_endpoint))
        return self

    def submit(self, request):
        self.created.append(request)
        labels = {**request.labels, REQUEST_LABEL: request.digest}
        self.all_jobs.insert(0, TuningJob(f"toys/{len(self.created)}", "RUNNING", request.base_model, labels))
        return self.all_jobs[0]

    def body(self, request):
        return {"method": "POST", "url": "toy://jobs", "body": {"model": request.base_model, "epochs": request.epochs}}

    def jobs(self):
        return iter(self.all_jobs)

    def get(self, name):
        (job,) = (job for job in self.all_jobs if job.name == name)
        return replace(job, state="SUCCEEDED", tuned_model="toys/m", endpoint="toys/e")

    def cancel(self, name):
        raise AssertionError("it has ended")

    def set_default_checkpoint(self, model, checkpoint):
        raise AssertionError("it has none")

    def ask(self, model, question: Question):
        return Answer(f"{model} was asked {len(question.contents)}", "STOP")


def check_line(line, source):
    """A rule of its own: every line asks for a transcript."""
    faults = [] if b"ranscri" in line else [Problem(source, ERROR, "toy_rule", "no transcript is asked for")]
    return faults, Facts(seconds=1.0, text_chars=10, text_bytes=10)


def find(name):
    if name != TOY_MODEL.name:
        raise UserError(f"base_model {name!r} is no toy")
    return TOY_MODEL


@pytest.fixture
def toy(monkeypatch):
    """A row of `PROVIDERS`; its service."""
    service = ToyTuner()
    row = Provider(
        name="toy",
        summary="Toys in a box",
        models={TOY_MODEL.name: TOY_MODEL},
        default_model=TOY_MODEL.name,
        default_location="here",
        sources={"price_per_million": Source("documented", "the lid of the box")},
        find=find,
        refuse_wrong=lambda *args: None,
        locate=lambda name: ("toys", "here"),
        locate_endpoint=lambda name: ("toys", "here"),
        base_location=lambda model, location: location,
        lands_in=lambda location: (location,),
        check_line=check_line,
        parse=lambda line: Example([line], None, orjson.loads(line)["contents"][1]["parts"][0]["text"]),
        open=service.open,
        open_registry=lambda url, sleep: pytest.fail("nothing is deleted here"),
        try_service=lambda request, wait, url: ServiceTrial((), None),
        agents=lambda number: (number, number),
    )
    monkeypatch.setitem(PROVIDERS, "toy", row)
    return service


TOYS = ("--provider=toy", "--api_endpoint=http://toy")


def test_a_provider_is_a_row_and_every_command_goes_through_it(run, out, toy):
    checked = only_json(run("check", out, "--provider=toy")[1])
    assert (checked["ok"], checked["estimate"]["base_model"], checked["estimate"]["price_per_million"]) == (
        *(True, "toy-1", 2.0),
    )
    planned = only_json(run("tune", out, *TOYS, "--dry_run")[1])
    assert (planned["url"], planned["body"]) == ("toy://jobs", {"model": "toy-1", "epochs": 3})
    status, stdout, stderr = run("tune", out, *TOYS)
    tuned = only_json(stdout)
    assert (status, tuned["name"], tuned["endpoint"]) == (0, "toys/1", "toys/e")
    assert "the tuned model answers at toys/e" in stderr
    assert only_json(run("watch", out, *TOYS)[1])["state"] == "SUCCEEDED"
    assert [job["name"] for job in only_json(run("jobs", out, *TOYS)[1])["jobs"]] == ["toys/1"]
    assert run("cancel", out, *TOYS)[0] == 1  # it has ended
    asked = only_json(run("predict", out, *TOYS, "--limit=1")[1])
    assert (asked["model"], asked["predictions"], asked["finish_reasons"]) == ("toys/e", 1, {"STOP": 1})
    (answer,) = out.glob("tuning/runs/*/predictions-*.jsonl")
    assert json.loads(answer.read_text())["prediction"] == "toys/e was asked 1"
    assert len(toy.created) == 1
    assert {*toy.opened} == {("local-project", "here", "http://toy"), ("toys", "here", "http://toy")}


def test_the_rules_of_an_added_provider_are_held_against_every_line(run, tmp_path, toy):
    (tmp_path / "x.jsonl").write_text("{}\n")
    status, stdout, _ = run("check", tmp_path / "x.jsonl", "--provider=toy")
    assert (status, only_json(stdout)["counts"]) == (1, {"toy_rule": 1})
    status, _, stderr = run("check", tmp_path / "x.jsonl", "--provider=toy", "--base_model=gemini-2.5-pro")
    assert (status, stderr) == (1, "cliptune check: base_model 'gemini-2.5-pro' is no toy\n")


@pytest.mark.parametrize("command", ["check", "tune"])
def test_an_added_provider_is_in_the_help(toy, capsys, command):
    told = help_of(command, capsys)
    assert "vertex (Gemini on Vertex AI), toy (Toys in a box)" in told
    assert "gemini-2.5-pro, toy-1" in told


def test_an_added_provider_is_in_the_docs(toy):
    assert "| `toy` | Toys in a box | toy-1 | here |" in tables.PROVIDERS_TABLE.lines()
    assert "| toy-1 | 1 | here | here | here | 2 | ? | ? | – | – |" in tables.MODELS_TABLE.lines()
