"""Submits a request at most once: an existing job of the request is looked for first.

    the job of the run ─▶ the claim ─▶ the list of jobs ─▶ "sent" ─▶ the create request, once

Each arrow is passed when what is before it has found no job. The claim (`tuning.jobs.claims`) lets one command at a
time go further. What becomes of a request whose answer was lost, only time tells: until `SETTLE_SECONDS` after it was
sent nobody sends another.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from transforms.errors import ServiceError, StorageError, UserError
from tuning.cost import Estimate
from tuning.dataset import Dataset
from tuning.jobs import note, runs, turns
from tuning.jobs.claims import ANSWERED, HELD, OVER, SENT, Claims, Step
from tuning.jobs.clock import CLOCK, Clock, backoff, jittered
from tuning.jobs.note import Deletion
from tuning.providers.base import GOOD_ENDS, REQUEST_LABEL, Tuner, TuningJob, TuningRequest

# After a lost answer, the new job may take a while to appear in the list of jobs: 40 s have been seen. These looks take
# about a minute.
LOOKS = 10
MAX_LOOK_SECONDS = 10.0
# From the create request to its job in the list. The client waits two minutes for an answer, and the list is late by
# less than one; the rest is for proxies that hold a request.
SETTLE_SECONDS = 600.0
# A command looks for a job and then sends or gives up. Taking its claim after this time risks nothing but its turn.
HOLD_SECONDS = 60.0
MAX_TURN_SECONDS = 15.0
# The job that fills the quota runs for hours: there is no hurry to try again.
QUOTA_SECONDS = 120.0
_QUOTA = (
    "usually, a project may run one tuning job at a time, in all locations together; --wait_for_quota waits for its end"
)


@dataclass(frozen=True, slots=True)
class Patience:
    """Whether and how long `submit_once` waits.

    Attributes:
      quota: whether to wait while the quota is full (429).
      seconds: the longest wait; None for no limit.
      clock: the clock that is used.
      second_job: whether to send the request although an earlier one may still become a job.
    """

    quota: bool = False
    seconds: float | None = None
    clock: Clock = CLOCK
    second_job: bool = False


def submit_once(
    tuner: Tuner,
    request: TuningRequest,
    prepared: Dataset,
    say: Callable[[str], None],
    patience: Patience = Patience(),
    estimate: Estimate | None = None,
    refuse: Callable[[], None] = lambda: None,
) -> TuningJob:
    """The job of this request: the one that was submitted before, or else a new one.

    The run's `job.json` is written before the request is sent and again after the answer.
    If the answer to a create is lost, the job is looked up by its label. The
    create is never repeated automatically.

    Args:
      tuner: the service.
      request: what to tune.
      prepared: the dataset; the note of its run is written.
      say: takes a line for people.
      patience: whether and how long to wait for the quota, and for other commands.
      estimate: what the job may cost, to be noted.
      refuse: called before a job is created, and not if there is one; raises UserError to prevent it.

    Raises:
      ServiceError: the service refused or did not answer.
      UserError: `job.json` or the claim is damaged or cannot be written.
    """
    submission = _Submission(tuner, request, prepared, say, patience, estimate, refuse)
    while True:
        try:
            return submission.job()
        except ServiceError as fault:
            if fault.code != 429:
                raise
            if not patience.quota:
                raise ServiceError(f"{fault}; {_QUOTA}", fault.transient, fault.code, fault.sent) from fault
            wait = jittered(QUOTA_SECONDS)
            if submission.over_in(wait):
                raise
            say(f"{fault}; the quota is full, trying again in {wait:.0f} s")
        patience.clock.sleep(wait)


class _Submission:
    """One call of `submit_once`, whose arguments it takes."""

    def __init__(
        self,
        tuner: Tuner,
        request: TuningRequest,
        prepared: Dataset,
        say: Callable[[str], None],
        patience: Patience,
        estimate: Estimate | None,
        refuse: Callable[[], None],
    ) -> None:
        self.tuner = tuner
        self.request = request
        self.prepared = prepared
        self.say = say
        self.patience = patience
        self.estimate = estimate
        self.refuse = refuse
        self.claims = Claims(request, prepared.storage)
        self.start = patience.clock.now()
        run = runs.find(prepared, request)
        # Their models were deleted. Who sends the request again wants another one.
        self.deleted = run.note.deleted if run else ()

    def over_in(self, seconds: float) -> bool:
        """Whether the longest wait would be over in so many seconds."""
        longest = self.patience.seconds
        return longest is not None and self.patience.clock.now() - self.start + seconds > longest

    def job(self) -> TuningJob:
        """The job that was submitted before, or a new one."""
        while True:
            held = self._noted() or self._claimed()
            if isinstance(held, TuningJob):
                return self._attached(held)
            job = self._with_claim(held)
            if job is not None:
                return job

    def _attached(self, job: TuningJob) -> TuningJob:
        self.say(f"attached to {job.name}, submitted before for the same request ({job.state})")
        runs.noted(self.prepared, self.request, job, self.estimate)
        return job

    def _noted(self) -> TuningJob | None:
        """The job of this request's run, if it counts."""
        saved = self._note()
        return self._known(saved.job.name) if saved is not None and saved.job is not None else None

    def _note(self) -> note.Note | None:
        run = runs.find(self.prepared, self.request)
        return run.note if run else None

    def _known(self, name: str) -> TuningJob | None:
        """The job of this name, if the service still knows it and it counts."""
        try:
            job = self.tuner.get(name)
        except ServiceError as fault:
            if not fault.missing:
                raise
            return None
        return job if _counts(job, self.deleted) else None

    def _labelled(self) -> TuningJob | None:
        """The job that the service lists for this request, if it counts."""
        return labelled(self.tuner, self.request.digest, self.deleted)

    def _claimed(self) -> TuningJob | Step:
        """The claim, held by this command; or the job of whoever held it before.

        Raises:
          ServiceError: the claim is another's for longer than the patience.
        """
        turn, told = 0, None
        while True:
            turn += 1
            last = self._last()
            job = self._of_another(last)
            if job is not None:
                if last is not None and last.state == SENT:  # what became of it is known now, to other requests too
                    self.claims.take(last, ANSWERED, job.name)
                return job
            left = self._seconds_left(last)
            if left <= 0:
                held = self.claims.take(last, HELD)
                if held is not None:
                    return held
                continue  # another command was faster
            if last != told:
                told = last
                self.say(_told(last, left))
            self._wait(turn, left, last)

    def _last(self) -> Step | None:
        last = self.claims.last()
        saved = self._note() if last is None else None
        if saved is not None and saved.job is None:
            # Sent with another staging location, or before there were claims; nobody knows when.
            return self.claims.take(None, SENT) or self.claims.last()
        return last

    def _of_another(self, last: Step | None) -> TuningJob | None:
        """The job of whoever took the last step: the one it names, or one that has appeared since."""
        if last is not None and last.state == ANSWERED and last.job is not None:
            return self._known(last.job)
        return self._labelled() if last is not None and last.state == SENT else None

    def _seconds_left(self, last: Step | None) -> float:
        """How long the claim is still another's; 0 or less if it is free."""
        if last is None or last.state not in (HELD, SENT) or (last.state == SENT and self.patience.second_job):
            return 0.0
        return (SETTLE_SECONDS if last.state == SENT else HOLD_SECONDS) - self.claims.age(last)

    def _wait(self, turn: int, left: float, last: Step | None) -> None:
        self._sleep(min(backoff(turn, MAX_TURN_SECONDS), left), _told(last, left))

    def _sleep(self, seconds: float, what: str) -> None:
        if self.over_in(seconds):
            raise ServiceError(f"{what}; the time of --timeout is over, run the same command again", True)
        self.patience.clock.sleep(seconds)

    def _with_claim(self, held: Step) -> TuningJob | None:
        """The job that the list has, or a new one; None if another command has taken the claim, or the turn."""
        before = self._note()
        try:
            # Another copy of the dataset may have submitted a job, which neither note nor claim know here.
            listed = self._labelled()
            sent = None if listed else self._announced(held, before)
        except BaseException:  # Ctrl-C too: nothing was sent, and nobody need wait
            with suppress(StorageError, UserError):
                last = self.claims.last()
                if last is not None and last.holder == held.holder:
                    self._refused(last, before)
            raise
        if listed is not None:
            self.claims.take(held, ANSWERED, listed.name)
            return self._attached(listed)
        return None if sent is None else self._sent(sent, before)

    def _announced(self, held: Step, before: note.Note | None) -> Step | None:
        """The step "sent", taken while no other command of the dataset can; None if that is not certain."""
        with turns.turn(self.prepared, self.request, self._wait_for_turn) as turn:
            self.refuse()
            runs.noted(self.prepared, self.request, None, self.estimate)
            sent = self.claims.take(held, SENT)
        if turn.lost and sent is not None:
            self._refused(sent, before)
        return None if turn.lost else sent

    def _wait_for_turn(self, tries: int, left: float) -> None:
        what = "another command is about to send a request for this dataset"
        if tries == 1 and left:
            self.say(what)
        self._sleep(min(backoff(tries, MAX_TURN_SECONDS), left), what)

    def _sent(self, sent: Step, before: note.Note | None) -> TuningJob:
        """Sends the create request once. If it is not known whether the job was created, looks for the job."""
        try:
            job = self.tuner.submit(self.request)
            self.say(f"submitted {job.name}")
        except ServiceError as fault:
            if not fault.ambiguous:
                self._refused(sent, before)
                raise
            self.say(f"{fault}; looking whether the job was created")
            job = self._look(fault)
            self.say(f"found {job.name}: it was created")
        except UserError:  # no credentials: nothing was created
            self._refused(sent, before)
            raise
        # The claim first: others wait for it, and who finds it alone writes the note.
        self.claims.take(sent, ANSWERED, job.name)
        runs.noted(self.prepared, self.request, job, self.estimate)
        return job

    def _refused(self, sent: Step, before: note.Note | None) -> None:
        """After a refusal the earlier job still counts, and the claim is free."""
        runs.restore(self.prepared, self.request, before)
        self.claims.take(sent, OVER)

    def _look(self, fault: ServiceError) -> TuningJob:
        """The job of a create request whose answer was lost.

        Raises:
          ServiceError: no job is listed yet. One may appear later, so the create is not repeated.
        """
        for look in range(1, LOOKS + 1):
            try:
                found = self._labelled()
            except ServiceError as list_fault:
                if not list_fault.transient:
                    raise
                found = None
            if found is not None:
                return found
            if look < LOOKS:
                self.patience.clock.sleep(backoff(look, MAX_LOOK_SECONDS))
        # The note stays: until a list has had time, no other request may pass it over.
        if fault.code is not None:
            runs.failed(self.prepared, self.request, fault.code)
        hint = "run the same command again, it looks for the job first"
        raise ServiceError(f"{fault}; it is not known whether the job was created; {hint}", True, fault.code) from fault


def _told(last: Step | None, left: float) -> str:
    """What is waited for, in a line."""
    if last is None or last.state == HELD:
        return "another command is about to send this request"
    rest = f"{left / 60:.0f} min" if left >= 120 else f"{left:.0f} s"
    problem = "this request was sent before, and nobody knows yet whether a job was created"
    return f"{problem}: looking for it for {rest} more, then sending again (--allow_second_job sends at once)"


def labelled(tuner: Tuner, digest: str, deleted: tuple[Deletion, ...] = ()) -> TuningJob | None:
    """The newest job of a request that counts, as the list has it; None without one.

    Args:
      tuner: the service.
      digest: of the request.
      deleted: jobs whose models were deleted.
    """
    found = (job for job in tuner.jobs() if job.labels.get(REQUEST_LABEL) == digest)
    return next((job for job in found if _counts(job, deleted)), None)


def _counts(job: TuningJob, deleted: tuple[Deletion, ...]) -> bool:
    """Whether a job has, or may have, a model. A failed one does not count: it may be tried again."""
    goes_on = not (job.ended or job.state == "CANCELLING")
    return (job.state in GOOD_ENDS or goes_on) and not any(one.is_of(job) for one in deleted)
