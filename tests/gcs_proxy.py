"""A proxy in front of the storage emulator: it adds what the emulator lacks, and breaks requests on demand.

Added, as the service documents them: preconditions, generations, pages of listings, the headers of a download, an
upload that goes on where it broke off, buckets that are forbidden, that ask who pays, or that want a newer sign-in.
"""

import contextlib
import http.client
import json
import re
import socket
import struct
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit

FAULTS = ("503", "429", "reset", "stall", "short body", "flipped byte", "lost answer")
_OBJECT = re.compile(r"(?:/upload|/download)?/storage/v1/b/([^/]+)/o(?:/(.+?)(/compose)?)?")
READER = "reader@project.iam.gserviceaccount.com"
# What the service says, by bucket.
REFUSALS = {
    "forbidden": (403, f"{READER} does not have storage.objects.get access to the Google Cloud Storage object."),
    "anonymous": (403, "Anonymous caller does not have storage.objects.get access to the Google Cloud Storage object."),
    "signed-out": (401, "Request had invalid authentication credentials."),
}
NO_PAYER = (400, "Bucket is a requester pays bucket but no user project provided.")


@dataclass(frozen=True)
class Request:
    """What came from a client."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def query(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.target).query).items()}

    @property
    def place(self) -> tuple[str, str]:
        """Bucket and object."""
        found = _OBJECT.fullmatch(urlsplit(self.target).path)
        return (found.group(1), unquote(found.group(2) or "")) if found else ("", "")

    @property
    def is_media(self) -> bool:
        """Whether it carries an object's bytes up."""
        return self.query.get("uploadType") == "multipart" or (self.method == "PUT" and "upload_id" in self.query)

    @property
    def uploads(self) -> str:
        """The name of the object whose upload this begins; "" for other requests."""
        kind = self.query.get("uploadType")
        if kind == "multipart":
            return str(json.loads(self.body.split(b"\r\n\r\n", 1)[1].split(b"\r\n", 1)[0])["name"])
        begins = kind == "resumable" and "upload_id" not in self.query
        return str(json.loads(self.body)["name"]) if begins else ""


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Upload:
    """An upload in parts, by its id."""

    name: str
    received: int = 0
    end: Answer | None = None


class Proxy:
    """Serves on `address` until it is stopped.

    Attributes:
      seen: the requests since the last `calm`.
      faults: the fault of the nth of them.
      fired: the faults that happened.
      page_size: most names in one page of a listing.
      refusals: status and message of buckets that refuse everything.
      watch: called with "before" or "after" and each request; the request is lost if it says so before.
    """

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream).netloc
        self.uploads: dict[str, Upload] = {}
        self.refusals = dict(REFUSALS)
        self.lock = threading.RLock()
        self.calm()
        self.server = _Server(("127.0.0.1", 0), self)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def calm(self, page_size: int = 1_000) -> None:
        self.seen: list[Request] = []
        self.faults: dict[int, str] = {}
        self.fired: list[str] = []
        self.page_size = page_size
        self.watch: Callable[[str, Request], bool | None] = lambda moment, request: False

    def settle(self) -> None:
        """Waits for the end of every request, those of clients that are gone among them."""
        with self.server.served:
            self.server.served.wait_for(lambda: not self.server.connections)

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def next_fault(self, request: Request) -> str:
        with self.lock:
            self.seen.append(request)
            return self.faults.get(len(self.seen) - 1, "")

    def answer(self, request: Request) -> Answer:
        bucket, name = request.place
        refusal = self.refusals.get(bucket)
        if bucket == "pays" and request.query.get("userProject") != "payer" and "upload_id" not in request.query:
            refusal = NO_PAYER
        if refusal:
            return _error(*refusal)
        with self.lock:  # a precondition and what depends on it are one step
            if not self._as_expected(request, bucket, request.uploads or name):
                return _error(412, "At least one of the pre-conditions you specified did not hold.")
            if request.method == "PUT" and "upload_id" in request.query:
                return self._part(request, bucket)
            answer = self._forward(request)
            if request.query.get("uploadType") == "resumable" and answer.status == 200:
                upload_id = parse_qs(urlsplit(answer.headers["Location"]).query)["upload_id"][0]
                self.uploads[upload_id] = Upload(request.uploads)
        if request.query.get("alt") == "media" and answer.status in (200, 206):
            return self._with_headers(answer, self._resource(bucket, name))
        if request.method == "GET" and bucket and not name and answer.status == 200:
            return self._page(request, json.loads(answer.body))
        return answer

    def _as_expected(self, request: Request, bucket: str, name: str) -> bool:
        wanted = request.query.get("ifGenerationMatch")
        return wanted is None or not name or self._resource(bucket, name).get("generation", "0") == wanted

    def _resource(self, bucket: str, name: str) -> dict[str, str]:
        answer = self._forward(Request("GET", f"/storage/v1/b/{bucket}/o/{quote(name, safe='')}", {}, b""))
        tree: dict[str, str] = json.loads(answer.body) if answer.status == 200 else {}
        return tree

    def _part(self, request: Request, bucket: str) -> Answer:
        """A part of an upload: what the service has already is left out, and the end can be told again."""
        upload = self.uploads[request.query["upload_id"]]
        if upload.end is not None:
            return upload.end
        first, last, total = map(int, re.findall(r"\d+", request.headers["content-range"]))
        if last + 1 == total and not self._as_expected(request, bucket, upload.name):
            return _error(412, "At least one of the pre-conditions you specified did not hold.")
        fresh = request.body[upload.received - first :]
        if not fresh:
            return Answer(308, headers={"Range": f"bytes=0-{upload.received - 1}"})
        headers = {**request.headers, "content-range": f"bytes {upload.received}-{last}/{total}"}
        upload.received = last + 1
        answer = self._forward(Request("PUT", request.target, headers, fresh))
        upload.end = answer if answer.status != 308 else None
        return answer

    def _with_headers(self, answer: Answer, resource: dict[str, str]) -> Answer:
        added = {"X-Goog-Generation": resource["generation"], "X-Goog-Stored-Content-Length": resource["size"]}
        if "contentEncoding" in resource:
            added["Content-Encoding"] = resource["contentEncoding"]
        return Answer(answer.status, answer.body, {**answer.headers, **added})

    def _page(self, request: Request, tree: dict[str, list[dict[str, str]]]) -> Answer:
        items = sorted(tree.get("items", []), key=lambda item: item["name"])
        start = int(request.query.get("pageToken", 0))
        end = start + min(self.page_size, int(request.query.get("maxResults", 1_000)))
        more = {"nextPageToken": str(end)} if end < len(items) else {}
        return Answer(200, json.dumps({"items": items[start:end], **more}).encode())

    def _forward(self, request: Request) -> Answer:
        bucket, name = request.place
        wanted = request.query.get("generation")
        if wanted is not None and self._resource(bucket, name).get("generation") != wanted:
            return _error(404, f"No such object: {bucket}/{name}")
        connection = http.client.HTTPConnection(self.upstream)
        with contextlib.closing(connection):
            connection.request(request.method, request.target, request.body, request.headers)
            response = connection.getresponse()
            return Answer(response.status, response.read(), dict(response.getheaders()))


def _error(status: int, message: str) -> Answer:
    tree = {"error": {"code": status, "message": message, "errors": [{"message": message}]}}
    return Answer(status, json.dumps(tree).encode())


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], proxy: Proxy) -> None:
        super().__init__(address, _Handler)
        self.proxy = proxy
        self.cut: set[object] = set()
        self.connections: set[object] = set()
        self.served = threading.Condition()

    def process_request(self, request, client_address):
        with self.served:
            self.connections.add(request)
        super().process_request(request, client_address)

    def handle_error(self, request, client_address):
        """Clients are killed, and give up: that is no news here."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def shutdown_request(self, request):
        if request in self.cut:
            self.cut.discard(request)
            self.close_request(request)  # at once: the client sees a reset
        else:
            super().shutdown_request(request)
        with self.served:
            self.connections.discard(request)
            self.served.notify_all()


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, format, *args):
        pass

    def _serve(self):
        proxy = self.server.proxy
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        skipped = {"connection", "content-length"}
        headers = {name.lower(): value for name, value in self.headers.items() if name.lower() not in skipped}
        request = Request(self.command, self.path, headers, body)
        fault = proxy.next_fault(request)
        if proxy.watch("before", request) or fault == "reset":
            return self._cut(fault)
        if fault in ("503", "429"):
            proxy.fired.append(fault)
            return self._send(Answer(int(fault), _error(int(fault), "try later").body, {"Retry-After": "1"}))
        if fault == "stall":
            proxy.fired.append(fault)
            self.connection.recv(1)  # until the client gives up
            return None
        if fault == "flipped byte" and request.is_media:
            proxy.fired.append(fault)
            request = Request(self.command, self.path, headers, _flipped(body, len(body) // 2))
        answer = proxy.answer(request)
        proxy.watch("after", request)
        if fault == "lost answer":
            return self._cut(fault)
        if fault == "flipped byte" and answer.body and not request.is_media:
            proxy.fired.append(fault)
            answer = Answer(answer.status, _flipped(answer.body, 0), answer.headers)
        if fault == "short body" and answer.body:
            proxy.fired.append(fault)
            return self._send(answer, len(answer.body) // 2)
        return self._send(answer)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _serve

    def _cut(self, fault):
        self.server.proxy.fired.append(fault)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.server.cut.add(self.connection)

    def _send(self, answer, length=None):
        with contextlib.suppress(ConnectionError):  # the client may have stopped reading
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in ("content-length", "date", "server"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body[:length])


def _flipped(content, index):
    return content[:index] + bytes([content[index] ^ 1]) + content[index + 1 :]
