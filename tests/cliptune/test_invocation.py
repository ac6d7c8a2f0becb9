"""A command of another environment: its lines as they come, its end, its JSON. The rest is in tests/airflow/inside."""

import asyncio
import sys

import pytest

from cliptune.invocation import Ended, Invocation

COPY = "import sys; from pathlib import Path; sys.{}.buffer.write(Path(sys.argv[1]).read_bytes()); sys.exit(3)"


def run(code, *words):
    said: list[str] = []
    ended = asyncio.run(Invocation([sys.executable, "-c", code, *words], {"A": "b"}).run(said.append))
    return ended, said


@pytest.fixture
def writing(tmp_path):
    """A command that writes bytes into one of its streams."""

    def call(stream, content):
        (tmp_path / "content").write_bytes(content)
        return run(COPY.format(stream), str(tmp_path / "content"))

    return call


@pytest.mark.parametrize(
    ("stdout", "report"),
    [
        ("", None),
        ('{"a": 1}\n', {"a": 1}),
        ('{"a": 1}', {"a": 1}),
        ('words\n{"a": "ü"}\n\n', {"a": "ü"}),  # the last line counts
        ('{"a": 1}\nwords\n', None),
        ("[1]\n", None),
        ("7\n", None),
        ('{"a": NaN', None),
        ('{"a": "' + "x" * 300_000 + '"}\n', {"a": "x" * 300_000}),  # longer than any buffer
    ],
)
def test_the_json_is_the_object_in_the_last_line(writing, stdout, report):
    assert writing("stdout", stdout.encode()) == (Ended(3, report, ""), [])


@pytest.mark.parametrize(
    ("stderr", "lines"),
    [
        (b"", []),
        (b"one\n\ntwo", ["one", "two"]),
        (b"one\r\n\xff\xc3\xbc\n", ["one", "\N{REPLACEMENT CHARACTER}ü"]),
        (b"x" * 70_000 + b"\nend\n", ["x" * 70_000, "end"]),
    ],
)
def test_lines_are_told_as_they_come_and_the_last_is_kept(writing, stderr, lines):
    assert writing("stderr", stderr) == (Ended(3, None, lines[-1] if lines else ""), lines)


def test_a_line_without_an_end_takes_no_memory_without_bound(writing):
    _, said = writing("stderr", b"x" * 3_000_000)
    assert "".join(said) == "x" * 3_000_000
    assert max(map(len, said)) < 1_100_000


def test_a_signal_is_negative_and_both_streams_are_read_at_once():
    code = """if True:
        import os, sys
        print("y" * 200_000)
        print("x" * 200_000, file=sys.stderr)
        os.kill(os.getpid(), 9)"""
    assert run(code) == (Ended(-9, None, "x" * 200_000), ["x" * 200_000])


def test_no_shell_reads_the_words_and_the_environment_is_added(monkeypatch):
    monkeypatch.setenv("HERE", "kept")
    monkeypatch.setenv("PYTHONPATH", "/of/another/environment")
    code = """if True:
        import json, os, sys
        found = [*map(os.environ.get, ("A", "HERE", "PYTHONPATH"))]
        print(json.dumps({"words": sys.argv[1:], "found": found}))"""
    words = ["$A; rm -rf '*'", "two words", "'"]
    assert run(code, *words)[0].report == {"words": words, "found": ["b", "kept", None]}


def test_what_cannot_be_started_is_an_oserror():
    with pytest.raises(FileNotFoundError):
        asyncio.run(Invocation(["/nowhere/cliptune"], {}).run(print))


def test_a_command_that_has_not_begun_is_not_killed():
    Invocation(["/nowhere/cliptune"], {}).kill()
