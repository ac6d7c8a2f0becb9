import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.cloud.storage import Blob
from google.cloud.storage.exceptions import DataCorruption

from tests import processes
from transforms import reasons
from transforms.errors import ClipRejected, StorageError, UserError
from transforms.storage import Storage, gcs_client, local, parts, uris

storage = Storage()

LIMIT = 10
ODD_NAMES = [
    "a[1].wav",
    "a*.wav",
    "a?.wav",
    "100%.wav",
    "%2F.wav",
    "a#1.wav",
    "two words.wav",
    'it\'s "quoted".wav',
    "Grüße 日本語 🎤.wav",
    "-i.wav",
    "~root.wav",
    "a+b&c=d;e.wav",
    "concat:a|b.wav",
]


@pytest.mark.parametrize(
    ("base", "parts", "joined"),
    [
        ("out", ("train", "a.jsonl"), "out/train/a.jsonl"),
        ("/out/", ("a",), "/out/a"),
        ("", ("a.wav",), "a.wav"),
        ("gs://b", ("a",), "gs://b/a"),
        ("gs://b/x/", ("y/", "z"), "gs://b/x/y/z"),
    ],
)
def test_join(base, parts, joined):
    assert uris.join(base, *parts) == joined


@pytest.mark.parametrize(
    ("uri", "base", "absolute"),
    [
        ("a.wav", "/clips", "/clips/a.wav"),
        ("a.wav", "gs://b/clips", "gs://b/clips/a.wav"),
        ("/a.wav", "/clips", "/a.wav"),
        ("gs://b/a.wav", "/clips", "gs://b/a.wav"),
        ("~/a.wav", "/clips", "/clips/~/a.wav"),  # no shell was asked
        ("concat:a.wav", "/clips", "/clips/concat:a.wav"),  # not a scheme without "//"
    ],
)
def test_absolute_joins_relative_local_paths_only(uri, base, absolute):
    assert uris.absolute(uri, base) == absolute


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("gs://b/a.ul#1700000000000000", "gs://b/a.ul"),
        ("gs://b/a#b.ul", "gs://b/a#b.ul"),
        ("gs://b/a.ul#", "gs://b/a.ul#"),
        ("/a.ul#17", "/a.ul#17"),
    ],
)
def test_without_generation(uri, name):
    assert uris.without_generation(uri) == name


@pytest.mark.parametrize(
    ("uri", "parent"),
    [("a.wav", ""), ("x/a.wav", "x"), ("/a.wav", "/"), ("gs://b/a", "gs://b"), ("gs://b/x/a", "gs://b/x"), ("gs://b", "gs://b")],
)  # fmt: skip
def test_parent(uri, parent):
    assert uris.parent(uri) == parent


@pytest.mark.parametrize("uri", ["s3://b/a", "hdfs://h/a", "http://h/a", "https://h/a", "file:///a", "S3://b/a"])
@pytest.mark.parametrize("call", [storage.open_read, storage.exists, storage.list_files, storage.match, storage.write])
def test_other_schemes_are_refused_by_name(call, uri):
    with pytest.raises(UserError, match=f"{uris.scheme_of(uri)}:// is not supported.*gs://"):
        call(uri)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_name_is_exact_and_never_a_pattern(root, name):
    uri = uris.join(root, name)
    storage.write_bytes(uris.join(root, "a1.wav"), b"another")
    storage.write_bytes(uri, b"mine")
    assert storage.read_bytes(uri) == b"mine"
    assert storage.size(uri) == 4
    assert storage.list_files(root) == sorted([uri, uris.join(root, "a1.wav")])
    storage.delete(uri)
    assert not storage.exists(uri)
    assert storage.exists(uris.join(root, "a1.wav"))


@pytest.mark.parametrize("content", [b"", b"a", bytes(range(256)) * 40_000])  # the last one is over 8 MiB
def test_what_is_written_is_read(root, content):
    uri = uris.join(root, "deep/down/file")
    storage.write_bytes(uri, content)
    assert storage.read_bytes(uri) == content
    with storage.open_read(uri) as file:
        assert (file.read(1), file.seek(0), file.read()) == (content[:1], 0, content)


def test_a_file_appears_only_when_it_is_whole(root):
    uri = uris.join(root, "file")
    with storage.write(uri) as file:
        file.write(b"half")
        assert not storage.exists(uri)
    assert storage.read_bytes(uri) == b"half"


@pytest.mark.parametrize("before", [None, b"old"])
def test_a_failed_write_leaves_everything_as_it_was(root, before):
    uri = uris.join(root, "file")
    if before is not None:
        storage.write_bytes(uri, before)
    with pytest.raises(ZeroDivisionError), storage.write(uri) as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert storage.exists(uri) == (before is not None)
    assert storage.list_files(root) == ([uri] if before else [])


def test_errors_of_other_files_pass_through_a_write_unchanged(root):
    with pytest.raises(FileNotFoundError), storage.write(uris.join(root, "file")):
        storage.read_bytes(uris.join(root, "missing"))


def test_a_part_left_by_a_killed_run_is_not_listed(tmp_path):
    (tmp_path / f"{parts.PART_PREFIX}1").write_bytes(b"half")
    assert storage.list_files(str(tmp_path)) == []


def test_a_written_file_has_the_usual_permissions(tmp_path):
    storage.write_bytes(str(tmp_path / "ours"), b"")
    (tmp_path / "usual").write_bytes(b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.parent.joinpath("f").write_bytes(b"")])
def test_a_place_that_cannot_be_written_is_the_users_to_mend(tmp_path, make):
    make(tmp_path / "folder")
    with pytest.raises(UserError, match="cannot write"):
        storage.write_bytes(str(tmp_path / ("folder" if (tmp_path / "folder").exists() else "f/below")), b"")


def test_a_full_disk_is_the_worlds_fault():
    with pytest.raises(StorageError, match="No space left"), local._write_faults("file", only={28}):
        raise OSError(28, os.strerror(28))


def test_a_missing_file(root):
    uri = uris.join(root, "missing")
    assert not storage.exists(uri)
    storage.delete(uri)
    for call in (storage.open_read, storage.read_bytes, storage.size):
        with pytest.raises(FileNotFoundError):
            call(uri)
    assert storage.list_files(uri) == []
    assert not storage.is_folder(uri)


def test_a_folder_is_no_file(root):
    storage.write_bytes(uris.join(root, "x/y"), b"")
    assert storage.is_folder(uris.join(root, "x"))
    assert not storage.exists(uris.join(root, "x"))
    assert not storage.is_folder(uris.join(root, "x/y"))


def test_files_are_listed_at_any_depth_in_order(root):
    names = ["a/2", "a/10", "a/b/c/d", "z", "a.b"]
    for name in names:
        storage.write_bytes(uris.join(root, name), b"")
    storage.write_bytes(root + "-neighbour/x", b"")
    assert storage.list_files(root) == sorted(uris.join(root, name) for name in names)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.csv", ["a.csv", "b.csv"]),
        ("?.csv", ["a.csv", "b.csv"]),
        ("[b-z].csv", ["b.csv"]),
        ("*/*.csv", ["x/c.csv"]),
        ("x/*.csv", ["x/c.csv"]),
        ("**/*.csv", ["a.csv", "b.csv", "x/c.csv", "x/y/d.csv"]),
        ("**/d.csv", ["x/y/d.csv"]),
        ("a.csv", ["a.csv"]),
        ("x", []),  # a folder is no file
        ("none*", []),
    ],
)
def test_match(root, pattern, found):
    for name in ("a.csv", "b.csv", "note.txt", "x/c.csv", "x/y/d.csv"):
        storage.write_bytes(uris.join(root, name), b"")
    assert storage.match(uris.join(root, pattern)) == [uris.join(root, name) for name in found]


@pytest.mark.parametrize("count", [0, 1, 2, 32, 33, 70])  # 32 objects are one compose request
def test_concatenate_keeps_the_order_and_leaves_nothing_behind(root, count):
    sources = [uris.join(root, f"part-{index}") for index in range(count)]
    for index, uri in enumerate(sources):
        storage.write_bytes(uri, f"{index}\n".encode())
    whole = uris.join(root, "whole")
    storage.concatenate(sources, whole)
    assert storage.read_bytes(whole) == b"".join(f"{index}\n".encode() for index in range(count))
    assert storage.list_files(root) == sorted([*sources, whole])


def test_concatenate_from_disk_into_a_bucket(tmp_path, bucket):
    storage.write_bytes(str(tmp_path / "a"), b"1")
    storage.write_bytes(f"{bucket}/b", b"2")
    storage.concatenate([str(tmp_path / "a"), f"{bucket}/b"], f"{bucket}/whole")
    assert storage.read_bytes(f"{bucket}/whole") == b"12"


def test_a_bucket_alone_is_no_file(bucket):
    with pytest.raises(ClipRejected, match="bucket") as refusal:
        storage.read_audio(bucket, LIMIT)
    assert refusal.value.reason == reasons.NOT_A_FILE


def test_a_file_is_read_ahead_of_being_written(root):
    written, coming = uris.join(root, "written"), uris.join(root, "coming")
    storage.write_bytes(written, b"old")
    ahead = replace(storage.within([root]), ahead=((written, b"newer"), (coming, b"")))
    assert [ahead.read_bytes(uri) for uri in (written, coming)] == [b"newer", b""]
    assert (ahead.size(written), ahead.exists(coming), storage.exists(coming)) == (5, True, False)
    assert len({ahead.identity(written), ahead.identity(coming), storage.identity(written)}) == 3
    ahead.write_bytes(written, b"newer")
    assert storage.read_bytes(written) == b"newer"


def test_a_missing_bucket_is_named(bucket):
    for call in (storage.list_files, lambda uri: storage.write_bytes(uri, b"x")):
        with pytest.raises(UserError, match="no bucket gs://elsewhere"):
            call("gs://elsewhere/x")


def test_a_uri_without_a_bucket_is_refused():
    with pytest.raises(UserError, match="bucket's name is missing"):
        storage.exists("gs:///x")


@pytest.mark.parametrize(
    ("fault", "raised", "words"),
    [
        (api.Forbidden("x"), UserError, "gs://cliptune-test.*roles/storage.objectViewer"),
        (api.Unauthorized("x"), UserError, "gcloud auth application-default login"),
        (auth.DefaultCredentialsError("x"), UserError, "gcloud auth application-default login"),
        (auth.RefreshError("x"), UserError, "gcloud auth application-default login"),
        (auth.TransportError("x"), StorageError, "sign-in"),
        (api.ServiceUnavailable("x"), StorageError, "ServiceUnavailable"),
        (api.RetryError("x", cause=None), StorageError, "RetryError"),
        (DataCorruption(None, "crc32c differs"), StorageError, "crc32c differs"),
        (ConnectionResetError("x"), StorageError, "ConnectionResetError"),
        (api.NotFound("x"), FileNotFoundError, "no such object"),
    ],
)
def test_faults_of_the_client_are_named_by_who_can_mend_them(bucket, monkeypatch, fault, raised, words):
    def fail(*args, **kwargs):
        raise fault

    monkeypatch.setattr(Blob, "download_to_file", fail)
    with pytest.raises(raised, match=words):
        storage.read_bytes(f"{bucket}/a")


def test_a_forbidden_bucket_is_not_the_clips_fault(bucket, monkeypatch):
    def fail(*args, **kwargs):
        raise api.Forbidden("x")

    monkeypatch.setattr(Blob, "download_to_file", fail)
    with pytest.raises(UserError, match="no permission"):
        storage.read_audio(f"{bucket}/a.wav", LIMIT)


def test_a_flipped_byte_on_the_way_is_noticed(bucket, monkeypatch):
    storage.write_bytes(f"{bucket}/a.wav", b"sound")
    original = requests.Session.request

    def flip(self, method, url, *args, **kwargs):
        response = original(self, method, url, *args, **kwargs)
        if "alt=media" in url:
            response.headers["x-goog-hash"] = "crc32c=AAAAAA=="
        return response

    monkeypatch.setattr(requests.Session, "request", flip)
    with pytest.raises(StorageError, match="the crc32c of what came"):
        storage.read_audio(f"{bucket}/a.wav", LIMIT)


def test_the_client_is_not_imported_before_it_is_needed():
    code = "import sys, transforms.storage; sys.exit('google.cloud.storage' in sys.modules)"
    assert processes.run([sys.executable, "-c", code]).returncode == 0


def test_connections_are_kept_for_as_many_reads_as_run_at_once(monkeypatch):
    """A server that answers when all of a round have asked, and counts who connects."""
    at_once, connected = 16, []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self):
            connected.append(self.client_address)
            super().setup()

        def do_GET(self):
            round_full.wait()
            self.send_response(200)
            for name, value in {"Content-Length": "1", "x-goog-hash": "crc32c=qTxfkw=="}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"x")

        def log_message(self, *args):
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = at_once
        daemon_threads = True

    round_full = threading.Barrier(at_once, timeout=30)
    with Server(("127.0.0.1", 0), Handler) as server, ThreadPoolExecutor(at_once) as executor:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_address[1]}")
        gcs_client._client(
            os.environ["STORAGE_EMULATOR_HOST"]
        )  # one for all: several threads at once would make their own
        for _ in range(3):
            reads = [executor.submit(storage.read_audio, f"gs://b/{index}", LIMIT) for index in range(at_once)]
            assert {read.result(30) for read in reads} == {b"x"}
        server.shutdown()
    assert len(connected) == at_once


@pytest.mark.parametrize("folder", ["/out", "/out/", "out", "gs://b", "gs://b/out", "gs://b/out/"])
def test_a_path_below_a_folder_is_what_was_joined_to_it(folder):
    assert uris.below(folder, uris.join(folder, "train/a.jsonl")) == "train/a.jsonl"
