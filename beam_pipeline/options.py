"""Apache Beam's options, from the flags that are not ours."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions, SetupOptions, _BeamArgumentParser

from transforms.errors import UsageError


def options_of(flags: Sequence[str], ours: Sequence[str] = ()) -> PipelineOptions:
    """Beam's options, with unknown flags refused: Beam itself would drop them.

    Args:
      flags: words of a command line.
      ours: flags that are suggested too where one is misspelt.

    Raises:
      UsageError: a word that is no flag of Beam's.
    """
    parser = _BeamArgumentParser(prog="cliptune prepare", allow_abbrev=False, usage="cliptune prepare --help")
    for options_class in PipelineOptions.__subclasses__():
        options_class._add_argparse_args(parser)
    _, unknown = parser.parse_known_args(list(flags))
    if unknown:
        name = unknown[0].partition("=")[0]
        close = difflib.get_close_matches(name, [*parser._option_string_actions, *ours], n=1)
        raise UsageError(f"unknown flag {name}" + (f"; did you mean {close[0]}?" if close else ""))
    options = PipelineOptions(list(flags))
    # The code is an installed package; Dataflow's default would hide a missing one.
    options.view_as(SetupOptions).save_main_session = False
    return options
