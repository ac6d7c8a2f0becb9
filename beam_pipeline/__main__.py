"""`python -m beam_pipeline` is `cliptune prepare`."""

import os
import sys

# `-m` puts the current folder in front, and a random.py there would be taken for Python's own: imports come later.
_here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 -- see above
try:
    _current = os.getcwd()  # noqa: PTH109
except OSError:  # it was deleted, and nothing can be imported from it
    _current = ""
if sys.path and sys.path[0] == _current != _here:
    del sys.path[0]

from cliptune.__main__ import main  # noqa: E402

if __name__ == "__main__":
    sys.argv.insert(1, "prepare")
    sys.exit(main())
