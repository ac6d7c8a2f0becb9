"""The bundled recordings: enough, varied, small, all of them in the manifest and credited."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from transforms.audio.sniff import sniff

EXAMPLES = Path(__file__).parents[1] / "examples"
CLIPS = sorted(path for path in (EXAMPLES / "clips").rglob("*") if path.is_file())
ROWS = [json.loads(line) for line in (EXAMPLES / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
CREDITS = (EXAMPLES / "ATTRIBUTION.md").read_text(encoding="utf-8")


def test_there_are_enough_clips_of_many_formats_and_languages():
    assert len(CLIPS) >= 50
    assert len({sniff(path.read_bytes(), path.name).name for path in CLIPS}) >= 5
    assert len({row.get("language") for row in ROWS}) >= 4
    assert len({row.get("speaker") for row in ROWS}) >= 10


def test_they_are_small_enough_to_clone():
    assert sum(path.stat().st_size for path in EXAMPLES.rglob("*") if path.is_file()) <= 6_000_000


def test_every_row_has_a_file_and_every_file_a_row():
    assert Counter(EXAMPLES / row["audio_path"] for row in ROWS) == Counter(CLIPS)


def test_every_row_says_what_a_clip_needs():
    assert len({row["id"] for row in ROWS}) == len(ROWS)
    for row in ROWS:  # a speaker or a language may be unknown
        assert all(row[name].strip() for name in ("id", "audio_path", "text", "licence", "source"))


def test_every_folder_is_credited_with_the_licence_of_each_of_its_clips():
    table = re.findall(r"^\| (\w+) \| (\d+) \| ([^|]+) \| ([^|]+) \|$", CREDITS, re.MULTILINE)
    credited = {(folder, licence): int(count) for folder, count, licence, _ in table}
    assert len(table) == len(credited)
    assert credited == Counter((row["audio_path"].split("/")[1], row["licence"]) for row in ROWS)
    assert all(row["source"] == row["audio_path"].split("/")[1] for row in ROWS)


@pytest.mark.parametrize("licence", sorted({row["licence"] for row in ROWS}))
def test_every_licence_allows_copies_and_changes(licence):
    assert not re.search(r"\b(NC|ND|unknown|proprietary|all rights)\b", licence, re.IGNORECASE)
