"""JSON that is one object: where its rows are, and what is no such object."""

import json
import tracemalloc

import pytest

from tests.transforms.manifests.written import A, B, rows_of, summary, written
from transforms import reasons
from transforms.errors import UserError
from transforms.manifests import json_object

ROWS = [{"id": "a", "audio": "a.wav", "text": "hello"}, {"id": "b", "audio": "x/b.wav", "text": "world"}]


@pytest.mark.parametrize("indent", [None, 1, 4])
@pytest.mark.parametrize(
    "tree",
    [
        {"data": ROWS},
        {"annotations": ROWS, "info": {"tags": ["x"], "empty": [], "nested": {"lists": [[1], [2]]}}},
        {"info": {"text \\": '[{"', "more": ["}", "]"]}, "version": 1.5, "ok": None, "data": ROWS},
        {"result": {"page": 1, "items": ROWS}},
        {"a": {"b": {"rows": ROWS}}},
        {"rows": [{**row, "words": [{"word": "x", "tags": [{"y": [1]}]}]} for row in ROWS]},
    ],
)
def test_the_list_of_objects_is_the_manifest(tmp_path, tree, indent):
    assert summary(rows_of(written(tmp_path, json.dumps(tree, indent=indent), "m.json"))) == [A, B]


@pytest.mark.parametrize("indent", [None, 2])
def test_rows_by_their_ids(tmp_path, indent):
    tree = {row["id"]: {"wav": row["audio"], "text": row["text"], "words": [{"w": 1}]} for row in ROWS}
    assert summary(rows_of(written(tmp_path, json.dumps(tree, indent=indent), "m.json"))) == [A, B]
    odd = {**tree, "c": 3, "d": {"wav": "d.wav", "text": "last"}}
    rows = summary(rows_of(written(tmp_path, json.dumps(odd, indent=indent), "m.json")))
    assert rows == [A, B, ("m.json:3", reasons.BAD_ROW.name), ("d", "d.wav", "last")]


@pytest.mark.parametrize("between", ["\n", "", "\n\n \n"])
def test_objects_over_several_lines(tmp_path, between):
    content = between.join(json.dumps(row, indent=2) for row in ROWS)
    assert summary(rows_of(written(tmp_path, content, "m.json"))) == [A, B]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (json.dumps({"data": ROWS, "more": ROWS}), "two lists of objects, 'data' and 'more'"),
        (json.dumps({"a": {"x": ROWS}, "b": {"y": ROWS}}, indent=1), "two lists of objects, 'x' and 'y'"),
        (json.dumps({"data": ROWS}, indent=1)[:-1], "does not end"),
        (json.dumps({"data": ROWS}, indent=1)[:-40], "a list in it does not end"),
        (json.dumps({"data": ROWS}, indent=1) + " x", "more follows the JSON object"),
        (json.dumps(ROWS[0], indent=1) + '\n{"id": "b",', "not valid JSON"),
        (json.dumps({"data": ROWS[:1] * 2_000, "more": ROWS}), "two lists of objects"),  # beyond the beginning
    ],
)
def test_what_cannot_be_read_stops_with_one_line(tmp_path, content, told):
    with pytest.raises(UserError, match=rf"^m\.json: .*{told}"):
        rows_of(written(tmp_path, content, "m.json"))


@pytest.mark.parametrize(
    ("content", "count"),
    [
        ('{"audio": "a.wav", "text": "x", "words": [{"w": 1}]}\n', 1),  # a row, though it has a list
        ('{"sound": "a.wav", "said": "x", "words": [{"w": 1}]}\n', 1),
        ('{"audio": "a.wav", "text": "x"\n{"audio": "b.wav", "text": "y"}\n', 2),  # a line that is cut
    ],
)
def test_jsonl_stays_jsonl(tmp_path, content, count):
    rows = rows_of(written(tmp_path, content, "m.jsonl"), columns={"audio": "sound", "text": "said"}) if (
        "sound" in content
    ) else rows_of(written(tmp_path, content, "m.jsonl"))  # fmt: skip
    assert len(rows) == count
    assert rows[-1].source == f"m.jsonl:{count}"


@pytest.mark.parametrize(
    "opening", ['{"a": ' * 30_000, '{"a": [' * 30_000, '{\n"a": [' + "[" * 100_000, '{"data": [' + "{" * 60_000]
)
def test_what_is_nested_without_end_costs_no_time(tmp_path, opening):
    with pytest.raises(UserError, match=r"^m\.json: "):
        rows_of(written(tmp_path, opening, "m.json"))


def test_a_list_is_read_a_block_at_a_time(tmp_path):
    row = {"audio": "a.wav", "text": "x" * 1_000}
    with (tmp_path / "m.json").open("w") as file:
        file.write('{"head": 1,\n"data": [\n')
        file.writelines(f"{json.dumps({**row, 'id': str(index)})},\n" for index in range(5_000))
        file.write(json.dumps(row) + "\n]}\n")
    rows_of(written(tmp_path, json.dumps({"data": ROWS}), "small.json"))  # what is imported is not counted
    tracemalloc.start()
    try:
        with (tmp_path / "m.json").open("rb") as stream:
            assert sum(1 for _ in json_object.read_list(stream, "m.json")) == 5_001
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()
