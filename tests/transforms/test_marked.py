"""YAML with positions: what stands where, and every file that is none in one line with its place."""

import pytest

from transforms import bounds, marked
from transforms.errors import UserError
from transforms.marked import Items, Scalar, Table


def plain(node):
    """The values without their positions."""
    if isinstance(node, Table):
        return {name: plain(value) for name, value in node.entries.items()}
    return [plain(item) for item in node.items] if isinstance(node, Items) else node.text


def load(text):
    """A file that is a mapping."""
    tree = marked.load(text.encode(), "f.yaml")
    assert isinstance(tree, Table)
    return tree


def test_each_key_and_value_has_its_line():
    tree = load("# first\na: 1\nb:\n  c: [x,\n    y]\n")
    words = Items(4, (Scalar(4, "x"), Scalar(5, "y")))
    assert tree == Table(2, {"a": Scalar(2, "1"), "b": Table(4, {"c": words}, {"c": 4})}, {"a": 2, "b": 3})


@pytest.mark.parametrize(
    "word", ["no", "Yes", "on", "010", "0o17", "1.10", "1_000", "2026-01-01", "1:30", ".inf", "0x10", "é", "="]
)
def test_a_scalar_stays_as_it_is_written(word):
    assert plain(load(f"a: {word}\n")) == {"a": word}


@pytest.mark.parametrize("nothing", ["", "~", "null", "Null"])
def test_nothing_is_told_from_an_empty_text(nothing):
    found = load(f"a: {nothing}\nb: ''\nc: 'null'\n").entries
    assert found["a"] == Scalar(1, nothing, is_null=True)
    assert found["b"] == Scalar(2, "", quoted=True)
    assert found["c"] == Scalar(3, "null", quoted=True)


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"\xef\xbb\xbfa: 1", {"a": "1"}),
        ("a: é".encode("utf-16"), {"a": "é"}),  # Notepad's Unicode
        (b"a: 1\r\nb: 2\r\n", {"a": "1", "b": "2"}),
        (b'{"a": "\\ud83d\\ude00", "b": [1, true]}', {"a": "\U0001f600", "b": ["1", "true"]}),
        (b"x: &x {p: 1, q: 2}\ny: {<<: *x, q: 3}\n", {"x": {"p": "1", "q": "2"}, "y": {"p": "1", "q": "3"}}),
        (b"x: &x {p: 1}\nz: &z {p: 2, r: 4}\ny: {<<: [*x, *z]}\n", None),
        (b"--- \na: 1\n...\n", {"a": "1"}),
    ],
)
def test_what_is_read(content, value):
    found = plain(marked.load(content, "f.yaml"))
    assert found == value if value else found["y"] == {"p": "1", "r": "4"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", ": it is empty"),
        (b"# nothing\n", ": it is empty"),
        (b"a: 1\nb: 2\na: 3\n", ":3: 'a' is given twice; the first is in line 1"),
        (b"a:\n\tb: 1", ":2: not YAML: found character '\\t' that cannot start any token"),
        (b"a: 1\n---\nb: 2\n", ":2: not YAML: but found another document"),
        (b"a: !!python/object/apply:os.system [ls]", ":1: tags such as '!!python/object/apply:os.system'"),
        (b"a: !mine x", ":1: tags such as '!mine'"),
        (b"a: !!binary aGk=", ":1: tags such as '!!binary'"),
        (b"a: !!set {x}", ":1: tags such as '!!set'"),
        (b"a: &a [*a]", ":1: an alias stands for itself"),
        (b"a: *b", ":1: not YAML: found undefined alias 'b'"),
        (b"? [a]\n: b", ":1: a key must be a word, got a list"),
        (b"a: {<<: 3}", ":1: << must have a mapping, or a list of some, got '3'"),
        (b"a: 1\nb: \xe9\n", ":2: not YAML in UTF-8"),
        (b"a: 1\n\nb: \x00\n", ":3: the character '\\x00' has no place in YAML"),
        (b"a: \x1b[31m", ":1: the character '\\x1b' has no place in YAML"),
        (b'a: "\\ud83d"', ":1: half a surrogate pair is no character"),
        (b"a: [1, 2\n", ":2: not YAML: expected ',' or ']'"),
        (b"a: 'x\n", ":2: not YAML: found unexpected end of stream"),
        (b"[" * 100_000, ": it is nested too deep"),
        (b"a: " + b"[" * 40 + b"]" * 40, ":1: it is nested too deep"),
        (b"\xff\xfe\x00", ":1: not YAML in UTF-8"),
    ],
)
def test_what_is_no_such_file_is_told_with_its_line(content, problem):
    with pytest.raises(UserError) as fault:
        marked.load(content, "f.yaml")
    assert str(fault.value).startswith(f"f.yaml{problem}")
    assert "\n" not in str(fault.value)


def test_a_file_of_aliases_of_aliases_is_counted_whole():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(UserError, match=r"^f.yaml:\d+: over 200,000 values, those that aliases stand for included$"):
        marked.load("\n".join(lines).encode(), "f.yaml")


def test_a_file_has_a_limit_of_bytes():
    marked.load(b"a: 1 #".ljust(bounds.MAX_SETTINGS_BYTES, b"x"), "f.yaml")
    with pytest.raises(UserError, match="over the limit of 2,097,152 for such a file"):
        marked.load(b"a: 1 #".ljust(bounds.MAX_SETTINGS_BYTES + 1, b"x"), "f.yaml")
