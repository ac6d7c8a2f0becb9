"""Files that are no manifests: one line says what they are and what to do, whatever their name."""

import gzip
import io
import json
import pickle
import random
import sqlite3
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather

from tests.transforms.manifests.written import CSV, A, B, rows_of, summary, written
from transforms.errors import StorageError, UserError

RECORDINGS = sorted(
    path
    for path in (Path(__file__).parents[3] / "examples/clips").rglob("*")
    if path.is_file() and path.suffix not in {".txt", ".md", ".jsonl"}
)
NOISE = random.Random(7).randbytes(100_000)


def zipped(*names):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, name * 100)
    return stream.getvalue()


def opendocument():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
    return stream.getvalue()


def tarred():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("m.csv"), io.BytesIO())
    return stream.getvalue()


def database():
    with sqlite3.connect(":memory:") as connection:
        connection.execute("create table rows (audio)")
        return connection.serialize()


def saved(save, *values):
    stream = io.BytesIO()
    save(stream, *values)
    return stream.getvalue()


FOREIGN = {
    "a spreadsheet": (zipped("[Content_Types].xml", "_rels/.rels", "xl/workbook.xml"), "Excel.*save the sheet as CSV"),
    "an open spreadsheet": (opendocument(), "OpenDocument .*save the sheet as CSV"),
    "an old spreadsheet": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + NOISE, r"\.xls.*save the sheet as CSV"),
    "a zip archive": (zipped("a.wav"), "zip: an archive; unpack it"),
    "a tar archive": (tarred(), "tar: an archive; unpack it"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + NOISE, "7z: an archive"),
    "zstd": (b"\x28\xb5\x2f\xfd" + NOISE, "zstd: compressed"),
    "a database": (database(), "SQLite: a database; export its table"),
    "Feather": (saved(lambda stream: feather.write_feather(pa.table({"a": [1]}), stream)), "(compressed|unpack it)"),
    "pickle": (pickle.dumps([{"audio": "a.wav"}]), "pickle"),
    "NumPy": (saved(np.save, np.zeros(9)), "NumPy: a model or an array"),
    "several arrays": (saved(np.savez, np.zeros(9)), "NumPy: a model or an array"),
    "safetensors": (struct.pack("<Q", 20) + b'{"a":{"dtype":"F32"}}' + NOISE, "safetensors: a model"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + NOISE, "PNG: a picture"),
    "a photo": (b"\xff\xd8\xff\xe0" + NOISE, "JPEG: a picture"),
    "a document": (b"%PDF-1.7\n" + NOISE, "PDF: a document; export its table"),
    "rich text": (b"{\\rtf1\\ansi a, b}", "RTF: a document"),
    "a web page": (b"\n<!DOCTYPE html><html>\n<body>a,b</body>", "a web page or XML"),
    "XML in UTF-16": ("<?xml version='1.0'?><a/>".encode("utf-16"), "a web page or XML"),
    "a program": (b"\x7fELF\x02\x01" + NOISE, "ELF: a program"),
    "a script": (b"#!/bin/sh\necho a, b\n", "script: a program"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n", "run git lfs pull"),
    "a Mac's notes": (b"\0\5\x16\7\0\2\0\0Mac OS X        " + NOISE, "AppleDouble"),
    "noise": (NOISE, "binary data"),
    "a little noise": (b"\x80\x81\x82\0\1", "binary data"),
    "zeros": (bytes(10_000), "no line of it is a row"),
    "an object of numbers": (json.dumps({"data": [1, 2], "rate": 3}, indent=1).encode(), "no line of it is a row"),
    "lists": (b'[["a.wav", "x"]]', "no line of it is a row; in line 1 the element must be a JSON object, got list"),
    "Markdown": (b"# Title\n\nSome text, with commas, and text.\n", "no line of it is a row; in line [13]"),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["m.csv", "m.jsonl", "m.tsv", "m.parquet"])
@pytest.mark.parametrize("kind", FOREIGN)
def test_what_a_file_is_that_is_no_manifest(tmp_path, kind, name, packed):
    content, told = FOREIGN[kind]
    path = written(tmp_path, gzip.compress(content, mtime=0) if packed else content, name)
    with pytest.raises(UserError, match=rf"^{name}: .*{told}") as stop:
        rows_of(path)
    assert "\n" not in str(stop.value)


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_a_recording_is_no_manifest(path):
    with pytest.raises(UserError, match=r": no manifest but ((.*: )?a recording|binary data)"):
        rows_of(path)


def test_no_manifest_is_taken_for_something_else(tmp_path):
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"):
        content = CSV.replace("hello", "hello \0 \x1b").encode(encoding)
        assert summary(rows_of(written(tmp_path, content, "m.csv"))) == [(*A[:2], "hello \0 \x1b"), B]
    # What a full disk leaves of a manifest costs a row.
    rows = rows_of(written(tmp_path, CSV.encode() + bytes(5_000) + b"\n", "m.csv"))
    assert summary(rows)[:2] == [A, B]


def test_a_disk_that_fails_is_named_with_the_file():
    with pytest.raises(
        StorageError, match=r"^'/proc/self/mem': the disk or network drive failed to read the file \(EIO\)$"
    ):
        rows_of(Path("/proc/self/mem"))
