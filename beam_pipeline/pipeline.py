"""The pipeline: manifests become shards, and at the end the dataset is described. Wiring only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import apache_beam as beam
from apache_beam.pvalue import AsSingleton, PCollection, TaggedOutput
from apache_beam.transforms.window import GlobalWindows
from apache_beam.typehints import with_output_types
from apache_beam.utils.windowed_value import WindowedValue

from beam_pipeline import claims
from beam_pipeline.job import Claimed, Job
from beam_pipeline.spool import Spool
from beam_pipeline.write_shards import WriteShards
from transforms import reasons
from transforms.audio import builds
from transforms.clip import Clip, Outcome, dump, pack, rejected, unpack
from transforms.dataset import assign, duplicates
from transforms.dataset.blocks import Blocks
from transforms.dataset.duplicates import Use
from transforms.dataset.plan import REJECTED, Plan, ShardKey
from transforms.dataset.seen import NOTHING, Seen
from transforms.dataset.shard import ShardResult
from transforms.manifests import read
from transforms.manifests.columns import ManifestSettings
from transforms.manifests.locate import Manifest
from transforms.manifests.places import NOWHERE, Places
from transforms.report import finish
from transforms.report.report import Report
from transforms.storage import Storage

Row: TypeAlias = Clip | Outcome

ROWS = "rows"
DOUBLED = "doubled"
# Larger blocks are packed better, but more rows wait for their block to be full.
ROWS_PER_BLOCK = 8


def build(pipeline: beam.Pipeline, job: Job) -> PCollection:
    """The whole pipeline.

    Returns:
      One element, the report, when the dataset is complete; None if some shards must be written again.
    """
    # Several manifests are spread over the workers.
    manifests = pipeline | "Manifests" >> beam.Create(job.manifests, reshuffle=len(job.manifests) > 1)
    places = job.output.places
    rows = manifests | ReadManifests(job.manifest_settings, job.manifest_storage(), job.seen, places)
    claimed = [AsSingleton(rows | TakeOutput(job))] if job.takes_output else []
    job = replace(job, merge=None)  # steps are sent one by one, and those behind need no copy of its rows
    keyed = [pipeline | "ShardKeys" >> beam.Create(job.plan.shard_keys(), reshuffle=False) | EmptyShards()]
    if job.plan.has_doubled_ids():
        parted = rows | PartDoubled(job.plan)
        rows = parted[ROWS]
        keyed.append(
            parted[DOUBLED] | Deduplicate(places) | "KeyDeduplicated" >> KeyByShard(job.plan, job.spool, places)
        )
    keyed.append(rows | KeyByShard(job.plan, job.spool, places))
    written = keyed | "Rows" >> beam.Flatten() | WriteShards(job, claimed)
    if job.output.settings.dedupe == "audio":
        written = written | DropDuplicateAudio(job, claimed)
    return written | FinishDataset(job, claimed)


class ReadManifests(beam.PTransform):
    """Reads manifests into clips, and into outcomes of rows that are no clips."""

    def __init__(
        self, settings: ManifestSettings, storage: Storage, seen: Seen = NOTHING, places: Places = NOWHERE
    ) -> None:
        super().__init__()
        self.settings = settings
        self.storage = storage
        self.seen = seen
        self.places = places

    def rows(self, manifest: Manifest) -> Iterator[Row]:
        """Those of one manifest, which must be what they were."""
        # No shard is begun before all rows are read, so what has changed is in none.
        return self.seen.again(manifest, read.rows(manifest, self.settings, self.storage), self.places)

    def expand(self, manifests: PCollection) -> PCollection:
        return manifests | beam.FlatMap(self.rows).with_output_types(Row)


class TakeOutput(beam.PTransform):
    """Claims the output when all rows have been read, so that a job that never began has changed nothing."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job

    def _take(self, _rows: int) -> Claimed:
        builds.refuse_others(self.job.decoders)
        return claims.take(self.job)

    def expand(self, rows: PCollection) -> PCollection:
        return rows | beam.combiners.Count.Globally() | beam.Map(self._take).with_output_types(Claimed)


class PartDoubled(beam.PTransform):
    """Parts the clips whose id occurs more than once from all other rows, which need no comparison."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan

    def expand(self, rows: PCollection) -> beam.pvalue.DoOutputsTuple:
        return rows | beam.ParDo(_PartDoubled(self.plan)).with_outputs(DOUBLED, main=ROWS)


@with_output_types(Row)
class _PartDoubled(beam.DoFn):
    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan

    def process(self, element: Row) -> Iterator[Row | TaggedOutput]:
        doubled = isinstance(element, Clip) and self.plan.may_be_doubled(element.clip_id)
        yield TaggedOutput(DOUBLED, element) if doubled else element


class Deduplicate(beam.PTransform):
    """Keeps one clip of every id; the others become outcomes."""

    def __init__(self, places: Places = NOWHERE) -> None:
        super().__init__()
        self.places = places

    @staticmethod
    def _with_id(clip: Clip) -> tuple[str, bytes]:
        return clip.clip_id, pack(dump(clip))

    def _keep_first(self, element: tuple[str, Iterable[bytes]]) -> Iterator[Row]:
        # By contents before source, so that the order of the manifests does not decide. A manifest may give all its
        # rows one id: they are not held together.
        index, first = min(enumerate(self._clips(element[1])), key=lambda each: self._place(each[1]))
        yield first
        for other, clip in enumerate(self._clips(element[1])):
            if other != index:
                yield rejected(clip, reasons.DUPLICATE_ID, f"the id {clip.clip_id!r} is taken by {first.source}")

    @staticmethod
    def _clips(blocks: Iterable[bytes]) -> Iterator[Clip]:
        return (row for block in blocks for row in unpack(block) if isinstance(row, Clip))

    def _place(self, clip: Clip) -> tuple[str, str, str, str]:
        return self.places.audio(clip.uri), clip.target, clip.row, self.places.source(clip.source)

    def expand(self, clips: PCollection) -> PCollection:
        grouped = clips | beam.Map(self._with_id).with_output_types(tuple[str, bytes]) | beam.GroupByKey()
        return grouped | beam.FlatMap(self._keep_first).with_output_types(Row)


class KeyByShard(beam.PTransform):
    """Pairs clips with the shard they belong to, and other rows with the sidecar that will hold them."""

    def __init__(self, plan: Plan, spool: str = "", places: Places = NOWHERE) -> None:
        super().__init__()
        self.plan = plan
        self.spool = spool
        self.places = places

    def expand(self, rows: PCollection) -> PCollection:
        return rows | beam.ParDo(_KeyByShard(self.plan, self.spool, self.places)).with_output_types(
            tuple[ShardKey, bytes]
        )


class _KeyByShard(beam.DoFn):
    """Packs a few rows of a shard together: the shuffle then has half as many bytes, in an eighth of the elements."""

    def __init__(self, plan: Plan, spool: str, places: Places) -> None:
        super().__init__()
        self.plan = plan
        self.folder = spool
        self.places = places

    def start_bundle(self) -> None:
        self.blocks = Blocks(ROWS_PER_BLOCK)
        self.spool = Spool(self.folder)

    def process(self, element: Row) -> Iterator[tuple[ShardKey, bytes]]:
        key = assign.shard_key(element, self.plan.num_shards, self.plan.validation_keys, self.places)
        if block := self.blocks.add(key, element):
            yield key, self.spool.put(block)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for key, block in self.blocks.rest():
            yield GlobalWindows.windowed_value((key, self.spool.put(block)))
        self.spool.close()


class EmptyShards(beam.PTransform):
    """Gives every shard an empty row, so that shards without clips are written too."""

    @staticmethod
    def _without_row(key: ShardKey) -> tuple[ShardKey, bytes]:
        return key, b""

    def expand(self, keys: PCollection) -> PCollection:
        return keys | beam.Map(self._without_row).with_output_types(tuple[ShardKey, bytes])


class DropDuplicateAudio(beam.PTransform):
    """Keeps one of the clips with the same audio, when all shards are written."""

    def __init__(self, job: Job, claimed: Sequence[AsSingleton] = ()) -> None:
        super().__init__()
        self.job = job
        self.claimed = claimed

    @staticmethod
    def _keyed(result: ShardResult) -> tuple[ShardKey, ShardResult]:
        return result.key, result

    def _uses(self, result: ShardResult) -> Iterator[tuple[str, Use]]:
        return duplicates.uses_of(result.key, self.job.output)

    @staticmethod
    def _duplicates(element: tuple[str, Iterable[Use]]) -> Iterator[tuple[ShardKey, tuple[str, str]]]:
        return duplicates.duplicates(element[1])

    def _drop(self, element: tuple[ShardKey, dict[str, list[Any]]], claimed: Claimed | None = None) -> ShardResult:
        key, found = element
        result: ShardResult = found["results"][0]
        dropped = dict(found["dropped"])
        # Only a shard of an earlier run may hold clips that were dropped before.
        is_due = dropped or (result.reused and key[0] != REJECTED)
        if not is_due:
            return result
        return replace(result, stale=not duplicates.drop(key, dropped, self.job.claimed(claimed).output))

    def expand(self, results: PCollection) -> PCollection:
        uses = results | beam.FlatMap(self._uses).with_output_types(tuple[str, Use]) | "SameAudio" >> beam.GroupByKey()
        dropped = uses | beam.FlatMap(self._duplicates).with_output_types(tuple[ShardKey, tuple[str, str]])
        keyed = results | beam.Map(self._keyed).with_output_types(tuple[ShardKey, ShardResult])
        both = {"results": keyed, "dropped": dropped} | beam.CoGroupByKey()
        return both | beam.Map(self._drop, *self.claimed).with_output_types(ShardResult)


class FinishDataset(beam.PTransform):
    """Describes the dataset when all its shards are written."""

    def __init__(self, job: Job, claimed: Sequence[AsSingleton] = ()) -> None:
        super().__init__()
        self.job = job
        self.claimed = claimed

    @staticmethod
    def _with_one_key(result: ShardResult) -> tuple[str, ShardResult]:
        return "", result

    def _finish(self, element: tuple[str, Iterable[ShardResult]], claimed: Claimed | None = None) -> Report | None:
        builds.refuse_others(self.job.decoders)
        return finish.finish(list(element[1]), self.job.plan, self.job.claimed(claimed).output)

    def expand(self, results: PCollection) -> PCollection:
        # As `beam.combiners.ToList`, in a fifth of the steps: there is always a shard.
        one = results | beam.Map(self._with_one_key).with_output_types(tuple[str, ShardResult])
        return one | "AllShards" >> beam.GroupByKey() | beam.Map(self._finish, *self.claimed)
