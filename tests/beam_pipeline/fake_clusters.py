"""A JobManager's REST interface and a job server: they know what a test says, and remember what they are asked for."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from apache_beam.portability.api import beam_job_api_pb2 as api
from apache_beam.portability.api import beam_job_api_pb2_grpc
from apache_beam.runners.job import utils
from google.protobuf import json_format

# Three clips, as Flink tells what has been counted.
COUNTED = {
    "metrics": {
        "attempted": [
            {
                "urn": "beam:metric:user:sum_int64:v1",
                "type": "beam:metrics:sum_int64:v1",
                "payload": "Aw==",
                "labels": {"NAMESPACE": "cliptune", "NAME": "clips_reused", "PTRANSFORM": "WriteShards"},
            }
        ]
    }
}


class JobManager:
    """Flink's.

    Attributes:
      jobs: by id; each a dict with "name", a list of "states" (the last one stays), "config" and "cause".
      cancelled: ids.
      fails: answers that are errors, before it answers at all.
      address: HOST:PORT.
    """

    address = ""

    def __init__(self):
        self.jobs, self.cancelled, self.fails = {}, [], 0

    def add(self, job, name, *states, config="", cause=""):
        self.jobs[job] = {"name": name, "states": list(states), "config": config, "cause": cause}

    def answer(self, path):
        _, _, *rest = path.split("/")
        if rest == ["overview"]:
            return {"jobs": [{"jid": job, "name": at["name"], "state": _next(at)} for job, at in self.jobs.items()]}
        job = self.jobs[rest[0]]
        return {
            "": lambda: {"state": _next(job)},
            "config": lambda: {"execution-config": {"user-config": {"cliptuneRequest": job["config"]}}},
            "exceptions": lambda: {"root-exception": job["cause"]},
            "accumulators": lambda: {
                "user-task-accumulators": [{"name": "__metricscontainers", "value": json.dumps(COUNTED)}]
            },
        }["".join(rest[1:])]()


def _next(job):
    return job["states"].pop(0) if len(job["states"]) > 1 else job["states"][0]


@contextmanager
def job_manager():
    """One that answers at `address`, an attribute, until the block ends."""
    manager = JobManager()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            manager.fails -= manager.fails > 0
            try:
                self._send(503 if manager.fails else 200, {} if manager.fails else manager.answer(self.path))
            except KeyError:
                self._send(404, {"errors": ["no such job"]})

        def do_PATCH(self):
            manager.cancelled.append(self.path.rpartition("/")[2])
            manager.jobs[manager.cancelled[-1]]["states"] = ["CANCELLING", "CANCELED"]
            self._send(202, {})

        def _send(self, status, tree):
            body = json.dumps(tree).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    manager.address = f"127.0.0.1:{server.server_port}"
    try:
        yield manager
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class JobServer(beam_job_api_pb2_grpc.JobServiceServicer):
    """Of a cluster of any kind.

    Attributes:
      infos: what it tells of its jobs.
      ends: states in which they end.
      cancelled: ids.
    """

    def __init__(self):
        self.infos, self.ends, self.cancelled = [], {}, []

    def add(self, job, name, state="RUNNING", end="DONE", **options):
        known = utils.dict_to_struct({f"beam:option:{key}:v1": value for key, value in options.items()})
        number = api.JobState.Enum.Value(state)
        self.infos.append(api.JobInfo(job_id=job, job_name=name, state=number, pipeline_options=known))
        self.ends[job] = api.JobState.Enum.Value(end)

    def GetJobs(self, request, context):
        return api.GetJobsResponse(job_info=self.infos)

    def GetStateStream(self, request, context):
        yield api.JobStateEvent(state=api.JobState.RUNNING)
        yield api.JobStateEvent(state=self.ends[request.job_id])

    def GetMessageStream(self, request, context):
        said = api.JobMessage(message_text="why\nit ended", importance=api.JobMessage.JOB_MESSAGE_ERROR)
        yield api.JobMessagesResponse(message_response=said)

    def GetJobMetrics(self, request, context):
        return json_format.ParseDict(COUNTED, api.GetJobMetricsResponse())

    def Cancel(self, request, context):
        self.cancelled.append(request.job_id)
        return api.CancelJobResponse(state=api.JobState.CANCELLED)


@contextmanager
def job_server(servicer=None):
    """One that answers at `address`, an attribute, until the block ends."""
    servicer = servicer or JobServer()
    server = grpc.server(ThreadPoolExecutor(4))
    servicer.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    beam_job_api_pb2_grpc.add_JobServiceServicer_to_server(servicer, server)
    server.start()
    try:
        yield servicer
    finally:
        server.stop(None).wait()
