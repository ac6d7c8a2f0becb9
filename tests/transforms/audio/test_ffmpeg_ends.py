"""The ffmpeg program ends with the process that started it, however that ends, and has a limit of processor time."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import processes

ROOT = Path(__file__).parents[3]
# A program without threads, as a clip worker; its "ffmpeg" sleeps, and so takes no notice of anything.
PROGRAM = """
import sys
import numpy
from transforms.audio import builds, ffmpeg
builds.ffmpeg = lambda: sys.argv[1]
ffmpeg.encode(numpy.zeros(16_000, "f4"), 16_000, "adts", {"acodec": "aac"})
"""


def state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return "gone"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell of a parent's death")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGSEGV])
def test_it_dies_with_its_parent(number, tmp_path):
    script = tmp_path / "ffmpeg"
    script.write_text(
        f"#!/bin/sh\necho $$ > {tmp_path}/pid.part\nmv {tmp_path}/pid.part {tmp_path}/pid\nexec sleep 1000\n"
    )
    script.chmod(0o755)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", PROGRAM, str(script)]
    with processes.running(words, env=environment, cwd=ROOT, stderr=subprocess.DEVNULL) as program:
        deadline = time.monotonic() + 60
        while not (tmp_path / "pid").exists() and time.monotonic() < deadline:
            assert program.poll() is None
            time.sleep(0.01)
        pid = int((tmp_path / "pid").read_text())
        assert resource.prlimit(pid, resource.RLIMIT_CPU)[1] == 21
        program.send_signal(number)
        program.wait(30)
        while state(pid) not in ("gone", "Z") and time.monotonic() < deadline:
            time.sleep(0.01)
        assert state(pid) in ("gone", "Z")
