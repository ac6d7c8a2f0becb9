"""One line of the dataset: a prompt and a clip in the user turn, the target in the model turn."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pybase64

from transforms.clip import Clip, ClipRejected, RejectReason
from transforms.encode import Payload
from transforms.settings import Settings

# Field names of google.cloud.aiplatform's GeminiExample; ProtoJSON parses both spellings.
_SPELLINGS: dict[str, Callable[[str], str]] = {
    "snake_case": lambda name: name,
    "camelCase": lambda name: name.split("_")[0] + "".join(word.title() for word in name.split("_")[1:]),
}


def line(clip: Clip, payload: Payload, settings: Settings) -> bytes:
    """The clip's JSON line, its newline included.

    Args:
      clip: its prompt ("" for the settings' own), system instruction and target are used as they are.
      payload: the conformed, encoded audio.
      settings: spelling of the field names and the longest line.

    Raises:
      ClipRejected: the line would be longer than `max_example_bytes`.
    """
    before, after = _frame(clip, payload.mime_type, settings)
    size = len(before) + 4 * ((len(payload.content) + 2) // 3) + len(after)
    if size > settings.max_example_bytes:
        raise ClipRejected(
            RejectReason.EXAMPLE_TOO_LARGE,
            f"the example would have {size:,} bytes, over the limit max_example_bytes={settings.max_example_bytes:,}",
        )
    # The payload never passes through a JSON encoder: base64 needs no escapes.
    return b"".join((before, pybase64.b64encode(payload.content), after))


def payload(line: bytes, mime_type: str) -> Payload:
    """The payload of a line that `line` made."""
    _, _, rest = line.partition(b'"data":"')
    return Payload(pybase64.b64decode(rest[: rest.index(b'"')]), mime_type)


def _frame(clip: Clip, mime_type: str, settings: Settings) -> tuple[bytes, bytes]:
    """What stands before and after the base64 of the payload."""
    spell = _SPELLINGS[settings.json_names]
    system = (
        b'"%s":{"parts":[{"text":%s}]},' % (spell("system_instruction").encode(), orjson.dumps(clip.system_instruction))
        if clip.system_instruction
        else b""
    )
    before = b'{%s"contents":[{"role":"user","parts":[{"text":%s},{"%s":{"%s":%s,"data":"' % (
        system,
        orjson.dumps(clip.prompt or settings.prompt),
        spell("inline_data").encode(),
        spell("mime_type").encode(),
        orjson.dumps(mime_type),
    )
    after = b'"}}]},{"role":"model","parts":[{"text":%s}]}]}\n' % orjson.dumps(clip.target)
    return before, after
