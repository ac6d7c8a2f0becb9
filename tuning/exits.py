"""Exit statuses of the tuning commands, for scripts."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """How a command ended. 3 is `prepare`'s own: too many rows rejected."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    JOB_FAILED = 4
    JOB_CANCELLED = 5
    STILL_RUNNING = 6
    NO_ENDPOINT = 7
    INTERRUPTED = 130


MEANINGS = {
    Exit.DONE: "done; of a job, the tuned model answers",
    Exit.FAILED: "failed: one line on stderr says why",
    Exit.USAGE: "the command line is wrong",
    Exit.JOB_FAILED: "the job failed or expired",
    Exit.JOB_CANCELLED: "the job was cancelled",
    Exit.STILL_RUNNING: "not ended within --timeout; the job goes on",
    Exit.NO_ENDPOINT: "there is a tuned model, but no endpoint that answers",
    Exit.INTERRUPTED: "Ctrl-C; a submitted job goes on",
}
