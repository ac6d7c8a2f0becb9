"""Long recordings with times beside them, from files to examples: no sound is lost between clips or heard twice."""

import base64
import io
import json
import shutil
import wave

import numpy as np
import pytest
import soundfile
import soxr

from tests.beam_pipeline.conftest import EXAMPLES, ROWS, examples, ledger
from transforms.storage import Storage

RATE = 16_000
PAUSE = 0.3
SPOKEN = [row for row in ROWS if row["audio_path"].endswith((".wav", ".flac"))][:8]
EXACT = ["--audio_format=wav", "--keep_silence", "--validation_fraction=0"]


def spoken(row):
    sound, rate = soundfile.read(EXAMPLES / row["audio_path"], dtype="float32", always_2d=True)
    mono = soxr.resample(sound.mean(axis=1), rate, RATE)
    return (mono / max(0.01, np.abs(mono).max()) * 16_000).astype(np.int16)


@pytest.fixture(scope="module")
def talk():
    """A recording of several, with pauses of digital silence; and the spans and words of each."""
    silence = np.zeros(round(PAUSE * RATE), np.int16)
    sounds, cues, at = [silence], [], len(silence)
    for index, row in enumerate(SPOKEN):
        words = spoken(row)
        cues.append((at / RATE, (at + len(words)) / RATE, f"w{index}."))
        sounds += [words, silence]
        at += len(words) + len(silence)
    return np.concatenate(sounds), cues


def clock(seconds):
    return f"{int(seconds // 3600):02}:{int(seconds // 60 % 60):02}:{seconds % 60:06.3f}".replace(".", ",")


def srt(cues):
    return "".join(f"{n}\n{clock(a)} --> {clock(b)}\n{text}\n\n" for n, (a, b, text) in enumerate(cues, 1))


def textgrid(cues, seconds):
    bounds = [0.0, *(time for start, end, _ in cues for time in (start, end)), seconds]
    texts = ["", *(part for _, _, text in cues for part in (text, ""))]
    spans = "\n".join(f'{a}\n{b}\n"{text}"' for a, b, text in zip(bounds, bounds[1:], texts, strict=False))
    head = f'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n{seconds}\n<exists>\n1\n'
    return f'{head}"IntervalTier"\n"said"\n0\n{seconds}\n{len(texts)}\n{spans}\n'


def wav(sound, rate=RATE):
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(sound.astype("<i2").tobytes())
    return stream.getvalue()


def clips(output, split="train"):
    """The samples of each example by its text."""
    found = {}
    for example in examples(output, split):
        (user, model) = example["contents"]
        data = base64.b64decode(user["parts"][1]["inline_data"]["data"])
        found[model["parts"][0]["text"]] = soundfile.read(io.BytesIO(data), dtype="int16")[0]
    return found


def number(text):
    return int(text.split(".")[0].lstrip("w"))


def in_order(found):
    return [found[text] for text in sorted(found, key=number)]


@pytest.mark.parametrize(
    ("join", "shift"),
    [
        (["--join_cues=0"], 0.12),
        *(
            pytest.param(join, shift, marks=pytest.mark.sweep)
            for join, shift in [([], 0.0), ([], 0.12), (["--join_cues=0"], 0.0), (["--join_cues=8"], 0.12)]
        ),
    ],
)
def test_clips_beside_one_another_are_the_recording_to_the_sample(tmp_path, prepare, talk, join, shift):
    """With pauses of 0.3 s all clips touch. Times that are a little late change nothing of that."""
    sound, cues = talk
    (tmp_path / "talks").mkdir()
    (tmp_path / "talks/talk.wav").write_bytes(wav(sound))
    late = [(start + shift, min(end + shift, len(sound) / RATE), text) for start, end, text in cues]
    (tmp_path / "talks/talk.srt").write_text(srt(late))
    run = prepare(tmp_path / "talks", tmp_path / "out", *EXACT, *join)
    assert (run.status, run.json["rejected"]) == (0, 0), run.stderr
    found = clips(tmp_path / "out")
    assert " ".join(sorted(found, key=number)) == " ".join(text for _, _, text in cues)
    assert np.concatenate(in_order(found)).tobytes() in sound.tobytes()
    assert (len(found) < len(cues)) == (join != ["--join_cues=0"])


def test_each_cue_has_its_own_words_and_no_others(tmp_path, prepare, talk):
    sound, cues = talk
    (tmp_path / "talks").mkdir()
    (tmp_path / "talks/talk.wav").write_bytes(wav(sound))
    (tmp_path / "talks/talk.TextGrid").write_text(textgrid(cues, len(sound) / RATE))
    run = prepare(tmp_path / "talks", tmp_path / "out", *EXACT, "--join_cues=0", "--verify")
    assert (run.status, run.json["accepted"]) == (0, len(cues)), run.stderr
    found = clips(tmp_path / "out")
    for (start, end, text), row in zip(cues, SPOKEN, strict=True):
        words, samples = spoken(row), found[text]
        loud = np.flatnonzero(words)
        heard = np.flatnonzero(samples)
        assert np.array_equal(samples[heard[0] : heard[-1] + 1], words[loud[0] : loud[-1] + 1])
        assert len(samples) / RATE <= end - start + 2 * 0.5


@pytest.mark.sweep
@pytest.mark.parametrize("form", ["flac", "mp3", "m4a", "ogg"])
def test_recordings_in_other_formats_are_cut_in_their_pauses(tmp_path, prepare, talk, form):
    sound, cues = talk
    (tmp_path / "talks").mkdir()
    (tmp_path / f"talks/talk.{form}").write_bytes(encoded(sound, form, tmp_path))
    (tmp_path / "talks/talk.srt").write_text(srt(cues))
    run = prepare(tmp_path / "talks", tmp_path / "out", *EXACT, "--join_cues=0")
    assert (run.status, run.json["accepted"]) == (0, len(cues)), run.stderr
    for (start, end, _), samples in zip(cues, in_order(clips(tmp_path / "out")), strict=True):
        edges = [samples[: RATE // 200], samples[-RATE // 200 :]]
        assert max(np.abs(edge.astype(int)).mean() for edge in edges) < 0.1 * np.abs(samples.astype(int)).mean()
        assert 0 < len(samples) / RATE - (end - start) < 2 * PAUSE


def encoded(sound, form, folder):
    if form == "m4a":
        import av  # noqa: PLC0415 -- the one format that libsndfile does not write

        path = folder / "x.m4a"
        with av.open(str(path), "w") as container:
            track = container.add_stream("aac", rate=RATE)
            frame = av.AudioFrame.from_ndarray(sound[None], format="s16", layout="mono")
            frame.sample_rate = RATE
            for packet in [*track.encode(frame), *track.encode(None)]:
                container.mux(packet)
        return path.read_bytes()
    stream = io.BytesIO()
    soundfile.write(stream, sound, RATE, format={"flac": "FLAC", "mp3": "MP3", "ogg": "OGG"}[form])
    return stream.getvalue()


def test_a_bucket_gives_what_the_disk_gives_and_a_second_run_reads_nothing(tmp_path, prepare, talk, bucket):
    sound, cues = talk
    storage = Storage()
    whisper = {
        "text": "",
        "segments": [{"start": a, "end": b, "text": f" {text}"} for a, b, text in cues],
        "language": "en",
    }
    for folder in (str(tmp_path), bucket):
        storage.write_bytes(f"{folder}/talks/talk.wav", wav(sound))
        storage.write_bytes(f"{folder}/talks/talk.json", json.dumps(whisper).encode())
    here = prepare(tmp_path / "talks", tmp_path / "out", "--join_cues=8")
    there = prepare(f"{bucket}/talks", f"{bucket}/out", "--join_cues=8")
    assert (here.status, there.status) == (0, 0), there.stderr
    assert here.json["fingerprint"] == there.json["fingerprint"]
    again = prepare(f"{bucket}/talks", f"{bucket}/out", "--join_cues=8")
    assert again.json["reused"] == again.json["accepted"] == here.json["accepted"]
    rows = ledger(tmp_path / "out")
    assert {(row["group"], row["language"]) for row in rows} == {("talk.wav", "en")}
    one = prepare(f"{bucket}/talks/talk.json", tmp_path / "one", "--join_cues=8")
    assert one.json["accepted"] == here.json["accepted"], one.stderr


def test_a_cue_that_is_mended_is_merged_and_the_others_stay(tmp_path, prepare, talk):
    sound, cues = talk
    (tmp_path / "talks").mkdir()
    (tmp_path / "talks/talk.wav").write_bytes(wav(sound))
    wrong = [*cues[:3], (cues[3][0], cues[3][0] - 1, cues[3][2]), *cues[4:]]
    (tmp_path / "talks/talk.srt").write_text(srt(wrong))
    out = tmp_path / "out"
    first = prepare(tmp_path / "talks", out, "--max_rejected_fraction=1", "--join_cues=0", "--tier=x")
    assert (first.json["rejected"], first.json["accepted"]) == (1, len(cues) - 1)
    (line,) = (out / "rejected.jsonl").read_text().splitlines()
    letter = json.loads(line)
    assert letter["reject_source"].endswith("talks/talk.srt:14")
    letter["duration"] = round(cues[3][1] - cues[3][0], 3)
    (tmp_path / "mended.jsonl").write_text(json.dumps(letter) + "\n")
    other = prepare_into(prepare, tmp_path / "mended.jsonl", out, "--join_cues=5")
    assert (other.status, "--join_cues=5.0 contradicts --merge_into" in other.stderr) == (2, True), other.stderr
    merged = prepare_into(prepare, tmp_path / "mended.jsonl", out)
    assert (merged.json["rejected"], merged.json["accepted"]) == (0, len(cues)), merged.stderr


def prepare_into(prepare, manifest, output, *flags):
    return prepare(manifest, output, f"--merge_into={output}", *flags)


def test_an_overlap_that_runs_again_as_it_was_is_refused_again(tmp_path, prepare, talk):
    sound, cues = talk
    (tmp_path / "talks").mkdir()
    (tmp_path / "talks/talk.wav").write_bytes(wav(sound))
    (tmp_path / "talks/talk.srt").write_text(srt([cues[0], (cues[0][0] + 0.2, cues[0][1] + 0.2, "other"), *cues[2:]]))
    prepare(tmp_path / "talks", tmp_path / "out", "--max_rejected_fraction=1")
    shutil.copy(tmp_path / "out/rejected.jsonl", tmp_path / "again.jsonl")
    run = prepare(tmp_path / "again.jsonl", tmp_path / "more", "--max_rejected_fraction=1")
    assert run.json["reasons"] == {"overlapping_cues": 2}, run.stderr


def test_a_cue_beyond_the_recordings_end_is_a_reason_and_a_little_is_not(tmp_path, prepare, talk):
    sound, cues = talk
    (tmp_path / "talks").mkdir()
    (tmp_path / "talks/talk.wav").write_bytes(wav(sound))
    end = len(sound) / RATE
    (tmp_path / "talks/talk.srt").write_text(
        srt([*cues[:-1], (cues[-1][0], end + 0.2, "w7."), (end + 3, end + 4, "gone")])
    )
    run = prepare(tmp_path / "talks", tmp_path / "out", "--max_rejected_fraction=1", "--join_cues=0")
    assert run.json["reasons"] == {"too_short": 1}, run.stderr
    assert run.json["accepted"] == len(cues)


def test_a_long_recording_without_times_says_what_would_be_needed(tmp_path, prepare):
    (tmp_path / "talks").mkdir()
    (tmp_path / "talks/talk.wav").write_bytes(wav(np.random.default_rng(1).integers(-9_000, 9_000, 95 * RATE)))
    (tmp_path / "talks/talk.txt").write_text("all that is said")
    run = prepare(tmp_path / "talks", tmp_path / "out", "--max_rejected_fraction=1")
    report = json.loads((tmp_path / "out/report.json").read_text())["reasons"]["too_long"]
    assert "put a file with times beside it: subtitles (NAME.srt, NAME.vtt)" in report["remedy"]
    assert "NAME.srt" in run.stderr


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--join_cues=-1"], "--join_cues"),
        (["--join_cues=nan"], "--join_cues"),
        (["--tier="], "--tier"),
    ],
)
def test_flags_that_say_nothing_are_refused(tmp_path, prepare, flags, told):
    run = prepare(tmp_path / "talks", tmp_path / "out", *flags)
    assert run.status == 2
    assert told in run.stderr


NAMED = (
    "wav,transcript,client_id,duration\nclips/talk.wav,subs/talk.srt,anna,14\nclips/short.wav,subs/short.txt,bob,1\n"
)


def test_rows_may_name_the_file_that_says_what_is_said(tmp_path, prepare, talk):
    sound, cues = talk
    for name, content in {
        "clips/talk.wav": wav(sound),
        "clips/short.wav": wav(spoken(SPOKEN[0])),
        "subs/talk.srt": srt([*cues[:-1], (0, 1, "early")]).encode(),
        "subs/short.txt": b"all of it\n",
        "m.csv": f"{NAMED}clips/short.wav,subs/gone.srt,eve,1\nclips/short.wav,../../etc/x.srt,eve,1\n".encode(),
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    flags = "--join_cues=0", "--max_rejected_fraction=1", "--validation_fraction=0"
    run = prepare(tmp_path / "m.csv", tmp_path / "out", *flags)
    assert run.json["reasons"] == {"not_found": 1, "overlapping_cues": 1, "path_not_allowed": 1}, run.stderr
    assert sorted(clips(tmp_path / "out")) == ["all of it", *(text for _, _, text in cues[:-1])]
    found = {row["clip_id"]: (row["source"].rpartition("/m.csv")[2], row["group"]) for row in ledger(tmp_path / "out")}
    assert found["clips/talk@0.3+1.161"] == ("/2/talk.srt:2", "anna")
    assert found["clips/short.wav"] == (":3", "bob")
    letters = [json.loads(line) for line in (tmp_path / "out/rejected.jsonl").read_text().splitlines()]
    assert {letter["reject_root"] for letter in letters} == {str(tmp_path)}
    shutil.copy(tmp_path / "out/rejected.jsonl", tmp_path / "again.jsonl")
    again = prepare(tmp_path / "again.jsonl", tmp_path / "more", *flags)
    assert (again.json["accepted"], again.json["rejected"]) == (0, 3), again.stderr


@pytest.mark.parametrize("text", ["readme.txt", "config.json", "it is in talk.srt, I said", "a.b"])
def test_a_text_that_only_looks_like_a_file_is_said(tmp_path, prepare, text):
    (tmp_path / "a.wav").write_bytes(wav(spoken(SPOKEN[0])))
    (tmp_path / "m.jsonl").write_text(json.dumps({"audio": "a.wav", "text": text}) + "\n")
    run = prepare(tmp_path / "m.jsonl", tmp_path / "out")
    assert (run.status, run.json["accepted"]) == (0, 1), run.stderr
