"""A local stand-in for Vertex AI's tuning service. It trains nothing.

For trying the whole path, and for continuous integration, without an account:

    python -m tuning.emulator --port 8085
    cliptune tune dataset --api_endpoint=http://127.0.0.1:8085

It creates, gets, lists and cancels jobs, reads the JSONL files it is pointed at
(local paths, or gs:// through STORAGE_EMULATOR_HOST), and refuses what Vertex
documents as refused. Every question about a job moves it one state on. Its
"tuned model" repeats the text of recordings it was trained on and says of all
others that it is an emulator: what it answers can never pass for a result.
"""

from __future__ import annotations

import argparse
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tuning.emulated_jobs import EmulatorError, Jobs
from tuning.emulated_model import answer

NOTICE = "this is an emulator of the tuning service: it trains nothing, costs nothing and predicts nothing"
_PARENT = "/{version}/projects/{project}/locations/{location}"


def application(state_uri: str | None = None) -> Starlette:
    """The ASGI application.

    Args:
      state_uri: a file that keeps the jobs between two runs; None to forget them.
    """
    jobs = Jobs(state_uri)
    lock = threading.Lock()  # handlers run in threads

    def guarded(handler: Callable[[Request, Any], dict[str, Any]]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> JSONResponse:
            body = await request.json() if await request.body() else {}
            return await run_in_threadpool(_answered, handler, request, body, lock)

        return endpoint

    def create(request: Request, body: dict[str, Any]) -> dict[str, Any]:
        return jobs.create(_parent(request), body)

    def list_jobs(request: Request, body: dict[str, Any]) -> dict[str, Any]:
        query = request.query_params
        return jobs.page(_parent(request), int(query.get("pageSize") or 100), query.get("pageToken") or "")

    def get(request: Request, body: dict[str, Any]) -> dict[str, Any]:
        return jobs.get(f"{_parent(request)}/tuningJobs/{request.path_params['job']}")

    def cancel(request: Request, body: dict[str, Any]) -> dict[str, Any]:
        return jobs.cancel(f"{_parent(request)}/tuningJobs/{request.path_params['job']}")

    def generate(request: Request, body: dict[str, Any]) -> dict[str, Any]:
        model = f"{_parent(request)}/{request.path_params['model']}"
        return answer(*jobs.training(model), model, body)

    return Starlette(
        routes=[
            Route(f"{_PARENT}/tuningJobs", guarded(create), methods=["POST"]),
            Route(f"{_PARENT}/tuningJobs", guarded(list_jobs), methods=["GET"]),
            Route(f"{_PARENT}/tuningJobs/{{job}}:cancel", guarded(cancel), methods=["POST"]),
            Route(f"{_PARENT}/tuningJobs/{{job}}", guarded(get), methods=["GET"]),
            Route(f"{_PARENT}/{{model:path}}:generateContent", guarded(generate), methods=["POST"]),
        ]
    )


def _parent(request: Request) -> str:
    return f"projects/{request.path_params['project']}/locations/{request.path_params['location']}"


def _answered(
    handler: Callable[[Request, Any], dict[str, Any]], request: Request, body: dict[str, Any], lock: threading.Lock
) -> JSONResponse:
    try:
        with lock:
            return JSONResponse(handler(request, body))
    except EmulatorError as fault:
        error = {"code": fault.code, "message": fault.message, "status": fault.status}
        return JSONResponse({"error": error}, fault.code)


@contextmanager
def running(state_uri: str | None = None, port: int = 0) -> Iterator[str]:
    """Serves on this machine only, in a thread, while the body runs.

    Yields:
      The server's URL.
    """
    # Bound here, so that the port is known and requests wait until the server is up.
    with socket.create_server(("127.0.0.1", port)) as listener:
        server = uvicorn.Server(uvicorn.Config(application(state_uri), log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def main() -> int:
    """Serves until it is interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m tuning.emulator", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=8085, help="default: %(default)s; 0 for any free one")
    parser.add_argument("--state_file", help="keep the jobs in this file between two runs")
    args = parser.parse_args()
    with running(args.state_file, args.port) as url:
        print(f"{url}\n{NOTICE}; Ctrl-C stops it", file=sys.stderr)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
