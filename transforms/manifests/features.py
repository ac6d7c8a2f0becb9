"""What `datasets` notes of a table's columns beside its schema: which hold recordings, and the names of classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from transforms.manifests.row import Fields

# The key of a schema's metadata.
KEY = b"huggingface"
_NO_AUDIO = frozenset({"Image", "Video", "Pdf", "Mesh", "Nifti"})


@dataclass(frozen=True, slots=True)
class Features:
    """The features of a table.

    Attributes:
      audio: columns that hold recordings.
      others: columns that hold pictures and the like.
      classes: names of the classes of a column, by their numbers.
    """

    audio: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @staticmethod
    def of_schema(metadata: Mapping[bytes, bytes] | None) -> Features:
        """Of the metadata of an Arrow schema, whatever stands there."""
        try:
            return Features.of(orjson.loads((metadata or {}).get(KEY, b"{}"))["info"]["features"])
        except (ValueError, LookupError, TypeError, AttributeError):
            return Features()

    @staticmethod
    def of(tree: Any) -> Features:  # noqa: ANN401 -- JSON
        """Of the features as JSON; raises LookupError, TypeError or AttributeError where it is none."""
        kinds = {name: form.get("_type") for name, form in tree.items() if isinstance(form, dict)}
        classes = {name: tuple(map(str, tree[name]["names"])) for name, kind in kinds.items() if kind == "ClassLabel"}
        return Features(
            frozenset(name for name, kind in kinds.items() if kind == "Audio"),
            frozenset(name for name, kind in kinds.items() if kind in _NO_AUDIO),
            classes,
        )

    def may_hold_recordings(self, column: str) -> bool:
        """Whether a column of bytes may be one of recordings."""
        return column in self.audio if self.audio else column not in self.others

    def name_classes(self, fields: Fields) -> None:
        """Puts the names of classes in the place of their numbers; nothing for -1, which means none."""
        for column, names in self.classes.items():
            number = fields.get(column)
            if isinstance(number, int) and -1 <= number < len(names):
                fields[column] = names[number] if number >= 0 else None
