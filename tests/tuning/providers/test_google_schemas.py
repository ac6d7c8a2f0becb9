"""`check` against Google's own schemas, applied here without any code of ours: neither takes what the other refuses."""

import json

import pydantic
import pytest
from google.cloud.aiplatform_v1beta1.types import GeminiExample
from google.genai import types
from google.protobuf import json_format

from tests.tuning.providers.test_rows import INVALID, VALID
from transforms.storage import Storage
from tuning.check import files
from tuning.check.files import JsonlFile

# What only Google's prose says: both schemas take these, and the service does not.
PROSE = {
    "contents", "roles", "parts", "model_turn", "system_instruction", "audio_part", "mime_type", "audio", "file_uri",
}  # fmt: skip
SCHEMAS = {"schema", "not_json", "not_utf8", "blank_line"}
TABLE = {**VALID, **{name: line for name, (line, _) in INVALID.items()}}


def google_takes(line):
    """Whether the service's protobuf schema and the client library's types both take a line."""
    try:
        json_format.Parse(line.decode(), GeminiExample.pb()())
        tree = json.loads(line)
        for turn in tree["contents"]:
            types.Content.model_validate_json(json.dumps(turn))
        system = tree.get("systemInstruction") or tree.get("system_instruction")
        if system is not None:
            types.Content.model_validate_json(json.dumps(system))
    except (json_format.ParseError, pydantic.ValidationError, ValueError, KeyError, TypeError, RecursionError):
        return False
    return True


def verdict(line, tmp_path):
    """What `check` finds in a file of this one line."""
    path = tmp_path / "x.jsonl"
    path.write_bytes(line + b"\n")
    return set(files.check([JsonlFile("x.jsonl", str(path), "train")], Storage()).counts)


@pytest.mark.parametrize("name", TABLE)
def test_check_and_google_agree(name, tmp_path):
    found = verdict(TABLE[name], tmp_path)
    if google_takes(TABLE[name]):
        assert not found & SCHEMAS
        assert found <= PROSE
        assert bool(found) == (name in INVALID)
    else:
        assert found & SCHEMAS


def test_the_table_is_large_and_has_all_three_kinds():
    taken = {name for name, line in TABLE.items() if google_takes(line)}
    assert len(TABLE) >= 60
    assert set(VALID) <= taken
    assert len(taken - set(VALID)) >= 30  # refused for Google's prose only
    assert len(set(TABLE) - taken) >= 25  # refused by a schema


@pytest.mark.parametrize("name", VALID)
@pytest.mark.parametrize("cut", [1, 2, 40])
def test_a_valid_line_that_is_cut_is_refused_by_both(name, cut, tmp_path):
    line = VALID[name].rstrip()[:-cut]
    assert not google_takes(line)
    assert verdict(line, tmp_path) & SCHEMAS
