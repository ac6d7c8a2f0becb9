"""`python -m beam_pipeline` is `cliptune prepare`."""

import sys

from cliptune.main import main

if __name__ == "__main__":
    sys.exit(main(["prepare", *sys.argv[1:]]))
