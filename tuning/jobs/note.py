"""`OUT/tuning/job.json`: the request that was submitted, and the last known state of its job."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass

from transforms import records
from transforms.errors import StorageError, UserError
from tuning.dataset import DAMAGES, Dataset, damage
from tuning.providers.base import TuningJob, TuningRequest

JOB_FILE = "job.json"
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Note:
    """The contents of `job.json`.

    Attributes:
      digest: digest of the request.
      request: the request that was submitted.
      job: the job as last seen; None while it is not known whether the job was created.
      format_version: version of the file.
    """

    digest: str
    request: TuningRequest
    job: TuningJob | None
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        # The name becomes a part of an address to which credentials are sent.
        if self.job is not None and not re.fullmatch(r"[\w:-][\w.:-]*(/[\w:-][\w.:-]*)+", self.job.name):
            raise ValueError(f"job.name: must be a resource's name, words between slashes, got {self.job.name!r:.60}")


def dump(note: Note) -> bytes:
    """The note as JSON."""
    tree = {"format_version": note.format_version, **asdict(note)}
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


def write(prepared: Dataset, note: Note) -> None:
    """Writes the dataset's note.

    Commands that follow one job may write at the same moment, which a bucket refuses all but one of: whichever of these
    notes stays is true.
    """
    try:
        prepared.storage.write_bytes(prepared.tuning_uri(JOB_FILE), dump(note))
    except StorageError:
        there = read(prepared)
        if there is None or _subject(there) != _subject(note):
            raise


def _subject(note: Note) -> tuple[str, str | None]:
    return note.digest, note.job.name if note.job else None


def restore(prepared: Dataset, before: Note | None) -> None:
    """Puts back what was noted before; None if nothing was."""
    if before is not None:
        write(prepared, before)
    else:
        prepared.storage.delete(prepared.tuning_uri(JOB_FILE))


def read(prepared: Dataset) -> Note | None:
    """The dataset's note; None if nothing has been submitted.

    Raises:
      UserError: the file is damaged.
    """
    try:
        return load(prepared.storage.read_bytes(prepared.tuning_uri(JOB_FILE)))
    except FileNotFoundError:
        return None
    except DAMAGES as fault:
        problem = f"{prepared.name}/tuning/{JOB_FILE} is damaged ({damage(fault)}): it names the dataset's tuning job"
        remedy = "delete it if no job of this dataset is running, as cliptune jobs tells"
        raise UserError(f"{problem}; {remedy}; cliptune tune finds a running one again") from None


def submitted(prepared: Dataset) -> tuple[TuningRequest, TuningJob]:
    """The request that was submitted, and its job as last seen.

    Raises:
      UserError: no job was submitted, or the file is damaged.
    """
    note = read(prepared)
    if note is None or note.job is None:
        raise UserError(f"{prepared.name} has no tuning job yet; submit one with cliptune tune {prepared.name}")
    return note.request, note.job


def update(prepared: Dataset, job: TuningJob) -> None:
    """Replaces the job in the dataset's note."""
    request, _ = submitted(prepared)
    write(prepared, of(request, job))
