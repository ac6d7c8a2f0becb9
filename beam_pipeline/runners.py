"""The runners of the pipeline, one row each. Importing this does not import Beam, because `--help` lists the rows."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from transforms.listener import Listener

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

    from beam_pipeline.job import Job, Ran


class Engine(Protocol):
    """The functions of a runner's module."""

    def check(self, options: PipelineOptions) -> None:
        """Refuses wrong or missing options before anything is read.

        Raises:
          UsageError: Beam refuses the options; the message has all of Beam's complaints in one line.
          UserError: the runner's server does not answer.
        """

    def threads(self) -> int:
        """The number of clips that one worker prepares at a time, by default."""

    def run(self, job: Job, options: PipelineOptions, listener: Listener) -> Ran:
        """Runs the pipeline to its end.

        Raises:
          UserError: a worker found a problem that the user can fix.
        """


@dataclass(frozen=True, slots=True)
class Runner:
    """A runner of the pipeline.

    Attributes:
      summary: where the pipeline runs, for people.
      module: name of the module with the functions of `Engine`.
      outlives: whether its job may go on after Ctrl-C.
      shares_disk: whether its workers may have the disks of this machine.
      finds_jobs: whether a job of an earlier command can be found again, and cancelled.
    """

    summary: str
    module: str
    outlives: bool = True
    shares_disk: bool = True
    finds_jobs: bool = False

    @property
    def engine(self) -> Engine:
        """The module, which is imported at the first access."""
        return cast(Engine, importlib.import_module(self.module))


_EMBEDDED = Runner("this process and its clip workers", "beam_pipeline.embedded", outlives=False)
_ELSEWHERE = "beam_pipeline.elsewhere"
RUNNERS: dict[str, Runner] = {
    "DirectRunner": _EMBEDDED,
    "FnApiRunner": _EMBEDDED,
    "DataflowRunner": Runner("Google Cloud Dataflow", "beam_pipeline.dataflow", shares_disk=False, finds_jobs=True),
    "FlinkRunner": Runner("an Apache Flink cluster", _ELSEWHERE, finds_jobs=True),
    "PortableRunner": Runner("the job server of --job_endpoint", _ELSEWHERE, finds_jobs=True),
}
DEFAULT = "DirectRunner"


def canonical(name: str) -> str:
    """The name as `RUNNERS` has it. Beam takes any case, "dataflow" for short, and the path of the class, too."""
    module, _, last = name.rpartition(".")
    if module and not module.startswith("apache_beam."):
        return name
    known = {each.lower(): each for each in RUNNERS}
    return known.get(last.lower()) or known.get(f"{last.lower()}runner") or name


def find(name: str) -> Runner:
    """The runner of a name; "" for the runner on this machine. Other names are passed on to Beam."""
    return RUNNERS.get(name or DEFAULT) or Runner("", _ELSEWHERE)
