"""The example's DAG below Airflow's own services: what is killed goes on, and what a user ends is cancelled."""

import signal
import subprocess
import threading
import time
from contextlib import ExitStack

import httpx
import pytest

from tests.airflow import environments
from tests.airflow.test_dag import SUCCESS, far, jobs_of, service
from tests.conftest import free_port, wait_until_ready

__all__ = ["service"]  # a fixture
# A busy machine takes minutes to start four processes.
LIMIT_SECONDS = 420.0


class Services:
    """Airflow's processes on free ports, and its REST."""

    def __init__(self, airflow, stack):
        port, logs = free_port(), free_port()
        self.url = f"http://localhost:{port}"
        self.variables = airflow.variables(
            AIRFLOW__API__PORT=str(port),
            AIRFLOW__API__BASE_URL=self.url,
            AIRFLOW__API__WORKERS="1",
            AIRFLOW__CORE__EXECUTION_API_SERVER_URL=f"{self.url}/execution/",
            AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS="True",
            AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION="False",
            AIRFLOW__CORE__PARALLELISM="2",
            AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT=str(logs),
            AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT=str(free_port()),
            AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK="False",
            AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC="1",
            AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD="5",
        )
        self.folder, self.stack, self.running = airflow.folder, stack, {}

    def start(self, *names):
        for name in names:
            log = self.stack.enter_context((self.folder / f"{name}.log").open("a"))
            words = [str(environments.PYTHON), "-m", "airflow", name]
            process = subprocess.Popen(
                words, env=self.variables, cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )
            self.running[name] = self.stack.enter_context(process)
            self.stack.callback(self.end, process)

    def kill(self, *names):
        """As a machine that is gone."""
        for name in names:
            self.end(self.running.pop(name))

    def end(self, process):
        if process.poll() is None:
            subprocess.run(["kill", f"-{signal.SIGKILL.value}", "--", f"-{process.pid}"], check=True)
            process.wait()

    def open(self):
        wait_until_ready(f"{self.url}/api/v2/version", LIMIT_SECONDS)
        token = httpx.get(f"{self.url}/auth/token", timeout=60).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        self.rest = self.stack.enter_context(httpx.Client(base_url=f"{self.url}/api/v2", headers=headers, timeout=60))

    def ask(self, method, path, tree=None):
        answer = self.rest.request(method, path, json=tree)
        assert answer.is_success, (path, answer.text)
        return answer.json()

    def until(self, look, wanted):
        """Waits until something is as it should be."""
        deadline, pause = time.monotonic() + LIMIT_SECONDS, threading.Event()
        while (found := look()) != wanted:
            assert time.monotonic() < deadline, f"{found} is not {wanted}\n{self.told()}"
            pause.wait(1.0)

    def told(self):
        return "\n".join(f"{path.name}: {path.read_text()[-3_000:]}" for path in self.folder.glob("*.log"))

    def run(self, dag_id):
        """Begins a run, once the DAG has been read; its path."""
        self.until(lambda: self.rest.get(f"/dags/{dag_id}").status_code, 200)
        begun = self.ask("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": None})
        return f"/dags/{dag_id}/dagRuns/{begun['dag_run_id']}"

    def states(self, run):
        tasks = self.ask("GET", f"{run}/taskInstances")["task_instances"]
        return {task["task_id"]: task["state"] for task in tasks}

    def log(self, run, task, tries):
        answer = self.rest.get(f"{run}/taskInstances/{task}/logs/{tries}", headers={"Accept": "application/json"})
        return answer.text


@pytest.fixture
def services(airflow, fake):  # whose address is in the environment
    with ExitStack() as stack:
        yield Services(airflow, stack)


def test_what_is_killed_goes_on_and_what_a_user_ends_is_cancelled(airflow, services, fake, service):
    fake.mode = "hang"
    deadly = airflow.program(kills="-dies", parent=True)
    far(airflow, fake, service, CLIPTUNE=deadly)
    far(airflow, fake, service, dag_id="other", DATASET="gs://cliptune-test/other")
    services.start("api-server", "dag-processor", "scheduler", "triggerer")
    services.open()

    # The task's process dies with its command, after the job was accepted: the next try attaches, and waits deferred.
    run = services.run("cliptune")
    services.until(lambda: services.states(run)["prepare"], "deferred")
    prepare = services.ask("GET", f"{run}/taskInstances/prepare")
    (job_id,) = fake.jobs
    assert (prepare["try_number"] >= 2, (airflow.folder / "prepare.killed").exists()) == (True, True)
    page = f"https://console.cloud.google.com/dataflow/jobs/us-central1/{job_id}?project=test-project"
    links = services.ask("GET", f"{run}/taskInstances/prepare/links")["extra_links"]
    assert links == {"Dataflow job": page}

    # Scheduler and triggerer die, and are started again: the job is found at its end.
    services.kill("scheduler", "triggerer")
    services.start("scheduler", "triggerer")
    fake._run(job_id)
    services.until(lambda: services.ask("GET", run)["state"], "success")
    assert (services.states(run), len(fake.jobs), len(jobs_of(service))) == (SUCCESS, 1, 1)
    tune = services.ask("GET", f"{run}/taskInstances/tune")["try_number"]
    assert (tune >= 2, (airflow.folder / "tune.killed").exists()) == (True, True)
    assert f"job {job_id} is DONE" in services.log(run, "prepare", prepare["try_number"])

    # Who clears the task that pays gets the same job.
    cleared = {"dag_run_id": run.rpartition("/")[2], "task_ids": ["tune"], "include_downstream": True}
    services.ask("POST", "/dags/cliptune/clearTaskInstances", {**cleared, "dry_run": False, "only_failed": False})
    services.until(lambda: services.ask("GET", f"{run}/taskInstances/tune")["try_number"] > tune, True)
    services.until(lambda: services.ask("GET", run)["state"], "success")
    assert (services.states(run), len(jobs_of(service))) == (SUCCESS, 1)

    # Who marks a waiting task as failed cancels its job.
    other = services.run("other")
    services.until(lambda: services.states(other)["prepare"], "deferred")
    _, second = fake.jobs
    services.ask("PATCH", f"{other}/taskInstances/prepare", {"new_state": "failed"})
    services.until(lambda: fake.jobs[second]["currentState"], "JOB_STATE_CANCELLED")
