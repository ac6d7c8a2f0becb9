"""A ledger that was altered by hand: no command takes it for what was made."""

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from transforms.dataset import ledger
from transforms.errors import UserError
from transforms.storage import Storage
from tuning import dataset

NAME = "ledger-00000-of-00001.parquet"


def swapped(table):
    return table.set_column(0, "clip_id", [pc.utf8_reverse(table["clip_id"].combine_chunks())])


ALTERED = {
    "other ids": swapped,
    "a row fewer": lambda table: table.slice(1),
    "a row twice": lambda table: table.take([0, *range(len(table))]),
    "another order": lambda table: table.take([*range(len(table))][::-1]),
    "a column fewer": lambda table: table.drop_columns(["line_sha256"]),
}


def rows(out, columns=("clip_id", "line_sha256")):
    return list(dataset.load(str(out), Storage()).ledger_rows(list(columns)))


@pytest.mark.parametrize("change", ALTERED)
def test_rows_that_were_altered_are_refused(out, change):
    path = out / "ledger" / NAME
    pq.write_table(ALTERED[change](pq.read_table(path)), path, compression="zstd")
    told = rf"^{out}/ledger is damaged \({NAME}: altered since the dataset was made\): it tells which clip each"
    with pytest.raises(UserError, match=told):
        rows(out)


def test_checksums_that_were_altered_are_refused(out):
    path = out / "checksums.json"
    path.write_text(path.read_text().replace('"ledger/', '"ledger/x'))
    with pytest.raises(UserError, match=r"checksums.json is damaged \(checksum: does not fit the contents"):
        rows(out)


def test_a_folder_in_the_place_of_a_file_is_not_one_file_fewer(out):
    (out / "ledger" / NAME).unlink()
    (out / "ledger" / NAME).mkdir()
    with pytest.raises(UserError, match=r"ledger is damaged \(a folder, not a regular file\): it tells"):
        rows(out)


def test_without_checksums_the_columns_must_be_those_of_a_ledger(out):
    (out / "checksums.json").unlink()
    path = out / "ledger" / NAME
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["line_sha256"]), path)  # as an earlier version may have written it
    assert {row["line_sha256"] for row in rows(out)} == {None}
    pq.write_table(table.drop_columns(["status"]), path)
    with pytest.raises(UserError, match=rf"ledger is damaged \({NAME}: status: missing\)"):
        rows(out)
    pq.write_table(table.set_column(0, "clip_id", [[1] * len(table)]), path)
    with pytest.raises(UserError, match=rf"ledger is damaged \({NAME}: clip_id: expected string, got int64\)"):
        list(dataset.ledger_rows(str(out / "ledger"), Storage(), ["clip_id"]))
    assert {*ledger.SCHEMA.names} - {*table.schema.names} == {"kept_columns"}  # which nobody asked for
