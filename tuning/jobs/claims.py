"""Claims: of all commands that would send one request at the same moment, one sends it.

A claim is a row of numbered steps, `claims/DIGEST/000001.json` and so on, beside the joined files, so that every
machine that would tune on these files sees it. A step is created exclusively, in a bucket by a precondition. So of all
who would take the next step, one does, and the last step tells how the request stands:

    held ─▶ sent ─▶ answered     the job exists, and the step names it
      │       └───▶ over         the service has refused the request
      └───────────▶ over         given up before anything was sent

Whoever holds a claim takes the step "sent" before the request leaves. Whoever finds that a holder is gone takes the
step "held" for itself; then the other's "sent" fails. No clock decides that. After "sent" without an answer, only time
tells whether a job exists (`tuning.jobs.submit`).
"""

from __future__ import annotations

import re
import uuid
from dataclasses import asdict, dataclass

from transforms import records
from transforms.errors import UserError
from transforms.storage import Storage, uris
from tuning.dataset import DAMAGES, damage
from tuning.providers.base import TuningRequest

CLAIMS_FOLDER = "claims"
HELD, SENT, ANSWERED, OVER = "held", "sent", "answered", "over"
# The folder of the claim that only one request of a dataset can hold (`tuning.jobs.turns`).
TURN = "turn"
FORMAT_VERSION = 1
# More steps than this between a listing and the reading of its last file would be no accident.
_MOST_TRIES = 100


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a claim: one file.

    Attributes:
      digest: digest of the request.
      number: of the step, from 1.
      state: "held", "sent", "answered" or "over".
      holder: who took the step: another name for each command that runs.
      job: with "answered": the resource name of the job; None else.
      format_version: version of the file.
    """

    digest: str
    number: int
    state: str
    holder: str
    job: str | None = None
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        if self.state not in (HELD, SENT, ANSWERED, OVER):
            raise ValueError(f"state: must be held, sent, answered or over, got {self.state!r}")


def folder_of(request: TuningRequest) -> str:
    """The folder of the claims of all requests whose joined files are in one place."""
    return uris.join(request.train_uri.rpartition("/")[0], CLAIMS_FOLDER)


def beside(request: TuningRequest, storage: Storage) -> dict[str, Step]:
    """The last step of every other request whose joined files are in the same place, by its digest.

    Raises:
      UserError: the file of a step is damaged.
    """
    folder = folder_of(request)
    listed = (uris.below(folder, uri).split("/") for uri in storage.list_files(folder))
    digests = {parts[0] for parts in listed if len(parts) > 1} - {request.digest, TURN}
    steps = {digest: Claims(request, storage, uris.join(folder, digest)).last() for digest in sorted(digests)}
    return {digest: step for digest, step in steps.items() if step is not None}


class Claims:
    """The claim of one request, as one command sees it.

    Args:
      request: the request.
      storage: keeps the steps.
      folder: keeps them; None for the request's own, beside its training file.
    """

    def __init__(self, request: TuningRequest, storage: Storage, folder: str | None = None) -> None:
        self._digest = request.digest
        self._folder = folder or uris.join(folder_of(request), request.digest)
        self._storage = storage
        self._holder = uuid.uuid4().hex

    def last(self) -> Step | None:
        """The last step; None if nobody has claimed the request yet.

        Raises:
          UserError: the step's file is damaged.
        """
        for _ in range(_MOST_TRIES):
            number = max(self._numbers(), default=0)
            if not number:
                return None
            try:
                return records.load(self._storage.read_record(self._uri(number)), Step, FORMAT_VERSION)
            except FileNotFoundError:  # a later step has been taken meanwhile, and this one removed
                continue
            except DAMAGES as fault:
                raise self._damaged(number, damage(fault)) from None
        raise self._damaged(number, "listed, but not there")

    def age(self, step: Step) -> float:
        """Seconds since a step was taken; 0 if another one has followed meanwhile."""
        try:
            return self._storage.age(self._uri(step.number))
        except FileNotFoundError:
            return 0.0

    def take(self, after: Step | None, state: str, job: str | None = None) -> Step | None:
        """Takes the next step, and removes those before it.

        Args:
          after: the last step, as this command knows it.
          state: of the new step.
          job: the job that the step names.

        Returns:
          The new step; None if another command has taken one after `after`.
        """
        number = after.number + 1 if after else 1
        step = Step(self._digest, number, state, self._holder, job)
        uri = self._uri(number)
        if not self._storage.create(uri, records.pretty(asdict(step))):
            return None
        numbers = self._numbers()
        # Steps that were passed are removed, so that a name may be free whose step was taken long ago.
        if max(numbers) > number:
            self._storage.delete(uri)
            return None
        for earlier in numbers - {number}:
            self._storage.delete(self._uri(earlier))
        return step

    def _numbers(self) -> set[int]:
        names = (uri.rpartition("/")[2] for uri in self._storage.list_files(self._folder))
        return {int(found[1]) for name in names if (found := re.fullmatch(r"(\d{6})\.json", name))}

    def _uri(self, number: int) -> str:
        return uris.join(self._folder, f"{number:06d}.json")

    def _damaged(self, number: int, what: str) -> UserError:
        problem = f"{self._uri(number)} is damaged ({what}): it told whether this request was sent"
        return UserError(f"{problem}; delete it if cliptune jobs lists no running job of this dataset")
