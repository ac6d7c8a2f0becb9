"""Text as people read it: nothing in it drives a terminal, reorders a line, hides or fills the screen."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.printable import MAX_CHARS, escaped, printable

# Format characters that are seen, or that change nothing but the signs beside them.
SEEN = {
    *range(0x600, 0x606),  # Arabic signs of numbers
    *(0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD),
    *range(0x13430, 0x13456),  # of hieroglyphs
}
# Letters and marks that are not seen, or only beside others (Default_Ignorable_Code_Point), and the blank of Braille.
UNSEEN = {
    *(0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0, 0x2800),
    *range(0x180B, 0x1810),
    *range(0xFE00, 0xFE10),
    *range(0xE0000, 0xE1000),
}


def test_every_character_that_controls_or_hides_is_escaped_and_no_letter_is():
    for code in range(sys.maxunicode + 1):
        hides = unicodedata.category(chr(code)) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} and code not in SEEN
        assert (escaped(chr(code)) != chr(code)) == (hides or code in UNSEEN), hex(code)
        assert escaped(f"a{chr(code)}b") == f"a{escaped(chr(code))}b", hex(code)  # nor does it hide in a word


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;owned\x07", r"\x1b]0;owned\x07"),
        ("\x9b31m\x7f\x00\x08", r"\x9b31m\x7f\x00\x08"),
        ("a\r\nb\tc\x0b\x0c\x85", r"a\r\nb\tc\x0b\x0c\x85"),
        ("a\u2028b\u2029c", r"a\u2028b\u2029c"),
        ("\u202egnp.exe\u2066\u200e\u200f", r"\u202egnp.exe\u2066\u200e\u200f"),
        ("pay\u200bpal p\u200day", r"pay\u200bpal p\u200day"),
        ("\ud800", r"\ud800"),
        ("hi\U000e0068\U000e0069", r"hi\U000e0068\U000e0069"),
        ("\U0001f3f4\U000e0068\U000e0069\U000e007f", "\U0001f3f4" + r"\U000e0068\U000e0069\U000e007f"),  # no flag
        (r"C:\x1b", r"C:\x1b"),
        ("\u3164\u115f\u1160\uffa0", r"\u3164\u115f\u1160\uffa0"),  # names that would be empty
        ("a\u2800b \u2800", r"a\u2800b \u2800"),
        ("a\ufe0f é\ufe0e 1\ufe0f", r"a\ufe0f é\ufe0e 1\ufe0f"),
        ("naïve\u200d é\u200cé 漢\u200d字", r"naïve\u200d é\u200cé 漢\u200d字"),
        ("م\u200c", r"م\u200c"),  # at the end it changes nothing
        ("م\u200c\u200cم", r"م\u200c\u200cم"),
        ("❤\u200d", r"❤\u200d"),
        ("é\U000e0100", r"é\U000e0100"),
        ("\ue000\U0010fffd\uffff\u0378", r"\ue000\U0010fffd\uffff\u0378"),
        ("co\xadop k\u034fl", r"co\xadop k\u034fl"),
        ("e" + "\u0301" * 10, "e" + "\u0301" * 8 + r"\u0301\u0301"),
        ("ก" + "\u0e47" * 9, "ก" + "\u0e47" * 8 + r"\u0e47"),
    ],
)
def test_what_is_escaped(text, shown):
    assert escaped(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "Ein schönes Wort, “déjà vu” – naïve",
        "שלום עולם",
        "السلام عليكم ١٢٣",
        "می\u200cخواهم",  # Persian spells with a joiner
        "کتاب\u200cها کار\u200cهای",
        "क्\u200dष",
        "ശ്രീ അവന്\u200d",  # at the end of a word, behind the sign that takes the vowel away
        "র\u200d্যাব",
        "ක්\u200dරම",
        "ᠠ\u180b",
        "葛\U000e0100城 ⠓⠑⠇⠇⠕\u2800⠺⠕⠗⠇⠙",
        "1\ufe0f\u20e3 ©\ufe0f 🏳\ufe0f\u200d🌈 👨🏽\u200d⚕\ufe0f",
        "Tiê\u0301ng Viê\u0323t, בְּרֵאשִׁ֖ית, ก็",
        "日本語　全角",
        "👩\u200d👩\u200d👧 ❤\ufe0f 🇺🇦 👍🏽",
        "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",  # the flag of Scotland
        "[bold]words[/bold] :100:",
        "",
    ],
)
def test_honest_texts_of_every_script_stay_as_they_are(text):
    assert printable(text) == text


@pytest.mark.parametrize(("length", "shown"), [(MAX_CHARS, MAX_CHARS), (MAX_CHARS + 1, None), (2_000_000, None)])
def test_a_long_line_loses_its_middle_only(length, shown):
    line = printable("a" * (length - 1) + "z")
    assert len(line) <= MAX_CHARS
    assert (line[0], line[-1]) == ("a", "z")
    assert ("characters …" in line) == (shown is None)


BESIDE = "aé م क\u094d👩❤漢⠓ᠠ\u200c\u200d\ufe0f\ufe0e\u180b\u2800\U000e0100\u0301\u0e47\U0001f3f4\U000e0067\u034f"


@given(st.text(st.characters() | st.sampled_from(BESIDE), max_size=1_500) | st.text(BESIDE, max_size=1_500))
def test_what_is_printable_is_one_short_line_of_utf_8_and_stays_so(text):
    line = printable(text)
    assert line.encode().decode() == line
    assert len(line.splitlines()) <= 1
    assert len(line) <= MAX_CHARS
    assert printable(line) == line
