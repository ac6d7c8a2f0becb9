"""`python -m cliptune`."""

import sys

from cliptune.main import main

if __name__ == "__main__":
    sys.exit(main())
