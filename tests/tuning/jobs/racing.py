"""A process that submits a request when it is told to: `python -m tests.tuning.jobs.racing`.

It says "ready", waits for a line, and says which job it got.
"""

from __future__ import annotations

import json
import sys

from transforms import records
from transforms.storage import Storage
from tuning import dataset
from tuning.jobs import submit
from tuning.jobs.clock import Clock
from tuning.jobs.submit import Patience
from tuning.providers.base import TuningRequest
from tuning.providers.vertex.tuner import VertexTuner


def main() -> None:
    told = json.loads(sys.argv[1])
    prepared = dataset.load(told["dataset"], Storage())
    request = records.convert(told["request"], TuningRequest)
    tuner = VertexTuner(request.project, request.location, told["url"])
    list(tuner.jobs())  # the client is made, and its connection
    print("ready", flush=True)
    sys.stdin.readline()
    impatient = Patience(clock=Clock(sleep=lambda seconds: None))
    print(submit.submit_once(tuner, request, prepared, lambda line: None, impatient).name, flush=True)


if __name__ == "__main__":
    main()
