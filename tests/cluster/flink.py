"""A Flink cluster: a JobManager with Beam's job server, and workers, each with a TaskManager and a pool for Python."""

from __future__ import annotations

import json
import socket
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.cluster import fetch, machines, page
from tests.cluster.machines import Machine
from tests.cluster.services import Service, until

REST_PORT, JOB_PORT, ARTIFACT_PORT, POOL_PORT = 8081, 8099, 8098, 50000
SLOTS = 2 // len(machines.WORKERS)  # of a TaskManager, so that the page's command takes all there are: all work
# What Flink's own scripts add for Java 17.
_OPENED = (
    *("lang", "net", "io", "nio", "lang.reflect", "text", "time", "util"),
    *("util.concurrent", "util.concurrent.atomic", "util.concurrent.locks"),
)
_JAVA = (
    "java",
    *("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),  # short lives on few cores
    *(f"--add-opens=java.base/java.{module}=ALL-UNNAMED" for module in _OPENED),
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-exports=java.base/sun.net.util=ALL-UNNAMED",
    *("-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.log.org.apache.pekko=warn"),
)
# Flink is started without its scripts, which work out the sizes of memory: each is given.
_SETTINGS: Mapping[str, str | int] = {
    "jobmanager.rpc.address": machines.HERE,
    "jobmanager.memory.heap.size": "384m",
    "taskmanager.cpu.cores": "1.0",
    "taskmanager.numberOfTaskSlots": SLOTS,
    "taskmanager.memory.framework.heap.size": "128m",
    "taskmanager.memory.framework.off-heap.size": "64m",
    "taskmanager.memory.task.heap.size": "256m",
    "taskmanager.memory.task.off-heap.size": "0m",
    "taskmanager.memory.managed.size": "128m",
    "taskmanager.memory.jvm-metaspace.size": "256m",
    "taskmanager.memory.jvm-overhead.min": "64m",
    "taskmanager.memory.jvm-overhead.max": "64m",
    "taskmanager.memory.network.min": "128m",
    "taskmanager.memory.network.max": "128m",
    "rest.address": machines.HERE,
    "rest.port": REST_PORT,
    "classloader.resolve-order": "parent-first",
    "classloader.check-leaked-classloader": "false",
    # Who has died is noticed in seconds.
    "heartbeat.interval": 1000,
    "heartbeat.timeout": 10000,
    "restart-strategy.type": "fixed-delay",
    # Longer than a pool takes to start again.
    "restart-strategy.fixed-delay.attempts": 10,
    "restart-strategy.fixed-delay.delay": "3 s",
}


class Cluster:
    """The services, and what Flink's REST interface says of them.

    Attributes:
      job_manager, job_server: on this machine.
      task_managers, pools: by worker.
    """

    def __init__(self, folder: Path, places: Mapping[str, Machine]) -> None:
        logs, config, temporary = folder / "logs", folder / "config", folder / "tmp"
        for each in (logs, config, temporary):
            each.mkdir(parents=True)
        settings = {**_SETTINGS, "io.tmp.dirs": str(temporary)}
        (config / "config.yaml").write_text("".join(f'{key}: "{value}"\n' for key, value in settings.items()))
        java = [*_JAVA, f"-Djava.io.tmpdir={temporary}"]
        flink = [*java, "-cp", str(page.JAR)]
        runtime = "org.apache.flink.runtime"

        (_, *server), _ = page.commands(page.WITH_A_SERVER)
        *_, pool = page.commands(page.ON_WORKERS)
        self.job_manager = Service(
            "jobmanager",
            [*flink, f"{runtime}.entrypoint.StandaloneSessionClusterEntrypoint", "--configDir", str(config)],
            logs,
        )
        self.job_server = Service("jobserver", [*java, *server], logs)
        self.task_managers, self.pools = {}, {}
        for name, place in places.items():
            named = ["-D", f"taskmanager.resource-id={name}", "-D", f"taskmanager.host={place.address}"]
            runner = [*flink, f"{runtime}.taskexecutor.TaskManagerRunner", "--configDir", str(config), *named]
            self.task_managers[name] = Service(f"taskmanager-{name}", [*place.enter, *runner], logs)
            self.pools[name] = Service(f"pool-{name}", [*place.enter, *pool], logs, fetch.workers_environment())
        self.places = places

    @property
    def services(self) -> list[Service]:
        """All of them."""
        return [self.job_manager, *self.task_managers.values(), *self.pools.values(), self.job_server]

    def start(self) -> None:
        """Starts what does not run, and waits until Flink has all its slots and every server answers."""
        for service in self.services:
            if not service.is_alive():
                service.start()
        until(self.is_whole, "the cluster is not whole")

    def is_whole(self) -> bool:
        """Whether every service is there and nothing else, by what Flink and the ports say."""
        ended = [service.name for service in self.services if not service.is_alive()]
        assert not ended, f"{ended} ended"
        try:
            found = self.ask("/taskmanagers")["taskmanagers"]
        except OSError:
            return False  # the JobManager is still starting
        free = sorted(manager["id"] for manager in found if manager["freeSlots"] == manager["slotsNumber"] == SLOTS)
        pools = [(place.address, POOL_PORT) for place in self.places.values()]
        servers = [("localhost", JOB_PORT), ("localhost", ARTIFACT_PORT), *pools]
        return free == sorted(self.task_managers) and len(found) == len(free) and all(map(answers, servers))

    def pythons(self) -> dict[str, set[int]]:
        """What each worker's pool has started, dead ones too."""
        return {name: pool.children() for name, pool in self.pools.items()}

    def ask(self, path: str, method: str = "GET") -> Any:
        """What Flink's REST interface answers.

        Raises:
          OSError: it does not.
        """
        request = urllib.request.Request(f"http://{machines.HERE}:{REST_PORT}{path}", method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def jobs(self) -> dict[str, dict[str, Any]]:
        """The jobs of this JobManager by id, the oldest first: with "name" and "state"."""
        jobs = sorted(self.ask("/jobs/overview")["jobs"], key=lambda job: job["start-time"])
        return {job["jid"]: job for job in jobs}

    def last_job(self) -> str:
        """The id of the youngest job."""
        return [*self.jobs()][-1]

    def subtasks(self, job: str) -> list[dict[str, Any]]:
        """What each worker has done of a job: with "vertex", "taskmanager-id", "attempt" and "metrics"."""
        return [
            {"vertex": vertex["name"], **subtask}
            for vertex in self.ask(f"/jobs/{job}")["vertices"]
            for subtask in self.ask(f"/jobs/{job}/vertices/{vertex['id']}")["subtasks"]
        ]

    def failures(self, job: str) -> list[str]:
        """For what Flink has begun the job again, or ended it."""
        return [entry["exceptionName"] for entry in self.ask(f"/jobs/{job}/exceptions")["exceptionHistory"]["entries"]]

    def wait_for(self, job: str, state: str) -> None:
        """Waits until a job is "FINISHED" or "CANCELED"."""
        until(lambda: self.jobs()[job]["state"] == state, f"the job is not {state}")

    def cancel(self, job: str) -> None:
        """Ends a job as the page says, and waits until it has ended."""
        *_, (*words, address) = page.commands(page.DYING)
        assert (words, address) == (["curl", "-X", "PATCH"], f"http://{machines.HERE}:{REST_PORT}/jobs/JOB_ID")
        self.ask(f"/jobs/{job}", "PATCH")
        self.wait_for(job, "CANCELED")


def answers(address: tuple[str, int]) -> bool:
    """Whether something listens there."""
    try:
        socket.create_connection(address, 1).close()
    except OSError:
        return False
    return True


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """A cluster that is whole, on machines of its own, and ends with the block.

    Args:
      folder: for its logs and files.
    """
    with machines.joined() as places:
        cluster = Cluster(folder, places)
        try:
            cluster.start()
            yield cluster
        finally:
            for service in cluster.services:
                service.stop()
