"""The systems to compare: the predictions of the dataset's runs, and those that the user names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from transforms.errors import UserError
from transforms.listener import Listener
from transforms.storage import uris
from tuning import predictions
from tuning.dataset import Dataset
from tuning.evaluation import answers
from tuning.evaluation.answers import Answer, Index, System
from tuning.jobs import runs
from tuning.jobs.runs import Run

TUNED, BASE = "tuned", "base"


def find(
    prepared: Dataset, split: str, run: str | None, named: Mapping[str, str], index: Index, listener: Listener
) -> list[System]:
    """The systems that have answered, the tuned model first.

    Args:
      prepared: the dataset.
      split: whose clips were asked about.
      run: whose tuned model is "tuned"; None for the newest that has answers.
      named: files of other systems, by their names.
      index: the clips.
      listener: gets a line for each system that was asked about other clips, too.

    Raises:
      UserError: there is none, or a file cannot be read.
    """
    found = {system.name: system for system in _of_runs(prepared, split, run, index)}
    for name, file in named.items():
        found[name] = answers.read(name, file, index, prepared.storage.anywhere())
    for system in found.values():
        if system.strangers:
            listener.say(system.stranger_line())
    # A model that was asked before the dataset was made anew has said nothing of these clips.
    answered = [system for system in found.values() if system.answers]
    if not answered:
        ask = f"cliptune predict {prepared.name}{f' --split {split}' if split != 'validation' else ''}"
        raise UserError(
            f"{prepared.name} has no predictions about its {split} clips; ask for them: {ask}, "
            f"and {ask} --model base, or name a file: --predictions NAME=FILE"
        )
    return answered


def _of_runs(prepared: Dataset, split: str, wanted: str | None, index: Index) -> Iterator[System]:
    all_runs = runs.of(prepared)
    found = {run.name: _files(prepared, f"{runs.RUNS_FOLDER}/{run.name}/", split) for run in all_runs}
    if wanted is not None and wanted not in found:
        raise UserError(f"run must be one of {', '.join(found) or 'none'}, got {wanted!r}")
    answered = [run for run in all_runs if found[run.name]]
    whole = [run for run in answered if run.note.request.train_examples is None]
    chosen = next((run for run in all_runs if run.name == wanted), next(reversed(whole or answered), None))
    for run in sorted(answered, key=lambda run: run is not chosen):
        named = {_name(run, model, run is chosen): uri for model, uri in found[run.name].items()}
        for name in sorted(named, key=lambda name: ("@" in name, name)):
            yield _system(name, named[name], prepared, index)
    for model, uri in _files(prepared, "", split).items():
        is_base = chosen is not None and model == chosen.note.request.base_model
        yield _system(BASE if is_base else model, uri, prepared, index)


def _files(prepared: Dataset, folder: str, split: str) -> dict[str, str]:
    """The files of predictions in a folder of the dataset, by the name of the model in theirs."""
    pattern = re.compile(rf"predictions-{split}-(.+)\.jsonl")
    top = prepared.tuning_uri(folder.rstrip("/")) if folder else uris.join(prepared.uri, "tuning")
    names = (uris.below(top, uri) for uri in prepared.storage.list_files(top))
    return {match[1]: uris.join(top, name) for name in sorted(names) if (match := pattern.fullmatch(name))}


def _name(run: Run, model: str, is_chosen: bool) -> str:
    """A tuned model's name: short for the default checkpoint of the run that is looked at."""
    job = run.note.job
    numbers = {
        str(point.get("endpoint")).rpartition("/")[2]: str(point.get("checkpoint_id"))
        for point in (job.checkpoints if job else ())
    }
    number = model.removeprefix("tuned-")
    whole = TUNED if is_chosen else run.name
    is_default = job is None or number == (job.endpoint or "").rpartition("/")[2] or number not in numbers
    return whole if is_default else f"{whole}@{numbers[number]}"


def _system(name: str, uri: str, prepared: Dataset, index: Index) -> System:
    kept: dict[str, Answer] = {}
    strangers: list[str] = []
    for prediction in predictions.read(uri, prepared.storage):
        clip = index.clips.get(prediction.clip_id)
        if clip is None or prediction.line_sha256 not in ("", clip.line_sha256):
            strangers.append(prediction.clip_id)
        else:
            kept[prediction.clip_id] = Answer(prediction.prediction, prediction.finish_reason)
    return System(name, kept, tuple(strangers), prepared.shown(uri))
