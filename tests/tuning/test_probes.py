"""Asked about sounds in which nobody speaks: as the dataset asks, priced before, once, and every word is invented."""

import json

import pytest

from tests.tuning.conftest import prepare
from tests.tuning.test_evaluate import RUN, Told, answered, noted
from transforms.audio import probes as sounds
from transforms.audio.probes import KINDS
from transforms.errors import UsageError, UserError
from transforms.settings import LABELS, Task
from transforms.storage import Storage
from tuning import dataset, evaluate, predict, predictions, probes, questions, tune
from tuning.evaluation import silence
from tuning.evaluation.silence import Silence
from tuning.jobs.clock import Clock
from tuning.predictions import Prediction
from tuning.providers.vertex import rows
from tuning.requests import EvaluateRequest, PredictRequest, TuneRequest

NO_TIME = Clock(lambda: 0.0, lambda seconds: None)
TEXTS = {"hear": Task("hear", "Write it down.", system_instruction="Be brief."), "again": Task("again", "Once more.")}
LANGUAGE = Task("language", "Which language?", LABELS, ("en", "de"))


def made(tmp_path, **settings):
    return dataset.load(str(prepare(tmp_path, **settings)), Storage())


def told_by(prepared, name, folder, says):
    """Writes answers about all probes, as `predict` does; None for no answer."""
    lines = [
        predictions.dump(Prediction(probe.clip_id, "", "", text, "STOP", name, probe.digest))
        for probe in probes.of(prepared)
        if (text := says(probe)) is not None
    ]
    uri = prepared.tuning_uri(f"{folder}predictions-probe_silence-{name}.jsonl")
    prepared.storage.write_bytes(uri, b"".join(lines))


def asked_with(prepared):
    return {(probe.prompt, probe.system_instruction) for probe in probes.of(prepared)}


def test_there_is_every_sound_in_every_length_that_a_clip_may_have(prepared):
    found = probes.of(prepared)
    assert [(probe.kind, probe.seconds) for probe in found] == [
        (kind, seconds) for seconds in (1.0, 3.0, 10.0, 30.0) for kind in KINDS
    ]
    assert len({probe.clip_id for probe in found}) == len({probe.digest for probe in found}) == 28
    assert found[1].clip_id == "room_noise 1 s"


@pytest.mark.parametrize(
    ("max_duration", "lengths"), [(0.5, {0.5}), (1.0, {1.0}), (9.9, {1.0, 3.0}), (600.0, {1.0, 3.0, 10.0, 30.0})]
)
def test_none_is_longer_than_a_clip_may_be(tmp_path, max_duration, lengths):
    prepared = made(tmp_path, count=3, max_duration=max_duration)
    assert {probe.seconds for probe in probes.of(prepared)} == lengths


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"prompt": "What is said?", "json_names": "camelCase", "audio_format": "wav"},
        {"audio_format": "mp3", "bitrate": 32},
        {"audio_part": "uri", "audio_uri": "gs://nobody/audio"},  # nothing is uploaded: the question has the sound
        {"max_example_bytes": 20_000},
    ],
)
def test_a_question_is_what_a_clip_with_this_sound_would_be(tmp_path, settings):
    prepared = made(tmp_path, count=3, **settings)
    probe = next(probe for probe in probes.of(prepared) if probe.kind == "pink_noise")
    assert len(probe.line()) > settings.get("max_example_bytes", 0)
    lines = prepared.storage.read_bytes(f"{prepared.uri}/{prepared.splits['train'][0].path}").splitlines()
    own = rows.example(lines[0])
    asked = rows.example(probe.line())
    prompts = [[part.text for part in found.contents[0].parts if part.text] for found in (own, asked)]
    assert prompts[0] == prompts[1] == [prepared.settings["prompt"]]
    assert asked.contents[0].parts[1].inline_data.mime_type.startswith("audio/")
    assert probe.line() == probe.line()


def test_a_dataset_whose_rows_bring_their_prompts_is_asked_with_the_most_frequent_one(prepared, monkeypatch):
    system = {"parts": [{"text": "Be "}, {"text": "brief."}]}
    line = {"contents": [{"parts": [{"text": "Mine."}]}], "systemInstruction": system}
    other = {"contents": [{"parts": [{"text": "Other."}]}]}
    lines = [json.dumps(tree).encode() for tree in (other, line, line)]
    monkeypatch.setattr(questions, "examples", lambda *_: (({}, line) for line in lines))
    assert asked_with(prepared) == {("Mine.", "Be brief.")}
    monkeypatch.setattr(questions, "examples", lambda *_: iter(()))
    assert asked_with(prepared) == {(prepared.settings["prompt"], "")}


def test_only_tasks_whose_answers_are_texts_are_asked_about(tmp_path):
    prepared = made(tmp_path, count=3, tasks=(TEXTS["hear"], LANGUAGE))
    found = probes.of_task(prepared, "")
    assert {(probe.task, probe.prompt, probe.system_instruction) for probe in found} == {
        ("hear", "Write it down.", "Be brief.")
    }
    assert found[0].clip_id == "digital_silence 1 s hear"
    for task in ("language", "x"):
        with pytest.raises(UsageError, match=f"task must be one of hear, got '{task}'"):
            probes.of_task(prepared, task)


def test_of_several_tasks_one_must_be_named_and_all_are_evaluated(tmp_path):
    prepared = made(tmp_path, count=3, tasks=tuple(TEXTS.values()))
    with pytest.raises(UsageError, match="task must be one of hear, again, got ''"):
        probes.of_task(prepared, "")
    assert {probe.task for probe in probes.of_task(prepared, "again")} == {"again"}
    assert {probe.task for probe in probes.of(prepared)} == {"hear", "again"}


def test_a_dataset_without_a_task_for_texts_says_so(tmp_path):
    prepared = made(tmp_path, count=3, tasks=(LANGUAGE,))
    with pytest.raises(UsageError, match="task must be one of none: the dataset has no task whose answers are texts"):
        probes.of_task(prepared, "")


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"audio": ("a.wav",)}, "probe_silence asks about sounds of its own; leave audio out"),
        ({"prompt": "x"}, "prompt needs audio"),
        ({"system_instruction": "x"}, "system_instruction needs audio"),
    ],
)
def test_a_request_that_cannot_be_is_refused(fields, rule):
    with pytest.raises(UsageError, match=rule):
        PredictRequest("out", probe_silence=True, **fields)


def test_from_the_question_to_the_table_against_the_emulator(out, url, monkeypatch):
    """Priced before, kept, and never asked twice."""
    monkeypatch.setattr(probes, "LENGTHS", (1.0, 3.0))
    tune.run(TuneRequest(str(out), api_endpoint=url, project="p"), clock=NO_TIME)

    def asked(**fields):
        told = Told()
        request = PredictRequest(str(out), api_endpoint=url, probe_silence=True, **fields)
        return predict.run(request, told, clock=NO_TIME), told.lines

    with pytest.raises(UserError, match="max_cost must be at least the upper bound"):
        asked(max_cost=0.000001)
    report, lines = asked(limit=3)
    assert (report.split, report.predictions, report.asked) == ("probe_silence", 3, 3)
    assert any(line.startswith("asking 3 questions: about $") for line in lines)
    report, lines = asked()
    assert (report.predictions, report.asked) == (14, 11)
    assert any(line.startswith("asking 11 questions: about $") for line in lines)
    report, lines = asked()
    assert (report.predictions, report.asked, report.cost) == (14, 0, 0)
    assert not any(line.startswith("asking") for line in lines)
    base, _ = asked(model="base", limit=7)
    assert base.file.endswith("tuning/predictions-probe_silence-gemini-3.1-flash-lite.jsonl")

    predict.run(PredictRequest(str(out), api_endpoint=url), clock=NO_TIME)
    told = Told()
    found = evaluate.run(EvaluateRequest(str(out)), told)
    assert list(found.systems) == ["tuned"]  # about the clips, the base model was not asked
    said = "[emulator] heard 1.0 s of audio/flac; nothing was learned, so nothing is predicted"
    words = silence.insertions(said)
    assert found.silence == (
        *(Silence("tuned", kind, 2, 2, 2 * words, 4.0) for kind in KINDS),
        *(Silence("base", kind, 1, 1, words, 1.0) for kind in KINDS),
    )
    assert f"tuned invented {14 * words:,} words about 14 of 14 sounds in which nobody speaks" in told.lines
    assert f"base invented {7 * words:,} words about 7 of 7 sounds in which nobody speaks" in told.lines


@pytest.fixture
def ran(prepared):
    noted(prepared)
    answered(prepared, f"runs/{RUN}/predictions-validation-tuned-103", lambda clip: clip.target)
    return prepared


def test_insertions_are_counted_for_each_kind_with_what_was_asked(ran):
    says = {"white_noise": "Thank you.", "music": "[music]", "hum": None, "tone": "ご視聴"}
    told_by(ran, "tuned-103", f"runs/{RUN}/", lambda probe: says.get(probe.kind, ""))
    told = Told()
    found = evaluate.run(EvaluateRequest(ran.uri), told)
    assert found.silence == (
        Silence("tuned", "digital_silence", 4, 0, 0, 44.0),
        Silence("tuned", "room_noise", 4, 0, 0, 44.0),
        Silence("tuned", "white_noise", 4, 4, 8, 44.0),
        Silence("tuned", "pink_noise", 4, 0, 0, 44.0),
        Silence("tuned", "tone", 4, 4, 12, 44.0),
        Silence("tuned", "music", 4, 0, 0, 44.0),
    )
    shown = ran.storage.read_bytes(f"{ran.uri}/evaluation/evaluation.html").decode()
    assert "Where nobody speaks" in shown
    assert "<td>white noise</td>" in shown
    written = json.loads(ran.storage.read_bytes(f"{ran.uri}/evaluation/evaluation.json"))
    assert written["silence"][2]["insertions"] == 8


def test_answers_to_other_questions_are_none(ran, monkeypatch):
    told_by(ran, "tuned-103", f"runs/{RUN}/", lambda probe: "hello")
    assert len(silence.of(ran, "validation", None)) == len(KINDS)
    monkeypatch.setattr(sounds, "VERSION", sounds.VERSION + 1)
    assert silence.of(ran, "validation", None) == ()


def test_where_nothing_was_asked_nothing_is_told_and_no_example_is_read(ran, monkeypatch):
    monkeypatch.setattr(probes, "of", lambda *_: pytest.fail("looked"))
    assert evaluate.run(EvaluateRequest(ran.uri), Told()).silence == ()


@pytest.mark.parametrize(
    ("said", "count"),
    [
        ("", 0),
        ("…", 0),
        (" . ", 0),
        ("[silence]", 0),
        ("(upbeat music) ♪♪", 0),
        ("<noise> *coughs*", 0),
        ("[silence] thank you", 2),
        ("Don't well-known", 2),
        ("Спасибо за просмотр", 3),
        ("ご視聴", 3),
        ("谢谢 bye", 3),
        ("[" * 100_000, 0),  # in no more time than it takes to read
        ("[[music] la]", 1),
    ],
)
def test_what_counts_as_an_invented_word(said, count):
    assert silence.insertions(said) == count
