"""`python -m tests.kills KILLS SEED`: prints what became of so many kills."""

import sys

from tests.kills import batches

if __name__ == "__main__":
    sys.exit(batches.run(int(sys.argv[1]), sys.argv[2]))
