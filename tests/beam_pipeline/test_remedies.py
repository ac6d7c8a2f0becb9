"""Remedies are never wrong: for each reason a row that is refused, and the same row after its remedy was followed."""

import gzip
import io
import json

import numpy as np
import pytest
import soundfile

from transforms.reasons import REASONS

RATE = 16_000
NOISE = np.random.default_rng(7).integers(-9_000, 9_000, 100 * RATE).astype(np.int16)
TASKS = """
transcribe: {prompt: Transcribe this.}
language: {prompt: Name the language., labels: [en, es]}
"""
# What a row and its file alone do not bring about: a user's rights, an own fault, a folder of pairs, a bucket.
ELSEWHERE = {"unreadable", "decoder_fault", "timed_text", "overlapping_cues", "bucket_unreachable"}


def wav(samples, rate=RATE, subtype="PCM_16", form="WAV"):
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, subtype, format=form)
    return stream.getvalue()


VOICE = wav(NOISE[:RATE])
STEREO = wav(np.stack([NOISE[:RATE], NOISE[RATE : 2 * RATE]], axis=1))
OPPOSITE = np.stack([NOISE[:RATE], -NOISE[:RATE]], axis=1)
GOOD = {"id": "other", "audio": "other.wav", "text": "hello", "speaker": "x"}
ROW = {"id": "a", "audio": "a.wav", "text": "hello"}


def changed(*others, **fields):
    """Rows: the one with these fields, and others beside it."""
    return [{**ROW, **fields}, *others]


PART = {"audio": "a.wav", "text": "hello"}
CUT_FLAC = bytearray(wav(NOISE[:RATE], form="FLAC"))
CUT_FLAC[400:-400] = bytes(len(CUT_FLAC) - 800)
# Reason, then rows, a.wav and flags as they were, and what the remedy makes of each; None for what it leaves alone.
CASES = [
    ("bad_row", ['{"id": "a", '], VOICE, [], changed(), None, None),
    ("missing_audio_path", changed(audio=None), VOICE, [], changed(), None, None),
    ("missing_audio_path", changed({**GOOD, "audio": None, "mine": "a.wav"}, audio=None, mine="a.wav"), VOICE, [],
     None, None, ["--audio_column=mine"]),
    ("missing_text", changed(text=" "), VOICE, [], changed(), None, None),
    ("missing_text", changed({**GOOD, "text": None, "said": "hello"}, text=None, said="hello"), VOICE, [],
     None, None, ["--text_column=said"]),
    ("bad_field", changed(speaker=True), VOICE, [], changed(speaker="True"), None, None),
    ("bad_field", changed(start=2, end=1), VOICE, [], changed(start=0, end=1), None, None),
    ("bad_field", changed({**ROW, "id": "b", "split": "train"}, split="tran"), VOICE, [], changed(split="train"), None,
     None),
    ("unknown_task", changed(task="transcrib"), VOICE, ["--tasks=tasks.yaml"], changed(task="transcribe"), None, None),
    ("bad_target", changed(task="language", text="english"), VOICE, ["--tasks=tasks.yaml"],
     changed(task="language", text="en"), None, None),
    ("duplicate_id", changed(ROW), VOICE, [], changed({**ROW, "id": "b"}), None, None),
    # Parts of one recording, by columns of names that nobody knows.
    ("duplicate_id", [{**PART, "from": 0, "to": 0.4}, {**PART, "from": 0.4, "to": 1}], VOICE, [], None, None,
     ["--offset_column=from", "--end_column=to"]),
    ("duplicate_id", [{**PART, "from": 0, "for": 0.4}, {**PART, "from": 0.4, "for": 0.6}], VOICE, [], None, None,
     ["--offset_column=from", "--duration_column=for"]),
    ("duplicate_id", [{**PART, "track": 0}, {**PART, "track": 1}], STEREO, [], None, None, ["--channel_column=track"]),
    ("duplicate_audio", changed({**ROW, "id": "b"}), VOICE, ["--dedupe=audio"], changed(), None, None),
    ("audio_in_train", [{**ROW, "split": "dev"}, {**GOOD, "audio": "a2.wav", "split": "train"}], VOICE, [],
     [{**ROW, "split": "train"}, {**GOOD, "audio": "a2.wav", "split": "train"}], None, None),
    ("audio_in_train", [{**ROW, "split": "dev"}, {**GOOD, "audio": "a2.wav", "split": "train"}], VOICE, [],
     changed(), None, None),
    ("not_found", changed(audio="A.WAV"), VOICE, [], changed(), None, None),
    ("not_found", changed(), VOICE, ["--audio_root=.."], None, None, ["--audio_root=."]),
    ("path_not_allowed", changed(audio="../beyond/a.wav"), VOICE, [], changed(), None, None),
    ("path_not_allowed", changed(audio="../beyond/a.wav"), VOICE, [], None, None, ["--allow_path=../beyond"]),
    ("not_a_regular_file", changed(audio="."), VOICE, [], changed(), None, None),
    ("not_a_path", changed(audio="sox a.wav -t wav - |"), VOICE, [], changed(), None, None),
    ("unsupported_scheme", changed(audio="https://example.org/a.wav"), VOICE, [], changed(), None, None),
    ("embedded_audio", changed(audio={"path": None, "bytes": "UklGRg=="}), VOICE, [], changed(), None, None),
    ("joined_files", changed(), VOICE + VOICE, [], None, VOICE, None),
    ("empty_file", changed(), b"", [], None, VOICE, None),
    ("file_too_large", changed(), gzip.compress(bytes(140 << 20), 1), [], None, VOICE, None),
    ("not_audio", changed(), b"<!doctype html><html><body>Not found</body></html>", [], None, VOICE, None),
    ("unsupported_format", changed(), b"PK\x03\x04" + bytes(2_000), [], None, VOICE, None),
    ("decode_failed", changed(), bytes(CUT_FLAC), [], None, VOICE, None),
    ("truncated", changed(), VOICE[: len(VOICE) // 2], [], None, VOICE, None),
    ("truncated", changed(start=0, end=3), VOICE, [], changed(start=0, end=1), None, None),
    ("truncated", changed(start=0, end=900), VOICE, [], changed(start_ms=0, end_ms=900), None, None),
    ("truncated", changed(start=0, end=7), VOICE, [], changed(), None, None),  # the file is the segment
    ("bad_sample_rate", changed(), wav(NOISE[:RATE], 2_000), [], None, wav(NOISE[:RATE], 8_000), None),
    ("not_finite", changed(), wav(np.full(RATE, np.nan, np.float32), subtype="FLOAT"), [], None, VOICE, None),
    ("no_such_channel", changed(channel="right"), VOICE, [], changed(channel="left"), None, None),
    ("no_such_channel", changed(channel=1), STEREO, [], changed(channel="right"), None, None),
    ("no_such_channel", changed(channel="right"), VOICE, [], changed(channel=""), None, None),
    ("opposite_phase", changed(), wav(OPPOSITE), [], None, wav(OPPOSITE * np.array([1, -1], np.int16)), None),
    ("opposite_phase", changed(), wav(OPPOSITE), [], None, wav(OPPOSITE[:, :1]), None),
    ("silent", changed(), wav(np.zeros(RATE, np.int16)), [], None, VOICE, None),
    ("too_short", changed(), wav(NOISE[:800]), [], None, VOICE, None),
    ("too_short", changed(), wav(NOISE[:800]), [], None, None, ["--min_duration=0.01"]),
    ("too_short", changed(start=60), VOICE, [], changed(start=0.5), None, None),
    ("too_long", changed(), wav(NOISE[: 40 * RATE]), [], None, wav(NOISE[: 20 * RATE]), None),
    ("too_long", changed(), wav(NOISE[: 40 * RATE]), [], None, None, ["--over_duration=trim"]),
    ("too_long", changed(), wav(NOISE), [],
     [{**ROW, "start": 0, "end": 20}, {**ROW, "id": "b", "start": 20, "end": 40}], None, None),
    ("example_too_large", changed(), VOICE, ["--audio_format=wav", "--max_example_bytes=42000"], None, None,
     ["--audio_format=flac", "--max_example_bytes=42000"]),
    ("example_too_large", changed(text="x" * 60_000), VOICE, ["--max_example_bytes=80000"], changed(), None, None),
]  # fmt: skip


def outcome(folder, prepare, output, rows, audio, flags):
    """The reasons of a run, and how many rows were accepted."""
    (folder / "a.wav").write_bytes(audio)
    (folder / "a2.wav").write_bytes(audio)
    (folder.parent / "beyond").mkdir(exist_ok=True)
    (folder.parent / "beyond/a.wav").write_bytes(audio)
    (folder / "other.wav").write_bytes(wav(NOISE[RATE : 2 * RATE]))
    (folder / "tasks.yaml").write_text(TASKS)
    beside = {**GOOD, "task": "transcribe"} if any("--tasks" in flag for flag in flags) else GOOD
    taken = {row["id"] for row in rows if isinstance(row, dict) and "id" in row}
    rows = rows if GOOD["id"] in taken else [*rows, beside]
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    (folder / "m.jsonl").write_text(text)
    run = prepare("m.jsonl", output, "--max_rejected_fraction=1", *flags)
    assert run.status == 0, run.stderr
    return run.json["reasons"], run.json["accepted"]


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("reason", "rows", "audio", "flags", "mended_rows", "mended_audio", "mended_flags"),
    CASES,
    ids=[f"{case[0]}-{number}" for number, case in enumerate(CASES)],
)
def test_who_follows_the_remedy_is_accepted(
    tmp_path, prepare, monkeypatch, reason, rows, audio, flags, mended_rows, mended_audio, mended_flags
):
    folder = tmp_path / "manifest's"
    folder.mkdir()
    monkeypatch.chdir(folder)
    found, _ = outcome(folder, prepare, "out", rows, audio, flags)
    assert found.keys() == {reason}
    rows, audio = mended_rows or rows, mended_audio or audio
    flags = flags if mended_flags is None else mended_flags
    assert outcome(folder, prepare, "out2", rows, audio, flags) == ({}, total_of(rows))


def total_of(rows):
    """The rows, and the one beside them unless they bring their own."""
    return len(rows) + all(row["id"] != GOOD["id"] for row in rows if "id" in row)


def test_every_reason_has_a_remedy_that_was_followed():
    assert {case[0] for case in CASES} == REASONS.keys() - ELSEWHERE
