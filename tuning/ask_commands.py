"""`cliptune predict`: the tuned model asked, about clips of the dataset or any recording."""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from transforms.errors import UsageError, UserError
from transforms.storage import Storage
from tuning import dataset, predictions
from tuning import predict as asker
from tuning.console import print_json, progress
from tuning.dataset import Dataset
from tuning.exits import Exit
from tuning.jobs import submit
from tuning.jobs import watch as watcher
from tuning.jobs.clock import CLOCK
from tuning.predictions import Prediction
from tuning.providers.base import TuningJob
from tuning.providers.vertex.models import location_of
from tuning.providers.vertex.tuner import VertexTuner
from tuning.service import api_endpoint

# So many answers are shown to people; more are only written.
SHOWN_ANSWERS = 10


@dataclass(frozen=True, slots=True)
class Asked:
    """Who is asked.

    Attributes:
      name: in the names of files.
      model: endpoint resource or base model name.
      base_model: what it was tuned from; "" if not known.
      tuner: the service, in the model's own location.
    """

    name: str
    model: str
    base_model: str
    tuner: VertexTuner


def predict(args: argparse.Namespace, console: Console) -> int:
    """Asks a model."""
    if args.checkpoint and args.model:
        raise UsageError("--checkpoint is one of the dataset's own job; leave --model out")
    if (args.prompt or args.task or args.system_instruction) and not args.audio:
        raise UsageError("--task, --prompt and --system_instruction go with --audio; clips of the dataset have theirs")
    prepared = dataset.load(args.output, Storage(args.billing_project))
    _choose_task(args, prepared)
    with api_endpoint(args, prepared, console) as url:
        asked = _asked(args, prepared, url)
        if args.audio:
            return _about_files(args, prepared, asked, console)
        return _about_split(args, prepared, asked, console)


def _choose_task(args: argparse.Namespace, prepared: Dataset) -> None:
    """Fills in what a task asks with; of several tasks, one must be chosen."""
    tasks = {task["name"]: task for task in prepared.settings.get("tasks") or ()}
    if not args.audio or args.prompt or not (tasks or args.task):
        return
    name = args.task or (next(iter(tasks)) if len(tasks) == 1 else "")
    if name not in tasks:
        raise UsageError(f"--task must be one of {', '.join(tasks) or 'none: the dataset has no tasks'}, got {name!r}")
    args.prompt = tasks[name]["prompt"]
    args.system_instruction = args.system_instruction or tasks[name]["system_instruction"]


def _about_split(args: argparse.Namespace, prepared: Dataset, asked: Asked, console: Console) -> int:
    uri = prepared.tuning_uri(f"predictions-{args.split}-{asked.name}.jsonl")
    total = min(prepared.examples(args.split), args.limit or prepared.examples(args.split))
    earlier = asker.still_asked(predictions.read(uri, prepared.storage), asked.model, prepared, args.split)
    said: list[Prediction] = []
    with predictions.Answers(uri, earlier, prepared.storage) as file, progress(console, "asking", total) as advance:

        def answered(prediction: Prediction) -> None:
            file.add(prediction)
            said.append(prediction)
            advance(1)
            if total <= SHOWN_ANSWERS:
                console.print(f"{prediction.clip_id}\n  target:     {prediction.target}")
                console.print(f"  prediction: {prediction.prediction or f'none ({prediction.finish_reason})'}")

        known = {each.question for each in earlier}
        asker.predict(
            asked.tuner, asked.model, asked.base_model, prepared, args.split, args.limit, answered, known, CLOCK
        )
    _tell(args.split, [*earlier, *said], len(said), asked.model, prepared.shown(uri), console)
    return Exit.DONE


def _tell(split: str, told: list[Prediction], asked: int, model: str, uri: str, console: Console) -> None:
    empty = sum(not (each.prediction or "").strip() for each in told)
    reasons = Counter(each.finish_reason or "UNKNOWN" for each in told)
    console.print(f"{len(told):,} predictions of {model}, {asked:,} of them new: {uri}")
    if empty:
        console.print(f"warning: {empty:,} answers are empty: {dict(reasons)}")
    print_json(
        {
            "model": model,
            "split": split,
            "predictions": len(told),
            "asked": asked,
            "empty": empty,
            "finish_reasons": dict(sorted(reasons.items())),
            "file": uri,
        }
    )


def _about_files(args: argparse.Namespace, prepared: Dataset, asked: Asked, console: Console) -> int:
    """One recording after the other; those that cannot be used are told, and the others asked about."""
    said: list[dict[str, Any]] = []
    for file in args.audio:
        try:
            question = asker.question_about(file, prepared, asked.base_model, args.prompt, args.system_instruction)
        except UserError as fault:
            console.print(f"cliptune predict: {fault}")
            continue
        answer = asker.ask_patiently(asked.tuner, asked.model, question, CLOCK)
        console.print(f"{file}\n  prediction: {answer.text or f'none ({answer.finish_reason})'}")
        said.append({"audio": file, "prediction": answer.text, "finish_reason": answer.finish_reason})
    print_json({"model": asked.model, "answers": said})
    return Exit.DONE if len(said) == len(args.audio) else Exit.FAILED


def _asked(args: argparse.Namespace, prepared: Dataset, url: str | None) -> Asked:
    if args.model and args.model != "base":
        project, location = location_of(args.model)
        saved = submit.read_note(prepared) or {}
        base_model = (saved.get("request") or {}).get("base_model", "")
        return Asked(args.model.rpartition("/")[2], args.model, base_model, VertexTuner(project, location, url))
    request = submit.submitted(prepared)["request"]
    tuner = VertexTuner(request["project"], request["location"], url)
    base_model = request["base_model"]
    if args.model == "base":
        return Asked("base", base_model, base_model, tuner)
    job = _tuned(tuner, prepared, args.output)
    if args.checkpoint:
        return Asked(f"checkpoint-{args.checkpoint}", _checkpoint(job, args.checkpoint), base_model, tuner)
    return Asked("tuned", job.endpoint or "", base_model, tuner)


def _tuned(tuner: VertexTuner, prepared: Dataset, name: str) -> TuningJob:
    """The job of the dataset, which must have a model to ask."""
    job = submit.noted_job(prepared)
    if not job.endpoint:
        job = tuner.get(job.name)
        submit.update_note(prepared, job)
    if not job.endpoint:
        raise UserError(f"{job.name} has no tuned model to ask: {watcher.verdict(job)}; see cliptune watch {name}")
    return job


def _checkpoint(job: TuningJob, wanted: str) -> str:
    endpoints = {str(point.get("checkpoint_id")): point.get("endpoint") for point in job.checkpoints}
    if not endpoints.get(wanted):
        raise UserError(f"checkpoint must be one of {', '.join(endpoints) or 'none'}, got {wanted!r}")
    return str(endpoints[wanted])
