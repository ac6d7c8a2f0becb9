"""What `make test-cluster` says where it cannot run, and that the page's commands are commands of Cliptune."""

import os
import sys

import pytest

from cliptune.main import build_parser
from tests import processes
from tests.cluster import fetch, page


@pytest.mark.parametrize(("ci", "status"), [("", 0), ("true", 1)])
def test_a_machine_that_lacks_something_is_told_what_and_skips_but_in_ci(tmp_path, ci, status):
    (tmp_path / "java").symlink_to(sys.executable)
    environment = {**os.environ, "PATH": str(tmp_path), "PYTHONPATH": str(page.ROOT), "CI": ci}
    run = processes.run([sys.executable, "-m", "tests.cluster"], cwd=page.ROOT, env=environment)
    assert (run.returncode, run.stdout) == (status, "")
    assert run.stderr.splitlines() == [
        "make test-cluster needs mvn: install Maven, which fetches Flink",
        "make test-cluster needs unshare: install util-linux",
        "make test-cluster needs nsenter: install util-linux",
        "make test-cluster needs ip: install iproute2",
        "make test-cluster needs ss: install iproute2",
    ]


def test_a_machine_that_has_them_and_allows_no_networks_is_told_so_and_skips(tmp_path):
    for name in fetch.TOOLS:
        (tmp_path / name).write_text("#!/bin/sh\necho $0: not allowed >&2\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:/bin:/usr/bin", "PYTHONPATH": str(page.ROOT), "CI": ""}
    run = processes.run([sys.executable, "-m", "tests.cluster"], cwd=page.ROOT, env=environment)
    told = f"make test-cluster needs networks of one's own: {tmp_path}/unshare: not allowed: skipped\n"
    assert (run.returncode, run.stdout, run.stderr) == (0, "", told)


@pytest.mark.parametrize("heading", [page.WITH_A_SERVER, page.WITHOUT_A_SERVER])
def test_the_page_prepares_with_flags_that_exist(heading):
    *_, words = page.commands(heading)
    parsed, beams = build_parser().parse_known_args(words[1:])
    assert (parsed.command, parsed.manifest, parsed.output) == ("prepare", ["clips.jsonl"], "dataset")
    assert "--environment_config=localhost:50000" in beams
