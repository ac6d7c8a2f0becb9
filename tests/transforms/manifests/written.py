"""Manifests written for a test, and what is read of them."""

import json

from transforms.clip import Clip
from transforms.manifests import read
from transforms.manifests.columns import ManifestSettings
from transforms.manifests.locate import Manifest
from transforms.storage import Storage

GOOD = {"id": "a", "audio_path": "a.wav", "text": "hello"}
# Two rows as CSV, and what `summary` says of them.
CSV = "id,audio_path,text\na,a.wav,hello\nb,x/b.wav,world\n"
A = ("a", "a.wav", "hello")
B = ("b", "x/b.wav", "world")


def rows_of(path, **settings):
    """The rows of a manifest, named as the user would name it: relative."""
    return list(read.rows(Manifest(path.name, str(path), path.is_dir()), ManifestSettings(**settings), Storage()))


def written(tmp_path, content, name="m.jsonl"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def lines(*rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def summary(rows):
    return [(row.clip_id, row.uri, row.target) if isinstance(row, Clip) else (row.source, row.reason) for row in rows]
