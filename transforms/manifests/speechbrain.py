"""SpeechBrain's tables: ID, duration, wav, spk_id, wrd; paths begin with $data_root, the folder of the corpus."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from transforms import reasons
from transforms.errors import ClipRejected
from transforms.manifests.row import Row
from transforms.manifests.tool import Beside, Retell, Tool, parted, renamed, stop

_ROOT = re.compile(r"(\$data_root|\$\{data_root\}|\{data_root\}|\{\{data_root\}\})/*")
_VARIABLE = re.compile(r"\$\w+|\$?\{[^{}/]*\}")


def _wrote(row: Row) -> bool:
    named = {"ID", "wav"} <= row.fields.keys() and bool({"wrd", "words", "spk_id"} & row.fields.keys())
    return named or bool(_ROOT.match(str(row.fields.get("wav", ""))))


@dataclass(slots=True)
class _Rooted:
    beside: Beside
    _looked: list[bool] = field(default_factory=list)

    def __call__(self, row: Row) -> list[Row]:
        # Who names the column of the texts finds it under its name.
        has_text = "text" in row.fields or "text" in dict(self.beside.columns)
        words = "wrd" if "wrd" in row.fields else "words"
        fields = dict(row.fields) if has_text else renamed(row.fields, **{words: "text"})
        wav = fields.get("wav")
        if isinstance(wav, str):
            if found := _ROOT.match(wav):
                fields["wav"] = wav[found.end() :]
                self._look(fields["wav"])
            elif _VARIABLE.match(wav):
                variable = wav.partition("/")[0]
                raise ClipRejected(
                    reasons.NOT_A_PATH, f"what {variable} stands for is not known; write the path itself"
                )
        return [replace(row, fields=fields)]

    def _look(self, path: str) -> None:
        """Looks once whether the corpus lies where paths start."""
        if not self._looked:
            self._looked.append(self.beside.is_given or self.beside.has(path))
        if not self._looked[0]:
            fact = "its paths begin with $data_root, the folder of the corpus, which is not that of this file"
            raise stop(self.beside, fact, "name it: --audio_root=FOLDER")


def _retell(beside: Beside) -> Retell:
    return parted(_Rooted(beside), beside)


TABLE = Tool("speechbrain", "SpeechBrain's CSV: ID, duration, wav, spk_id, wrd", "SpeechBrain", _wrote, _retell)
