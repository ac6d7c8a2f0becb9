"""`cliptune evaluate` on a small dataset whose answers are known to the letter."""

import json
import re
import shutil
from contextlib import contextmanager

import pyarrow.parquet as pq
import pytest

from tests.tuning.conftest import prepare
from transforms.errors import UsageError, UserError
from transforms.settings import JSON, LABELS, Task
from transforms.storage import Storage
from tuning import dataset, evaluate, predictions
from tuning.evaluation import clips, details, faults, gate, results
from tuning.evaluation.answers import Answer, System
from tuning.evaluation.report import FieldScores, Insertions
from tuning.evaluation.scores import score
from tuning.jobs import runs
from tuning.predictions import Prediction
from tuning.providers.base import TuningJob, TuningRequest
from tuning.requests import EvaluateRequest

PLACE = "projects/p/locations/us"
JOB = TuningJob(
    "projects/p/locations/us-central1/tuningJobs/1",
    "SUCCEEDED",
    endpoint=f"{PLACE}/endpoints/103",
    checkpoints=(
        {"checkpoint_id": "2", "endpoint": f"{PLACE}/endpoints/102"},
        {"checkpoint_id": "3", "endpoint": f"{PLACE}/endpoints/103"},
    ),
    create_time="2026-11-01T00:00:00Z",
)
REQUEST = TuningRequest(
    "p", "us-central1", "gemini-3.5-flash", "f" * 64, "gs://b/train.jsonl", None, 3, None, None, "name"
)
RUN = runs.name_of(REQUEST)


class Told:
    """Keeps what is said."""

    live = False

    def __init__(self):
        self.lines: list[str] = []

    def say(self, line, /):
        self.lines.append(line)

    @contextmanager
    def progress(self, what, total, unit="", /):
        yield lambda done, note: None

    @contextmanager
    def waiting(self, what, /):
        yield lambda state: None


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("evaluated"), count=60, validation_fraction=0.3)


@pytest.fixture
def prepared(whole, tmp_path):
    return dataset.load(str(shutil.copytree(whole, tmp_path / "out")), Storage())


def answered(prepared, name, answer):
    """Writes a predictions file, as `predict` does; None for no answer."""
    said = [(clip, answer(clip)) for clip in clips.of(prepared, "validation")]
    lines = [
        predictions.dump(Prediction(clip.clip_id, clip.source, clip.target, text, "STOP", name, clip.line_sha256))
        for clip, text in said
        if text is not None
    ]
    prepared.storage.write_bytes(prepared.tuning_uri(f"{name}.jsonl"), b"".join(lines))


def noted(prepared):
    """Notes a run."""
    runs.noted(prepared, REQUEST, JOB)


@pytest.fixture
def ran(prepared):
    """A run; answers of its model, of an earlier checkpoint and of the base model."""
    noted(prepared)
    answered(prepared, f"runs/{RUN}/predictions-validation-tuned-103", lambda clip: clip.target)
    answered(prepared, f"runs/{RUN}/predictions-validation-tuned-102", lambda clip: clip.target.replace("text", "test"))
    answered(prepared, "predictions-validation-gemini-3.5-flash", lambda clip: f"{clip.target} thank you")
    return prepared


def evaluated(prepared, **fields):
    told = Told()
    return evaluate.run(EvaluateRequest(prepared.uri, **fields), told), told.lines


def test_the_models_of_the_run_are_found_scored_and_compared(ran):
    found, lines = evaluated(ran)
    assert list(found.systems) == ["tuned", "tuned@2", "base"]
    count = found.clips
    assert [system.wer.value for system in found.systems.values()] == [0, 0.25, 0.5]
    edits = [(one.substitutions, one.deletions, one.insertions) for one in found.systems.values()]
    assert edits == [(0, 0, 0), (count, 0, 0), (0, 0, 2 * count)]
    sentence = f"tuned is better than base by 50.0 points [50.0, 50.0] of wer on {count} clips"
    assert sentence in lines
    assert [(pair.a, pair.b, pair.metric) for pair in found.comparisons][:3] == [
        ("tuned", "tuned@2", "wer"),
        ("tuned", "base", "wer"),
        ("tuned@2", "base", "wer"),
    ]
    assert lines[-1] == f"evaluation: {ran.name}/evaluation/evaluation.html"


def test_another_system_is_added_and_its_gaps_are_scored_as_empty(ran, tmp_path):
    first, *_ = held_out = clips.of(ran, "validation")
    file = tmp_path / "whisper.csv"
    file.write_text(f"id,prediction\n{first.clip_id},{first.target}\nnobody,hello\n")
    found, lines = evaluated(ran, predictions=(("whisper", str(file)),))
    system = found.systems["whisper"]
    assert (system.clips, system.missing, system.empty, system.strangers) == (len(held_out), len(held_out) - 1, 0, 1)
    assert system.wer.value == pytest.approx((len(held_out) - 1) / len(held_out))
    assert f"warning: {file}: 1 predictions are of no clip of the split: nobody" in lines


def test_answers_about_clips_that_have_changed_are_none(ran):
    file = ran.tuning_uri(f"runs/{RUN}/predictions-validation-tuned-103.jsonl")
    content = ran.storage.read_bytes(file).splitlines()
    other = [json.loads(content[0]) | {"line_sha256": "0" * 64}, *map(json.loads, content[1:])]
    ran.storage.write_bytes(file, "".join(f"{json.dumps(line)}\n" for line in other).encode())
    found, _ = evaluated(ran)
    assert (found.systems["tuned"].missing, found.systems["tuned"].strangers) == (1, 1)


def test_a_model_that_was_asked_about_another_dataset_has_said_nothing_of_this_one(ran):
    """As after `prepare --overwrite`: an empty answer to each clip would be a slander."""
    for uri in (name for name in ran.storage.list_files(f"{ran.uri}/tuning") if "tuned-103" in name):
        lines = [json.loads(line) | {"line_sha256": "0" * 64} for line in ran.storage.read_bytes(uri).splitlines()]
        ran.storage.write_bytes(uri, "".join(f"{json.dumps(line)}\n" for line in lines).encode())
    found, told = evaluated(ran)
    assert list(found.systems) == ["tuned@2", "base"]
    assert any(line.startswith("warning: ") and "are of no clip of the split" in line for line in told)


def test_stdout_and_the_file_are_the_same_and_have_what_is_promised(ran):
    found, _ = evaluated(ran)
    written = json.loads(ran.storage.read_bytes(f"{ran.uri}/evaluation/evaluation.json"))
    assert written == json.loads(json.dumps(found.as_dict()))
    assert {"ok", "split", "clips", "groups", "normalizer", "systems", "comparisons"} <= written.keys()
    promised = {"clips", "missing", "empty", "wer", "cer", "substitutions", "deletions", "insertions"}
    assert all(promised <= system.keys() for system in written["systems"].values())
    assert all(set(system["wer"]) == {"value", "low", "high"} for system in written["systems"].values())
    assert all({"a", "b", "metric", "difference", "sentence"} <= pair.keys() for pair in written["comparisons"])
    assert "accuracy" not in written["systems"]["tuned"]


def test_the_table_for_notebooks_has_a_row_for_each_clip_and_system(ran):
    found, _ = evaluated(ran)
    with ran.storage.open_read(f"{ran.uri}/evaluation/scores.parquet") as stream:
        rows = pq.read_table(stream).to_pylist()
    assert len(rows) == 3 * found.clips
    base = [row for row in rows if row["system"] == "base"]
    assert all(dict(row["metrics"])["wer"] == 0.5 and row["answer"].endswith("thank you") for row in base)
    assert all("filler" not in row["faults"] for row in base)  # two words may be a mistake


def test_the_page_shows_the_worst_clips_word_for_word_and_lets_nothing_run(ran):
    answered(ran, "predictions-validation-gemini-3.5-flash", lambda clip: "<script>alert(1)</script> \x1b[31m")
    evaluated(ran)
    shown = ran.storage.read_bytes(f"{ran.uri}/evaluation/evaluation.html").decode()
    assert "Content-Security-Policy" in shown
    assert "<script" not in shown
    assert "\x1b" not in shown
    assert "<ins>&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "<del>this is</del>" in shown


def test_the_same_evaluation_is_the_same_to_the_byte(ran):
    first, _ = evaluated(ran)
    files = {
        name: ran.storage.read_bytes(f"{ran.uri}/evaluation/{name}")
        for name in ("evaluation.json", "evaluation.html", "scores.parquet")
    }
    assert evaluated(ran)[0] == first
    assert {name: ran.storage.read_bytes(f"{ran.uri}/evaluation/{name}") for name in files} == files


@pytest.mark.parametrize(
    ("condition", "ok"),
    [
        ("wer(tuned) > wer(base)", True),
        ("wer(base) > wer(tuned)", False),
        ("wer(base) >= 0.5", False),
        ("cer(base) > 9", True),
        ("wer(base) > 30%", False),
        ("missing(base) + loop(base) > 0", True),
    ],
)
def test_a_condition_decides(condition, ok, ran):
    found, lines = evaluated(ran, fail_if=(condition,))
    assert (found.ok, found.failed) == (ok, () if ok else (condition,))
    assert (f"--fail_if holds: {condition}" in lines) != ok


def test_without_predictions_it_says_how_to_get_some(prepared):
    with pytest.raises(UserError, match="no predictions about its validation clips; ask for them: cliptune predict"):
        evaluated(prepared)


def test_a_run_is_chosen_by_its_name(ran):
    assert "tuned" in evaluated(ran, run=RUN)[0].systems
    with pytest.raises(UserError, match=f"run must be one of {RUN}, got 'x'"):
        evaluated(ran, run="x")


def test_a_split_that_was_not_marked_is_named(ran):
    with pytest.raises(UserError, match="has no test split: no row of its manifest is marked for it"):
        evaluated(ran, split="test")


@pytest.mark.parametrize(
    "fields",
    [
        {"normalizer": "mine"},
        {"split": "dev"},
        {"predictions": (("a b", "x"),)},
        {"predictions": (("a", "x"), ("a", "y"))},
        {"fail_if": ("better",)},
    ],
)
def test_a_request_checks_itself(fields):
    with pytest.raises(UsageError):
        EvaluateRequest("out", **fields)


TASKS = {
    "say": Task("say", "Say it."),
    "shout": Task("shout", "Shout it."),
    "tongue": Task("tongue", "Which?", LABELS, ("en", "no")),
    "facts": Task("facts", "JSON?", JSON, schema={"properties": {"tags": {"uniqueItems": True}}}),
}
TARGETS = {"say": "one two", "shout": "ONE TWO", "tongue": "en", "facts": '{"tags": ["a", "b"], "n": 1}'}


def told_of(tasks, said, own=None, count=3):
    """What is told of a system that says the same of each of some clips of each task."""
    asked = [
        clips.HeldOut(f"{task}{n}", "m:1", "", "", TARGETS[task], task=task, kind=TASKS[task].target, seconds=2.0)
        for n in range(count)
        for task in tasks
    ]
    system = System("x", {clip.clip_id: Answer(said[clip.task]) for clip in asked if said[clip.task] is not None})
    known = {name: TASKS[name] for name in tasks}
    scored = score(asked, [system], known, "none", 1, own=own)
    return results.results(asked, [system], scored, faults.found(asked, [system]), known)


SAID = {"say": "ONE two", "shout": "one two", "tongue": "EN.", "facts": '{"n": 1, "tags": ["b", "a"], "m": 2}'}


def test_tasks_of_text_are_scored_apart():
    found = told_of(["say", "shout"], SAID)
    assert list(found.tasks) == ["say", "shout"]
    assert [task.systems["x"].wer.value for task in found.tasks.values()] == [0.5, 1]
    assert [task.systems["x"].substitutions for task in found.tasks.values()] == [3, 6]
    # Of both together there is no rate, and a number that two tasks have is of neither.
    assert (found.systems["x"].wer, found.systems["x"].substitutions, found.systems["x"].clips) == (None, None, 6)


def test_a_task_has_its_own_normalizer():
    found = told_of(["say", "shout"], SAID, {"shout": "cliptune"})
    assert [task.normalizer for task in found.tasks.values()] == ["none", "cliptune"]
    assert [task.systems["x"].wer.value for task in found.tasks.values()] == [0.5, 0]


def test_what_one_task_alone_has_is_told_of_the_system_too():
    found = told_of(["say", "tongue", "facts"], SAID, {"tongue": "cliptune"})
    system = found.systems["x"]
    assert (system.wer.value, system.accuracy.value, system.unparsable) == (0.5, 1, 0)
    assert (system.field_f1.value, system.exact.value) == (pytest.approx(2 * 9 / 21), 0)
    assert found.tasks["facts"].systems["x"].fields[".m"] == FieldScores(3, 0, 0, 0, 0, 3)
    assert found.tasks["tongue"].systems["x"].confusion["en"].answers == {"en": 3}


def test_an_answer_that_is_no_label_is_counted_and_not_corrected():
    system = told_of(["tongue"], SAID).systems["x"]
    assert (system.accuracy.value, system.unparsable, system.empty) == (0, 3, 0)
    system = told_of(["tongue"], {"tongue": " "}).tasks["tongue"].systems["x"]
    assert (system.accuracy.value, system.unparsable, system.empty) == (0, 0, 3)
    assert system.confusion["en"].empty == 3


def test_the_missing_answers_of_a_task_are_its_own():
    found = told_of(["say", "tongue"], {"say": None, "tongue": "en"})
    assert (found.systems["x"].missing, found.systems["x"].clips) == (3, 6)
    assert [task.systems["x"].missing for task in found.tasks.values()] == [3, 0]
    assert found.tasks["say"].systems["x"].wer.value == 1


def test_a_condition_finds_the_numbers_of_each_task():
    found = told_of(["say", "shout", "tongue"], SAID)
    names, values = results.names({name: TASKS[name] for name in ("say", "shout", "tongue")}), results.values(found)
    holds = {
        "wer(x, say) < wer(x, shout)": True,
        "accuracy(x) < 50%": True,
        "accuracy(x, tongue) < 50%": True,
        "accuracy.low(x) > 0": False,
        "missing(x) > 0": False,
        "unparsable(x) > 2": True,
        "substitutions(x, shout) > 5": True,
        "loop(x) + cut(x, say) > 0": False,
        "missing.low(x) >= 0": None,  # a count has no interval
    }
    conditions = {text: gate.parse(text) for text in holds}
    for condition in conditions.values():
        condition.check(names, ["x"])
    assert {text: condition.holds(values) for text, condition in conditions.items()} == holds


def test_every_name_that_a_condition_may_have_is_a_number_of_the_results():
    for tasks in (["say"], ["say", "shout"], ["tongue", "facts", "say"]):
        values = results.values(told_of(tasks, SAID))
        for task, names in results.names({name: TASKS[name] for name in tasks}).items():
            assert all((name, "x", task) in values for name in names)


def test_words_that_nobody_said_are_counted_by_duration():
    found = told_of(["say"], {"say": "well one two then"}).systems["x"].insertions_by_duration
    assert found == {"1 to 3 s": Insertions(3, 6.0, 6)}


@pytest.mark.parametrize(
    ("target", "normalizer", "remark"),
    [
        ("मैं हिन्दी", "whisper_basic", "takes the vowel signs out of Devanagari"),
        ("สวัสดีครับ", "whisper_english", "takes the vowel signs out of Thai"),
        ("привет", "whisper_english", "is made for English, and most targets are Cyrillic"),
        ("привет", "whisper_basic", ""),
        ("hello", "whisper_english", ""),
        ("मैं हिन्दी", "cliptune", ""),
    ],
)
def test_a_normalizer_that_does_not_fit_the_script_is_told(target, normalizer, remark, monkeypatch):
    monkeypatch.setitem(TARGETS, "say", target)
    (*told,) = told_of(["say"], {"say": target}, {"say": normalizer}, count=12).remarks
    assert [remark in line for line in told] == [True] * bool(remark)


def test_tasks_of_several_kinds_have_their_own_metrics():
    tasks = {"l": Task("l", "Which?", LABELS, ("en", "no")), "j": Task("j", "JSON?", JSON)}
    asked = [
        clips.HeldOut("a", "m:1", "", "", "no", task="l", kind=LABELS),
        clips.HeldOut("b", "m:2", "", "", '{"room": 1}', task="j", kind=JSON),
    ]
    system = System("x", {"a": Answer("no"), "b": Answer('{"room": 2}')})
    values = {
        metric.name: scores.interval(scores.resamples(), "x", metric).value
        for scores in score(asked, [system], tasks, "none", 1)
        for metric in scores.metrics
    }
    assert values == {"accuracy": 1, "macro_f1": 1, "field_f1": 0, "exact": 0, "valid": 1}


def test_the_page_has_the_tables_of_each_task_and_lets_nothing_run():
    said = {**SAID, "tongue": "<script>en</script>", "facts": '{"<b>": 1}'}
    found = told_of(["say", "tongue", "facts"], said)
    shown = "".join(details.details(name, task.systems) for name, task in found.tasks.items())
    heads = re.findall("<h2>(.*?)</h2>", shown)
    assert heads == [
        "Words that nobody said, by duration: x, say",
        "Labels: x, tongue",
        "Confusion matrix, what was meant by what was answered: x, tongue",
        "Answers that are no label: x, tongue",
        "Fields: x, facts",
    ]
    assert "<script>" not in shown
    assert "<b>" not in shown
    assert re.search(r"&lt;script&gt;en&lt;/script&gt;</td><td[^>]*>3</td><td[^>]*>en</td>", shown)


def test_answers_are_read_from_a_bucket(ran, bucket):
    first, *_ = clips.of(ran, "validation")
    result = json.dumps({"text": first.target, "path": first.clip_id})
    Storage().write_bytes(f"{bucket}/w/de/one.json", result.encode())
    for file in ("w/de/one.json", "w"):
        found, _ = evaluated(ran, predictions=(("whisper", f"{bucket}/{file}"),))
        system = found.systems["whisper"]
        assert (system.clips - system.missing, system.strangers) == (1, 0)
