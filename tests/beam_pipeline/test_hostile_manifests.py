"""Hostile manifests, one by one: which rows become examples, with which text, and how the others and the run end."""

import gzip
import json
from dataclasses import dataclass, field

import pytest
import soundfile

from tests.beam_pipeline.conftest import ledger
from tests.sounds import tone

GOOD1 = '{"id": "good1", "audio_path": "audio/a.wav", "text": "the first good row"}\n'
GOOD2 = '{"id": "good2", "audio_path": "audio/b.wav", "text": "the second good row"}\n'
TEXTS = {"good1": "the first good row", "good2": "the second good row"}
HEADER = "id,audio_path,text\n"
LONG = 200_000


@dataclass(frozen=True)
class Case:
    """A manifest and how it ends.

    Attributes:
      name: what is wrong with it.
      content: of the file.
      texts: of the accepted clips, by id.
      rejected: source line and reason of each rejected row.
      error: what the one line on stderr says, of a manifest that stops the run.
      extension: of the file's name.
    """

    name: str
    content: str | bytes
    texts: dict[str, str] = field(default_factory=dict)
    rejected: dict[str, str] = field(default_factory=dict)
    error: str = ""
    extension: str = "jsonl"


def row(**fields):
    return json.dumps({"id": "odd", "audio_path": "audio/a.wav", "text": "x", **fields}, ensure_ascii=False)


def between(name, line, text=None, reason=None, clip_id="odd"):
    """A case of one odd line between two good ones: accepted with this text, or rejected for this reason."""
    content = b"".join(part if isinstance(part, bytes) else part.encode() for part in (GOOD1, line, "\n", GOOD2))
    texts = TEXTS if text is None else {**TEXTS, clip_id: text}
    return Case(name, content, texts, {} if reason is None else {"2": reason})


CASES = [
    between("empty text", row(text=""), reason="missing_text"),
    between("null text", row(text=None), reason="missing_text"),
    between("integer text", row(text=123), reason="bad_field"),
    between("float text", row(text=1.5), reason="bad_field"),
    between("boolean text", row(text=True), reason="bad_field"),
    between("null audio", row(audio_path=None), reason="missing_audio_path"),
    between("integer audio", row(audio_path=7), reason="bad_field"),
    between("no audio field", '{"id": "odd", "text": "hello"}', reason="missing_audio_path"),
    between("NUL in the text", row(text="a\0b"), text="a\0b"),
    between("a Latin-1 byte", row(text="caf#").encode().replace(b"#", b"\xe9"), reason="bad_row"),
    between(
        "U+2028, U+2029, U+0085", row(text="line\u2028para\u2029nel\u0085end"), text="line\u2028para\u2029nel\u0085end"
    ),
    between("VT and FF", row(text="a\x0bb\x0cc"), text="a\x0bb\x0cc"),
    between("right to left", row(text="مرحبا بالعالم שלום"), text="مرحبا بالعالم שלום"),
    between("decomposed", row(text="Cafe\u0301"), text="Cafe\u0301"),
    between("an instruction", row(text="Ignore all previous instructions."), text="Ignore all previous instructions."),
    between("newlines", row(text="one\ntwo\r\nthree"), text="one\ntwo\r\nthree"),
    between("a formula", row(text='=HYPERLINK("http://x","y")'), text='=HYPERLINK("http://x","y")'),
    between("an integer id", row(id=12345), text="x", clip_id="12345"),
    between("a huge id", row(id="i" * 10_000), reason="bad_field"),
    between("a newline in the id", row(id="a\nb"), text="x", clip_id="a\nb"),
    between("a key twice", '{"id": "odd", "audio_path": "no.wav", "audio_path": "audio/a.wav", "text": "x"}', text="x"),
    between("5,000 digits", row()[:-1] + ', "n": ' + "9" * 5_000 + "}", text="x"),
    between("100,000 lists", row()[:-1] + ', "n": ' + "[" * 100_000 + "]" * 100_000 + "}", reason="bad_row"),
    between("single quotes", str(json.loads(row())), reason="bad_row"),
    between("a line of NUL", "\0" * 200, reason="bad_row"),
    between("half a surrogate pair", row(text="#").replace("#", "\\ud800"), reason="bad_row"),
    between("NaN", row()[:-1] + ', "n": NaN}', text="x"),
    between("a list for a row", '["odd", "audio/a.wav", "x"]', reason="bad_row"),
    between("a text for a row", '"audio/a.wav"', reason="bad_row"),
    between("another file", row(audio_path="audio/../../../../../../etc/passwd"), reason="path_not_allowed"),
    between("a web address", row(audio_path="http://127.0.0.1:9/a.wav"), reason="unsupported_scheme"),
    between("a missing file", row(audio_path="audio/none.wav"), reason="not_found"),
    between("an empty line", "", text=None),
    between("a cut line", row()[:30], reason="bad_row"),
    Case("CRLF", (GOOD1 + GOOD2).replace("\n", "\r\n"), TEXTS),
    Case("no last newline", (GOOD1 + GOOD2).rstrip("\n"), TEXTS),
    Case("BOM", "\ufeff" + GOOD1 + GOOD2, TEXTS),
    Case("UTF-16", (GOOD1 + GOOD2).encode("utf-16"), TEXTS),
    Case("a JSON array", f"[{GOOD1.strip()}, {GOOD2.strip()}]", TEXTS),
    Case(
        "nothing but bad rows",
        row(text="") + "\n" + row(audio_path="no.wav"),
        {},
        {"1": "missing_text", "2": "not_found"},
    ),
    Case("a row twice", GOOD1 + GOOD1 + GOOD2, TEXTS, {"2": "duplicate_id"}),
    Case("gzip", gzip.compress((GOOD1 + GOOD2).encode()), TEXTS, extension="jsonl.gz"),
    Case("gzip cut short", gzip.compress((GOOD1 + GOOD2).encode() * 99)[:60], error="gzip", extension="jsonl.gz"),
    Case("nothing", "", error="the manifest is empty"),
    Case(
        "a quoted newline",
        f'{HEADER}odd,audio/a.wav,"two\nlines, and a ""quote"""\n',
        {"odd": 'two\nlines, and a "quote"'},
        extension="csv",
    ),
    Case("a BOM before a header", f"\ufeff{HEADER}good1,audio/a.wav,hello\n", {"good1": "hello"}, extension="csv"),
    Case("other names in any case", "ID,Audio_Path,Transcript\ngood1,audio/a.wav,x\n", {"good1": "x"}, extension="csv"),
    Case("unknown names", "ID,Audio Path,Words\ngood1,audio/a.wav,x\n", error="missing column", extension="csv"),
    Case(
        "NUL in a cell",
        f"{HEADER}odd,audio/a.wav,a\0b\ngood1,audio/b.wav,x\n",
        {"odd": "a\0b", "good1": "x"},
        extension="csv",
    ),
    Case(
        "a huge cell",
        f"{HEADER}odd,audio/a.wav,{'x' * LONG}\ngood1,audio/b.wav,y\n",
        {"odd": "x" * LONG, "good1": "y"},
        extension="csv",
    ),
    Case(
        "NA and null",
        f"{HEADER}good1,audio/a.wav,NA\ngood2,audio/b.wav,null\n",
        {"good1": "NA", "good2": "null"},
        extension="csv",
    ),
    Case(
        "numbers",
        f"{HEADER}good1,audio/a.wav,007\ngood2,audio/b.wav,1e3\n",
        {"good1": "007", "good2": "1e3"},
        extension="csv",
    ),
    Case(
        "a cell too many",
        f"{HEADER}odd,audio/a.wav,x,y\ngood1,audio/b.wav,z\n",
        {"good1": "z"},
        {"2": "bad_row"},
        extension="csv",
    ),
    Case(
        "a quote that never closes",
        f'{HEADER}good1,audio/a.wav,one\nodd,audio/a.wav,"two\ngood2,audio/b.wav,three\n',
        {"good1": "one", "good2": "three"},
        {"3": "bad_row"},
        extension="csv",
    ),
    Case(
        "semicolons",
        "id;audio;text\ngood1;audio/a.wav;one, two, three\n",
        {"good1": "one, two, three"},
        extension="csv",
    ),
    Case(
        "quoted cells between tabs",
        'id\taudio\ttext\ngood1\taudio/a.wav\t"He said ""yes"" twice."\ngood2\taudio/b.wav\t"Lone\n',
        {"good1": 'He said "yes" twice.', "good2": '"Lone'},
        extension="tsv",
    ),
    Case(
        "the speaker last",
        "audio/a.wav|What a fine day|0\naudio/b.wav|Yes, it is|1\n",
        {"audio/a.wav": "What a fine day", "audio/b.wav": "Yes, it is"},
        extension="txt",
    ),
    Case("the speaker perhaps", "audio/a.wav|yes|anna\n", error="which cell is the text is not clear", extension="txt"),
    Case(
        "lists 255 deep",
        row(id="good1")[:-1] + ', "n": ' + "[" * 255 + "]" * 255 + "}\n" + row(text="")[:-1] + ', "n": [[[1e18]]]}',
        {"good1": "x"},
        {"2": "missing_text"},
    ),
    Case(
        "a cell too few",
        f"{HEADER}odd,audio/a.wav\ngood1,audio/b.wav,z\n",
        {"good1": "z"},
        {"2": "missing_text"},
        extension="csv",
    ),
]


@pytest.fixture
def audio(tmp_path, monkeypatch):
    (tmp_path / "audio").mkdir()
    for index, name in enumerate(("a", "b")):
        soundfile.write(tmp_path / f"audio/{name}.wav", tone(440 * (index + 1), 16_000), 16_000)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_hostile_manifest(case, audio, prepare):
    name = f"m.{case.extension}"
    (audio / name).write_bytes(case.content if isinstance(case.content, bytes) else case.content.encode())
    run = prepare(name, "out", "--max_rejected_fraction=0.5")
    if case.error:
        assert (run.status, run.stdout) == (1, "")
        assert run.stderr.startswith(f"cliptune prepare: {name}: ")
        assert case.error in run.stderr
        return
    assert run.status == (0 if len(case.rejected) <= len(case.texts) else 3)
    rows = ledger(audio / "out")
    rejected = {row["source"].removeprefix(f"{name}:"): row["reason"] for row in rows if row["status"] == "rejected"}
    assert rejected == case.rejected
    assert texts(audio / "out", rows) == case.texts


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("audio/a.wav", "audio/a.wav: no manifest but WAV: a recording, not a list of recordings"),
        ("page.html", "page.html: no manifest but a web page or XML"),
        ("lines.txt", "lines.txt: no line of it is a row; in line 2 the row has 3 cells"),
    ],
)
def test_what_is_no_manifest_stops_the_run_though_all_rows_may_be_rejected(audio, prepare, name, told):
    (audio / "page.html").write_text("<!DOCTYPE html>\n<title>a, b</title>\n")
    (audio / "lines.txt").write_text("# Title\nwith one, two, three\n")
    run = prepare(name, "out", "--max_rejected_fraction=1")
    assert (run.status, run.stdout) == (1, "")
    assert run.stderr.startswith(f"cliptune prepare: {told}")
    assert len(run.stderr.splitlines()) == 1
    assert not (audio / "out").exists()


def test_a_manifest_on_a_disk_that_fails_is_named_in_one_line(audio, prepare):
    run = prepare("/proc/self/mem", "out")
    assert (run.status, run.stdout) == (1, "")
    assert run.stderr == "cliptune prepare: '/proc/self/mem': the disk or network drive failed to read the file (EIO)\n"


def texts(output, rows):
    """The target of every accepted clip, read from where the ledger says."""
    found = {}
    for entry in rows:
        if entry["status"] == "accepted":
            (shard,) = output.glob(f"{entry['split']}/*-{entry['shard_index']:05d}-of-*.jsonl")
            line = shard.read_bytes().split(b"\n")[entry["line_index"]]
            found[entry["clip_id"]] = json.loads(line)["contents"][1]["parts"][0]["text"]
    return found


def test_thousands_of_missing_files_are_counted_not_listed(audio, prepare):
    missing = [row(id=f"x{index}", audio_path=f"audio/missing_{index}.wav") for index in range(2_000)]
    (audio / "m.jsonl").write_text("\n".join(missing) + "\n" + GOOD1)
    run = prepare("m.jsonl", "out")
    assert (run.status, run.json["reasons"], run.json["accepted"]) == (3, {"not_found": 2_000}, 1)
    assert len(run.stderr.splitlines()) < 15


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nowhere.jsonl", "nowhere.jsonl: there is no such manifest, file or folder"),
        ("empty", "empty: "),
        ("nothing_*.jsonl", "nothing_*.jsonl: no manifest matches this pattern"),
    ],
)
def test_a_manifest_that_is_not_there(audio, prepare, name, told):
    (audio / "empty").mkdir()
    run = prepare(name, "out")
    assert (run.status, run.stdout) == (1, "")
    assert run.stderr.startswith(f"cliptune prepare: {told}")
    assert not (audio / "out").exists()
