"""The bundled recordings: enough, varied, small, all of them in the manifest and credited."""

import json
from pathlib import Path

from transforms.sniff import sniff

EXAMPLES = Path(__file__).parents[1] / "examples"
CLIPS = sorted(path for path in (EXAMPLES / "clips").rglob("*") if path.is_file())
ROWS = [json.loads(line) for line in (EXAMPLES / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]


def test_there_are_enough_clips_of_many_formats_and_languages():
    assert len(CLIPS) >= 50
    assert len({sniff(path.read_bytes(), path.name).name for path in CLIPS}) >= 5
    assert len({row.get("language") for row in ROWS}) >= 4
    assert len({row.get("speaker") for row in ROWS}) >= 10
    assert sum(path.stat().st_size for path in CLIPS) <= 6_000_000


def test_the_manifest_and_the_files_agree():
    assert sorted(EXAMPLES / row["audio_path"] for row in ROWS) == CLIPS
    assert len({row["id"] for row in ROWS}) == len(ROWS)


def test_every_source_is_credited_with_its_licence():
    credits = (EXAMPLES / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for row in ROWS:
        assert row["licence"]
        assert row["source"] in credits, row["source"]
