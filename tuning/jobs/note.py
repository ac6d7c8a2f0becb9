"""`OUT/tuning/job.json`: which job was submitted for which request, and how it was last seen."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from transforms import records
from transforms.errors import UserError
from tuning.dataset import Dataset
from tuning.providers.base import TuningJob, TuningRequest

JOB_FILE = "job.json"
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Note:
    """What `job.json` holds.

    Attributes:
      digest: of the request.
      request: what was asked for.
      job: as last seen; None while nobody knows whether it was created.
      format_version: of the file.
    """

    digest: str
    request: TuningRequest
    job: TuningJob | None
    format_version: int = FORMAT_VERSION


def dump(note: Note) -> bytes:
    """The note as JSON."""
    tree = {"format_version": note.format_version, **asdict(note)}
    return records.pretty(tree)


def load(content: bytes) -> Note:
    """The inverse of `dump`; fields that another version has, or lacks, are passed over.

    Raises:
      ValueError: `content` is no note; the text names the field.
    """
    # Notes of versions before 1 say nothing of theirs, and are the same.
    return records.convert(records.tree_of(content, FORMAT_VERSION, FORMAT_VERSION), Note)


def of(request: TuningRequest, job: TuningJob | None) -> Note:
    """The note of a request and its job."""
    return Note(request.digest, request, job)


def write(prepared: Dataset, note: Note) -> None:
    """Writes the dataset's note."""
    prepared.storage.write_bytes(prepared.tuning_uri(JOB_FILE), dump(note))


def read(prepared: Dataset) -> Note | None:
    """The dataset's note; None if nothing was submitted yet.

    Raises:
      UserError: the file is damaged.
    """
    try:
        return load(prepared.storage.read_bytes(prepared.tuning_uri(JOB_FILE)))
    except FileNotFoundError:
        return None
    except ValueError as fault:
        told = f"{prepared.name}/tuning/{JOB_FILE} is damaged ({fault})"
        raise UserError(f"{told}; delete it if no job of it is running") from None


def submitted(prepared: Dataset) -> tuple[TuningRequest, TuningJob]:
    """The request that was submitted and its job, as last seen.

    Raises:
      UserError: none was, or the file is damaged.
    """
    note = read(prepared)
    if note is None or note.job is None:
        raise UserError(f"{prepared.name} has no tuning job yet; submit one with cliptune tune {prepared.name}")
    return note.request, note.job


def update(prepared: Dataset, job: TuningJob) -> None:
    """Notes what is newly known of the job."""
    request, _ = submitted(prepared)
    write(prepared, of(request, job))
