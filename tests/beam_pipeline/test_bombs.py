"""The real command over manifests that would take all memory or time: what it says, and the most that it takes.

`--bombs` tries all of them at their full size, in minutes.
"""

import gzip
import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import soundfile

from tests import processes
from tests.bombs import HEADER, LINE, ROW, one_text, packed, repeated, table
from tests.sounds import tone

MB, GB = 1 << 20, 1 << 30
# Of the command and each process that it starts. The whole bound of a worker is 1.5 GiB.
PEAK_MIB = 1_024
CPU_SECONDS = 600
# A process of its own, as small as one can be: what a process starts counts the memory of its parent until then.
MEASURE = """
import os, resource, sys
seconds = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
child = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(child, 0)
print(os.waitstatus_to_exitcode(status), used.ru_maxrss >> 10)
"""


@dataclass(frozen=True)
class Bomb:
    """A manifest, and what becomes of it.

    Attributes:
      write: makes the manifest, or a folder, of this name.
      told: what the last line says; "" if the run ends well.
      name: of the manifest.
      is_quick: whether it is tried with all other tests.
      rejected: reasons of rejected rows with their sources, where the run ends well.
    """

    write: Callable[[Path], object]
    told: str = ""
    name: str = "m.jsonl"
    is_quick: bool = False
    rejected: tuple[tuple[str, str], ...] = ()


def parts(content: Callable[[], Iterable[bytes]]) -> Callable[[Path], object]:
    """Writes parts one after the other. They are made only when they are written: some are large."""

    def write(path: Path) -> None:
        with path.open("wb") as file:
            file.writelines(content())

    return write


def gzipped(*content: bytes | Iterable[bytes]) -> Callable[[Path], object]:
    flat = (part for each in content for part in ([each] if isinstance(each, bytes) else each))
    return lambda path: path.write_bytes(packed(flat))


def sparse(head: bytes, size: int, tail: bytes) -> Callable[[Path], object]:
    """A file that is long on paper only."""

    def write(path: Path) -> None:
        with path.open("wb") as file:
            file.write(head)
            file.seek(size, os.SEEK_CUR)
            file.write(tail)

    return write


def long_group(rows: int) -> Callable[[Path], object]:
    options = {"compression": "zstd", "use_dictionary": False, "write_statistics": False}

    def write(path: Path) -> None:
        columns: dict[str, pa.Array[Any]] = {"audio": pa.array(["a.wav"] * rows), "text": pa.array(["x" * MB] * rows)}
        path.write_bytes(table(columns, **options))

    return write


def wide(path: Path) -> None:
    columns = {f"c{index}": pa.array([1]) for index in range(100_000)}
    path.write_bytes(table({"audio": pa.array(["a.wav"]), "text": pa.array(["t"]), **columns}))


def kaldi(number: int) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        folder.mkdir()
        (folder / "wav.scp").write_text("".join(f"utt{index:08d} |\n" for index in range(number)))
        (folder / "text").write_text("".join(f"utt{index:08d} words of number {index}\n" for index in range(number)))

    return write


def row(**fields: object) -> bytes:
    return json.dumps({"id": "b", "audio": "a.wav", "text": "b", **fields}).encode() + b"\n"


UNPACKS = "bytes, over 200 times what it packs; if it is a list of recordings, unpack it first"
TOO_LONG, NO_ROW = (("bad_row", "m.jsonl:2"),), "no line of it is a row"
NAMES = b",".join(b"c%d" % index for index in range(100_000))
LAUGHS = "a: &a0 [x, x]\n" + "".join(f"b{i}: &a{i + 1} [{', '.join([f'*a{i}'] * 10)}]\n" for i in range(12))
BOMBS = {
    "quick: gzipped blanks": Bomb(gzipped(LINE, repeated(b" ", 400 * MB)), UNPACKS, is_quick=True),
    "quick: a page of 300 MB": Bomb(long_group(300), "no line of it is a row", "m.parquet", is_quick=True),
    "quick: 100,000 columns": Bomb(
        parts(lambda: (b"id,audio,text,", NAMES, b"\n", ROW)),
        "100,003 columns, over the limit of 25,000",
        "m.csv",
        is_quick=True,
    ),
    "gzipped blanks": Bomb(gzipped(LINE, repeated(b" ", 3 * GB)), UNPACKS),
    "gzipped line ends": Bomb(gzipped(LINE, repeated(b"\n", 3 * GB)), UNPACKS),
    "gzipped zeros": Bomb(gzipped(HEADER, ROW, repeated(b"\0", 3 * GB)), UNPACKS, "m.csv"),
    "a gzipped field of 10 GB": Bomb(gzipped(HEADER, ROW, b'b,b.wav,"', repeated(b"x", 10 * GB)), UNPACKS, "m.csv"),
    "gzipped blanks in an array": Bomb(gzipped(b"[", LINE, b",", repeated(b" ", 3 * GB)), UNPACKS, "m.json"),
    "gzipped parts": Bomb(parts(lambda: (gzip.compress(LINE), gzip.compress(b"\n" * MB) * 3_000)), UNPACKS),
    "gzip in gzip": Bomb(lambda path: path.write_bytes(gzip.compress(packed([LINE, *repeated(b" ", GB)]))), "m.jsonl:"),
    "a field of 10 GB": Bomb(sparse(HEADER + ROW + b'b,b.wav,"', 10 * GB, b'"\n' + ROW), name="m.csv"),
    "a line of 10 GB": Bomb(sparse(LINE, 10 * GB, b"\n" + LINE), rejected=TOO_LONG),
    "a line of 100 MB": Bomb(parts(lambda: (LINE, row(text="x" * 100 * MB), LINE)), rejected=TOO_LONG),
    "a line of 100 MB in UTF-16": Bomb(
        lambda path: path.write_bytes((LINE + row(text="x" * 100 * MB) + LINE).decode().encode("utf-16")),
        rejected=TOO_LONG,
    ),
    "millions of empty lines": Bomb(parts(lambda: (LINE, b"\n" * 10 * MB, LINE))),
    "nested lists": Bomb(parts(lambda: (LINE, b"[" * 15 * MB, b"\n", LINE)), rejected=TOO_LONG),
    "nested objects": Bomb(parts(lambda: (LINE, b'{"a":' * 3 * MB, b"\n", LINE)), rejected=TOO_LONG),
    "an array of nothing but brackets": Bomb(parts(lambda: (b"[" * 100 * MB,)), "not valid JSON", "m.json"),
    "a number of 15 million digits": Bomb(
        parts(lambda: (LINE, row()[:-2], b', "offset":', b"9" * 15 * MB, b"}\n", LINE)),
        rejected=(("bad_row", "m.jsonl:2"),),
    ),
    "a key a million times": Bomb(parts(lambda: (LINE, b"{", b'"text":"t",' * MB, row()[1:], LINE))),
    "a million keys": Bomb(
        parts(lambda: (LINE, b"{", b",".join(b'"k%d":1' % i for i in range(MB)), b"}\n", LINE)), rejected=TOO_LONG
    ),
    "a page of 3 GB": Bomb(long_group(3_000), NO_ROW, "m.parquet"),
    "one text of 15 MB in 200 rows": Bomb(lambda path: path.write_bytes(one_text(200, 15 * MB)), name="m.parquet"),
    "100,000 columns of a table": Bomb(wide, "100,002 columns, over the limit of 25,000", "m.parquet"),
    "texts of 3 MB": Bomb(parts(lambda: (row(id=f"t{index}", text="x" * 3 * MB) for index in range(400)))),
    "texts of half a megabyte": Bomb(
        parts(lambda: (row(id=f"t{index}", text="x" * 500_000) for index in range(1_000)))
    ),
    "one id for all": Bomb(parts(lambda: (row(text=f"t {index}") for index in range(300_000)))),
    "a million utterances": Bomb(kaldi(1_000_000), name="kaldi"),
}


def measured(folder: Path, flags: list[str]) -> tuple[int, int, str]:
    """Exit status, peak memory in MiB, and what was said, of the command in a folder."""
    words = [sys.executable, "-c", MEASURE, str(CPU_SECONDS), sys.executable, "-m", "cliptune", "prepare", *flags]
    root = str(Path(__file__).parents[2])
    ran = processes.run(words, cwd=folder, env={**os.environ, "PYTHONPATH": root})
    *_, line = ran.stdout.splitlines()
    status, peak = map(int, line.split())
    return status, peak, ran.stderr


def test_a_bomb_takes_a_bounded_part_of_memory(tmp_path, monkeypatch, bomb_name):
    found = BOMBS[bomb_name]
    if not found.is_quick:
        monkeypatch.setattr(processes, "LIMIT_SECONDS", 3_000)
    soundfile.write(tmp_path / "a.wav", tone(440, 16_000, 0.5), 16_000)
    found.write(tmp_path / found.name)
    flags = ["--manifest", found.name, "--output=out", "--max_rejected_fraction=1"]
    status, peak, said = measured(tmp_path, flags)
    print(f"{peak} MiB: {said.splitlines()[-1]}")  # for --bombs
    assert status == (1 if found.told else 0), said
    assert "Traceback" not in said
    assert found.told in said.splitlines()[-1]
    assert peak < PEAK_MIB, f"{peak} MiB"
    letters = (tmp_path / "out/rejected.jsonl").read_bytes().splitlines() if found.rejected else []
    told = {(letter["reject_reason"], letter["reject_source"]) for letter in map(json.loads, letters)}
    assert set(found.rejected) <= told


def test_a_tasks_file_of_a_billion_laughs_takes_no_memory(tmp_path):
    (tmp_path / "tasks.yaml").write_text(LAUGHS)
    (tmp_path / "m.jsonl").write_bytes(LINE)
    status, peak, said = measured(tmp_path, ["--manifest=m.jsonl", "--output=out", "--tasks=tasks.yaml"])
    assert (status, said.count("\n")) == (1, 1), said
    assert said.startswith("cliptune prepare: tasks.yaml: ")
    assert peak < PEAK_MIB // 2
