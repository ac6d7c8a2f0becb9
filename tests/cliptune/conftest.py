"""The dataset and the service that commands are tried on, those of tuning's tests, and a law of all commands."""

import pytest

from cliptune import ends
from cliptune.console import Console
from tests.tuning.conftest import _prepared, out, prepared, request_, tuner, url

__all__ = ["_prepared", "out", "prepared", "request_", "tuner", "url"]


@pytest.fixture(autouse=True)
def nothing_is_said_after_the_json(monkeypatch):
    """Who merges both streams, as Airflow's BashOperator does, takes the last line for the result."""
    sent = []
    send, insist, made = ends.send, Console.insist, Console.__init__

    def sending(text):
        sent.extend([text] if text else [])
        send(text)

    def first(method):
        def call(console, *words):
            assert not sent, f"{words} after the JSON"
            method(console, *words)

        return call

    def begin(console, *words, **options):
        sent.clear()  # of an earlier command
        made(console, *words, **options)

    monkeypatch.setattr(ends, "send", sending)
    monkeypatch.setattr(Console, "insist", first(insist))
    monkeypatch.setattr(Console, "__init__", begin)
