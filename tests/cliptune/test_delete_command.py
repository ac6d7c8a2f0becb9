"""`cliptune delete` as a user types it, and what `watch` says of the bill."""

import io
import json
import re
import sys

import pytest

from cliptune.commands import delete
from cliptune.console import Console
from cliptune.exits import Exit
from tests.cliptune.test_commands import only_json, run
from tests.tuning.conftest import job_file
from transforms.errors import UserError
from tuning import service
from tuning.emulator import server
from tuning.emulator.scenario import Fault, Scenario
from tuning.requests import DeleteRequest

__all__ = ["run"]  # a fixture


@pytest.fixture(autouse=True)
def no_time(monkeypatch):
    monkeypatch.setattr(service, "POLL_SECONDS", 0)


class Keyboard(io.StringIO):
    def isatty(self):
        return True


def test_without_a_terminal_and_without_yes_it_refuses_in_one_line(run, out):
    run("tune", out, "--emulator")
    status, stdout, stderr = run("delete", out, "--emulator")
    assert (status, stdout, stderr.count("\n")) == (Exit.USAGE, "", 1)
    assert "--yes is needed" in stderr
    assert not json.loads(job_file(out).read_text())["deleted"]


def test_with_yes_it_prints_one_line_of_json_and_watch_has_its_status(run, out):
    run("tune", out, "--emulator")
    status, stdout, _ = run("delete", out, "--emulator", "--yes")
    report = only_json(stdout)
    assert (status, bool(report["deleted"]), report["left"]) == (Exit.DONE, True, [])
    status, stdout, stderr = run("watch", out, "--emulator")
    assert (status, only_json(stdout)["deleted"]) == (Exit.NO_ENDPOINT, report["deleted"])
    assert stderr.splitlines()[-1] == f"the model of run {report['run']} was deleted on {report['deleted']:.10}"
    status, stdout, stderr = run("tune", out, "--emulator")
    assert (status, stdout) == (Exit.FAILED, "")
    assert "add --another to tune it again, which is paid again" in stderr.splitlines()[-1]


def test_what_is_left_is_on_stdout_and_the_status_says_so(run, out):
    with server.running(played=Scenario(faults=(Fault(method="undeploy", status=503),))) as url:
        run("tune", out, f"--api_endpoint={url}")
        status, stdout, stderr = run("delete", out, f"--api_endpoint={url}", "--yes")
        assert (status, len(only_json(stdout)["left"])) == (Exit.FAILED, 2)
        again = stderr.splitlines()[-1].partition("run cliptune ")[2].removesuffix(" again").split()
        assert run(*again, "--yes")[0] == Exit.DONE


ANSWERS = [("yes\n", True), (" Y \n", True), ("no\n", False), ("\n", False), ("", False)]


@pytest.mark.parametrize(("typed", "deleted"), ANSWERS)
def test_at_a_terminal_it_asks_and_only_yes_is_yes(run, out, monkeypatch, capsys, typed, deleted):
    run("tune", out, "--emulator")
    monkeypatch.setattr(sys, "stdin", Keyboard(typed))
    said = io.StringIO()
    request = DeleteRequest(str(out), emulator=True)
    if deleted:
        assert delete.run(request, Console(said, 200, terminal=True)) == Exit.DONE
    else:
        with pytest.raises(UserError, match=r"^nothing was deleted$"):
            delete.run(request, Console(said, 200, terminal=True))
    assert bool(json.loads(job_file(out).read_text())["deleted"]) is deleted
    told = said.getvalue()
    assert told.index("/models/") < told.index("delete it? yes or no:")


@pytest.mark.parametrize(
    ("billed", "outside"),
    [(1.0, False), (0.7, False), (3.0, False), (0.5, True), (100.0, True), (0.0, True)],
)
def test_a_bill_that_is_far_from_the_estimate_is_told_plainly(run, out, billed, outside):
    """A count that fits all epochs together (here three) is one of all; any other one outside of the range is told."""
    with server.running(played=Scenario(billed=billed)) as url:
        stderr = run("tune", out, f"--api_endpoint={url}")[2]
    (line,) = [line for line in stderr.splitlines() if "billable tokens" in line]
    found = re.search(r"counted ([\d,]+) billable tokens", line)
    assert found is not None
    assert int(found.group(1).replace(",", "")) == round(726 * billed)
    assert (": outside of the estimate" in line) is outside
    assert not outside or f", {billed:.3g} times what was expected; $3 a million tokens" in line
