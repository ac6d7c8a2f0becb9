"""The page of a report: all of its numbers, nothing of its texts taken for markup, nothing fetched."""

import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser

from transforms import records
from transforms.report.page import page
from transforms.report.report import Report, TrimReport

# What the page does not show.
REST = {"audio_samples": 0, "target_chars": 0}
TREE = {
    "format_version": 1,
    "rows": 1_300,
    "accepted": 1_234,
    "rejected": 66,
    "fingerprint": "ab<c",
    "splits": {
        "train": {
            "examples": 1_200,
            "shards": 19,
            "bytes": 9_000_000,
            "audio_tokens": 7,
            "audio_seconds": 5_400.0,
            **REST,
        },
        "validation": {"examples": 34, "shards": 1, "bytes": 8, "audio_tokens": 9, "audio_seconds": 36.0, **REST},
    },
    "durations": {"0": 4, "2": 1_230},
    "source_formats": {"wav/pcm_16": 1_234},
    "tasks": {"<b>x</b>": {"examples": 5, "prompts": 1}},
    "reasons": {
        "not_found": {"rows": 66, "remedy": "Correct the path.", "examples": ["m.jsonl:3: <script>alert(1)</script>"]}
    },
    "repeated_audio": {"clips": 0, "examples": []},
    "warnings": ["a & b"],
    "trimmed": {"samples": 9, "seconds": 1.0, "share": 0.125, "mostly_trimmed": 1_001, "examples": ["m&m:3: 0.2 s"]},
}
REPORT = records.convert(TREE, Report)


class Reader(HTMLParser):
    """The tags and the texts of a page; every tag that is opened must be closed."""

    def __init__(self):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        assert not {name for name, _ in attrs} & {"src", "href", "onload"}
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.texts.append(data.strip())


def read(report):
    reader = Reader()
    reader.feed(page(report))
    assert not reader.open
    return reader


def test_the_page_has_all_numbers_and_texts_as_texts():
    reader = read(REPORT)
    for text in ("1,234 of 1,300 clips accepted", "ab<c", "a & b", "1,200", "1:30:00", "0:00:36", "not_found", "66"):
        assert any(text in found for found in reader.texts), text
    assert "m.jsonl:3: <script>alert(1)</script>" in reader.texts
    assert "<b>x</b>" in reader.texts
    assert "12.5% of the audio of these clips was trimmed from their ends." in reader.texts
    assert {"1,001 clips lost more than half, for example", "m&m:3: 0.2 s"} <= set(reader.texts)
    assert not {"script", "b", "img", "link"} & set(reader.tags)


def test_texts_are_shown_as_one_line_whatever_is_in_them():
    odd = replace(REPORT, warnings=("\u202egnp.exe\x1b[31m\nforged שלום",))
    assert r"\u202egnp.exe\x1b[31m\nforged שלום" in read(odd).texts


def test_the_page_itself_forbids_all_but_its_own_style():
    text = page(REPORT)
    (style,) = re.findall("<style>(.*?)</style>", text, re.DOTALL)
    known = b64encode(sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{known}'"
    assert f'<meta http-equiv="Content-Security-Policy" content="{policy}">' in text
    assert "style=" not in text  # an attribute would be no part of the hash


def test_a_bar_for_each_length_that_there_is():
    text = page(REPORT)
    assert re.findall(r"<title>(.*?)</title></rect>", text) == ["0–1 s: 4 clips", "2–3 s: 1,230 clips"]
    heights = [float(height) for height in re.findall(r'height="([\d.]+)"', text)]
    assert heights == [1.0, 160.0]  # the smallest can still be seen


def test_what_is_empty_has_no_section():
    nothing = TrimReport(0, 0.0, 0.0, 0, ())
    empty = replace(REPORT, durations={}, source_formats={}, tasks={}, reasons={}, warnings=(), trimmed=nothing)
    assert re.findall(r"<h2>(.*?)</h2>", page(empty)) == ["Splits"]
    sections = ["Splits", "Lengths", "Trimmed", "Rejected", "Tasks", "Source formats"]
    assert re.findall(r"<h2>(.*?)</h2>", page(REPORT)) == sections
