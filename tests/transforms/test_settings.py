import re
from contextlib import nullcontext

import pytest

from transforms.settings import Settings


@pytest.mark.parametrize(
    ("field", "wrong", "right"),
    [
        ("sample_rate", 7_999, 8_000),
        ("sample_rate", 48_001, 48_000),
        ("audio_format", "ogg", "wav"),
        ("json_names", "kebab-case", "camelCase"),
        ("over_duration", "ignore", "trim"),
        ("max_duration", 0.0, 3_600.0),
        ("max_duration", 3_600.1, 0.2),
        ("min_duration", -0.1, 0.0),
        ("min_duration", 30.0, 29.0),
        ("max_example_bytes", 0, 1),
        ("validation_fraction", -0.01, 0.0),
        ("validation_fraction", 0.51, 0.5),
        ("prompt", " \n", "x"),
        ("bitrate", 64, 0),  # FLAC is lossless
    ],
)
def test_each_setting_checks_itself_and_names_itself(field, wrong, right):
    assert getattr(Settings(**{field: right}), field) == right
    with pytest.raises(ValueError, match=rf"^{field} must be .*got {re.escape(repr(wrong))}$"):
        Settings(**{field: wrong})


@pytest.mark.parametrize(("bitrate", "accepted"), [(7, False), (8, True), (320, True), (321, False)])
def test_bitrates_of_lossy_formats(bitrate, accepted):
    if accepted:
        assert Settings(audio_format="mp3", bitrate=bitrate).bitrate == bitrate
    else:
        with pytest.raises(ValueError, match="bitrate must be between 8 and 320"):
            Settings(audio_format="aac", bitrate=bitrate)


def test_lossy_formats_have_rates_of_their_own():
    with pytest.raises(ValueError, match="sample_rate must be one of"):
        Settings(audio_format="mp3", bitrate=64, sample_rate=17_000)


@pytest.mark.parametrize(
    ("uri", "accepted"),
    [
        ("gs://b", True),
        ("gs://b/", True),
        ("gs://b/a folder/é", True),
        ("gs://", False),
        ("gs:///a", False),
        ("gs://b\n/a", False),
        ("gs://b/a\nb", False),
        ("gs://b/a\x1b", False),
        ("s3://b/a", False),
        ("/a", False),
    ],
)
def test_where_the_service_finds_the_audio_is_a_folder_in_a_bucket(uri, accepted):
    with nullcontext() if accepted else pytest.raises(ValueError, match="audio_uri must be a folder in gs://"):
        Settings(audio_part="uri", audio_uri=uri)


@pytest.mark.parametrize(
    ("audio_format", "bitrate", "most"), [("flac", 0, 3_600), ("mp3", 64, 3_599), ("aac", 64, 3_599)]
)
def test_an_hour_is_the_longest_clip_with_what_encoders_add(audio_format, bitrate, most):
    assert Settings(audio_format=audio_format, bitrate=bitrate, max_duration=most)
    with pytest.raises(ValueError, match=f"max_duration must be above 0 and at most {most} s"):
        Settings(audio_format=audio_format, bitrate=bitrate, max_duration=most + 0.1)
