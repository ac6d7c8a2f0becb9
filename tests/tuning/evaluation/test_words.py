"""Sentences about differences, conditions, faults, normalisers: what people read and machines decide by."""

import re

import numpy as np
import pytest

from transforms.errors import UsageError
from tuning.evaluation import compare, faults, gate, normalizers, scripts, slices
from tuning.evaluation.answers import Answer, System
from tuning.evaluation.bootstrap import Resamples
from tuning.evaluation.clips import HeldOut
from tuning.evaluation.scores import score


def clips_of(count, group=lambda number: "", target=lambda number: "one two three four"):
    return [HeldOut(f"c{n}", f"m:{n}", "", "", target(n), group=group(n), seconds=2.0) for n in range(count)]


def compared(clips, first, second):
    systems = [
        System("tuned", {clip.clip_id: Answer(first(n)) for n, clip in enumerate(clips)}),
        System("base", {clip.clip_id: Answer(second(n)) for n, clip in enumerate(clips)}),
    ]
    (scores,) = score(clips, systems, {}, "none", 7)
    found = compare.comparisons(scores, scores.resamples(), len({*scores.groups}), any(clip.group for clip in clips))
    return found[0]


RIGHT, WRONG = "one two three four", "one two three for"


def test_a_clear_difference_is_said_with_its_interval_and_its_numbers():
    found = compared(clips_of(40, lambda n: f"s{n % 8}"), lambda n: RIGHT, lambda n: WRONG if n % 2 else RIGHT)
    assert (found.a, found.b, found.metric, found.difference.value) == ("tuned", "base", "wer", -0.125)
    assert found.sentence == "tuned is better than base by 12.5 points [6.2, 21.9] of wer on 40 clips of 8 groups"


def test_the_other_way_round_it_is_worse():
    found = compared(clips_of(40), lambda n: WRONG, lambda n: RIGHT)
    assert found.sentence == "tuned is worse than base by 25.0 points [25.0, 25.0] of wer on 40 clips"


def test_a_difference_that_may_be_chance_is_not_sold():
    found = compared(clips_of(40), lambda n: WRONG if n < 6 else RIGHT, lambda n: WRONG if 3 < n < 11 else RIGHT)
    assert found.sentence.startswith(
        "no difference between tuned and base that this many clips can show: -0.6 points ["
    )
    assert found.sentence.endswith("on 40 clips; about 2,500 clips would be needed to show one of this size")


def test_the_same_answers_are_the_same():
    assert (
        compared(clips_of(9), lambda n: WRONG, lambda n: WRONG).sentence
        == "tuned and base are the same by wer on 9 clips"
    )


def test_of_one_group_nothing_is_said():
    found = compared(clips_of(9, lambda n: "s"), lambda n: RIGHT, lambda n: WRONG)
    assert found.sentence.endswith("one group tells nothing of others")


@pytest.mark.sweep
def test_as_many_clips_as_are_said_to_be_needed_show_the_difference_four_times_of_five():
    """The promise of a power of 80 %, by simulation: of answers that differ as those that were looked at do."""
    dice = np.random.default_rng(1)
    pilot = np.concatenate([np.full(52, -1.0), np.full(40, 1.0), np.zeros(308)])  # 12 of 400, in errors of a word
    found = Resamples(np.stack([pilot, np.ones(400)], axis=1), 1).interval(lambda sums: sums[..., 0] / sums[..., 1])
    assert not found.decided
    wanted = int(re.sub(r"\D", "", compare._wanted(found, 400)))
    shown = 0
    for seed in range(150):
        clips = np.stack([dice.choice(pilot, wanted), np.ones(wanted)], axis=1)
        shown += Resamples(clips, seed, 300).interval(lambda sums: sums[..., 0] / sums[..., 1]).decided
    assert 0.7 <= shown / 150 <= 0.9


def test_no_clip_is_dropped():
    clips = clips_of(4)
    (scores,) = score(clips, [System("x", {"c0": Answer(RIGHT), "c1": Answer(None)})], {}, "none", 7)
    assert scores.interval(scores.resamples(), "x", scores.metrics[0]).value == 12 / 16


def test_scripts_without_spaces_are_looked_at_by_characters():
    clips = clips_of(3, target=lambda n: "今日は天気がいい")
    (scores,) = score(clips, [System("x", {})], {}, "none", 7)
    assert [metric.name for metric in scores.metrics] == ["cer", "wer"]


def test_a_condition_is_parsed_and_judged():
    values = {
        ("wer", "tuned", ""): 0.2,
        ("wer", "base", ""): 0.3,
        ("cer", "base", ""): None,
        ("wer", "a", "b (c)>d"): 0,
    }
    holds = {
        "wer(tuned) > wer(base)": False,
        "wer(tuned)<wer(base)": True,
        "wer(base) >= 0.3": True,
        "0.3 > wer(base)": False,
        "0.3 <= wer(base)": True,
        "cer(base) >= 0": None,  # a gate that cannot be decided is not passed
        "wer( base ) >= 30%": True,
        "wer(base) - wer(tuned) < .11": True,
        "wer(tuned) > wer(base) - 10 %": False,
        "wer(base) > wer(tuned) + 0.05 + 0.04": True,
        "wer(tuned) - wer(base) > -11%": True,
        "-wer(tuned) < - 0.2": False,
        'wer(a, "b (c)>d") >= 0.': True,
    }
    assert {text: gate.parse(text).holds(values) for text in holds} == holds


@pytest.mark.parametrize(
    "text",
    [
        *("", "wer(tuned)", "wer(tuned) = 1", "wer tuned > 1", "wer(a) > wer(b) > 1", "wer(a) > -", "1 > 0"),
        *("wer(a) > 1 %%", "wer(a) > 1e3", "wer() > 1", "wer(a,) > 1", "wer.mid(a) > 1", "wer(a) > 1 wer(b)"),
        "wer(a) > 1" + " + 1" * 1_000,
    ],
)
def test_what_is_no_condition_is_refused_with_an_example(text):
    with pytest.raises(UsageError, match=r'as "wer\(tuned\) > wer\(base\)", got'):
        gate.parse(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("wer(tunde) > 1", "wer(tunde): 'tunde' is no system; did you mean 'tuned'?"),
        ("wer(x) > 1", "wer(x): 'x' is no system; there are tuned, base"),
        ("were(base) > 1", "were(base): 'were' is no metric; did you mean 'wer'?"),
        ("wer(base, speak) > 1", "wer(base, speak): 'speak' is no task; there are en, de"),
        ("f1(base, de) > 1", "f1(base, de): 'f1' is no metric of de; there are wer, missing"),
        ("wer(base) > 1", "wer(base): several tasks have wer; say which one: wer(base, en)"),
        ("wer.low(base) > 1", "wer.low(base): several tasks have wer; say which one: wer.low(base, en)"),
    ],
)
def test_a_condition_about_what_is_not_there_names_what_is(text, said):
    known = {"": ["f1", "missing"], "en": ["wer", "f1", "missing"], "de": ["wer", "missing"]}
    with pytest.raises(UsageError, match=re.escape(f"fail_if: {said}")):
        gate.parse(text).check(known, ["tuned", "base"])


def test_a_condition_about_what_is_there_is_checked_and_found_right():
    known = {"": ["f1", "missing"], "en": ["wer", "f1", "missing"], "de": ["wer", "missing"]}
    for text in ("f1(tuned) > 1%", "wer(base, de) > wer.high(base, en)", "missing(base, de) + missing(base) > 3"):
        gate.parse(text).check(known, ["tuned", "base"])


def test_a_number_that_was_meant_as_per_cent_is_noticed():
    great = {text: gate.parse(text).great({"wer"}) for text in ("wer(a) > 20", "wer(a) > 20%", "missing(a) > 20")}
    assert great == {"wer(a) > 20": 20, "wer(a) > 20%": None, "missing(a) > 20": None}


@pytest.mark.parametrize(
    ("seconds", "prompt", "target", "answer", "reason", "found"),
    [
        (5, "", "one two", "one two", "STOP", ()),
        (5, "", "one two", "and then " * 30, "MAX_TOKENS", ("cut", "loop")),
        (5, "", "no no no " * 20, "no no no " * 20, "STOP", ()),  # the speaker does repeat himself
        (0.8, "", "yes", "yes thank you for watching", "STOP", ("filler",)),
        (1.1, "", "yes", "yes thank you for watching", "STOP", ()),
        (5, "Transcribe this clip.", "hello", "Sure! Transcribe this clip. hello", "STOP", ("prompt_echo",)),
        (5, "", "привет мир", "privet mir", "STOP", ("other_script",)),
        (5, "", "123", "one two", "STOP", ()),
        (5, "", "one", None, "SAFETY", ("blocked",)),
        (5, "", "no", "no no no no no", "STOP", ("loop",)),
        (5, "", "no", "no no no no", "STOP", ()),  # four times may be said
        (5, "", "no no no", "no no no no no", "STOP", ()),
        (5, "", "哈", "谢谢谢谢谢谢", "STOP", ("loop",)),
        (5, "", "one", "and so on and so on and so on and so on and so on", None, ("loop",)),
        (5, "", "one two three four five six seven eight", "One two three four", None, ("truncated",)),
        (5, "", "one two three four five six seven eight", "one two three four five", None, ()),
        (5, "", "one two three four five six seven eight", "five six seven eight", None, ()),  # begins late
        (5, "", "一二三四五六七八", "一二三四", None, ("truncated",)),
    ],
)
def test_faults(seconds, prompt, target, answer, reason, found):
    clip = HeldOut("c", "m:1", "", "", target, prompt=prompt, seconds=seconds)
    assert faults.of(clip, Answer(answer, reason)) == found


@pytest.mark.parametrize(
    ("kind", "target", "answer", "found"),
    [
        ("json", '{"a": 1}', '```json\n{"a": 1}\n```', ("fenced",)),
        ("json", '{"a": 1}', '{"a": "```"}', ()),
        ("json", "[]", '{"a": "four words and more"}', ()),  # what is said in it is no filler
        ("labels", "ja", "это японский язык", ()),  # is no label, which is told as such
        ("text", "ja", "```", ()),
    ],
)
def test_faults_are_those_of_their_kind_of_target(kind, target, answer, found):
    assert faults.of(HeldOut("c", "m:1", "", "", target, kind=kind, seconds=0.5), Answer(answer)) == found


@pytest.mark.parametrize(
    ("name", "text", "normalized"),
    [
        ("none", "Don't  STOP!", "Don't  STOP!"),
        ("cliptune", "Don't  STOP!", "don't stop"),
        ("whisper_basic", "Don't STOP!", "don t stop "),
        ("whisper_english", "Don't STOP, twenty-one colours!", "do not stop 21 colors"),
    ],
)
def test_normalizers(name, text, normalized):
    assert normalizers.find(name)(text) == normalized


def test_every_normalizer_has_a_version_that_changes_with_what_it_does():
    versions = {name: row.version for name, row in normalizers.NORMALIZERS.items()}
    assert versions["whisper_english"].startswith("whisper-normalizer 0.1.")
    assert versions["none"] == versions["cliptune"] == "1"


@pytest.mark.parametrize(
    ("text", "script", "unspaced"),
    [
        ("hello", "Latin", False),
        ("привет", "Cyrillic", False),
        ("今日はいい", "East Asian", True),
        ("สวัสดี", "Thai", True),
        ("안녕", "Hangul", False),
        ("12", "", False),
    ],
)
def test_scripts(text, script, unspaced):
    assert (scripts.script_of(text), scripts.unspaced(text)) == (script, unspaced)


def test_slices_have_their_numbers_and_small_ones_are_pooled():
    names = ["a"] * 30 + ["b"] * 10 + ["c"] * 9 + ["d"] * 3
    clips = clips_of(len(names), lambda n: names[n])
    (scores,) = score(clips, [System("x", {clip.clip_id: Answer(WRONG) for clip in clips})], {}, "none", 7)
    found = [part for part in slices.slices(scores) if part.by == "group"]
    assert [(part.name, part.clips) for part in found] == [("a", 30), ("b", 10), ("(others)", 12)]
    assert all(part.systems["x"].value == 0.25 and part.metric == "wer" for part in found)


def test_the_groups_of_a_dataset_are_drawn_as_one():
    clips = clips_of(6, lambda n: f"s{n % 2}")
    (scores,) = score(clips, [System("x", {})], {}, "none", 7)
    assert np.array_equal(scores.groups, [0, 1, 0, 1, 0, 1])
    assert scores.resamples().sums.sums.groups == 2
