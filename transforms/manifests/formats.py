"""Rows of manifests as people have them: JSONL, CSV, TSV, LJSpeech, Parquet, Kaldi and folders of pairs.

Every reader streams: it yields a row's line number and its fields, or the
reason why the line is no row.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import re
import zlib
from collections.abc import Callable, Iterator
from typing import IO, BinaryIO, cast

import orjson
import pyarrow.parquet as pq

from transforms import reasons
from transforms.audio.formats import by_extension
from transforms.errors import ClipRejected, NotARegularFileError, UserError
from transforms.manifests import kaldi
from transforms.manifests.row import ALIASES, Fields, Row
from transforms.storage import Storage

# The longest line that is taken for one row; texts are kilobytes, never this.
MAX_LINE_BYTES = 32 << 20
_GZIP = b"\x1f\x8b"
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_DELIMITERS = {"csv": ",", "tsv": "\t", "pipe": "|"}


def read_rows(uri: str, name: str, is_folder: bool, storage: Storage) -> Iterator[Row]:
    """The rows of one manifest, whatever its format.

    Args:
      uri: absolute path or gs:// URI.
      name: as the user wrote it.
      is_folder: whether it is a folder of audio with texts beside it, or of Kaldi's files.
      storage: reads the files.

    Raises:
      UserError: the manifest as a whole cannot be used; the text names it.
    """
    if is_folder:
        is_kaldi = kaldi.is_kaldi(uri, storage)
        yield from kaldi.read(uri, name, storage) if is_kaldi else _read_pairs(uri, name, storage)
        return
    try:
        with storage.open_read(uri) as stream:
            yield from _read_stream(stream, name)
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"{name}: there is no such manifest") from None
    except PermissionError:
        raise UserError(f"{name}: no permission to read this manifest") from None
    except NotARegularFileError as fault:
        raise UserError(f"{name}: {fault.strerror}") from None
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise UserError(f"{name}: the gzip file is damaged or cut short; fetch it again") from None


def _read_stream(stream: BinaryIO, name: str) -> Iterator[Row]:
    head = stream.read(4)
    stream.seek(0)
    if head == b"PAR1":
        yield from _read_parquet(stream, name)
        return
    unpacked: BinaryIO = _unpacked(stream) if head.startswith(_GZIP) else stream
    start = unpacked.read(1 << 16)
    unpacked.seek(0)
    if not start.strip(b"\xef\xbb\xbf \t\r\n"):
        raise UserError(f"{name}: the manifest is empty")
    yield from FORMATS[_format_of(start, name)](unpacked, name)


def _unpacked(stream: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, gzip.GzipFile(fileobj=stream))


def _format_of(start: bytes, name: str) -> str:
    """The format, from the first line; the name decides nothing."""
    text = start.decode(_encoding(start), errors="replace").lstrip("\ufeff \t\r\n")
    first = re.split(r"[\r\n]", text, maxsplit=1)[0]
    if text.startswith("["):
        return "json_array"
    if text.startswith("{"):
        return "jsonl"
    if "\0" in first[:1]:
        return "jsonl"
    counts = {form: first.count(delimiter) for form, delimiter in _DELIMITERS.items()}
    best = max(counts, key=lambda form: counts[form])
    if not counts[best] and name.lower().removesuffix(".gz").endswith((".jsonl", ".json", ".ndjson")):
        return "jsonl"
    return best


def _encoding(start: bytes) -> str:
    return next((encoding for bom, encoding in _BOMS if start.startswith(bom)), "utf-8")


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    r"""Numbered lines without their ends: \n, \r\n or a lone \r; U+2028 ends none."""
    encoding = _encoding(stream.read(4))
    stream.seek(0)
    source: IO[bytes] = stream
    if encoding == "utf-16":
        source = io.BytesIO(stream.read().decode("utf-16", errors="replace").encode())
    lone = _lone_returns(source)
    number = 0
    while line := source.readline(MAX_LINE_BYTES + 1):
        for part in line.rstrip(b"\r\n").split(b"\r") if lone else [line.rstrip(b"\r\n")]:
            number += 1
            yield number, part.removeprefix(b"\xef\xbb\xbf") if number == 1 else part


def _lone_returns(stream: IO[bytes]) -> bool:
    """Whether lines end with a carriage return alone, as on old Macs."""
    start = stream.read(1 << 16)
    stream.seek(0)
    return b"\r" in start and b"\n" not in start


def _read_jsonl(stream: BinaryIO, name: str) -> Iterator[Row]:
    for number, line in _lines(stream):
        if line.strip():
            yield _json_row(number, line)


def _json_row(number: int, line: bytes) -> Row:
    text = line.decode("utf-8", errors="replace")
    if len(line) > MAX_LINE_BYTES:
        return _bad_row(number, text, f"the line is longer than {MAX_LINE_BYTES:,} bytes")
    try:
        tree = orjson.loads(line)
    except orjson.JSONDecodeError as fault:
        return _bad_row(number, text, f"the line is not valid JSON in UTF-8 (invalid: {_without_position(str(fault))})")
    except RecursionError:
        return _bad_row(number, text, "the line is not valid JSON (invalid: too deeply nested)")
    if not isinstance(tree, dict):
        return _bad_row(number, text, f"the line must be a JSON object, got {type(tree).__name__}")
    return Row(number, tree)


def _without_position(message: str) -> str:
    return message.partition(":")[0]


def _bad_row(number: int, text: str, detail: str) -> Row:
    return Row(number, {}, ClipRejected(reasons.BAD_ROW, detail), text[:2_000])


def _read_json_array(stream: BinaryIO, name: str) -> Iterator[Row]:
    try:
        tree = json.loads(stream.read().decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise UserError(
            f"{name}: begins like a JSON array but is not valid JSON; write one JSON object a line"
        ) from None
    for number, fields in enumerate(tree, start=1):
        if isinstance(fields, dict):
            yield Row(number, fields)
        else:
            yield _bad_row(
                number, json.dumps(fields), f"the element must be a JSON object, got {type(fields).__name__}"
            )


def _read_delimited(delimiter: str) -> Callable[[BinaryIO, str], Iterator[Row]]:
    def read(stream: BinaryIO, name: str) -> Iterator[Row]:
        # Common Voice writes TSV without any quoting: a lone quote is part of the text.
        csv.field_size_limit(MAX_LINE_BYTES)
        encoding = _encoding(stream.read(4))
        stream.seek(0)
        text = io.TextIOWrapper(stream, encoding=encoding, errors="surrogateescape", newline="")
        quoted = delimiter == ","
        reader = csv.reader(text, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)
        try:
            yield from _delimited_rows(iter(reader), lambda: reader.line_num, delimiter, name)
        finally:
            text.detach()  # the stream is its opener's to close

    return read


def _delimited_rows(
    reader: Iterator[list[str]], lines_read: Callable[[], int], delimiter: str, name: str
) -> Iterator[Row]:
    header: list[str] | None = None
    line = 0
    while True:
        start = line + 1
        try:
            cells = next(reader, None)
        except csv.Error as fault:
            raise UserError(f"{name}:{start}: not valid CSV ({fault})") from None
        line = lines_read()
        if cells is None:
            return
        if not any(cell.strip() for cell in cells):
            continue
        if header is None and delimiter == "|" and not _names_columns(cells):
            header = []  # LJSpeech and its kin have none
        elif header is None:
            header = [cell.strip().removeprefix("\ufeff") for cell in cells]
            _check_header(header, name)
            continue
        yield _delimited_row(start, header, cells) if header else _list_row(start, cells)


def _names_columns(cells: list[str]) -> bool:
    known = {alias.lower() for aliases in ALIASES.values() for alias in aliases}
    return any(cell.strip().removeprefix("\ufeff").lower() in known for cell in cells)


def _list_row(number: int, cells: list[str]) -> Row:
    """A row without a header: LJSpeech's `ID|text|normalised text`, or `PATH|text` and `PATH|speaker|text`."""
    line = "|".join(cells)
    if len(cells) not in (2, 3):
        return _bad_row(number, _printable(line), f"the row has {len(cells)} cells, a list of recordings 2 or 3")
    first = cells[0].removeprefix("\ufeff")
    if by_extension(first.rpartition(".")[2].lower()):
        fields: Fields = {"audio": first, "text": cells[-1]}
        return Row(number, fields if len(cells) == 2 else {**fields, "speaker": cells[1]})
    return Row(number, {"id": first, "audio": f"wavs/{first}.wav", "text": cells[-1] or cells[1]})


def _check_header(header: list[str], name: str) -> None:
    doubled = sorted({column for column in header if column and header.count(column) > 1})
    if doubled:
        raise UserError(f"{name}: the column {doubled[0]!r} stands twice in the header")


def _delimited_row(number: int, header: list[str], cells: list[str]) -> Row:
    line = ",".join(cells)
    if len(cells) > len(header):
        return _bad_row(
            number,
            _printable(line),
            f"the row has {len(cells)} cells, the header {len(header)} (invalid row: quote the text)",
        )
    try:
        line.encode()
    except UnicodeEncodeError:
        return _bad_row(number, _printable(line), "the row is not valid UTF-8 (invalid encoding)")
    return Row(number, dict(itertools.zip_longest(header, cells)))


def _printable(text: str) -> str:
    return text.encode("utf-8", errors="surrogateescape").decode("utf-8", errors="replace")


def _read_parquet(stream: BinaryIO, name: str) -> Iterator[Row]:
    try:
        file = pq.ParquetFile(stream)
        number = 0
        for batch in file.iter_batches(batch_size=1_000):
            for fields in batch.to_pylist():
                number += 1
                yield Row(number, fields)
    except (OSError, ValueError) as fault:
        raise UserError(f"{name}: not a readable Parquet file ({type(fault).__name__})") from None


def _read_pairs(folder: str, name: str, storage: Storage) -> Iterator[Row]:
    """NAME.wav and NAME.txt side by side; one without the other is a rejected row."""
    root = folder.rstrip("/") + "/"
    stems: dict[str, dict[str, str]] = {}
    for uri in storage.list_files(folder):
        relative = uri.removeprefix(root)
        stem, _, extension = relative.rpartition(".")
        kind = "text" if extension.lower() == "txt" else "audio" if by_extension(extension.lower()) else ""
        if kind and stem:
            stems.setdefault(stem, {}).setdefault(kind, relative)
    if not any("audio" in pair for pair in stems.values()):
        raise UserError(f"{name}: a folder must hold pairs such as NAME.wav and NAME.txt; there is no audio file in it")
    for number, (stem, pair) in enumerate(sorted(stems.items()), start=1):
        yield _pair_row(number, stem, pair, root, storage)


def _pair_row(number: int, stem: str, pair: dict[str, str], root: str, storage: Storage) -> Row:
    fields: Fields = {"id": stem, "audio": pair.get("audio")}
    if "audio" not in pair:
        return Row(number, fields, ClipRejected(reasons.MISSING_AUDIO, f"{pair['text']} has no audio file beside it"))
    if "text" not in pair:
        return Row(number, fields, ClipRejected(reasons.MISSING_TEXT, f"{pair['audio']} has no {stem}.txt beside it"))
    try:
        # One final newline belongs to the file, not to the text.
        text = storage.read_bytes(root + pair["text"]).decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
    except (UnicodeDecodeError, OSError) as fault:
        detail = "is not valid UTF-8" if isinstance(fault, UnicodeDecodeError) else "cannot be read"
        return Row(number, fields, ClipRejected(reasons.BAD_FIELD, f"{pair['text']} {detail}"))
    return Row(number, {**fields, "text": text})


FORMATS: dict[str, Callable[[BinaryIO, str], Iterator[Row]]] = {
    "jsonl": _read_jsonl,
    "json_array": _read_json_array,
    "csv": _read_delimited(","),
    "tsv": _read_delimited("\t"),
    "pipe": _read_delimited("|"),
}
