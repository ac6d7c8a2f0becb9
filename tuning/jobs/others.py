"""Which other runs of a dataset go on, or may: each is a paid job.

The notes of the dataset tell it, and the claims beside the joined files, where commands of other machines leave theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from transforms.errors import ServiceError
from transforms.storage import uris
from tuning.dataset import Dataset
from tuning.jobs import claims, runs
from tuning.jobs.claims import ANSWERED, SENT, Claims, Step
from tuning.jobs.note import JOB_FILE
from tuning.jobs.runs import Run
from tuning.jobs.submit import SETTLE_SECONDS, labelled
from tuning.providers.base import Provider, Tuner, TuningJob, TuningRequest

_UNKNOWN = "sent, and not known whether there is a job"


@dataclass(frozen=True, slots=True)
class Others:
    """All runs of a dataset but that of one request.

    Attributes:
      prepared: the dataset. What is newly known of its jobs is noted.
      request: the request.
      provider: its provider.
      open_tuner: returns the tuner of a project and a location.
    """

    prepared: Dataset
    request: TuningRequest
    provider: Provider
    open_tuner: Callable[[str, str], Tuner]

    def going_on(self) -> list[str]:
        """Those that go on or may, each with what is known of it, as people read it.

        Raises:
          UserError: the claim of a run is damaged.
          ServiceError: the state of a job cannot be read.
        """
        found = {run.note.digest: run for run in runs.of(self.prepared)}
        beside = claims.beside(self.request, self.prepared.storage)
        states = {f"run {name}": f"its {JOB_FILE} is damaged" for name in runs.damaged(self.prepared)}
        for digest in sorted((found.keys() | beside.keys()) - {self.request.digest}):
            run = found.get(digest)
            states[run.name if run else f"request {digest[:8]}"] = self._state(run, beside.get(digest))
        return [f"{name} ({state})" for name, state in states.items() if state]

    def _state(self, run: Run | None, beside: Step | None) -> str:
        """What is known of a run that goes on, or may; "" of one that does not."""
        if run is None:
            return self._claimed(None, self.request, beside)
        job = run.note.job
        if job is not None and not job.ended:
            seen = self._now(job.name)
            if seen is not None:
                runs.update(self.prepared, seen)
            return _going(seen)
        # Its joined files may be in another place, and its claim with them.
        step = beside or Claims(run.note.request, self.prepared.storage).last()
        return _UNKNOWN if step is None and job is None else self._claimed(job, run.note.request, step)

    def _claimed(self, job: TuningJob | None, request: TuningRequest, step: Step | None) -> str:
        """The state that a claim tells of, which may be of a later job than the note's."""
        if step is None or step.state not in (SENT, ANSWERED):
            return ""
        if step.state == ANSWERED:
            return "" if step.job is None or (job and job.name == step.job) else _going(self._now(step.job))
        found = labelled(self.open_tuner(request.project, request.location), step.digest)
        place = uris.join(claims.folder_of(request), step.digest)
        sent = Claims(request, self.prepared.storage, place).age(step)
        return _going(found) or (_UNKNOWN if sent < SETTLE_SECONDS else "")

    def _now(self, name: str) -> TuningJob | None:
        """The job of this name; None if the service does not know it any more."""
        try:
            return self.open_tuner(*self.provider.locate(name)).get(name)
        except ServiceError as fault:
            if not fault.missing:
                raise
            return None


def _going(job: TuningJob | None) -> str:
    return "" if job is None or job.ended else job.state
