"""Rows of tools with whatever stands in them: each ends as a row, or as one at fault; none ends the run."""

import gzip
import itertools
import json

import pytest

from tests.corpora import CORPORA
from transforms import reasons
from transforms.errors import UserError
from transforms.manifests import label_studio, lhotse, tool
from transforms.manifests.formats import FORMATS, read_manifest
from transforms.manifests.row import Row
from transforms.manifests.tool import Beside, Tool
from transforms.storage import Storage

ODD: tuple[object, ...] = (
    None,
    1,
    1.5,
    True,
    "x",
    "",
    [],
    {},
    [1],
    {"a": 1},
    [{"a": None}],
    [None],
    "\ud800",
    "9" * 400,
    float("nan"),
    -1,
)
TOOLS = [row.name for row in FORMATS.values() if isinstance(row, Tool) and row is not lhotse.RECORDINGS]


def rows_of(name, folder):
    """The rows of a tool as their file has them."""
    corpus = next(corpus for corpus in CORPORA.values() if corpus.form == name)
    corpus.write(folder)
    path = folder / corpus.manifests[0]
    root = folder / corpus.flags[0].partition("{}/")[2] if corpus.flags else folder
    beside = Beside(path.name, str(path), str(root), is_given=True, storage=Storage())
    if path.suffixes[-1] == ".gz":
        return [json.loads(line) for line in gzip.open(path)], beside
    found = []

    def noted(row):
        found.append(dict(row.fields))
        return False

    with pytest.MonkeyPatch.context() as patch:
        for key, form in list(FORMATS.items()):
            if isinstance(form, Tool):
                patch.setitem(FORMATS, key, Tool(form.name, form.summary, form.title, noted, form.retell))
        rows = list(read_manifest(str(path), False, beside, Storage()))
    return [row.fields or {str(index): cell for index, cell in enumerate(row.cells)} for row in rows], beside


def altered(value):
    """The value with one part of it replaced, at any depth."""
    yield from ODD
    if isinstance(value, dict):
        for key in value:
            yield {other: part for other, part in value.items() if other != key}
            yield from ({**value, key: part} for part in altered(value[key]))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from ([*value[:index], other, *value[index + 1 :]] for other in altered(part))


@pytest.mark.parametrize("name", TOOLS)
def test_whatever_stands_in_a_row_it_is_one_row_or_more(tmp_path, name):
    rows, beside = rows_of(name, tmp_path)
    form = FORMATS[name]
    assert isinstance(form, Tool)
    assert rows
    for fields in itertools.islice(
        (each for row in rows[:3] for each in altered(row) if isinstance(each, dict)), 3_000
    ):
        row = Row(1, {str(key): value for key, value in fields.items()})
        try:
            found = list(tool.retold(iter([row]), form, beside))
        except UserError as stop:
            assert str(stop).startswith(f"{beside.name}: ")
            continue
        assert found
        assert all(each.fault is None or each.fault.detail for each in found)
        form.wrote(row)


def test_a_reader_that_fails_costs_the_row_and_names_the_place():
    def fail(row):
        raise ZeroDivisionError

    failing = Tool("x", "x", "X", lambda row: True, lambda beside: fail)
    beside = Beside("m.json", "/m.json", "/", False, Storage())
    rows = [Row(1, {"a": 1}), Row(2, {}, fault=None), Row(3, {})]
    found = list(tool.retold(iter(rows), failing, beside))
    assert [row.fault and row.fault.reason for row in found] == [reasons.BAD_ROW] * 3
    assert "ZeroDivisionError in test_tool.py" in str(found[0].fault)


@pytest.mark.parametrize(
    ("annotations", "text"),
    [
        ([{"result": [{"id": "a", "type": "choices", "value": {"choices": ["yes"]}}]}], "yes"),
        (
            [
                {"result": [{"id": "a", "value": {"text": ["old"]}}]},
                {"result": [{"id": "b", "value": {"text": ["new"]}}]},
            ],
            "new",
        ),
        (
            [
                {"ground_truth": True, "result": [{"id": "a", "value": {"text": "true"}}]},
                {"result": [{"id": "b", "value": {"text": "late"}}]},
            ],
            "true",
        ),
        ([{"was_cancelled": True, "result": [{"id": "a", "value": {"text": "x"}}]}], reasons.MISSING_TEXT),
        ([{"result": [{"id": "a", "value": {"start": 0, "end": 1, "labels": ["Speaker 1"]}}]}], reasons.MISSING_TEXT),
        (
            [{"result": [{"id": "a", "value": {"text": "x"}}, {"id": "b", "value": {"text": "y"}}]}],
            reasons.BAD_FIELD,
        ),
    ],
)
def test_which_annotation_of_a_task_counts(annotations, text):
    row = Row(1, {"id": 1, "data": {"audio": "a.wav"}, "annotations": annotations})
    beside = Beside("m.json", "/m.json", "/", False, Storage())
    (found,) = tool.retold(iter([row]), label_studio.TASKS, beside)
    assert (found.fields["text"] if found.fault is None else found.fault.reason) == text


@pytest.mark.parametrize(
    ("recording", "channel", "told"),
    [
        ({"sources": [{"type": "file", "channels": [0], "source": "a.wav"}]}, 0, ("a.wav", None)),
        ({"sources": [{"type": "file", "channels": [0, 1], "source": "a.wav"}]}, 1, ("a.wav", "#1")),
        ({"sources": [{"type": "file", "channels": [0, 1], "source": "a.wav"}]}, [0, 1], ("a.wav", None)),
        (
            {"sources": [{"type": "file", "channels": [n], "source": f"{n}.wav"} for n in (0, 1)]},
            1,
            ("1.wav", None),
        ),
        ({"sources": [{"type": "file", "channels": [n], "source": f"{n}.wav"} for n in (0, 1)]}, [0, 1], "bad_field"),
        ({"sources": [{"type": "file", "channels": [0, 1, 2], "source": "a.wav"}]}, [0, 2], "bad_field"),
        ({"sources": [{"type": "command", "channels": [0], "source": "sox a.mp3 -t wav -"}]}, 0, "not_a_path"),
        ({"sources": [{"type": "memory", "channels": [0], "source": "…"}]}, 0, "embedded_audio"),
        ({"sources": [{"type": "url", "channels": [0], "source": "gs://b/a.wav"}]}, 0, ("gs://b/a.wav", None)),
        (
            {"sources": [{"type": "file", "channels": [0], "source": "a.wav"}], "transforms": [{"name": "Volume"}]},
            0,
            ("a.wav", None),
        ),
        (
            {"sources": [{"type": "file", "channels": [0], "source": "a.wav"}], "transforms": [{"name": "Speed"}]},
            0,
            "bad_field",
        ),
    ],
)
def test_recordings_of_lhotse(recording, channel, told):
    supervision = {"id": "s", "start": 0.5, "duration": 1, "channel": channel, "text": "x"}
    cut = {"start": 2, "supervisions": [supervision], "recording": {"id": "r", "duration": 9.0, **recording}}
    (row,) = tool.retold(iter([Row(1, cut)]), lhotse.CUTS, Beside("c", "/c", "/", False, Storage()))
    if isinstance(told, str):
        assert row.fault is not None
        assert row.fault.reason.name == told
    else:
        assert (row.fields["audio"], row.fields.get("channel")) == told
        assert (row.fields["offset"], row.fields["duration"]) == (2.5, 1.0)
