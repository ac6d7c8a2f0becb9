"""The language of a row: under the usual names, as it is written; no row is refused for it."""

import pytest

from transforms import reasons
from transforms.clip import Clip, rejected
from transforms.manifests import dead_letters, read
from transforms.manifests.columns import ManifestSettings
from transforms.manifests.locate import Manifest
from transforms.manifests.row import ALIASES, Row


def language(cells, **columns):
    settings = ManifestSettings(audio_root="", columns=columns)
    row = Row(1, {"audio": "a.wav", "text": "hello", **cells})
    opened = dead_letters.Opened(row, settings)
    clip = read._outcome(opened, "m.jsonl:1", Manifest("m.jsonl", "/m.jsonl", is_folder=False))
    assert isinstance(clip, Clip), clip
    return clip.language


@pytest.mark.parametrize("name", [*ALIASES["language"], "Language", "LANG", "languageCode", "source-language"])
def test_it_is_found_under_the_usual_names(name):
    assert language({name: "de-CH"}) == "de-CH"


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("de", "de"),
        (" pt_BR ", "pt_BR"),
        ("Sorbisch, oberes", "Sorbisch, oberes"),
        (["sw"], "sw"),
        (12, "12"),  # the number of a label
        (12.0, "12"),  # as pandas writes it beside an empty cell
        ("x" * 100, "x" * 100),
        # None of these is a language, and none is a reason to refuse a row.
        ("x" * 101, ""),
        ("", ""),
        (None, ""),
        (float("nan"), ""),
        (float("inf"), ""),
        (0.5, ""),
        (2**53, ""),
        (True, ""),
        (["de", "fr"], ""),
        ({"code": "de"}, ""),
        ("\ud800", ""),
    ],
)
def test_it_is_kept_as_it_is_written(cell, expected):
    assert language({"language": cell}) == expected


def test_a_flag_names_its_column_and_then_no_other_counts():
    assert language({"language": "de", "dialect": "bar"}, language="dialect") == "bar"
    assert language({"locale": "de", "lang": "de-AT"}) == "de-AT"  # the usual names count in their order


def test_a_rejected_clip_has_it_too():
    assert rejected(Clip("c", "a.wav", "hello", language="de"), reasons.SILENT, "nothing").language == "de"
