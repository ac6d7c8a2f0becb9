"""Prepares a dataset: reads the manifests, claims the output, runs the pipeline and returns the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beam_pipeline import inputs, progress, runners
from beam_pipeline.job import Job, Ran, Spread
from beam_pipeline.requests import PrepareRequest
from transforms import temporary
from transforms.dataset import buckets, look, merging, output
from transforms.dataset.buckets import Named
from transforms.dataset.output import Output
from transforms.dataset.plan import make_plan
from transforms.errors import ManifestChangedError, UserError
from transforms.listener import SILENT, Listener
from transforms.manifests import allowed, read
from transforms.manifests.dead_letters import Origins
from transforms.report import rerun
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
    request: PrepareRequest, listener: Listener = SILENT, import_beam: Callable[[], object] = lambda: None
) -> Prepared:
    """Prepares a dataset.

    Args:
      request: what to prepare.
      listener: is told progress and messages.
      import_beam: called before Beam is first needed. A finished dataset is found to be so without Beam.

    Raises:
      UsageError: an option of Beam breaks a rule.
      UserError: a manifest, a bucket or the output cannot be used.
      StorageError: the storage failed, after retries.
    """
    look.forget()
    # Flags of Beam are checked before anything is read.
    options = _checked_options(request) if request.beam_options else None
    job = make_job(request, listener)
    report, ran = _finished(job, request, listener), Ran(job.plan.rows)
    if report is None:
        ran = _run_pipeline(job, request, options, listener, import_beam)
        report = Report.load(job.output.storage.read_record(uris.join(job.output.folder, output.REPORT_FILE)))
    # A division, because a product is rounded: 29 / 50 is 0.58, but 0.58 * 50 is less than 29.
    too_many = report.rejected / report.rows > request.max_rejected_fraction
    return Prepared(request.output, report, ran.reused, too_many, ran.cpu)


def _checked_options(request: PrepareRequest) -> PipelineOptions:
    """Beam's options, which the runner has checked."""
    from beam_pipeline.options import options_of  # noqa: PLC0415 -- imports Beam

    options = options_of(request.beam_options)
    runners.find(request.runner).engine.check(options)
    return options


def _finished(job: Job, request: PrepareRequest, listener: Listener) -> Report | None:
    """The report of the finished dataset, if this command has made it before; None if the pipeline must run."""
    # Elsewhere the workers compare it: the dataset may be too large to be read by this machine.
    if request.verify or runners.find(request.runner).outlives:
        return None
    recorded = job.made is not None and job.made.is_recorded(job.output.folder, job.output.storage)
    same = recorded and not job.again  # what is to be tried again is not finished
    report = rerun.finished(job.plan, _as_recorded(job), listener) if same else None
    if report is not None:
        job.output.sweep()
        temporary.sweep()
    return report


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
    """Claims the output and runs the pipeline."""
    runner = runners.find(request.runner)
    claim = output.claim(job.output, job.plan, request.overwrite, merge=job.again is not None)
    for remark in claim.remarks:
        listener.say(remark)
    place = job.output.claimed(claim)
    _record(job, place, claim.resumed)
    committed, audio_there = output.left_by_earlier_runs(place) if claim.resumed else (frozenset(), False)
    # On this machine, the clip workers import what they need while this process imports Beam.
    with nullcontext() if runner.outlives else pool.running():
        import_beam()
        options, engine = options or _checked_options(request), runner.engine
        ready = job.claimed(replace(place, audio_there=audio_there), committed)
        ready = replace(ready, clip_workers=job.clip_workers or engine.threads())
        try:
            return _until_nothing_is_forgotten(ready, engine, options, listener)
        except ManifestChangedError:
            if not claim.resumed:
                output.withdraw(ready.output)
            raise


def _until_nothing_is_forgotten(job: Job, engine: runners.Engine, options: PipelineOptions, listener: Listener) -> Ran:
    """Runs the pipeline until it has made a dataset."""
    ran = engine.run(job, options, listener)
    # A recording has changed for which a clip of another shard was left out: that shard is written again, too.
    while output.is_forgotten(job.output, job.plan):
        again = engine.run(job, options, listener)
        ran = Ran(min(ran.reused, again.reused), ran.cpu or again.cpu)
    return ran


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


def make_job(request: PrepareRequest, listener: Listener = SILENT) -> Job:
    """Reads the manifests once to count their rows, and makes the job that is sent to the workers.

    Raises:
      UserError: a manifest cannot be used.
    """
    base = str(Path.cwd())  # workers may have another working directory
    storage = Storage(request.billing_project)
    folder = uris.absolute(request.output.rstrip("/") or request.output, base)
    found = (inputs.named if request.merge_into is None else inputs.merged)(request, base, folder, storage)
    named: dict[str, Named] = {}
    read_first = (
        row
        for manifest in found.manifests
        for row in found.seen.first(manifest, read.rows(manifest, found.rows, storage), found.places)
    )
    every_row = buckets.counted(read_first, named)
    with found.seen.reading(found.manifests, storage):
        plan = make_plan(progress.counted(every_row, listener), found.settings, places=found.places)
    plan = replace(plan, remarks=found.rows.layout.remarks)
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
    return replace(job, seen=found.seen)


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
