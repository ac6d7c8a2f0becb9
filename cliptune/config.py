"""cliptune.yaml: the same requests as the flags make. Its keys become words of the commands that they belong to.

So a value means what it means on a command line, and is held to the same rules. What is wrong is told with the place
that it comes from: "FILE:LINE: tune.epochs …" or "--tune.epochs …".
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, cast

from beam_pipeline.requests import PrepareRequest
from cliptune.config_keys import NUMBER, OF_TUNE, SECTIONS, SWITCH, keys, parser_of
from cliptune.config_reader import Reader
from cliptune.config_values import MAX_COST, Origin, Value, Values, checked, checked_of, switch, word_of
from cliptune.requests import ONLY, RunRequest
from transforms import marked
from transforms.errors import UsageError, UserError
from transforms.storage import Storage, uris
from tuning.requests import CheckRequest, EvaluateRequest, PredictRequest, TuneRequest

DEFAULT_FILE = "cliptune.yaml"


def load(
    file: str = DEFAULT_FILE,
    flags: Mapping[str, Sequence[str]] | None = None,
    environment: Mapping[str, str] | None = None,
    **steps: Any,  # noqa: ANN401 -- fields of RunRequest
) -> RunRequest:
    """The request of a file.

    Args:
      file: its name, local or gs://. Names of files in it begin where it lies.
      flags: values that win over the file, by the paths of their keys, such as {"tune.epochs": ["5"]}. Names of files
        in these begin in the working folder.
      environment: variables that the file may name; None for those of this process.
      **steps: the fields of the request that are in no file: `from_step`, `until` and `dry_run`.

    Raises:
      UserError: the file cannot be read.
      UsageError: it breaks a rule; the text says where.
    """
    given = {path: _given(path, texts) for path, texts in (flags or {}).items()}
    content = Storage().read_settings(uris.absolute(file, os.getcwd()), file)  # noqa: PTH109 -- as a text
    try:
        tree = marked.load(content, file)
    except UserError as fault:
        raise UsageError(str(fault)) from None
    values = Reader(file, os.environ if environment is None else environment).values(tree)
    for path, value in given.items():
        _take(values, path, value)
    return _request(values, steps)


def _given(path: str, texts: Sequence[str]) -> Value:
    """The value of a flag."""
    origin, key = Origin("--", path), keys().get(path)
    if path == MAX_COST:
        return Value(origin, (checked(NUMBER, texts[-1], origin),))
    if key is None:
        raise UsageError(f"{path} is no key of the file")
    if key.kind == SWITCH:
        return Value(origin, switch(key, texts[-1], origin))
    return Value(origin, tuple(word_of(key, checked_of(key, text, origin)) for text in texts))


def _take(values: Values, path: str, value: Value) -> None:
    """Puts the value of a flag into the place of the file's."""
    if path == MAX_COST:
        values.max_cost = value
        return
    values.settings[path] = value
    for of_run in values.runs.values():
        of_run.pop(path, None)


def _request(values: Values, steps: Mapping[str, Any]) -> RunRequest:
    """The requests of all verbs."""
    for name in ("manifest", "output"):
        if name not in values.settings:
            raise UsageError(f"{values.file}: {name} is needed, outside of all sections, or as --{name}")
    prepare = cast(PrepareRequest, _of_verb(values, "prepare", [], values.beam.words))
    out = [prepare.output]
    runs = values.runs or {ONLY: {}}
    tune = {name: cast(TuneRequest, _of_verb(values, "tune", out, run=name)) for name in runs}
    first = next(iter(runs))
    checking = cast(CheckRequest, _of_verb(values, "check", out, run=first))
    asking = cast(PredictRequest, _of_verb(values, "predict", out))
    scoring = cast(EvaluateRequest, _of_verb(values, "evaluate", out))
    most = float(values.max_cost.words[0]) if values.max_cost else None
    try:
        return RunRequest(prepare, tune, checking, asking, scoring, most, told=values.told, **steps)
    except UsageError as fault:
        raise values.told("", fault) from None


def _of_verb(values: Values, verb: str, words: Sequence[str], others: Sequence[str] = (), run: str = "") -> object:
    """The request of a verb, made of its words.

    Raises:
      UsageError: a value breaks a rule.
    """
    settings = {**values.settings, **values.runs.get(run, {})}
    known = keys()
    given = [word for path, value in settings.items() if verb in known[path].verbs for word in value.words]
    if verb == "check":
        of_tune = [settings.get(f"tune.{name}") for name in OF_TUNE]
        given += [word for value in of_tune if value for word in value.words]
    try:
        args = parser_of(verb).parse_args([*given, *words])
        return SECTIONS[verb].request(args, others)
    except UsageError as fault:
        raise values.told(verb, fault, run) from None
