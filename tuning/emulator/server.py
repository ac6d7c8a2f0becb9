"""The HTTP server of the emulator.

With it, every command can be tried or tested without an account:

    cliptune emulator --port 8085
    cliptune tune dataset --api_endpoint=http://127.0.0.1:8085

The emulator creates, gets, lists and cancels jobs, and deletes what they made. It reads the JSONL files of
a job (local paths, or gs:// through STORAGE_EMULATOR_HOST) and refuses what
Vertex AI is documented to refuse. A job moves one state on each time it is read.
The "tuned model" repeats the texts of its training recordings. For any other
recording it answers that it is an emulator, so that no answer can be mistaken
for a result. A scenario (`tuning.emulator.scenario`) adds faults.
"""

from __future__ import annotations

import functools
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from transforms.errors import StorageError, UserError
from transforms.storage import Storage
from tuning.emulator import bodies, scenario
from tuning.emulator.connections import Connection
from tuning.emulator.jobs import EmulatorError, Jobs
from tuning.emulator.model import answer
from tuning.emulator.resources import Resources
from tuning.emulator.scenario import STATUS_NAMES, Scenario, Stage

NOTICE = "this is an emulator of the tuning service: it trains nothing, costs nothing and predicts nothing"
# What Google's services answer where an API is not enabled.
DISABLED = {
    "error": {
        "code": 403,
        "message": "Vertex AI API has not been used in project 123 before or it is disabled. Enable it by visiting "
        "https://console.developers.google.com/apis/api/aiplatform.googleapis.com/overview?project=123 then retry.",
        "status": "PERMISSION_DENIED",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "SERVICE_DISABLED",
                "domain": "googleapis.com",
                "metadata": {"consumer": "projects/123", "service": "aiplatform.googleapis.com"},
            }
        ],
    }
}
_OWN_NAMES = ("127.0.0.1", "localhost", "[::1]")
# A proxy's form of a request line: http://HOST/PATH.
_ABSOLUTE = re.compile(r"/?(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*)://(?P<host>[^/?#]*)(?P<path>/.*)?")
_PARENT = "/{version}/projects/{project}/locations/{location}"
Tree = dict[str, Any]


class CutResponse(Response):
    """An answer that breaks off, because the server closes the connection in the middle."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends only the beginning of the answer."""
        headers = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"name": "proj', "more_body": True})


def application(
    state_uri: str | None = None, played: Scenario | None = None, storage: Storage = Storage()
) -> Starlette:
    """The ASGI application.

    Args:
      state_uri: file that keeps the jobs between two runs; None to forget them.
      played: the scenario; None for one without faults.
      storage: reads the training files, and keeps the jobs.
    """
    stage = Stage(played or Scenario())
    jobs = Jobs(state_uri, stage, storage)
    resources = Resources(jobs, stage)
    lock = threading.Lock()  # handlers run in threads and share the jobs
    held = bodies.Held()

    def guarded(
        method: str, handler: Callable[[Request, Tree], Tree], kind: type[bodies.Body] = bodies.Body
    ) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            try:
                with held.bodies() as more:
                    body = bodies.parse(await _content(request, more), kind)
                    respond = functools.partial(_answered, handler, request, body, lock)
                    return await run_in_threadpool(_played, stage, method, respond)
            except EmulatorError as fault:
                return _refusal(fault, last=True)

        return endpoint

    def create(request: Request, body: Tree) -> Tree:
        return jobs.create(_parent(request), body)

    def list_jobs(request: Request, body: Tree) -> Tree:
        query = request.query_params
        return jobs.page(_parent(request), bodies.size_of_page(query.get("pageSize")), query.get("pageToken") or "")

    def get(request: Request, body: Tree) -> Tree:
        return jobs.get(f"{_parent(request)}/tuningJobs/{request.path_params['job']}")

    def cancel(request: Request, body: Tree) -> Tree:
        return jobs.cancel(f"{_parent(request)}/tuningJobs/{request.path_params['job']}")

    def update(request: Request, body: Tree) -> Tree:
        return jobs.set_default_checkpoint(f"{_parent(request)}/models/{request.path_params['model']}", body)

    def generate(request: Request, body: Tree) -> Tree:
        model = f"{_parent(request)}/{request.path_params['model']}"
        return answer(*jobs.training(model), model, body, storage, stage.scenario)

    def count(request: Request, body: Tree) -> Tree:
        jobs.refuse_base(f"{_parent(request)}/{request.path_params['model']}")
        return {"totalTokens": 1, "totalBillableCharacters": 1}

    def of(change: Callable[..., Tree], kind: str, with_body: bool = False) -> Callable[[Request, Tree], Tree]:
        def handle(request: Request, body: Tree) -> Tree:
            name = f"{_parent(request)}/{kind}/{request.path_params['name']}"
            return change(name, body) if with_body else change(name)

        return handle

    async def control(request: Request) -> Response:
        if request.method == "PUT":
            try:
                with held.bodies() as more:
                    content = await _content(request, more)
                stage.play(scenario.parse(content, "of the request"))
            except (EmulatorError, UserError) as fault:
                return _refusal(EmulatorError(400, str(fault)))
        return JSONResponse(stage.as_dict())

    return Starlette(
        routes=[
            Route("/emulator", control, methods=["GET", "PUT"]),
            Route(f"{_PARENT}/tuningJobs", guarded("create", create, bodies.Create), methods=["POST"]),
            Route(f"{_PARENT}/tuningJobs", guarded("list", list_jobs), methods=["GET"]),
            Route(f"{_PARENT}/tuningJobs/{{job}}:cancel", guarded("cancel", cancel), methods=["POST"]),
            Route(f"{_PARENT}/tuningJobs/{{job}}", guarded("get", get), methods=["GET"]),
            Route(f"{_PARENT}/models/{{model}}", guarded("update", update, bodies.Update), methods=["PATCH"]),
            *(
                Route(f"{_PARENT}/{kind}/{{name}}{custom}", guarded(counted, of(change, kind, body)), methods=[method])
                for method, kind, custom, counted, change, body in (
                    ("GET", "models", ":listVersions", "read", resources.versions, False),
                    ("GET", "models", "", "read", resources.model, False),
                    ("GET", "endpoints", "", "read", resources.endpoint, False),
                    ("POST", "endpoints", ":undeployModel", "undeploy", resources.undeploy, True),
                    ("DELETE", "endpoints", "", "delete", resources.delete_endpoint, False),
                    ("DELETE", "models", ":deleteVersion", "delete", resources.delete_version, False),
                    ("DELETE", "models", "", "delete", resources.delete_model, False),
                    ("GET", "operations", "", "operation", resources.operation, False),
                )
            ),
            Route(
                f"{_PARENT}/{{model:path}}:countTokens",
                guarded("count", count, bodies.Generate),
                methods=["POST"],
            ),
            Route(
                f"{_PARENT}/{{model:path}}:generateContent",
                guarded("generate", generate, bodies.Generate),
                methods=["POST"],
            ),
        ],
        middleware=[Middleware(OwnRequests)],
        exception_handlers={HTTPException: _no_such_route},
    )


class OwnRequests:
    """Refuses what a web page of a stranger makes a browser send: the emulator reads this machine's files.

    A page of another site says so in Origin, Sec-Fetch-Site or Referer. A name of the page's that is made to lead to
    this machine stays in Host.

    Args:
      app: what answers all other requests.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 403, or hands the request on."""
        absolute = _ABSOLUTE.fullmatch(scope["path"]) if scope["type"] == "http" else None
        problem = _foreign(scope, absolute) if scope["type"] == "http" else ""
        if absolute is not None:
            scope = {**scope, "path": absolute["path"] or "/"}
        await (_refusal(EmulatorError(403, problem)) if problem else self._app)(scope, receive, send)


def _foreign(scope: Scope, absolute: re.Match[str] | None) -> str:
    """Why a request is not of this machine's own; "" if it is."""
    headers = Headers(scope=scope)
    host = headers.get("host", "").lower()
    # Whatever the port: a tunnel or a proxy on this machine has another one.
    named = [host] if absolute is None else [host, absolute["host"].lower()]
    if not all(re.sub(r":\d+$", "", name) in _OWN_NAMES for name in named):
        return "The emulator answers to no name but 127.0.0.1, [::1] and localhost."
    own = f"http://{host}"
    foreign = (
        any(origin.lower() != own for origin in headers.getlist("origin"))
        or any(not f"{page.lower()}/".startswith(f"{own}/") for page in headers.getlist("referer"))
        or any(site not in ("none", "same-origin") for site in headers.getlist("sec-fetch-site"))
    )
    return "The emulator answers no pages of other sites." if foreign else ""


async def _content(request: Request, more: Callable[[int], None]) -> bytes:
    """The body of a request, which may not fill the memory.

    Raises:
      EmulatorError: 400: it is too long. 503: too many are held.
    """
    told = request.headers.get("content-length", "")
    content = bytearray()
    if told.isdecimal() and int(told) > bodies.MAX_BYTES:
        raise bodies.too_long()
    async for part in request.stream():
        more(len(part))
        content += part
        if len(content) > bodies.MAX_BYTES:
            raise bodies.too_long()
    return bytes(content)


async def _no_such_route(request: Request, fault: Exception) -> Response:
    code = fault.status_code if isinstance(fault, HTTPException) else 404
    problem = f"{request.method} {request.url.path} was not found"
    return _refusal(EmulatorError(code if code in STATUS_NAMES else 404, problem))


def _parent(request: Request) -> str:
    return f"projects/{request.path_params['project']}/locations/{request.path_params['location']}"


def _played(stage: Stage, method: str, respond: Callable[[], Response]) -> Response:
    """The answer to a request, or the scenario's fault in its place."""
    fault = stage.fault(method)
    if stage.scenario.disabled:
        return JSONResponse(DISABLED, 403)
    if fault is None:
        return respond()
    stage.sleep(fault.delay)
    if fault.cut == "before":
        return CutResponse()
    if fault.status is not None:
        return _refusal(EmulatorError(fault.status, "The emulator's scenario says so."))
    response = respond()
    return CutResponse() if fault.cut == "after" else response


def _answered(handler: Callable[[Request, Tree], Tree], request: Request, body: Tree, lock: threading.Lock) -> Response:
    try:
        with lock:
            return JSONResponse(handler(request, body))
    except EmulatorError as fault:
        return _refusal(fault)
    except (StorageError, UserError) as fault:  # its own jobs cannot be kept
        return _refusal(EmulatorError(503, str(fault)))


def _refusal(fault: EmulatorError, last: bool = False) -> Response:
    """The refusal in Google's form; `last`: the rest of a request that was not read is not waited for."""
    status = fault.status or STATUS_NAMES[fault.code]
    headers = {"connection": "close"} if last else None
    tree = {"error": {"code": fault.code, "message": fault.message, "status": status}}
    return JSONResponse(tree, fault.code, headers)


@contextmanager
def running(
    state_uri: str | None = None, port: int = 0, played: Scenario | None = None, storage: Storage = Storage()
) -> Iterator[str]:
    """Serves on this machine only, in a thread, while the block runs.

    Args:
      state_uri: file that keeps the jobs between two runs; None to forget them.
      port: 0 for any free one.
      played: the scenario; None for one without faults.
      storage: reads the training files, and keeps the jobs.

    Yields:
      The server's URL.

    Raises:
      UserError: the port cannot be used.
    """
    try:
        # The port is bound before the server starts: it is then known, and early requests wait.
        listener = socket.create_server(("127.0.0.1", port))
    except OSError as fault:
        raise UserError(f"port {port} cannot be used: {fault}; choose another by --port") from None
    with listener:
        # "critical": an answer that the scenario cuts must not be logged as an error.
        app = application(state_uri, played, storage)
        # Its own configuration of logs fails where stdout is closed.
        config = uvicorn.Config(
            app, log_config=None, log_level="critical", lifespan="off", http=Connection, ws="none", access_log=False
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
