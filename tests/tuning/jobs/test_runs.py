"""A dataset has runs: each request keeps its job, a second paid job needs a word, every command can name one."""

import json
from dataclasses import replace

import pytest

from tests.cliptune.test_commands import only_json, run
from tests.tuning.conftest import answers, job_file
from transforms.errors import UserError
from transforms.storage import Storage
from tuning import dataset
from tuning.emulator import server
from tuning.jobs import note, runs

__all__ = ["run"]  # a fixture


@pytest.fixture
def url():
    with server.running() as found:
        yield found


def names(out):
    return sorted(path.name for path in (out / "tuning/runs").iterdir())


def test_a_second_job_beside_a_running_one_needs_a_word(run, out, url):
    first = only_json(run("tune", out, "--api_endpoint", url, "--no_watch")[1])
    status, stdout, stderr = run("tune", out, "--api_endpoint", url, "--epochs", 5)
    assert (status, stdout) == (1, "")
    (name,) = names(out)
    assert f"is being tuned already: {name} (PENDING)" in stderr
    assert "this request would be a second paid job: add --another" in stderr
    second = only_json(run("tune", out, "--api_endpoint", url, "--epochs", 5, "--another")[1])
    assert second["name"] != first["name"]
    jobs = only_json(run("jobs", out, "--api_endpoint", url)[1])
    assert set(jobs["runs"].values()) == {first["name"], second["name"]}
    assert set(jobs["runs"]) == set(names(out))


def test_the_same_request_attaches_and_needs_no_word(run, out, url):
    first = only_json(run("tune", out, "--api_endpoint", url, "--no_watch")[1])
    assert only_json(run("tune", out, "--api_endpoint", url)[1])["name"] == first["name"]
    assert len(names(out)) == 1


def test_after_a_run_has_ended_another_needs_no_word(run, out, url):
    first = only_json(run("tune", out, "--api_endpoint", url)[1])
    second = only_json(run("tune", out, "--api_endpoint", url, "--epochs", 5)[1])
    assert (second["state"], second["name"] != first["name"], len(names(out))) == ("SUCCEEDED", True, 2)


def test_a_job_that_has_ended_unseen_is_asked_for_before_it_is_counted(run, out, url):
    run("tune", out, "--api_endpoint", url, "--no_watch")
    for _ in range(3):  # it is read by somebody else
        run("jobs", "--project", "local-project", "--api_endpoint", url)
        first = json.loads(job_file(out).read_text())["job"]["name"]
        run_ = dataset.load(str(out), Storage())
        assert runs.pick(run_, None).job.name == first
    status, _, stderr = run("watch", out, "--api_endpoint", url)
    assert (status, "SUCCEEDED" in stderr) == (0, True)
    assert run("tune", out, "--api_endpoint", url, "--epochs", 5)[0] == 0


def test_every_command_can_name_a_run_and_has_a_default(run, out, url):
    run("tune", out, "--api_endpoint", url)
    first, done = names(out)[0], json.loads(job_file(out).read_text())["job"]
    run("tune", out, "--api_endpoint", url, "--epochs", 5, "--no_watch")
    (second,) = set(names(out)) - {first}
    assert (first.startswith("gemini-3.1-flash-lite-3-epochs-"), "-5-epochs-" in second) == (True, True)
    # The newest whose model answers is asked; the newest that goes on is watched.
    assert only_json(run("predict", out, "--api_endpoint", url)[1])["model"] == done["endpoint"]
    assert only_json(run("watch", out, "--api_endpoint", url, "--run", first)[1])["name"] == done["name"]
    watched = only_json(run("watch", out, "--api_endpoint", url)[1])
    assert watched["name"] != done["name"]
    assert only_json(run("predict", out, "--api_endpoint", url)[1])["model"] == watched["endpoint"]
    again = only_json(run("predict", out, "--api_endpoint", url, "--run", first)[1])
    assert (again["model"], again["asked"]) == (done["endpoint"], 0)
    for command in ("watch", "predict", "cancel"):
        status, _, stderr = run(command, out, "--api_endpoint", url, "--run", "nothing")
        assert (status, f"got 'nothing'; known: {first}, {second}" in stderr) == (1, True), stderr


def test_of_several_runs_that_go_on_none_is_cancelled_by_chance(run, out, url):
    run("tune", out, "--api_endpoint", url, "--no_watch")
    run("tune", out, "--api_endpoint", url, "--epochs", 5, "--another", "--no_watch")
    status, _, stderr = run("cancel", out, "--api_endpoint", url)
    assert (status, "has several runs that go on: " in stderr, "name one by --run" in stderr) == (1, True, True)
    named = next(name for name in names(out) if "-5-" in name)
    cancelled = only_json(run("cancel", out, "--api_endpoint", url, "--run", named)[1])
    other = only_json(run("watch", out, "--api_endpoint", url)[1])
    assert (other["state"], other["name"] != cancelled["name"]) == ("SUCCEEDED", True)


def test_a_job_json_of_an_earlier_version_is_one_run(run, out, url):
    first = only_json(run("tune", out, "--api_endpoint", url)[1])
    tree = {key: value for key, value in json.loads(job_file(out).read_text()).items() if key != "estimate"}
    earlier = out / "tuning/job.json"
    name = job_file(out).parent.name
    job_file(out).unlink()
    earlier.write_text(json.dumps(tree))
    assert only_json(run("watch", out, "--api_endpoint", url)[1])["name"] == first["name"]
    assert only_json(run("tune", out, "--api_endpoint", url)[1])["name"] == first["name"]
    assert only_json(run("jobs", out, "--api_endpoint", url)[1])["runs"] == {name: first["name"]}
    assert not (out / "tuning/runs" / name / "job.json").exists()  # it stays one run, in one place
    run("predict", out, "--api_endpoint", url)
    assert answers(out, "validation").parent.name == name


def test_what_a_run_was_estimated_to_cost_stays_with_it(run, out, url):
    run("tune", out, "--api_endpoint", url, "--price_per_million", "7")
    noted = json.loads(job_file(out).read_text())["estimate"]
    assert (noted["price_per_million"], noted["epochs"]) == (7.0, 3)
    run("tune", out, "--api_endpoint", url)
    run("watch", out, "--api_endpoint", url)
    assert json.loads(job_file(out).read_text())["estimate"] == noted


def test_runs_of_two_requests_never_share_a_name(request_, prepared):
    changed = [replace(request_, learning_rate_multiplier=factor) for factor in (0.1, 0.2, 0.3)]
    for each in (request_, *changed):
        runs.write(prepared, note.of(each, None))
    assert len({run.name for run in runs.of(prepared)}) == 4
    assert all(runs.find(prepared, each) for each in (request_, *changed))


def test_a_run_that_was_sent_without_an_answer_is_not_passed_over(request_, prepared):
    runs.write(prepared, note.of(request_, None))
    with pytest.raises(UserError, match="was sent, and it is not known whether it has a job"):
        assert runs.pick(prepared, None).job
