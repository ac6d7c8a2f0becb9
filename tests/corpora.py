"""Corpora in their documented layouts, and manifests by the tools that write them: what is to be read as it lies."""

from __future__ import annotations

import csv
import datetime
import functools
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openpyxl  # type: ignore[import-untyped]
import pandas as pd
import soundfile

SPEECH = Path(__file__).parents[1] / "examples/clips/whisper_jfk/jfk.flac"
SECONDS = 0.8


@dataclass(frozen=True)
class Expected:
    """A row as it must be read.

    Attributes:
      source: its place, below the folder of its corpus.
      text: the target.
      split: that it names; "" for none.
      group: likewise.
      language: likewise.
      offset: seconds from the start of its recording; None for all of it.
      duration: seconds of the segment.
      channel: likewise.
    """

    source: str
    text: str
    split: str = ""
    group: str = ""
    language: str = ""
    offset: float | None = None
    duration: float | None = None
    channel: int | None = None


@dataclass(frozen=True)
class Corpus:
    """What a tool or the makers of a corpus write.

    Attributes:
      write: into an empty folder.
      manifests: what to name; "" for the folder itself.
      title: what it is read as.
      rows: that become clips.
      columns: how many are told.
      flags: besides; "{}" in them is its folder.
      rejected: reasons by the places of other rows.
      again: whether another one has the same clips.
      form: the row of `FORMATS` that it proves.
    """

    form: str
    write: Callable[[Path], object]
    manifests: tuple[str, ...]
    title: str
    columns: int
    rows: tuple[Expected, ...]
    flags: tuple[str, ...] = ()
    rejected: tuple[tuple[str, str], ...] = ()
    again: bool = False


@functools.cache
def _speech() -> tuple[np.ndarray, int]:
    samples, rate = soundfile.read(SPEECH, dtype="int16", always_2d=True)
    return samples[:, 0], rate


_taken = iter(range(10_000))


def speech(path: Path, seconds: float = SECONDS, channels: int = 1) -> Path:
    """A recording of speech that no other one is equal to."""
    samples, rate = _speech()
    each = []
    for _ in range(channels):
        start = (next(_taken) * 1_500) % (len(samples) - int(seconds * rate))
        each.append(samples[start : start + int(seconds * rate)])
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.stack(each, axis=1), rate, format="OGG" if path.suffix == ".opus" else None)
    return path


def put(path: Path, text: str, encoding: str = "utf-8") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))


def tsv(*rows: tuple[object, ...]) -> str:
    return "".join("\t".join(map(str, row)) + "\n" for row in rows)


_VOICE = ("client_id", "path", "sentence_id", "sentence", "up_votes", "age", "gender", "locale", "segment")


def common_voice(folder: Path) -> None:
    """As Mozilla packs it: tables, and clips/ beside them."""
    spoken = {"train": ['He said "yes".', "Two."], "dev": ["Drei?"], "test": ["Vier, fünf."]}
    every = []
    for part, sentences in spoken.items():
        rows = []
        for number, sentence in enumerate(sentences):
            name = f"common_voice_de_{part}{number}.mp3"
            speech(folder / "clips" / name)
            rows.append((f"{part}speaker", name, "0a", sentence, 2, "", "", "de", ""))
        put(folder / f"{part}.tsv", tsv(_VOICE, *rows))
        every += rows
    put(folder / "validated.tsv", tsv(_VOICE, *every))
    put(
        folder / "reported.tsv", tsv(("sentence_id", "sentence", "locale", "reason"), ("0a", "Two.", "de", "offensive"))
    )


def spontaneous(folder: Path) -> None:
    header = ("client_id", "audio_id", "audio_file", "duration_ms", "prompt_id", "prompt", "transcription", "language")
    speech(folder / "audios/spontaneous-speech-en-1.mp3")
    row = ("anna", "1", "spontaneous-speech-en-1.mp3", "800", "7", "What did you eat?", "Well, soup.", "en")
    put(folder / "ss-corpus-en.tsv", tsv(header, row))


def deepspeech(folder: Path) -> None:
    path = speech(folder / "clips/a.wav")
    speech(folder / "clips/b.wav")
    rows = [("clips/a.wav", path.stat().st_size, 'one, "two"'), ("clips/b.wav", 1, "three")]
    with (folder / "train.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("wav_filename", "wav_filesize", "transcript"), *rows])


def speechbrain(folder: Path) -> None:
    speech(folder / "data/S1/a.wav")
    rows = [("ID", "duration", "wav", "spk_id", "wrd"), ("a", "0.8", "$data_root/S1/a.wav", "S1", "GOOD EVENING")]
    with (folder / "train.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([*rows, ("b", "1.0", "$other/b.wav", "S1", "NOBODY KNOWS")])


def fleurs(folder: Path) -> None:
    for part, text in (("train", "Ein Tornado."), ("dev", "Zwei „Tornados“."), ("test", "Drei")):
        speech(folder / f"audio/{part}/1{part}.wav")
        row = (903, f"1{part}.wav", text, text.lower().strip("."), "e | i n", 12_800, "FEMALE")
        put(folder / f"{part}.tsv", tsv(row))


def librispeech(folder: Path) -> None:
    for part, speaker in (("train-clean-100", 84), ("dev-clean", 85), ("test-other", 86)):
        chapter = folder / part / str(speaker) / "121"
        for index in range(2 if speaker == 84 else 1):
            speech(chapter / f"{speaker}-121-{index:04}.flac")
        lines = [f"{speaker}-121-{index:04} TEXT {index} OF {speaker}\n" for index in range(2 if speaker == 84 else 1)]
        put(chapter / f"{speaker}-121.trans.txt", "".join(lines))
    put(folder / "SPEAKERS.TXT", "; some words\n84 | F | train-clean-100 | 25.0 | Anna\n")


def mls(folder: Path) -> None:
    for part, speaker in (("train", 10), ("dev", 11), ("test", 12)):
        key = f"{speaker}_20_000000"
        speech(folder / part / f"audio/{speaker}/20/{key}.flac")
        put(folder / part / "transcripts.txt", f"{key}\tder text von {part}\n")
        put(folder / part / "segments.txt", f"{key}\thttp://www.archive.org/book.mp3\t401.76\t417.57\n")
    put(folder / "metainfo.txt", "SPEAKER | GENDER\n10 | F\n")


def vctk(folder: Path) -> None:
    for key, microphones in (("001", ("mic1", "mic2")), ("002", ("mic2",)), ("003", ("mic1",))):
        for microphone in microphones:
            speech(folder / f"wav48_silence_trimmed/p225/p225_{key}_{microphone}.flac")
        if key != "003":
            put(folder / f"txt/p225/p225_{key}.txt", f"Please call Stella {key}.\n")
    put(folder / "speaker-info.txt", "ID  AGE  GENDER\np225  23  F\n")


def aishell(folder: Path) -> None:
    for part, speaker in (("train", "S0002"), ("test", "S0764")):
        speech(folder / f"wav/{part}/{speaker}/BAC009{speaker}W0122.wav")
    put(folder / "transcript/aishell_transcript_v0.8.txt", "BAC009S0002W0122 而 对 楼市\nBAC009S0764W0122 甚至 出现\n")
    put(folder / "resource_aishell/speaker.info", "0002 F\n")


def kaldi(folder: Path) -> None:
    speech(folder / "a.wav")
    put(folder / "wav.scp", "u1 a.wav\n")
    put(folder / "text", "u1 hello there\n")
    put(folder / "utt2spk", "u1 anna\n")


def pairs(folder: Path) -> None:
    speech(folder / "pair.wav")
    put(folder / "pair.txt", "hello again\n")


def ljspeech(folder: Path) -> None:
    for key in ("LJ001-0001", "LJ001-0002"):
        speech(folder / f"wavs/{key}.wav")
    put(folder / "metadata.csv", "LJ001-0001|In 1455, he said.|In fourteen, he said.\nLJ001-0002|Not so.|Not so.\n")


def listed(name: str, text: Callable[[list[dict[str, str]]], bytes]) -> Callable[[Path], None]:
    """A plain table of two recordings."""

    def write(folder: Path) -> None:
        own = next(_taken)
        rows = [{"audio": f"{own}{key}.wav", "text": f"text, {key}", "lang": "en"} for key in ("a", "b")]
        for row in rows:
            speech(folder / row["audio"])
        (folder / name).write_bytes(text(rows))

    return write


def as_csv(rows: list[dict[str, str]], **options: str) -> bytes:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(rows[0]), **options)  # type: ignore[arg-type]
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()


def as_parquet(rows: list[dict[str, str]]) -> bytes:
    file = io.BytesIO()
    pd.DataFrame(rows).to_parquet(file)
    return file.getvalue()


def as_pandas_csv(rows: list[dict[str, str]]) -> bytes:
    return bytes(pd.DataFrame(rows).to_csv(index=False).encode())


def _plain(name: str, line: int = 1) -> tuple[Expected, ...]:
    return tuple(
        Expected(f"{name}:{number}", f"text, {key}", language="en") for number, key in enumerate("ab", start=line)
    )


def gigaspeech(folder: Path) -> None:
    speech(folder / "audio/podcast/P0000/POD1.opus", 4)
    speech(folder / "audio/youtube/P0001/YOU1.opus", 2)
    segments = [
        {"sid": "POD1_S0", "speaker": "N/A", "begin_time": 0.5, "end_time": 1.5,
         "text_tn": "WELL <COMMA> HELLO <PERIOD>", "subsets": ["{XL}"]},
        {"sid": "POD1_S1", "speaker": "N/A", "begin_time": 2.0, "end_time": 3.25, "text_tn": "<MUSIC>", "subsets": []},
    ]  # fmt: skip
    other = {
        "sid": "YOU1_S0",
        "speaker": "N/A",
        "begin_time": 0.25,
        "end_time": 1.75,
        "text_tn": "REALLY <QUESTIONMARK>",
    }
    audios = [
        {"title": "A talk", "url": "http://x/y.mp3", "path": "audio/podcast/P0000/POD1.opus", "aid": "POD1",
         "source": "Podcast", "duration": 4.0, "subsets": ["{XL}"], "segments": segments},
        {"title": "B", "url": "http://x/z", "path": "audio/youtube/P0001/YOU1.opus", "aid": "YOU1",
         "source": "YouTube", "duration": 2.0, "subsets": ["{DEV}"], "segments": [other]},
    ]  # fmt: skip
    tree = {"dataset": "GigaSpeech", "language": "EN", "version": "1.0.0", "audios": audios}
    put(folder / "GigaSpeech.json", json.dumps(tree, indent=2))


def json_list(folder: Path) -> None:
    rows = [{"audio": speech(folder / f"list{key}.wav").name, "text": f"text, {key}", "lang": "en"} for key in "ab"]
    tree = {"info": {"tags": ["x", "[{"], "empty": []}, "version": 2, "result": {"rows": rows}, "more": [1, [2]]}
    put(folder / "m.json", json.dumps(tree, indent=1))


def json_map(folder: Path) -> None:
    rows = {
        f"map{key}": {
            "wav": "{data_root}/" + speech(folder / f"map{key}.wav").name,
            "words": f"text, {key}",
            "spk_id": "1",
        }
        for key in "ab"
    }
    put(folder / "train.json", json.dumps(rows, indent=2))


def json_objects(folder: Path) -> None:
    rows = [{"audio": speech(folder / f"objects{key}.wav").name, "text": f"text, {key}", "lang": "en"} for key in "ab"]
    put(folder / "m.json", "\n".join(json.dumps(row, indent=2) for row in rows))


AS_WRITTEN = Path(__file__).with_name("as_written")


def lhotse(*files: str) -> Callable[[Path], None]:
    """What `tests/as_written/write_lhotse.py` has written."""

    def write(folder: Path) -> None:
        speech(folder / "mono.wav", 5)
        speech(folder / "call.wav", 6, channels=2)
        for file in files:
            (folder / file).write_bytes((AS_WRITTEN / "lhotse" / file).read_bytes())

    return write


def _lhotse(*places: str) -> tuple[Expected, ...]:
    return (
        Expected(places[0], "hello there", group="anna", language="en", offset=0.5, duration=1.25),
        Expected(places[1], "who is there", group="bert", offset=0, duration=2, channel=0),
        Expected(places[2], "me", group="carl", offset=1, duration=2, channel=1),
        Expected(places[3], "both", group="call.wav", offset=3, duration=2),
    )


def label_studio(folder: Path) -> None:
    """Tasks with regions, with a text of the whole recording, and without any."""
    speech(folder / "media/upload/1/ab12-long call.wav", 4)
    speech(folder / "media/upload/1/cd34-short.wav")

    def task(number: int, name: str, *results: dict[str, object], **more: object) -> dict[str, object]:
        annotation = {"id": number, "was_cancelled": False, "ground_truth": False, "result": list(results), **more}
        skipped = {"id": 90 + number, "was_cancelled": True, "result": []}
        data = {"audio": f"/data/upload/1/{name}", "topic": "weather"}
        return {"id": number, "annotations": [annotation, skipped], "predictions": [], "data": data, "project": 1}

    def said(region: str, kind: str, **value: object) -> dict[str, object]:
        return {"id": region, "type": kind, "from_name": kind, "to_name": "audio", "value": value}

    tasks = [
        task(
            1,
            "ab12-long%20call.wav",
            said("r2", "labels", start=2.5, end=3.5, channel=0, labels=["Speaker 2"]),
            said("r2", "textarea", start=2.5, end=3.5, channel=0, text=["Second words."]),
            said("r1", "labels", start=0.5, end=1.5, channel=0, labels=["Speaker 1"]),
            said("r1", "textarea", start=0.5, end=1.5, channel=0, text=["First words."]),
        ),
        task(2, "cd34-short.wav", said("t", "textarea", text=["All of it."])),
        task(3, "cd34-short.wav"),
    ]
    put(folder / "project-1.json", json.dumps(tasks))


def label_studio_csv(folder: Path) -> None:
    """As its CSV export has it: what is a list is JSON in a cell."""
    speech(folder / "sounds/set/one.wav", 3)
    speech(folder / "sounds/set/two.wav")
    header = ["audio", "id", "transcription", "annotator", "annotation_id", "created_at", "updated_at", "lead_time"]
    regions = [{"start": 0.5, "end": 1.25, "channel": 0, "text": ["In a region."]}]
    rows = [
        ["/data/local-files/?d=set/one.wav", 7, json.dumps(regions), 1, 70, "2024-05-01", "2024-05-01", 12.5],
        ["/data/local-files/?d=set/two.wav", 8, "A text, with a comma.", 1, 71, "2024-05-01", "2024-05-01", 3.5],
        ["/data/local-files/?d=set/two.wav", 9, json.dumps(["One.", "Two."]), 1, 72, "2024-05-01", "2024-05-01", 3.5],
    ]
    with (folder / "export.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def xlsx(folder: Path) -> None:
    """A workbook with a sheet of notes, and one with numbers, times and empty rows."""
    speech(folder / "sheet.wav", 3)
    speech(folder / "sheet2.wav")
    book = openpyxl.Workbook()
    book.active.title = "Notes"
    book.active["B2"] = "Made by hand"
    sheet = book.create_sheet("Clips")
    sheet.append(["audio", "text", "speaker", "start", "duration"])
    sheet.append(["sheet.wav", "text, a", 7, datetime.time(0, 0, 1), 1.5])
    sheet.append([])
    sheet.append(["sheet2.wav", "text, b", 8.0])
    book.save(folder / "clips.xlsx")


CORPORA = {
    "JSONL": Corpus(
        "jsonl",
        listed("m.jsonl", lambda rows: "".join(json.dumps(row) + "\n" for row in rows).encode()),
        ("m.jsonl",),
        "JSONL",
        3,
        _plain("m.jsonl"),
    ),
    "JSON array": Corpus(
        "json_array",
        listed("m.json", lambda rows: json.dumps(rows, indent=1).encode()),
        ("m.json",),
        "JSON array",
        3,
        _plain("m.json"),
    ),
    "CSV by pandas": Corpus("csv", listed("m.csv", as_pandas_csv), ("m.csv",), "CSV", 3, _plain("m.csv", 2)),
    "CSV with semicolons": Corpus(
        "semicolon",
        listed("m.csv", lambda rows: as_csv(rows, delimiter=";")),
        ("m.csv",),
        "CSV with semicolons",
        3,
        _plain("m.csv", 2),
    ),
    "TSV in UTF-16": Corpus(
        "tsv",
        listed("m.tsv", lambda rows: as_csv(rows, delimiter="\t").decode().encode("utf-16")),
        ("m.tsv",),
        "TSV, UTF-16",
        3,
        _plain("m.tsv", 2),
    ),
    "Parquet by pandas": Corpus(
        "parquet", listed("m.parquet", as_parquet), ("m.parquet",), "Parquet", 3, _plain("m.parquet")
    ),
    "LJSpeech": Corpus(
        "pipe",
        ljspeech,
        ("metadata.csv",),
        "cells between |",
        3,
        (
            Expected("metadata.csv:1", "In fourteen, he said."),
            Expected("metadata.csv:2", "Not so."),
        ),
    ),
    "Kaldi": Corpus("kaldi", kaldi, ("",), "Kaldi folder", 4, (Expected("wav.scp:1", "hello there", group="anna"),)),
    "pairs": Corpus(
        "pairs", pairs, ("",), "folder of recordings with texts beside them", 3, (Expected(":1", "hello again"),)
    ),
    "Common Voice, one table": Corpus(
        "common_voice",
        common_voice,
        ("validated.tsv",),
        "Common Voice (TSV)",
        9,
        (
            Expected("validated.tsv:2", 'He said "yes".', group="trainspeaker", language="de"),
            Expected("validated.tsv:3", "Two.", group="trainspeaker", language="de"),
            Expected("validated.tsv:4", "Drei?", group="devspeaker", language="de"),
            Expected("validated.tsv:5", "Vier, fünf.", group="testspeaker", language="de"),
        ),
        again=True,
    ),
    "Common Voice, spontaneous": Corpus(
        "common_voice_spontaneous",
        spontaneous,
        ("ss-corpus-en.tsv",),
        "Common Voice, spontaneous speech (TSV)",
        8,
        (Expected("ss-corpus-en.tsv:2", "Well, soup.", group="anna", language="en"),),
    ),
    "Common Voice, the folder": Corpus(
        "common_voice_folder",
        common_voice,
        ("",),
        "Common Voice",
        10,
        (
            Expected("train.tsv:2", 'He said "yes".', "train", "trainspeaker", "de"),
            Expected("train.tsv:3", "Two.", "train", "trainspeaker", "de"),
            Expected("dev.tsv:2", "Drei?", "validation", "devspeaker", "de"),
            Expected("test.tsv:2", "Vier, fünf.", "test", "testspeaker", "de"),
        ),
    ),
    "DeepSpeech": Corpus(
        "deepspeech",
        deepspeech,
        ("train.csv",),
        "DeepSpeech (CSV)",
        3,
        (Expected("train.csv:2", 'one, "two"'), Expected("train.csv:3", "three")),
    ),
    "SpeechBrain": Corpus(
        "speechbrain",
        speechbrain,
        ("train.csv",),
        "SpeechBrain (CSV)",
        5,
        (Expected("train.csv:2", "GOOD EVENING", group="S1"),),
        flags=("--audio_root={}/data",),
        rejected=(("train.csv:3", "not_a_path"),),
    ),
    "FLEURS, one table": Corpus(
        "fleurs", fleurs, ("dev.tsv",), "FLEURS (TSV)", 7, (Expected("dev.tsv:1", "zwei „tornados“"),), again=True
    ),
    "FLEURS, the folder": Corpus(
        "fleurs_folder",
        fleurs,
        ("",),
        "FLEURS",
        8,
        (
            Expected("train.tsv:1", "ein tornado", "train"),
            Expected("dev.tsv:1", "zwei „tornados“", "validation"),
            Expected("test.tsv:1", "drei", "test"),
        ),
    ),
    "LibriSpeech": Corpus(
        "librispeech",
        librispeech,
        ("",),
        "LibriSpeech",
        5,
        (
            Expected("dev-clean/85/121/85-121.trans.txt:1", "TEXT 0 OF 85", "validation", "85"),
            Expected("test-other/86/121/86-121.trans.txt:1", "TEXT 0 OF 86", "test", "86"),
            Expected("train-clean-100/84/121/84-121.trans.txt:1", "TEXT 0 OF 84", "train", "84"),
            Expected("train-clean-100/84/121/84-121.trans.txt:2", "TEXT 1 OF 84", "train", "84"),
        ),
    ),
    "MLS": Corpus(
        "mls",
        mls,
        ("",),
        "MLS",
        5,
        (
            Expected("dev/transcripts.txt:1", "der text von dev", "validation", "11"),
            Expected("test/transcripts.txt:1", "der text von test", "test", "12"),
            Expected("train/transcripts.txt:1", "der text von train", "train", "10"),
        ),
    ),
    "VCTK": Corpus(
        "vctk",
        vctk,
        ("",),
        "VCTK",
        4,
        (
            Expected("txt/p225/p225_001.txt:1", "Please call Stella 001.", group="p225"),
            Expected("txt/p225/p225_002.txt:1", "Please call Stella 002.", group="p225"),
        ),
        rejected=(("wav48_silence_trimmed/p225/p225_003_mic1.flac:1", "missing_text"),),
    ),
    "AISHELL": Corpus(
        "aishell",
        aishell,
        ("",),
        "AISHELL",
        5,
        (
            Expected("transcript/aishell_transcript_v0.8.txt:1", "而 对 楼市", "train", "S0002"),
            Expected("transcript/aishell_transcript_v0.8.txt:2", "甚至 出现", "test", "S0764"),
        ),
    ),
    "a list in a JSON object": Corpus(
        "json_list", json_list, ("m.json",), "list in a JSON object", 3, _plain("m.json")
    ),
    "a JSON object of rows, by SpeechBrain": Corpus(
        "json_map",
        json_map,
        ("train.json",),
        "SpeechBrain (JSON object of rows)",
        4,
        tuple(Expected(f"train.json:{n}", f"text, {key}", group="1") for n, key in enumerate("ab", 1)),
    ),
    "JSON objects": Corpus("json_objects", json_objects, ("m.json",), "JSON objects", 3, _plain("m.json")),
    "GigaSpeech": Corpus(
        "gigaspeech",
        gigaspeech,
        ("GigaSpeech.json",),
        "GigaSpeech (list in a JSON object)",
        10,
        (
            Expected("GigaSpeech.json:1.1", "WELL, HELLO.", "train", "POD1", offset=0.5, duration=1.0),
            Expected("GigaSpeech.json:2", "REALLY?", "validation", "YOU1", offset=0.25, duration=1.5),
        ),
        rejected=(("GigaSpeech.json:1.2", "missing_text"),),
    ),
    "Lhotse's cuts": Corpus(
        "lhotse_cuts",
        lhotse("cuts.jsonl.gz"),
        ("cuts.jsonl.gz",),
        "Lhotse cuts (JSONL)",
        11,
        _lhotse("cuts.jsonl.gz:1", "cuts.jsonl.gz:2.1", "cuts.jsonl.gz:2.2", "cuts.jsonl.gz:2.3"),
        again=True,
    ),
    "Lhotse's cuts before training": Corpus(
        "lhotse_cuts",
        lhotse("odd.jsonl"),
        ("odd.jsonl",),
        "Lhotse cuts (JSONL)",
        10,
        _lhotse("odd.jsonl:3", "", "", "")[:1],
        rejected=(("odd.jsonl:1", "bad_field"), ("odd.jsonl:2", "bad_field")),
        again=True,
    ),
    "Lhotse's supervisions": Corpus(
        "lhotse_supervisions",
        lhotse("supervisions.jsonl.gz", "recordings.jsonl.gz"),
        ("supervisions.jsonl.gz",),
        "Lhotse supervisions (JSONL)",
        11,
        _lhotse(*(f"supervisions.jsonl.gz:{line}" for line in range(1, 5))),
        again=True,
    ),
    "a folder of Lhotse": Corpus(
        "lhotse_folder",
        lhotse("supervisions.jsonl.gz", "recordings.jsonl.gz", "cuts.jsonl.gz"),
        ("",),
        "Lhotse",
        11,
        _lhotse(*(f"supervisions.jsonl.gz:{line}" for line in range(1, 5))),
    ),
    "Label Studio": Corpus(
        "label_studio",
        label_studio,
        ("project-1.json",),
        "Label Studio (JSON array)",
        8,
        (
            Expected("project-1.json:1.1", "First words.", group="upload/1/ab12-long call.wav", offset=0.5, duration=1),
            Expected(
                "project-1.json:1.2", "Second words.", group="upload/1/ab12-long call.wav", offset=2.5, duration=1
            ),
            Expected("project-1.json:2", "All of it."),
        ),
        flags=("--audio_root={}/media",),
        rejected=(("project-1.json:3", "missing_text"),),
    ),
    "Label Studio, CSV": Corpus(
        "label_studio_table",
        label_studio_csv,
        ("export.csv",),
        "Label Studio, a row for each annotation (CSV)",
        11,
        (
            Expected("export.csv:2", "In a region.", group="set/one.wav", offset=0.5, duration=0.75),
            Expected("export.csv:3", "A text, with a comma."),
        ),
        flags=("--audio_root={}/sounds",),
        rejected=(("export.csv:4", "bad_field"),),
    ),
    "Excel": Corpus(
        "xlsx",
        xlsx,
        ("clips.xlsx",),
        "Excel",
        5,
        (
            Expected("clips.xlsx:2", "text, a", group="7", offset=1, duration=1.5),
            Expected("clips.xlsx:4", "text, b", group="8"),
        ),
    ),
}
