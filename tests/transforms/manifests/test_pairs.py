"""Folders of pairs: one file without the other is a rejected row."""

import pytest

from tests.transforms.manifests.written import rows_of, summary
from transforms import reasons
from transforms.errors import UserError


def test_a_folder_of_pairs(tmp_path):
    folder = tmp_path / "pairs"
    (folder / "x").mkdir(parents=True)
    for name, content in {
        "a.WAV": "", "a.txt": "hello\n", "x/b.mp3": "", "x/b.txt": "\ufeffworld\r\n",
        "alone.wav": "", "text.txt": "nothing to hear", "notes.md": "", ".hidden": "",
    }.items():  # fmt: skip
        (folder / name).write_text(content)
    assert summary(rows_of(folder)) == [
        ("a", "pairs/a.WAV", "hello"),
        ("pairs:2", reasons.MISSING_TEXT.name),
        ("pairs:3", reasons.MISSING_AUDIO.name),
        ("x/b", "pairs/x/b.mp3", "world"),
    ]


def test_a_folder_without_audio_is_no_manifest(tmp_path):
    (tmp_path / "pairs").mkdir()
    (tmp_path / "pairs/a.txt").write_text("hello")
    with pytest.raises(UserError, match=r"^pairs: a folder must hold pairs"):
        rows_of(tmp_path / "pairs")


@pytest.mark.parametrize(
    ("stems", "splits"),
    [
        (["train-clean/anna/a", "dev/b", "test/c"], ["validation", "test", "train"]),
        (["train/a", "c"], ["", ""]),
        (["train/a", "anna/b"], ["", ""]),
        (["test/a", "test/b"], ["", ""]),  # one folder tells nothing
    ],
)
def test_folders_of_pairs_that_are_named_after_splits(tmp_path, stems, splits):
    for stem in stems:
        path = tmp_path / "pairs" / stem
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".wav").touch()
        path.with_suffix(".txt").write_text("hello")
    assert [row.split for row in rows_of(tmp_path / "pairs")] == splits
