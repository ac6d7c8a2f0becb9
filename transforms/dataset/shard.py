"""One shard: its clips become lines, its sidecar says what became of each, written last."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b, sha256
from itertools import chain, islice
from threading import Lock
from typing import Any, TypeVar

import orjson

from transforms import reasons, tasks, text
from transforms.audio import conform, decode, encode
from transforms.audio.waveform import Waveform
from transforms.clip import Clip, Outcome, rejected
from transforms.dataset import assign, example, read_ahead
from transforms.dataset.plan import REJECTED, ShardKey
from transforms.dataset.read_ahead import Ahead
from transforms.errors import ClipRejected, UserError
from transforms.manifests import allowed
from transforms.ordered import map_ordered
from transforms.settings import TEXT, Settings
from transforms.storage import Storage, crc32c, uris

FORMAT_VERSION = 1
RUN_FILE = "run.json"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Target:
    """What a run writes, where to, and where it finds its audio.

    Attributes:
      output: absolute folder or gs:// URI of the dataset.
      base: absolute folder that relative audio paths start from.
      allowed: folders, besides the manifests' own, that local audio may lie in.
      num_shards: shards of each split.
      settings: what decides the bytes.
      storage: reads the audio and writes the dataset.
      verify: whether every payload is decoded again and compared.
      audio_there: whether an earlier run has written audio files into the output.
      claim: sha256 of this run's `run.json`, hexadecimal; "" for an output that nobody else can claim.
    """

    output: str
    base: str
    allowed: tuple[str, ...]
    num_shards: dict[str, int]
    settings: Settings
    storage: Storage
    verify: bool = False
    audio_there: bool = False
    claim: str = ""

    def audio_folder(self) -> str:
        """Where audio files go, with `audio_part="uri"`."""
        return uris.join(self.output, "audio")

    def write_audio(self, payload: encode.Payload) -> None:
        """Writes a payload as a file of its own, named by its contents: two runs, or two clips, may write the same."""
        uri = uris.join(self.audio_folder(), example.audio_path(payload, self.settings))
        self.storage.write_once(uri, payload.content, payload.mime_type, self.audio_there)

    def check_claim(self) -> None:
        """Refuses to write into an output that another run has taken over.

        Raises:
          UserError: its `run.json` is not this run's.
        """
        if not self.claim:
            return
        try:
            found = sha256(self.storage.read_bytes(uris.join(self.output, RUN_FILE))).hexdigest()
        except FileNotFoundError:
            found = ""
        if found != self.claim:
            raise UserError(f"another run has taken {self.output} over while this one ran; nothing more is written")

    def shard_path(self, key: ShardKey) -> str:
        """The shard's path below `output`."""
        split, index = key
        return f"{split}/{split}-{index:05d}-of-{self.num_shards[split]:05d}.jsonl"

    def sidecar_uri(self, key: ShardKey) -> str:
        """Where the shard's outcomes are."""
        return uris.join(self.output, self.shard_path(key).removesuffix(".jsonl") + ".outcomes.json")


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A shard's commit mark: it exists only when the shard is whole.

    Attributes:
      fingerprint: of everything that decided the shard's bytes.
      bytes: size of the shard file.
      sha256: of the shard file, hexadecimal.
      outcomes: one for every clip, in the order of the shard.
    """

    fingerprint: str
    bytes: int
    sha256: str
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class ShardResult:
    """What a written shard reports: small, for it crosses a shuffle.

    Attributes:
      key: split and index.
      rows: clips that were assigned to the shard.
      reused: whether an earlier run had written it.
      fingerprint: what its sidecar must bear.
    """

    key: ShardKey
    rows: int
    reused: bool
    fingerprint: str


def fingerprint(rows: Sequence[Clip | Outcome], settings: Settings) -> str:
    """A digest of all that decides a shard's bytes: rows, settings, format and decoders."""
    content = [FORMAT_VERSION, asdict(settings), decode.builds(), [asdict(row) for row in rows]]
    return blake2b(orjson.dumps(content, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()


def prepare_clip(clip: Clip, target: Target, ahead: Ahead | None = None) -> tuple[bytes, Outcome]:
    """Reads, decodes, conforms and encodes one clip.

    Args:
      clip: what to prepare.
      target: the dataset it is for.
      ahead: the read of its source, if that was begun before.

    Returns:
      The example's line and its outcome, which does not yet know its place; or
      b"" and the outcome of a rejected clip.

    Raises:
      StorageError: the world's fault, for the runner to retry.
      UserError: nothing of this kind can be read, for example a forbidden bucket.
      PayloadError: with `target.verify`, a payload that is not what it should be.
    """
    try:
        return _accept(clip, target, ahead)
    except ClipRejected as refusal:
        return b"", rejected(clip, refusal.reason, refusal.detail)


def _accept(clip: Clip, target: Target, ahead: Ahead | None) -> tuple[bytes, Outcome]:
    settings = target.settings
    clip = _normalized(clip, settings)
    uri = uris.absolute(clip.uri, target.base)
    if clip.confined:
        allowed.check_allowed(uri, target.allowed)
    wave, content = _decoded(clip, uri, target, ahead)
    conformed = conform.conform(wave, settings)
    payload = encode.pass_through(content, wave, conformed, settings) or encode.encode(conformed.samples, settings)
    if target.verify:
        encode.verify(payload, conformed.samples, settings)
    line = example.line(clip, payload, settings)
    by_uri = settings.audio_part == "uri"
    if by_uri:
        target.write_audio(payload)
    return line, Outcome(
        clip_id=clip.clip_id,
        source=clip.source,
        uri=clip.uri,
        status="accepted",
        line_bytes=len(line),
        line_sha256=sha256(line).hexdigest(),
        mime_type=payload.mime_type,
        audio_bytes=len(payload.content),
        audio_sha256=sha256(payload.content).hexdigest(),
        audio_crc32c=crc32c(payload.content) if by_uri else None,
        source_format=wave.source_format,
        source_sample_rate=wave.sample_rate,
        source_channels=wave.samples.shape[1],
        source_samples=wave.samples.shape[0],
        num_samples=len(conformed.samples),
        trimmed_start_samples=conformed.trimmed_start_samples,
        trimmed_end_samples=conformed.trimmed_end_samples,
        target_chars=len(clip.target),
        task=clip.task or None,
        group=clip.group or None,
        # A clip that is dropped later becomes a dead letter, which holds its row.
        row=clip.row if settings.dedupe == "audio" else None,
    )


def _normalized(clip: Clip, settings: Settings) -> Clip:
    task = tasks.find(clip.task, settings.tasks)
    if not settings.normalize_text or (task is not None and task.target != TEXT):
        return clip
    normalized = text.normalize(clip.target, settings.normalize_text)
    if not normalized.strip():
        steps = ",".join(settings.normalize_text)
        raise ClipRejected(reasons.MISSING_TEXT, f"nothing is left of the text {clip.target!r} after {steps}")
    return replace(clip, target=normalized)


def _decoded(clip: Clip, uri: str, target: Target, ahead: Ahead | None) -> tuple[Waveform, bytes]:
    """The clip's waveform, and its whole source file; b"" for a segment, which is cut out of a recording."""
    name_hint = uris.without_generation(uri)
    if clip.offset is None:
        content = read_ahead.read(uri, target.storage, ahead)
        return decode.decode(content, max_duration=target.settings.max_duration, name_hint=name_hint), content
    with target.storage.open_audio(uri) as recording:
        wave = decode.decode_segment(
            recording,
            offset=clip.offset,
            duration=clip.duration,
            max_duration=target.settings.max_duration,
            name_hint=name_hint,
        )
    return wave, b""


@dataclass(frozen=True, slots=True)
class ClipPool:
    """Where clips are prepared, some at a time.

    Attributes:
      executor: runs the preparation of one clip.
      window: clips in flight, which bounds memory.
      on_outcome: called for every outcome, in the order of its shard, for progress.
      reader: reads sources in gs:// ahead of their decoding; None to read each when it is decoded.
      reads: sources of one shard that are read, or have been read and wait, at a time.
      turn: held by the shard whose clips are begun.
    """

    executor: Executor
    window: int
    on_outcome: Callable[[Outcome], None] = lambda outcome: None
    reader: Executor | None = None
    reads: int = 1
    turn: Lock = field(default_factory=Lock)


def write_shard(key: ShardKey, rows: Iterable[Clip | Outcome], target: Target, pool: ClipPool) -> ShardResult:
    """Writes one shard and, when it is whole, its sidecar.

    A shard whose sidecar already bears the same fingerprint, and whose file is
    as the sidecar says, is left as it is and nothing is decoded.

    Args:
      key: split and index; split "rejected" has a sidecar and no file.
      rows: clips of the shard in any order; of split "rejected", outcomes.
      target: what is written, and where to.
      pool: prepares the clips.

    Raises:
      StorageError: the world's fault, after retries; the runner may try the shard again.
    """
    ordered = sorted(rows, key=_place)
    digest = fingerprint(ordered, target.settings)
    sidecar = _committed(key, digest, target)
    if sidecar is not None and (not target.verify or _verified(key, sidecar, target)):
        for outcome in sidecar.outcomes:
            pool.on_outcome(outcome)
        return ShardResult(key, len(sidecar.outcomes), True, digest)
    if key[0] == REJECTED:
        target.check_claim()
        outcomes = tuple(row for row in ordered if isinstance(row, Outcome))
        sidecar = Sidecar(digest, 0, sha256().hexdigest(), outcomes)
    else:
        clips = [row for row in ordered if isinstance(row, Clip)]
        sidecar = _write_lines(key, clips, digest, target, pool)
    target.storage.write_bytes(target.sidecar_uri(key), dump_sidecar(sidecar))
    return ShardResult(key, len(sidecar.outcomes), False, digest)


def _place(row: Clip | Outcome) -> tuple[int, str]:
    name = row.clip_id if isinstance(row, Clip) else row.source
    return assign.order_key(name), name


def _write_lines(key: ShardKey, clips: Sequence[Clip], digest: str, target: Target, pool: ClipPool) -> Sidecar:
    def prepare(source: tuple[Clip, Ahead]) -> tuple[bytes, Outcome]:
        clip, ahead = source
        return prepare_clip(clip, target, ahead)

    outcomes: list[Outcome] = []
    line_index, written, file_hash = 0, 0, sha256()
    with (
        target.storage.write(uris.join(target.output, target.shard_path(key))) as stream,
        closing(read_ahead.begin(clips, target.base, target.storage, pool.reader, pool.reads)) as reads,
        closing(_in_turn(zip(clips, reads, strict=True), pool.turn)) as both,
    ):
        for line, outcome in map_ordered(pool.executor, prepare, both, pool.window):
            placed = replace(outcome, split=key[0], shard_index=key[1], line_index=line_index if line else None)
            line_index += bool(line)
            written += stream.write(line)
            file_hash.update(line)
            outcomes.append(placed)
            pool.on_outcome(placed)
        target.check_claim()  # the file takes its name at the end of this block
    return Sidecar(digest, written, file_hash.hexdigest(), tuple(outcomes))


def _in_turn(values: Iterable[T], turn: Lock) -> Generator[T]:
    """The values, of one shard after the other: so while one shard is finished, the next one keeps all threads busy.

    Shards that shared the threads would end together, and wait for the bucket together.
    """
    values = iter(values)
    first = list(islice(values, 1))  # what is read ahead is begun, whosever turn it is
    with turn:
        yield from chain(first, values)


def dump_sidecar(sidecar: Sidecar) -> bytes:
    """The sidecar as JSON; fields that are None are left out."""
    outcomes = [{k: v for k, v in asdict(outcome).items() if v is not None} for outcome in sidecar.outcomes]
    content: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "fingerprint": sidecar.fingerprint,
        "bytes": sidecar.bytes,
        "sha256": sidecar.sha256,
        "outcomes": outcomes,
    }
    return orjson.dumps(content) + b"\n"


def load_sidecar(content: bytes) -> Sidecar:
    """The inverse of `dump_sidecar`.

    Raises:
      ValueError: `content` is no sidecar of this format version.
    """
    try:
        tree = orjson.loads(content)
        if tree["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format_version must be {FORMAT_VERSION}, got {tree['format_version']}")
        outcomes = tuple(Outcome(**{"uri": None, **outcome}) for outcome in tree["outcomes"])
        return Sidecar(tree["fingerprint"], tree["bytes"], tree["sha256"], outcomes)
    except (KeyError, TypeError) as fault:
        raise ValueError(f"not a sidecar: {fault}") from fault


def _committed(key: ShardKey, digest: str, target: Target) -> Sidecar | None:
    """The sidecar of an earlier run, if it and its shard are what this run would write."""
    try:
        sidecar = load_sidecar(target.storage.read_bytes(target.sidecar_uri(key)))
    except (FileNotFoundError, ValueError):
        return None
    if sidecar.fingerprint != digest:
        return None
    return sidecar if key[0] == REJECTED or _intact(key, sidecar, target) else None


def _verified(key: ShardKey, sidecar: Sidecar, target: Target) -> bool:
    """Decodes the payloads of a shard that an earlier run wrote; each must have the samples that were noted.

    Returns:
      False if an audio file beside the shard is missing or changed: then the shard is to be made again.

    Raises:
      PayloadError: a payload has other samples.
    """
    if key[0] == REJECTED:
        return True
    accepted = (outcome for outcome in sidecar.outcomes if outcome.status == "accepted")
    with target.storage.open_read(uris.join(target.output, target.shard_path(key))) as stream:
        for outcome, line in zip(accepted, stream, strict=True):
            payload = _payload(line, outcome, target)
            if payload is None:
                return False
            encode.verify_length(payload, outcome.num_samples or 0, target.settings)
    return True


def _payload(line: bytes, outcome: Outcome, target: Target) -> encode.Payload | None:
    """The payload of an accepted clip; None if it is a file that is missing or has other contents."""
    mime_type = outcome.mime_type or ""
    if target.settings.audio_part == "inline":
        return example.payload(line, mime_type)
    path = f"{(outcome.audio_sha256 or '')[:2]}/{outcome.audio_sha256}.{target.settings.audio_format}"
    try:
        content = target.storage.read_bytes(uris.join(target.audio_folder(), path))
    except FileNotFoundError:
        return None
    return encode.Payload(content, mime_type) if sha256(content).hexdigest() == outcome.audio_sha256 else None


def _intact(key: ShardKey, sidecar: Sidecar, target: Target) -> bool:
    uri = uris.join(target.output, target.shard_path(key))
    try:
        if target.storage.size(uri) != sidecar.bytes:
            return False
        with target.storage.open_read(uri) as stream:
            found = sha256()
            while block := stream.read(1 << 20):
                found.update(block)
    except FileNotFoundError:
        return False
    return found.hexdigest() == sidecar.sha256
