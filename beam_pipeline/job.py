"""What one run of the pipeline is given, and what it gives back besides the dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256

import orjson

from transforms.dataset import merging
from transforms.dataset.copies import Copied
from transforms.dataset.merging import Made, MergeRecords
from transforms.dataset.output import Claim, Output, run_file
from transforms.dataset.plan import Plan, ShardKey
from transforms.dataset.seen import Seen
from transforms.manifests.columns import ManifestSettings
from transforms.manifests.locate import Manifest
from transforms.manifests.reading import Recognised
from transforms.storage import Storage

PREFIX = "cliptune"


@dataclass(frozen=True, slots=True)
class Claimed:
    """An output that is the job's.

    Attributes:
      claim: the right to it.
      committed: shards that an earlier run had finished.
      audio_there: whether an earlier run has written audio files.
    """

    claim: Claim
    committed: frozenset[ShardKey] = frozenset()
    audio_there: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """What the pipeline works on. Plain values only, because workers get it pickled.

    Attributes:
      manifests: what to read.
      manifest_settings: how to read it.
      plan: what the launcher counted.
      output: where the dataset goes, and its settings.
      clip_workers: processes that prepare clips, of each of the runner's workers; 0 until the runner has been asked.
      progress_path: a local file to note finished clips in, or "" for none.
      spool: a local folder where rows wait for their shard, or "" for a runner that keeps them itself.
      committed: shards that an earlier run had finished when this one began.
      made: what `manifests.json` is to say; None for a dataset without one.
      seen: the rows that the plan counts, to be compared with those that workers read.
      again: in a merge, sources of the rejected rows to be tried again; None for no merge.
      merge: what a merge writes before the output is claimed; None once it has, and for no merge.
      overwrite: whether the output may replace a dataset of other rows or settings.
      decoders: builds of the launcher's decoders, if those of the workers may be others: they must be the same.
      takes_output: whether the pipeline claims the output itself, once it runs.
      recognised: what the manifests were read as.
      copies: datasets whose examples are copied instead of being made.
    """

    manifests: tuple[Manifest, ...]
    manifest_settings: ManifestSettings
    plan: Plan
    output: Output
    clip_workers: int
    progress_path: str = ""
    spool: str = ""
    committed: frozenset[ShardKey] = frozenset()
    made: Made | None = None
    seen: Seen = field(default_factory=Seen)
    again: frozenset[str] | None = None
    merge: MergeRecords | None = None
    overwrite: bool = False
    decoders: Mapping[str, str] = field(default_factory=dict)
    takes_output: bool = False
    recognised: tuple[Recognised, ...] = ()
    copies: tuple[Copied, ...] = ()

    def claimed(self, claimed: Claimed | None) -> Job:
        """The same job after it has claimed its output; itself for None."""
        if claimed is None:
            return self
        output = self.output.claimed(claimed.claim, claimed.audio_there)
        return replace(self, output=output, committed=claimed.committed, again=None, merge=None)

    def is_merged(self) -> bool:
        """Whether the output, if it is finished, has nothing left of this merge to do; True for no merge."""
        folder, storage = self.output.folder, self.output.storage
        if self.merge is not None and not self.merge.are_there(folder, storage):
            return False
        return not self.again or not merging.are_rejected(folder, storage, self.again)

    def manifest_storage(self) -> Storage:
        """What reads the manifests, and the rows of a merge before it is written."""
        storage = self.output.storage
        return storage if self.merge is None else self.merge.ahead(self.output.folder, storage)

    def elsewhere(self, decoders: Mapping[str, str]) -> Job:
        """The same job for workers that are not of this process: it changes nothing before one of them begins."""
        return replace(self, decoders=decoders, takes_output=True)

    def on_this_machine(self, progress_path: str, spool: str) -> Job:
        """The same job, noting its progress in a local file and keeping rows in a local folder."""
        return replace(self, progress_path=progress_path, spool=spool)


@dataclass(frozen=True, slots=True)
class Names:
    """What a job is found by: where it writes, and what it was asked for.

    Attributes:
      output: digest of the output folder; two jobs with it must not run at a time.
      request: digest of what decides the job's result, too.
    """

    output: str
    request: str

    @staticmethod
    def of(job: Job) -> Names:
        """Those of a job."""
        run = run_file(job.plan, job.output.settings)
        asked = request_digest(run, job.plan.sources_digest, job.output.verify, job.again)
        return Names(output_digest(job.output.folder), asked)

    @property
    def tag(self) -> str:
        """Both in one word."""
        return f"{self.output}-{self.request}"

    @property
    def job(self) -> str:
        """The job's name, on every service. Dataflow refuses a second active job of one name."""
        return f"{PREFIX}-{self.tag}"


def output_digest(folder: str) -> str:
    """What names an output folder in labels."""
    return sha256(folder.rstrip("/").encode()).hexdigest()[:12]


def request_digest(run: bytes, sources_digest: str, verify: bool, again: frozenset[str] | None = None) -> str:
    """What names a request in labels.

    Args:
      run: the contents of `run.json`.
      sources_digest: over the manifest rows.
      verify: whether every payload is decoded again.
      again: as `Job` has it.
    """
    asked = [sorted(again or ()), verify, again is not None]
    return sha256(run + sources_digest.encode() + orjson.dumps(asked)).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Launched:
    """A job that is left to itself.

    Attributes:
      id: its cluster's.
      name: of the job.
      state: as the cluster calls it.
      attached: whether an earlier command had submitted it.
      console: address of its page; "" for none that is known.
    """

    id: str
    name: str
    state: str
    attached: bool
    console: str


@dataclass(frozen=True, slots=True)
class Spread:
    """Times of many clips, in microseconds.

    Attributes:
      count: of the clips.
      total: of their times.
      longest: of their times.
    """

    count: int
    total: int
    longest: int

    @property
    def mean(self) -> float:
        """Of the times."""
        return self.total / self.count


@dataclass(frozen=True, slots=True)
class Ran:
    """What workers have counted.

    Attributes:
      reused: clips that an earlier run had finished.
      cpu: processor time of the clips that were converted, by stage; {} if there was none.
      fault: what the runner says of a run that it has not finished; "" for none.
    """

    reused: int
    cpu: Mapping[str, Spread] = field(default_factory=dict)
    fault: str = ""
