"""Why a command has failed, for programs: its kind, its message, what it is about and the exit status."""

import json

import pytest

from cliptune import envelope
from cliptune.envelope import Fault
from cliptune.exits import Exit
from cliptune.main import main
from tests.beam_pipeline.conftest import folder, prepare
from tests.cliptune.test_commands import run
from tests.envelopes import report_of
from transforms import errors
from transforms.errors import (
    ManifestChangedError,
    OutsideError,
    OvertakenError,
    ServiceError,
    StorageError,
    TooLongError,
    UnreadableError,
    UsageError,
    UserError,
)

__all__ = ["folder", "prepare", "run"]  # fixtures


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            UsageError("epochs must be 1 or more, got 0", "epochs"),
            ("usage", "--epochs must be 1 or more, got 0", "--epochs"),
        ),
        (UsageError("argument --epochs: invalid"), ("usage", "argument --epochs: invalid", "--epochs")),
        (UsageError("no words; see cliptune --help"), ("usage", "no words; see cliptune --help", "")),
        (UserError("m.jsonl:7: no row"), ("user", "m.jsonl:7: no row", "m.jsonl:7")),
        (UserError("gs://b/m.jsonl: gone"), ("user", "gs://b/m.jsonl: gone", "gs://b/m.jsonl")),
        (UserError("the manifest m has no rows"), ("user", "the manifest m has no rows", "")),
        (TooLongError("t.yaml: too long"), ("user", "t.yaml: too long", "t.yaml")),
        (OvertakenError("taken over"), ("overtaken", "taken over", "")),
        (OutsideError("out: a link"), ("outside", "out: a link", "out")),
        (ManifestChangedError("changed"), ("manifest_changed", "changed", "")),
        (StorageError("a: refused"), ("storage", "a: refused", "a")),
        (UnreadableError("refused", "a"), ("storage", "a: refused", "a")),
        (ServiceError("away"), ("service", "away", "")),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_an_error_is_told_by_its_kind(error, told):
    fault = Fault.of(error, Exit.FAILED)
    assert (fault.kind, fault.message, fault.where, fault.exit_status) == (*told, 1)


def test_every_error_that_is_told_in_a_line_has_a_kind():
    known = "  kind: " + " ".join((Fault.__doc__ or "").split())
    for kind in errors.told():
        made = kind.__new__(kind)
        Exception.__init__(made, "why")
        vars(made).update(fact="why", field="")  # of those that have them
        assert f'"{Fault.of(made, Exit.FAILED).kind}"' in known


def test_every_status_is_said_in_words():
    for status in set(Exit) - {Exit.DONE}:
        assert envelope.failed(status).message
        assert (envelope.failed(status).kind, envelope.failed(status).exit_status) == (status.name.lower(), status)


def test_a_report_keeps_its_fields_beside_the_error(folder, prepare):
    (folder / "m.jsonl").write_text((folder / "m.jsonl").read_text() + '{"audio": "gone.wav", "text": "a"}\n')
    done = prepare(folder / "m.jsonl", folder / "out", "--max_rejected_fraction=0")
    assert (done.status, done.json["ok"], done.json["rejected"]) == (3, False, 1)
    assert done.json["error"]["kind"] == "too_many_rejected"
    assert done.stderr.splitlines()[-1] == done.json["error"]["message"]


def test_a_verbose_command_names_each_rejected_row_and_a_quiet_one_none(folder, prepare):
    (folder / "m.jsonl").write_text((folder / "m.jsonl").read_text() + '{"audio": "gone.wav", "text": "a"}\n')
    row = f"{folder}/m.jsonl:{len((folder / 'm.jsonl').read_text().splitlines())}: not_found: "
    flags = ["--max_rejected_fraction=1"]
    first = prepare(folder / "m.jsonl", folder / "out", *flags)
    told = prepare(folder / "m.jsonl", folder / "out", "-v", *flags)
    quiet = prepare(folder / "m.jsonl", folder / "out", "--quiet", *flags)
    assert [line for line in first.stderr.splitlines() if line.startswith(row)] == []
    assert len([line for line in told.stderr.splitlines() if line.startswith(row)]) == 1
    assert (quiet.status, quiet.stderr) == (0, "")
    assert quiet.json == told.json
    refused = prepare(folder / "m.jsonl", folder / "out", "-q", "--max_rejected_fraction=0")
    assert (refused.status, refused.stderr.count("\n")) == (3, 1)


def test_a_quiet_check_says_why_it_fails_in_one_line(run, tmp_path):
    (tmp_path / "x.jsonl").write_text("hello\n")
    status, stdout, stderr = run("check", tmp_path / "x.jsonl", "-q")
    assert (status, json.loads(stdout)["counts"]) == (1, {"not_json": 1})
    assert stderr == "cliptune check: something is wrong: the report says what\n"


def test_a_fault_of_ours_is_a_line_of_json_and_a_traceback(monkeypatch, capsys):
    def broken(*_):
        raise KeyError("a")

    monkeypatch.setattr("cliptune.commands.check.run", broken)
    with pytest.raises(KeyError):
        main(["check", "x"])
    out = capsys.readouterr().out
    assert report_of(out, 1) == ""
    assert json.loads(out)["error"]["kind"] == "bug"
