"""The worker of the fake Dataflow: a file of its own, which runs in an environment where only Beam is installed.

python worker.py fetch JOB.json FOLDER     downloads what the launcher has staged
python worker.py run JOB.json FOLDER       executes the staged pipeline, and prints what was counted as JSON
"""

import json
import os
import sys
import urllib.parse
import urllib.request
from pathlib import Path


def fetch(job, folder):
    """Downloads the packages and the pipeline, by the names that the job gives them."""
    pool = job["environment"]["workerPools"][0]
    places = {package["name"]: package["location"] for package in pool.get("packages", ())}
    options = job["environment"]["sdkPipelineOptions"]["options"]
    for name, place in {**places, "pipeline.pb": options["pipelineUrl"]}.items():
        (folder / name).write_bytes(download(place.removeprefix("storage.googleapis.com/").removeprefix("gs://")))


def download(path):
    """The contents of an object in the emulator."""
    bucket, _, name = path.partition("/")
    quoted = urllib.parse.quote(name, safe="")
    url = f"{os.environ['STORAGE_EMULATOR_HOST']}/download/storage/v1/b/{bucket}/o/{quoted}?alt=media"
    with urllib.request.urlopen(url) as answer:
        return answer.read()


def run(job, folder):
    """Executes the pipeline. The container becomes this process; all else is as it was staged."""
    from apache_beam.options.pipeline_options import PipelineOptions  # noqa: PLC0415 -- not there to fetch
    from apache_beam.portability import python_urns  # noqa: PLC0415 -- not there to fetch
    from apache_beam.portability.api import beam_runner_api_pb2  # noqa: PLC0415 -- not there to fetch
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner  # noqa: PLC0415 -- not there to fetch

    pipeline = beam_runner_api_pb2.Pipeline.FromString((folder / "pipeline.pb").read_bytes())
    for environment in pipeline.components.environments.values():
        environment.urn, environment.payload = python_urns.EMBEDDED_PYTHON, b""
        del environment.dependencies[:]
    result = FnApiRunner().run_via_runner_api(pipeline, PipelineOptions([]))
    result.wait_until_finish()
    found = result.metrics().query()
    counted = [
        *(
            {"name": each.key.metric.name, "namespace": each.key.metric.namespace, "scalar": each.result}
            for each in found["counters"]
        ),
        *(
            {
                "name": each.key.metric.name,
                "namespace": each.key.metric.namespace,
                "distribution": {
                    "count": each.result.count,
                    "sum": each.result.sum,
                    "min": each.result.min,
                    "max": each.result.max,
                },
            }
            for each in found["distributions"]
            if each.result is not None
        ),
    ]
    print(json.dumps(counted))


if __name__ == "__main__":
    verb, job_file, where = sys.argv[1:]
    {"fetch": fetch, "run": run}[verb](json.loads(Path(job_file).read_text(encoding="utf-8")), Path(where))
