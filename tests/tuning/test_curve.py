"""`cliptune curve`: one job a fraction, whatever happens; a curve through them; and what the sentence says."""

import itertools
import json
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.tuning.conftest import NO_TIME, aging, prepare
from tests.tuning.test_evaluate import Told
from transforms.errors import UsageError, UserError
from transforms.storage import Storage
from tuning import curve, dataset, tune
from tuning.emulator.scenario import Learns, Scenario
from tuning.evaluation import clips
from tuning.jobs import delete, runs
from tuning.providers.vertex.tuner import VertexTuner
from tuning.requests import CurveRequest, DeleteRequest, TuneRequest

FRACTIONS = ("1/8", "1/4", "1/2", "1")
HALF, WHOLE = Fraction(1, 2), Fraction(1)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Some 36 training examples in 3 shards, and 24 clips held out."""
    return prepare(tmp_path_factory.mktemp("curve"), count=60, clips_per_shard=16, validation_fraction=0.4)


@pytest.fixture
def large(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "large")


def curved(out, url, **settings) -> Any:
    told = Told()
    request = CurveRequest(str(out), **{"api_endpoint": url, **settings})
    return curve.run(request, told, NO_TIME), told.lines


def play(url, **scenario):
    assert httpx.put(f"{url}/emulator", json=Scenario(**scenario).model_dump()).status_code == 200


def requests_of(url):
    return httpx.get(f"{url}/emulator").json()["requests"]


def jobs(url):
    return list(VertexTuner("local-project", "us-central1", url).jobs())


def learning(out, url, **more):
    """The emulator's models get better with more examples."""
    shards = tuple(str(path) for path in sorted(Path(out).glob("validation/*.jsonl")))
    play(url, learns=Learns(files=shards, power=0.5), **more)


def test_each_fraction_is_tuned_asked_and_evaluated(large, url):
    learning(large, url)
    found, lines = curved(large, url)
    train = dataset.load(str(large), Storage()).examples("train")
    sizes = [max(1, train // part) for part in (8, 4, 2, 1)]
    assert [(point.size, point.examples) for point in found.points] == list(zip(FRACTIONS, sizes, strict=True))
    assert len(jobs(url)) == 4
    errors = [point.metrics["wer"].value for point in found.points]
    assert errors == sorted(errors, reverse=True)
    # The emulator gets n^-0.5 of the words wrong: the curve foretells its last point, and what comes then.
    (wer,) = (one for one in found.curves if one.metric == "wer")
    assert not wer.miss.decided
    assert wer.doubled.low <= (2 * train) ** -0.5 <= wer.doubled.high
    assert wer.sentence in lines
    assert wer.sentence.startswith(f"twice the training examples ({2 * train:,}) would make wer better by ")
    assert "; tuning on them would cost $" in wer.sentence
    assert lines[-1] == f"curve: {large}/evaluation/curve.html"


def test_stdout_and_the_file_are_the_same_and_the_page_has_the_sentence(large, url):
    found, _ = curved(large, url, fractions=("1/2", "1"))
    assert json.loads((large / "evaluation/curve.json").read_text()) == json.loads(json.dumps(found.as_dict()))
    page = (large / "evaluation/curve.html").read_text()
    assert "<script" not in page
    assert found.curves[0].sentence in page
    assert found.curves[0].sentence.startswith("2 sizes of the training set show no curve of wer")


def test_a_second_time_nothing_is_sent_or_asked(large, url):
    first, _ = curved(large, url)
    play(url)
    again, lines = curved(large, url)
    assert not requests_of(url)
    assert again == first
    assert not [line for line in lines if "tuning" in line and ": tuning" in line]


def test_the_whole_is_the_run_that_tune_has_made(out, url):
    tune.run(TuneRequest(str(out), api_endpoint=url), clock=NO_TIME)
    (made,) = runs.of(dataset.load(str(out), Storage()))
    found, _ = curved(out, url, fractions=("1/2", "1"))
    assert (found.points[-1].run, found.points[-1].estimate) == (made.name, made.note.estimate)
    assert len(jobs(url)) == 2


def test_jobs_are_never_two_at_once(out, url):
    play(url, quota=1)  # a second one beside the first would be refused
    curved(out, url, fractions=("1/8", "1/4", "1/2", "1"))
    assert [job.ended for job in jobs(url)] == [True] * 4


def test_more_fractions_later_pay_for_the_new_ones_only(out, url):
    curved(out, url, fractions=("1/4", "1/2", "1"))
    before = len(jobs(url))
    found, _ = curved(out, url, fractions=("1/8", "1/4", "1/2", "1"))
    assert (before, len(jobs(url)), len(found.points)) == (3, 4, 4)


def test_a_dry_run_says_what_it_would_cost_and_sends_nothing(out, url):
    plan, lines = curved(out, url, dry_run=True)
    assert not requests_of(url)
    assert [(step.size, step.examples, step.state, step.questions) for step in plan.steps] == [
        ("1/8", 2, "to tune", 2),
        ("1/4", 5, "to tune", 2),
        ("1/2", 11, "to tune", 2),
        ("1", 22, "to tune", 2),
    ]
    assert plan.cost == pytest.approx(sum(step.estimate.upper_cost + step.asking_cost for step in plan.steps))
    assert not (out / "evaluation/curve.json").exists()
    assert not (out / "tuning").exists()
    assert any(line.startswith("all ") for line in lines)


@pytest.mark.parametrize(("over", "sent"), [(0.999, 0), (1.001, 2)])
def test_max_cost_holds_over_the_sum(out, url, over, sent):
    fractions = ("1/2", "1")
    plan, _ = curved(out, url, fractions=fractions, dry_run=True)
    dearest = max(step.cost for step in plan.steps)
    assert dearest < 0.999 * plan.cost  # each alone would be allowed
    if sent:
        curved(out, url, fractions=fractions, max_cost=over * plan.cost)
    else:
        with pytest.raises(UserError, match=r"max_cost must be at least the sum of the upper bounds"):
            curved(out, url, fractions=fractions, max_cost=over * plan.cost)
    assert len(jobs(url)) == sent


def test_what_was_paid_does_not_count_again(out, url):
    curved(out, url, fractions=("1/2", "1"))
    plan, _ = curved(out, url, fractions=("1/2", "1"), dry_run=True)
    assert (plan.cost, {step.state for step in plan.steps}) == (0.0, {"asked"})
    curved(out, url, fractions=("1/2", "1"), max_cost=0.000001)


def test_a_bound_on_an_unknown_price_sends_nothing(out, url):
    play(url, tuned_before=True)
    settings = {"base_model": "gemini-2.5-flash", "allow_retired": True, "max_cost": 5.0}
    with pytest.raises(UserError, match=r"max_cost 5 cannot be held: a price is not known"):
        curved(out, url, **settings)
    prices = {"input_price": 0.1, "output_price": 0.2, "price_per_million": 1.0}
    assert curved(out, url, **settings, **prices, dry_run=True)[0].cost > 0


def test_a_job_that_fails_ends_it_with_one_line_and_the_same_command_goes_on(out, url):
    curved(out, url, fractions=("1/4",))
    play(url, end="FAILED", error="no luck")
    with pytest.raises(curve.NotTunedError, match=r"^1/2 of the training examples: the job ended as FAILED: no luck"):
        curved(out, url, fractions=("1/4", "1/2", "1"))
    play(url)
    found, _ = curved(out, url, fractions=("1/4", "1/2", "1"))
    assert len(found.points) == 3
    assert [job.state for job in jobs(url)].count("SUCCEEDED") == 3


def test_a_job_that_goes_on_is_waited_for_by_the_same_command(out, url):
    play(url, states=("QUEUED",) * 50)
    clock = aging(dataset.load(str(out), Storage()))
    with pytest.raises(curve.NotTunedError, match=r"goes on \(QUEUED\); the same command goes on from here") as fault:
        curve.run(CurveRequest(str(out), api_endpoint=url, fractions=(HALF, WHOLE), timeout=3.0), clock=clock)
    assert not fault.value.job.ended
    assert len(jobs(url)) == 1
    plan, _ = curved(out, url, fractions=("1/2", "1"), dry_run=True)
    assert [step.state for step in plan.steps] == ["submitted", "to tune"]
    play(url)
    curved(out, url, fractions=("1/2", "1"))
    assert len(jobs(url)) == 2


def test_answers_of_a_deleted_model_stay(out, url):
    found, _ = curved(out, url, fractions=("1/2", "1"))
    for point in found.points:
        delete.run(DeleteRequest(str(out), api_endpoint=url, run=point.run, yes=True))
    before = len(jobs(url))
    again, _ = curved(out, url, fractions=("1/2", "1"))
    assert again.points == found.points
    assert len(jobs(url)) == before


class Killed(BaseException):
    """As if the process had ended here."""


def dying_at(monkeypatch, method, call, after):
    """The process ends before or after this call of the client: all that is noted later is not."""
    real, calls = getattr(VertexTuner, method), itertools.count(1)

    def dying(self, *words):
        number = next(calls)  # questions are asked by several threads
        found = None if number == call and not after else real(self, *words)
        if number == call:
            raise Killed
        return found

    monkeypatch.setattr(VertexTuner, method, dying)


# Three jobs, of which each is listed, created, read a few times, and asked twice.
KILLS = [("submit", call) for call in (1, 2, 3)] + [("get", call) for call in (1, 4, 9)]
KILLS += [("ask", call) for call in (1, 4, 6)] + [("jobs", call) for call in (1, 2, 3)]
QUICK = [("submit", 2), ("ask", 4)]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("method", "call"), [one if one in QUICK else pytest.param(*one, marks=pytest.mark.sweep) for one in KILLS]
)
def test_killed_at_any_request_it_is_one_job_a_fraction(out, url, method, call, after, monkeypatch):
    fractions = (Fraction(1, 4), HALF, WHOLE)
    clock = aging(dataset.load(str(out), Storage()))
    with monkeypatch.context() as patch, pytest.raises(Killed):
        dying_at(patch, method, call, after)
        curve.run(CurveRequest(str(out), api_endpoint=url, fractions=fractions), clock=clock)
    found = curve.run(CurveRequest(str(out), api_endpoint=url, fractions=fractions), clock=clock)
    assert isinstance(found, curve.Curve)
    assert [point.missing for point in found.points] == [0, 0, 0]
    assert len({job.labels["cliptune-request"] for job in jobs(url)}) == len(jobs(url)) == 3


def test_in_a_bucket_another_machine_goes_on(out, url, bucket, monkeypatch):
    """All that tells of the jobs is in the bucket; it knows nothing else of the first machine."""
    for path in sorted(out.rglob("*")):
        if path.is_file():
            Storage().write_bytes(f"{bucket}/out/{path.relative_to(out)}", path.read_bytes())
    with monkeypatch.context() as patch, pytest.raises(Killed):
        dying_at(patch, "submit", 2, True)
        curved(f"{bucket}/out", url, fractions=("1/4", "1/2", "1"))
    found, _ = curved(f"{bucket}/out", url, fractions=("1/4", "1/2", "1"))
    assert len(found.points) == len(jobs(url)) == 3
    assert b"Would more data help?" in Storage().read_bytes(f"{bucket}/out/evaluation/curve.html")


def said(out, name, wrong):
    """A file of answers about the held-out clips, so many of which are wrong."""
    prepared = dataset.load(str(out), Storage())
    lines = [
        json.dumps({"id": clip.clip_id, "prediction": "wrong" if number < wrong else clip.target})
        for number, clip in enumerate(clips.of(prepared, "validation"))
    ]
    (out / name).write_text("".join(f"{line}\n" for line in lines))
    return str(out / name)


def test_without_a_service_it_takes_answers_for_each_size(large):
    sizes = {"4000": 2, "1000": 8, "2000": 4}  # in any order
    named = tuple((size, said(large, f"{size}.jsonl", wrong)) for size, wrong in sizes.items())
    found, lines = curved(large, None, predictions=named)
    assert [(point.size, point.examples, point.run) for point in found.points] == [
        ("1000", 1_000, None),
        ("2000", 2_000, None),
        ("4000", 4_000, None),
    ]
    rates = [point.metrics["wer"].value for point in found.points]
    assert rates[0] == pytest.approx(2 * rates[1]) == pytest.approx(4 * rates[2])
    assert found.doubling_cost is None
    assert not (large / "tuning").exists()
    assert found.curves[0].miss is None
    assert found.curves[0].sentence.endswith("; whether the curve foretells anything, four sizes would show")
    assert found.curves[0].doubled.value == pytest.approx(rates[2] / 2, abs=0.002)
    assert any(line.startswith("4000") for line in lines)


def test_sizes_may_be_fractions_of_the_dataset(large):
    file = said(large, "answers.jsonl", 3)
    found, _ = curved(large, None, predictions=(("1/4", file), ("0.5", file), ("1", file)))
    train = dataset.load(str(large), Storage()).examples("train")
    assert [point.examples for point in found.points] == [train // 4, train // 2, train]
    assert found.curves[0].sentence.startswith("all sizes of the training set are the same by wer on ")


def test_answers_that_do_not_fit_are_counted_and_named(large, tmp_path):
    file = tmp_path / "a.csv"
    clip = clips.of(dataset.load(str(large), Storage()), "validation")[0]
    file.write_text(f"id,prediction\n{clip.clip_id},x\nnobody,y\n")
    found, lines = curved(large, None, predictions=(("10", str(file)),))
    assert found.points[0].missing == found.clips - 1
    assert f"warning: {file}: 1 predictions are of no clip of the split: nobody" in lines


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"fractions": ("1/100", "1/50")}, "1/100 and 1/50 of the training examples are both 1"),
        ({"predictions": (("11", "FILE"), ("1/2", "FILE"))}, "11 and 1/2 are both 11 training examples"),
    ],
)
def test_two_sizes_that_are_one_are_refused(out, url, settings, told):
    file = said(out, "a.jsonl", 1)
    named = {"predictions": tuple((size, file) for size, _ in settings.get("predictions", ()))}
    with pytest.raises(UsageError, match=told):
        curved(out, url, **{**settings, **named})
    assert not jobs(url)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"fractions": ()}, "fractions"),
        ({"fractions": ("0", "1")}, "fractions"),
        ({"fractions": ("1/2", "2")}, "fractions"),
        ({"fractions": ("",)}, "fractions"),
        ({"fractions": tuple(f"1/{n}" for n in range(1, 14))}, "fractions"),
        ({"predictions": (("0", "f"),)}, "predictions"),
        ({"predictions": (("1.5", "f"),)}, "predictions"),
        ({"predictions": (("-3", "f"),)}, "predictions"),
        ({"split": "train"}, "split"),
        ({"max_cost": 0.0}, "max_cost"),
        ({"normalizer": "x"}, "normalizer"),
        ({"concurrency": 0}, "concurrency"),
    ],
)
def test_a_request_checks_itself(settings, field):
    with pytest.raises(UsageError) as fault:
        CurveRequest("dataset", **settings)
    assert fault.value.field == field


def test_twelve_fractions_may_be_given_in_any_order_and_twice():
    fractions = [Fraction(1, n) for n in range(1, 13)]
    assert CurveRequest("d", fractions=(*fractions, HALF)).fractions == tuple(reversed(fractions))
