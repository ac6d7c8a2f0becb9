"""Parquet: the rows of the table, gzipped or not."""

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.transforms.manifests.written import A, B, rows_of, summary


@pytest.mark.parametrize("gzipped", [False, True])
def test_the_rows_of_a_table(tmp_path, gzipped):
    path = tmp_path / "m.parquet"
    pq.write_table(pa.table({"id": ["a", "b"], "audio_path": ["a.wav", "x/b.wav"], "text": ["hello", "world"]}), path)
    if gzipped:
        path.write_bytes(gzip.compress(path.read_bytes()))
    assert summary(rows_of(path)) == [A, B]
