"""Where a pipeline runs: one row a runner. Importing this imports no Beam, for `--help` lists the rows."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from transforms.listener import Listener

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

    from beam_pipeline.job import Job


class Engine(Protocol):
    """What the module of a runner holds."""

    def check(self, options: PipelineOptions) -> None:
        """Refuses options that the runner lacks or that lead nowhere, before anything is read.

        Raises:
          UsageError: with all that Beam has to say, in one line.
          UserError: nothing answers where the runner should be.
        """

    def threads(self) -> int:
        """Clips that one worker prepares at a time."""

    def run(self, job: Job, options: PipelineOptions, listener: Listener) -> int:
        """Runs the pipeline to its end.

        Returns:
          The clips that an earlier run had made ready.

        Raises:
          UserError: a worker found a fault that the user can mend.
        """


@dataclass(frozen=True, slots=True)
class Runner:
    """A place where a pipeline runs.

    Attributes:
      summary: where that is, for people.
      module: holds its `Engine`.
      outlives: whether what it has begun may go on after Ctrl-C.
    """

    summary: str
    module: str
    outlives: bool = True

    @property
    def engine(self) -> Engine:
        """The module, imported when first asked for."""
        return cast(Engine, importlib.import_module(self.module))


_EMBEDDED = Runner("this process and its threads", "beam_pipeline.embedded", outlives=False)
_ELSEWHERE = "beam_pipeline.elsewhere"
RUNNERS: dict[str, Runner] = {
    "DirectRunner": _EMBEDDED,
    "FnApiRunner": _EMBEDDED,
    "DataflowRunner": Runner("Google Cloud Dataflow", _ELSEWHERE),
    "FlinkRunner": Runner("an Apache Flink cluster", _ELSEWHERE),
    "PortableRunner": Runner("the job server of --job_endpoint", _ELSEWHERE),
}
DEFAULT = "DirectRunner"


def find(name: str) -> Runner:
    """The runner of a name; "" for the one on this machine, and any other name is Beam's to know."""
    return RUNNERS.get(name or DEFAULT) or Runner("", _ELSEWHERE)
