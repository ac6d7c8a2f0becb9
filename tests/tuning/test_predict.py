"""The model is asked exactly as it was trained, about each clip once, in order, and its silences are counted."""

import json

import httpx
import pytest

from tests.tuning.conftest import answering, prepare
from transforms.dataset import ledger
from transforms.errors import ServiceError
from transforms.storage import Storage, uris
from tuning import dataset, predictions, questions
from tuning.jobs.clock import CLOCK
from tuning.predictions import Prediction
from tuning.providers.base import Answer, Question
from tuning.providers.vertex import PROVIDER as VERTEX
from tuning.providers.vertex import models, rows
from tuning.providers.vertex.tuner import VertexTuner
from tuning.questions import Asked

storage = Storage()

ENDPOINT = "projects/7/locations/europe-west4/endpoints/9"


def says(text, reason="STOP"):
    content = {"content": {"role": "model", "parts": [{"text": text}]}} if text is not None else {}
    return {"candidates": [{**content, "finishReason": reason}]}


def standard(data):
    return data.replace("-", "+").replace("_", "/")


def spelled_as_in_the_dataset(contents):
    """The client writes "inlineData", but "mime_type", and base64 for URLs."""
    for part in (part for turn in contents for part in turn["parts"] if "inlineData" in part):
        part["inline_data"] = part.pop("inlineData")
        part["inline_data"]["data"] = standard(part["inline_data"]["data"])
    return contents


def echo(request):
    """A model that repeats the question's audio, a different one for each clip."""
    parts = json.loads(request.content)["contents"][0]["parts"]
    data = next(part["inlineData"]["data"] for part in parts if "inlineData" in part)
    return httpx.Response(200, json=says(standard(data)[-80:]))


@pytest.fixture
def far():
    return VertexTuner("p", "us-central1", "http://127.0.0.1:9")


def predicted(tuner, prepared, split="train", limit=None, base_model="gemini-3.1-flash-lite", model=ENDPOINT):
    found: list[Prediction] = []
    asked = Asked("x", model, base_model, VERTEX, tuner, CLOCK)
    count = questions.ask_split(asked, prepared, split, limit, (), found.append)
    assert count == len(found)
    return found


def lines(prepared, split):
    return [
        line
        for shard in prepared.splits[split]
        for line in storage.read_bytes(uris.join(prepared.uri, shard.path)).splitlines()
    ]


@pytest.mark.parametrize("base_model", models.MODELS)
def test_a_question_is_the_example_without_its_answer(far, prepared, monkeypatch, base_model):
    sent = answering(far, monkeypatch, echo)
    predicted(far, prepared, limit=1, base_model=base_model)
    example = json.loads(lines(prepared, "train")[0])
    body = json.loads(sent[0].content)
    assert spelled_as_in_the_dataset(body["contents"]) == example["contents"][:1]
    assert body["generationConfig"] == {"thinkingConfig": models.MODELS[base_model].thinking}
    assert "systemInstruction" not in body
    assert sent[0].url.path == f"/v1beta1/{ENDPOINT}:generateContent"


def test_the_system_instruction_is_asked_with(far, prepared, monkeypatch, out):
    shard = next((out / "validation").glob("*.jsonl"))
    instruction = b'{"systemInstruction":{"parts":[{"text":"Be brief."}]},"contents"'
    shard.write_bytes(shard.read_bytes().replace(b'{"contents"', instruction))
    sent = answering(far, monkeypatch, echo)
    predicted(far, prepared, "validation", limit=1)
    assert json.loads(sent[0].content)["systemInstruction"]["parts"] == [{"text": "Be brief."}]


def test_an_unknown_base_model_is_asked_without_a_word_on_thinking(far, prepared, monkeypatch):
    sent = answering(far, monkeypatch, echo)
    predicted(far, prepared, limit=1, base_model="")
    assert json.loads(sent[0].content)["generationConfig"] == {}


@pytest.mark.parametrize(
    ("model", "location", "path"),
    [
        (ENDPOINT, "europe-west4", ENDPOINT),
        (
            "gemini-3.5-flash",
            "us-central1",
            "projects/p/locations/us-central1/publishers/google/models/gemini-3.5-flash",
        ),
    ],
)
def test_a_model_is_asked_where_it_is(far, monkeypatch, model, location, path):
    sent = answering(far, monkeypatch, lambda request: httpx.Response(200, json=says("x")))
    far.ask(model, Question(["hello"]))
    assert list(far._clients) == [location]  # the host comes from the client's location
    assert sent[0].url.path == f"/v1beta1/{path}:generateContent"


@pytest.mark.parametrize(("split", "count"), [("train", 22), ("validation", 2)])
def test_every_clip_is_asked_about_once_in_the_order_of_the_shards(far, prepared, monkeypatch, split, count):
    answering(far, monkeypatch, echo)
    found = predicted(far, prepared, split)
    examples = [json.loads(line)["contents"] for line in lines(prepared, split)]
    assert len(found) == count
    assert [one.target for one in found] == [turns[1]["parts"][0]["text"] for turns in examples]
    heard = [turns[0]["parts"][1]["inline_data"]["data"][-80:] for turns in examples]
    assert len(set(heard)) == count
    assert [one.prediction for one in found] == heard  # each answer is of its own question
    # The clip of an example is the one whose text it holds.
    assert all(one.target == f"this is text {one.clip_id.removeprefix('c')}" for one in found)
    assert all(one.source == f"m.csv:{int(one.clip_id[1:]) + 2}" for one in found)


@pytest.mark.parametrize(("limit", "count"), [(1, 1), (7, 7), (8, 8), (9, 9), (22, 22), (23, 22)])
def test_a_limit_takes_the_first(far, prepared, monkeypatch, limit, count):
    sent = answering(far, monkeypatch, echo)
    assert predicted(far, prepared, limit=limit) == predicted(far, prepared)[:count]
    assert len(sent) == count + 22


def test_rejected_clips_shift_nobody(tmp_path, far, monkeypatch):
    out = prepare(tmp_path, 12, missing=(0, 5, 11), validation_fraction=0.0)
    rows_of_ledger = list(ledger.read_ledger(str(out / "ledger"), Storage(), ["clip_id", "status"]))
    assert {row["clip_id"] for row in rows_of_ledger if row["status"] == "rejected"} == {"c0", "c5", "c11"}
    answering(far, monkeypatch, echo)
    found = predicted(far, dataset.load(str(out), Storage()))
    assert len(found) == 9
    assert all(one.target == f"this is text {one.clip_id[1:]}" for one in found)


@pytest.mark.parametrize(
    ("tree", "answer"),
    [
        (says("hello"), Answer("hello", "STOP")),
        (says("cut sho", "MAX_TOKENS"), Answer("cut sho", "MAX_TOKENS")),
        (says(None, "MAX_TOKENS"), Answer(None, "MAX_TOKENS")),
        (says(None, "SAFETY"), Answer(None, "SAFETY")),
        (says(None, "RECITATION"), Answer(None, "RECITATION")),
        ({"promptFeedback": {"blockReason": "SAFETY"}}, Answer(None, "BLOCKED_SAFETY")),
        ({}, Answer(None, None)),
        ({"candidates": []}, Answer(None, None)),
    ],
)
def test_a_model_that_says_nothing_is_noted_and_not_fatal(far, monkeypatch, tree, answer):
    answering(far, monkeypatch, lambda request: httpx.Response(200, json=tree))
    assert far.ask(ENDPOINT, Question(["hello"])) == answer


@pytest.mark.filterwarnings("ignore:.*is not a valid")
def test_a_reason_that_is_not_invented_yet_is_passed_on(far, monkeypatch):
    answering(far, monkeypatch, lambda request: httpx.Response(200, json=says("hm", "BORED")))
    assert far.ask(ENDPOINT, Question(["hello"])) == Answer("hm", "BORED")


def test_thoughts_are_not_the_answer(far, monkeypatch):
    parts = [{"text": "let me think", "thought": True}, {"text": "hello"}]
    tree = {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}]}
    answering(far, monkeypatch, lambda request: httpx.Response(200, json=tree))
    assert far.ask(ENDPOINT, Question(["hello"])).text == "hello"


def test_a_refused_question_ends_the_run_with_one_line(far, prepared, monkeypatch):
    error = {"error": {"code": 403, "message": "no\n permission", "status": "PERMISSION_DENIED"}}
    answering(far, monkeypatch, lambda request: httpx.Response(403, json=error))
    refused = "403 PERMISSION_DENIED: no permission; the account needs roles/aiplatform.user on the project"
    with pytest.raises(ServiceError, match=f"^cannot ask {ENDPOINT}: {refused}$"):
        predicted(far, prepared)


def test_a_prediction_is_one_line_whatever_was_said():
    line = predictions.dump(Prediction("c", "m.csv:2", "a\nb", "x\u2028\ny 🎤", None))
    assert line.count(b"\n") == 1
    assert json.loads(line) == {
        "clip_id": "c",
        "source": "m.csv:2",
        "target": "a\nb",
        "prediction": "x\u2028\ny 🎤",
        "finish_reason": None,
        "model": "",
        "line_sha256": "",
        "input_tokens": None,
        "output_tokens": None,
    }


def test_a_target_in_two_parts_is_one_text(far, prepared, monkeypatch, out):
    shard = next((out / "validation").glob("*.jsonl"))
    halves = b'{"text":"this is"},{"text":" text'
    shard.write_bytes(shard.read_bytes().replace(b'{"text":"this is text', halves))
    assert rows.parse(shard.read_bytes().splitlines()[0])
    answering(far, monkeypatch, echo)
    assert all(one.target == f"this is text {one.clip_id[1:]}" for one in predicted(far, prepared, "validation"))
