"""No token and no signed URL in anything that is logged, printed or written; and credentials in one line."""

import logging

import httpx
import pytest
from google.auth import exceptions
from google.oauth2.credentials import Credentials

from tests.cliptune.test_commands import run
from tuning.emulator import server
from tuning.providers.vertex import tuner
from tuning.providers.vertex.tuner import VertexTuner

__all__ = ["run"]  # a fixture

TOKEN = "ya29.a0-Secret_Token"
SIGNATURE = "c0ffee5ec2e7"
SIGNED = f"https://storage.googleapis.com/b/o?X-Goog-Credential=me%40p&X-Goog-Signature={SIGNATURE}&x=1"
LOGIN = "run: gcloud auth application-default login"
STAGED = ("--project", "p", "--staging_location")


def test_no_token_in_any_log_or_file(run, out, monkeypatch, caplog):
    """Every logger of every library at its most talkative, over the whole life of a job."""
    monkeypatch.setattr(tuner, "throw_away_credentials", lambda: Credentials(token=TOKEN))
    seen: list[str] = []
    make = VertexTuner._new_client

    def new_client(self, location, options, credentials):
        hooks = {"request": [lambda request: seen.append(request.headers.get("authorization", ""))]}
        options.client_args = {**(options.client_args or {}), "event_hooks": hooks}
        return make(self, location, options, credentials)

    monkeypatch.setattr(VertexTuner, "_new_client", new_client)
    told = ""
    with caplog.at_level(logging.DEBUG), server.running() as url:
        service = ("--api_endpoint", url)
        httpx.put(f"{url}/emulator", json={"faults": [{"method": "list", "status": 403}]})
        for words in (
            ["check", out, "--estimate"], ["tune", out, *service, "--dry_run"], ["tune", out, *service],
            ["tune", out, *service], ["watch", out, *service], ["jobs", out, *service],
            ["predict", out, *service], ["cancel", out, *service],
        ):  # fmt: skip
            told += "".join(run(*words)[1:])
    assert f"Bearer {TOKEN}" in seen  # so it was there to be logged
    assert any(entry.name.startswith("httpcore") for entry in caplog.records)
    assert "403 PERMISSION_DENIED" in told
    written = b"".join(path.read_bytes() for path in (out / "tuning").rglob("*") if path.is_file())
    for place in (caplog.text, told, written.decode()):
        assert TOKEN not in place
        assert "Bearer" not in place


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (f"bad token {TOKEN} of yours", "bad token ya29.… of yours"),
        (f"header Authorization: Bearer {TOKEN}", "header Authorization: Bearer …"),
        (
            f"cannot read {SIGNED}",
            "cannot read https://storage.googleapis.com/b/o?X-Goog-Credential=…&X-Goog-Signature=…&x=1",
        ),
        ("https://h/p?access_token=abc next", "https://h/p?access_token=… next"),
    ],
)
def test_what_a_server_repeats_of_a_secret_is_left_out(run, out, monkeypatch, message, told):
    error = {"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}
    make = VertexTuner._new_client

    def new_client(self, location, options, credentials):
        options.httpx_client = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(400, json=error)))
        return make(self, location, options, credentials)

    monkeypatch.setattr(VertexTuner, "_new_client", new_client)
    status, _, stderr = run("jobs", "--api_endpoint", "http://127.0.0.1:9")
    assert (status, stderr) == (1, f"cliptune jobs: cannot list the tuning jobs: 400 INVALID_ARGUMENT: {told}\n")


@pytest.mark.parametrize(
    "fault",
    [
        exceptions.DefaultCredentialsError("File /home/me/key.json was not found. " * 3),
        exceptions.RefreshError("invalid_grant: Token has been expired or revoked."),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_missing_credentials_are_one_line_with_the_command_to_run(run, monkeypatch, fault):
    def fail(*args, **kwargs):
        raise fault

    monkeypatch.setattr("google.auth.default", fail)
    status, stdout, stderr = run("jobs", "--project", "p")
    assert (status, stdout, stderr.count("\n")) == (1, "", 1)
    assert stderr.rstrip().endswith(LOGIN)


def test_credentials_that_expire_on_the_way_are_one_line_too(run):
    with server.running() as url:
        httpx.put(f"{url}/emulator", json={"faults": [{"method": "list", "status": 401}]})
        status, stdout, stderr = run("jobs", "--api_endpoint", url)
    assert (status, stdout, stderr.count("\n")) == (1, "", 1)
    assert "the credentials are not valid any more" in stderr
    assert stderr.rstrip().endswith(LOGIN)


def test_credentials_without_the_role_are_told_which_one(run):
    with server.running() as url:
        httpx.put(f"{url}/emulator", json={"faults": [{"method": "list", "status": 403}]})
        _, _, stderr = run("jobs", "--api_endpoint", url)
    assert "403 PERMISSION_DENIED" in stderr
    assert "the account needs roles/aiplatform.user on the project" in stderr
