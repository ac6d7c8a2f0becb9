"""What one run of the pipeline is given."""

from __future__ import annotations

from dataclasses import dataclass, replace

from transforms.dataset.output import Output
from transforms.dataset.plan import Plan, ShardKey
from transforms.manifests.read import Manifest, ManifestSettings


@dataclass(frozen=True, slots=True)
class Job:
    """What the pipeline works on. Plain values only, because workers get it pickled.

    Attributes:
      manifests: what to read.
      manifest_settings: how to read it.
      plan: what the launcher counted.
      output: where the dataset goes, and its settings.
      clip_threads: clips prepared at a time by one worker; 0 until the runner has been asked.
      progress_path: a local file to note finished clips in, or "" for none.
      committed: shards that an earlier run had finished when this one began.
    """

    manifests: tuple[Manifest, ...]
    manifest_settings: ManifestSettings
    plan: Plan
    output: Output
    clip_threads: int
    progress_path: str = ""
    committed: frozenset[ShardKey] = frozenset()

    def claimed(self, claim: str, committed: frozenset[ShardKey], audio_there: bool) -> Job:
        """The same job after it has claimed its output, with the shards that an earlier run has left there."""
        return replace(self, output=replace(self.output, claim=claim, audio_there=audio_there), committed=committed)

    def with_progress(self, path: str) -> Job:
        """The same job, noting its progress in a local file."""
        return replace(self, progress_path=path)
