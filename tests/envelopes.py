"""What every command's stdout is: one line of JSON, whose `ok` is the exit status, and whose `error` says why not."""

import json

from jsonschema import Draft202012Validator

from cliptune import schemas
from cliptune.schemas import CONTRACTS

FAILURE = Draft202012Validator(schemas.schema_of(next(each for each in CONTRACTS if each.name == "stdout-failure")))


def report_of(stdout: str, status: int) -> str:
    """The line, after a look at its envelope; "" where a command has failed without a report.

    Help, the version and a completion script are no JSON, and stay as they are.
    """
    if not stdout.startswith("{"):
        assert status == 0, stdout
        return stdout
    assert (stdout.count("\n"), stdout[-1]) == (1, "\n")
    tree = json.loads(stdout)
    assert tree["ok"] is (status == 0)
    if "endpoint" in tree:  # a job: its own error is what the service says
        return stdout
    assert ("error" in tree) == (status != 0)
    if status:
        FAILURE.validate(tree)
        assert tree["error"]["exit_status"] == status
        assert tree["error"]["message"]
    return "" if tree.keys() == {"ok", "error"} else stdout
