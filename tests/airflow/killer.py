"""Runs Cliptune in the place of its program, and dies with it by SIGKILL when it says that a job was accepted.

python killer.py FOLDER PARENT COMMAND …        FOLDER remembers which commands have died once

Between the service's answer and the command's end: the moment at which a second job is easiest made. PARENT "1" kills
the process that started this one, too, which is Airflow's own.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

ACCEPTED = ("Created job with id: [", "submitted projects/")


def main(folder: str, parent: str, *words: str) -> int:
    mark = Path(folder) / f"{words[0]}.killed"
    with subprocess.Popen([sys.executable, "-m", "cliptune", *words], stderr=subprocess.PIPE, text=True) as command:
        assert command.stderr is not None
        for line in command.stderr:
            sys.stderr.write(line)
            sys.stderr.flush()
            if line.startswith(ACCEPTED) and not mark.exists():
                mark.touch()
                command.kill()
                if parent == "1":
                    os.kill(os.getppid(), signal.SIGKILL)
                os.kill(os.getpid(), signal.SIGKILL)
    return command.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
