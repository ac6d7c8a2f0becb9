"""Requests to Vertex AI that google-genai has no methods for: endpoints, versions of models, operations.

google-auth signs them. The generated clients of google-cloud-aiplatform speak gRPC, which no local server here does;
over REST they read operations at an address that the service does not document.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import google.auth
import requests
from google.auth import credentials
from google.auth.transport.requests import AuthorizedSession
from google.genai import errors

from transforms.errors import ServiceError
from tuning.providers.vertex.models import MULTI_REGIONS, location_of
from tuning.providers.vertex.tuner import TIMEOUT_MS, named_faults, throw_away_credentials

VERSION = "v1beta1"
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
# Names become parts of an address to which credentials are sent.
_NAME = re.compile(r"projects/[\w.:-]+/locations/[\w-]+(/[\w@-][\w.@-]*)+(:[A-Za-z]+)?")

Tree = dict[str, Any]


class Rest:
    """Sends requests, each to the location that its name says.

    Args:
      api_endpoint: URL of another server, which gets throw-away credentials; None for Google's servers.
    """

    def __init__(self, api_endpoint: str | None) -> None:
        self._api_endpoint = api_endpoint
        self._session: AuthorizedSession | None = None

    def request(
        self,
        method: str,
        name: str,
        action: str,
        body: Tree | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Tree:
        """The answer to one request, which is never repeated.

        Args:
          method: HTTP method.
          name: of the resource, with the custom method behind it, as in ":undeployModel".
          action: a verb and its object, for messages.
          body: JSON body.
          query: parameters of the query.

        Raises:
          UserError: there are no valid credentials.
          ServiceError: the service refused or did not answer.
        """
        with named_faults(action):
            if not _NAME.fullmatch(name):
                raise ValueError("not a resource's name")
            try:
                return self._answer(method, name, body, query)
            except requests.RequestException as fault:
                sent = not isinstance(fault, requests.ConnectTimeout)
                message = f"cannot {action}: no answer from the service ({type(fault).__name__})"
                raise ServiceError(message, True, sent=sent) from fault

    def _answer(self, method: str, name: str, body: Tree | None, query: Mapping[str, str] | None) -> Tree:
        send: Callable[..., requests.Response] = self._opened().request  # untyped
        response = send(
            method,
            f"{self._host(location_of(name)[1])}/{VERSION}/{name}",
            json=body,
            params=query,
            timeout=TIMEOUT_MS / 1_000,
            allow_redirects=False,  # nothing else gets the credentials
        )
        if response.status_code != 200:
            raise errors.APIError(response.status_code, _error(response))
        tree = response.json()
        if not isinstance(tree, dict):
            raise TypeError("not an object")
        return tree

    def _opened(self) -> AuthorizedSession:
        if self._session is None:
            make: Callable[..., AuthorizedSession] = AuthorizedSession  # its constructor is untyped
            self._session = make(throw_away_credentials() if self._api_endpoint else _own_credentials())
        return self._session

    def _host(self, location: str) -> str:
        if self._api_endpoint:
            return self._api_endpoint.rstrip("/")
        if location == "global":
            return "https://aiplatform.googleapis.com"
        # As google-genai has them.
        multi = location in MULTI_REGIONS
        return (
            f"https://aiplatform.{location}.rep.googleapis.com"
            if multi
            else f"https://{location}-aiplatform.googleapis.com"
        )


def _own_credentials() -> credentials.Credentials:
    """The user's own. They are looked for as everywhere else."""
    default: Callable[..., tuple[credentials.Credentials, str | None]] = google.auth.default
    return default(scopes=_SCOPES)[0]


def _error(response: requests.Response) -> Tree:
    """The error in Google's form, or what there is of one."""
    try:
        tree = response.json()
    except ValueError:
        tree = None
    return tree if isinstance(tree, dict) else {"error": {"message": response.reason, "status": "UNKNOWN"}}
