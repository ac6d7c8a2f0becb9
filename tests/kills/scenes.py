"""The commands that are killed: what they read, and what was in the dataset's place before."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tests.beam_pipeline.conftest import EXAMPLES, ROWS
from tests.kills.places import Place
from transforms.storage import Storage

MENDED = "it is heard now"


@dataclass(frozen=True)
class Scene:
    """A command.

    Attributes:
      manifest: name of its manifest.
      flags: its other flags.
      before: manifest and flags of the command that was run before; None for an empty place.
      merges: whether the rows are merged into what was there.
    """

    manifest: str
    flags: tuple[str, ...] = ()
    before: tuple[str, ...] | None = None
    merges: bool = False

    def words(self, place: Place) -> list[str]:
        """The command line."""
        into = "--merge_into" if self.merges else "--output"
        return _words(place, into, self.manifest, self.flags)

    def words_before(self, place: Place) -> list[str]:
        """The command line of the run before."""
        assert self.before
        return _words(place, "--output", self.before[0], self.before[1:])


SCENES = {
    "flac, segments": Scene("segments.jsonl"),
    "wav, camelCase": Scene("wholes.jsonl", ("--audio_format=wav", "--json_names=camelCase")),
    "mp3": Scene("few.jsonl", ("--audio_format=mp3",)),
    "aac, verified": Scene("few.jsonl", ("--audio_format=aac", "--verify")),
    "files beside the lines": Scene("segments.jsonl", ("--audio_part=uri", "--audio_uri=gs://cliptune-test/out/audio")),
    "equal audio dropped": Scene("segments.jsonl", ("--dedupe=audio",)),
    "rows merged": Scene("mended.jsonl", before=("segments.jsonl",), merges=True),
    "another dataset replaced": Scene("segments.jsonl", ("--overwrite",), before=("few.jsonl", "--audio_format=wav")),
    "marked splits": Scene("marked.jsonl", ("--over_duration=trim", "--max_duration=2")),
}


def _words(place: Place, into: str, manifest: str, flags: tuple[str, ...]) -> list[str]:
    where = ["prepare", f"--manifest={place.folder}/{manifest}", f"{into}={place.output}"]
    if place.name == "gs":  # there, the files' place is the output's
        flags = tuple(flag for flag in flags if not flag.startswith("--audio_uri"))
    return [*where, "--max_rejected_fraction=1", *(["--validation_fraction=0.2"] * (into == "--output")), *flags]


def fill(place: Place) -> None:
    """Writes the manifests and the recordings."""
    storage = Storage()
    for row in ROWS:
        storage.write_bytes(f"{place.folder}/{row['audio_path']}", (EXAMPLES / row["audio_path"]).read_bytes())
    for name, content in _refused().items():
        storage.write_bytes(f"{place.folder}/{name}", content)
    for name, lines in _manifests().items():
        storage.write_bytes(f"{place.folder}/{name}", "".join(f"{line}\n" for line in lines).encode())


def _refused() -> dict[str, bytes]:
    """Files that are no recordings, or not whole ones."""
    whole = (EXAMPLES / next(row["audio_path"] for row in ROWS if row["audio_path"].endswith(".flac"))).read_bytes()
    return {"empty.wav": b"", "text.wav": b"no sound at all\n" * 99, "cut.flac": whole[: len(whole) // 2]}


def _manifests() -> dict[str, list[str]]:
    segments = [
        {**row, "id": f"{row['id']}-{part}", "offset": 0.1 * part, "duration": 0.3}
        for row in ROWS
        for part in (0, 1, 2)
    ]
    wrong = [{"id": name, "audio_path": name, "text": "none"} for name in (*_refused(), "missing.wav", "/etc/hostname")]
    mute = [{**row, "id": f"{row['id']}-mute", "text": ""} for row in ROWS[:5]]
    bad = [*map(json.dumps, [*wrong, *mute, ROWS[0], {**ROWS[1], "text": 7}]), '{"id": "cut', "[]", "\x00"]
    marked = [{**row, "split": ("train", "validation", "test")[number % 3]} for number, row in enumerate(segments)]
    return {
        "segments.jsonl": [*map(json.dumps, [*ROWS[::2], *segments]), *bad],
        "wholes.jsonl": [*map(json.dumps, ROWS), *bad],
        "few.jsonl": [*map(json.dumps, ROWS[::3]), *bad],
        "marked.jsonl": [*map(json.dumps, marked), *bad],
    }


def mended(rejected: bytes) -> bytes:
    """The dead letters whose text was missing, now with one."""
    letters = [json.loads(line) for line in rejected.splitlines()]
    right = [{**letter, "text": MENDED} for letter in letters if str(letter.get("id", "")).endswith("-mute")]
    assert len(right) == 5
    return "".join(f"{json.dumps(letter)}\n" for letter in right).encode()
