"""Requests that are none, or another's: each is refused in Google's form, and the emulator goes on."""

import copy
import json
import socket

import httpx
import pytest

from transforms.errors import UserError
from tuning.emulator import bodies, server
from tuning.emulator.jobs import EmulatorError, Jobs

PROJECT = "/v1beta1/projects/p/locations/us-central1"
JOBS = f"{PROJECT}/tuningJobs"
ASK = f"{PROJECT.replace('us-central1', 'us')}/publishers/google/models/gemini-3.1-flash-lite:generateContent"
JOB = {
    "baseModel": "gemini-3.1-flash-lite",
    "supervisedTuningSpec": {
        "trainingDatasetUri": "gs://bucket/t.jsonl",
        "validationDatasetUri": "gs://bucket/v.jsonl",
        "hyperParameters": {"epochCount": "3", "adapterSize": "ADAPTER_SIZE_FOUR", "learningRateMultiplier": 0.5},
        "exportLastCheckpointOnly": True,
    },
    "tunedModelDisplayName": "ours",
    "labels": {"a": "b"},
    "serviceAccount": "s@p.iam.gserviceaccount.com",
}
QUESTION = {
    "contents": [
        {
            "role": "user",
            "parts": [
                {"text": "What is said?"},
                {"fileData": {"mimeType": "audio/flac", "fileUri": "gs://bucket/a.flac"}},
            ],
        }
    ],
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
}
BLOB = {"inlineData": {"mimeType": "audio/flac", "data": "YWJj"}}
INLINE = {**QUESTION, "contents": [{"role": "user", "parts": [{"text": "What is said?"}, BLOB]}]}
OTHERS: list[object] = [
    None,
    True,
    5,
    -1,
    1e300,
    10**30,
    "",
    "x",
    "\x00",
    "gs://",
    "3.5",
    [],
    {},
    [None],
    ["x"],
    {"x": 1},
    [[[]]],
]


@pytest.fixture(scope="module")
def url():
    with server.running() as address:
        yield address


@pytest.fixture
def client(url):
    with httpx.Client(base_url=url) as found:
        yield found


def paths(tree, path=()):
    """The path of every value in a tree."""
    yield path
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for name, value in inner:
        yield from paths(value, (*path, name))


def changed(tree, path, value):
    if not path:
        return value
    tree = copy.deepcopy(tree)
    inner = tree
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return tree


def assert_told(answer, codes=(400, 404)):
    assert answer.status_code in codes, (answer.status_code, answer.text)
    assert answer.json()["error"].keys() == {"code", "message", "status"}
    assert answer.json()["error"]["code"] == answer.status_code


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("url_path", "body"), [(JOBS, JOB), (ASK, QUESTION), (ASK, INLINE)], ids=["create", "URI", "inline"]
)
def test_any_value_anywhere_is_answered_or_refused(client, url_path, body):
    assert client.post(url_path, json=body).status_code == 200
    refused = 0
    for path in paths(body):
        for value in OTHERS:
            answer = client.post(url_path, json=changed(body, path, value))
            if answer.status_code != 200:
                refused += 1
                assert_told(answer)
    assert refused > 100
    assert client.get(JOBS, params={"pageSize": 1_000}).status_code == 200
    for job in client.get(JOBS).json()["tuningJobs"]:  # whatever was accepted can be played to its end
        for _ in range(5):
            assert client.get(f"/v1beta1/{job['name']}").status_code == 200


@pytest.mark.parametrize(
    "content",
    [b"{", b"\xff\xfe", b"[]", b"5", b'"x"', b"null", b"NaN", b'{"a": NaN}', b"{}{}", b"[" * 100_000, b'{"a":' * 5_000],
    ids=lambda content: repr(content[:12]),
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", JOBS),
        ("POST", ASK),
        ("POST", f"{JOBS}/1:cancel"),
        ("PATCH", f"{PROJECT}/models/1"),
        ("PUT", "/emulator"),
    ],
)
def test_what_is_no_json_object_is_refused(client, method, path, content):
    assert_told(client.request(method, path, content=content))


@pytest.mark.parametrize(
    "query", ["pageSize=x", "pageSize=-1", "pageSize=1e3", "pageToken=x", "pageToken=-1", "pageToken=²"]
)
def test_pages_that_there_cannot_be_are_refused(client, query):
    assert_told(client.get(f"{JOBS}?{query}"))


@pytest.mark.parametrize("value", [None, True, 5, [], {}, "x"])
def test_a_checkpoint_that_there_is_not_is_refused(client, value):
    assert_told(client.patch(f"{PROJECT}/models/1", json={"defaultCheckpointId": value}))


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("GET", "/v1/x"), ("DELETE", JOBS), ("POST", "/emulator"), ("GET", "/%00")]
)
def test_what_is_not_there_is_refused_in_googles_form(client, method, path):
    assert_told(client.request(method, path))


@pytest.mark.parametrize("bucket", ["", "../x", "a b", "a?b=c", "a#b", "A", "${BUCKET}", "a%2fb", "-ab"])
def test_a_bucket_that_cannot_be_one_is_refused(client, bucket):
    spec = {"trainingDatasetUri": f"gs://{bucket}/t.jsonl"}
    assert_told(client.post(JOBS, json={"baseModel": "gemini-3.1-flash-lite", "supervisedTuningSpec": spec}))


def test_a_body_that_would_fill_the_memory_is_refused(client, monkeypatch):
    monkeypatch.setattr(bodies, "MAX_BYTES", 1_000)
    assert_told(client.post(JOBS, content=b" " * 1_001))


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_this_machine_is_answered(client, url, name):
    port = url.rpartition(":")[2]
    own = {"Host": f"{name}:{port}"}
    assert client.get(JOBS, headers=own).status_code == 200
    page = {**own, "Origin": f"http://{name}:{port}", "Sec-Fetch-Site": "same-origin"}
    assert client.get(JOBS, headers=page).status_code == 200
    for referer in (f"http://{name}:{port}", f"http://{name}:{port}/emulator"):
        assert client.get(JOBS, headers={**own, "Referer": referer}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:PORT"},  # a name that was made to lead here
        {"Host": "localhost.evil.example:PORT"},
        {"Host": "127.0.0.1:PORT.evil.example"},
        {"Host": ""},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "https://127.0.0.1:PORT"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Referer": "https://evil.example/page"},  # of a browser that says no more
        {"Referer": "http://127.0.0.1:PORT.evil.example/"},
        {"Referer": "http://127.0.0.1:PORT@evil.example/"},
    ],
    ids=repr,
)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", JOBS), ("POST", JOBS), ("PUT", "/emulator"), ("GET", "/emulator"), ("GET", "/")]
)
def test_pages_of_strangers_are_refused(client, url, method, path, headers):
    port = url.rpartition(":")[2]
    sent = {name: value.replace("PORT", port) for name, value in headers.items()}
    body = {"json": {"drop": [1]}} if method == "PUT" else {}
    assert_told(client.request(method, path, headers=sent, **body), codes=(403,))
    assert client.get("/emulator").json()["scenario"]["drop"] == []


def test_of_headers_that_are_sent_twice_each_is_looked_at(client, url):
    for name, own in (("Origin", url), ("Sec-Fetch-Site", "none"), ("Referer", url)):
        for values in ((own, "http://evil.example"), ("http://evil.example", own)):
            assert_told(client.get(JOBS, headers=[(name, value) for value in values]), codes=(403,))


def test_a_request_without_a_host_is_refused(url):
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(f"GET {JOBS} HTTP/1.0\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert answer.split()[1] in (b"400", b"403")


GOOD = {
    "name": f"{PROJECT[9:]}/tuningJobs/1",
    "state": "JOB_STATE_RUNNING",
    "supervisedTuningSpec": JOB["supervisedTuningSpec"],
}


@pytest.mark.parametrize("value", [None, True, 5, "x", [5]])
@pytest.mark.parametrize("path", [(), ("name",), ("state",), ("supervisedTuningSpec",), ("labels",), ("tunedModel",)])
def test_jobs_that_were_kept_and_are_none_are_told_in_one_line(tmp_path, path, value):
    """null is a field that is not there: of a job, name, state and files must be."""
    state = tmp_path / "jobs.json"
    state.write_text(json.dumps({GOOD["name"]: changed(GOOD, path, value)}))
    if value is None and path in (("labels",), ("tunedModel",)):
        Jobs(str(state)).get(str(GOOD["name"]))
        return
    with pytest.raises(
        UserError, match="the emulator's jobs, is damaged; delete it, and the emulator begins without jobs"
    ):
        Jobs(str(state))


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"a": 1}', b"\xff"], ids=repr)
def test_a_file_that_keeps_no_jobs_is_told_in_one_line(tmp_path, content):
    state = tmp_path / "jobs.json"
    if content is None:
        state.mkdir()
    else:
        state.write_bytes(content)
    with pytest.raises(UserError, match="damaged; delete it"):
        Jobs(str(state))


def test_a_state_file_that_cannot_be_written_is_answered(tmp_path):
    with server.running(str(tmp_path / "jobs.json")) as address, httpx.Client(base_url=address) as client:
        (tmp_path / "jobs.json").mkdir()
        assert_told(client.post(JOBS, json=JOB), codes=(503,))


@pytest.mark.parametrize(("text", "size"), [(None, 100), ("", 100), ("0", 100), ("7", 7), ("1000000", 1_000)])
def test_a_page_has_a_size(text, size):
    assert bodies.size_of_page(text) == size


def test_epochs_have_a_limit():
    """Each is a checkpoint of the answer."""
    spec = {"hyperParameters": {"epochCount": bodies.MAX_EPOCHS}}
    assert bodies.parse(json.dumps({"supervisedTuningSpec": spec}).encode(), bodies.Create)
    spec["hyperParameters"]["epochCount"] += 1
    with pytest.raises(EmulatorError, match=r"supervisedTuningSpec.hyperParameters.epochCount.*1000"):
        bodies.parse(json.dumps({"supervisedTuningSpec": spec}).encode(), bodies.Create)
