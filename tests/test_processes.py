"""The tests end wherever they are started."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import processes

ROOT = Path(__file__).parents[1]


def test_signals_that_a_script_ignores_reach_the_tests_and_their_processes():
    """As in `(trap '' INT; make test)`, which is what a shell makes of `make test &` in a script."""

    def in_the_background():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)

    code = """
import os, signal, subprocess, sys
import tests.conftest
child = subprocess.run([sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGINT)"], timeout=60)
assert child.returncode == -signal.SIGINT, child
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    print("heard")
"""
    done = processes.run([sys.executable, "-c", code], cwd=ROOT, preexec_fn=in_the_background)
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr


def test_no_process_outlives_the_test_that_started_it():
    with pytest.raises(ZeroDivisionError), processes.running(["sleep", "1000"], stdin=subprocess.PIPE) as process:
        raise ZeroDivisionError
    assert process.returncode == -signal.SIGKILL
