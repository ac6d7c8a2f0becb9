"""The exit statuses of the commands."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tuning.jobs.watch import JobReport


class Exit(IntEnum):
    """The exit status of a command."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    TOO_MANY_REJECTED = 3
    JOB_FAILED = 4
    JOB_CANCELLED = 5
    STILL_RUNNING = 6
    NO_ENDPOINT = 7
    FAIL_IF = 8
    INTERRUPTED = 130


# Of a command that says no more of its end.
IN_WORDS = {
    Exit.FAILED: "something is wrong: the report says what",
    Exit.USAGE: "the command line is wrong",
    Exit.TOO_MANY_REJECTED: "too many of the rows were rejected",
    Exit.JOB_FAILED: "the job failed or expired",
    Exit.JOB_CANCELLED: "the job was cancelled",
    Exit.STILL_RUNNING: "the job has not ended in time, and goes on",
    Exit.NO_ENDPOINT: "there is no endpoint that answers",
    Exit.FAIL_IF: "a condition of --fail_if holds",
    Exit.INTERRUPTED: "stopped",
}
# The meanings for the commands that end with a job.
MEANINGS = {
    Exit.DONE: "done; for a job, the tuned model answers",
    Exit.FAILED: "failed: one line on stderr says why",
    Exit.USAGE: "the command line is wrong",
    Exit.JOB_FAILED: "the job failed or expired",
    Exit.JOB_CANCELLED: "the job was cancelled",
    Exit.STILL_RUNNING: "not ended within --timeout; the job goes on",
    Exit.NO_ENDPOINT: "there is a tuned model, but no endpoint that answers; or both were deleted",
    Exit.INTERRUPTED: "Ctrl-C; a submitted job goes on",
}

# The same command would end in the same way, or be paid again: whoever schedules it must not repeat it.
FOR_GOOD = frozenset(
    {Exit.USAGE, Exit.TOO_MANY_REJECTED, Exit.JOB_FAILED, Exit.JOB_CANCELLED, Exit.NO_ENDPOINT, Exit.FAIL_IF}
)


def of_job(job: JobReport) -> Exit:
    """The exit status for the state of a job."""
    if not job.ended:
        return Exit.STILL_RUNNING
    if job.deleted:
        return Exit.NO_ENDPOINT
    if job.answers:
        return Exit.DONE
    if job.tuned_model and not job.endpoint:
        return Exit.NO_ENDPOINT
    return Exit.JOB_CANCELLED if job.state == "CANCELLED" else Exit.JOB_FAILED
