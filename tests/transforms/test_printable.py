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
JOINERS = {0x200C, 0x200D}


def test_every_character_that_controls_or_hides_is_escaped_and_no_letter_is():
    for code in range(sys.maxunicode + 1):
        hides = unicodedata.category(chr(code)) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and code not in SEEN | JOINERS
        reserved = 0x2060 <= code <= 0x206F or 0xE0000 <= code <= 0xE00FF
        assert (escaped(chr(code)) != chr(code)) == (hides or reserved or code in JOINERS), hex(code)


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
        "क्\u200dष",
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


@given(st.text(st.characters(), max_size=1_500))
def test_what_is_printable_is_one_short_line_of_utf_8_and_stays_so(text):
    line = printable(text)
    assert line.encode().decode() == line
    assert len(line.splitlines()) <= 1
    assert len(line) <= MAX_CHARS
    assert printable(line) == line
