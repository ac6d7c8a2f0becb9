import gzip
import json
import random
import tracemalloc

import pytest

from tests.tuning.providers.test_rows import FLAC, blob, model, row, uri, user
from transforms import limits
from transforms.errors import UserError
from transforms.storage import Storage
from tuning.check import files
from tuning.check.files import JsonlFile

storage = Storage()


def example(number, content=None):
    """A valid row with audio of its own."""
    return row(
        user({"text": "Transcribe."}, content or uri(f"gs://bucket/{number}.flac")), model({"text": f"text {number}"})
    )


def lines(*numbers):
    return b"".join(example(number) + b"\n" for number in numbers)


def checked(tmp_path, train, validation=None):
    listed = []
    for split, content in (("validation", validation), ("train", train)):
        if content is not None:
            (tmp_path / f"{split}.jsonl").write_bytes(content)
            listed.append(JsonlFile(f"{split}.jsonl", str(tmp_path / f"{split}.jsonl"), split))
    return files.check(listed, Storage())


def rules(findings):
    return [(problem.source, problem.severity, problem.rule) for problem in findings.problems]


def test_a_good_dataset_has_no_problem(out):
    findings = files.check(files.files_of(str(out), Storage()), Storage())
    assert (findings.ok, findings.examples, findings.errors, findings.bad_lines) == (True, 24, 0, 0)
    assert (dict(findings.counts), findings.problems) == ({}, [])
    assert [findings.splits[split].examples for split in ("train", "validation")] == [22, 2]


def test_a_file_of_any_tool_in_a_bucket(bucket):
    storage.write_bytes(f"{bucket}/d/x.jsonl", lines(1, 2) + b"broken\n")
    findings = files.check(files.files_of(f"{bucket}/d/x.jsonl", Storage()), Storage())
    assert (findings.ok, findings.examples) == (False, 3)
    assert rules(findings) == [(f"{bucket}/d/x.jsonl:3", "error", "not_json")]


def test_each_problem_names_file_and_line(tmp_path):
    findings = checked(tmp_path, lines(1) + b"\n" + lines(2) + b"{}\n" + b"\xff\n")
    assert rules(findings) == [
        ("train.jsonl:2", "error", "blank_line"),
        ("train.jsonl:4", "error", "schema"),
        ("train.jsonl:5", "error", "not_utf8"),
    ]
    assert findings.counts == {"blank_line": 1, "schema": 1, "not_utf8": 1}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (lines(1).removesuffix(b"\n"), [("train.jsonl:1", "warning", "final_newline")]),
        (b"", [("train.jsonl:0", "error", "no_examples")]),
        (gzip.compress(lines(1), mtime=0), [("train.jsonl:1", "error", "compressed")]),
        (lines(1).replace(b"\n", b"\r\n"), []),
    ],
)
def test_the_file_as_a_whole(tmp_path, content, expected):
    assert rules(checked(tmp_path, content))[:1] == expected


def test_the_same_audio_in_both_splits_is_an_error(tmp_path):
    findings = checked(tmp_path, lines(1, 2, 3), lines(2))
    assert ("train.jsonl:2", "error", "audio_in_both_splits") in rules(findings)
    assert "validation.jsonl:1" in findings.problems[0].detail
    inline = example(1, blob(FLAC)) + b"\n"
    assert "audio_in_both_splits" in checked(tmp_path, inline + lines(2, 3, 4, 5), inline).counts


def test_the_first_thousand_problems_are_told_and_all_are_counted(tmp_path):
    findings = checked(tmp_path, b"x\n" * 1_001)
    assert (len(findings.problems), findings.counts["not_json"], findings.errors) == (1_000, 1_001, 1_001)


@pytest.mark.parametrize("length", [10_001, 25_000, 40_000])
def test_an_endless_line_is_told_once_and_moves_no_line_number(tmp_path, monkeypatch, length):
    monkeypatch.setattr(files, "MAX_LINE_BYTES", 10_000)
    findings = checked(tmp_path, lines(1) + b"x" * length + b"\n" + lines(2) + b"{}\n")
    assert rules(findings) == [("train.jsonl:2", "error", "line_bytes"), ("train.jsonl:4", "error", "schema")]
    assert findings.splits["train"].examples == 4


def test_an_endless_line_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_LINE_BYTES", 100_000)
    (tmp_path / "train.jsonl").write_bytes(lines(1) + b"x" * 50_000_000)
    tracemalloc.start()
    findings = files.check([JsonlFile("train.jsonl", str(tmp_path / "train.jsonl"), "train")], Storage())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not findings.ok
    assert peak < 10_000_000


@pytest.mark.parametrize(("over", "expected"), [(0, []), (1, [("train.jsonl:1", "error", "line_bytes")])])
def test_the_length_of_a_line_on_both_sides(tmp_path, monkeypatch, over, expected):
    monkeypatch.setattr(files, "MAX_LINE_BYTES", len(lines(1)) - over)  # its newline included
    assert rules(checked(tmp_path, lines(1))) == expected


def test_a_compressed_file_is_told_once(tmp_path):
    content = gzip.compress(random.Random(1).randbytes(50_000))
    assert content.count(b"\n") > 10
    counts = checked(tmp_path, content).counts
    assert (counts["compressed"], set(counts) <= {"compressed", "no_examples"}) == (1, True)


@pytest.mark.parametrize("split", ["train", "validation"])
@pytest.mark.parametrize(("over", "rule"), [(0, None), (1, "file_bytes")])
def test_the_size_of_a_file_on_both_sides(tmp_path, monkeypatch, split, over, rule):
    train, validation = lines(*range(100)), lines(*range(1000, 1005))
    size = len(train if split == "train" else validation)
    monkeypatch.setattr(limits, "MAX_FILE_BYTES", size - over)
    findings = checked(tmp_path, train if split == "train" else lines(1), validation if split == "validation" else None)
    assert [problem.rule for problem in findings.problems if problem.rule == "file_bytes"] == ([rule] if rule else [])


@pytest.mark.parametrize(("limit", "ok"), [(5, True), (4, False)])
def test_the_number_of_examples_on_both_sides(tmp_path, monkeypatch, limit, ok):
    monkeypatch.setattr(limits, "MAX_TRAIN_EXAMPLES", limit)
    assert checked(tmp_path, lines(*range(5))).ok == ok
    monkeypatch.setattr(limits, "MAX_TRAIN_EXAMPLES", 100)
    monkeypatch.setattr(limits, "MAX_VALIDATION_EXAMPLES", limit)
    assert checked(tmp_path, lines(*range(50)), lines(*range(100, 105))).ok == ok


@pytest.mark.parametrize(
    ("count", "share_from", "ok"),
    [(3, 2, True), (4, 2, False), (4, 4, True)],  # of so few it does not matter what share they are
)
def test_the_share_of_validation_on_both_sides(tmp_path, monkeypatch, count, share_from, ok):
    monkeypatch.setattr(limits, "VALIDATION_SHARE_FROM", share_from)
    findings = checked(tmp_path, lines(*range(10)), lines(*range(100, 100 + count)))
    assert findings.ok == ok
    assert ("validation_examples" in findings.counts) == (not ok)


def test_a_quarter_of_the_bytes_is_a_warning(tmp_path):
    assert rules(checked(tmp_path, lines(*range(8)), lines(100, 101, 102))) == [
        ("validation.jsonl:0", "warning", "validation_bytes")
    ]


@pytest.mark.parametrize("change", ["missing", "cut", "flipped"])
def test_a_shard_that_is_not_what_the_dataset_says(out, change):
    path = out / "train/train-00001-of-00003.jsonl"
    if change == "missing":
        path.unlink()
    else:
        content = path.read_bytes()
        path.write_bytes(
            content[: content.rindex(b"\n", 0, -1) + 1] if change == "cut" else content.replace(b"text", b"taxt", 1)
        )
    findings = files.check(files.files_of(str(out), Storage()), Storage())
    assert not findings.ok
    rule = "missing_shard" if change == "missing" else "changed_shard"
    assert (f"{out}/train/train-00001-of-00003.jsonl:0", "error", rule) in rules(findings)


def test_a_dataset_over_a_limit_will_be_cut_and_is_warned_about(out, monkeypatch):
    monkeypatch.setattr(limits, "MAX_FILE_BYTES", 100_000)
    findings = files.check(files.files_of(str(out), Storage()), Storage())
    assert findings.ok
    assert findings.counts == {"file_bytes": 1}


@pytest.mark.parametrize(
    ("prepare", "told"),
    [
        (lambda out: out.rename(out.with_name("elsewhere")), "no such file or dataset folder"),
        (lambda out: (out / "dataset.json").unlink(), "unfinished dataset"),
        (lambda out: [(out / name).unlink() for name in ("dataset.json", "run.json")], "holds no dataset"),
        (lambda out: (out / "dataset.json").write_text("{"), "damaged"),
        (lambda out: (out / "dataset.json").write_text(json.dumps({"splits": {}})), "damaged"),
    ],
)
def test_what_is_no_dataset(out, prepare, told):
    prepare(out)
    with pytest.raises(UserError, match=told):
        files.files_of(str(out), Storage())
