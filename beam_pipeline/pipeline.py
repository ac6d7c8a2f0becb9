"""The pipeline: manifests become shards, and at the end the dataset is described. Wiring only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import PCollection, TaggedOutput
from apache_beam.typehints import with_output_types

from beam_pipeline.job import Job
from beam_pipeline.write_shards import WriteShards
from transforms import reasons
from transforms.clip import Clip, Outcome, pack, rejected, unpack
from transforms.dataset import assign, duplicates
from transforms.dataset.duplicates import Use
from transforms.dataset.plan import REJECTED, Plan, ShardKey
from transforms.dataset.shard import ShardResult
from transforms.manifests import read
from transforms.manifests.read import Manifest, ManifestSettings
from transforms.report import finish
from transforms.report.report import Report
from transforms.storage import Storage

CLIPS = "clips"
REJECTS = "rejects"


def build(pipeline: beam.Pipeline, job: Job) -> PCollection:
    """The whole pipeline.

    Returns:
      One element, the report, when the dataset is complete.
    """
    rows = (
        pipeline | "Manifests" >> beam.Create(job.manifests) | ReadManifests(job.manifest_settings, job.output.storage)
    )
    unique = rows[CLIPS] | Deduplicate()
    clips = unique[CLIPS] | KeyByShard(job.plan)
    rejects = (rows[REJECTS], unique[REJECTS]) | beam.Flatten() | KeyRejects(job.plan)
    every_shard = pipeline | "ShardKeys" >> beam.Create(job.plan.shard_keys()) | EmptyShards()
    written = (clips, rejects, every_shard) | "Rows" >> beam.Flatten() | WriteShards(job)
    if job.output.settings.dedupe == "audio":
        written = written | DropDuplicateAudio(job)
    return written | FinishDataset(job)


class ReadManifests(beam.PTransform):
    """Reads manifests into clips, and into outcomes of rows that are no clips."""

    def __init__(self, settings: ManifestSettings, storage: Storage) -> None:
        super().__init__()
        self.settings = settings
        self.storage = storage

    def expand(self, manifests: PCollection) -> beam.pvalue.DoOutputsTuple:
        return manifests | beam.ParDo(_ReadManifest(self.settings, self.storage)).with_outputs(REJECTS, main=CLIPS)


@with_output_types(Clip)
class _ReadManifest(beam.DoFn):
    def __init__(self, settings: ManifestSettings, storage: Storage) -> None:
        super().__init__()
        self.settings = settings
        self.storage = storage

    def process(self, element: Manifest) -> Iterator[Clip | TaggedOutput]:
        for row in read.rows(element, self.settings, self.storage):
            yield TaggedOutput(REJECTS, row) if isinstance(row, Outcome) else row


class Deduplicate(beam.PTransform):
    """Keeps one clip of every id and rejects the others."""

    @staticmethod
    def _with_id(clip: Clip) -> tuple[str, bytes]:
        return clip.clip_id, pack(clip)

    def expand(self, clips: PCollection) -> beam.pvalue.DoOutputsTuple:
        grouped = clips | beam.Map(self._with_id).with_output_types(tuple[str, bytes]) | beam.GroupByKey()
        return grouped | beam.ParDo(_KeepFirst()).with_outputs(REJECTS, main=CLIPS)


@with_output_types(Clip)
class _KeepFirst(beam.DoFn):
    def process(self, element: tuple[str, Iterable[bytes]]) -> Iterator[Clip | TaggedOutput]:
        clips = [row for row in map(unpack, element[1]) if isinstance(row, Clip)]
        # Sorted by contents before source, so that the order of the manifests does not decide.
        first, *others = sorted(clips, key=lambda clip: (clip.uri, clip.target, clip.row, clip.source))
        yield first
        for clip in others:
            detail = f"the id {clip.clip_id!r} is taken by {first.source}"
            yield TaggedOutput(REJECTS, rejected(clip, reasons.DUPLICATE_ID, detail))


class KeyByShard(beam.PTransform):
    """Pairs each clip with the shard it belongs to."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan

    def _with_key(self, clip: Clip) -> tuple[ShardKey, bytes]:
        split = assign.split_of(clip, self.plan.validation_keys)
        return (split, assign.shard_index(clip.clip_id, self.plan.num_shards[split])), pack(clip)

    def expand(self, clips: PCollection) -> PCollection:
        return clips | beam.Map(self._with_key).with_output_types(tuple[ShardKey, bytes])


class KeyRejects(beam.PTransform):
    """Pairs each outcome of a row without a clip with the sidecar that will hold it."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan

    def _with_key(self, outcome: Outcome) -> tuple[ShardKey, bytes]:
        return (REJECTED, assign.shard_index(outcome.source, self.plan.num_shards[REJECTED])), pack(outcome)

    def expand(self, outcomes: PCollection) -> PCollection:
        return outcomes | beam.Map(self._with_key).with_output_types(tuple[ShardKey, bytes])


class EmptyShards(beam.PTransform):
    """Gives every shard an empty row, so that shards without clips are written too."""

    @staticmethod
    def _without_row(key: ShardKey) -> tuple[ShardKey, bytes]:
        return key, b""

    def expand(self, keys: PCollection) -> PCollection:
        return keys | beam.Map(self._without_row).with_output_types(tuple[ShardKey, bytes])


class DropDuplicateAudio(beam.PTransform):
    """Keeps one of the clips with the same audio, when all shards are written."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job

    @staticmethod
    def _keyed(result: ShardResult) -> tuple[ShardKey, ShardResult]:
        return result.key, result

    def _uses(self, result: ShardResult) -> Iterator[tuple[str, Use]]:
        return duplicates.uses_of(result.key, self.job.output)

    @staticmethod
    def _duplicates(element: tuple[str, Iterable[Use]]) -> Iterator[tuple[ShardKey, tuple[str, str]]]:
        return duplicates.duplicates(element[1])

    def _drop(self, element: tuple[ShardKey, dict[str, list[Any]]]) -> ShardResult:
        key, found = element
        duplicates.drop(key, dict(found["dropped"]), self.job.output)
        result: ShardResult = found["results"][0]
        return result

    def expand(self, results: PCollection) -> PCollection:
        uses = results | beam.FlatMap(self._uses).with_output_types(tuple[str, Use]) | "SameAudio" >> beam.GroupByKey()
        dropped = uses | beam.FlatMap(self._duplicates).with_output_types(tuple[ShardKey, tuple[str, str]])
        keyed = results | beam.Map(self._keyed).with_output_types(tuple[ShardKey, ShardResult])
        both = {"results": keyed, "dropped": dropped} | beam.CoGroupByKey()
        return both | beam.Map(self._drop).with_output_types(ShardResult)


class FinishDataset(beam.PTransform):
    """Describes the dataset when all its shards are written."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job

    def _finish(self, results: list[ShardResult]) -> Report:
        return finish.finish(results, self.job.plan, self.job.output)

    def expand(self, results: PCollection) -> PCollection:
        return results | beam.combiners.ToList() | beam.Map(self._finish)
