"""URIs as text: local path or gs://, folder, name. Nothing here touches a file."""

from __future__ import annotations

import os
import re

GCS_SCHEME = "gs://"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_MAX_SHOWN_CHARS = 300
# https://cloud.google.com/storage/docs/buckets#naming and https://cloud.google.com/storage/docs/objects#naming
_BUCKET = re.compile(r"(?=.{3,222}$)[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?)*")
_IP_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
MAX_NAME_BYTES = 1_024
_MAX_BYTES_OF_CHARACTER = 4  # in UTF-8
_IN_NO_NAME = re.compile(r"[\r\n\0]")
_COPY = {
    "http": "download it (curl -O, wget)",
    "https": "download it (curl -O, wget)",
    "ftp": "download it (curl -O, wget)",
    "s3": "copy it (gcloud storage cp, aws s3 cp)",
    "az": "copy it (azcopy copy)",
    "abfs": "copy it (azcopy copy)",
    "abfss": "copy it (azcopy copy)",
    "hdfs": "copy it (hdfs dfs -get)",
    "hf": "download it (hf download)",
}


def is_gcs(uri: str) -> bool:
    """Whether `uri` names something in Google Cloud Storage."""
    return uri.startswith(GCS_SCHEME)


def bucket_of(uri: str) -> str:
    """The bucket of a gs:// URI."""
    return uri.removeprefix(GCS_SCHEME).partition("/")[0]


def scheme_of(uri: str) -> str:
    """The scheme before "://", in lower case; "" for a local path."""
    found = _SCHEME.match(uri) if "://" in uri else None
    return found.group(1).lower() if found else ""


def instead_of(uri: str) -> str:
    """What to do with an address from which nothing is read."""
    scheme, rest = scheme_of(uri), uri.partition("://")[2]
    if scheme == "file":
        return f"write the path itself, {shown('/' + rest.partition('/')[2])}"
    if scheme == "gs":
        return f"write it in small letters, {shown(GCS_SCHEME + rest)}"
    return f"nothing is fetched from there; {_COPY.get(scheme, 'copy it')} to a folder or to gs://, and name the copy"


def impossible(uri: str) -> str:
    """Why no file or object can have this URI; "" if one can."""
    if not is_gcs(uri):
        return ""
    bucket, _, name = uri.removeprefix(GCS_SCHEME).partition("/")
    if "$" in bucket:
        return "the bucket's name is a variable that was not expanded"
    if not bucket:
        return "the bucket's name is missing after gs://"
    if not _BUCKET.fullmatch(bucket) or _IP_ADDRESS.fullmatch(bucket):
        return f"no bucket can be named {shown(bucket)}"
    if name in (".", "..") or _IN_NO_NAME.search(name) or name.startswith(".well-known/acme-challenge/"):
        return "no object can have this name"
    size = 0
    if len(name) * _MAX_BYTES_OF_CHARACTER > MAX_NAME_BYTES:
        size = len(without_generation(f"{GCS_SCHEME}b/{name}").encode(errors="replace")) - len(f"{GCS_SCHEME}b/")
    return (
        f"the object's name has {size:,} bytes, over the limit of {MAX_NAME_BYTES:,}" if size > MAX_NAME_BYTES else ""
    )


def nobodys(uri: str) -> str:
    """Why nobody but Google can have a file or object of this URI; "" if one can."""
    bucket = bucket_of(uri) if is_gcs(uri) else ""
    taken = f"no bucket of ours may have a name that begins with goog, as {shown(bucket)} does"
    return impossible(uri) or (taken if bucket.startswith("goog") else "")


def without_generation(uri: str) -> str:
    """The name of an object that is pinned ("gs://b/a.wav#123" is "gs://b/a.wav"); other names as they are."""
    return re.sub(r"#[1-9][0-9]*$", "", uri) if is_gcs(uri) else uri


def absolute(uri: str, base: str) -> str:
    """`uri` joined to the folder `base` if it is a relative local path; gs:// and absolute ones unchanged."""
    return uri if scheme_of(uri) or uri.startswith("/") else join(base, uri)


def join(base: str, *parts: str) -> str:
    """Joins path parts to a local folder or a gs:// prefix; no part may be absolute."""
    if is_gcs(base):
        return "/".join([base.rstrip("/"), *(part.strip("/") for part in parts)])
    return os.path.join(base, *parts)  # noqa: PTH118 -- the text as written: pathlib would drop "./" and "//"


def below(folder: str, uri: str) -> str:
    """The path of a file below its folder: the inverse of `join`."""
    return uri.removeprefix(folder.rstrip("/") + "/")


def last_part(uri: str) -> str:
    """The name of a file in its folder."""
    return uri.rpartition("/")[2]


def parent(uri: str) -> str:
    """The folder that holds `uri`: "" for a bare local name, the bucket for an object at its top."""
    if is_gcs(uri):
        folder = uri.rpartition("/")[0]
        return folder if len(folder) > len(GCS_SCHEME) else uri
    return os.path.dirname(uri)  # noqa: PTH120 -- Path("a.wav").parent is ".", which would show in the ledger


def stem(uri: str) -> str:
    """The name of a file or folder, without its folder and what follows the first dot: "train" of "a/train.csv.gz"."""
    return uri.rstrip("/").rpartition("/")[2].partition(".")[0]


def shown(uri: str) -> str:
    """The URI for a message: quoted, control characters escaped, cut at 300 characters."""
    return repr(uri if len(uri) <= _MAX_SHOWN_CHARS else uri[:_MAX_SHOWN_CHARS] + "…")
