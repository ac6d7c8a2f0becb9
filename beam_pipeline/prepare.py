"""Prepares a dataset: reads the manifests, claims the output, runs the pipeline and returns the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beam_pipeline import claims, inputs, progress, remote, runners
from beam_pipeline.job import Job, Ran, Spread
from beam_pipeline.requests import PrepareRequest, ReportRequest
from transforms import temporary
from transforms.audio import builds
from transforms.dataset import buckets, look, merging, output
from transforms.dataset.buckets import Named
from transforms.dataset.copies import Copied
from transforms.dataset.output import Output
from transforms.dataset.plan import Digests, make_plan
from transforms.errors import ManifestChangedError, StorageError, UserError, require
from transforms.listener import SILENT, Listener
from transforms.manifests import allowed, read, reading
from transforms.manifests.dead_letters import Origins
from transforms.manifests.reading import Reading
from transforms.report import finished, rerun
from transforms.report.report import RepeatedAudio, Report, SplitReport, TaskReport, TrimReport
from transforms.storage import Storage, uris
from transforms.workers import pool

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions


@dataclass(frozen=True, slots=True)
class DatasetReport:
    """The report that `cliptune prepare` prints on stdout.

    Attributes:
      output: as the request names it.
      format_version: of `report.json` and these fields.
      rows: manifest rows.
      accepted: rows that became examples.
      rejected: rows that did not.
      fingerprint: of all examples in their order, hexadecimal.
      splits: "train", "validation" and, where rows are marked so, "test".
      durations: accepted clips by the whole seconds of their payload, in order.
      source_formats: accepted clips by the format of their source, such as "wav/pcm_16".
      tasks: by name; {} for a dataset without tasks.
      reasons: rejected rows by reason, the commonest first; `report.json` says more of each.
      repeated_audio: clips with the same audio.
      warnings: what people should know, one sentence each.
      reused: clips that an earlier run had made ready.
      trimmed: what was cut from the ends of clips.
    """

    output: str
    format_version: int
    rows: int
    accepted: int
    rejected: int
    fingerprint: str
    splits: dict[str, SplitReport]
    durations: dict[str, int]
    source_formats: dict[str, int]
    tasks: dict[str, TaskReport]
    reasons: dict[str, int]
    repeated_audio: RepeatedAudio
    warnings: tuple[str, ...]
    reused: int
    trimmed: TrimReport

    @staticmethod
    def of(report: Report, output: str, reused: int) -> DatasetReport:
        """The line about a dataset, from what `report.json` holds."""
        same = {field.name: getattr(report, field.name) for field in fields(Report)}
        reasons = {name: reason.rows for name, reason in report.reasons.items()}
        return DatasetReport(**{**same, "output": output, "reasons": reasons, "reused": reused})

    def as_dict(self) -> dict[str, Any]:
        """As the one line of stdout has it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A finished dataset.

    Attributes:
      output: as the request names it.
      report: what `report.json` holds.
      reused: clips that an earlier run had made ready.
      too_many_rejected: whether more than the request's `max_rejected_fraction` of the rows were rejected.
      cpu: processor time of the clips that were converted, by stage.
    """

    output: str
    report: Report
    reused: int
    too_many_rejected: bool
    cpu: Mapping[str, Spread] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """As the one line of stdout has it."""
        return DatasetReport.of(self.report, self.output, self.reused).as_dict()


def run(
    request: PrepareRequest,
    listener: Listener = SILENT,
    import_beam: Callable[[], object] = lambda: None,
    copies: tuple[Copied, ...] = (),
) -> Prepared:
    """Prepares a dataset.

    Args:
      request: what to prepare.
      listener: is told progress and messages.
      import_beam: called before Beam is first needed. A finished dataset is found to be so without Beam.
      copies: datasets whose examples are copied instead of being made.

    Raises:
      UsageError: an option of Beam breaks a rule.
      UserError: a manifest, a bucket or the output cannot be used.
      StorageError: the storage failed, after retries.
    """
    alone = request.launches
    require(not alone, "".join(alone), "left out here: beam_pipeline.launch has functions for it", True)
    look.forget()
    # Flags of Beam are checked before anything is read.
    options = checked_options(request) if request.beam_options else None
    job = replace(make_job(request, listener), copies=copies)
    before = _generation(job)
    report, ran = finished_before(job, request, listener), Ran(job.plan.rows)
    done = report is not None
    if report is None:
        ran = _run_pipeline(job, request, options, listener, import_beam)
        report = _believed(job, before, ran)
    if done or not listener.live:
        say_recognised(job, listener)
    if ran.fault:
        listener.say(f"{ran.fault}; the dataset is finished all the same")
    return prepared(report, ran, request)


def prepared(report: Report, ran: Ran, request: PrepareRequest | ReportRequest) -> Prepared:
    """What a request is told of a finished dataset."""
    # A division, because a product is rounded: 29 / 50 is 0.58, but 0.58 * 50 is less than 29.
    too_many = report.rejected / report.rows > request.max_rejected_fraction
    name = request.output if isinstance(request, PrepareRequest) else request.dataset
    return Prepared(name, report, ran.reused, too_many, ran.cpu)


def checked_options(request: PrepareRequest) -> PipelineOptions:
    """Beam's options, which the runner has checked."""
    from beam_pipeline.options import options_of  # noqa: PLC0415 -- imports Beam

    options = options_of(request.beam_options)
    runners.find(request.runner).engine.check(options)
    return options


def _generation(job: Job) -> str:
    """What tells whether the output's `dataset.json` is written anew; "" if there is none."""
    return job.output.storage.generation(uris.join(job.output.folder, output.DATASET_FILE))


def _believed(job: Job, before: str, ran: Ran) -> Report:
    """The report of the dataset that the pipeline has made: neither an older one, nor whatever the runner says.

    Raises:
      UserError: the run has ended without it.
    """
    try:
        if before and _generation(job) == before:
            raise UserError(f"the run has ended without finishing {job.output.folder}, which is as it was")
        return finished.of(job.plan, job.output)
    except UserError as fault:
        raise UserError(f"{ran.fault or fault}; the same command goes on from what is there") from None


def finished_before(job: Job, request: PrepareRequest, listener: Listener) -> Report | None:
    """The report of the finished dataset, if this command has made it before; None if the pipeline must run."""
    if request.verify:
        return None
    recorded = job.made is not None and job.made.is_recorded(job.output.folder, job.output.storage)
    if not recorded or not job.is_merged():
        return None
    outlives = runners.find(request.runner).outlives
    report = (_finished_elsewhere if outlives else _finished_here)(job, listener)
    if report is not None:
        job.output.sweep()
        temporary.sweep()
    return report


def _finished_here(job: Job, listener: Listener) -> Report | None:
    return rerun.finished(job.plan, _as_recorded(job), listener)


def _finished_elsewhere(job: Job, listener: Listener) -> Report | None:
    """As `finished_before`, of a dataset that may be too large to be read here, and of others' recordings."""
    try:
        return rerun.finished(job.plan, _as_recorded(job), listener, by_size=True)
    except (UserError, StorageError):  # this account may not read what the workers may
        return None


def _as_recorded(job: Job) -> Output:
    """The output, whose records name recordings as they were spelled when it was made."""
    if job.made is None:
        return job.output
    return replace(job.output, base=job.made.spelled_from(job.output.folder, job.output.storage))


def _run_pipeline(
    job: Job,
    request: PrepareRequest,
    options: PipelineOptions | None,
    listener: Listener,
    import_beam: Callable[[], object],
) -> Ran:
    """Runs the pipeline on an output that is claimed: here now, elsewhere by the workers."""
    runner = runners.find(request.runner)
    if runner.outlives:
        import_beam()
        options = options or checked_options(request)
        ready = for_elsewhere(job, request, runner.engine.threads())
        _say_at_once(job, listener)
        return _until_nothing_is_forgotten(ready, runner.engine, options, listener)
    claimed = claims.take(job)
    _say_at_once(job, listener)
    for remark in claimed.claim.remarks:
        listener.say(remark)
    # The clip workers import what they need while this process imports Beam.
    with pool.running():
        import_beam()
        options, engine = options or checked_options(request), runner.engine
        ready = replace(job.claimed(claimed), clip_workers=job.clip_workers or engine.threads())
        try:
            return _until_nothing_is_forgotten(ready, engine, options, listener)
        except ManifestChangedError:
            if not claimed.claim.resumed:
                output.withdraw(ready.output)
            raise


def say_recognised(job: Job, listener: Listener) -> None:
    """Says what the manifests were read as, a line each."""
    for line in reading.lines(job.recognised):
        listener.say(line)


def _say_at_once(job: Job, listener: Listener) -> None:
    """On a terminal it is said before the work. In a log, a run that fails says why and no more, so it waits."""
    if listener.live:
        say_recognised(job, listener)


def for_elsewhere(job: Job, request: PrepareRequest, threads: int) -> Job:
    """The job for workers elsewhere. Nothing is claimed yet.

    Raises:
      UserError: its output holds something else.
    """
    output.refuse_unclaimable(job.output, job.plan, request.overwrite, merge=job.again is not None)
    return replace(job.elsewhere(builds.builds()), clip_workers=job.clip_workers or threads)


def _until_nothing_is_forgotten(job: Job, engine: runners.Engine, options: PipelineOptions, listener: Listener) -> Ran:
    """Runs the pipeline until it has made a dataset."""
    ran = engine.run(job, options, listener)
    # A recording has changed for which a clip of another shard was left out: that shard is written again, too.
    while not ran.fault and output.is_forgotten(job.output, job.plan):
        again = engine.run(job, options, listener)
        ran = Ran(min(ran.reused, again.reused), ran.cpu or again.cpu, again.fault)
    return ran


def make_job(request: PrepareRequest, listener: Listener = SILENT) -> Job:
    """Reads the manifests once to count their rows, and makes the job that is sent to the workers.

    Raises:
      UserError: a manifest cannot be used.
    """
    require(not request.append, "append", "left out here: beam_pipeline.merge.appended does without", True)
    base = str(Path.cwd())  # workers may have another working directory
    storage = Storage(request.billing_project)
    far = not runners.find(request.runner).shares_disk
    if far:
        remote.refuse_local(request)
    folder = uris.absolute(request.output.rstrip("/") or request.output, base)
    found = (inputs.named if request.merge_into is None else inputs.merged)(request, base, folder, storage)
    if far:
        remote.refuse_local_manifests(found.manifests, request.runner)
    named: dict[str, Named] = {}
    readings = {manifest.uri: Reading(manifest.name) for manifest in found.manifests}
    digests = Digests(found.places)
    read_first = (
        row
        for manifest in found.manifests
        for row in found.seen.first(
            manifest, read.rows(manifest, found.rows, found.storage, readings[manifest.uri]), digests
        )
    )
    every_row = buckets.counted(remote.none_local(read_first, request.runner) if far else read_first, named)
    with found.seen.reading(found.manifests, found.storage):
        plan = make_plan(progress.counted(every_row, listener), found.settings, digests=digests)
    plan = replace(plan, remarks=found.rows.layout.remarks)
    recognised = tuple(each.recognised() for each in readings.values())
    reading.refuse_unknown(found.rows.keep_columns, readings.values())
    known = [uris.bucket_of(manifest.uri) for manifest in found.manifests if uris.is_gcs(manifest.uri)]
    place = Output(
        folder=folder,
        base=found.base,
        allowed=allowed.allowed_roots(found.manifests, found.rows, found.base),
        num_shards=plan.num_shards,
        settings=found.settings,
        storage=storage.within([folder]),
        verify=request.verify,
        unreachable=_unreachable(request, named, known, plan.rows, storage, listener),
        origins=Origins.of(found.manifests, found.rows, found.base),
        places=found.places,
    )
    merge = found.merge
    made = merge.made if merge else merging.Made.of(found.manifests, found.rows, base, folder, plan)
    again = merge.again if merge else None
    job = Job(tuple(found.manifests), found.rows, plan, place, request.clip_workers or 0, made=made, again=again)
    job = replace(job, overwrite=request.overwrite, recognised=recognised)
    return replace(job, seen=found.seen, merge=found.records)


def _unreachable(
    request: PrepareRequest,
    named: dict[str, Named],
    known: Sequence[str],
    rows: int,
    storage: Storage,
    listener: Listener,
) -> tuple[tuple[str, str], ...]:
    """The buckets that cannot be read, and why; says which rows name them.

    Raises:
      UserError: more rows name them than may be rejected.
    """
    if runners.find(request.runner).outlives:
        return ()  # workers elsewhere may have another account
    faults = buckets.unreachable(named, known, storage)
    told = buckets.told(faults, named, rows)
    if sum(named[bucket].rows for bucket in faults) / rows > request.max_rejected_fraction:
        raise UserError("; ".join(told))
    for line in told:
        listener.say(f"{line}; they are rejected")
    return tuple(faults.items())
