"""`make test-cluster`: fetches Flink and runs the tests of this folder in a network of their own.

python -m tests.cluster [PYTEST'S FLAGS …]

On a machine that lacks something it says what, and skips. In CI every program must be there; without networks of one's
own the cluster is of one worker there, on this machine's ports.
"""

from __future__ import annotations

import os
import subprocess
import sys

from tests.cluster import fetch, machines, page

# Of a test, with its fixtures: the cluster starts, and a job is killed and run again, on a machine that may be busy.
_LIMIT_SECONDS = 1200
_FLAGS = ("-m", "cluster", "-q", "-p", "no:cacheprovider")
_LIMITS = ("-o", f"timeout={_LIMIT_SECONDS}", "-o", f"faulthandler_timeout={_LIMIT_SECONDS + 60}")


def main(flags: list[str]) -> int:
    """The exit status of the tests."""
    in_ci = bool(os.environ.get("CI"))
    if lacking := fetch.missing():
        for line in lacking:
            print(f"make test-cluster needs {line}", file=sys.stderr)
        return 1 if in_ci else 0
    if shut_in := fetch.no_networks():
        told = "with one worker, in this machine's network" if in_ci else "skipped"
        print(f"make test-cluster needs networks of one's own: {shut_in}: {told}", file=sys.stderr)
        if not in_ci:
            return 0
    try:
        fetch.fetch()
    except subprocess.SubprocessError as fault:
        print(f"make test-cluster: Flink was not fetched: {fault}", file=sys.stderr)
        return 1
    words = [sys.executable, "-m", "pytest", "tests/cluster", *_FLAGS, *_LIMITS, *flags]
    # For the commands and workers, which run in other folders.
    here = {**os.environ, "PYTHONPATH": str(page.ROOT), machines.ON_THIS_MACHINE: "yes" if shut_in else ""}
    words = words if shut_in else fetch.isolated(words)
    return subprocess.run(words, cwd=page.ROOT, env=here, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
