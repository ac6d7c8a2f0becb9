"""Lists without a header: told over several rows, or asked for; never a speaker for the target."""

import pytest

from tests.transforms.manifests.written import rows_of, summary, written
from transforms.errors import UserError

SENTENCES = ("What a fine day it is.", "She had your dark suit", "Yes.", "The birch canoe slid on the smooth planks.")
NUMBERED = tuple(f"你好世界{index}" for index in range(4))


def listed(tmp_path, rows, delimiter="|", **settings):
    content = "".join(delimiter.join(row) + "\n" for row in rows)
    return rows_of(written(tmp_path, content, "train_list.txt"), **settings)


@pytest.mark.parametrize("delimiter", ["|", ",", "\t"])
@pytest.mark.parametrize("texts", [SENTENCES, NUMBERED])
@pytest.mark.parametrize("speakers", [("0", "1"), ("anna", "bob"), ("p225", "p226"), ("SSB0005", "SSB0009")])
@pytest.mark.parametrize("order", ["path text speaker", "path speaker text", "text path speaker", "speaker path text"])
def test_the_text_and_the_speaker_of_a_list(tmp_path, delimiter, texts, speakers, order):
    cells = [
        {"path": f"wavs/c{index}.mp3", "text": text, "speaker": speakers[index % 2]} for index, text in enumerate(texts)
    ]
    clips = listed(tmp_path, [[row[name] for name in order.split()] for row in cells], delimiter)
    assert [(clip.uri, clip.target, clip.group) for clip in clips] == [
        (row["path"], row["text"], row["speaker"]) for row in cells
    ]


def test_speakers_with_spaces_are_told_by_coming_back(tmp_path):
    speakers = ("Ann Lee", "John Smith")
    rows = [(f"{index}.wav", text, speakers[index % 2]) for index, text in enumerate(SENTENCES)]
    assert [clip.group for clip in listed(tmp_path, rows)] == [*speakers, *speakers]
    with pytest.raises(UserError, match="which cell is the text is not clear"):
        listed(tmp_path, rows[:3])  # too few to tell


@pytest.mark.parametrize("delimiter", ["|", ",", "\t"])
@pytest.mark.parametrize(
    "rows",
    [
        [("wavs/c.mp3", "yes", "anna")],
        [("wavs/c.mp3", "7", "anna")],
        [(f"wavs/{index}.mp3", ("yes", "no")[index % 2], ("anna", "bob")[index % 2]) for index in range(20)],
        [("wavs/c.mp3", "What a day", "anna", "EN")],
        [("wavs/c.mp3", "7", "John Smith")],  # who says a digit
        [(f"wavs/{index}.mp3", str(index % 3), ("ann lee", "bob")[index % 2]) for index in range(9)],
        [("wavs/c.mp3",) * 2 + ("What a day",)],
    ],
)
def test_what_is_not_clear_is_asked_with_the_first_row_as_it_was_understood(tmp_path, delimiter, rows):
    with pytest.raises(UserError) as stop:
        listed(tmp_path, rows, delimiter)
    told = str(stop.value)
    assert told.startswith("train_list.txt: a list without a header")
    for number, cell in enumerate(rows[0], start=1):
        assert f"column{number}={cell!r}" in told
    named = {"audio": "column1", "text": "column2", "group": "column3"}
    for column in named:
        assert f"--{column}_column=" in told
    clips = listed(tmp_path, rows, delimiter, columns=named)  # as the message says
    assert [(clip.uri, clip.target, clip.group) for clip in clips] == [row[:3] for row in rows]


def test_a_name_behind_an_id_and_a_text_is_no_normalized_text(tmp_path):
    with pytest.raises(UserError, match="column3='John Smith'"):
        listed(tmp_path, [("p1", "Please call Stella.", "John Smith")])


def test_flags_may_name_the_columns_of_a_header_that_is_none_of_the_usual(tmp_path):
    rows = [("snd", "words", "who"), ("wavs/c.mp3", "yes", "anna")]
    (clip,) = listed(tmp_path, rows, columns={"audio": "snd", "text": "words", "group": "who"})
    assert (clip.uri, clip.target, clip.group, clip.source) == ("wavs/c.mp3", "yes", "anna", "train_list.txt:2")


def test_a_row_of_another_length_costs_one_row(tmp_path):
    rows = [("a.wav", "one two"), ("b.wav", "three", "four"), ("c.wav", "five six")]
    found = listed(tmp_path, rows, columns={"audio": "column1", "text": "column2"})
    assert summary(found) == summary(listed(tmp_path, rows))
    assert [row[1] for row in summary(found)] == ["a.wav", "bad_row", "c.wav"]


@pytest.mark.parametrize(
    ("rows", "texts"),
    [
        (
            [("LJ1", "Chapter 5", "Chapter five"), ("LJ2", "Yes", ""), ("LJ3", "12", "twelve")],
            ["Chapter five", "Yes", "twelve"],
        ),
        (
            [("LJ1", "in the only sense, with which, we are", "in the only sense, with which, we are")],
            ["in the only sense, with which, we are"],
        ),
        ([("LJ1", "yes", "yes")], ["yes"]),
        ([("LJ1", "yes")], ["yes"]),
        # As LJSpeech, but with the speaker last.
        (
            [("p225_1", "Please call Stella.", "p225"), ("p226_1", "Ask her.", "p226")],
            ["Please call Stella.", "Ask her."],
        ),
        (
            [("p225_1", "p225", "Please call Stella."), ("p226_1", "p226", "Ask her.")],
            ["Please call Stella.", "Ask her."],
        ),
        # Few of the texts are more than a word.
        (
            [("a.wav", "9", "Let us compare"), ("b.wav", "10", "yes"), ("c.wav", "9", "no")],
            ["Let us compare", "yes", "no"],
        ),
        # Both spellings of the text beside a path.
        ([("a.wav", "Dr. Who has 2 cats", "doctor who has two cats")], ["doctor who has two cats"]),
    ],
)
def test_lists_of_ljspeechs_kind(tmp_path, rows, texts):
    assert [clip.target for clip in listed(tmp_path, rows)] == texts


def test_text_with_commas_that_nothing_quotes_is_not_cut(tmp_path):
    with pytest.raises(UserError, match="column2='Hello', column3=' friend'"):
        listed(tmp_path, [("a.wav", "Hello", " friend"), ("b.wav", "Oh", " no")], ",")
