"""A small cluster for the tests: Beam's job server and a pool of two worker processes, reached through gRPC.

    python -m tests.beam_pipeline.portable STAGING_FOLDER

prints the addresses of both, and serves until its stdin ends.
"""

import sys

import grpc
from apache_beam.portability.api import beam_fn_api_pb2_grpc
from apache_beam.runners.portability import local_job_service
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer
from apache_beam.utils.thread_pool_executor import shared_unbounded_instance

WORKERS = 2


class _TwoWorkers(fn_runner.FnApiRunner):
    """The stock service has one worker and no option for more."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._num_workers = WORKERS


def _worker_pool() -> tuple[grpc.Server, str]:
    """Starts worker processes on request, as long as the server is kept.

    Unlike the stock pool's server, this one listens on this machine only.
    """
    server = grpc.server(shared_unbounded_instance())
    port = server.add_insecure_port("127.0.0.1:0")
    pool = BeamFnExternalWorkerPoolServicer(use_process=True)
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    server.start()
    return server, f"127.0.0.1:{port}"


def main(staging: str) -> None:
    """Serves until stdin ends."""
    fn_runner.FnApiRunner = _TwoWorkers
    service = local_job_service.LocalJobServicer(staging)
    port = service.start_grpc_server(0)
    pool, address = _worker_pool()
    print(f"localhost:{port}", address, flush=True)
    sys.stdin.read()
    service.stop()
    pool.stop(0)


if __name__ == "__main__":
    main(sys.argv[1])
