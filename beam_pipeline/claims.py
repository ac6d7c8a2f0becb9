"""Takes the output for a job: this process does before its pipeline, elsewhere a worker does when all rows are read."""

from __future__ import annotations

from beam_pipeline.job import Claimed, Job
from transforms.dataset import merging, output
from transforms.dataset.output import Output
from transforms.storage import uris


def take(job: Job) -> Claimed:
    """Claims the job's output, and notes there what the dataset is made from.

    A second call, as after a worker was lost, finds its own claim and goes on with what is there. The rows of a merge
    come first: one that is killed in between is gone on with by the next.

    Raises:
      UserError: the folder holds another dataset, or no dataset at all.
      OvertakenError: other runs keep taking the folder over.
    """
    if job.merge is not None:
        job.merge.write(job.output.folder, job.output.storage)
    claim = output.claim(job.output, job.plan, job.overwrite, merge=job.again is not None)
    place = job.output.claimed(claim)
    _record(job, place, claim.resumed)
    committed, audio_there = output.left_by_earlier_runs(place) if claim.resumed else (frozenset(), False)
    return Claimed(claim, committed, audio_there)


def _record(job: Job, place: Output, resumed: bool) -> None:
    """Notes what the dataset is made from. What is to be tried again is forgotten."""
    folder, storage = place.folder, place.storage
    if job.made is None:
        return
    if job.again is not None:
        merging.forget(place, job.plan.shard_keys(), job.again)
        return
    for name in (output.MENDED_FILE, output.ADDED_FILE) if resumed else ():
        storage.delete(uris.join(folder, name))
    storage.write_bytes(uris.join(folder, output.MANIFESTS_FILE), job.made.dump())
