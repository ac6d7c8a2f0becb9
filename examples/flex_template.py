"""What a Flex Template's launcher runs: `cliptune prepare --no_wait` with its parameters (docs/dataflow.md)."""

import sys

from cliptune.main import main

if __name__ == "__main__":
    sys.exit(main(["prepare", "--no_wait", *sys.argv[1:]]))
