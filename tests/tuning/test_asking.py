"""Asking costs money: what it will cost is said before, what it did cost after, and no answer runs away."""

import json
import threading
from contextlib import nullcontext
from dataclasses import replace

import httpx
import pytest

from tests.cliptune.test_commands import only_json, run
from tests.tuning.conftest import NO_TIME, answering
from tests.tuning.test_predict import echo, far, predicted, says
from transforms.errors import ServiceError, UserError
from transforms.storage import Storage
from tuning import asking, dataset, questions
from tuning.asking import AskingEstimate, AskingPrice, Size, Spent
from tuning.emulator import server
from tuning.providers.base import Answer, Question
from tuning.providers.vertex import PROVIDER as VERTEX
from tuning.providers.vertex import models
from tuning.questions import Asked
from tuning.throttle import Throttle

__all__ = ["far", "run"]  # fixtures

FLASH = "gemini-3.5-flash"
SOURCE = "transcribed, Google's pricing page, as others have copied it, as of 2026-09"


@pytest.mark.parametrize(
    ("base_model", "tuned", "given", "read", "written", "note"),
    [
        (FLASH, True, (None, None), 2.25, 13.5, "$2.25 / $13.5 a million tokens read / written (tuned, 1.5 × the base"),
        (FLASH, False, (None, None), 1.5, 9.0, "$1.5 / $9 a million tokens read / written (the base model), "),
        ("gemini-3.1-flash-lite", True, (None, None), 0.375, 2.25, SOURCE),
        ("gemini-3.1-flash-lite", False, (None, None), 0.25, 1.5, SOURCE),
        ("gemini-2.5-flash", True, (None, None), None, None, "not known"),
        ("gemini-3.5-flash-lite", True, (None, None), None, None, "not known"),
        ("", True, (None, None), None, None, "not known"),
        ("gemini-2.5-flash", True, (1.0, 2.0), 1.0, 2.0, "--input_price and --output_price"),
        (FLASH, True, (1.0, None), 1.0, 13.5, "--input_price and --output_price before: $2.25"),
    ],
)
def test_a_tuned_gemini_3_costs_half_as_much_again_as_its_base(base_model, tuned, given, read, written, note):
    price = asking.price_of(VERTEX, base_model, tuned, *given)
    assert [price.read, price.written] == [read and pytest.approx(read), written and pytest.approx(written)]
    assert note in price.note


PRICE = AskingPrice(2.0, 10.0, "mine")


def test_the_estimate_adds_up_questions_and_answers():
    sizes = [Size(10.0, 40, 80), Size(0.5, 4, 1)]
    cost = AskingEstimate.of(sizes, 100, PRICE)
    read, written = (320 + 10) + (16 + 1), 20 + 1
    assert cost.questions == 2
    assert cost.cost == pytest.approx((read * 2 + written * 10) / 1e6)
    assert cost.upper_cost == pytest.approx(((10.5 * 35 + 44) * 2 + 200 * 10) / 1e6)
    assert cost.line() == "asking 2 questions: about $0.0009, at most $0.0028 (mine)"


def test_an_unknown_price_is_never_guessed():
    cost = AskingEstimate.of([Size(1.0, 1, 1)], 100, AskingPrice(2.0, None, "half of it"))
    assert (cost.cost, cost.upper_cost) == (None, None)
    assert cost.line() == (
        "asking 1 question: the price of this model is not known (--input_price and --output_price tell it)"
    )
    with pytest.raises(UserError, match=r"max_cost 5 cannot be held: .*--input_price and --output_price"):
        cost.refuse_over(5)


@pytest.mark.parametrize(
    ("max_cost", "told"), [(1.0, None), (0.9999, r"at least the upper bound, \$1\.00, got 0\.9999; raise it")]
)
def test_what_may_cost_too_much_is_refused(max_cost, told):
    cost = AskingEstimate.of([Size(0.0, 0, 0)], 100_000, PRICE)
    with pytest.raises(UserError, match=told) if told else nullcontext():
        cost.refuse_over(max_cost)


def test_what_was_spent_is_what_the_service_counted():
    spent = Spent()
    for answer in (Answer("x", "STOP", 1_000, 200), Answer(None, "MAX_TOKENS", 500, 300), Answer("y", "STOP")):
        spent.add(answer)
    assert spent.line(PRICE) == (
        "the service counted 1,500 tokens read and 500 written: $0.0080 (mine); of 1 answers it has not said them"
    )


def test_the_answer_is_bounded_by_the_longest_target(out, run, monkeypatch):
    with server.running() as url:
        run("tune", out, "--api_endpoint", url)
        asked: list[Question] = []
        monkeypatch.setattr(questions, "_ask", _recording(asked))
        run("predict", out, "--api_endpoint", url)
        run("predict", out, "--api_endpoint", url, "--split", "train", "--limit", 1, "--max_output_tokens", 7)
    longest = max(len(str(row["target"])) for row in _rows(out))
    assert [question.max_output_tokens for question in asked] == [2 * longest + 256] * 2 + [7]


def _recording(asked):
    ask = questions._ask

    def recorded(model, question):
        asked.append(question)
        return ask(model, question)

    return recorded


def _rows(out):
    for path in (*out.glob("train/*.jsonl"), *out.glob("validation/*.jsonl")):
        for line in path.read_text().splitlines():
            yield {"target": json.loads(line)["contents"][1]["parts"][0]["text"]}


def test_the_bound_is_where_the_service_reads_it(far, prepared, monkeypatch):
    sent = answering(far, monkeypatch, lambda request: httpx.Response(200, json=says("x")))
    far.ask("gemini-3.5-flash", Question(["hello"], max_output_tokens=12))
    assert json.loads(sent[0].content)["generationConfig"]["maxOutputTokens"] == 12


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"promptTokenCount": 11, "candidatesTokenCount": 5, "totalTokenCount": 16}, (11, 5)),
        ({"promptTokenCount": 11, "candidatesTokenCount": 5, "thoughtsTokenCount": 7}, (11, 12)),
        ({"promptTokenCount": 11}, (11, 0)),  # it was blocked, and the question is paid
        (None, (None, None)),
    ],
)
def test_thoughts_are_paid_as_output(far, prepared, monkeypatch, usage, tokens):
    body = {**says("x"), **({"usageMetadata": usage} if usage else {})}
    answering(far, monkeypatch, lambda request: httpx.Response(200, json=body))
    (one,) = predicted(far, prepared, limit=1)
    assert (one.input_tokens, one.output_tokens) == tokens


def test_a_question_over_max_cost_is_not_asked(out, run):
    with server.running() as url:
        run("tune", out, "--api_endpoint", url)
        before = httpx.get(f"{url}/emulator").json()["requests"]
        status, stdout, stderr = run("predict", out, "--api_endpoint", url, "--max_cost", "0.0000001")
        assert (status, stdout, "max_cost must be at least the upper bound, $0.00" in stderr) == (1, "", True)
        status, _, stderr = run("predict", out, "--api_endpoint", url, "--audio", "a.wav", "--max_cost", "0.0000001")
        assert (status, "max_cost must be at least" in stderr) == (1, True)
        assert httpx.get(f"{url}/emulator").json()["requests"] == before
        told = only_json(run("predict", out, "--api_endpoint", url, "--max_cost", 1)[1])
        assert told["asked"] == 2
        # What is answered already costs nothing.
        assert run("predict", out, "--api_endpoint", url, "--max_cost", "0.0000001")[0] == 0


def test_the_estimate_is_above_what_the_emulator_counts(out, run):
    with server.running() as url:
        run("tune", out, "--api_endpoint", url)
        status, stdout, stderr = run("predict", out, "--api_endpoint", url, "--split", "train")
    told = only_json(stdout)
    prepared = dataset.load(str(out), Storage())
    asked = Asked("x", "m", FLASH, VERTEX, None, NO_TIME)  # type: ignore[arg-type] # nothing is asked
    sizes = list(questions.sizes(asked, prepared, "train", None, ()))
    assert (status, len(sizes)) == (0, 22)
    price = asking.price_of(VERTEX, models.DEFAULT_MODEL, tuned=True)
    upper = AskingEstimate.of(sizes, asking.output_limit(questions.longest_target(prepared)), price).upper_cost
    assert 0 < told["cost"] < (upper or 0)
    assert "asking 22 questions: about $0.0" in stderr
    assert "the service counted" in stderr


def test_a_question_that_was_answered_is_not_estimated_again(prepared, monkeypatch, far):
    answering(far, monkeypatch, echo)
    known = {one.question for one in predicted(far, prepared, "train", limit=4)}
    asked = Asked("x", next(iter(known))[0], FLASH, VERTEX, far, NO_TIME)
    assert len(list(questions.sizes(asked, prepared, "train", None, known))) == 18
    assert len(list(questions.sizes(asked, prepared, "train", 5, known))) == 1


def test_a_full_quota_slows_the_questions_down_and_good_answers_speed_them_up():
    throttle = Throttle(8)
    allowed = [throttle.allowed]
    for _ in range(4):
        throttle.refused()
        allowed.append(throttle.allowed)
    assert allowed == [8, 4, 2, 1, 1]
    for _ in range(40):
        throttle.answered()
    assert throttle.allowed == 8


def test_no_more_questions_than_turns_are_asked_at_once():
    throttle, most, lock, busy = Throttle(3), [], threading.Lock(), [0]

    def work():
        with throttle.turn():
            with lock:
                busy[0] += 1
                most.append(busy[0])
            throttle.answered()
            with lock:
                busy[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(most), max(most) <= 3) == (30, True)


@pytest.mark.parametrize(("code", "allowed"), [(429, 2), (503, 4)])
def test_only_the_quota_slows_the_questions_down(far, code, allowed, monkeypatch):
    answering(far, monkeypatch, lambda request: httpx.Response(code, json={"error": {"code": code, "message": "no"}}))
    asked = replace(Asked("x", FLASH, FLASH, VERTEX, far, NO_TIME), throttle=Throttle(4))
    with pytest.raises(ServiceError):
        questions._ask(asked, Question(["hello"]))
    assert asked.throttle.allowed == allowed


def test_the_emulator_counts_tokens_and_keeps_to_the_bound(far):
    body = {
        "contents": [{"role": "user", "parts": [{"text": "x" * 400}]}],
        "generationConfig": {"maxOutputTokens": 2},
    }
    with server.running() as url:
        path = f"{url}/v1beta1/projects/p/locations/us/publishers/google/models/{FLASH}:generateContent"
        found = httpx.post(path, json=body).json()
        refused = httpx.post(path, json={**body, "generationConfig": {"maxOutputTokens": 0}}).status_code
    (candidate,) = found["candidates"]
    assert (candidate["content"]["parts"][0]["text"], candidate["finishReason"]) == ("[emulato", "MAX_TOKENS")
    assert found["usageMetadata"] == {"promptTokenCount": 100, "candidatesTokenCount": 2, "totalTokenCount": 102}
    assert refused == 400
