"""`python -m cliptune`."""

import os
import signal
import sys

# `-m` puts the current folder in front, and a random.py there would be taken for Python's own: imports come later.
_here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 -- see above
try:
    _current = os.getcwd()  # noqa: PTH109
except OSError:  # it was deleted, and nothing can be imported from it
    _current = ""
if sys.path and sys.path[0] == _current != _here:
    del sys.path[0]

# While much is imported, and when all is done, there is nobody to tell of Ctrl-C: it ends the process without a word.
# In the middle of an import, an exception might be swallowed. In between, `interrupts` answers it.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from cliptune.main import main  # noqa: E402

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
