"""`cliptune tune --fraction`: a prefix of the joined file, a run of its own, and one job for each fraction."""

from fractions import Fraction
from itertools import pairwise

import pytest

from tests.tuning.conftest import NO_TIME
from transforms.errors import UsageError
from transforms.storage import Storage
from tuning import dataset, join, tune
from tuning.jobs import runs
from tuning.providers.vertex.tuner import VertexTuner
from tuning.requests import TuneRequest

WHOLE = 22  # training examples of `out`


def tuned(out, url, fraction, **settings):
    return tune.run(TuneRequest(str(out), api_endpoint=url, fraction=fraction, **settings), clock=NO_TIME)


@pytest.mark.parametrize(
    ("fraction", "examples"),
    [("1/22", 1), ("1/100", 1), ("1/8", 2), ("1/2", 11), ("0.5", 11), (0.75, 16), ("21/22", 21), ("1", 22)],
)
def test_a_fraction_is_the_first_lines_of_the_whole(out, fraction, examples):
    prepared = dataset.load(str(out), Storage())
    folder = prepared.tuning_uri("")
    whole, part = (
        join.plan(prepared, folder, one) for one in (join.WHOLE, TuneRequest("x", fraction=fraction).fraction)
    )
    join.join(prepared, whole, folder)
    join.join(prepared, part, folder, TuneRequest("x", fraction=fraction).fraction)
    for one, other in zip(whole, part, strict=True):
        content, first = (prepared.storage.read_bytes(plan.joined.uri) for plan in (one, other))
        assert content.startswith(first)
        assert first.count(b"\n") == other.joined.examples
        assert other.joined.left_out == 0
    assert part[-1].joined.examples == examples


def test_fractions_are_nested(out):
    prepared = dataset.load(str(out), Storage())
    folder = prepared.tuning_uri("")
    contents = []
    for fraction in (Fraction(1, 8), Fraction(1, 3), Fraction(2, 3), Fraction(1)):
        plans = join.plan(prepared, folder, fraction)
        assert not join.join(prepared, plans, folder, fraction)
        assert join.join(prepared, plans, folder, fraction)  # a second time nothing is written
        contents.append(prepared.storage.read_bytes(plans[-1].joined.uri))
    for small, large in pairwise(contents):
        assert large.startswith(small)
        assert len(large) > len(small)


def test_the_joined_files_of_fractions_are_apart(out):
    """The job of one may still read its files while those of another are written."""
    prepared = dataset.load(str(out), Storage())
    folder = prepared.tuning_uri("")
    names = {
        plan.joined.uri.rpartition("/")[2]
        for fraction in (Fraction(1, 2), Fraction(1, 4), Fraction(1))
        for plan in join.plan(prepared, folder, fraction)
    }
    parts = {f"{split}{part}.jsonl" for split in ("train", "validation") for part in ("", "-1-of-2", "-1-of-4")}
    assert names == parts


def test_each_fraction_is_one_job_and_a_run_that_says_so(out, url):
    jobs = [tuned(out, url, fraction).name for fraction in ("1/2", "0.5", 0.5, "1/4", "1")]
    assert jobs[0] == jobs[1] == jobs[2]
    assert len({*jobs}) == 3 == len(list(VertexTuner("local-project", "us-central1", url).jobs()))
    found = {run.note.request.train_examples: run.name for run in runs.of(dataset.load(str(out), Storage()))}
    assert found.keys() == {11, 5, None}
    assert "-11-examples-3-epochs-" in found[11]
    assert "examples" not in found[None]


def test_a_fraction_that_is_all_is_the_same_job_as_the_whole(out, url):
    assert tuned(out, url, "1").name == tuned(out, url, "1/1").name == tuned(out, url, 1).name


def test_the_tuned_model_is_that_of_all_examples(out, url):
    """Whatever was tuned later on a part of them to learn what they are worth."""
    tuned(out, url, "1")
    tuned(out, url, "1/2")
    prepared = dataset.load(str(out), Storage())
    assert runs.pick(prepared, None, finished=True).note.request.train_examples is None
    tuned_later = tuned(out, url, "1/4")
    assert tuned_later.answers


def test_a_part_costs_a_part(out, url):
    for fraction in ("1/2", "1"):
        tuned(out, url, fraction)
    half, whole = (run.note.estimate for run in runs.of(dataset.load(str(out), Storage())))
    assert half is not None
    assert whole is not None
    assert 0.45 < half.tokens / whole.tokens < 0.55


@pytest.mark.parametrize(
    "wrong",
    [
        "0",
        "1.01",
        "2",
        "-1/2",
        "1/0",
        "x",
        "",
        "1/",
        "nan",
        "1e-9",
        "1_0/20",
        "1" * 99,
        "1 /2",
        "٣/٤",
        0,
        -0.5,
        None,
        True,
    ],
)
def test_what_is_no_fraction_is_refused(wrong):
    with pytest.raises(UsageError, match="fraction must be above 0 and at most 1, such as 1/8") as fault:
        TuneRequest("x", fraction=wrong)
    assert fault.value.field == "fraction"
