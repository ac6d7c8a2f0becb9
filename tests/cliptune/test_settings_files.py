"""Files that a flag names, of which nothing is a file: one line, and no command waits for what never ends."""

import ast
import os
import socket
from pathlib import Path

import pytest

from cliptune.main import main
from tests.envelopes import report_of
from transforms import bounds
from transforms.errors import TOLD, TooLongError, UserError
from transforms.storage import Storage
from tuning import cost
from tuning.providers import PROVIDERS

ROOT = Path(__file__).parents[2]
# Each flag with the name of a file, in a command that reads the file first.
FLAGS = {
    "--tasks": ["prepare", "--manifest=m.jsonl", "--output=out", "--tasks"],
    "--manifest": ["prepare", "--output=out", "--manifest"],
    "--scenario": ["emulator", "--scenario"],
}


def a_pipe(path):
    os.mkfifo(path)


def a_socket(path):
    with socket.socket(socket.AF_UNIX) as end:
        os.chdir(path.parent)  # the name of a socket is short
        end.bind(path.name)


def of_gigabytes(path):
    path.touch()
    os.truncate(path, 3 << 30)


def a_link_to(target):
    return lambda path: path.symlink_to(target)


KINDS = {
    "nothing": lambda path: None,
    "a folder": lambda path: path.mkdir(),
    "a pipe": a_pipe,
    "a socket": a_socket,
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a name without a folder": lambda path: path.parent.rmdir(),
    "gigabytes": of_gigabytes,
    "what the system logs": a_link_to("/proc/kmsg"),  # which waits for the next message, or may not be read
    "a device without an end": a_link_to("/dev/zero"),
    "a device without contents": a_link_to("/dev/null"),
    "the input of the process": a_link_to("/proc/self/fd/0"),
    "a terminal": a_link_to("/dev/tty"),
    "the memory of a process": a_link_to("/proc/self/mem"),
    "a folder of the system": a_link_to("/proc/self"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_of_settings_is_told(tmp_path, monkeypatch, kind):
    path = tmp_path / "f/file"
    path.parent.mkdir()
    KINDS[kind](path)
    with pytest.raises(TOLD, match=r"^[^\n]*file[^\n]*: [^\n]+$"):
        Storage().read_settings(str(path), "--flag file")


@pytest.mark.parametrize("more", [0, 1])
def test_a_file_of_settings_may_be_so_long(tmp_path, more):
    path = tmp_path / "file"
    path.write_bytes(b"x" * (bounds.MAX_SETTINGS_BYTES + more))
    if more:
        with pytest.raises(UserError, match=r"^it: over the limit of 2,097,152 bytes for such a file$"):
            Storage().read_settings(str(path), "it")
    else:
        assert len(Storage().read_settings(str(path), "it")) == bounds.MAX_SETTINGS_BYTES


@pytest.mark.parametrize("kind", ["a folder", "a pipe", "what the system logs", "a device without an end"])
@pytest.mark.parametrize("flag", FLAGS)
def test_each_flag_says_so_in_one_line(tmp_path, monkeypatch, capfd, flag, kind):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.jsonl").write_text('{"audio": "a.wav", "text": "a"}\n')
    KINDS[kind](tmp_path / "odd")
    status = main([*FLAGS[flag][:-1], f"{flag}=odd"])
    out, err = capfd.readouterr()
    assert (status, report_of(out, status)) == (1, ""), err
    last = err.splitlines()[-1]
    assert last.startswith(f"cliptune {FLAGS[flag][0]}: "), err
    assert "odd" in last
    assert "Traceback" not in err


def test_a_file_that_is_too_long_is_not_read(tmp_path, monkeypatch):
    of_gigabytes(tmp_path / "file")
    monkeypatch.setattr("transforms.storage.io.BytesIO", None)
    with pytest.raises(TooLongError):
        Storage().read_record(str(tmp_path / "file"))


@pytest.mark.parametrize("kind", KINDS)
def test_prices_are_such_a_file(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f").mkdir()
    KINDS[kind](tmp_path / "f/odd")
    monkeypatch.chdir(tmp_path)
    provider = PROVIDERS["vertex"]
    with pytest.raises(TOLD, match=r"^[^\n]*f/odd[^\n]*: "):
        cost.given_prices(provider, "f/odd", provider.default_model, None)


PACKAGES = ["cliptune/commands", "beam_pipeline", "tuning", "transforms/dataset", "transforms/report"]


@pytest.mark.parametrize("package", PACKAGES)
def test_files_are_read_through_the_storage(package):
    """It alone knows what is a file, and how long one may be."""
    for path in (ROOT / package).rglob("*.py"):
        calls = (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call))
        around = [
            node.func.value
            for node in calls
            if isinstance(node.func, ast.Attribute) and node.func.attr in ("read_bytes", "read_text", "open")
        ]
        paths = [node for node in around if isinstance(node, ast.Call) and ast.unparse(node.func) == "Path"]
        assert not paths, path
