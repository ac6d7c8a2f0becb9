"""The whole job: prepare → check → tune → watch → predict → evaluate, for one dataset and several runs.

Each step is a verb, which takes up what is there: a finished dataset, a job that was submitted, answers that were
given. So nothing is remembered here, and whatever ends a run of the job, the same request goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from cliptune import exits, run_report
from cliptune.exits import Exit
from cliptune.requests import BASE, CHECK, EVALUATE, PREDICT, PREPARE, TUNE, WATCH, RunRequest
from cliptune.run_report import DONE, FAILED, GOES_ON, TO_DO, Figure, RunReport, RunSummary, StepReport
from transforms.errors import TOLD, UsageError, UserError
from transforms.listener import SILENT, Listener
from transforms.storage import Storage
from tuning import dataset, service
from tuning.jobs import runs
from tuning.requests import TuneRequest, WatchRequest

if TYPE_CHECKING:
    from cliptune.run_plan import Plan
    from tuning.dataset import Dataset
    from tuning.jobs.clock import Clock
    from tuning.jobs.runs import Run


def run(request: RunRequest, listener: Listener = SILENT, clock: Clock | None = None) -> RunReport:
    """Carries the steps out, as far as they are not done.

    Returns:
      What came of them; its `status` is not 0 if a step has failed or goes on elsewhere.

    Raises:
      UserError, StorageError, ServiceError: as the verbs.
    """
    workflow = Workflow(request, listener, clock)
    workflow.run()
    return workflow.report()


class Workflow:
    """The job while it is carried out.

    Args:
      request: the job.
      listener: is told progress and messages.
      clock: waits; None for the system's.
      import_beam: as `beam_pipeline.prepare.run` has it.

    Attributes:
      step: the step that is carried out now; "" before the first.
      run_name: the run that it is of; "" for none.
    """

    def __init__(
        self,
        request: RunRequest,
        listener: Listener = SILENT,
        clock: Clock | None = None,
        import_beam: Callable[[], object] = lambda: None,
    ) -> None:
        self.step = self.run_name = ""
        self._request, self._listener, self._clock, self._import_beam = request, listener, clock, import_beam
        self._steps: list[StepReport] = []
        self._runs: dict[str, RunSummary] = {}
        self._plan: Plan | None = None
        self._status = Exit.DONE
        self._systems: dict[str, dict[str, Figure]] = {}
        self._gates: tuple[str, ...] = ()
        self._page: str | None = None
        self._fault: str | None = None

    def run(self) -> Exit:
        """Carries the steps out. Raises what the verbs raise; `report` tells of that, too."""
        try:
            self._refuse_nobody()
            return self._dry_run() if self._request.dry_run else self._all()
        except TOLD as fault:
            self._status = Exit.USAGE if isinstance(fault, UsageError) else Exit.FAILED
            self._fault = str(fault)
            if self.step:
                self._note(FAILED, "see below")
            raise

    def report(self) -> RunReport:
        """What has come of the steps so far."""
        return RunReport(
            output=self._request.output,
            status=int(self._status),
            steps=tuple(self._steps),
            runs=tuple(self._runs.values()),
            cost=self._plan.cost if self._plan else None,
            systems=self._systems,
            failed=self._gates,
            evaluation=self._page,
            fault=self._fault,
        )

    def goes_on(self) -> str:
        """What goes on elsewhere if this process ends now; "" for nothing."""
        request = self._request.tune.get(self.run_name)
        if request is None or self.step not in (TUNE, WATCH):
            return ""
        run = self._runs[self.run_name].run if self.run_name in self._runs else ""
        where = f"{self._request.output}{f' --run {run}' if run else ''}{request.same_service}"
        job = f"a job of run {self.run_name} that was submitted goes on and is paid"
        return f"{job}: cliptune watch {where} follows it, cliptune cancel {where} ends it"

    def _refuse_nobody(self) -> None:
        """Refuses, before anything is prepared, jobs that nobody would pay for."""
        for name, request in self._request.tune.items() if {TUNE, WATCH, PREDICT} & {*self._request.steps} else ():
            with self._of_run(name):
                service.place(request, request.project, request.location)

    def _all(self) -> Exit:
        parts = {
            (PREPARE,): self._prepare,
            (CHECK,): self._check,
            (TUNE, WATCH): self._tune,
            (PREDICT,): self._predict,
            (EVALUATE,): self._evaluate,
        }
        for steps, carry_out in parts.items():
            if {*steps} & {*self._request.steps} and self._status == Exit.DONE:
                self._status = carry_out()
        return self._status

    @contextmanager
    def _at(self, step: str, run_name: str = "") -> Iterator[None]:
        """While the block runs, the step is this one, and what is wrong with its request is told with its place."""
        self.step, self.run_name = step, run_name
        self._listener.say(f"── {step}{f' {run_name}' if run_name else ''}")
        try:
            yield
        except UsageError as fault:
            # Flags of Beam are looked at late, by Beam.
            of_beam = step == PREPARE and not fault.field and bool(self._request.prepare.beam_options)
            raise self._placed(TUNE if step == WATCH else step, fault, "beam_options" if of_beam else "") from None

    def _placed(self, verb: str, fault: UsageError, field: str = "") -> UsageError:
        """An error of a request with the place that its value comes from."""
        told = self._request.told
        named = UsageError(str(fault), fault.field or field)
        return told(verb, named, self.run_name) if told and named.field else fault

    def _note(self, state: str, detail: str, cost: float | None = None) -> None:
        self._steps.append(StepReport(self.step, self.run_name, state, detail, cost))

    def _prepare(self) -> Exit:
        from beam_pipeline import launch, prepare  # noqa: PLC0415 -- slow to import
        from beam_pipeline.prepare import Prepared  # noqa: PLC0415
        from cliptune import summary  # noqa: PLC0415

        request = self._request.prepare
        with self._at(PREPARE):
            if request.no_wait:
                found = launch.submit(request, self._listener)
            else:
                found = prepare.run(request, self._listener, self._import_beam)
        if not isinstance(found, Prepared):
            self._note(GOES_ON, f"{found.runner} job {found.id} ({found.state})")
            self._listener.say(f"job {found.id} goes on: {found.console}; the same command goes on from there")
            return Exit.STILL_RUNNING
        summary.show(found, self._listener)
        report = found.report
        counted = f"{report.accepted:,} accepted + {report.rejected:,} rejected of {report.rows:,} rows"
        if found.too_many_rejected:
            limit = f"more than max_rejected_fraction {request.max_rejected_fraction:g} of the rows"
            self._note(FAILED, f"{counted}, {limit}")
            self._listener.say(f"{limit} were rejected; nothing is sent")
            return Exit.TOO_MANY_REJECTED
        self._note(DONE, f"{counted}{f', {found.reused:,} reused' if found.reused else ''}")
        return Exit.DONE

    def _check(self) -> Exit:
        from tuning.check import check  # noqa: PLC0415 -- Google's schemas take seconds to import

        with self._at(CHECK):
            report = check.run(self._request.checking, self._listener)
        if not report.ok:
            self._note(FAILED, f"{report.errors:,} errors in {report.examples:,} examples")
            self._listener.say(f"{self._request.output} breaks the service's rules; nothing is sent")
            return Exit.FAILED
        # Without a project, what would be submitted is not known, and need not be.
        if self._request.until != CHECK or self._request.first.local or self._request.first.project:
            self._priced()
        self._note(DONE, f"{report.examples:,} examples, nothing against them")
        return Exit.DONE

    def _refuse_unanswerable(self, prepared: Dataset) -> None:
        """Refuses, before anything is paid, a dataset without clips to ask about.

        Raises:
          UserError: it has none.
        """
        split = self._request.asking.split
        if EVALUATE in self._request.steps and not (split in prepared.splits and prepared.examples(split)):
            remedy = "hold some out (prepare.validation_fraction, or a split column)"
            raise UserError(f"{prepared.name} has no {split} clips to evaluate on; {remedy}, or end with --until watch")

    def _loaded(self) -> Dataset:
        return dataset.load(self._request.output, Storage(self._request.first.billing_project))

    def _priced(self) -> Plan:
        """What each model still needs; refuses what may cost over the limit of all."""
        from cliptune import run_plan  # noqa: PLC0415 -- the service's client takes seconds to import

        if self._plan is None:
            prepared = self._loaded()
            self._refuse_unanswerable(prepared)
            self._plan = run_plan.plan(self._request, prepared, self._of_run)
            run_plan.say(self._plan, self._listener)
            run_plan.refuse_over(self._plan, self._request.max_cost)
        return self._plan

    @contextmanager
    def _of_run(self, name: str) -> Iterator[None]:
        try:
            yield
        except UsageError as fault:
            self.run_name = name
            raise self._placed(TUNE, fault) from None

    def _tune(self) -> Exit:
        """Submits and follows the runs, one after another: usually a project may have one job at a time."""
        if TUNE in self._request.steps:
            self._refuse_unanswerable(self._loaded())
        if TUNE in self._request.steps and self._request.max_cost is not None:
            self._priced()
        for name, request in self._request.tune.items():
            status = self._tuned(name, request)
            if status != Exit.DONE:
                return status
        return Exit.DONE

    def _tuned(self, name: str, request: TuneRequest) -> Exit:
        """The status of one run, whose job is submitted and followed as far as the steps go."""
        from tuning import left, tune  # noqa: PLC0415 -- the service's client takes seconds to import

        steps, prepared = self._request.steps, self._loaded()
        with self._at(TUNE if TUNE in steps else WATCH, name):
            job_request = tune.requested(request, prepared, self._listener)
            found = runs.find(prepared, job_request)
            if left.state_of(found) == left.TUNED and request.default_checkpoint is None:
                self._summarised(name, request, found)
                assert found is not None
                self._note(DONE, found.deleted or f"job {found.job.name.rpartition('/')[2]} is there")
                return Exit.DONE
            if TUNE in steps:
                tune.run(replace(request, no_watch=True), self._listener, self._clock)
                found = runs.find(prepared, job_request)
            if found is None:
                raise UserError(f"run {name} was not submitted; begin with --from tune")
            self._summarised(name, request, found)
            if TUNE in steps:
                state = DONE if WATCH in steps or found.job.ended else GOES_ON
                self._note(state, f"job {found.job.name.rpartition('/')[2]}")
        return self._watched(name, request, found)

    def _watched(self, name: str, request: TuneRequest, found: Run) -> Exit:
        """Follows the job of a run to its end, or to where the steps end."""
        from tuning.jobs import watch  # noqa: PLC0415 -- the service's client takes seconds to import

        if WATCH not in self._request.steps:
            job = watch.JobReport.of(found.job)
            if not job.ended:
                again = f"cliptune watch {self._request.output} --run {found.name}{request.same_service}"
                self._listener.say(f"accepted: {job.name} ({job.state}); the same command, or {again}, follows it")
            return exits.of_job(job)
        with self._at(WATCH, name):
            job = watch.run(_watching(request, found), self._listener, self._clock)
            self._summarised(name, request, runs.of_job(self._loaded(), job.name))
            status = exits.of_job(job)
            if not job.ended:
                problem = f"not ended after {request.timeout:g} s"
                self._listener.say(f"{problem}; the job goes on, and the same command follows it")
            self._note(
                DONE if status == Exit.DONE else FAILED if job.ended else GOES_ON,
                job.state if status == Exit.DONE or not job.ended else watch.verdict(job),
            )
        return status

    def _summarised(self, name: str, request: TuneRequest, found: Run | None) -> None:
        assert found is not None
        job = found.note.job
        self._runs[name] = RunSummary(
            name=name,
            run=found.name,
            base_model=found.note.request.base_model,
            epochs=request.epochs,
            job=job.name if job else None,
            state=job.state if job else None,
            endpoint=job.endpoint if job else None,
            estimate=found.note.estimate,
        )

    def _known_runs(self) -> dict[str, RunSummary]:
        """The runs, which were submitted.

        Raises:
          UserError: one was not.
        """
        from tuning import tune  # noqa: PLC0415 -- the service's client takes seconds to import

        prepared = self._loaded()
        for name, request in self._request.tune.items():
            if name not in self._runs:
                with self._of_run(name):
                    found = runs.find(prepared, tune.requested(request, prepared))
                if found is None:
                    raise UserError(f"run {name} was not submitted; begin with --from tune")
                self._summarised(name, request, found)
        return {name: self._runs[name] for name in self._request.tune}

    def _predict(self) -> Exit:
        from tuning import predict  # noqa: PLC0415 -- the service's client takes seconds to import

        if self._request.max_cost is not None:
            self._priced()
        asking = self._request.asking
        asking = replace(asking, max_cost=asking.max_cost or self._request.max_cost)
        known = self._known_runs()
        bases = {run.base_model: run for run in reversed(known.values())}
        wanted = [
            *((name, replace(asking, run=run.run)) for name, run in known.items()),
            *((f"{BASE} {model}", replace(asking, run=bases[model].run, model=BASE)) for model in reversed(bases)),
        ]
        for name, question in wanted:
            with self._at(PREDICT, name):
                report = predict.run(question, self._listener, self._clock)
                assert isinstance(report, predict.PredictReport)
                self._note(DONE, f"{report.predictions:,} answers, {report.asked:,} of them new")
        return Exit.DONE

    def _evaluate(self) -> Exit:
        from tuning import evaluate  # noqa: PLC0415 -- numpy and pyarrow take their time to import

        named = tuple((name, run.run) for name, run in self._known_runs().items())
        with self._at(EVALUATE):
            evaluation = evaluate.run(replace(self._request.scoring, system=named), self._listener)
        self._systems = run_report.figures(evaluation)
        self._gates = evaluation.failed
        self._page = f"{self._request.output.rstrip('/')}/{evaluate.FOLDER}/evaluation.html"
        held = "; ".join(evaluation.failed)
        self._note(
            DONE if evaluation.ok else FAILED,
            f"{evaluation.clips:,} {evaluation.split} clips" + (f"; fail_if holds: {held}" if held else ""),
        )
        return Exit.DONE if evaluation.ok else Exit.FAIL_IF

    def _dry_run(self) -> Exit:
        """Says what each step would do, and what it may cost. Nothing is changed."""
        steps = self._request.steps
        is_there = self._prepare_planned() if PREPARE in steps else True
        if CHECK in steps and is_there:
            self._status = self._check()
            if self._status != Exit.DONE:
                return self._status
        elif CHECK in steps:
            self._planned(CHECK, "", TO_DO, "once the dataset is there")
        if {TUNE, WATCH, PREDICT} & {*steps}:
            self._models_planned(self._priced() if is_there else None)
        if EVALUATE in steps:
            self._planned(EVALUATE, "", TO_DO, f"the {self._request.scoring.split} clips")
        return self._status

    def _planned(self, step: str, run_name: str, state: str, detail: str, cost: float | None = None) -> None:
        self.step, self.run_name = step, run_name
        self._note(state, detail, cost)

    def _prepare_planned(self) -> bool:
        """Whether the dataset is there already."""
        from beam_pipeline import launch  # noqa: PLC0415 -- slow to import

        with self._at(PREPARE):
            asked = replace(self._request.prepare, dry_run=True, no_wait=False)
            found = launch.dry_run(asked, self._listener)
            finished = found.found == "finished"
            self._note(DONE if finished else TO_DO, f"{found.rows:,} rows; found: {found.found}")
        if not finished:
            from cliptune import run_plan  # noqa: PLC0415 -- the service's client takes seconds to import

            self._listener.say(run_plan.before_preparing(self._request, found.rows))
        return finished

    def _models_planned(self, plan: Plan | None) -> None:
        steps = self._request.steps
        for name in self._request.tune:
            one = plan.runs[name] if plan else None
            over = one is not None and one.state in ("tuned", "asked")
            if TUNE in steps:
                detail = f"{one.run}: {one.state}" if one else "once the dataset is there"
                self._planned(TUNE, name, DONE if over else TO_DO, detail, one.tuning_cost if one else None)
            if WATCH in steps:
                self._planned(WATCH, name, DONE if over else TO_DO, "")
        asked = plan.models if plan else dict.fromkeys((*self._request.tune, BASE))
        for name, model in asked.items() if PREDICT in steps else ():
            state = DONE if model and not model.questions else TO_DO
            detail = f"{model.questions:,} questions" if model else ""
            self._planned(PREDICT, name, state, detail, model.asking_cost if model else None)


def _watching(request: TuneRequest, found: Run) -> WatchRequest:
    return WatchRequest(
        request.dataset,
        run=found.name,
        timeout=request.timeout,
        default_checkpoint=request.default_checkpoint,
        provider=request.provider,
        billing_project=request.billing_project,
        emulator=request.emulator,
        api_endpoint=request.api_endpoint,
    )
