"""`job.json` of a tuning run: the request that was submitted, and the last known state of its job."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field

from transforms import records
from tuning.cost import Estimate
from tuning.providers.base import TuningJob, TuningRequest

JOB_FILE = "job.json"
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Deletion:
    """That the tuned model of a job was deleted.

    Attributes:
      job: resource name of the job.
      model: resource name of its model; "" if it had none.
      endpoints: at which it was deployed.
      time: of the deletion, ISO 8601.
      created: when the job was created, which tells it from one of the same name of an emulator that was started anew.
    """

    job: str
    model: str
    endpoints: tuple[str, ...]
    time: str
    created: str | None = None

    def is_of(self, job: TuningJob) -> bool:
        """Whether it is the model of this job that was deleted."""
        return (self.job, self.created) == (job.name, job.create_time)


@dataclass(frozen=True, slots=True)
class Note:
    """The contents of `job.json`.

    Attributes:
      digest: digest of the request.
      request: the request that was submitted.
      job: the job as last seen; None while it is not known whether the job was created.
      format_version: version of the file.
      estimate: what the job was estimated to cost before it was sent; None in notes of earlier versions.
      deleted: the jobs of this request whose models were deleted.
      failed: HTTP status of an answer that does not tell whether the job was created; left out without one.
    """

    digest: str
    request: TuningRequest
    job: TuningJob | None
    format_version: int = FORMAT_VERSION
    estimate: Estimate | None = None
    deleted: tuple[Deletion, ...] = ()
    failed: int | None = field(default=None, metadata={records.LEFT_OUT: True})

    def __post_init__(self) -> None:
        # The name becomes a part of an address to which credentials are sent.
        if self.job is not None and not re.fullmatch(r"[\w:-][\w.:-]*(/[\w:-][\w.:-]*)+", self.job.name):
            raise ValueError(f"job.name: must be a resource's name, words between slashes, got {self.job.name!r:.60}")


def dump(note: Note) -> bytes:
    """The note as JSON."""
    tree = {"format_version": note.format_version, **asdict(note)}
    if note.failed is None:
        del tree["failed"]
    return records.pretty(tree)


def load(content: bytes) -> Note:
    """The inverse of `dump`. Fields that another version added or removed are ignored.

    Raises:
      ValueError: `content` is not a note; the message names the field.
    """
    # Notes from before version 1 have no format_version, and the same fields.
    return records.convert(records.tree_of(content, FORMAT_VERSION, FORMAT_VERSION), Note)


def of(request: TuningRequest, job: TuningJob | None) -> Note:
    """The note of a request and its job."""
    return Note(request.digest, request, job)
