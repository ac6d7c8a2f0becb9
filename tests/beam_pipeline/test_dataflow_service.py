"""What the service refuses, or does not answer, is one line; and the plan's size decides the machines."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.runners.dataflow.internal import apiclient
from google.api_core import exceptions as api
from google.auth import exceptions as auth

from beam_pipeline import dataflow
from beam_pipeline.dataflow_service import Service, one_line
from beam_pipeline.job import Job
from beam_pipeline.options import options_of
from beam_pipeline.pipeline import build
from transforms.dataset.output import Output
from transforms.dataset.plan import CLIPS_PER_SHARD, Plan
from transforms.errors import ServiceError
from transforms.listener import SILENT
from transforms.manifests.columns import ManifestSettings
from transforms.settings import Settings
from transforms.storage import Storage

FLAGS = ["--runner=DataflowRunner", "--project=test-project", "--region=us-central1"]
WHERE = "Dataflow in us-central1 of project test-project"
LOGIN = "run gcloud auth application-default login"
# As google.auth has it: what the service has answered is a second argument.
EXPIRED = auth.RefreshError("invalid_grant: Token has been expired or revoked.", {"error": "invalid_grant"})


class Refusing:
    """A client of which every call raises."""

    def __init__(self, fault: Exception) -> None:
        self._fault = fault

    def __getattr__(self, name: str) -> Any:
        def call(**given: object) -> None:
            raise self._fault

        return call


@pytest.fixture
def service(monkeypatch):
    """The service, of which every call raises."""

    def make(fault):
        names = ("_jobs_client", "_messages_client", "_metrics_client")
        client = SimpleNamespace(**dict.fromkeys(names, Refusing(fault)))
        monkeypatch.setattr(apiclient, "DataflowApplicationClient", lambda options: client)
        monkeypatch.setattr("beam_pipeline.dataflow_service.require_credentials", lambda options: None)
        return Service(options_of(FLAGS))

    return make


@pytest.mark.parametrize(
    ("fault", "told", "transient"),
    [
        (api.Forbidden("no\nreally"), f"{WHERE} refuses (HTTP 403): no; your account needs roles/dataflow.dev", False),
        (api.NotFound("gone"), f"{WHERE} refuses (HTTP 404): gone; are --project and --region spelled", False),
        (api.Unauthenticated("who"), f"{WHERE} refuses (HTTP 401): who; your credentials are not valid", False),
        (api.BadRequest("bad"), f"{WHERE} refuses (HTTP 400): bad", False),
        (api.TooManyRequests("slowly"), f"{WHERE} does not answer (HTTP 429): slowly", True),
        (api.ServiceUnavailable("away"), f"{WHERE} does not answer (HTTP 503): away", True),
        (api.RetryError("30 s", api.ServiceUnavailable("away")), f"{WHERE} does not answer (HTTP 503): away", True),
        (api.RetryError("30 s", ConnectionError("refused")), f"{WHERE} does not answer: refused", True),
        (ConnectionResetError("cut"), f"{WHERE} does not answer: cut", True),
        (auth.TransportError("no route"), f"{WHERE} does not answer: no route", True),
        (EXPIRED, f"no valid Google credentials: invalid_grant: Token has been expired or revoked.; {LOGIN}", False),
    ],
)
def test_every_fault_of_the_service_is_a_line(service, fault, told, transient):
    for call in (
        lambda service: service.active(),
        lambda service: service.job("j"),
        lambda service: service.news("j"),
        lambda service: service.counts("j", "n"),
        lambda service: service.cancel("j"),
    ):
        with pytest.raises(ServiceError) as raised:
            call(service(fault))
        assert str(raised.value).startswith(told)
        assert (raised.value.transient, "\n" in str(raised.value)) == (transient, False)


def test_who_loses_the_right_to_look_is_told_that_the_job_goes_on(service):
    with pytest.raises(ServiceError, match=r"expired.*; job j may go on, and the same command attaches to it"):
        dataflow.follow(service(EXPIRED), "j", job_of(1), SILENT)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Startup failed. QUOTA_EXCEEDED\nmore", "Startup failed. QUOTA_EXCEEDED"),
        (
            "Traceback (most recent call last):\n  File\nOSError: disk [while running 'Rows-ptransform-1']",
            "OSError: disk",
        ),
        ("", ""),
    ],
)
def test_of_a_message_one_line_counts(text, line):
    assert one_line(text) == line


# From the size of the plan.


def job_of(clips: int) -> Job:
    shards = {"train": max(1, -(-clips // CLIPS_PER_SHARD)), "validation": 1, "rejected": 1}
    output = Output("gs://bucket/out", "/", (), shards, Settings(), Storage())
    held_out = frozenset(range(1 << 63, (1 << 63) + min(clips // 20, 5_000)))
    return Job((), ManifestSettings(), Plan(clips, "", shards, held_out), output, clip_workers=1)


@pytest.mark.parametrize(
    ("clips", "machines"),
    [(1, 1), (1_000, 1), (8_064, 1), (8_065, 2), (100_000, 13), (819_000, 100), (1_000_000, 100), (50_000_000, 100)],
)
def test_a_machine_comes_for_so_many_shards_that_each_processor_has_enough(clips, machines):
    job = job_of(clips)
    assert dataflow.workers_for(job) == machines
    shards = len(job.plan.shard_keys())
    assert machines == 1 or shards / (machines * dataflow.VCPUS) > dataflow.SHARDS_PER_VCPU / 2


def test_the_graph_of_a_million_clips_is_small(monkeypatch):
    """It is staged, and every worker fetches it: the held-out groups are what grows, and there are 5,000 at most."""
    sizes = {}
    for clips in (300, 1_000_000):
        pipeline = beam.Pipeline()
        build(pipeline, job_of(clips).elsewhere({}))
        sizes[clips] = len(pipeline.to_runner_api().SerializeToString())
    assert sizes[1_000_000] < sizes[300] + (1 << 19) < 1 << 20
