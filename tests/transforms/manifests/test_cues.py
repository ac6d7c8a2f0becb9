"""Cues become clips: neighbours are joined at pauses; overlaps and cues out of order are refused."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms import reasons
from transforms.errors import ClipRejected, UserError
from transforms.manifests import cues, joining
from transforms.manifests.cues import JOINED, Cue, CueSettings, Tier, Transcript
from transforms.manifests.row import CUT_END, CUT_START

ALONE = CueSettings(join_cues=0)


def transcript(*spans, ordered=True):
    """Cues from start, end and perhaps a text and a speaker; their lines are 1, 2, 3 …"""
    told = [span + (f"w{n}", "")[len(span) - 2 :] for n, span in enumerate(spans, 1)]
    return Transcript((Tier("", tuple(Cue(n, *each) for n, each in enumerate(told, 1))),), ordered=ordered)


def rows(*spans, settings=JOINED, ordered=True):
    return list(joining.rows(transcript(*spans, ordered=ordered), "a.srt", "a.wav", settings))


def told(found):
    return [row.fault.reason.name if row.fault else row.fields["text"] for row in found]


def windows(row):
    """Where a row's segment is cut: both windows, in seconds of the recording."""
    start, end = row.fields["offset"], row.fields["offset"] + row.fields["duration"]
    return tuple(round(time, 6) for time in (start, start + row.fields[CUT_START], end - row.fields[CUT_END], end))


@pytest.mark.parametrize(
    ("spans", "settings", "joined"),
    [
        ([(1, 2), (2.5, 3)], CueSettings(), ["w1 w2"]),
        ([(1, 2), (2.5, 3)], ALONE, ["w1", "w2"]),
        ([(1, 2), (4, 5)], CueSettings(), ["w1 w2"]),
        ([(1, 2), (4.001, 5)], CueSettings(), ["w1", "w2"]),  # in a longer pause more may be said
        ([(0, 10), (10, 20), (20, 29)], CueSettings(), ["w1 w2 w3"]),
        ([(0, 10), (10, 20), (20, 29.001)], CueSettings(), ["w1 w2", "w3"]),
        ([(0, 10), (10, 20), (20, 29)], CueSettings(join_cues=20), ["w1 w2", "w3"]),
        ([(0, 10, "a."), (10, 20, "b"), (20, 29.5, "c")], CueSettings(), ["a. b", "c"]),  # a. ends in the first half
        ([(0, 15, "a."), (15, 20, "b"), (20, 29.5, "c")], CueSettings(), ["a.", "b c"]),
        ([(0, 15, "「はい。」"), (15, 20, "行きます"), (20, 29.5, "ね")], CueSettings(), ["「はい。」", "行きますね"]),
        ([(0, 15), (15.6, 20), (20.1, 29.5)], CueSettings(), ["w1", "w2 w3"]),  # at the longer pause
        ([(1, 2, "a", "Ann"), (2, 3, "b", "Ann"), (3, 4, "c", "Bob")], CueSettings(), ["a b", "c"]),
        ([(1, 40)], CueSettings(), ["w1"]),  # which is refused when its length is known
        ([(1, 2), (3, None)], CueSettings(), ["w1", "w2"]),
        ([(1, None), (3, 4)], CueSettings(), ["w1 w2"]),  # it ends where the next begins
        ([], CueSettings(tiers=("x",)), []),
    ],
)
def test_neighbours_are_joined_up_to_a_limit(spans, settings, joined):
    assert told(rows(*spans, settings=settings)) == joined


@pytest.mark.parametrize(
    ("texts", "joined"),
    [
        (["hello", "there"], "hello there"),
        (["你好", "世界"], "你好世界"),
        (["สวัสดี", "ครับ"], "สวัสดีครับ"),
        (["こんにちは。", "元気"], "こんにちは。元気"),
        (["我用", "Python"], "我用 Python"),
        (["안녕", "하세요"], "안녕 하세요"),
        (["", "a", "", "b"], "a b"),
        ([], ""),
    ],
)
def test_texts_are_joined_as_their_script_has_it(texts, joined):
    assert cues.joined(text for text in texts if text) == joined


@pytest.mark.parametrize(
    ("spans", "found"),
    [
        ([(1, 3), (2, 4), (5, 6)], ["overlapping_cues", "overlapping_cues", "w3"]),
        ([(1, 3), (2.76, 4), (5, 6)], ["w1", "w2", "w3"]),  # tools let cues overlap by a little
        ([(1, 3), (2.74, 4), (5, 6)], ["overlapping_cues", "overlapping_cues", "w3"]),
        ([(0, 9), (2, 3), (5, 6), (9, 10)], ["overlapping_cues"] * 3 + ["w4"]),
        ([(1, 2), (1, 2), (5, 6)], ["overlapping_cues", "overlapping_cues", "w3"]),
        ([(1, 2), (50, 51), (3, 4), (5, 6)], ["w1", "overlapping_cues", "w3", "w4"]),  # the fewest are out of order
        ([(5, 6), (1, 2), (7, 8)], ["overlapping_cues", "w2", "w3"]),
        ([(3, 2), (4, 5)], ["bad_field", "w2"]),
        ([(3, 3), (4, 5)], ["bad_field", "w2"]),
        ([(3, 4, ""), (4, 5)], ["missing_text", "w2"]),
    ],
)
def test_overlaps_and_cues_out_of_order_are_reasons(spans, found):
    assert told(rows(*spans, settings=ALONE)) == found


def test_an_overlap_between_two_speakers_says_who_else_speaks():
    found = rows((1, 3, "a", "Ann"), (2, 4, "b", "Bob"), ordered=False)
    assert [row.fault.detail for row in found] == [
        "the cue of Bob from 2 to 4 s (number or line 2) speaks at the same time",
        "the cue of Ann from 1 to 3 s (number or line 1) speaks at the same time",
    ]


def test_a_row_that_is_refused_ends_a_clip():
    found = rows((1, 2), (2, 3), (3, 5), (4, 6), (6, 7))
    assert told(found) == ["w1 w2", "overlapping_cues", "overlapping_cues", "w5"]


def test_cues_that_stay_while_the_next_is_said_end_where_it_begins():
    """Captions of two lines: each stays while the next is said. Who reads them thinks that they overlap."""
    found = rows((0, 4), (2, 6), (4, 8), (6, 9), settings=ALONE)
    assert [(row.fields["id"], row.fields["text"]) for row in found] == [
        ("a@0+2", "w1"), ("a@2+2", "w2"), ("a@4+2", "w3"), ("a@6+3", "w4"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("spans", "cuts"),
    [
        ([(5, 6)], [(4.5, 5, 6, 6.5)]),
        ([(0.2, 6)], [(0, 0.2, 6, 6.5)]),
        ([(5, 6), (8.1, 9)], [(4.5, 5, 6, 6.5), (7.6, 8.1, 9, 9.5)]),
        ([(5, 6), (6.8, 8)], [(4.5, 5, 6, 6.4), (6.4, 6.8, 8, 8.5)]),  # each in its half of the pause
        ([(5, 6), (6.4, 8)], [(4.5, 5, 6, 6.4), (6, 6.4, 8, 8.5)]),  # both in the whole pause
        ([(5, 6), (6.1, 8)], [(4.5, 5, 5.9, 6.2), (5.9, 6.2, 8, 8.5)]),  # within the cues, too
        ([(5, 6), (6, 8)], [(4.5, 5, 5.9, 6.1), (5.9, 6.1, 8, 8.5)]),
        ([(5, 6), (5.8, 8)], [(4.5, 5, 5.7, 6.1), (5.7, 6.1, 8, 8.5)]),
        ([(5, 5.2), (5.2, 8)], [(4.5, 5, 5.15, 5.25), (5.15, 5.25, 8, 8.5)]),  # of short cues, a quarter
        ([(5, 35)], [(5, 5, 35, 35)]),  # it would be too long
        ([(5, 34.8)], [(4.9, 5, 34.8, 34.9)]),
        ([(5, 35), (35, 36)], [(5, 5, 35, 35), (35, 35, 36, 36.5)]),  # and both agree
    ],
)
def test_where_clips_are_cut(spans, cuts):
    assert [windows(row) for row in rows(*spans, settings=ALONE)] == cuts


@st.composite
def following(draw):
    """Spans in order, in milliseconds, which touch, nearly touch or overlap a little."""
    at, found = 0, []
    for _ in range(draw(st.integers(1, 12))):
        at += draw(st.sampled_from([-40, 0, 10, 150, 400, 900, 3_000]))
        end = max(at, 0) + draw(st.integers(300, 12_000))
        found.append((max(at, 0) / 1_000, end / 1_000))
        at = end
    return found


@given(following(), st.sampled_from([None, 0.0, 5.0, 15.0]), st.sampled_from([5.0, 10.0, 30.0]))
def test_every_cue_is_in_one_clip_and_no_clip_is_too_long_or_shares_a_sound(spans, join_cues, max_duration):
    settings = CueSettings(max_duration, join_cues)
    found = [row for row in rows(*spans, settings=settings) if row.fault is None]
    words = [word for row in found for word in row.fields["text"].split()]
    refused = len(rows(*spans, settings=settings)) - len(found)
    assert words == sorted(words, key=lambda word: int(word[1:]))
    assert len(words) + refused == len(spans)
    for row in found:
        longest = max(max_duration, *(end - start for start, end in spans))
        assert row.fields["duration"] <= longest + 1e-6
    for one, two in pairwise(found):
        before, after = windows(one), windows(two)
        # Both are cut in one window, or the one ends before the other begins.
        assert before[2:] == after[:2] or before[3] <= after[0] + 1e-6


@given(following(), st.integers(0, 11))
def test_a_cue_more_changes_no_clip_far_away(spans, at):
    """Names are those of cues, so they stay when the file is mended elsewhere."""
    far = [(start + 1_000, end + 1_000) for start, end in spans]
    before = [row.fields["id"] for row in rows(*spans)]
    after = [row.fields["id"] for row in rows(*spans, *far)]
    assert after[: len(before)] == before


TIERS = Transcript(
    (
        Tier("Ann", (Cue(1, 1, 2, "a"), Cue(2, 5, 6, "b"))),
        Tier("Bob", (Cue(3, 3, 4, "c"),)),
    ),
    dependent=(Tier("translation", (Cue(4, 1, 2, "x"),)),),
)


@pytest.mark.parametrize(
    ("tiers", "found"),
    [
        (("Ann",), ["a", "b"]),
        (("ann",), ["a", "b"]),
        (("Ann", "Bob"), ["a", "b", "c"]),  # in the order of their lines
        (("Bob", "Eve"), ["c"]),
        (("translation",), ["x"]),
    ],
)
def test_tiers_are_chosen_by_their_names(tiers, found):
    settings = CueSettings(join_cues=0, tiers=tiers)
    assert told(joining.rows(TIERS, "a.eaf", "a.wav", settings)) == found


@pytest.mark.parametrize(
    ("names", "tiers", "speakers"),
    [
        (["Ann", "Bob"], ("Ann", "Bob"), ["Ann", "Bob"]),
        (["Ann", "Bob"], ("Ann",), [""]),  # of one tier, the name may be that of anything
        (["Ann - words", "Ann - phones"], (), ["Ann"]),
        (["words"], (), [""]),
    ],
)
def test_of_several_tiers_each_is_its_speakers(names, tiers, speakers):
    found = tuple(Tier(name, (Cue(n, n, n + 1, name),)) for n, name in enumerate(names, 1))
    told = list(joining.rows(Transcript(found), "a.TextGrid", "a.wav", CueSettings(tiers=tiers)))
    assert [row.fields["speaker"] for row in told] == speakers


def test_a_speaker_that_the_file_names_counts_more_than_the_tier():
    tiers = (Tier("a", (Cue(1, 1, 2, "x", "Ann"),)), Tier("b", (Cue(2, 3, 4, "y"),)))
    found = list(joining.rows(Transcript(tiers), "a.eaf", "a.wav", CueSettings(tiers=("a", "b"))))
    assert [row.fields["speaker"] for row in found] == ["Ann", "b"]


def test_a_tier_that_is_not_there_is_a_reason():
    with pytest.raises(
        ClipRejected, match=r"a\.eaf has no tier Eve with text; it has Ann \(2\), Bob \(1\), tr"
    ) as found:
        list(joining.rows(TIERS, "a.eaf", "a.wav", CueSettings(tiers=("Eve",))))
    assert found.value.reason == reasons.MISSING_TEXT


def test_several_tiers_stop_the_run_with_their_names():
    with pytest.raises(UserError, match=r"^a\.eaf: several tiers: Ann \(2\), Bob \(1\); say by --tier=NAME"):
        list(joining.rows(TIERS, "a.eaf", "a.wav", CueSettings()))


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["words", "phones"], "words"),
        (["utterance", "Phones"], "utterance"),
        (["Ann - words", "Ann - phones"], "Ann - words"),
        (["only"], "only"),
    ],
)
def test_a_tier_of_sounds_is_not_what_is_said(names, found):
    tiers = tuple(Tier(name, (Cue(n, n, n + 1, name),)) for n, name in enumerate(names, 1))
    assert told(joining.rows(Transcript(tiers), "a.TextGrid", "a.wav", CueSettings())) == [found]


def test_cues_that_share_a_line_are_counted():
    tier = Tier("", (Cue(1, 1, 2, "a"), Cue(1, 5, 6, "b"), Cue(7, 9, 10, "c")))
    found = list(joining.rows(Transcript((tier,)), "a.srt", "a.wav", ALONE))
    assert [row.line for row in found] == [1, 2, 3]
