"""The real client over connections that fail: one error of ours for each, whichever HTTP library it sends with."""

import contextlib
import importlib.metadata
import json
import os
import re
import socket
import ssl
import struct
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import exceptions as auth
from google.genai import errors
from packaging.requirements import Requirement

from transforms.errors import AccountingError, ServiceError, UserError
from tuning.providers.base import Question
from tuning.providers.vertex import faults, tuner
from tuning.providers.vertex.tuner import VertexTuner

ROOT = Path(__file__).parents[3]
NOT_OURS = "the answer is not that of the tuning service"
NO_ANSWER = "no answer from the service"
JOB = "projects/p/locations/us-central1/tuningJobs/7"
ENDPOINT = "projects/p/locations/us-central1/endpoints/7"
CALLS = {
    "list": lambda found: list(found.jobs()),
    "get": lambda found: found.get(JOB),
    "cancel": lambda found: found.cancel(JOB),
    "ask": lambda found: found.ask(ENDPOINT, Question(["hello"])),
    "checkpoint": lambda found: found.set_default_checkpoint("projects/p/locations/us-central1/models/7", "2"),
}


def http(status, body, *headers):
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


HTML = b"<html><h1>Blocked by your provider</h1></html>"
CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"
ANSWERS = {
    "closed": (b"", NO_ANSWER, True),
    "reset": (None, NO_ANSWER, True),
    "half a status": (b"HTTP/1.1 20", NO_ANSWER, True),
    "another protocol": (b"SSH-2.0-OpenSSH_9.2\r\n", NO_ANSWER, True),
    "cut in the body": (CUT, NO_ANSWER, True),
    "cut in a chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{", NO_ANSWER, True),
    "no chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", NO_ANSWER, True),
    "not gzip": (http(200, b"{}", "Content-Encoding: gzip"), NO_ANSWER, True),
    "round and round": (http(302, b"", "Location: /again"), NO_ANSWER, True),
    "to a protocol that it lacks": (http(302, b"", "Location: ftp://there/"), NO_ANSWER, True),
    "headers without end": (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000, NO_ANSWER, True),
    "a page": (http(200, HTML), NOT_OURS, False),
    "too deep": (http(200, b"[" * 100_000), NOT_OURS, False),
    "a page of a refusal": (http(403, HTML), ": 403 X: <html>", False),
    "a page of a proxy": (http(502, HTML), ": 502 X: <html>", True),
    "a refusal that is too deep": (http(400, b"[" * 100_000), NOT_OURS, False),
}


@contextlib.contextmanager
def answering(answer, context=None):
    """A server that reads a request, sends these bytes and closes; None resets the connection. Its address."""

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # the test is over
                return
            with contextlib.suppress(OSError), connection, contextlib.ExitStack() as stack:
                secured = stack.enter_context(context.wrap_socket(connection, True)) if context else connection
                secured.recv(1 << 16)
                if answer is None:
                    secured.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                else:
                    secured.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture(autouse=True)
def direct(monkeypatch):
    """No proxies and certificates but those of a test."""
    for name in list(os.environ):
        if name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)


def refused(url, call="list"):
    with pytest.raises((ServiceError, UserError)) as refusal:
        CALLS[call](VertexTuner("p", "us-central1", url))
    assert "\n" not in str(refusal.value)
    return refusal.value


@pytest.mark.parametrize("name", ANSWERS)
def test_what_comes_back_is_one_error_and_says_whether_to_ask_again(name):
    answer, told, transient = ANSWERS[name]
    with answering(answer) as address:
        fault = refused(f"http://{address}")
    assert told in str(fault)
    assert (fault.transient, fault.sent) == (transient, True)


@pytest.mark.parametrize("call", CALLS)
def test_it_is_so_for_every_call(call):
    with answering(CUT) as address:
        assert NO_ANSWER in str(refused(f"http://{address}", call))
    assert not refused("http://127.0.0.1:9", call).sent


@pytest.mark.parametrize("host", ["127.0.0.1:9", "[::1]:9", "no-such-host.invalid"])
def test_where_nothing_can_be_reached_nothing_was_sent(host):
    fault = refused(f"http://{host}")
    assert f"cannot list the tuning jobs: {NO_ANSWER} (ConnectError)" == str(fault)
    assert (fault.transient, fault.sent) == (True, False)


def test_a_service_that_never_answers(monkeypatch):
    monkeypatch.setattr(tuner, "TIMEOUT_MS", 50)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        fault = refused(f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert f"{NO_ANSWER} (ReadTimeout)" in str(fault)
    assert (fault.transient, fault.sent) == (True, True)


def certificate(folder):
    """A server's settings with a certificate for which nobody vouches; its key is in key.pem."""
    key, now = rsa.generate_private_key(65_537, 2_048), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "cert.pem").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def test_certificates_and_protocols_that_do_not_fit(tmp_path):
    context = certificate(tmp_path)
    with answering(http(200, b"{}"), context) as unknown:
        assert not refused(f"https://{unknown}").sent  # nobody vouches for its certificate
        assert NO_ANSWER in str(refused(f"http://{unknown}"))
    with answering(http(200, b"{}")) as plain:
        assert not refused(f"https://{plain}").sent


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:9", "SOCKS"),
        ("ALL_PROXY", "gopher://me:secret@127.0.0.1:9", "ALL_PROXY"),
        ("ALL_PROXY", "http://me:secret@host:port", "ALL_PROXY"),
        ("SSL_CERT_FILE", "/no/such/file", "No such file"),
        ("SSL_CERT_FILE", "/", "Is a directory"),
        ("SSL_CERT_FILE", os.devnull, "no certificate"),
        ("SSLKEYLOGFILE", "/no/such/file", "No such file"),
    ],
)
def test_what_the_environment_asks_of_a_client_and_it_cannot_give(monkeypatch, variable, value, told):
    monkeypatch.setenv(variable, value)
    fault = refused("http://127.0.0.1:9")
    assert isinstance(fault, UserError)
    assert re.search(rf"cannot open a client: \w+.*{told}", str(fault))
    assert "secret" not in str(fault)


def test_a_proxy_that_is_not_there_has_sent_nothing(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert not refused("https://127.0.0.1:8").sent
    with answering(http(407, HTML)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy}")
        fault = refused("https://127.0.0.1:8")
    assert f"{NO_ANSWER} (ProxyError)" in str(fault)
    assert not fault.sent


@pytest.mark.parametrize(
    "text",
    ["", "no JSON", "3", "null", "[]", "{}", '{"type": "service_account"}', '{"type": "authorized_user"}',
     '{"type": "impersonated_service_account"}', '{"type": "external_account"}', '{"type": ["a"]}'],
)  # fmt: skip
def test_files_that_hold_no_credentials(monkeypatch, tmp_path, text):
    (tmp_path / "key.json").write_text(text)
    for path in (tmp_path / "key.json", tmp_path, tmp_path / "gone.json"):
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
        fault = refused(None)
        assert isinstance(fault, UserError)
        assert str(fault).endswith("run: gcloud auth application-default login")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"", "no connection to Google's sign-in service"),
        (None, "no connection to Google's sign-in service"),
        (http(400, b'{"error": "invalid_grant", "error_description": "expired"}'), "no valid Google Cloud credentials"),
        (http(200, HTML), "signing in has failed"),
        (http(200, b"[]"), "sign"),
        (http(403, HTML), "no valid Google Cloud credentials"),
    ],
)
def test_a_sign_in_service_that_fails_or_refuses(monkeypatch, tmp_path, answer, told):
    certificate(tmp_path)  # makes a key
    account = {"type": "service_account", "client_email": "a@p", "private_key": (tmp_path / "key.pem").read_text()}
    with answering(answer) as address:
        (tmp_path / "key.json").write_text(json.dumps({**account, "token_uri": f"http://{address}"}))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
        fault = refused(None)
    assert told in str(fault)
    assert isinstance(fault, UserError) or not fault.sent


def library(name):
    """The exceptions of an HTTP library that is not there yet."""
    error = type("HTTPError", (Exception,), {"__module__": f"{name}._exceptions"})
    made = {kind: type(kind, (error,), {"__module__": f"{name}._exceptions"}) for kind in ("ConnectError", "ReadError")}
    return {**made, "InvalidURL": type("InvalidURL", (Exception,), {"__module__": name})}


def raised(fault):
    with pytest.raises(Exception) as caught, tuner.named_faults("try"):
        raise fault
    return caught.value


def test_a_library_of_another_name_is_understood_by_its_structure():
    later = library("httpx3")
    assert not raised(later["ConnectError"]("x")).sent
    assert raised(later["ReadError"]("x")).sent
    assert isinstance(raised(later["ReadError"]("x")), ServiceError)
    assert "names nothing" in str(raised(later["InvalidURL"]("x")))
    assert raised(ConnectionResetError("x")).transient


@pytest.mark.parametrize(
    "fault", [AccountingError("lost"), KeyError("ours"), AttributeError("ours"), ZeroDivisionError(), UserError("mend")]
)
def test_a_fault_of_ours_stays_what_it_is(fault):
    assert raised(fault) is fault


def test_googles_own_errors_go_first():
    assert isinstance(raised(auth.RefreshError("expired")), UserError)
    assert raised(errors.ServerError(503, {"error": {"message": "away"}})).code == 503
    assert not faults.is_unsent(auth.TransportError("x"))


def test_the_library_that_the_client_brings_is_enough():
    """Cliptune itself imports none: google-genai before 3.0 brings httpx, since then httpx2."""
    lines = importlib.metadata.requires("google-genai") or []
    needed = {Requirement(line).name for line in lines if "extra" not in line}
    others = sorted({"httpx", "httpx2"} - needed)
    assert len(others) == 1
    code = f"""
import sys
sys.modules.update(dict.fromkeys({others!r}))
from transforms.errors import ServiceError
from tuning.providers.base import TuningRequest
from tuning.providers.vertex.tuner import VertexTuner
asked = TuningRequest("p", "us-central1", "gemini-2.5-flash", "f", "gs://b/t.jsonl", None, 3, 4, None, "n")
print(VertexTuner("p", "us-central1").body(asked)["method"])
try:
    list(VertexTuner("p", "us-central1", "http://127.0.0.1:9").jobs())
except ServiceError as fault:
    print(fault)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    told = f"POST\ncannot list the tuning jobs: {NO_ANSWER} (ConnectError)\n"
    assert (done.stdout, done.returncode) == (told, 0), done.stderr
