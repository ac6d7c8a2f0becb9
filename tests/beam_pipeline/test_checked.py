"""What `prepare` writes, `check` accepts, whatever the rows and settings, or `prepare` itself has warned of it."""

import json
import random
from typing import Any

import pytest
import soundfile

from beam_pipeline import prepare
from beam_pipeline.requests import PrepareRequest
from tests.sounds import tone
from transforms import limits
from transforms.errors import UserError
from transforms.payloads import PAYLOADS
from transforms.settings import LOSSY_FORMATS, Settings
from tuning.check import check
from tuning.requests import CheckRequest

# What `prepare` must have warned of if `check` has a problem of this rule.
WARNED = {
    "no_examples": "the train split is empty",
    "audio_in_both_splits": "the same audio as another one",
    "group_in_both_splits": "the manifest puts clips of",
    "validation_examples": "validation examples, over",
    "validation_bytes": "bytes of validation, over",
    "examples": "examples, over the limit",
    "file_bytes": "bytes, over the limit",
    "nul": "have a NUL character",
}
SECONDS = (0.02, 0.05, 0.1, 0.13, 0.2, 0.5, 1.0, 2.0)
SPEECH_RATES = (8_000, 16_000, 44_100, 48_000)
RATES = {True: (8_000, 11_025, 16_000, 22_050, 44_100, 48_000), False: (8_000, 8_001, 16_000, 22_050, 47_999, 48_000)}
ODD = (
    *("a\0b", "\0", "\u2028", "a\u2029b", "...", "\u200b", "\ufeffbom", "e\u0301", "\x85", "\x1c\x1d", "\x7f"),
    *("\u00a0 ", "\u3164", "\u2800", "\u180e", "ﷺ", "😀", "\ud83d", "\r\n", "<b>", "\\ \" '", '{"a": 1}'),
    *("  spaced  ", "x" * 5_000),
)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    for index in range(30):
        seconds, rate = SECONDS[index % len(SECONDS)], SPEECH_RATES[index % len(SPEECH_RATES)]
        soundfile.write(folder / f"{index}.wav", tone(300 + 17 * index, rate, seconds), rate, "PCM_16")
    return folder


def any_rows(chance):
    """Rows with odd texts and ids, equal audio, groups, splits, segments and prompts, of each or none."""
    count = chance.choice([1, 2, 3, 10, 20, 25, 60])
    groups, marked, named = chance.choice([0, 1, 2, 3, 10]), chance.random() < 0.25, chance.random() < 0.5
    for index in range(count):
        row: dict[str, Any] = {"audio": f"{chance.randrange(30) if chance.random() < 0.3 else index % 30}.wav"}
        row["text"] = chance.choice(ODD) if chance.random() < 0.4 else f"text {index}"
        if named:
            row["id"] = f"{chance.choice(ODD) if chance.random() < 0.3 else ''}{index}"
        if groups:
            row["speaker"] = f"s{chance.randrange(groups)}" if chance.random() < 0.9 else chance.choice(ODD)
        if marked and chance.random() < 0.9:
            row["split"] = chance.choice(["train", "train", "validation"])
        for column in ("prompt", "system_instruction"):
            if chance.random() < 0.2:
                row[column] = chance.choice(ODD)
        if chance.random() < 0.2:
            row |= {"offset": 0, "duration": chance.choice([0, 0.01, 0.1, 0.3])}
        yield row


def any_settings(chance):
    audio_format = chance.choice(["flac", "wav", "mp3", "aac"])
    lossy = audio_format in LOSSY_FORMATS
    return Settings(
        audio_format=audio_format,
        sample_rate=chance.choice(RATES[lossy]),
        bitrate=chance.choice([8, 16, 32, 64, 128, 320]) if lossy else 0,
        json_names=chance.choice(["snake_case", "camelCase"]),
        audio_part=(part := chance.choice(["inline", "inline", "uri"])),
        audio_uri="gs://bucket/a" if part == "uri" else "",
        over_duration=chance.choice(["reject", "trim"]),
        min_duration=chance.choice([0.0, 0.0, 0.1]),
        max_duration=chance.choice([30.0, 30.0, 3_599.0, 1.0, 0.5]),
        max_example_bytes=chance.choice([20_000_000, 20_000_000, 100_000, 10_000, 10**12]),
        validation_fraction=chance.choice([0.0, 0.1, 0.3, 0.5]),
        trim_silence=chance.random() < 0.7,
        dedupe=chance.choice(["none", "audio"]),
        normalize_text=chance.choice([(), ("nfkc",), ("strip_punctuation",), ("whitespace", "lowercase")]),
        prompt=chance.choice(["Transcribe.", "a\u2028b", "\0"]) if chance.random() < 0.5 else "p",
    )


def prepared_and_checked(folder, recordings, rows, settings, tasks=None):
    """The report of `prepare`, and that of `check` on what it wrote."""
    manifest = folder / "m.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    request = PrepareRequest(
        (str(manifest),),
        str(folder / "out"),
        settings=settings,
        tasks=tasks,
        audio_root=str(recordings),
        max_rejected_fraction=1.0,
    )
    return prepare.run(request).report, check.run(CheckRequest(str(folder / "out"), offline=True))


def assert_agreed(report, checked):
    """Every problem that `check` has is one that `prepare` has warned of."""
    told = "\n".join(report.warnings)
    assert not [rule for rule in checked.counts if rule not in WARNED or WARNED[rule] not in told], checked.problems[:3]
    assert checked.examples == report.accepted


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(30))
def test_any_rows_and_settings(recordings, tmp_path, seed):
    chance = random.Random(seed)
    settings = any_settings(chance)
    assert_agreed(*prepared_and_checked(tmp_path, recordings, any_rows(chance), settings))


def rows_of(count, **columns):
    """So many rows, of thirty recordings, with columns made from their numbers."""
    named = ({name: fill(n) for name, fill in columns.items()} for n in range(count))
    return [{"id": str(n), "audio": f"{n % 30}.wav", "text": "word", **more} for n, more in enumerate(named)]


def half(number):
    return "validation" if number % 2 else "train"


PLAIN = Settings(min_duration=0.0)


@pytest.mark.parametrize(
    ("rows", "facts", "rule"),
    [
        (rows_of(30), {"MAX_TRAIN_EXAMPLES": 5}, "examples"),
        (rows_of(30), {"MAX_FILE_BYTES": 5_000}, "file_bytes"),
        (
            rows_of(30, split=half),
            {"VALIDATION_SHARE_FROM": 9},
            "validation_examples",
        ),
        (rows_of(30, split=half), {}, "validation_bytes"),
        (rows_of(30, split=lambda n: "validation"), {}, "no_examples"),
        (rows_of(30, speaker=lambda n: "a"), {}, None),  # all in one group: no validation split
        (rows_of(30, speaker=lambda n: n % 2), {}, "validation_bytes"),  # the smallest group is half of the clips
        (rows_of(30, speaker=lambda n: n % 2), {"VALIDATION_SHARE_FROM": 9}, None),  # and may not be taken
        (rows_of(30, speaker=lambda n: n % 2), {"MAX_VALIDATION_EXAMPLES": 9}, None),
        (
            rows_of(30, split=lambda n: "train" if n % 4 else "validation", speaker=lambda n: "a"),
            {},
            "group_in_both_splits",
        ),
        (rows_of(1), {}, None),
        (rows_of(0), {}, None),
    ],
)
def test_what_check_will_say_is_said_by_prepare(recordings, tmp_path, monkeypatch, rows, facts, rule):
    for name, value in facts.items():
        monkeypatch.setattr(limits, name, value)
    if not rows:
        with pytest.raises(UserError):
            prepared_and_checked(tmp_path, recordings, rows, PLAIN)
        return
    report, checked = prepared_and_checked(tmp_path, recordings, rows, PLAIN)
    assert_agreed(report, checked)
    assert rule is None or rule in checked.counts
    assert checked.ok or rule


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        ("a" * 4 * 131_000, {}),
        ("é" * 4 * 131_100, {"example_too_large": 1}),
    ],
)
def test_a_text_of_more_tokens_than_the_service_takes_is_refused_at_once(recordings, tmp_path, text, reasons):
    rows = [*rows_of(5), {"audio": "29.wav", "text": text}]
    report, checked = prepared_and_checked(tmp_path, recordings, rows, PLAIN)
    assert {name: reason.rows for name, reason in report.reasons.items()} == reasons
    assert checked.ok


@pytest.mark.parametrize("audio_format", PAYLOADS)
def test_the_longest_clip_is_not_too_long_once_it_is_encoded(recordings, tmp_path, monkeypatch, audio_format):
    lossy = audio_format in LOSSY_FORMATS
    monkeypatch.setattr(limits, "MAX_AUDIO_SECONDS", 2 + lossy)
    settings = Settings(audio_format=audio_format, bitrate=64 * lossy, max_duration=2.0, trim_silence=False)
    report, checked = prepared_and_checked(tmp_path, recordings, rows_of(30), settings)
    assert report.durations["2"] > 0
    assert_agreed(report, checked)


def test_equal_audio_that_is_marked_for_both_splits(recordings, tmp_path):
    rows = rows_of(40, split=lambda n: "validation" if n >= 30 else "train")  # of thirty recordings
    assert_agreed(*prepared_and_checked(tmp_path, recordings, rows, PLAIN))


def test_equal_audio_of_two_tasks(recordings, tmp_path):
    (tmp_path / "tasks.yaml").write_text("a: {prompt: p}\nb: {prompt: q, schema: {type: object}}\n")
    rows = rows_of(60, task=lambda n: "a", speaker=str)
    rows += [{**row, "id": f"b{row['id']}", "task": "b", "text": {"word": 1}} for row in rows]
    report, checked = prepared_and_checked(tmp_path, recordings, rows, PLAIN, str(tmp_path / "tasks.yaml"))
    assert_agreed(report, checked)
