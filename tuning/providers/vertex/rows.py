"""Checks whether a line is a valid training example, in three layers. Each layer finds faults that the others miss.

1. The service's protobuf schema, strictly: unknown fields, repeated keys, two
   values in one part, lone surrogates.
2. google-genai's pydantic types: stray characters in base64, two spellings of one field.
3. The rules that exist only as documentation: roles, one audio part, its type and duration.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pydantic
from google.cloud.aiplatform_v1beta1.types import GeminiExample
from google.genai import types
from google.protobuf import json_format
from pydantic.alias_generators import to_camel

from transforms import limits, reasons
from transforms.dataset import headers
from transforms.errors import ClipRejected
from transforms.payloads import PAYLOADS
from transforms.printable import printable
from tuning.providers.base import ERROR, WARNING, Example, Facts, Problem, SchemaError

# libsndfile can read the header of every payload of these types.
LOSSLESS_TYPES = {form.mime_type for form in PAYLOADS.values() if not form.lossy}


class Row(pydantic.BaseModel):
    """A training example in google-genai's types."""

    model_config = pydantic.ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")

    contents: list[types.Content]
    system_instruction: types.Content | None = None
    model: Any = None
    labels: Any = None
    tools: Any = None
    tool_config: Any = None
    safety_settings: Any = None
    generation_config: Any = None
    cached_content: Any = None
    model_armor_config: Any = None


def check_line(line: bytes, source: str) -> tuple[list[Problem], Facts]:
    """Checks one line.

    Args:
      line: the line without its newline.
      source: "FILE:LINE", for the problems.

    Returns:
      All problems of the line, and its facts.
    """
    if not line.strip():
        return [Problem(source, ERROR, "blank_line", "the line is blank; delete it")], Facts()
    try:
        row = parse(line)
    except SchemaError as fault:
        return [Problem(source, ERROR, fault.rule, fault.detail)], Facts()
    facts, audio_faults = _measure_audio(row, _measure_text(row))
    problems = [Problem(source, ERROR, rule, detail) for rule, detail in [*_turn_faults(row), *audio_faults]]
    return problems + _token_problems(facts, source), facts


def _token_problems(facts: Facts, source: str) -> list[Problem]:
    """An error if the expected tokens are over the limit; a warning if only their upper bound is."""
    if facts.max_tokens <= limits.MAX_TOKENS_PER_EXAMPLE:
        return []
    severity = ERROR if facts.tokens > limits.MAX_TOKENS_PER_EXAMPLE else WARNING
    detail = f"up to {facts.max_tokens:,} tokens, over the limit of {limits.MAX_TOKENS_PER_EXAMPLE:,}"
    return [Problem(source, severity, "tokens", detail)]


def parse(line: bytes) -> Row:
    """Parses a line with both official schemas.

    Raises:
      SchemaError: one of the schemas refuses the line.
    """
    try:
        json_format.Parse(line.decode(), GeminiExample.pb()())
        return Row.model_validate_json(line)
    except UnicodeDecodeError as fault:
        raise SchemaError("not_utf8", f"byte {fault.start + 1} of the line is not valid UTF-8") from None
    except json_format.ParseError as fault:
        rule = "not_json" if "Failed to load JSON" in str(fault) else "schema"
        raise SchemaError(rule, _own_words(str(fault))) from None
    except RecursionError:
        raise SchemaError("not_json", "the line is too deeply nested") from None
    except pydantic.ValidationError as fault:
        first = fault.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the line"
        raise SchemaError("schema", printable(f"{where}: {first['msg']}")) from None


def example(line: bytes) -> Example:
    """The example of a line. Its turns are of google-genai's types.

    Raises:
      SchemaError: one of the official schemas refuses the line.
    """
    row = parse(line)
    target = "".join(part.text or "" for part in row.contents[-1].parts or [])
    return Example(row.contents[:-1], row.system_instruction, target)


def _own_words(message: str) -> str:
    """The schema's message without the library's prefixes, as one printable line."""
    if "SystemError" in message:  # protobuf's answer to a lone surrogate in a name
        return "a name holds half a surrogate pair, which is not a character"
    text = re.sub(r"Failed to (?:parse \w+ field|load JSON): ", "", message)
    text = text.partition("\n")[0].replace('Message type "google.cloud.aiplatform.v1beta1.', '"').rstrip(". ")
    return printable(text if len(text) <= 300 else text[:300] + "…")


def _turn_faults(row: Row) -> Iterator[tuple[str, str]]:
    """Faults of the turns: their roles, and parts other than text where only text may be."""
    roles = [turn.role for turn in row.contents]
    if not roles:
        yield "contents", "contents must have a user turn and a model turn, got none"
        return
    wrong = [role for role in roles if role not in ("user", "model")]
    if wrong:
        yield "roles", f"role must be 'user' or 'model', got {wrong[0]!r}"
        return
    if roles[0] != "user" or roles[-1] != "model":
        yield "roles", f"the first role must be user and the last model, got {', '.join(map(str, roles))}"
    elif any(a == b for a, b in itertools.pairwise(roles)):
        yield "roles", f"the roles must alternate, got {', '.join(map(str, roles))}"
    for turn in row.contents:
        yield from _part_faults(turn)
    system = row.system_instruction
    if system is not None and any(part.text is None for part in system.parts or [types.Part()]):
        yield "system_instruction", "the system instruction must be text only"


def _part_faults(turn: types.Content) -> Iterator[tuple[str, str]]:
    if not turn.parts:
        yield "parts", f"the {turn.role} turn has no parts"
    for part in turn.parts or []:
        if not part.model_dump(exclude_none=True):
            yield "parts", f"a part of the {turn.role} turn is empty"
    if turn.role == "model":
        texts = [part.text for part in turn.parts or []]
        if any(text is None for text in texts):
            yield "model_turn", "the model turn must be text only"
        elif not "".join(text or "" for text in texts).strip():
            yield "model_turn", "the model turn's text is blank: nothing to learn"


def _measure_text(row: Row) -> Facts:
    """The facts of a row's texts."""
    turns = row.contents + ([row.system_instruction] if row.system_instruction else [])
    texts = _texts(turns)
    return Facts(
        text_chars=sum(map(len, texts)),
        text_bytes=sum(len(text.encode()) for text in texts),
        prompt="\n".join(_texts([turn for turn in row.contents if turn.role == "user"])),
    )


def _texts(turns: list[types.Content]) -> list[str]:
    return [part.text for turn in turns for part in turn.parts or [] if part.text]


def _measure_audio(row: Row, facts: Facts) -> tuple[Facts, list[tuple[str, str]]]:
    """Adds a row's audio to its facts. Also returns the faults of the audio: rule and detail of each."""
    audio = [(turn, part) for turn in row.contents for part in turn.parts or [] if part.inline_data or part.file_data]
    if len(audio) != 1 or audio[0][0].role != "user":
        found = ", ".join(f"one in the {turn.role} turn" for turn, _ in audio) or "none"
        return facts, [("audio_part", f"an example must have exactly one audio part, in a user turn, got {found}")]
    part = audio[0][1]
    if part.file_data:
        return _measure_uri(part.file_data, facts)
    return _measure_payload(part.inline_data or types.Blob(), facts)


def _measure_uri(file_data: types.FileData, facts: Facts) -> tuple[Facts, list[tuple[str, str]]]:
    facts = replace(facts, audio=file_data.file_uri, mime_type=file_data.mime_type or "")
    return facts, list(_uri_faults(file_data))


def _measure_payload(blob: types.Blob, facts: Facts) -> tuple[Facts, list[tuple[str, str]]]:
    content = blob.data or b""
    seconds, faults = _payload_faults(content, blob.mime_type or "")
    return replace(facts, seconds=seconds, audio=sha256(content).hexdigest()), faults


def _uri_faults(file_data: types.FileData) -> Iterator[tuple[str, str]]:
    uri = file_data.file_uri or ""
    if not re.fullmatch(r"gs://[^/]+/.+", uri):
        yield "file_uri", f"file_uri must be a gs:// URI, got {uri[:100]!r}"
    if file_data.mime_type not in limits.MIME_TYPES:
        yield "mime_type", _mime_detail(file_data.mime_type or "")


def _mime_detail(mime_type: str) -> str:
    return f"mime_type must be one of {', '.join(sorted(limits.MIME_TYPES))}, got {mime_type!r}"


def _payload_faults(content: bytes, mime_type: str) -> tuple[float | None, list[tuple[str, str]]]:
    """The payload's duration in seconds, if its header gives one, and the payload's faults."""
    fault = _blob_fault(content, mime_type)
    if fault is not None or mime_type == "audio/pcm":  # headerless: its duration depends on an unknown sample rate
        return None, [fault] if fault else []
    try:
        header = headers.read(content)
    except ClipRejected as refusal:
        what = "is damaged" if refusal.reason == reasons.DECODER_FAULT else "is not audio"
        return None, [("audio", f"the data {what}: {refusal.detail}")]
    if mime_type not in header.mime_types:
        return None, [("mime_type", f"mime_type must be that of the data, which is {header.format}, got {mime_type!r}")]
    return header.seconds, list(_length_faults(header.seconds, mime_type))


def _blob_fault(content: bytes, mime_type: str) -> tuple[str, str] | None:
    """The fault of the payload's stated type or size, if any."""
    if mime_type not in limits.MIME_TYPES:
        return "mime_type", _mime_detail(mime_type)
    if not content:
        return "audio", "the audio part has no data"
    if len(content) > limits.MAX_AUDIO_BYTES:
        return "audio", f"{len(content):,} bytes of audio, over the limit of {limits.MAX_AUDIO_BYTES:,}"
    return None


def _length_faults(seconds: float | None, mime_type: str) -> Iterator[tuple[str, str]]:
    if seconds is None and mime_type in LOSSLESS_TYPES:
        yield "audio", f"the {mime_type} data is damaged: its header cannot be read"
    elif seconds is not None and seconds > limits.MAX_AUDIO_SECONDS:
        yield "duration", f"{seconds:.0f} s of audio, over the limit of {limits.MAX_AUDIO_SECONDS} s"
    elif seconds == 0:
        yield "audio", "the audio has no samples"
