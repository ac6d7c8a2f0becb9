"""The recordings of some clips for the players of a page: as a model was given them, or smaller where they must be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing
from hashlib import sha256
from typing import Any

import orjson
import pybase64

from transforms import limits
from transforms.clip import Clip
from transforms.dataset import example
from transforms.dataset.clip_workers import ClipWorkers
from transforms.dataset.sources import Stored
from transforms.errors import CliptuneError
from transforms.payloads import PAYLOADS, Payload
from transforms.records import DAMAGES
from transforms.settings import Settings
from transforms.storage import uris
from tuning.dataset import Dataset
from tuning.evaluation.clips import HeldOut

# What browsers know the payloads by.
_TYPES = {"audio/flac": "audio/flac", "audio/wav": "audio/wav", "audio/mp3": "audio/mpeg", "audio/x-aac": "audio/aac"}
_SPELLINGS = {"mimeType": "mime_type", "fileUri": "file_uri"}
# A worker asks for what is not a file of this machine; what it is given is here already, and nothing is fetched.
_ELSEWHERE = "gs://nowhere/clip"
# Speech is understood well at 3 kB a second, whatever the dataset is made for.
_SMALL = Settings(
    audio_format="mp3",
    bitrate=24,
    trim_silence=False,
    min_duration=0.0,
    max_duration=limits.MAX_AUDIO_SECONDS - 1.0,
)


def uris_of(
    prepared: Dataset, split: str, wanted: Sequence[HeldOut], room: int, done: Callable[[int], None] = lambda done: None
) -> dict[str, str]:
    """The recordings of clips as data: URIs, by their ids: as many as there is room for, the first ones first.

    One that takes more than its share of the room is encoded again, if not all fit as they are. A recording that is not
    to be had, because it was moved or altered, is left out.

    Args:
      prepared: the dataset.
      split: of the clips.
      wanted: the clips, the most wanted first.
      room: the most bytes of all URIs.
      done: called with the number of clips that have been looked at.
    """
    found: dict[str, str] = {}
    inline = prepared.settings.get("audio_part") != "uri"
    fits = inline and sum(clip.place[2] for clip in wanted if clip.place) <= room
    share = room if fits else room // max(1, len(wanted))
    with closing(ClipWorkers(_SMALL, verify=False, size=1)) as workers:
        for number, clip in enumerate(wanted, 1):
            payload = _payload(prepared, split, clip)
            if payload is not None and _length(payload) > share:
                payload = _smaller(payload, workers, prepared)
            if payload is not None and _length(payload) <= room:
                found[clip.clip_id] = _uri(payload)
                room -= _length(payload)
            done(number)
    return found


def _uri(payload: Payload) -> str:
    return f"data:{_TYPES[payload.mime_type]};base64,{pybase64.b64encode(payload.content).decode()}"


def _length(payload: Payload) -> int:
    """Bytes of the payload as a data: URI."""
    return len(f"data:{_TYPES[payload.mime_type]};base64,") + 4 * -(-len(payload.content) // 3)


def _payload(prepared: Dataset, split: str, clip: HeldOut) -> Payload | None:
    """The audio of a clip's example; None if it is not to be had."""
    if clip.place is None:
        return None
    shard, start, length = clip.place
    try:
        with prepared.storage.open_audio(uris.join(prepared.uri, prepared.splits[split][shard].path)) as stream:
            stream.seek(start)
            line = stream.read(length)
        if sha256(line).hexdigest() != clip.line_sha256:
            return None
        return _of_part(prepared, _audio_part(line))
    except (FileNotFoundError, LookupError, CliptuneError, *DAMAGES):
        return None


def _audio_part(line: bytes) -> Mapping[str, Any]:
    """The part of the first turn that has the audio, its names in snake case."""
    for part in orjson.loads(line)["contents"][0]["parts"]:
        for name in ("inline_data", "inlineData", "file_data", "fileData"):
            if name in part:
                return {_SPELLINGS.get(key, key): value for key, value in part[name].items()}
    raise LookupError("an example without audio")


def _of_part(prepared: Dataset, part: Mapping[str, Any]) -> Payload | None:
    """The payload that an example has or refers to. Of the latter only the file in the dataset itself is read."""
    mime_type = part["mime_type"]
    if mime_type not in _TYPES:
        return None
    if "data" in part:
        return Payload(pybase64.b64decode(part["data"]), mime_type)
    digest, _, ending = part["file_uri"].rpartition("/")[2].partition(".")
    if ending not in PAYLOADS or len(digest) != 64 or not digest.isalnum():
        return None
    uri = uris.join(prepared.uri, "audio", digest[:2], f"{digest}.{ending}")
    found = Payload(prepared.storage.read_bytes(uri, limits.MAX_AUDIO_BYTES), mime_type)
    return found if found.sha256 == digest else None


def _smaller(payload: Payload, workers: ClipWorkers, prepared: Dataset) -> Payload | None:
    """The payload encoded again, by a process that may die of it; as it is, if that makes it no smaller."""
    ahead: Future[bytes | None] = Future()
    ahead.set_result(payload.content)
    try:
        line = workers.convert(Clip("clip", _ELSEWHERE, ""), Stored(_ELSEWHERE, prepared.storage, ahead)).line
    except CliptuneError:
        return payload  # too quiet for a clip, for example
    small = example.payload(line, PAYLOADS[_SMALL.audio_format].mime_type)
    return min(small, payload, key=_length)


def in_turn(lists: Iterable[Sequence[HeldOut]]) -> list[HeldOut]:
    """The clips of several lists, each once: the first of each, then the second of each, and so on."""
    lists = list(lists)
    ranks = range(max(map(len, lists), default=0))
    ordered = (clips[rank] for rank in ranks for clips in lists if rank < len(clips))
    return list({clip.clip_id: clip for clip in ordered}.values())
