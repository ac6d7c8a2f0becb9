"""The systems to compare: the predictions of the dataset's runs, and those that the user names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from transforms.errors import UserError
from transforms.listener import Listener
from transforms.storage import uris
from tuning import predictions
from tuning.dataset import TRAIN, Dataset
from tuning.evaluation import answers
from tuning.evaluation.answers import Answer, Index, System
from tuning.jobs import runs
from tuning.jobs.runs import Run

TUNED, BASE = "tuned", "base"


def find(
    prepared: Dataset,
    split: str,
    run: str | None,
    named: Mapping[str, str],
    index: Index,
    listener: Listener,
    wanted: Mapping[str, str] = MappingProxyType({}),
) -> list[System]:
    """The systems that have answered, the tuned model first.

    Args:
      prepared: the dataset.
      split: whose clips were asked about.
      run: whose tuned model is "tuned"; None for the newest that has answers.
      named: files of other systems, by their names.
      index: the clips.
      listener: gets a line for each system that was asked about other clips, too.
      wanted: runs by the names of their models; {} for all runs that have answers.

    Raises:
      UserError: there is none, or a file cannot be read.
    """
    meant = chosen(prepared, split, next(iter(wanted.values()), run))
    found = {system.name: system for system in of_runs(prepared, split, meant, index, wanted)}
    for name, file in named.items():
        found[name] = answers.read(name, file, index, prepared.storage.anywhere())
    for system in found.values():
        for line in filter(None, (system.stranger_line(), system.repeated_line())):
            listener.say(line)
        if system.name in named and index.is_copied(system.answers):
            copied = "every answer is its target to the letter; is it the manifest itself?"
            listener.say(f"warning: {system.file}: {copied}")
    # A model that was asked before the dataset was made anew has said nothing of these clips.
    answered = [system for system in found.values() if system.answers]
    if not answered:
        ask = f"cliptune predict {prepared.name}{f' --split {split}' if split != 'validation' else ''}"
        raise UserError(
            f"{prepared.name} has no predictions about its {split} clips; ask for them: {ask}, "
            f"and {ask} --model base, or name a file: --predictions NAME=FILE"
        )
    return answered


def untaught(prepared: Dataset, split: str, named: Mapping[str, str], index: Index, listener: Listener) -> list[System]:
    """The systems that have answered and have not learnt the texts of the split; there may be none.

    A tuned model has learnt those of "train", the wrong ones with the others.

    Args:
      prepared: the dataset.
      split: whose clips were asked about.
      named: files of other systems, by their names.
      index: the clips.
      listener: gets a line for each system that was asked about other clips, too.

    Raises:
      UserError: a file cannot be read.
    """
    if split != TRAIN:
        found = {system.name: system for system in of_runs(prepared, split, chosen(prepared, split, None), index)}
    else:
        files = _files(prepared, "", split)
        names = {model: BASE if len(files) == 1 else model for model in files}
        found = {names[model]: _system(names[model], uri, prepared, index) for model, uri in files.items()}
    for name, file in named.items():
        found[name] = answers.read(name, file, index, prepared.storage.anywhere())
    for system in found.values():
        for line in filter(None, (system.stranger_line(), system.repeated_line())):
            listener.say(line)
    return [system for system in found.values() if system.answers]


def chosen(prepared: Dataset, split: str, wanted: str | None) -> Run | None:
    """The run whose model is "tuned": that of the name, else the newest that was asked about the split.

    A run of a part of the examples comes after all others.

    Raises:
      UserError: no run has the name.
    """
    named = {run.name: run for run in runs.of(prepared)}
    if wanted is None:
        answered = [run for run in reversed(named.values()) if _of_run(prepared, run, split)]
        whole = (run for run in answered if run.note.request.train_examples is None)
        return next(whole, next(iter(answered), None))
    if wanted not in named:
        raise UserError(f"run must be one of {', '.join(named) or 'none'}, got {wanted!r}")
    return named[wanted]


def are_asked(prepared: Dataset, split: str) -> bool:
    """Whether there are answers of any model about a split, or about the probes."""
    return bool(_files(prepared, "", split)) or any(_of_run(prepared, run, split) for run in runs.of(prepared))


def is_asked(prepared: Dataset, split: str, run: str) -> bool:
    """Whether a model of a run has answered about a split, or about the probes."""
    return bool(_files(prepared, f"{runs.RUNS_FOLDER}/{run}/", split))


def _of_run(prepared: Dataset, run: Run, split: str) -> dict[str, str]:
    return _files(prepared, f"{runs.RUNS_FOLDER}/{run.name}/", split)


def of_runs(
    prepared: Dataset,
    split: str,
    chosen: Run | None,
    index: Index,
    wanted: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[System]:
    """The models of the dataset's runs that were asked, those of the chosen run first.

    Args:
      prepared: the dataset.
      split: whose clips were asked about, or the name of the probes.
      chosen: the run whose model is "tuned".
      index: the clips.
      wanted: runs by the names of their models, which come in this order; {} for all runs.

    Raises:
      UserError: a wanted run is none.
    """
    answered = [run for run in runs.of(prepared) if _of_run(prepared, run, split)]
    tuned = chosen and chosen.name
    called = {run.name: TUNED if run.name == tuned else run.name for run in answered}
    if wanted:
        unknown = next((run for run in wanted.values() if run not in called), None)
        if unknown is not None:
            raise UserError(f"system must name runs with answers, {', '.join(called) or 'none'}, got {unknown!r}")
        called = {run: name for name, run in wanted.items()}
    order = [tuned, *called]
    for run in sorted((run for run in answered if run.name in called), key=lambda run: order.index(run.name)):
        named = {_name(run, model, called[run.name]): uri for model, uri in _of_run(prepared, run, split).items()}
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


def _name(run: Run, model: str, whole: str) -> str:
    """A tuned model's name: that of its run for the default checkpoint."""
    job = run.note.job
    numbers = {
        str(point.get("endpoint")).rpartition("/")[2]: str(point.get("checkpoint_id"))
        for point in (job.checkpoints if job else ())
    }
    number = model.removeprefix("tuned-")
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
