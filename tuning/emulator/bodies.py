"""The bodies of requests, as far as the emulator reads them: another JSON type is refused, as the service does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import orjson
import pydantic
from pydantic.alias_generators import to_camel

from tuning.emulator.jobs import EmulatorError

# An example holds at most 100 MB of audio, which base64 makes longer by a third.
MAX_BYTES = 140_000_000
# Of all requests that are read or answered at the same time. What is parsed takes as much again, or more.
MAX_HELD_BYTES = 4 * MAX_BYTES
MAX_EPOCHS = 1_000

Tree = dict[str, Any]


def _no_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a number, not a boolean")
    return value


# Google's JSON has integers of 64 bits as text.
_Number = Annotated[int, pydantic.BeforeValidator(_no_bool)]
_Factor = Annotated[float, pydantic.BeforeValidator(_no_bool), pydantic.Field(ge=0, allow_inf_nan=False)]


class Body(pydantic.BaseModel):
    """A body. Fields have both spellings, since the client mixes them. Others are let be, and not read."""

    model_config = pydantic.ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow")


class _HyperParameters(Body):
    epoch_count: Annotated[_Number, pydantic.Field(le=MAX_EPOCHS)] | None = None
    adapter_size: str | _Number | None = None
    learning_rate_multiplier: _Factor | None = None


class _Spec(Body):
    training_dataset_uri: str | None = None
    validation_dataset_uri: str | None = None
    hyper_parameters: _HyperParameters | None = None
    export_last_checkpoint_only: bool | None = None


class _Encryption(Body):
    kms_key_name: str | None = None


class _PreTuned(Body):
    tuned_model_name: str | None = None
    checkpoint_id: str | None = None


class Create(Body):
    """A tuning job that is asked for."""

    base_model: str | None = None
    supervised_tuning_spec: _Spec | None = None
    pre_tuned_model: _PreTuned | None = None
    tuned_model_display_name: str | None = None
    description: str | None = None
    labels: dict[str, str] | None = None
    encryption_spec: _Encryption | None = None
    service_account: str | None = None


class Update(Body):
    """A change of a model."""

    default_checkpoint_id: str | None = None


class _Blob(Body):
    data: str | None = None
    mime_type: str | None = None


class _File(Body):
    file_uri: str | None = None
    mime_type: str | None = None


class _Part(Body):
    text: str | None = None
    inline_data: _Blob | None = None
    file_data: _File | None = None


class _Turn(Body):
    role: str | None = None
    parts: list[_Part] | None = None


class _Generation(Body):
    max_output_tokens: Annotated[_Number, pydantic.Field(ge=1)] | None = None


class Generate(Body):
    """A question to a model."""

    contents: list[_Turn] | None = None
    system_instruction: _Turn | None = None
    generation_config: _Generation | None = None


def parse(content: bytes, kind: type[Body]) -> Tree:
    """The JSON object of a body, its fields of the types of `kind`; {} for no body.

    Raises:
      EmulatorError: 400: the content is no such object.
    """
    if not content:
        return {}
    try:
        tree = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise EmulatorError(400, "Invalid JSON payload received.") from None
    if not isinstance(tree, dict):
        raise EmulatorError(400, "Invalid JSON payload received. The root must be an object.")
    try:
        kind.model_validate(tree)
    except pydantic.ValidationError as fault:
        first = fault.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise EmulatorError(400, f"Invalid value at '{where}': {first['msg']}") from None
    return tree


def too_long() -> EmulatorError:
    """The refusal of a body over `MAX_BYTES`."""
    return EmulatorError(400, f"Request payload size exceeds the limit: {MAX_BYTES} bytes.")


class Held:
    """Counts the bytes of the bodies that are held at the same time, of requests of one event loop."""

    def __init__(self) -> None:
        self._bytes = 0

    @contextmanager
    def bodies(self) -> Iterator[Callable[[int], None]]:
        """Yields what counts more bytes of one body, which are let go when the block ends.

        Raises:
          EmulatorError: 503: there would be too many.
        """
        mine = 0

        def more(size: int) -> None:
            nonlocal mine
            if self._bytes + size > MAX_HELD_BYTES:
                raise EmulatorError(503, "The emulator holds too many requests at the same time.")
            mine += size
            self._bytes += size

        try:
            yield more
        finally:
            self._bytes -= mine


def size_of_page(text: str | None) -> int:
    """The number of jobs of a page, which the service bounds too.

    Raises:
      EmulatorError: 400: not a number of 0 or more.
    """
    if text and not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise EmulatorError(400, f"Invalid value at 'page_size' (TYPE_INT32), {text!r}")
    return min(int(text or 0) or 100, 1_000)
