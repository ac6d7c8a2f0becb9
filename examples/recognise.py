"""What CMU's pocketsphinx, which knows English only, hears in the held-out clips of a dataset.

`python -m examples.recognise DATASET FILE` writes its answers as lines of JSON, which `cliptune evaluate --predictions
pocketsphinx=FILE` reads. Its wheel brings its model, so that nothing is fetched; another recogniser needs another
`Recogniser` only.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import sys
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from transforms.errors import UserError
from transforms.storage import Storage
from tuning import dataset
from tuning.questions import examples


class Recogniser(Protocol):
    """Turns speech into words."""

    def __call__(self, samples: NDArray[np.int16], sample_rate: int) -> str:
        """The words in mono samples, shape (num_samples,); "" if none are heard."""


def pocketsphinx(samples: NDArray[np.int16], sample_rate: int) -> str:
    """The words that pocketsphinx hears.

    Each clip has a decoder of its own, because one that goes on remembers the channel of the clips before:
    the answer would depend on their order.
    """
    from pocketsphinx import Decoder  # noqa: PLC0415 -- other recognisers do without it

    decoder = Decoder(samprate=float(sample_rate), cmn="batch", loglevel="FATAL")
    decoder.start_utt()
    decoder.process_raw(samples.tobytes(), full_utt=True)
    decoder.end_utt()
    found = decoder.hyp()
    return str(found.hypstr) if found else ""


def recordings(uri: str, split: str) -> Iterator[tuple[str, bytes]]:
    """The id and the audio of each clip of a split, as a model is shown it.

    Raises:
      UserError: there is no such dataset or split, or its audio is in files of its own.
    """
    prepared = dataset.load(uri, Storage())
    if split not in prepared.splits:
        raise UserError(f"{uri} has no {split} split")
    for row, line in examples(prepared, split, ["clip_id"]):
        yield row["clip_id"], _audio(json.loads(line), uri)


def _audio(example: dict[str, Any], uri: str) -> bytes:
    for part in example["contents"][0]["parts"]:
        blob = part.get("inline_data") or part.get("inlineData")
        if blob:
            return base64.b64decode(blob["data"])
    raise UserError(f"the examples of {uri} refer to files; this script reads those of --audio_part=inline")


def recognise(uri: str, split: str, recogniser: Recogniser) -> Iterator[str]:
    """A line of JSON for each clip of a split."""
    clips = list(recordings(uri, split))
    for clip_id, content in track(clips, "recognising", console=Console(stderr=True)):
        samples, sample_rate = soundfile.read(io.BytesIO(content), dtype="int16")
        answer = {"clip_id": clip_id, "prediction": recogniser(samples, int(sample_rate))}
        yield json.dumps(answer, ensure_ascii=False) + "\n"


def main() -> int:
    """Writes the answers; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", help="folder that cliptune prepare has written")
    parser.add_argument("file", help="where the answers go: lines of JSON with clip_id and prediction")
    parser.add_argument("--split", default="validation", help="default: %(default)s")
    args = parser.parse_args()
    try:
        lines = list(recognise(args.dataset, args.split, pocketsphinx))
    except ModuleNotFoundError as error:
        print(f"{error.name} is not installed: pip install {error.name}", file=sys.stderr)
        return 1
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    with open(args.file, "w", encoding="utf-8") as stream:
        stream.writelines(lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
