"""Quotes between cells: where they are syntax, where they are text, and where one never closes."""

import re

import pytest

from tests.transforms.manifests.written import lines, rows_of, summary, written
from transforms import reasons
from transforms.bounds import MAX_LINE_BYTES
from transforms.clip import Clip
from transforms.errors import UserError
from transforms.manifests.cells import MAX_CELL_LINES

CSV = "id,audio,text\n"
TSV = "path\tsentence\n"


def targets(tmp_path, content, name="m.tsv"):
    return [row.target if isinstance(row, Clip) else row.reason for row in rows_of(written(tmp_path, content, name))]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("delimiter", ["\t", "|"])
def test_quotes_are_syntax_where_their_own_are_doubled(tmp_path, encoding, delimiter):
    cells = {
        '"""Good morning,"" said the clerk."': '"Good morning," said the clerk.',
        '"He said ""yes"" twice."': 'He said "yes" twice.',
        "It's 5\" wide": "It's 5\" wide",
        '"He said, and left': '"He said, and left',  # a lone quote is text, and swallows no row
        '"Hello"': '"Hello"',  # beside lone quotes, these are text too
        '"Oh," she said, "no."': '"Oh," she said, "no."',
        '"': '"',
    }
    content = TSV + "".join(f"{index}.wav\t{cell}\n" for index, cell in enumerate(cells))
    found = targets(tmp_path, content.replace("\t", delimiter).encode(encoding))
    assert found == list(cells.values())


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        # Spreadsheets quote a cell with a comma; the doubled quotes of another cell tell that they do.
        (
            TSV + 'a.wav\t"Hello, world"\nb.wav\t"He said ""yes"""\nc.wav\tplain\n',
            ["Hello, world", 'He said "yes"', "plain"],
        ),
        # Every cell is quoted, the header's too.
        ('"path"\t"sentence"\n"a.wav"\t"Hello"\n"b.wav"\t""\n', ["Hello", "missing_text"]),
        # Every text is quoted, by hand.
        (TSV + 'a.wav\t"Hello"\nb.wav\t"world"\n', ["Hello", "world"]),
        (TSV + 'a.wav\t"Hello"\nb.wav\tworld\n', ['"Hello"', "world"]),
        # A quoted cell holds a line end, or the delimiter.
        (TSV + 'a.wav\t"two\r\nlines"\nb.wav\tnext\n', ["two\r\nlines", "next"]),
        ("path\tsentence\tage\n" + 'a.wav\t"two\nlines"\t7\nb.wav\tnext\t8\n', ["two\nlines", "next"]),
        (TSV + 'a.wav\t"a\ttab"\nb.wav\tnext\n', ["a\ttab", "next"]),
        # A spreadsheet has taken the line for one cell.
        ('path\tsentence\n"a.wav\tHe said ""yes"""\nb.wav\tnext\n', ['He said "yes"', "next"]),
        # Quotes within quotes are escaped, as databases do it.
        (TSV + 'a.wav\t"He said \\"yes\\" twice."\nb.wav\t"Hello"\n', ['He said "yes" twice.', "Hello"]),
        # What would close the quote is a row of its own.
        (TSV + 'a.wav\t"Quote\nb.wav\tnext"\n', ['"Quote', 'next"']),
    ],
)
def test_the_quoting_of_a_tsv_is_told_by_the_whole_file(tmp_path, content, texts):
    assert targets(tmp_path, content) == texts


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('"two\nlines, and a ""quote"""', 'two\nlines, and a "quote"'),
        (
            '"Roses are red,\nviolets are blue,\n\nand so, on, and on"',
            "Roses are red,\nviolets are blue,\n\nand so, on, and on",
        ),
        ('"one\r\ntwo"', "one\r\ntwo"),
        (r'"He said \"yes\" twice."', 'He said "yes" twice.'),  # escaped, as databases do it
        ('"a \\"quote\\",\nand more"', 'a "quote",\nand more'),
        ('5" wide', '5" wide'),
        ('"Yes" he said', '"Yes" he said'),  # no CSV, but clear
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_a_quoted_cell_of_a_csv_may_hold_anything_but_rows(tmp_path, cell, text, delimiter):
    content = f"{CSV}a,a.wav,CELL\nb,b.wav,next\n".replace(",", delimiter).replace("CELL", cell)
    assert targets(tmp_path, content, "m.csv") == [text, "next"]


@pytest.mark.parametrize(
    ("content", "clips", "told"),
    [
        # Nothing closes the quote; what follows are rows, and stay rows.
        (
            CSV + 'a,a.wav,one\nb,b.wav,"never\nc,c.wav,three\n',
            [("a", "a.wav", "one"), ("m.csv:3", "bad_row"), ("c", "c.wav", "three")],
            "the quote that opens in line 3 closes only behind what look like further rows",
        ),
        # A later row has the quote that would close it.
        (
            CSV + 'a,a.wav,"never\nb,b.wav,two\nc,c.wav,"x, y"\n',
            [("m.csv:2", "bad_row"), ("b", "b.wav", "two"), ("c", "c.wav", "x, y")],
            "opens in line 2",
        ),
        # The line at which it does close is no row either: its own quote would be text. Behind it, a lone one is.
        (
            CSV + 'a,a.wav,"say\nb,b.wav,two\nc,c.wav,three"\nd,d.wav,5" wide\n',
            [("m.csv:2", "bad_row"), ("b", "b.wav", "two"), ("m.csv:4", "bad_row"), ("d", "d.wav", '5" wide')],
            "opens in line 2 closes only behind what look like further rows",
        ),
        # No row is in what is swallowed: all of it is one rejected row.
        (
            CSV + 'a,a.wav,one\nb,b.wav,"never\nsome more\nand more\n',
            [("a", "a.wav", "one"), ("m.csv:3", "bad_row")],
            r"the quote that opens in line 3 never closes \(lines 3 to 5 are no row\)",
        ),
        # Paths without an extension are alike in their digits.
        (
            CSV + '1,x/001,one\n2,x/002,"never\n3,x/003,"three"\n',
            [("1", "x/001", "one"), ("m.csv:3", "bad_row"), ("3", "x/003", "three")],
            "opens in line 3",
        ),
        # Paths without an extension, in the first rows.
        (
            CSV + '1,gs://bucket/x,"never\n2,gs://bucket/y,two\n',
            [("m.csv:2", "bad_row"), ("2", "gs://bucket/y", "two")],
            "closes only behind what look like further rows",
        ),
        # Too many lines for one cell.
        (
            CSV + 'a,a.wav,"never\n' + "more\n" * (MAX_CELL_LINES - 1) + "b,b.wav,two\n",
            [("m.csv:2", "bad_row"), ("b", "b.wav", "two")],
            r"closes only behind what look like further rows \(lines 2 to 1001 are no row\)",
        ),
        (
            CSV + 'a,a.wav,"never\n' + "more\n" * MAX_CELL_LINES + "b,b.wav,two\n",
            [("m.csv:2", "bad_row"), ("m.csv:1002", "missing_audio_path"), ("b", "b.wav", "two")],
            r"does not close within 1,000 lines \(lines 2 to 1001 are no row\)",
        ),
        # The text stands before the path.
        (
            'text,audio\nzero,0.wav\n"never,a.wav\ntwo,b.wav\n',
            [("0.wav", "0.wav", "zero"), ("m.csv:3", "bad_row"), ("b.wav", "b.wav", "two")],
            "opens in line 3",
        ),
        (
            CSV + 'a,a.wav,"Yes," he said\nb,b.wav,two\n',
            [("m.csv:2", "bad_row"), ("b", "b.wav", "two")],
            "the quotes of the row follow no rule",
        ),
    ],
)
def test_no_text_of_several_rows_is_a_target(tmp_path, content, clips, told):
    rows = rows_of(written(tmp_path, content, "m.csv"))
    assert summary(rows) == clips
    rejected = next(row for row in rows if not isinstance(row, Clip))
    assert re.search(told, rejected.detail)


def test_the_line_at_which_a_broken_quote_may_close_is_told_why(tmp_path):
    content = CSV + 'a,a.wav,"say\nb,b.wav,two\nc,c.wav,three"\n'
    last = rows_of(written(tmp_path, content, "m.csv"))[-1]
    assert last.detail.startswith("the quote that opens in line 2 may close here, so no cell is certain")


def test_a_line_that_is_too_long_costs_one_row(tmp_path):
    content = f"{CSV}a,a.wav,{'x' * MAX_LINE_BYTES}\nb,b.wav,next\n"
    assert summary(rows_of(written(tmp_path, content, "m.csv"))) == [("m.csv:2", "bad_row"), ("b", "b.wav", "next")]


@pytest.mark.parametrize(
    "content",
    [
        'id;audio;text\na;a.wav;one, two, three, four\nb;b.wav;"x; y"\n',
        '\ufeff"id";"audio";"text"\r\n"a";"a.wav";"one, two, three, four"\r\n"b";"b.wav";"x; y"\r\n',
        'sep=;\r\nid;audio;text\r\na;a.wav;one, two, three, four\r\nb;b.wav;"x; y"\r\n',
    ],
)
def test_spreadsheets_of_half_of_europe_write_semicolons(tmp_path, content):
    found = summary(rows_of(written(tmp_path, content, "m.csv")))
    assert found == [("a", "a.wav", "one, two, three, four"), ("b", "b.wav", "x; y")]


@pytest.mark.parametrize("name", ["m.csv", "m.tsv"])
def test_bytes_that_are_no_utf_8_cost_their_row_and_the_remedy_is_told(tmp_path, name):
    delimiter = "," if name == "m.csv" else "\t"
    content = f"{CSV}a,a.wav,caf\xe9\nb,b.wav,tea\n".replace(",", delimiter).encode("cp1252")
    content += f"c{delimiter}c.wav{delimiter}thé\n".encode()  # the others are UTF-8
    rejected, clip, other = rows_of(written(tmp_path, content, name))
    assert (rejected.reason, clip.target, other.target) == (reasons.BAD_ROW.name, "tea", "thé")
    assert "iconv -f WINDOWS-1252 -t UTF-8" in rejected.detail


def test_a_header_that_is_no_utf_8_is_the_files_fault(tmp_path):
    with pytest.raises(UserError, match=r"^m\.csv:1: the header is not valid UTF-8; .*iconv"):
        rows_of(written(tmp_path, b"audio,text,gr\xff\xfee\na.wav,x,1\n", "m.csv"))


def test_half_a_surrogate_pair_in_utf_16_costs_one_row(tmp_path):
    for name, content in (
        ("m.csv", f"{CSV}a,a.wav,h\ud800i\nb,b.wav,next\n"),
        ("m.jsonl", lines({"audio": "a.wav", "text": "h\ud800i"}, {"audio": "b.wav", "text": "next"})),
    ):
        encoded = b"\xff\xfe" + content.encode("utf-16-le", errors="surrogatepass")
        assert targets(tmp_path, encoded, name) == ["bad_row", "next"]


def test_utf_16_that_is_cut_is_the_files_fault(tmp_path):
    for name in ("m.csv", "m.tsv"):
        with pytest.raises(UserError, match=rf"^{name}: not valid UTF-16.*; save it as UTF-8$"):
            rows_of(written(tmp_path, f"{CSV}a,a.wav,x\n".encode("utf-16") + b"x", name))


@pytest.mark.parametrize("delimiter", [",", ";", "|"])
def test_a_space_behind_each_delimiter_of_the_header_is_none_of_the_cells(tmp_path, delimiter):
    content = 'id, audio, text\na, a.wav, "x, ""y"""\nb, b.wav,  two \n'.replace(", ", f"{delimiter} ")
    found = summary(rows_of(written(tmp_path, content, "m.csv")))
    assert found == [("a", "a.wav", f'x{delimiter} "y"'), ("b", "b.wav", " two ")]
