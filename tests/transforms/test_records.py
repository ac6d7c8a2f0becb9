"""Records as JSON: strict to read, and a fault names its field and its rule in one line."""

import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
import pytest

from tests.processes import run
from transforms import records

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Whole:
    format_version: int
    parts: tuple[Part, ...]
    by_name: dict[str, Part]
    seconds: float = 0.0

    def __post_init__(self):
        if self.seconds < 0:
            raise ValueError(f"seconds: must be 0 or more, got {self.seconds}")


WHOLE = Whole(3, (Part("a", 1),), {"b": Part("b", 2)}, 1.5)
TREE = asdict(WHOLE)


def test_what_is_written_is_read():
    assert records.load(records.pretty(asdict(WHOLE)), Whole, 3) == WHOLE


def test_what_is_none_is_left_out_and_nothing_else_is():
    assert records.without_none({"a": None, "b": 0, "c": "", "d": {"e": None}}) == {"b": 0, "c": "", "d": {"e": None}}


def test_fields_of_a_later_version_are_passed_over():
    assert records.load(orjson.dumps({**TREE, "later": 1}), Whole, 3) == WHOLE


@pytest.mark.parametrize(
    ("tree", "fault"),
    [
        ({**TREE, "format_version": 2}, "format_version must be 3, got 2"),
        ({key: TREE[key] for key in ("parts", "by_name")}, "format_version must be 3, got None"),
        ([TREE], "must be a JSON object, got list"),
        ({"format_version": 3, "by_name": {}}, "parts: missing"),
        ({**TREE, "parts": [{"name": "a"}]}, "parts[0].size: missing"),
        ({**TREE, "parts": [{"name": "a", "size": "1"}]}, "parts[0].size: expected int, got str"),
        ({**TREE, "parts": None}, "parts: expected array, got null"),
        ({**TREE, "by_name": {"b": {"name": "b", "size": 1.5}}}, "by_name.*.size: expected int, got float"),
        ({**TREE, "seconds": -1}, "seconds: must be 0 or more, got -1.0"),
    ],
)
def test_a_fault_names_its_field_and_its_rule(tree, fault):
    with pytest.raises(ValueError) as found:
        records.load(orjson.dumps(tree), Whole, 3)
    assert str(found.value) == fault


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": "\xff"}'])
def test_what_is_no_json_is_told_in_one_line(content):
    with pytest.raises(ValueError, match=r"^not valid JSON: .+$"):
        records.load(content, Whole, 3)


def test_threads_that_meet_a_record_for_the_first_time_wait_for_one_another():
    # A crash of native code ends the process that meets it.
    ended = run([sys.executable, "-c", MEETING], cwd=ROOT)
    assert (ended.returncode, ended.stdout) == (0, "800 records\n"), ended.stderr


# Threads in turns so short that each is stopped while msgspec learns what fields a class has.
MEETING = """
import dataclasses, sys, threading
from concurrent.futures import ThreadPoolExecutor
from transforms import records

sys.setswitchinterval(1e-6)
count = 0
with ThreadPoolExecutor(4) as pool:
    for number in range(200):
        part = dataclasses.make_dataclass("Part", [(f"size_{field}", "int") for field in range(20)])
        kind = dataclasses.make_dataclass("Whole", [(f"part_{field}", part) for field in range(5)])
        tree = {f"part_{field}": {f"size_{size}": size for size in range(20)} for field in range(5)}
        ready = threading.Barrier(4)
        count += len([*pool.map(lambda _: (ready.wait(), records.convert(tree, kind)), range(4))])
print(count, "records")
"""
