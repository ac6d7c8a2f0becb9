"""Connections and bodies that would never end, or never have an end of their number."""

import json
import socket
from contextlib import closing

import httpx
import pytest

from tuning.emulator import bodies, connections, server
from tuning.emulator.scenario import Fault, Scenario

pytestmark = pytest.mark.timeout(60)
JOBS = "/v1beta1/projects/p/locations/us-central1/tuningJobs"
HEAD = f"POST {JOBS} HTTP/1.1\r\nHost: localhost\r\n"
GET = f"GET {JOBS} HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def hasty(monkeypatch):
    """An emulator that does not wait for long."""
    monkeypatch.setattr(connections, "WAIT_SECONDS", 0.2)
    with server.running() as url:
        yield url


def connected(url):
    host, port = url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), 30)
    return closing(connection)


def answer(connection):
    """All that comes until the other end closes; b"" if it does so without a word."""
    found = b""
    try:
        while part := connection.recv(1 << 16):
            found += part
    except ConnectionResetError:
        pass
    return found


@pytest.mark.parametrize(
    "begun",
    [
        "",
        "G",
        "GET /emulator",
        f"GET {JOBS}\r\n",  # HTTP/0.9
        f"GET {JOBS} HTTP/1.1\r\nHost: local",
        f"{HEAD}Content-Length: 10\r\n\r\n",
        f"{HEAD}Content-Length: 10\r\n\r\n{{",
        f"{HEAD}Transfer-Encoding: chunked\r\n\r\n",
        f"{HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\n{{",
        f"{HEAD}Transfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n{{",
    ],
    ids=repr,
)
def test_a_request_that_does_not_come_to_its_end_is_not_waited_for(hasty, begun):
    with connected(hasty) as connection:
        connection.sendall(begun.encode())
        assert answer(connection) == b""
    assert httpx.get(f"{hasty}{JOBS}").json() == {"tuningJobs": []}


@pytest.mark.parametrize("begun", ["GET /emulator HTTP/1.1\r\n", f"{HEAD}Content-Length: 1000\r\n\r\n"])
def test_nor_is_one_that_comes_byte_by_byte(hasty, begun):
    with connected(hasty) as connection, pytest.raises(OSError, match=r"Broken pipe|reset"):
        connection.sendall(begun.encode())
        while True:
            connection.sendall(b"a")


def test_after_an_answer_the_next_request_is_not_waited_for_either(hasty):
    with connected(hasty) as connection:
        connection.sendall(GET.encode() + b"GET ")
        assert answer(connection).startswith(b"HTTP/1.1 200")


def test_an_answer_that_takes_long_is_given(monkeypatch):
    monkeypatch.setattr(connections, "WAIT_SECONDS", 0.05)
    slow = Scenario(faults=(Fault(method="list", delay=1.0),))
    with server.running(played=slow) as url:
        assert httpx.get(f"{url}{JOBS}").json() == {"tuningJobs": []}


def test_connections_have_a_number(monkeypatch):
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 3)
    with server.running() as url:
        with connected(url) as first, connected(url), connected(url):
            first.sendall(GET.encode())
            assert first.recv(12) == b"HTTP/1.1 200"  # the others are taken, too, by now or soon
            with connected(url) as another:
                assert answer(another) == b""
        assert httpx.get(f"{url}{JOBS}").status_code == 200


@pytest.mark.parametrize("length", ["140000001", "99999999999999999999"])
def test_a_body_that_is_said_to_be_too_long_is_not_read(hasty, length):
    with connected(hasty) as connection:
        connection.sendall(f"{HEAD}Content-Length: {length}\r\n\r\n".encode())
        told = answer(connection)
    assert told.startswith(b"HTTP/1.1 400")
    assert b"Request payload size exceeds the limit" in told


def test_bodies_together_have_a_size(monkeypatch):
    monkeypatch.setattr(bodies, "MAX_HELD_BYTES", 1_000)
    with server.running() as url:
        with connected(url) as first:
            first.sendall(f"{HEAD}Content-Length: 900\r\n\r\n{' ' * 800}".encode())
            while httpx.post(f"{url}{JOBS}", content=b" " * 300).status_code != 503:
                pass  # until the first one has arrived
            first.sendall(b" " * 100)
            assert first.recv(12) == b"HTTP/1.1 400"
        assert httpx.post(f"{url}{JOBS}", content=b" " * 300).status_code == 400


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        ("GET http://localhost{jobs} HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
        ("GET http://localhost:1{jobs} HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
        ("GET http://evil.example{jobs} HTTP/1.1\r\nHost: localhost\r\n\r\n", 403),
        ("GET http://localhost@evil.example{jobs} HTTP/1.1\r\nHost: localhost\r\n\r\n", 403),
        ("GET http://localhost{jobs} HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403),
        ("GET {jobs} HTTP/1.1\r\nHost: localhost\r\nX: {long}\r\n\r\n", 400),
        ("GET /{long} HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        ("GET {jobs} HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n", 400),
        ("POST {jobs} HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400),
        ("POST {jobs} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 400),
        ("POST {jobs} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        ("CONNECT evil:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
    ],
)
def test_heads_of_requests(hasty, raw, status):
    with connected(hasty) as connection:
        connection.sendall(raw.format(jobs=JOBS, long="a" * 1_000_000).encode())
        told = answer(connection)
    assert told.startswith(f"HTTP/1.1 {status} ".encode())


def test_words_of_a_request_are_no_page(hasty):
    told = httpx.get(f"{hasty}/<script>alert(1)</script>")
    assert (told.status_code, told.headers["content-type"]) == (404, "application/json")
    assert json.loads(told.text)["error"]["status"] == "NOT_FOUND"
