"""The operators and the trigger, in Airflow's own environment: these tests import Airflow, and run there alone."""

import asyncio
import importlib.util
import json
import os
import stat
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRescheduleException,
    TaskDeferred,
)

from cliptune import airflow
from cliptune.airflow import CliptuneOperator, CliptunePrepareOperator, CliptuneTrigger
from cliptune.exits import Exit

EXAMPLE = Path(os.environ["CLIPTUNE_EXAMPLES"]) / "airflow/cliptune_dag.py"
# Says its words, then what a file of steps has for each call: an exit status, a line, JSON.
PROGRAM = """#!{python}
import json, sys
from pathlib import Path
place = Path({place!r})
with (place / "calls.jsonl").open("a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
steps = json.loads((place / "steps.json").read_text())
step = steps[min(len((place / "calls.jsonl").read_text().splitlines()), len(steps)) - 1]
for line in step.get("lines", ()):
    print(line, file=sys.stderr)
if "json" in step:
    print(json.dumps(step["json"]))
sys.exit(step.get("status", 0))
"""


class Program:
    """A stand-in for Cliptune's program."""

    def __init__(self, place):
        self.place, self.path = place, str(place / "cliptune")
        Path(self.path).write_text(PROGRAM.format(python=sys.executable, place=str(place)))
        Path(self.path).chmod(stat.S_IRWXU)

    def will(self, *steps):
        (self.place / "steps.json").write_text(json.dumps(steps))

    @property
    def calls(self):
        return [json.loads(line) for line in (self.place / "calls.jsonl").read_text().splitlines()]


class Instance:
    """What the operators ask of a task instance."""

    def __init__(self):
        self.xcoms = {}

    def xcom_push(self, key, value):
        self.xcoms[key] = value


@pytest.fixture
def program(tmp_path):
    return Program(tmp_path)


@pytest.fixture
def operator(program):
    def make(*command, kind=CliptuneOperator, **options):
        return kind(task_id="t", command=command, cliptune=program.path, **options)

    return make


@pytest.fixture
def said(monkeypatch):
    lines = []
    monkeypatch.setattr(CliptuneOperator, "_say", lambda self, line: lines.append(line))
    return lines


def run(operator, instance=None):
    """As Airflow calls it, without what Airflow puts around it."""
    return type(operator).execute.__wrapped__(operator, {"ti": instance or Instance()})


def test_the_json_of_a_command_is_its_result_and_its_lines_are_told(operator, program, said):
    program.will({"lines": ["one", "", "two ü"], "json": {"rows": 3}})
    assert run(operator("check", "OUT ;rm")) == {"rows": 3}
    assert (said, program.calls) == (["one", "two ü"], [["check", "OUT ;rm"]])


FOR_GOOD = {2, 3, 4, 5, 7, 8}
AGAIN = {1, 130, 77}


@pytest.mark.parametrize("status", sorted(FOR_GOOD | AGAIN))
def test_every_status_fails_for_good_or_is_tried_again(operator, program, status):
    program.will({"status": status, "lines": ["first", "why it failed"]})
    with pytest.raises(AirflowException) as fault:
        run(operator("tune", "OUT"))
    assert str(fault.value) == f"cliptune tune ended with exit status {status}: why it failed"
    assert isinstance(fault.value, AirflowFailException) == (status in FOR_GOOD)


def test_no_status_is_forgotten():
    assert {*Exit} == {*FOR_GOOD, *(AGAIN - {77}), Exit.DONE, Exit.STILL_RUNNING}


def test_the_services_own_message_is_the_reason(operator, program):
    program.will({"status": 4, "lines": ["its metrics are elsewhere"], "json": {"error": "Quota of tuning exceeded."}})
    with pytest.raises(AirflowFailException, match=r"exit status 4: Quota of tuning exceeded\.$"):
        run(operator("watch", "OUT"))


@pytest.mark.parametrize(
    ("kind", "for_good"),
    [("failed", True), ("not_installed", True), ("outside", True), ("user", False), ("service", False), ("bug", False)],
)
def test_what_failed_is_tried_again_unless_it_would_fail_again(operator, program, kind, for_good):
    error = {"kind": kind, "message": "2 errors", "where": "", "exit_status": 1}
    program.will({"status": 1, "lines": ["see the docs"], "json": {"ok": False, "error": error}})
    with pytest.raises(AirflowException, match=r"exit status 1: 2 errors$") as fault:
        run(operator("check", "OUT"))
    assert isinstance(fault.value, AirflowFailException) == for_good


def test_a_signal_is_named(operator, program):
    Path(program.path).write_text("#!/bin/sh\nkill -9 $$\n")
    with pytest.raises(AirflowException, match="cliptune tune was killed by signal 9: it said nothing") as fault:
        run(operator("tune", "OUT"))
    assert not isinstance(fault.value, AirflowFailException)


def test_a_program_that_is_not_there_is_one_line(operator, program):
    Path(program.path).unlink()
    with pytest.raises(AirflowFailException, match="cannot be started: No such file or directory; cliptune must name"):
        run(operator("tune", "OUT"))


def test_a_job_that_goes_on_is_rescheduled(operator, program):
    program.will({"status": 6, "json": {"state": "RUNNING"}})
    with pytest.raises(AirflowRescheduleException) as later:
        run(operator("watch", "OUT", "--timeout=1", deferrable=False, poll_seconds=600))
    assert later.value.reschedule_date.timestamp() > time.time() + 500


def test_a_job_that_goes_on_is_left_to_a_trigger_that_can_be_made_again(operator, program):
    program.will({"status": 6})
    watch = operator("watch", "OUT", poll_seconds=0, cancel=["cancel", "OUT"], env={"A": "b"},
                     execution_timeout=timedelta(hours=9))  # fmt: skip
    with pytest.raises(TaskDeferred) as deferred:
        run(watch)
    path, words = deferred.value.trigger.serialize()
    assert path == "cliptune.airflow.CliptuneTrigger"
    assert words == {
        "look": [program.path, "watch", "OUT"],
        "cancel": [program.path, "cancel", "OUT"],
        "env": {"A": "b"},
        "poll_seconds": 0,
    }
    assert json.loads(json.dumps(words)) == words
    assert (deferred.value.method_name, deferred.value.timeout) == ("execute_complete", timedelta(hours=9))


def events(trigger):
    async def first():
        return [event.payload async for event in trigger.run()]

    return asyncio.run(first())


def test_a_trigger_looks_until_the_job_has_ended_and_says_each_line_once(operator, program, monkeypatch):
    going = {"status": 6, "lines": ["job 7 is RUNNING"], "json": {"state": "RUNNING"}}
    program.will(going, going, {"lines": ["job 7 is RUNNING", "job 7 is DONE"], "json": {"rows": 3}})
    lines = []
    monkeypatch.setattr(CliptuneTrigger, "log", type("Log", (), {"info": lambda self, _, line: lines.append(line)})())
    (event,) = events(CliptuneTrigger([program.path, "watch"], [], {}, 0))
    assert (lines, len(program.calls)) == (["job 7 is RUNNING", "job 7 is DONE"], 3)
    assert event == {"status": 0, "report": {"rows": 3}, "last": "job 7 is DONE"}
    assert operator("watch").execute_complete({}, json.loads(json.dumps(event)), "", False) == {"rows": 3}


def test_what_a_trigger_has_seen_fail_fails_the_task(operator, program):
    program.will({"status": 4, "json": {"error": "no such bucket"}})
    (event,) = events(CliptuneTrigger([program.path, "watch"], [], {}, 0))
    with pytest.raises(AirflowFailException, match="exit status 4: no such bucket"):
        operator("watch").execute_complete({}, event, "", False)


def test_a_triggerer_without_the_program_says_so(operator, tmp_path):
    (event,) = events(CliptuneTrigger([str(tmp_path / "gone"), "watch"], [], {}, 0))
    with pytest.raises(AirflowException, match="gone cannot be started on the triggerer: No such file"):
        operator("watch").execute_complete({}, event, "", False)


def test_a_trigger_that_a_user_ends_cancels_the_job(program):
    program.will({})
    asyncio.run(CliptuneTrigger([program.path, "watch"], [program.path, "cancel", "OUT"], {}, 0).on_kill())
    assert program.calls == [["cancel", "OUT"]]
    asyncio.run(CliptuneTrigger([program.path, "watch"], [], {}, 0).on_kill())
    assert program.calls == [["cancel", "OUT"]]


def test_cancelling_goes_on_when_the_triggerer_waits_no_longer(tmp_path):
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\ncd $(dirname $0)\ntouch begun\nwhile [ ! -e go ]; do sleep 0.01; done\ntouch done\n")
    slow.chmod(stat.S_IRWXU)

    async def killed():
        trigger = CliptuneTrigger([], [str(slow)], {}, 0)
        task = asyncio.ensure_future(trigger.on_kill())
        while not (tmp_path / "begun").exists():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        (tmp_path / "go").touch()
        return (await trigger._cancelling).status

    assert asyncio.run(killed()) == 0
    assert (tmp_path / "done").exists()


def test_a_trigger_that_is_moved_ends_its_look(tmp_path):
    """A triggerer that shuts down cancels its triggers; the command must not outlive it."""
    waiting = tmp_path / "wait"
    waiting.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 600\n")
    waiting.chmod(stat.S_IRWXU)

    async def moved():
        task = asyncio.ensure_future(anext(CliptuneTrigger([str(waiting)], [], {}, 0).run()))
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(moved())
    pid = int((tmp_path / "pid").read_text())
    while Path(f"/proc/{pid}").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text():
        time.sleep(0.01)  # the test's timeout is the limit


DATAFLOW = ["--project=p", "--region=us-central1"]
JOB = {"id": "j7", "console": "https://console/j7", "state": "PENDING", "attached": False}


def test_prepare_on_dataflow_leaves_its_job_to_a_trigger_and_tells_its_page(operator, program):
    program.will({"json": JOB}, {"status": 6, "json": JOB})
    instance = Instance()
    prepare = operator("prepare", "--output=o", kind=CliptunePrepareOperator, dataflow=DATAFLOW)
    with pytest.raises(TaskDeferred) as deferred:
        run(prepare, instance)
    command = ["prepare", "--output=o", "--runner=DataflowRunner", *DATAFLOW]
    look = [*command, "--follow=j7", "--timeout=1.0"]
    assert program.calls == [[*command, "--no_wait"], look]
    assert deferred.value.trigger.look == [program.path, *look]
    assert deferred.value.trigger.cancel == [program.path, *command, "--cancel"]
    assert instance.xcoms == {"job_id": "j7", "console": "https://console/j7"}
    (link,) = prepare.operator_extra_links
    assert (link.name, link.xcom_key) == ("Dataflow job", "_link_DataflowJobLink")
    assert link.get_link(prepare, ti_key=None) == "https://console/j7"
    # The process that hears of the end is another one.
    later = operator("prepare", kind=CliptunePrepareOperator, dataflow=DATAFLOW)
    assert link.get_link(later, ti_key=None) == ""
    event = {"status": 0, "report": {"rows": 3}, "last": ""}
    assert later.execute_complete({}, event, **deferred.value.kwargs) == {"rows": 3}
    assert link.get_link(later, ti_key=None) == "https://console/j7"


@pytest.mark.parametrize(("attached", "for_good"), [(False, True), (True, False)])
def test_a_cancelled_job_is_sent_again_if_it_was_of_an_earlier_try(operator, program, attached, for_good):
    """Who clears a waiting task cancels its job, to which the next try may have attached."""
    job = {**JOB, "attached": attached}
    program.will({"json": job}, {"status": 6, "json": job})
    prepare = operator("prepare", kind=CliptunePrepareOperator, dataflow=DATAFLOW)
    with pytest.raises(TaskDeferred) as deferred:
        run(prepare)
    event = {"status": 5, "report": {**job, "state": "CANCELLED"}, "last": "job j7 was cancelled"}
    with pytest.raises(AirflowException, match="exit status 5: job j7 was cancelled") as fault:
        prepare.execute_complete({}, event, **deferred.value.kwargs)
    assert isinstance(fault.value, AirflowFailException) == for_good


def test_prepare_of_a_finished_dataset_has_no_job(operator, program):
    program.will({"json": {"rows": 3}})
    instance = Instance()
    prepare = operator("prepare", kind=CliptunePrepareOperator, dataflow=DATAFLOW)
    assert (run(prepare, instance), instance.xcoms, len(program.calls)) == ({"rows": 3}, {}, 1)


def test_prepare_without_a_triggerer_waits_on_the_worker(operator, program):
    program.will({"json": JOB}, {"json": {"rows": 3}})
    prepare = operator("prepare", kind=CliptunePrepareOperator, dataflow=DATAFLOW, deferrable=False)
    assert run(prepare) == {"rows": 3}
    assert program.calls[1] == ["prepare", "--runner=DataflowRunner", *DATAFLOW, "--follow=j7"]


def test_prepare_on_the_worker_is_one_command(operator, program):
    program.will({"json": {"rows": 3}})
    prepare = operator("prepare", "--output=o", kind=CliptunePrepareOperator)
    assert (run(prepare), program.calls, prepare.cancel) == ({"rows": 3}, [["prepare", "--output=o"]], [])


def test_a_killed_task_cancels_what_would_go_on(operator, program, said):
    program.will({"lines": ["job j7 is being cancelled"]})
    operator("prepare", kind=CliptunePrepareOperator, dataflow=DATAFLOW).on_kill()
    assert program.calls == [["prepare", "--runner=DataflowRunner", *DATAFLOW, "--cancel"]]
    assert said == ["job j7 is being cancelled"]


def test_a_killed_tune_leaves_its_job_alone(operator, program):
    operator("tune", "OUT").on_kill()
    assert not (program.place / "calls.jsonl").exists()


def test_what_differs_from_run_to_run_can_be_templated(operator):
    assert {"command", "env", "cancel"} == {*CliptuneOperator.template_fields}
    prepare = operator(
        "prepare", "--output=gs://B/{{ ds }}", kind=CliptunePrepareOperator, dataflow=["--region={{ r }}"]
    )
    context = {"ds": "2026-11-26", "r": "us-east1"}
    prepare.render_template_fields(context)
    flags = ["--output=gs://B/2026-11-26", "--runner=DataflowRunner", "--region=us-east1"]
    assert (prepare.command, prepare.cancel) == (["prepare", *flags], ["prepare", *flags, "--cancel"])


def test_nothing_of_cliptunes_environment_is_imported():
    assert not {"apache_beam", "google.genai", "orjson"} & {*sys.modules}
    assert not [name for name in sys.modules if name.partition(".")[0] in ("tuning", "transforms", "beam_pipeline")]
    assert airflow.__name__ == "cliptune.airflow"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("cliptune_dag", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def dataset(rejected, validation, cost):
    """A dataset of 100 rows."""
    report = {"rows": 100, "rejected": rejected, "accepted": 100 - rejected, "reasons": {"not_found": rejected}}
    splits = {"train": {"examples": 100 - rejected - validation}, "validation": {"examples": validation}}
    return {**report, "splits": splits}, {"estimate": {"upper_cost": cost}}


@pytest.mark.parametrize(
    ("rejected", "validation", "cost", "told"),
    [
        (5, 1, 20.0, []),  # each at its limit
        (6, 1, 20.0, ["6.0% of the rows were rejected"]),
        (1, 0, 1.0, ["0.0% of the examples are for validation"]),
        (0, 10, 20.01, ["tuning may cost $20.01, at most $20.0"]),
        (0, 10, None, ["tuning may cost an unknown sum, at most $20.0"]),
        (99, 0, None, ["99.0% of the rows", "0.0% of the examples", "an unknown sum"]),
    ],
)
def test_the_gate_names_each_limit_that_is_broken(example, rejected, validation, cost, told):
    problems = example.broken_limits(*dataset(rejected, validation, cost))
    assert len(problems) == len(told)
    assert all(start in problem for start, problem in zip(told, problems, strict=True))


def test_the_gate_of_a_dataset_without_a_validation_split(example):
    report, check = dataset(0, 0, 1.0)
    del report["splits"]["validation"]
    assert len(example.broken_limits(report, check)) == 1
    assert example.broken_limits(report, {"estimate": None})[-1].startswith("tuning may cost an unknown sum")
