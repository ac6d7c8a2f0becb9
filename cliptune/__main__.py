"""`python -m cliptune`."""

import os
import signal
import sys
from typing import Any

# `-m` puts the current folder in front, and a random.py there would be taken for Python's own: imports come later.
_here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 -- see above
try:
    _current = os.getcwd()  # noqa: PTH109
except OSError:  # it was deleted, and nothing can be imported from it
    _current = ""
if sys.path and sys.path[0] == _current != _here:
    del sys.path[0]

# While much is imported, and when all is done, there is nobody to tell of Ctrl-C: it ends the process without a word.
_interrupt = signal.getsignal(signal.SIGINT)


def _answer_ctrl_c(handler: Any) -> None:  # noqa: ANN401 -- as signal has it
    if _interrupt is signal.default_int_handler:  # else it is ignored, as in the background, or is another program's
        signal.signal(signal.SIGINT, handler)


_answer_ctrl_c(signal.SIG_DFL)
from cliptune.main import main as command  # noqa: E402

_answer_ctrl_c(_interrupt)


def main() -> int:
    """Runs the command of this process's arguments; its exit status."""
    try:
        return command()
    finally:
        _answer_ctrl_c(signal.SIG_DFL)


if __name__ == "__main__":
    sys.exit(main())
