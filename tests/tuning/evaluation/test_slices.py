"""Parts of the clips: by what is known of each, with counts, the small ones pooled."""

import pytest

from tuning.evaluation import slices
from tuning.evaluation.answers import Answer, System
from tuning.evaluation.clips import HeldOut
from tuning.evaluation.scores import score


def parts(by, clips):
    system = System("x", {clip.clip_id: Answer("a b") for clip in clips})
    (scores,) = score(clips, [system], {}, "none", 1)
    return {part.name: part.clips for part in slices.slices(scores) if part.by == by}


def clips_with(name, values):
    return [HeldOut(f"c{n}", f"m:{n}", "", "", "a b", **{name: value}) for n, value in enumerate(values)]


@pytest.mark.parametrize(
    ("tag", "shown"),
    [
        *(("pt_br", "pt-BR"), ("PT-BR", "pt-BR"), ("pt-BR", "pt-BR")),
        *(("de", "de"), ("DE", "de"), ("yue", "yue")),
        *(("zh-hant-tw", "zh-Hant-TW"), ("sr_Latn", "sr-Latn"), ("es-419", "es-419")),
        *(("german", "German"), ("German", "German"), ("中文", "中文"), ("12", "12"), ("", "")),
    ],
)
def test_a_language_has_one_spelling_for_people(tag, shown):
    assert slices.language(tag) == shown


def test_spellings_of_a_language_are_one_part_and_few_clips_are_pooled_with_those_that_tell_none():
    clips = clips_with("language", ["pt_BR"] * 6 + ["pt-br"] * 4 + ["de"] * 10 + ["fr"] * 9 + [""] * 3)
    assert parts("language", clips) == {"de": 10, "pt-BR": 10, "(others)": 12}


@pytest.mark.parametrize(
    ("level", "name"),
    [
        *((-120.0, "at most -40 dBFS"), (-40.0, "at most -40 dBFS"), (-39.9, "-40 to -30 dBFS")),
        *((-30.0, "-40 to -30 dBFS"), (-29.9, "-30 to -20 dBFS"), (-20.0, "-30 to -20 dBFS")),
        *((-19.9, "over -20 dBFS"), (0.0, "over -20 dBFS"), (None, ""), (float("nan"), "")),
    ],
)
def test_the_levels_are_told_in_steps_of_ten_decibels(level, name):
    (clip,) = clips_with("rms_dbfs", [level])
    assert slices.BY["level"](clip) == name


def test_the_clips_of_each_level_are_counted():
    clips = clips_with("rms_dbfs", [-45.0] * 10 + [-25.5] * 11 + [-3.0] * 9 + [None])
    assert parts("level", clips) == {"-30 to -20 dBFS": 11, "at most -40 dBFS": 10, "(others)": 10}


@pytest.mark.parametrize("name", ["language", "rms_dbfs"])
def test_a_dataset_of_an_earlier_version_knows_neither_and_has_no_such_parts(name):
    clips = clips_with(name, [HeldOut.__dataclass_fields__[name].default] * 30)
    assert parts({"rms_dbfs": "level"}.get(name, name), clips) == {}
