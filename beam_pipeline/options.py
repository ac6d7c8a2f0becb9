"""Makes Apache Beam's options from the flags that Cliptune does not have."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import NoReturn

from apache_beam.options.pipeline_options import PipelineOptions, SetupOptions, _BeamArgumentParser

from transforms.errors import UsageError


class _Parser(_BeamArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def options_of(flags: Sequence[str], ours: Sequence[str] = ()) -> PipelineOptions:
    """Makes Beam's options and refuses unknown flags, which Beam itself would ignore.

    Args:
      flags: words of a command line.
      ours: Cliptune's flags, which are suggested too if a flag is misspelt.

    Raises:
      UsageError: a flag is not one of Beam's, or has a value that it cannot have.
    """
    parser = _Parser(prog="cliptune prepare", allow_abbrev=False, usage="cliptune prepare --help")
    for options_class in PipelineOptions.__subclasses__():
        options_class._add_argparse_args(parser)
    _, unknown = parser.parse_known_args(list(flags))
    if unknown:
        name = unknown[0].partition("=")[0]
        close = difflib.get_close_matches(name, [*parser._option_string_actions, *ours], n=1)
        raise UsageError(f"unknown flag {name}" + (f"; did you mean {close[0]}?" if close else ""))
    options = PipelineOptions(list(flags))
    # Workers must import the installed package. Dataflow's default, True, would hide that it is missing.
    options.view_as(SetupOptions).save_main_session = False
    return options
