"""JSONL: a line that is no row costs one row, and texts go through as they are."""

import json

import pytest

from tests.transforms.manifests.written import GOOD, lines, rows_of, summary, written
from transforms import reasons


@pytest.mark.parametrize(
    "line",
    [
        b"{'id': 'python repr'}",
        b"not json",
        b'{"cut": ',
        b"[1, 2]",
        b'"text"',
        b"\0" * 20,
        b'{"text": "\xe9"}',  # Latin-1
        b'{"text": "\\ud800"}',
        b"[" * 100_000,
        b'{"id": ' + b"9" * 5_000 + b"x}",
    ],
)
def test_a_line_that_is_no_row_costs_one_row(tmp_path, line):
    good = json.dumps(GOOD).encode()
    rows = rows_of(written(tmp_path, good + b"\n" + line + b"\n" + good + b"\n"))
    assert [row.source for row in rows] == ["m.jsonl:1", "m.jsonl:2", "m.jsonl:3"]
    assert rows[1].reason == reasons.BAD_ROW.name
    assert rows[1].detail


@pytest.mark.parametrize(
    "text",
    [
        "line\u2028para\u2029nel\u0085end",
        "two\nlines",
        "مرحبا שלום",
        "e\u0301 is not é",
        "NA",
        "null",
        "007",
        "1e3",
        '=HYPERLINK("x")',
        "a lone \" quote, and a ' too",
        "  spaces stay  ",
        "tab\there",
        "x" * 200_000,
    ],
)
def test_texts_go_through_exactly_as_given(tmp_path, text):
    quoted = '"' + text.replace('"', '""') + '"'
    for content, name in (
        (lines({**GOOD, "text": text}), "m.jsonl"),
        (f"id,audio_path,text\na,a.wav,{quoted}\n", "m.csv"),
    ):
        (clip,) = rows_of(written(tmp_path, content, name))
        assert clip.target == text


def test_an_element_of_an_array_that_is_no_object_costs_one_row(tmp_path):
    rows = rows_of(written(tmp_path, json.dumps([GOOD, 7, GOOD])))
    assert summary(rows)[1] == ("m.jsonl:2", reasons.BAD_ROW.name)
    assert rows[1].detail == "the element must be a JSON object, got int"
