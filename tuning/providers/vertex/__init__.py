"""The provider Vertex AI. google-genai takes seconds to import, so it is imported at the first call."""

from __future__ import annotations

from collections.abc import Callable

from tuning.providers.base import Example, Facts, Problem, Provider, Registry, ServiceTrial, Tuner, TuningRequest
from tuning.providers.vertex import models

DEFAULT_LOCATION = "us-central1"


def check_line(line: bytes, source: str) -> tuple[list[Problem], Facts]:
    """The problems of one line, given without its newline, and its facts."""
    from tuning.providers.vertex import rows  # noqa: PLC0415

    return rows.check_line(line, source)


def parse(line: bytes) -> Example:
    """The example of a line; raises SchemaError if the schemas refuse it."""
    from tuning.providers.vertex import rows  # noqa: PLC0415

    return rows.example(line)


def open_tuner(project: str, location: str, api_endpoint: str | None) -> Tuner:
    """The tuner of one project and location."""
    from tuning.providers.vertex.tuner import VertexTuner  # noqa: PLC0415

    return VertexTuner(project, location, api_endpoint)


def open_registry(api_endpoint: str | None, sleep: Callable[[float], None]) -> Registry:
    """The models and endpoints of all locations."""
    from tuning.providers.vertex.registry import VertexRegistry  # noqa: PLC0415

    return VertexRegistry(api_endpoint, sleep)


def try_service(request: TuningRequest, wait_for_quota: bool, api_endpoint: str | None) -> ServiceTrial:
    """Tries what can be tried of the service without sending a request."""
    from tuning.providers.vertex import preflight  # noqa: PLC0415

    return preflight.try_service(request, wait_for_quota, api_endpoint)


def agents(number: str) -> tuple[str, str]:
    """Of a project's service agents, the form of their names, and the name of one."""
    form = rf"service-{number}@gcp-sa-(aiplatform|vertex)[\w-]*\.iam\.gserviceaccount\.com"
    return form, f"service-{number}@gcp-sa-aiplatform.iam.gserviceaccount.com"


PROVIDER = Provider(
    name="vertex",
    summary="Gemini on Vertex AI",
    models=models.MODELS,
    default_model=models.DEFAULT_MODEL,
    default_location=DEFAULT_LOCATION,
    sources=models.SOURCES,
    find=models.find,
    refuse_wrong=models.refuse_wrong,
    locate=models.location_of,
    locate_endpoint=models.location_of_endpoint,
    base_location=models.base_location,
    lands_in=models.lands_in,
    check_line=check_line,
    parse=parse,
    open=open_tuner,
    open_registry=open_registry,
    try_service=try_service,
    agents=agents,
)
