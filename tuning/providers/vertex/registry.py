"""What tuning jobs leave on Vertex AI: models with versions, and the endpoints at which these are deployed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transforms.errors import ServiceError
from tuning.providers.base import Deployed
from tuning.providers.vertex.rest import Rest, Tree

# A deletion takes seconds, an undeployment a minute or two.
POLL_SECONDS = 2.0
MAX_POLLS = 300


class VertexRegistry:
    """`Registry` of all locations: each name says its own.

    Args:
      api_endpoint: URL of another server, which gets throw-away credentials; None for Google's servers.
      sleep: waits between two looks at an operation.
    """

    def __init__(self, api_endpoint: str | None, sleep: Callable[[float], None]) -> None:
        self._rest = Rest(api_endpoint)
        self._sleep = sleep

    def deployed(self, endpoint: str) -> tuple[Deployed, ...] | None:
        """What is deployed at an endpoint; None if there is no such endpoint."""
        tree = self._found(endpoint)
        if tree is None:
            return None
        return tuple(
            Deployed(str(one.get("id", "")), str(one.get("model", "")), str(one.get("modelVersionId", "")))
            for one in _trees(tree.get("deployedModels"), endpoint)
        )

    def versions(self, model: str) -> tuple[str, ...] | None:
        """The versions of a model; None if there is no such model."""
        versions: list[str] = []
        query: dict[str, str] = {}
        while True:
            try:
                page = self._rest.request("GET", f"{model}:listVersions", f"read the versions of {model}", query=query)
            except ServiceError as fault:
                if fault.missing:
                    return None
                raise
            versions += [str(one.get("versionId", "")) for one in _trees(page.get("models"), model)]
            token = page.get("nextPageToken")
            if not token or query == {"pageToken": str(token)}:
                break
            query = {"pageToken": str(token)}
        if not versions:  # a model has one at least: without, nobody knows what would be deleted
            raise ServiceError(f"cannot read the versions of {model}: the answer names none")
        return tuple(versions)

    def undeploy(self, endpoint: str, deployed: Deployed) -> None:
        """Takes a model off an endpoint."""
        body = {"deployedModelId": deployed.number}
        self._carried_out("POST", f"{endpoint}:undeployModel", f"undeploy {deployed.model} from {endpoint}", body)

    def delete_endpoint(self, endpoint: str) -> None:
        """Deletes an endpoint at which nothing is deployed."""
        self._carried_out("DELETE", endpoint, f"delete {endpoint}")

    def delete_model(self, model: str) -> None:
        """Deletes a model with all its versions."""
        self._carried_out("DELETE", model, f"delete {model}")

    def delete_version(self, model: str, version: str) -> None:
        """Deletes one version of a model that has others."""
        name = f"{model}@{version}"
        self._carried_out("DELETE", f"{name}:deleteVersion", f"delete {name}")

    def _found(self, name: str) -> Tree | None:
        try:
            return self._rest.request("GET", name, f"read {name}")
        except ServiceError as fault:
            if fault.missing:
                return None
            raise

    def _carried_out(self, method: str, name: str, action: str, body: Tree | None = None) -> None:
        """Sends a request and waits for its operation. What is missing is done already.

        Raises:
          ServiceError: the service refused, or the operation ended with an error or not at all.
        """
        try:
            operation = self._rest.request(method, name, action, body)
        except ServiceError as fault:
            if fault.missing:
                return
            raise
        for _ in range(MAX_POLLS):
            if operation.get("done"):
                _refuse_failed(operation.get("error"), action)
                return
            self._sleep(POLL_SECONDS)
            operation = self._rest.request("GET", str(operation.get("name", "")), f"wait until it could {action}")
        minutes = MAX_POLLS * POLL_SECONDS / 60
        raise ServiceError(f"cannot {action}: the service has not ended it in {minutes:.0f} min", True)


def _refuse_failed(error: object, action: str) -> None:
    if isinstance(error, dict):
        text = " ".join(str(error.get("message") or "no message").split())[:500]
        raise ServiceError(f"cannot {action}: {text}")


def _trees(found: Any, name: str) -> list[Tree]:  # noqa: ANN401 -- JSON of a service
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise ServiceError(f"cannot read {name}: the answer is not that of the tuning service")
    return found
