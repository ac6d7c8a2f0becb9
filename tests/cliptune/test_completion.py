"""The completion script, run by the shell that it is for."""

import argparse
from pathlib import Path

import pytest

from cliptune.main import COMMANDS, build_parser, main, parsers
from tests import processes

ROOT = Path(__file__).parents[2]
COMPLETE = 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 )); _shtab_cliptune; printf "%s\\n" "${COMPREPLY[@]}"'


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    """What bash offers for the last of some words."""
    path = tmp_path_factory.mktemp("completion") / "cliptune.bash"
    with pytest.MonkeyPatch.context() as patch:
        told: list[str] = []
        patch.setattr("cliptune.ends.send", told.append)
        assert main(["completion", "bash"]) == 0
    path.write_text("".join(told))

    def offered(*words):
        done = processes.run(["bash", "-c", COMPLETE, str(path), "cliptune", *words], cwd=ROOT)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.split()

    return offered


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["pre"], ["prepare", "predict"]),
        (["-v", "eval"], ["evaluate"]),
        (["--ver"], ["--version", "--verbose"]),
        (["prepare", "--audio_f"], ["--audio_format"]),
        (["prepare", "--audio_format", ""], ["flac", "wav", "mp3", "aac"]),
        (["predict", "out", "--split", "te"], ["test"]),
        (["run", "--from", ""], ["prepare", "check", "tune", "watch", "predict", "evaluate"]),
        (["completion", ""], ["bash", "zsh", "tcsh"]),
        (["prepare", "--manifest", "examples/mani"], ["examples/manifest.jsonl"]),
        (["check", "exa"], ["examples"]),
        (["check", "--zzz"], []),
    ],
    ids=" ".join,
)
def test_bash_completes(complete, words, offered):
    assert complete(*words) == offered


def test_every_command_and_every_flag_is_offered(complete):
    assert complete("") == [*COMMANDS]
    for name, parser in parsers(build_parser()).items():
        shown = [action for action in parser._actions if action.help != argparse.SUPPRESS]
        flags = {flag for action in shown for flag in action.option_strings if flag.startswith("--")}
        assert {*complete(*filter(None, [name]), "--")} == flags


@pytest.mark.parametrize(("shell", "begin"), [("zsh", "#compdef cliptune\n"), ("tcsh", "# AUTOMATICALLY GENERATED")])
def test_other_shells_have_scripts_of_their_own(capsys, shell, begin):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert script.startswith(begin)
    assert [name for name in COMMANDS if name not in script] == []
