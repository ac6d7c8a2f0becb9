"""Data sets as the tools write them that people have: `datasets`, pandas and `webdataset`, with recordings in them.

Each writer gets rows of the examples and a folder, and returns what `--manifest` then names, below that folder.
"""

import json
import os
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")

EXAMPLES = Path(__file__).parents[1] / "examples"
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Written:
    """A way in which data sets are written.

    Attributes:
      write: writes rows into a folder; returns the manifest's name in it.
      splits: how the rows are parted: the first `test` rows are held out, the next `validation` ones too.
      format: its row in docs/shards.md.
      names: whether names of files are kept: without them, nothing tells the format of samples without a header.
    """

    write: Callable[[Rows, Path], str]
    format: str
    test: int = 0
    validation: int = 0
    names: bool = True


def content(row: dict[str, Any]) -> bytes:
    return Path(EXAMPLES, row["audio_path"]).read_bytes()


def dataset(rows: Rows, **more: Any) -> Any:
    """As `datasets` has it after `load_dataset`: a feature of recordings, with the bytes in it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import datasets  # noqa: PLC0415 -- slow to import

        cells = {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
        features = {"audio": cells, "text": datasets.Value("string")} | {name: form for name, (form, _) in more.items()}
        columns = {
            "audio": [{"bytes": content(row), "path": Path(row["audio_path"]).name} for row in rows],
            "text": [row["text"] for row in rows],
        } | {name: values for name, (_, values) in more.items()}
        found = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
        return found.cast_column("audio", datasets.Audio(decode=False))


def parted(rows: Rows) -> dict[str, Rows]:
    return {"test": rows[:2], "validation": rows[2:4], "train": rows[4:]}


def hub_parquet(rows: Rows, folder: Path) -> str:
    (folder / "hub" / "data").mkdir(parents=True)
    for split, some in parted(rows).items():
        halves = [some[::2], some[1::2]]
        for number, half in enumerate(halves):
            dataset(half).to_parquet(folder / "hub" / "data" / f"{split}-{number:05}-of-{len(halves):05}.parquet")
    (folder / "hub" / "README.md").write_text("---\nlicense: cc0-1.0\n---\n")
    return "hub"


def one_parquet(rows: Rows, folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    dataset(rows).to_parquet(folder / "train.parquet")
    return "train.parquet"


def saved(rows: Rows, folder: Path) -> str:
    dataset(rows).save_to_disk(folder / "saved", num_shards=3)
    return "saved"


def saved_splits(rows: Rows, folder: Path) -> str:
    import datasets  # noqa: PLC0415

    splits = {split: dataset(some) for split, some in parted(rows).items()}
    datasets.DatasetDict(splits).save_to_disk(folder / "saved")
    return "saved"


def pandas_parquet(rows: Rows, folder: Path) -> str:
    import pandas as pd  # noqa: PLC0415

    folder.mkdir(exist_ok=True)
    cells = [{"bytes": content(row), "path": None} for row in rows]
    pd.DataFrame({"audio": cells, "sentence": [row["text"] for row in rows]}).to_parquet(folder / "all.parquet")
    return "all.parquet"


def bytes_parquet(rows: Rows, folder: Path) -> str:
    import pandas as pd  # noqa: PLC0415

    folder.mkdir(exist_ok=True)
    table = pd.DataFrame({"speech": [content(row) for row in rows], "text": [row["text"] for row in rows]})
    table.to_parquet(folder / "all.parquet", compression="zstd", row_group_size=4)
    return "all.parquet"


def paths_parquet(rows: Rows, folder: Path) -> str:
    import pandas as pd  # noqa: PLC0415

    copied(rows, folder / "clips")
    cells: Rows = [{"bytes": None, "path": f"clips/{Path(row['audio_path']).name}"} for row in rows]
    cells[0]["bytes"] = content(rows[0])
    pd.DataFrame({"audio": cells, "text": [row["text"] for row in rows]}).to_parquet(folder / "all.parquet")
    return "all.parquet"


def one_arrow(rows: Rows, folder: Path) -> str:
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import feather  # noqa: PLC0415

    folder.mkdir(exist_ok=True)
    cells = [{"bytes": content(row), "path": row["audio_path"]} for row in rows]
    table = pa.table({"audio": cells, "text": [row["text"] for row in rows]})
    feather.write_feather(table, str(folder / "all.arrow"), compression="uncompressed")
    return "all.arrow"


def copied(rows: Rows, folder: Path) -> None:
    folder.mkdir(parents=True)
    for row in rows:
        shutil.copy(EXAMPLES / row["audio_path"], folder / Path(row["audio_path"]).name)


def metadata(ending: str) -> Callable[[Rows, Path], str]:
    """A folder of recordings with a metadata file in each split, as `audiofolder` reads it."""

    def write(rows: Rows, folder: Path) -> str:
        import pandas as pd  # noqa: PLC0415

        for split, some in parted(rows).items():
            top = folder / "audio" / "data" / split
            copied(some, top)
            names = [Path(row["audio_path"]).name for row in some]
            table = pd.DataFrame({"file_name": names, "transcription": [row["text"] for row in some]})
            if ending == "jsonl":
                table.to_json(top / "metadata.jsonl", orient="records", lines=True)
            elif ending == "csv":
                table.to_csv(top / "metadata.csv", index=False)
            else:
                table.to_parquet(top / "metadata.parquet")
        return "audio"

    return write


def metadata_above(rows: Rows, folder: Path) -> str:
    lines = []
    for split, some in parted(rows).items():
        copied(some, folder / "audio" / split)
        lines += [
            {"file_name": f"{split}/{Path(row['audio_path']).name}", "transcription": row["text"]} for row in some
        ]
    (folder / "audio" / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return "audio"


def webdataset(rows: Rows, folder: Path, texts: str = "txt", pattern: str = "shard-%03d.tar") -> str:
    import webdataset as wds  # noqa: PLC0415

    (folder / "shards").mkdir(parents=True, exist_ok=True)
    with wds.ShardWriter(str(folder / "shards" / pattern), maxcount=5, verbose=0) as writer:
        for number, row in enumerate(rows):
            ending = Path(row["audio_path"]).suffix[1:]
            told = row["text"] if texts == "txt" else {"text": row["text"], "number": number}
            writer.write({"__key__": f"some/{number:06}", ending: content(row), texts: told})
    return "shards"


def webdataset_json(rows: Rows, folder: Path) -> str:
    webdataset(rows, folder, "json")
    return f"shards/shard-{{000..{(len(rows) - 1) // 5:03}}}.tar"


def webdataset_splits(rows: Rows, folder: Path) -> str:
    for split, some in parted(rows).items():
        webdataset(some, folder, pattern=f"{split}-%03d.tar")
    return "shards"


WRITTEN = {
    "datasets: to_parquet, a folder of splits": Written(hub_parquet, "Hub Parquet", test=2, validation=2),
    "datasets: to_parquet, one file": Written(one_parquet, "one Parquet file"),
    "datasets: save_to_disk": Written(saved, "`save_to_disk`"),
    "datasets: save_to_disk of a DatasetDict": Written(saved_splits, "`save_to_disk`", test=2, validation=2),
    "pandas: cells of bytes and path": Written(pandas_parquet, "one Parquet file", names=False),
    "pandas: a column of bytes": Written(bytes_parquet, "one Parquet file", names=False),
    "pandas: paths, and bytes where there are some": Written(paths_parquet, "one Parquet file"),
    "pyarrow: a Feather file": Written(one_arrow, "one Arrow file"),
    "audiofolder: metadata.csv": Written(metadata("csv"), "folder with metadata (`audiofolder`)", test=2, validation=2),
    "audiofolder: metadata.jsonl": Written(
        metadata("jsonl"), "folder with metadata (`audiofolder`)", test=2, validation=2
    ),
    "audiofolder: metadata.parquet": Written(
        metadata("parquet"), "folder with metadata (`audiofolder`)", test=2, validation=2
    ),
    "audiofolder: metadata.jsonl above": Written(
        metadata_above, "folder with metadata (`audiofolder`)", test=2, validation=2
    ),
    "webdataset: .txt": Written(webdataset, "WebDataset"),
    "webdataset: .json, named by their numbers": Written(webdataset_json, "WebDataset"),
    "webdataset: shards of splits": Written(webdataset_splits, "WebDataset", test=2, validation=2),
}
