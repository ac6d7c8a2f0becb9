"""Operators and a trigger for Airflow 3, which run the commands of a Cliptune that is installed elsewhere.

Airflow's environment has its own versions of Google's clients, so Cliptune has one too, and its commands are run as
processes. This module needs Airflow only: `pip install --no-deps cliptune` into Airflow's environment.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from airflow.sdk import BaseOperator, BaseOperatorLink
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowRescheduleException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from cliptune.exits import FOR_GOOD, Exit
from cliptune.invocation import Ended, Invocation

POLL_SECONDS = 60.0
_LOOK_SECONDS = 1.0
_CONSOLE = "console"
# Kinds of errors of which the same command would say the same: docs/schemas/README.md.
_DECIDED = frozenset({"failed", "usage", "outside", "not_installed"})


class DataflowJobLink(BaseOperatorLink):
    """The page of the task's job on Dataflow."""

    name = "Dataflow job"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:  # noqa: ANN401 -- Airflow's own key
        """The address; "" if there is no job. Airflow keeps it, whenever the task's process ends."""
        return str(operator.page)


class CliptuneTrigger(BaseTrigger):
    """Runs a command from time to time, until it ends with another status than that of a job that goes on.

    A triggerer that is restarted goes on with it: the command knows its job.

    Args:
      look: the command, its program first.
      cancel: the command that cancels the job if a user ends the task; empty to let it go on.
      env: variables for both.
      poll_seconds: from one look to the next.
    """

    def __init__(self, look: Sequence[str], cancel: Sequence[str], env: Mapping[str, str], poll_seconds: float) -> None:
        super().__init__()
        self.look, self.cancel, self.env, self.poll_seconds = look, cancel, env, poll_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What makes the same trigger elsewhere."""
        words = {"look": list(self.look), "cancel": list(self.cancel), "env": dict(self.env)}
        return f"{type(self).__module__}.{type(self).__qualname__}", {**words, "poll_seconds": self.poll_seconds}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yields how the command ended."""
        said: set[str] = set()

        def say_once(line: str) -> None:
            if line not in said:  # each look begins anew
                said.add(line)
                self.log.info("%s", line)

        while True:
            await asyncio.sleep(self.poll_seconds)
            try:
                ended = await Invocation(self.look, self.env).run(say_once)
            except OSError as fault:
                problem = f"{self.look[0]} cannot be started on the triggerer: {fault.strerror}"
                ended = Ended(Exit.FAILED, None, problem)
            if ended.status != Exit.STILL_RUNNING:
                yield TriggerEvent(asdict(ended))
                return

    async def on_kill(self) -> None:
        """Cancels the job: the user has failed, cleared or marked the task."""
        if self.cancel:
            cancelling = Invocation(self.cancel, self.env).run(lambda line: self.log.info("%s", line))
            # The triggerer waits for half a minute only; a busy machine may need longer.
            self._cancelling = asyncio.ensure_future(cancelling)
            await asyncio.shield(self._cancelling)


class CliptuneOperator(BaseOperator):
    """Runs a command of Cliptune; what it says is in the task's log, and its JSON is the task's XCom.

    A job that goes on (exit status 6, as `cliptune watch OUT --timeout=1` has it) is looked at again by the same
    command, until it ends. Statuses of `FOR_GOOD` fail the task for good; for the others it is tried again.

    Args:
      command: the words behind `cliptune`; templated.
      cliptune: the program, or the words that start it.
      env: variables for it, besides those of Airflow's process; templated.
      cancel: the command that cancels what goes on when a user ends the task; empty to let it go on; templated.
      deferrable: whether a triggerer looks at a job that goes on; else the task is rescheduled.
      poll_seconds: from one look to the next.
      options: of every operator.
    """

    template_fields: Sequence[str] = ("command", "env", "cancel")

    def __init__(
        self,
        *,
        command: Sequence[str],
        cliptune: str | Sequence[str] = "cliptune",
        env: Mapping[str, str] | None = None,
        cancel: Sequence[str] = (),
        deferrable: bool = True,
        poll_seconds: float = POLL_SECONDS,
        **options: Any,  # noqa: ANN401 -- as Airflow has them
    ) -> None:
        super().__init__(**options)
        self.command, self.cancel = list(command), list(cancel)
        self.cliptune, self.env = cliptune, dict(env or {})
        self.deferrable, self.poll_seconds = deferrable, poll_seconds
        self._running: Invocation | None = None
        # Of a job that this try has sent, or attached to: its page, and whether an earlier try had submitted it.
        self.page, self.attached = "", False

    def execute(self, context: Mapping[str, Any]) -> dict[str, Any] | None:
        """Runs the command; its JSON."""
        return self.until_ended(self.command)

    def until_ended(self, look: Sequence[str]) -> dict[str, Any] | None:
        """Runs a command until there is nothing left to wait for; its JSON."""
        ended = self.run_command(look)
        if ended.status == Exit.STILL_RUNNING:
            self.wait(look)
        return self.result(ended)

    def wait(self, look: Sequence[str]) -> NoReturn:
        """Ends this process; the job is looked at later."""
        if not self.deferrable:
            raise AirflowRescheduleException(datetime.now(UTC) + timedelta(seconds=self.poll_seconds))
        cancel = self.words(self.cancel) if self.cancel else []
        trigger = CliptuneTrigger(self.words(look), cancel, self.env, self.poll_seconds)
        told = {"page": self.page, "attached": self.attached}
        self.defer(trigger=trigger, method_name="execute_complete", kwargs=told, timeout=self.execution_timeout)
        raise AssertionError("a deferred task ends here")

    def execute_complete(
        self, context: Mapping[str, Any], event: Mapping[str, Any], page: str, attached: bool
    ) -> dict[str, Any] | None:
        """The JSON of the look that has found the end."""
        self.page, self.attached = page, attached
        return self.result(Ended(**event))

    def words(self, command: Sequence[str]) -> list[str]:
        """A command with its program."""
        return [*([self.cliptune] if isinstance(self.cliptune, str) else self.cliptune), *map(str, command)]

    def run_command(self, command: Sequence[str]) -> Ended:
        """Runs a command here and now."""
        words = self.words(command)
        self._running = Invocation(words, self.env)
        try:
            return asyncio.run(self._running.run(self._say))
        except (FileNotFoundError, PermissionError) as fault:
            problem = f"{words[0]} cannot be started: {fault.strerror}"
            raise AirflowFailException(f"{problem}; cliptune must name Cliptune's program on this worker") from None
        finally:
            self._running = None

    def result(self, ended: Ended) -> dict[str, Any] | None:
        """The JSON of a command that has done what it should.

        Raises:
          AirflowFailException: it has not, and would not if it were tried again.
          AirflowException: it has not.
        """
        if ended.status == Exit.DONE:
            return ended.report
        report = ended.report or {}
        how = f"was killed by signal {-ended.status}" if ended.status < 0 else f"ended with exit status {ended.status}"
        # Of a job it is what the service says; else the command's own, with its kind.
        error = report.get("error") or {}
        kind, why = (error.get("kind"), error.get("message")) if isinstance(error, dict) else ("", error)
        told = f"cliptune {self.command[0]} {how}: {why or ended.last or 'it said nothing'}"
        # Who clears a task cancels its job, to which the next try may have attached by then: the one after that sends
        # a job of its own.
        again = {Exit.JOB_CANCELLED} if self.attached else set()
        decided = ended.status in FOR_GOOD - again or kind in _DECIDED
        raise (AirflowFailException if decided else AirflowException)(told)

    def on_kill(self) -> None:
        """Ends the command, and cancels what would go on without it."""
        if self._running is not None:
            self._running.kill()
        if self.cancel:
            ended = _apart(Invocation(self.words(self.cancel), self.env), self._say)
            self.log.info("cliptune %s ended with exit status %s", self.cancel[0], ended.status)

    def _say(self, line: str) -> None:
        self.log.info("%s", line)


class CliptunePrepareOperator(CliptuneOperator):
    """Runs `cliptune prepare`. On Dataflow the job has a link, and is cancelled when a user ends the task.

    Tried again, it attaches to the job that runs, or goes on from the finished shards.

    Args:
      command: as `CliptuneOperator`, beginning with "prepare".
      dataflow: the flags of Beam for Dataflow, templated; empty to prepare on the worker.
      options: as `CliptuneOperator`.
    """

    operator_extra_links = (DataflowJobLink(),)

    def __init__(self, *, command: Sequence[str], dataflow: Sequence[str] = (), **options: Any) -> None:  # noqa: ANN401
        flags = ["--runner=DataflowRunner", *dataflow] if dataflow else []
        cancel = [*command, *flags, "--cancel"] if dataflow else []
        super().__init__(command=[*command, *flags], **{"cancel": cancel, **options})
        self.on_dataflow = bool(dataflow)

    def execute(self, context: Mapping[str, Any]) -> dict[str, Any] | None:
        """Prepares the dataset; its report."""
        if not self.on_dataflow:
            return self.until_ended(self.command)
        found = self.result(self.run_command([*self.command, "--no_wait"])) or {}
        if _CONSOLE not in found:
            return found  # of a dataset that was finished before
        self.page, self.attached = found[_CONSOLE], bool(found["attached"])
        context["ti"].xcom_push(key="job_id", value=found["id"])
        context["ti"].xcom_push(key=_CONSOLE, value=self.page)
        look = [*self.command, f"--follow={found['id']}"]
        look += [f"--timeout={_LOOK_SECONDS}"] if self.deferrable else []
        return self.until_ended(look)


def _apart(command: Invocation, say: Callable[[str], None]) -> Ended:
    """Runs a command from a handler of signals, below which another event loop runs."""
    found: list[Ended] = []
    thread = threading.Thread(target=lambda: found.append(asyncio.run(command.run(say))))
    thread.start()
    thread.join()
    return found[0]
