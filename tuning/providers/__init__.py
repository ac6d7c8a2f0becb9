"""Tuning services behind one protocol. A provider is a folder here and a row of `PROVIDERS`."""

from __future__ import annotations

from tuning.providers import vertex
from tuning.providers.base import Provider, Tuner

PROVIDERS: dict[str, Provider] = {provider.name: provider for provider in (vertex.PROVIDER,)}
DEFAULT = vertex.PROVIDER.name


def open_tuner(name: str, project: str, location: str, api_endpoint: str | None = None) -> Tuner:
    """The tuner of a provider, for one project and location.

    Args:
      name: a key of `PROVIDERS`.
      project: the project that pays.
      location: where jobs run.
      api_endpoint: URL of another server, which gets throw-away credentials; None for the provider's own server.
    """
    return PROVIDERS[name].open(project, location, api_endpoint)
