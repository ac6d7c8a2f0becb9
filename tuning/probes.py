"""Questions about silence, noise and music made by us: whatever a model says of them, nobody has said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from itertools import islice
from typing import Any

import orjson

from transforms.audio import probes
from transforms.clip import Clip
from transforms.dataset import example
from transforms.errors import UsageError
from transforms.settings import TEXT, Settings
from tuning import questions
from tuning.asking import Size
from tuning.dataset import TRAIN, Dataset
from tuning.predictions import Prediction
from tuning.providers.base import Question
from tuning.questions import Asked

# In the place of a split's name.
PROBES = "probe_silence"
LENGTHS = (1.0, 3.0, 10.0, 30.0)
# So many examples tell what the dataset asks with.
_LOOKED_AT = 100


@dataclass(frozen=True)
class Probe:
    """One question.

    Attributes:
      kind: of the sound, key of `transforms.audio.probes.KINDS`.
      seconds: that it lasts.
      task: that it is asked as; "" in a dataset without tasks.
      prompt: text of the user turn, as in the dataset's examples.
      system_instruction: text of the system turn; "" for none.
      settings: of the dataset.
    """

    kind: str
    seconds: float
    task: str
    prompt: str
    system_instruction: str
    settings: Settings

    @property
    def clip_id(self) -> str:
        """Its name in the file of answers."""
        return f"{self.kind} {self.seconds:g} s{f' {self.task}' if self.task else ''}"

    @cached_property
    def digest(self) -> str:
        """Of all that decides the question, hexadecimal; encoders of another version make the same sound."""
        form = (self.settings.audio_format, self.settings.bitrate, self.settings.sample_rate)
        told = [probes.VERSION, self.kind, self.seconds, self.prompt, self.system_instruction, *form]
        return sha256(orjson.dumps(told)).hexdigest()

    @property
    def size(self) -> Size:
        """Of the question, for its price. No answer is hoped for."""
        return Size(self.seconds, len(self.prompt.encode()) + len(self.system_instruction.encode()), 0)

    def line(self) -> bytes:
        """The example that a clip with this sound would be, its target left empty."""
        from transforms.audio import encode  # noqa: PLC0415 -- soundfile is for those who encode

        samples = probes.samples(self.kind, self.seconds, self.settings.sample_rate)
        clip = Clip(self.clip_id, "", "", prompt=self.prompt, system_instruction=self.system_instruction)
        return example.line(clip, encode.encode(samples, self.settings), self.settings, self.seconds)

    def question(self, asked: Asked) -> Question:
        """The question to a model."""
        row = asked.provider.parse(self.line())
        return asked.question(row.contents, row.system_instruction)


def of(prepared: Dataset, task: str = "") -> list[Probe]:
    """The probes of a dataset, a sound of each kind before the next length.

    Args:
      prepared: the dataset.
      task: as which is asked; "" for each whose answers are texts.
    """
    # How long a line of the dataset may be bounds no question.
    settings = replace(questions.settings_for_questions(prepared), max_example_bytes=Settings().max_example_bytes)
    longest = settings.max_duration
    lengths = [seconds for seconds in LENGTHS if seconds <= longest] or [longest]
    return [
        Probe(kind, seconds, name, prompt, system_instruction, settings)
        for name, (prompt, system_instruction) in _asked_with(prepared).items()
        if task in ("", name)
        for seconds in lengths
        for kind in probes.KINDS
    ]


def of_task(prepared: Dataset, task: str) -> list[Probe]:
    """The probes of a dataset's only task for texts, or of the one that is named.

    Raises:
      UsageError: there is no such task, or it must be named.
    """
    tasks = [*_asked_with(prepared)]
    if task not in tasks and not (task == "" and len(tasks) == 1):
        known = ", ".join(filter(None, tasks)) or "none: the dataset has no task whose answers are texts"
        raise UsageError(f"task must be one of {known}, got {task!r}", "task")
    return of(prepared, task)


def _asked_with(prepared: Dataset) -> dict[str, tuple[str, str]]:
    """Prompt and system instruction of each task for texts; what most of the first examples have, without tasks."""
    tasks = prepared.settings.get("tasks") or ()
    if tasks:
        return {
            task["name"]: (task["prompt"], task["system_instruction"])
            for task in tasks
            if task.get("target", TEXT) == TEXT
        }
    lines = (line for _, line in islice(questions.examples(prepared, TRAIN, []), _LOOKED_AT))
    (most, _), *_ = Counter(map(_texts, lines)).most_common(1) or [((str(prepared.settings.get("prompt", "")), ""), 0)]
    return {"": most}


def _texts(line: bytes) -> tuple[str, str]:
    """Prompt and system instruction of an example."""
    tree: dict[str, Any] = orjson.loads(line)
    system = tree.get("system_instruction") or tree.get("systemInstruction") or {"parts": ()}
    user = tree["contents"][0]
    return _text(user), _text(system)


def _text(turn: dict[str, Any]) -> str:
    return "".join(part.get("text", "") for part in turn["parts"])


def still_asked(predictions: Sequence[Prediction], model: str, wanted: Sequence[Probe]) -> list[Prediction]:
    """The answers of a model to these very questions."""
    asked = {(model, probe.clip_id, probe.digest) for probe in wanted}
    return [prediction for prediction in predictions if prediction.question in asked]


def ask(
    asked: Asked,
    wanted: Sequence[Probe],
    known: Container[tuple[str, str, str]],
    answered: Callable[[Prediction], None],
    arrived: Callable[[Prediction], None],
) -> int:
    """Asks a model about probes; arguments and errors as of `questions.ask_split`."""

    def predict(probe: Probe) -> Prediction:
        answer = questions.ask_patiently(asked, probe.question(asked))
        return Prediction(
            *(probe.clip_id, "", "", answer.text, answer.finish_reason, asked.model, probe.digest),
            input_tokens=answer.input_tokens,
            output_tokens=answer.output_tokens,
        )

    return questions.ask_each(asked, unknown(asked, wanted, known), predict, answered, arrived)


def unknown(asked: Asked, wanted: Sequence[Probe], known: Container[tuple[str, str, str]]) -> Iterator[Probe]:
    """The probes that a model has not been asked about."""
    return (probe for probe in wanted if (asked.model, probe.clip_id, probe.digest) not in known)
