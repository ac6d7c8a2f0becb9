"""CSV, TSV and lists without a header: cells, quotes, and rows that have too many of them."""

import pytest

from tests.transforms.manifests.written import rows_of, summary, written


@pytest.mark.parametrize(
    ("content", "clips"),
    [
        ("LJ1|He said 5|He said five\n", [("LJ1", "wavs/LJ1.wav", "He said five")]),
        ("LJ2|Yes|\n", [("LJ2", "wavs/LJ2.wav", "Yes")]),
        ("LJ1|yes\n", [("LJ1", "wavs/LJ1.wav", "yes")]),
        ("x/a.wav|yes\n", [("x/a.wav", "x/a.wav", "yes")]),
        ("x/a.wav|anna|yes it is\n", [("x/a.wav", "x/a.wav", "yes it is")]),
        ('a.wav|a lone " quote\n', [("a.wav", "a.wav", 'a lone " quote')]),
        ("a.wav|yes\na|b|c|d\n", [("a.wav", "a.wav", "yes"), ("metadata.csv:2", "bad_row")]),
    ],
)  # fmt: skip
def test_lists_without_a_header(tmp_path, content, clips):
    assert summary(rows_of(written(tmp_path, content, "metadata.csv"))) == clips


def test_the_speaker_of_a_list_without_a_header(tmp_path):
    (clip,) = rows_of(written(tmp_path, "x/a.wav|anna|yes it is\n", "filelist.txt"))
    assert clip.group == "anna"


def test_a_lone_quote_in_a_tsv_does_not_swallow_the_next_row(tmp_path):
    content = 'path\tsentence\na.wav\t"Quote\nb.wav\tnext\n'
    assert [row.target for row in rows_of(written(tmp_path, content, "m.tsv"))] == ['"Quote', "next"]
