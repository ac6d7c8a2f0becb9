"""The wiring, step by step, and what people see while it runs."""

import io
import struct
import threading

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to
from rich.console import Console

from beam_pipeline import dataset, progress, summary
from beam_pipeline.dataset import CLIPS, REJECTS, Deduplicate, KeyByShard, ReadManifests
from transforms import assign
from transforms.clip import Clip, Outcome
from transforms.manifest import Manifest, ManifestSettings
from transforms.plan import Plan
from transforms.settings import Settings
from transforms.shard import Target

PLAN = Plan(3, "", {"train": 2, "validation": 1, "rejected": 1}, frozenset())


def test_manifests_become_clips_and_bad_rows(tmp_path):
    (tmp_path / "m.csv").write_text("id,audio,text\na,a.wav,hello\nb,b.wav,\n")
    manifest = Manifest("m.csv", str(tmp_path / "m.csv"))
    with beam.Pipeline(FnApiRunner()) as pipeline:
        rows = pipeline | beam.Create([manifest]) | ReadManifests(ManifestSettings())
        clips = rows[CLIPS] | "ids" >> beam.Map(lambda clip: clip.clip_id)
        bad = rows[REJECTS] | "reasons" >> beam.Map(lambda outcome: (outcome.source, outcome.reason))
        assert_that(clips, equal_to(["a"]), "clips")
        assert_that(bad, equal_to([("m.csv:3", "missing_text")]), "bad")


@pytest.mark.parametrize("order", [1, -1])
def test_of_clips_with_one_id_the_same_is_kept_in_any_order(order):
    clips = [Clip("a", "1.wav", "x", "m:1"), Clip("a", "2.wav", "y", "m:2"), Clip("b", "3.wav", "z", "m:3")][::order]
    with beam.Pipeline(FnApiRunner()) as pipeline:
        unique = pipeline | beam.Create(clips) | Deduplicate()
        kept = unique[CLIPS] | "uris" >> beam.Map(lambda clip: clip.uri)
        doubled = unique[REJECTS] | "sources" >> beam.Map(lambda outcome: (outcome.source, outcome.detail))
        assert_that(kept, equal_to(["1.wav", "3.wav"]), "kept")
        assert_that(doubled, equal_to([("m:2", "the id 'a' is taken by m:1")]), "doubled")


def test_clips_are_keyed_by_split_and_shard():
    clips = [Clip(f"c{i}", "a.wav", "t", split="validation" if i == 0 else "train") for i in range(9)]
    expected = [
        (clip.clip_id, (clip.split, assign.shard_index(clip.clip_id, PLAN.num_shards[clip.split]))) for clip in clips
    ]
    with beam.Pipeline(FnApiRunner()) as pipeline:
        keyed = pipeline | beam.Create(clips) | KeyByShard(PLAN) | beam.Map(lambda pair: (pair[1].clip_id, pair[0]))
        assert_that(keyed, equal_to(expected))


def test_what_crosses_a_shuffle_is_references_never_audio():
    job = dataset.Job((), ManifestSettings(), PLAN, Target("/o", "/b", (), PLAN.num_shards, Settings()), 1)
    pipeline = beam.Pipeline(FnApiRunner())
    dataset.build(pipeline, job)
    grouped = [
        transform
        for applied in _leaves(pipeline.transforms_stack[0])
        if "GroupByKey" in (transform := applied.full_label)
    ]
    # Ids, shards, and the results at the end: between reading and writing audio there is no shuffle.
    assert len(grouped) >= 3
    assert {fields for cls in (Clip, Outcome) for fields in cls.__slots__ if "samples" in fields} == {
        "source_samples", "num_samples", "trimmed_start_samples", "trimmed_end_samples",
    }  # fmt: skip
    assert not any(annotation == "bytes" for cls in (Clip, Outcome) for annotation in cls.__annotations__.values())


def _leaves(applied):
    for part in applied.parts:
        yield part
        yield from _leaves(part)


def test_marks_of_many_workers_add_up(tmp_path):
    path = tmp_path / "progress"
    path.touch()
    files = [progress.ProgressFile(str(path)) for _ in range(3)]
    accepted = Outcome("a", "m:1", None, "accepted", num_samples=16_000)
    for file in files:
        file.note(accepted)
        file.note(Outcome("b", "m:2", None, "rejected"))
        file.close()
    tally = progress.Tally()
    tally.add(path.read_bytes())
    assert (tally.clips, tally.rejected, tally.samples) == (6, 3, 48_000)
    assert path.stat().st_size == 6 * struct.calcsize("<?I")
    progress.ProgressFile("").note(accepted)  # a run elsewhere notes nothing


def test_without_a_terminal_there_is_a_line_now_and_then(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "_LINE_SECONDS", 0)
    monkeypatch.setattr(progress, "_POLL_SECONDS", 0.001)
    shown = threading.Event()

    class Told(io.StringIO):
        def write(self, text):
            shown.set()
            return super().write(text)

    file = Told()
    console = Console(file=file, width=200)
    with progress.shown(tmp_path / "p", 5, 16_000, console):
        progress.ProgressFile(str(tmp_path / "p")).note(Outcome("a", "m:1", None, "rejected"))
        assert shown.wait(30)
    assert "1 of 5 clips" in file.getvalue()
    assert "1 rejected" in file.getvalue()


def test_the_summary_names_the_commonest_reasons_and_where_to_look():
    reasons = {
        name: {"rows": rows, "remedy": f"Mend {name}.", "examples": [f"m:{rows}: it is {name}"]}
        for name, rows in (("silent", 9), ("too_long", 5), ("truncated", 3), ("not_found", 1))
    }
    split = {"examples": 4, "shards": 1, "audio_seconds": 90.0, "bytes": 1_234_567}
    report = {
        **{"splits": {"train": split}, "reused": 2, "rows": 22, "accepted": 4, "rejected": 18},
        **{"reasons": reasons, "warnings": ["w"]},
    }
    file = io.StringIO()
    console = Console(file=file, width=200)
    summary.show(report, "out/", console)
    told = file.getvalue()
    for words in (
        "1.5 min",
        "1,234,567",
        "9 × silent: Mend silent.",
        "m:3: it is truncated",
        "out/rejected.jsonl",
        "warning: w",
    ):
        assert words in told
    assert "not_found" not in told
