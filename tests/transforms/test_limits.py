"""The documented limits, number by number: who changes one changes what is refused, and what money is spent on."""

from datetime import date

import pytest

from transforms import limits

NUMBERS = {
    "MAX_FILE_BYTES": 1_000_000_000,
    "MAX_TRAIN_EXAMPLES": 300_000,
    "MAX_VALIDATION_EXAMPLES": 5_000,
    "MAX_VALIDATION_SHARE": 0.3,
    "VALIDATION_SHARE_FROM": 1_000,
    "MAX_VALIDATION_BYTES_SHARE": 0.25,
    "MAX_TOKENS_PER_EXAMPLE": 131_072,
    "MAX_AUDIO_PARTS": 1,
    "MAX_AUDIO_SECONDS": 3_600,
    "MAX_AUDIO_BYTES": 100_000_000,
    "MAX_DROPPED_FRACTION": 0.1,
    "DEFAULT_QUOTA": 1,
    "MIN_TOKENS_PER_SECOND": 30,
    "TOKENS_PER_SECOND": 32,
    "MAX_TOKENS_PER_SECOND": 35,
    "CHARS_PER_TOKEN": 4,
    "MAX_CHARS_PER_TOKEN": 10,
}


@pytest.mark.parametrize("name", NUMBERS)
def test_each_limit_is_the_documented_number(name):
    assert getattr(limits, name) == NUMBERS[name]


def test_no_limit_is_forgotten_here():
    numbers = {name for name, value in vars(limits).items() if isinstance(value, (int, float))}
    assert numbers == NUMBERS.keys()


def test_the_audio_types_are_those_of_the_service():
    names = ("aac", "flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "ogg", "pcm", "wav", "webm")
    assert sorted(limits.MIME_TYPES) == sorted(f"audio/{'x-' * (name == 'aac')}{name}" for name in names)


def test_a_source_says_how_sure_it_is_and_of_which_day():
    source = limits.Source("reported", "a forum", date(2026, 5, 17))
    assert str(source) == "reported, a forum, as of 2026-05"
    assert str(limits.Source("documented", "x")) == f"documented, x, as of {limits.FACTS_DATE:%Y-%m}"
