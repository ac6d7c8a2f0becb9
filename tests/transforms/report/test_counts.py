"""The numbers of a report: each counted by hand."""

import json
from dataclasses import replace

import pytest

from transforms import reasons
from transforms.clip import Outcome
from transforms.dataset.duplicates import audio_of
from transforms.dataset.output import Output
from transforms.dataset.plan import Plan
from transforms.dataset.shard import ShardResult
from transforms.dataset.sidecar import Sidecar
from transforms.report import finish
from transforms.report.counts import EXAMPLES_PER_REASON, Count, SplitCount
from transforms.settings import Settings
from transforms.storage import Storage

storage = Storage()

RATE = 16_000
ACCEPTED = Outcome(
    *("c", "m:1", "a.wav", "accepted"),
    split="train",
    shard_index=0,
    line_index=0,
    line_bytes=100,
    line_sha256="1",
    source_format="wav/pcm_16",
    num_samples=RATE,
    target_chars=5,
)


@pytest.fixture
def report_of(tmp_path):
    """The report of a dataset of these outcomes, in one shard of each split."""

    def call(*outcomes, sample_rate=RATE, **facts):
        numbered = [replace(each, clip_id=str(n), source=f"m:{n}") for n, each in enumerate(outcomes)]
        shards: dict[str, list[Outcome]] = {"train": [], "validation": [], "rejected": []}
        for each in numbered:
            shards[each.split or "rejected"].append(each)
        plan = Plan(len(numbered), "", dict.fromkeys(shards, 1), frozenset(), **facts)
        output = Output(str(tmp_path / "out"), "", (), plan.num_shards, Settings(sample_rate=sample_rate), storage)
        for split, rows in shards.items():
            sidecar = Sidecar("f", sum(row.line_bytes or 0 for row in rows), "", tuple(rows))
            storage.write_bytes(output.sidecar_uri((split, 0)), sidecar.dump())
        results = [ShardResult((split, 0), len(rows), False, "f") for split, rows in shards.items()]
        finish.finish(results, plan, output)
        return json.loads(storage.read_bytes(f"{output.folder}/report.json"))

    return call


def distinct(*samples):
    """Accepted clips of these lengths, no two with the same audio."""
    return [replace(ACCEPTED, num_samples=count, audio_sha256=str(n)) for n, count in enumerate(samples)]


@pytest.mark.parametrize(
    ("samples", "second"),
    [
        (1, "0"),
        (RATE - 1, "0"),
        (RATE, "1"),  # one second exactly is no longer below it
        (RATE + 1, "1"),
        (2 * RATE - 1, "1"),
        (2 * RATE, "2"),
        (30 * RATE, "30"),
    ],
)
def test_a_clip_is_counted_under_the_whole_seconds_that_it_lasts(report_of, samples, second):
    assert report_of(*distinct(samples))["durations"] == {second: 1}


def test_seconds_are_of_the_datasets_own_rate(report_of):
    assert report_of(*distinct(RATE), sample_rate=8_000)["durations"] == {"2": 1}


def test_the_lengths_are_in_order_and_count_every_clip(report_of):
    samples = [12 * RATE, 2 * RATE, 0, RATE // 2, 2 * RATE + 5]
    assert list(report_of(*distinct(*samples))["durations"].items()) == [("0", 2), ("2", 2), ("12", 1)]


def test_each_split_has_its_own_totals(report_of):
    held_out = replace(ACCEPTED, split="validation", num_samples=RATE // 2, line_bytes=7, audio_sha256="v")
    splits = report_of(*distinct(RATE, 3 * RATE), held_out)["splits"]
    assert splits == {
        "train": {
            "examples": 2,
            "bytes": 200,
            "audio_samples": 4 * RATE,
            "audio_seconds": 4.0,
            "audio_tokens": 128,
            "target_chars": 10,
            "shards": 1,
        },
        "validation": {
            "examples": 1,
            "bytes": 7,
            "audio_samples": RATE // 2,
            "audio_seconds": 0.5,
            "audio_tokens": 16,
            "target_chars": 5,
            "shards": 1,
        },
    }


def refused(reason, count):
    row = Outcome("", "m:0", None, "rejected", reason.name, f"why {reason}", row="{}")
    return [row] * count


def test_reasons_are_told_the_commonest_first_each_with_three_rows_and_what_to_do(report_of):
    rows = refused(reasons.SILENT, 1) + refused(reasons.TOO_LONG, 4) + refused(reasons.BAD_ROW, 1)
    told = report_of(*rows)["reasons"]
    assert list(told) == ["too_long", "bad_row", "silent"]  # as often as another: by name
    assert told["too_long"] == {
        "rows": 4,
        "remedy": reasons.TOO_LONG.remedy,
        "examples": [f"m:{number}: why too_long" for number in (1, 2, 3)],
    }


def test_formats_and_tasks_are_counted(report_of):
    rows = [
        replace(ACCEPTED, audio_sha256="1", task="b"),
        replace(ACCEPTED, audio_sha256="2", task="a", source_format="mp3/mp3"),
        replace(ACCEPTED, audio_sha256="3", task="b", source_format=None),
    ]
    told = report_of(*rows, prompts={"a": 1, "b": 1})
    assert list(told["source_formats"].items()) == [("mp3/mp3", 1), ("unknown", 1), ("wav/pcm_16", 1)]
    assert told["tasks"] == {"a": {"examples": 1, "prompts": 1}, "b": {"examples": 2, "prompts": 1}}


def test_the_same_audio_in_another_task_is_no_repeat(report_of):
    rows = [replace(ACCEPTED, audio_sha256="1", task=task) for task in ("a", "b", "a", "a")]
    told = report_of(*rows)["repeated_audio"]
    assert told == {"clips": 2, "examples": [["m:0", "m:2", "m:3"]]}


USUAL = ["train"] * 4 + ["validation"]


@pytest.mark.parametrize(
    ("splits", "facts", "warned"),
    [
        (USUAL, {}, []),
        (["train"] * 3 + ["validation"], {}, ["100 bytes of validation, over 25 % of the 300 for training"]),
        (["train"], {}, ["validation split is empty"]),
        (["validation"], {}, ["train split is empty"]),
        (USUAL, {"torn_groups": 1}, ["1 groups into several splits"]),
        (USUAL, {"prompts": {"": 1}}, []),
        (USUAL, {"prompts": {"": 2, "t": 3}}, ["rows have 2 different", "task t has 3 different"]),
    ],
)
def test_what_is_warned_about(report_of, splits, facts, warned):
    rows = [replace(ACCEPTED, split=split, audio_sha256=str(n)) for n, split in enumerate(splits)]
    told = report_of(*rows, **facts)["warnings"]
    assert len(told) == len(warned)
    assert all(part in line for part, line in zip(warned, told, strict=True)), told


def test_what_was_trimmed_is_counted(report_of):
    cuts = [(0, 0), (RATE, 0), (RATE, 1), (0, 3 * RATE)]  # nothing, half, more than half, three quarters
    rows = [
        replace(ACCEPTED, audio_sha256=str(n), trimmed_start_samples=start, trimmed_end_samples=end)
        for n, (start, end) in enumerate(cuts)
    ]
    assert report_of(*rows)["trimmed"] == {
        "samples": 5 * RATE + 1,
        "seconds": 5.0,
        "share": 0.5556,
        "mostly_trimmed": 2,
        "examples": ["m:2: 1.00 s of 2.00 s are left", "m:3: 1.00 s of 4.00 s are left"],
    }


def test_how_to_report_a_fault_of_cliptune_is_told(report_of):
    detail = "IndexError at transforms/audio/frames.py:1"
    fault = Outcome("x", "m:1", "a.wav", "rejected", reason=reasons.DECODER_FAULT.name, detail=detail)
    rows = [replace(ACCEPTED, split=split, audio_sha256=str(number)) for number, split in enumerate(USUAL)]
    assert report_of(*rows, replace(fault, reason="silent"))["warnings"] == []
    (told,) = report_of(*rows, fault, fault)["warnings"]
    assert told.startswith("2 × decoder_fault, which is a fault of Cliptune: please tell")
    assert all(name in told for name in ("rejected.jsonl", "dataset.json", "recording"))


def counted(*outcomes):
    """The totals of these outcomes."""
    total = Count({"train": SplitCount(), "validation": SplitCount()}, RATE)
    for outcome in outcomes:
        total.add(outcome)
    return total


def test_formats_are_counted_clip_by_clip():
    flac = replace(ACCEPTED, source_format="flac/pcm_16")
    assert counted(ACCEPTED, flac, ACCEPTED).formats == {"wav/pcm_16": 2, "flac/pcm_16": 1}


def test_the_first_few_repeated_audios_are_named_once_each():
    repeated = [replace(ACCEPTED, audio_sha256=str(number)) for number in range(EXAMPLES_PER_REASON + 2)]
    total = counted(*repeated, *repeated[:1], *repeated)
    assert total.duplicates == len(repeated) + 1
    assert total.first_duplicates == [audio_of(str(number), "") for number in range(EXAMPLES_PER_REASON)]


def test_a_row_of_no_reason_is_told_as_unknown():
    """No outcome of ours has none; a ledger that was changed by hand may."""
    total = counted(replace(ACCEPTED, status="rejected", split=None))
    assert (total.accepted, total.reasons) == (0, {"unknown": 1})
