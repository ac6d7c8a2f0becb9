"""Excel's workbooks: the sheet that has a list; what is damaged, doubled or a bomb stops with one line."""

import datetime
import io
import zipfile

import openpyxl  # type: ignore[import-untyped]
import pytest

from tests.transforms.manifests.written import A, B, rows_of, summary, written
from transforms.errors import UserError
from transforms.manifests import xlsx

HEADER, ROWS = ("id", "audio", "text"), (("a", "a.wav", "hello"), ("b", "x/b.wav", "world"))


def book(**sheets):
    made = openpyxl.Workbook()
    made.remove(made.active)
    for title, rows in sheets.items():
        sheet = made.create_sheet(title)
        for row in rows:
            sheet.append(row)
    stream = io.BytesIO()
    made.save(stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    "sheets",
    [
        {"Clips": [HEADER, *ROWS]},
        {"Notes": [("made by hand",)], "Clips": [HEADER, *ROWS], "Empty": []},
        {"Clips": [("A list of clips",), (), HEADER, (), ROWS[0], (None, None, None), ROWS[1]]},
        {"Clips": [(*HEADER, None, "note"), *((*row, None, "#N/A") for row in ROWS)]},
    ],
)
@pytest.mark.parametrize("name", ["m.xlsx", "m.csv"])
def test_the_sheet_with_a_list_is_read(tmp_path, sheets, name):
    assert summary(rows_of(written(tmp_path, book(**sheets), name))) == [A, B]


def test_cells_keep_their_types(tmp_path):
    rows = [("audio", "text", "speaker", "start", "end"), ("a.wav", "x", 7, datetime.time(0, 0, 1), 2.5)]
    (clip,) = rows_of(written(tmp_path, book(Clips=rows), "m.xlsx"))
    assert (clip.group, clip.offset, clip.duration) == ("7", 1.0, 1.5)


def with_shared(content):
    """The workbook with the file in which Excel itself puts the texts of cells."""
    stream = io.BytesIO(content)
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("xl/sharedStrings.xml", b"<sst/>" + b" " * 94)
    return stream.getvalue()


def altered(content, name, change):
    """The workbook with another file of this name in it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
        for each in old.infolist():
            new.writestr(each.filename, change(old.read(each)) if each.filename == name else old.read(each))
    return stream.getvalue()


GOOD = book(Clips=[HEADER, *ROWS])
SHEET = "xl/worksheets/sheet1.xml"
BAD = {
    "two lists": (book(One=[HEADER, *ROWS], Two=[HEADER, *ROWS]), "the sheets 'One', 'Two' hold lists; save the one"),
    "no list": (book(One=[("x", "y"), (1, 2)]), "no sheet has a header with usual names"),
    "a doubled column": (book(One=[("audio", "text", "text"), ("a", "b", "c")]), "the column 'text' stands twice"),
    "cut": (GOOD[:-100], "damaged or cut short"),
    "no workbook": (altered(GOOD, "xl/workbook.xml", lambda _: b"<x"), "not a readable Excel file"),
    "a damaged sheet": (altered(GOOD, SHEET, lambda content: content[:-60]), "damaged|no sheet has"),
    "endless rows": (
        altered(GOOD, SHEET, lambda content: content.replace(b'<row r="3"', b'<row r="99999999"')),
        "the sheet has over 1,048,576 rows",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_read_stops_with_one_line(tmp_path, kind):
    content, told = BAD[kind]
    with pytest.raises(UserError, match=rf"^m\.xlsx: .*({told})") as stop:
        rows_of(written(tmp_path, content, "m.xlsx"))
    assert "\n" not in str(stop.value)


@pytest.mark.parametrize(("most", "is_refused"), [(100, False), (99, True)])
def test_shared_texts_have_a_bound(tmp_path, monkeypatch, most, is_refused):
    monkeypatch.setattr(xlsx, "_MAX_SHARED_BYTES", most)
    refused_or_read(written(tmp_path, with_shared(GOOD), "m.xlsx"), is_refused)


@pytest.mark.parametrize("is_refused", [False, True])
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch, is_refused):
    unpacked = sum(each.file_size for each in zipfile.ZipFile(io.BytesIO(GOOD)).infolist())
    monkeypatch.setattr(xlsx, "max_unpacked", lambda packed: unpacked - is_refused)
    refused_or_read(written(tmp_path, GOOD, "m.xlsx"), is_refused)


def refused_or_read(path, is_refused):
    if is_refused:
        with pytest.raises(UserError, match="bytes, which is too much; save the sheet as CSV"):
            rows_of(path)
    else:
        assert summary(rows_of(path)) == [A, B]
