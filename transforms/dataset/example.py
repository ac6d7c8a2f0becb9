"""One line of the dataset. The user turn has the prompt and the clip, the model turn has the target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import orjson
import pybase64

from transforms import limits, reasons
from transforms.clip import Clip
from transforms.errors import ClipRejected
from transforms.payloads import Payload
from transforms.settings import Settings

_LONG_TEXT_BYTES = 1 << 16
# Field names of google.cloud.aiplatform's GeminiExample; ProtoJSON parses both spellings.
_SPELLINGS: dict[str, Callable[[str], str]] = {
    "snake_case": lambda name: name,
    "camelCase": lambda name: name.split("_")[0] + "".join(word.title() for word in name.split("_")[1:]),
}


def line(clip: Clip, payload: Payload, settings: Settings, seconds: float = 0.0) -> bytes:
    """The clip's JSON line, its newline included.

    Args:
      clip: its prompt ("" for the settings' own), system instruction and target are used as they are.
      payload: the conformed, encoded audio.
      settings: spelling of the field names and the longest line.
      seconds: how long the audio lasts.

    Raises:
      ClipRejected: the line would be longer than `max_example_bytes`, or hold more than the service takes.
    """
    _refuse_too_much(clip, payload, settings, seconds)
    before, after = _frame(clip, settings)
    head, tail = _audio_part(payload, settings)
    inline = settings.audio_part == "inline"
    size = len(before) + len(head) + inline * 4 * ((len(payload.content) + 2) // 3) + len(tail) + len(after)
    if size > settings.max_example_bytes:
        raise ClipRejected(
            reasons.EXAMPLE_TOO_LARGE,
            f"the example would have {size:,} bytes, over the limit max_example_bytes={settings.max_example_bytes:,}",
        )
    # Base64 needs no escapes, so the payload does not pass through a JSON encoder.
    return b"".join((before, head, pybase64.b64encode(payload.content) if inline else b"", tail, after))


def expected_bytes(settings: Settings) -> int:
    """The length of the longest lines that are to be expected: those with the longest audio, and a long text."""
    audio = 2 * settings.max_duration * settings.sample_rate * 4 / 3 if settings.audio_part == "inline" else 0.0
    return int(min(audio, settings.max_example_bytes)) + _LONG_TEXT_BYTES


def _refuse_too_much(clip: Clip, payload: Payload, settings: Settings, seconds: float) -> None:
    """Refuses what the service would leave out without a word, whatever `max_example_bytes` allows."""
    size = len(payload.content)
    if size > limits.MAX_AUDIO_BYTES:
        detail = f"the audio would have {size:,} bytes, over the service's limit of {limits.MAX_AUDIO_BYTES:,}"
        raise ClipRejected(reasons.EXAMPLE_TOO_LARGE, detail)
    chars = sum(map(len, (clip.prompt or settings.prompt, clip.system_instruction, clip.target)))
    tokens = limits.expected_tokens(seconds, chars)
    if tokens > limits.MAX_TOKENS_PER_EXAMPLE:
        most = f"over the service's limit of {limits.MAX_TOKENS_PER_EXAMPLE:,}"
        detail = f"{seconds:.0f} s of audio and {chars:,} characters are about {tokens:,} tokens, {most}"
        raise ClipRejected(reasons.EXAMPLE_TOO_LARGE, detail)


def payload(line: bytes, mime_type: str) -> Payload:
    """The payload of a line that `line` made with inline audio; ValueError for another line."""
    _, _, rest = line.partition(b'"data":"')
    return Payload(pybase64.b64decode(rest[: rest.index(b'"')], validate=True), mime_type)


def without_payload(line: bytes, settings: Settings) -> bytes:
    """A line that `line` made, for people: its base64 is replaced by what it is."""
    before, mark, rest = line.partition(b'"data":"')
    if not mark:
        return line
    encoded, quote, after = rest.partition(b'"')
    size = len(encoded) // 4 * 3 - encoded.count(b"=")
    words = f"<base64 of {size:,} bytes of {settings.audio_format.upper()}>"
    return b"".join((before, mark, words.encode(), quote, after))


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of an example.

    Attributes:
      prompt: of the user turn.
      target: of the model turn.
      system_instruction: "" for none.
    """

    prompt: str
    target: str
    system_instruction: str


def texts(line: bytes) -> Texts:
    """The texts of a line that `line` made."""
    tree = orjson.loads(line)
    user, model = tree["contents"]
    system = next((tree[name] for name in ("system_instruction", "systemInstruction") if name in tree), None)
    instruction = system["parts"][0]["text"] if system else ""
    return Texts(user["parts"][0]["text"], model["parts"][0]["text"], instruction)


def audio_path(payload: Payload, settings: Settings) -> str:
    """The payload's file, below the dataset's `audio/`. Its contents name it, so equal payloads are one file."""
    return path_of(payload.sha256, settings)


def path_of(audio_sha256: str, settings: Settings) -> str:
    """The file of a payload with this sha256, as `audio_path`."""
    return f"{audio_sha256[:2]}/{audio_sha256}.{settings.audio_format}"


def _audio_part(payload: Payload, settings: Settings) -> tuple[bytes, bytes]:
    """The text before and after the payload's base64 in the part with the audio; a part with a URI has none between."""
    spell = _SPELLINGS[settings.json_names]
    names = "inline_data" if settings.audio_part == "inline" else "file_data", "mime_type", "file_uri"
    part, mime_type, file_uri = (spell(name).encode() for name in names)
    head = b'{"%s":{"%s":%s,' % (part, mime_type, orjson.dumps(payload.mime_type))
    if settings.audio_part == "inline":
        return head + b'"data":"', b'"}}'
    uri = f"{settings.audio_uri}/{audio_path(payload, settings)}"
    return head + b'"%s":%s' % (file_uri, orjson.dumps(uri)), b"}}"


def _frame(clip: Clip, settings: Settings) -> tuple[bytes, bytes]:
    """The line before and after the part with the audio."""
    spell = _SPELLINGS[settings.json_names]
    system = (
        b'"%s":{"parts":[{"text":%s}]},' % (spell("system_instruction").encode(), orjson.dumps(clip.system_instruction))
        if clip.system_instruction
        else b""
    )
    prompt = orjson.dumps(clip.prompt or settings.prompt)
    before = b'{%s"contents":[{"role":"user","parts":[{"text":%s},' % (system, prompt)
    after = b']},{"role":"model","parts":[{"text":%s}]}]}\n' % orjson.dumps(clip.target)
    return before, after
