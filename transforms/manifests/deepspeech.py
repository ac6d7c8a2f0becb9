"""DeepSpeech's and Coqui's CSV: wav_filename, wav_filesize, transcript. Its columns have usual names."""

from __future__ import annotations

from transforms.manifests.row import Row
from transforms.manifests.tool import Beside, Retell, Tool, parted


def _wrote(row: Row) -> bool:
    return {"wav_filename", "transcript"} <= row.fields.keys()


def _retell(beside: Beside) -> Retell:
    return parted(lambda row: [row], beside)


TABLE = Tool(
    "deepspeech",
    "DeepSpeech's CSV: wav_filename, wav_filesize, transcript",
    "DeepSpeech",
    _wrote,
    _retell,
)
