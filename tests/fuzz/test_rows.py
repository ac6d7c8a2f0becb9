"""Manifests of every format, with values of every type and damaged at random: no row ends a run.

What is wrong with a row is the row's fate; what is wrong with a manifest as a whole is told in one line.
"""

import io
import json
import re
import shutil
from collections import Counter
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from tests.fuzz.damage import damaged
from transforms.clip import Clip, dump, pack, sorted_fields, unpack
from transforms.errors import UserError
from transforms.manifests import read
from transforms.manifests.columns import ManifestSettings
from transforms.manifests.locate import Manifest
from transforms.manifests.row import ALIASES
from transforms.reasons import REASONS
from transforms.settings import Task
from transforms.storage import Storage

storage = Storage()

JARGON = re.compile(r"0x[0-9a-f]{6}|Traceback|object at")
NAMES = [name for names in ALIASES.values() for name in names]
NAMES += ["channel", "end", "extra", "", "a b", "é", "\x00", "1"]
TEXTS = [
    *("", " ", "a.wav", "hello", "x/../../y.wav", "gs://b/o", "gs://${B}/x", "gs:///x", "http://x/y", "file:///a", "~"),
    *("\x00", "a\x00b", "\u2028", "\ufeff", "\ud800", "\udfff.wav", "\U0001f600", "e\u0301", "\x85", "\x1b[31m"),
    *("NaN", "null", "None", "1e999", "-1", "1_0", "१", "true", "{}", "[]", "=1+1", "\\", "C:\\a.wav", "a" * 5_000),
    *("train", "dev-other", "left", "00:01:02", "1,5", "../", "/", ".", '"', "'", "|", "\t", "a\nb", "\r"),
]
NUMBERS: list[object] = [0, -0.0, 1, -1, 7, 2**31, 2**53 + 1, 2**63, 2**64, -(2**64), 10**400, 0.1, 1e308, 1e-320]
NUMBERS += [float("nan"), float("inf"), True, False, None]
TASKS = (
    Task("words", "Say it."),
    Task("kind", "Which?", "labels", ("hello", "no")),
    Task("facts", "Which facts?", "json", (), {"type": ["object", "array", "number"], "items": {"$ref": "#"}}),
)


def deep(depth, rng):
    value = rng.choice([1, "x", [], {}])
    for _ in range(depth):
        value = [value] if rng.random() < 0.5 else {"a": value}
    return value


def any_value(rng):
    kind = rng.random()
    if kind < 0.5:
        return rng.choice(TEXTS)
    if kind < 0.75:
        return rng.choice(NUMBERS)
    if kind < 0.85:
        return deep(rng.choice([1, 2, 30, 128, 200, 254, 255, 300, 900]), rng)
    return {rng.choice(TEXTS): any_value(rng)} if kind < 0.93 else [any_value(rng) for _ in range(rng.randrange(4))]


def any_row(rng):
    row = {"id": str(rng.randrange(1_000)), "audio": "a.wav", "text": "hello"}
    for _ in range(rng.choice([0, 1, 1, 2, 4])):
        row[rng.choice(NAMES)] = any_value(rng)
    if rng.random() < 0.1:
        row.pop(rng.choice(list(row)))
    return row


def as_json(value, rng):
    text = json.dumps(value, ensure_ascii=rng.random() < 0.5)
    return text.replace('"audio"', '"audio": "b.wav", "audio"', 1) if rng.random() < 0.05 else text


def jsonl(rng):
    return "\n".join(as_json(any_row(rng), rng) for _ in range(rng.randrange(1, 6))).encode(errors="surrogatepass")


def json_array(rng):
    return b"[" + b",\n".join(jsonl(rng).split(b"\n")) + b"]"


def delimited(rng, delimiter):
    names = ["id", "audio", "text", *rng.sample(NAMES, rng.randrange(3))]
    rows = [names] if rng.random() < 0.8 else []
    for _ in range(rng.randrange(1, 6)):
        row = any_row(rng)
        rows.append([cell(row.get(name, any_value(rng)), delimiter, rng) for name in names])
    text = rng.choice(["\n", "\n", "\r\n", "\r"]).join(delimiter.join(row) for row in rows)
    return text.encode(rng.choice(["utf-8"] * 6 + ["utf-16", "latin-1"]), errors="replace")


def cell(value, delimiter, rng):
    text = value if isinstance(value, str) else repr(value) if not isinstance(value, int) else f"{value:x}"
    quote = rng.random()
    return '"' + text.replace('"', '""') + '"' if quote < 0.3 else f'"{text}' if quote < 0.33 else text


ANY_COLUMN = [
    *(pa.string(), pa.large_string(), pa.binary(), pa.binary(3), pa.bool_(), pa.null(), pa.date32(), pa.date64()),
    *(pa.int8(), pa.int64(), pa.uint64(), pa.float16(), pa.float32(), pa.float64(), pa.decimal128(38, 9)),
    *(pa.timestamp("ns"), pa.timestamp("us"), pa.timestamp("s", tz="Europe/Rome"), pa.timestamp("us", tz="No/Where")),
    *(pa.time32("s"), pa.time64("ns"), pa.duration("ns"), pa.duration("s"), pa.list_(pa.int8()), pa.list_(pa.string())),
    *(pa.struct([("bytes", pa.binary()), ("path", pa.string())]), pa.map_(pa.string(), pa.int64())),
    *(pa.dictionary(pa.int8(), pa.string()), pa.list_(pa.float64(), 2), pa.decimal256(70, 3)),
    pa.struct([("a", pa.struct([("b", pa.list_(pa.timestamp("ns")))]))]),
]


SIMPLE: dict[Any, list[Any]] = {
    pa.types.is_boolean: [True, False],
    pa.types.is_decimal: [Decimal("0"), Decimal("-1.5"), Decimal("12345678901234567890.123")],
    pa.types.is_floating: [0.0, 1.5, float("nan"), float("inf"), -0.0],
    pa.types.is_uint64: [0, 2**64 - 1],
    pa.types.is_int64: [0, 2**63 - 1, -(2**63)],
    pa.types.is_integer: [0, 127, -128],
    pa.types.is_date: [date(1, 1, 1), date(9999, 12, 31)],
    pa.types.is_time: [time(0, 0), time(23, 59, 59, 1)],
    pa.types.is_timestamp: [datetime(2026, 1, 2), datetime(1970, 1, 1)],
    pa.types.is_duration: [timedelta(0), timedelta(-3, 5)],
    pa.types.is_map: [[("k", 1)], []],
    pa.types.is_fixed_size_binary: [b"\xff\x00a", b"abc"],
    pa.types.is_binary: [b"\xff\x00a", b""],
}


def value_of(kind, rng):
    """A value of an Arrow type, at its limits where it has some."""
    if rng.random() < 0.15 or pa.types.is_null(kind):
        return None
    if pa.types.is_struct(kind):
        return {field.name: value_of(field.type, rng) for field in kind}
    if pa.types.is_fixed_size_list(kind):
        return [value_of(kind.value_type, rng), 0.5]
    if pa.types.is_list(kind):
        return [value_of(kind.value_type, rng) for _ in range(rng.randrange(3))]
    found = next((values for is_it, values in SIMPLE.items() if is_it(kind)), None)
    return rng.choice(found) if found else rng.choice(TEXTS).encode(errors="replace").decode()


def parquet(rng):
    count = rng.randrange(1, 5)
    columns = {"id": [str(n) for n in range(count)], "audio": ["a.wav"] * count, "text": ["hello"] * count}
    made = {name: pa.array(values) for name, values in columns.items()}
    for _ in range(rng.randrange(4)):
        kind = rng.choice(ANY_COLUMN)
        made[rng.choice(NAMES) or "x"] = any_array(kind, count, rng)
    sink = io.BytesIO()
    pq.write_table(pa.table(made), sink, compression=rng.choice(["none", "snappy", "zstd"]))
    return sink.getvalue()


def any_array(kind, count, rng):
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):  # also what no `datetime` can hold
        most = 2**40 if kind.unit == "s" else 2**62  # Parquet has milliseconds
        ticks = [rng.choice([0, 1, -1, most, -most, None]) for _ in range(count)]
        return pa.array(ticks, pa.int64()).view(kind)
    return pa.array([value_of(kind, rng) for _ in range(count)], kind)


def kaldi(rng, folder):
    files = {
        "wav.scp": "u1 a.wav\nu2 sox b.wav |\nu3 gs://b/c\n",
        "text": "u1 hello\nu2 world\nu4 none\n",
        "utt2spk": "u1 anna\nu2 ben\n",
        "segments": "s1 u1 0.0 1.5\ns2 u2 1 0\ns3 u9 x y\n",
        "reco2file_and_channel": "u1 u1 A\n",
    }
    for name, text in files.items():
        if name not in ("segments", "reco2file_and_channel") or rng.random() < 0.5:
            lines = [f"{line} {any_value(rng)}" if rng.random() < 0.1 else line for line in text.split("\n")]
            content = "\n".join(lines).encode(errors="surrogatepass")
            (folder / name).write_bytes(damaged(content, rng, jsonl(rng))[0] if rng.random() < 0.4 else content)


def pairs(rng, folder):
    for name in ("a", "b", "é", "c.d", ".hidden"):
        (folder / f"{name}.wav").write_bytes(b"RIFF")
        content = rng.choice([*TEXTS, "hello"]).encode(errors="surrogatepass")
        (folder / f"{name}.{rng.choice(['txt', 'TXT', 'lab', 'json'])}").write_bytes(
            damaged(content, rng, jsonl(rng))[0] if content and rng.random() < 0.4 else content
        )


FILES = {
    "m.jsonl": jsonl,
    "m.json": json_array,
    "m.csv": lambda rng: delimited(rng, ","),
    "m.tsv": lambda rng: delimited(rng, "\t"),
    "m.txt": lambda rng: delimited(rng, "|"),
    "s.csv": lambda rng: delimited(rng, ";"),
    "m.parquet": parquet,
}
FOLDERS = {"kaldi": kaldi, "pairs": pairs}


def test_no_row_ends_a_run(mutants, tmp_path):
    fates: Counter[str] = Counter()
    for number, rng in mutants("rows"):
        folder = tmp_path / number.replace(" ", "-")
        folder.mkdir()
        path, how = written(folder, rng)
        told = f"{number}: {path.name}, {how}"
        rows = read_whole(path, ManifestSettings(tasks=rng.choice([(), (), TASKS, TASKS[2:]])), told)
        if rows is None:
            fates["the manifest's fault"] += 1
        else:
            _judge(rows, told, fates)
        shutil.rmtree(folder)
    print(dict(fates))


def written(folder, rng):
    """A manifest of any format in a folder; its path, and what was done to it."""
    kind = rng.choice([*FILES, *FILES, *FOLDERS])
    if kind in FOLDERS:
        FOLDERS[kind](rng, folder)
        return folder, kind
    content, how = FILES[kind](rng), "as it is"
    if rng.random() < 0.3:
        content, how = damaged(content, rng, FILES[rng.choice(list(FILES))](rng))
    (folder / kind).write_bytes(content)
    return folder / kind, how


def read_whole(path, settings, told):
    """All rows; None for a manifest that is refused as a whole, in one line."""
    try:
        return list(read.rows(Manifest(path.name, str(path), path.is_dir()), settings, storage))
    except UserError as fault:
        assert "\n" not in str(fault), told
        assert not JARGON.search(str(fault)), (told, str(fault))
        return None
    except Exception as fault:
        raise AssertionError(f"{told}: {type(fault).__name__}: {str(fault)[:200]}") from fault


def _judge(rows, told, fates):
    """Each row is one that can be sorted, shuffled, written and read again."""
    assert unpack(pack(b"".join(map(dump, rows)))) == rows, told
    for row in rows:
        orjson.dumps(sorted_fields(row))
        assert row.row is None or isinstance(orjson.loads(row.row), dict), told
        if isinstance(row, Clip):
            fates["clip"] += 1
            assert row.target.strip(), told
            assert row.uri, told
            continue
        assert row.reason in REASONS, told
        assert row.detail, told
        assert not JARGON.search(row.detail), (told, row.detail)
        fates[row.reason] += 1
