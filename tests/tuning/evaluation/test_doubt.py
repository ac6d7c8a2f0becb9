"""Which texts are wrong: planted faults among clips that are spoken as people speak, and clips that are all right."""

import random
from dataclasses import replace

import numpy as np
import pytest

from transforms.settings import JSON, LABELS, Task
from tuning.evaluation import doubt, elsewhere, heard, labelled, pools, rate, shifts
from tuning.evaluation.answers import Answer, System
from tuning.evaluation.clips import HeldOut
from tuning.evaluation.doubt import Asked
from tuning.evaluation.heard import Heard
from tuning.evaluation.rate import Curve, Spoken
from tuning.evaluation.shifts import Neighbours
from tuning.requests import DEFAULT_MIN_SCORE

WORDS = [
    "".join(random.Random(number).choices("etaoinshrdlu", k=2 + number % 7)) for number in range(400)
]  # as long as words are


def clips(count=120, seed=1, words=(3, 14), speed=14.0):
    """Clips with the right texts, as they are spoken: about 14 characters a second, some faster, some slower."""
    dice = random.Random(seed)
    made = []
    for number in range(count):
        text = " ".join(dice.choices(WORDS, k=dice.randint(*words)))
        seconds = 0.3 + len(text) / speed * dice.lognormvariate(0, 0.15)
        made.append(HeldOut(f"c{number}", f"m.jsonl:{number + 1}", f"/a/c{number}.wav", "", text, seconds=seconds))
    return made


def recogniser(right, rate=0.1, seed=5, name="heard"):
    """What a system hears that is wrong about some characters, and about a whole clip now and then."""
    dice = random.Random(seed)

    def said(text):
        if dice.random() < 0.03:
            return "".join(dice.choices("etaoin shrdlu", k=len(text)))
        return "".join(dice.choice("etaoin shrdlu") if dice.random() < rate else char for char in text)

    return System(name, {clip.clip_id: Answer(said(clip.target)) for clip in right})


def weigh(some, systems=(), asked=None, tasks=(), languages=None):
    here = np.ones(len(some), dtype=bool) if asked is None else np.array([clip.clip_id in asked for clip in some])
    sources = [(clip.source, number) for number, clip in enumerate(some)]
    known = {task.name: task for task in tasks}
    return doubt.weigh(Asked(some, languages or [""] * len(some), here, sources, systems, known, "cliptune"))


def with_texts(some, texts):
    return [replace(clip, target=texts.get(number, clip.target)) for number, clip in enumerate(some)]


def most(found, count):
    return {int(number) for number in np.argsort(-found.scores, kind="stable")[:count]}


SWAPPED = {10: 90, 90: 10, 33: 70, 70: 33}


@pytest.mark.parametrize("systems", [(), ("heard",), ("heard", "other")])
@pytest.mark.parametrize("seed", range(3))
def test_of_right_texts_next_to_none_is_suspect(systems, seed):
    some = clips(seed=seed)
    found = weigh(some, [recogniser(some, seed=10 * seed + n, name=name) for n, name in enumerate(systems)])
    assert (found.scores >= 0.5).sum() <= 1 + 4 * (len(systems) == 1)  # what one system mishears wholly
    assert found.shifts == ()


def test_texts_that_nobody_could_say_in_the_time_are_found_without_a_recogniser():
    some = clips()
    found = weigh(with_texts(some, {7: some[7].target * 4, 50: some[50].target[:3], 80: some[80].target * 5}))
    assert most(found, 3) == {7, 50, 80}
    assert found.why[7].endswith(" times as fast as is usual")
    assert found.why[50].endswith(" times as slow as is usual")
    assert found.telling == frozenset()


@pytest.mark.parametrize("fault", ["swapped", "replaced", "cut", "longer", "translated"])
def test_planted_faults_are_the_first_when_systems_have_heard_the_clips(fault):
    some = clips(words=(8, 14))
    texts = {
        "swapped": {number: some[other].target for number, other in SWAPPED.items()},
        "replaced": dict.fromkeys(SWAPPED, "nothing of the kind was ever said by anybody"),
        "cut": {number: some[number].target[: len(some[number].target) // 2] for number in SWAPPED},
        "longer": {number: f"{some[number].target} {some[number + 1].target}" for number in SWAPPED},
        "translated": dict.fromkeys(SWAPPED, "Вот что было сказано на самом деле"),
    }[fault]
    found = weigh(with_texts(some, texts), [recogniser(some), recogniser(some, 0.15, 6, "other")])
    assert most(found, len(texts)) == {*texts}
    assert all(found.scores[number] > DEFAULT_MIN_SCORE for number in texts)


def test_a_text_that_was_heard_elsewhere_is_named():
    some = clips(words=(6, 14))
    found = weigh(with_texts(some, {n: some[o].target for n, o in SWAPPED.items()}), [recogniser(some)])
    assert {number: found.why[number].partition("like the text of ")[2].partition(";")[0] for number in SWAPPED} == {
        number: f"m.jsonl:{other + 1}" for number, other in SWAPPED.items()
    }


def test_systems_that_hear_the_same_confirm_each_other_and_those_that_do_not_show_hard_audio():
    some = clips()
    wrong = with_texts(some, {5: "what stands here was never said"})
    one, other = recogniser(some, 0.05), recogniser(some, 0.05, 6, "other")
    babble = {"c60": Answer("zz qq ww vv kk"), **{}}
    hard = System("other", {**other.answers, **{"c60": Answer("mmm bbb ppp ggg hh")}})
    found = weigh(wrong, [System("heard", {**one.answers, **babble}), hard])
    assert found.scores[5] > 0.9
    assert found.scores[60] < 0.5
    assert 'heard heard "' in found.why[5]
    assert '" and other heard "' in found.why[5]


def test_a_text_in_another_script_is_suspect_where_nearly_all_have_one():
    russian = {7: "Вот что было сказано"}
    some = with_texts(clips(), russian)
    alone, asked_too = weigh(some), weigh(some, [recogniser(clips())])
    assert alone.why[7].startswith("Cyrillic, where nearly all texts are Latin")
    assert most(alone, 1) == most(asked_too, 1) == {7}
    assert DEFAULT_MIN_SCORE < alone.scores[7] < asked_too.scores[7]
    said = System("heard", {**recogniser(clips()).answers, "c7": Answer("вот что было сказано")})
    assert weigh(some, [said]).scores[7] < 0.05
    of_two = with_texts(clips(), dict.fromkeys(range(0, 120, 2), "Вот что было сказано на самом деле"))
    assert not any("nearly all" in why for why in weigh(of_two).why)


def test_a_system_whose_answers_fit_no_text_is_not_believed():
    """As the emulator's, which predicts nothing, or a recogniser of another language."""
    some = clips()
    dice = random.Random(2)
    answers = {clip.clip_id: Answer(" ".join(dice.choices(WORDS, k=6))) for clip in some}
    found = weigh(some, [System("base", answers)])
    assert found.telling == frozenset()
    assert found.shifts == ()
    assert np.array_equal(found.scores, weigh(some).scores)


@pytest.mark.parametrize("count", range(13))
def test_few_clips_are_no_grounds_for_anything(count):
    some = clips(count)
    found = weigh(some, [recogniser(some)])
    assert not (found.scores > 0.5).any()
    if count < heard.SMALLEST:
        assert np.isnan(found.scores).all()


def test_of_few_clips_only_what_is_impossible_is_told():
    some = with_texts(clips(4), {2: "far too much to say " * 40})
    found = weigh(some)
    assert np.flatnonzero(~np.isnan(found.scores)).tolist() == [2]
    assert found.scores[2] > 0.9
    assert found.why[2].endswith("characters a second, more than anybody says")


def test_each_language_has_its_own_speed():
    """One that says with a character what another says with three is not too slow."""
    slow = [
        replace(clip, clip_id=f"s{clip.clip_id}", source=f"s.jsonl:{n}") for n, clip in enumerate(clips(40, 3, speed=4))
    ]
    some = clips(80) + slow
    found = weigh(some, languages=["en"] * 80 + ["zh"] * 40)
    assert not (found.scores >= 0.5).any()


@pytest.mark.parametrize(("kind", "judged"), [(JSON, 0), (LABELS, 0)])
def test_other_targets_have_no_rate(kind, judged):
    some = [replace(clip, kind=kind, task="t") for clip in clips(20)]
    assert (~np.isnan(weigh(some).scores)).sum() == judged


LABEL_TASK = Task("mood", "p", target=LABELS, labels=("glad", "sad", "angry"))


def labelled_clips(count=60):
    return [
        replace(clip, kind=LABELS, task="mood", target=LABEL_TASK.labels[number % 3])
        for number, clip in enumerate(clips(count))
    ]


def test_labels_are_doubted_where_systems_agree_on_another_one():
    some = labelled_clips()
    right = {clip.clip_id: Answer(clip.target) for clip in some}
    wrong = with_texts(some, {4: "angry", 9: "sad"})
    one = System("one", {**right, "c20": Answer("glad")})
    two = System("two", {**right, "c20": Answer("sad"), "c30": Answer("I cannot tell")})
    some_wrong = [replace(clip, target="angry") if clip.clip_id == "c20" else clip for clip in wrong]
    found = weigh(some_wrong, [one, two], tasks=[LABEL_TASK])
    assert most(found, 2) == {4, 9}
    assert found.why[4] == 'one and two answered "sad"'
    assert found.scores[20] < found.scores[4]  # each says something else
    assert found.scores[30] < 0.05  # what is no label says nothing, and the other system agrees
    assert found.telling == {"one", "two"}


def test_a_system_that_guesses_labels_is_not_believed():
    some = labelled_clips()
    found = weigh(some, [System("guess", {clip.clip_id: Answer("glad") for clip in some})], tasks=[LABEL_TASK])
    assert found.telling == frozenset()
    assert np.isnan(found.scores).all()


def shifted(some, start, stop, by):
    """The texts of rows [start, stop), each `by` rows lower than it should be, round and round."""
    texts = [clip.target for clip in some]
    return with_texts(some, {n: texts[start + (n - start - by) % (stop - start)] for n in range(start, stop)})


@pytest.mark.parametrize("by", [1, -1, 2, -3])
def test_a_stretch_of_rows_whose_texts_are_shifted_is_found_and_said(by):
    some = clips()
    found = weigh(shifted(some, 30, 60, by), [recogniser(some)])
    (shift,) = found.shifts
    assert (shift.file, shift.by, shift.found_by) == ("m.jsonl", by, shifts.ANSWERS)
    first, last = (shifts.parted(source)[1] - 1 for source in (shift.first, shift.last))
    # What went round may belong to the stretch or not.
    assert 30 <= first <= 30 + abs(by)
    assert 59 - abs(by) <= last <= 59
    assert shift.rows == last - first + 1
    far = "one row" if abs(by) == 1 else f"{abs(by)} rows"
    low, below = ("low", "below") if by > 0 else ("high", "above")
    assert shift.sentence == (
        f"m.jsonl:{first + 1}-{last + 1}: the texts of {shift.rows} rows stand {far} too {low}: what is heard in a"
        f" row is the text {far} {below}"
    )
    assert most(found, shift.rows) >= {*range(first, last + 1)}
    assert found.why[45].startswith(f"the texts of m.jsonl:{first + 1}-{last + 1} stand {far} too {low}")


@pytest.mark.parametrize("by", [1, -1, 4])
@pytest.mark.parametrize("systems", [True, False], ids=["answers", "lengths alone"])
def test_a_whole_manifest_off_by_a_row_is_found_and_said(by, systems):
    some = clips(words=(1, 20))
    other = [
        replace(clip, clip_id=f"x{clip.clip_id}", source=clip.source.replace("m.", "n.")) for clip in clips(seed=9)
    ]
    every = shifted(some, 0, len(some), by) + other
    found = weigh(every, [recogniser(some + other)] if systems else [])
    (shift,) = found.shifts
    assert (shift.file, shift.first, shift.last, shift.by) == ("m.jsonl", "m.jsonl:1", "m.jsonl:120", by)
    assert shift.found_by == ("answers" if systems else "rate")
    assert (found.scores[:120] > 0.5).sum() >= 118
    assert (found.scores[120:] > 0.5).sum() <= 4


def test_clips_that_were_not_asked_about_and_rows_that_are_none_interrupt_no_stretch():
    some = clips()
    dice = random.Random(4)
    system = recogniser(some)
    asked = {clip.clip_id for clip in some if dice.random() < 0.8}
    answers = {name: answer for name, answer in system.answers.items() if name in asked}
    lower = shifted(some, 0, len(some), 1)
    sources = [(clip.source, -1 if number % 11 == 5 else number) for number, clip in enumerate(lower)]
    here = np.array([clip.clip_id in asked for clip in lower])
    found = doubt.weigh(Asked(lower, [""] * 120, here, sources, [System("heard", answers)], {}, "cliptune"))
    (shift,) = found.shifts
    assert (shift.first, shift.last) == ("m.jsonl:1", "m.jsonl:120")


def test_a_text_that_stands_in_both_rows_is_no_fault():
    some = with_texts(clips(), {41: clips()[40].target})
    found = weigh(shifted(some, 30, 60, 1), [recogniser(some)])
    assert len(found.shifts) == 1
    assert found.scores[41] < 0.5


def test_pairs_of_a_folder_are_neighbours_in_the_order_of_their_names():
    some = [
        replace(clip, source=f"pairs/{number + 1}.txt:1") for number, clip in enumerate(clips(40))
    ]  # 2 stands before 10
    found = weigh(shifted(some, 0, 40, 1), [recogniser(some)])
    (shift,) = found.shifts
    assert (shift.file, shift.first, shift.last) == ("pairs", "pairs/1.txt:1", "pairs/40.txt:1")
    assert shift.sentence.startswith("pairs/1.txt:1 to pairs/40.txt:1: the texts of 40 rows stand one row too low")


def test_rows_are_sorted_by_their_lines_and_manifests_are_kept_apart():
    sources = [("b.csv:10", 1), ("b.csv:9", 0), ("a:b.csv:2", 2), ("a:b.csv:3", 3), ("odd", 4)]
    neighbours = Neighbours.of(sources)
    there = [source for source in neighbours.sources if source]
    assert there == ["b.csv:9", "b.csv:10", "a:b.csv:2", "a:b.csv:3", "odd"]
    behind = {s: int(n) for s, n in zip(neighbours.sources, neighbours.beside(1), strict=True) if s}
    assert behind == {"b.csv:9": 1, "b.csv:10": -1, "a:b.csv:2": 3, "a:b.csv:3": -1, "odd": -1}


@pytest.mark.parametrize("seed", range(6))
def test_equal_lengths_and_chance_make_no_shift(seed):
    """Fixed windows of audio say nothing of their texts; ten words in random order repeat by chance."""
    digits = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    dice = random.Random(seed)
    some = [replace(clip, target=dice.choice(digits), seconds=0.5) for clip in clips(300)]
    found = weigh(some, [recogniser(some, 0.3, seed)])
    assert found.shifts == ()


def test_pools_join_what_is_too_small_by_its_wider_traits():
    traits = [("a", "x")] * 3 + [("a", "y")] + [("a", "z")] + [("b", "x")] * 2
    found = [chosen.tolist() for chosen in pools.pooled(traits, 2)]
    assert sorted(found) == [[0, 1, 2], [3, 4], [5, 6]]
    assert sorted(chosen.tolist() for chosen in pools.pooled(traits, 3)) == [[0, 1, 2], [3, 4, 5, 6]]
    assert pools.pooled([]) == []


def test_a_curve_bends_and_keeps_its_speed_beyond_what_it_knows():
    lengths = np.log(np.arange(1.0, 201.0))
    curve = Curve.of(lengths, np.log(0.5 + np.arange(1.0, 201.0) / 14))
    assert np.abs(curve.time(lengths[20:]) - np.log(0.5 + np.arange(21.0, 201.0) / 14)).max() < 0.1
    assert curve.time(np.array([10.0]))[0] - curve.time(np.array([9.0]))[0] == pytest.approx(1)
    assert Curve.of(lengths[:5], lengths[:5] - 2).time(np.array([3.0])).tolist() == [1.0]


@pytest.mark.parametrize(
    ("text", "chars"), [("", 0), ("a b, c!", 3), ("über", 4), ("कि", 2), ("砸自己", 3), ("7", 4), ("call 42", 12)]
)
def test_what_counts_as_said(text, chars):
    assert rate.chars([text]).tolist() == [chars]


def test_an_impossible_rate_is_told_at_its_limit():
    assert rate.IMPOSSIBLE == 45
    for seconds, certain in ((2.0, False), (1.99, True)):
        spoken = Spoken(np.array([90.0]), np.array([seconds]))
        against, _ = rate.evidence(spoken, spoken, [])
        assert bool(against[0] == rate.CERTAIN) is certain


def test_distances_of_nothing_are_unknown():
    assert np.isnan(heard.distance(["", "a", ""], ["a", "", ""])).all()
    assert heard.distance(["ab", "ab"], ["ab", "cd"]).tolist() == [0, 1]
    assert heard.distance([], []).tolist() == []


def test_evidence_together():
    nan = np.nan
    one, two = np.array([3.0, 3.0, -4.0, nan, nan, 3.0]), np.array([2.0, 2.0, 3.0, 2.0, nan, -4.0])
    agreement = np.array([1.0, 0.0, 0.0, 0.0, 0.0, 1.0])
    assert heard.together([one, two], agreement).tolist() == [5, 2, -4, 2, 0, -1]
    assert heard.together([], np.zeros(2)).tolist() == [0, 0]


def test_agreement_is_of_pairs_that_both_answered():
    said = [
        ["hello there", "hello there", "", "a"],
        ["hello there", "qqqqq zzzzz", "x", "a"],
        ["", "hello there", "", ""],
    ]
    assert heard.agreement(said).tolist() == pytest.approx([1, 1 / 3, 0, 1])
    assert labelled.agreement([["a", "b", "?"], ["a", "a", "a"]], {"a", "b"}).tolist() == [1, 0, 0]


def test_short_and_common_texts_are_not_looked_for_elsewhere():
    texts = ["yes it is so", "no", "something else entirely", "yes it is so indeed, my friend"]
    said = ["something else entirely", "something else", "something else entirely", "no"]
    system = Heard.of(said, texts, [np.arange(4)])
    assert elsewhere.found({"s": system}, np.array([1.0, 1.0, -1.0, 1.0])) == {0: 2}
    assert elsewhere.found({"s": system}, np.zeros(4)) == {}
    assert elsewhere.found({}, np.ones(4)) == {}
