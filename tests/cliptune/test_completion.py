"""The completion script, run by the shell that it is for."""

import pytest

from cliptune.main import COMMANDS, build_parser, main, parsers
from tests import processes

COMPLETE = 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 )); _cliptune; printf "%s\\n" "${COMPREPLY[@]}"'


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
        done = processes.run(["bash", "-c", COMPLETE, str(path), "cliptune", *words])
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
        (["prepare", "--audio_format", "="], ["flac", "wav", "mp3", "aac"]),
        (["prepare", "--audio_format", "=", "f"], ["flac"]),
        (["predict", "out", "--split", "te"], ["test"]),
        (["completion", ""], ["bash", "zsh"]),
        (["prepare", "--manifest", ""], []),  # the shell offers files
        (["check", ""], []),
        (["check", "--zzz"], []),
    ],
    ids=" ".join,
)
def test_bash_completes(complete, words, offered):
    assert complete(*words) == offered


def test_every_command_and_every_flag_is_offered(complete):
    assert complete("") == [*COMMANDS]
    for name, parser in parsers(build_parser()).items():
        flags = {flag for action in parser._actions for flag in action.option_strings if flag.startswith("--")}
        assert {*complete(*filter(None, [name]), "--")} == flags


def test_what_zsh_gets_is_what_bash_gets_behind_a_line(capsys):
    assert main(["completion", "bash"]) == 0
    bash = capsys.readouterr().out
    assert main(["completion", "zsh"]) == 0
    first, _, rest = capsys.readouterr().out.partition("\n")
    assert (first.endswith("bashcompinit"), rest) == (True, bash)
