"""The wiring, step by step, and what travels between the steps."""

import typing
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
import soundfile
from apache_beam.coders.coder_impl import create_InputStream
from apache_beam.runners.portability.fn_api_runner import execution
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.typehints.native_type_compatibility import convert_to_beam_type

from beam_pipeline.job import Job
from beam_pipeline.pipeline import (
    DOUBLED,
    ROWS,
    Deduplicate,
    EmptyShards,
    FinishDataset,
    KeyByShard,
    PartDoubled,
    ReadManifests,
    build,
)
from beam_pipeline.write_shards import WriteShards
from transforms.clip import Clip, Outcome, dump, pack, unpack
from transforms.dataset import assign
from transforms.dataset.output import Output, claim
from transforms.dataset.plan import Plan, ShardKey, make_plan
from transforms.dataset.shard import ShardResult
from transforms.dataset.sidecar import Sidecar
from transforms.errors import AccountingError
from transforms.manifests import read
from transforms.manifests.columns import ManifestSettings
from transforms.manifests.locate import Manifest
from transforms.settings import Settings
from transforms.storage import Storage

SHARDS = {"train": 2, "validation": 1, "rejected": 1}
PLAN = Plan(3, "", SHARDS, frozenset())
BAD = Outcome("", "m:7", None, "rejected", "bad_row", "no JSON", row="{}")
SECONDS = 2
COUNT = 9
ZLIB = b"\x78\x01"  # what a block begins with


@pytest.fixture
def pipeline():
    with beam.Pipeline(FnApiRunner()) as pipeline:
        yield pipeline


@pytest.fixture
def job(tmp_path):
    """A job on recordings of noise, two seconds each, and one line that is no row."""
    noise = np.random.default_rng(7)
    lines = ["id,audio,text", *(f"c{index},{index}.wav,text {index}" for index in range(COUNT)), "nothing,,"]
    for index in range(COUNT):
        samples = noise.integers(-9_000, 9_000, SECONDS * 16_000, dtype=np.int16)
        soundfile.write(tmp_path / f"{index}.wav", samples, 16_000)
    (tmp_path / "m.csv").write_text("\n".join(lines) + "\n")
    settings, listed = Settings(), Manifest("m.csv", str(tmp_path / "m.csv"), is_folder=False)
    rows = ManifestSettings()
    plan = make_plan(read.rows(listed, rows, Storage()), settings, shard_clips=4)
    output = Output(str(tmp_path / "out"), str(tmp_path), (str(tmp_path),), plan.num_shards, settings, Storage())
    claim(output, plan, overwrite=False)
    return Job((listed,), rows, plan, output, clip_workers=2)


def test_manifests_become_clips_and_bad_rows(tmp_path, pipeline):
    (tmp_path / "m.csv").write_text("id,audio,text\na,a.wav,hello\nb,b.wav,\n")
    (tmp_path / "n.jsonl").write_text('no row\n{"id": "c", "audio": "c.wav", "text": "world"}\n')
    manifests = [Manifest(name, str(tmp_path / name), is_folder=False) for name in ("m.csv", "n.jsonl")]
    rows = pipeline | beam.Create(manifests) | ReadManifests(ManifestSettings(), Storage())
    found = [("m.csv:2", "hello"), ("n.jsonl:2", "world"), ("m.csv:3", "missing_text"), ("n.jsonl:1", "bad_row")]
    assert_that(rows | beam.Map(_place_and_content), equal_to(found))


def _place_and_content(row):
    return row.source, row.target if isinstance(row, Clip) else row.reason


@pytest.mark.parametrize(
    ("doubled", "parted"),
    [(frozenset({assign.order_key("b"), assign.order_key("z")}), ["b", "b"]), (None, ["a", "b", "b"])],
    ids=["some", "too many to be listed"],
)
def test_clips_with_a_doubled_id_are_parted_from_all_other_rows(doubled, parted, pipeline):
    clips = [Clip(name, f"{source}.wav", "t", f"m:{source}") for source, name in enumerate("abb")]
    rows = pipeline | beam.Create([*clips, BAD]) | PartDoubled(replace(PLAN, doubled=doubled))
    assert_that(rows[DOUBLED] | "ids" >> beam.Map(_clip_id), equal_to(parted), "doubled")
    others = [clip.clip_id for clip in clips if clip.clip_id not in parted]
    assert_that(rows[ROWS] | "others" >> beam.Map(_clip_id), equal_to([*others, BAD.clip_id]), "rows")


def _clip_id(row):
    return row.clip_id


@pytest.mark.parametrize("order", [1, -1])
def test_of_clips_with_one_id_the_same_is_kept_in_any_order(order, pipeline):
    clips = [
        Clip("a", "1.wav", "x", "m:1", row="{}"),
        Clip("a", "2.wav", "y", "m:2", row='{"n": 2}'),
        Clip("a", "2.wav", "z", "m:3", row='{"n": 3}'),
        Clip("b", "0.wav", "z", "m:4"),
    ]
    unique = pipeline | beam.Create(clips[::order]) | Deduplicate()
    doubled = [
        Outcome(
            *("a", clip.source, clip.uri, "rejected", "duplicate_id", "the id 'a' is taken by m:1"),
            target_chars=1,
            row=clip.row,
        )
        for clip in clips[1:3]
    ]
    assert_that(unique, equal_to([clips[0], clips[3], *doubled]))


def test_clips_are_keyed_by_split_and_shard(pipeline):
    clips = [Clip(f"c{i}", "a.wav", "t", split="validation" if i == 0 else "train") for i in range(9)]
    expected = [((clip.split, assign.shard_index(clip.clip_id, SHARDS[clip.split])), clip) for clip in clips]
    assert len({key for key, _ in expected}) == 3
    assert_that(pipeline | beam.Create(clips) | KeyByShard(PLAN) | beam.FlatMap(_unpacked), equal_to(expected))


def _unpacked(element):
    key, block = element
    return [(key, row) for row in unpack(block)]


def test_a_few_rows_of_a_shard_are_packed_together(pipeline):
    plan = Plan(0, "", {"train": 1, "validation": 1, "rejected": 1}, frozenset())
    clips = [Clip(f"c{i}", "a.wav", "t", split="validation" if i == 5 else "train") for i in range(18)]
    blocks = pipeline | beam.Create(clips, reshuffle=False) | KeyByShard(plan)
    sizes = blocks | beam.Map(lambda element: (element[0][0], len(unpack(element[1]))))
    assert_that(sizes, equal_to([("train", 8), ("train", 8), ("train", 1), ("validation", 1)]))


def test_clips_of_a_chosen_group_go_to_validation(pipeline):
    clips = [Clip("a", "a.wav", "t", group="anna"), Clip("b", "b.wav", "t", group="anna"), Clip("c", "c.wav", "t")]
    plan = Plan(3, "", {"train": 1, "validation": 1, "rejected": 1}, frozenset({assign.split_key(clips[0])}))
    keys = [("validation", 0), ("validation", 0), ("train", 0)]
    keyed = pipeline | beam.Create(clips) | KeyByShard(plan) | beam.FlatMap(_unpacked)
    assert_that(keyed, equal_to(list(zip(keys, clips, strict=True))))


def test_rejects_are_keyed_by_their_source(pipeline):
    plan = Plan(9, "", {"rejected": 3}, frozenset())
    outcomes = [Outcome("", f"m:{line}", None, "rejected") for line in range(9)]
    expected = [(("rejected", assign.shard_index(outcome.source, 3)), outcome) for outcome in outcomes]
    assert len({key for key, _ in expected}) == 3
    assert_that(pipeline | beam.Create(outcomes) | KeyByShard(plan) | beam.FlatMap(_unpacked), equal_to(expected))


def test_every_shard_has_an_empty_row(pipeline):
    keys = PLAN.shard_keys()
    assert keys == [("train", 0), ("train", 1), ("validation", 0), ("rejected", 0)]
    assert_that(pipeline | beam.Create(keys) | EmptyShards(), equal_to([(key, b"") for key in keys]))


def rows_of(job):
    """What reaches WriteShards: clips and outcomes by shard, and an empty row for each shard."""
    keyed: list[tuple[ShardKey, bytes]] = [(key, b"") for key in job.plan.shard_keys()]
    for row in read.rows(job.manifests[0], job.manifest_settings, Storage()):
        index = assign.shard_index(row.clip_id, job.plan.num_shards["train"])
        keyed.append((("train", index) if isinstance(row, Clip) else ("rejected", 0), pack(dump(row))))
    return keyed


@pytest.mark.parametrize("earlier_runs", [0, 1])
def test_shards_are_written_once_and_reused_after(job, earlier_runs):
    rows = rows_of(job)
    counts = {key: sum(key == other and row != b"" for other, row in rows) for key, _ in rows}
    for run in range(earlier_runs + 1):
        pipeline = beam.Pipeline(FnApiRunner())
        results = pipeline | beam.Create(rows) | WriteShards(job)
        facts = results | beam.Map(lambda result: (result.key, result.rows, result.reused))
        assert_that(facts, equal_to([(key, count, run > 0) for key, count in counts.items()]))
        pipeline.run().wait_until_finish()
    for key, count in counts.items():
        assert len(Sidecar.load(Path(job.output.sidecar_uri(key)).read_bytes()).outcomes) == count


def test_the_report_is_made_of_all_shards_or_not_at_all(job, pipeline):
    pipeline | beam.Create(rows_of(job)) | WriteShards(job) | FinishDataset(job) | beam.Map(_counts_are, (10, 9, 1))


def _counts_are(report, expected):
    assert (report.rows, report.accepted, report.rejected) == expected


def test_a_lost_shard_is_no_dataset(job, tmp_path):
    results = [ShardResult(key, 1, False, "") for key in job.plan.shard_keys()[:-1]]
    account = pytest.raises(AccountingError, match=f"have 10 rows, the shards account for {len(results)}")
    with account, beam.Pipeline(FnApiRunner()) as pipeline:
        pipeline | beam.Create(results) | FinishDataset(job)
    assert not (tmp_path / "out/dataset.json").exists()


@pytest.fixture
def crossing(monkeypatch):
    """Every element that is buffered between two stages, encoded, by the kind of its buffer."""
    found: dict[str, list[bytes]] = {"list": [], "shuffle": []}

    def spy(buffer, kind, coder_of):
        append = buffer.append

        def note(self, content):
            stream, coder, start = create_InputStream(content), coder_of(self), 0
            while stream.size():
                coder.decode_from_stream(stream, True)
                end = len(content) - stream.size()
                found[kind].append(content[start:end])
                start = end
            append(self, content)

        monkeypatch.setattr(buffer, "append", note)

    spy(execution.ListBuffer, "list", lambda buffer: buffer._coder_impl)
    spy(execution.GroupingBuffer, "shuffle", lambda buffer: buffer._pre_grouped_coder.get_impl())
    return found


def test_references_cross_the_stages_and_audio_never_does(job, crossing):
    with beam.Pipeline(FnApiRunner()) as pipeline:
        build(pipeline, job)
    rows = list(read.rows(job.manifests[0], job.manifest_settings, Storage()))
    # Once, by shard. By id only if another row has the same.
    blocks = [element[element.index(ZLIB) :] for element in crossing["shuffle"] if ZLIB in element]
    assert sorted(row.source for block in blocks for row in unpack(block)) == sorted(row.source for row in rows)
    written = sum(_bytes(job, key) for key in job.plan.shard_keys())
    assert written > COUNT * SECONDS * 16_000
    # The pipeline's own elements (manifests, shard keys, results) are as small as the references.
    every = crossing["list"] + crossing["shuffle"]
    assert max(map(len, every)) < 1_000
    assert sum(map(len, every)) < written / 20


def _bytes(job, key):
    return Sidecar.load(Path(job.output.sidecar_uri(key)).read_bytes()).bytes


def test_a_record_has_no_field_for_audio():
    """None for bytes, none for a list; text and counts only."""
    kinds = {kind for record in (Clip, Outcome) for kind in typing.get_type_hints(record).values()}
    assert kinds == {str, bool, str | None, int | None, float, float | None, tuple[str, ...] | None}
    counts = {int, tuple[tuple[int, ...], ...]}
    names = {str, tuple[str, int], tuple[str, ...], Mapping[str, int]}
    assert set(typing.get_type_hints(ShardResult).values()) == {bool, *names, *counts}


def test_what_is_grouped_is_declared():
    """Undeclared, elements would be pickled with a coder of no fixed form, and keys grouped by it."""
    output = Output("/o", "/b", (), SHARDS, Settings(), Storage())
    job = Job((), ManifestSettings(), replace(PLAN, doubled=None), output, 1)
    pipeline = beam.Pipeline(FnApiRunner())
    build(pipeline, job)
    kinds = {step.full_label.partition("/")[0]: step.inputs[0].element_type for step in _groupings(pipeline)}
    assert kinds.keys() == {"Deduplicate", "WriteShards", "FinishDataset"}
    assert kinds["Deduplicate"] == convert_to_beam_type(tuple[str, bytes])
    assert kinds["WriteShards"] == convert_to_beam_type(tuple[tuple[str, int], bytes])
    assert kinds["FinishDataset"] == convert_to_beam_type(tuple[str, ShardResult])


def _groupings(pipeline):
    return [step for step in _leaves(pipeline.transforms_stack[0]) if isinstance(step.transform, beam.GroupByKey)]


def _leaves(applied):
    for part in applied.parts:
        yield part
        yield from _leaves(part)
