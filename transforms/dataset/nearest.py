"""What to say of a file that is not there: the path that was tried, and the nearest one that exists.

A path that exists is never read otherwise: a name may hold a backslash, a "%20" or a blank. So nothing is guessed; the
refusal names what the row may mean.
"""

from __future__ import annotations

import functools
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

import orjson

from transforms import reasons
from transforms.clip import Clip
from transforms.dataset.output import Output
from transforms.errors import ClipRejected, StorageError, UserError
from transforms.storage import Storage, inside, uris

# Names of one folder in a bucket that are compared: ten requests.
MAX_LISTED = 10_000
_DRIVE = re.compile(r"[A-Za-z]:(?=[\\/])")
_LABEL_STUDIO = re.compile(r"^/?data/(?:upload/(?:[0-9]+/)?(?:[0-9a-f]{8}-)?|local-files/\?d=)")


def refusal(clip: Clip, output: Output) -> ClipRejected:
    """Why a recording that is not there was not found, with paths as the manifest would have them."""
    row = orjson.loads(clip.row) if '"reject_root"' in clip.row else {}
    root = output.origins.root_of(clip.source, row) or output.base
    uri = inside.file_of(uris.absolute(clip.uri, output.base))
    path = uris.below(root, uri)
    if re.search(r"\S\s.*\|\s*$", path):
        return ClipRejected(
            reasons.NOT_A_PATH,
            "the path is a command, and Cliptune runs none: write its output to a file, and name that",
        )
    if path.lower().startswith("data:"):
        return ClipRejected(reasons.NOT_A_PATH, "a data: URI, not a path: write its contents to a file, and name that")
    found, why = _nearest(path, root, output.storage)
    if output.storage_of(clip).leads_out(uris.absolute(found, root)):
        found = ""  # of what lies outside nothing is told
    there = f"; the nearest that exists is {uris.shown(found)}" if found else ""
    return ClipRejected(
        reasons.NOT_FOUND,
        f"there is no such file: not found: {uris.shown(clip.uri)}{there}{f' ({why})' if why else ''}",
    )


def _nearest(path: str, root: str, storage: Storage) -> tuple[str, str]:
    """The path that exists, "" for none, and what is odd about the one that does not."""
    spellings = list(_spellings(path))
    parts = [(part, why) for spelling, why in reversed(spellings) for part in _suffixes(spelling)]
    for candidate, why in spellings + parts:
        if found := _loosely(candidate, root, storage):
            return found, why or _difference(path, found)
    return "", next((why for _, why in _spellings(path) if why), _unexpanded(path))


def _spellings(path: str) -> Iterator[tuple[str, str]]:
    """The path as it may be meant, and what was then wrong with it."""
    yield path, ""
    plain = path
    if "\\" in plain:
        drive = f"{plain[:2]} is a drive of Windows, and " if _DRIVE.match(plain) else ""
        plain = _DRIVE.sub("", plain, count=1).replace("\\", "/")
        yield plain, drive + r"\ is part of a name here: write /"
    elif _DRIVE.match(plain):
        plain = _DRIVE.sub("", plain, count=1)
        yield plain, f"{path[:2]} is a drive of Windows"
    if _LABEL_STUDIO.match(plain):
        plain = _LABEL_STUDIO.sub("", plain)
        yield unquote(plain), "Label Studio's address: write the path of the exported file"
    if re.search(r"%[0-9A-Fa-f]{2}", plain):
        yield unquote(plain), "%XX stands for itself: write the character"


def _suffixes(path: str) -> Iterator[str]:
    """Ever shorter paths: the folder may be named twice, or be that of another machine."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    for start in range(1 if not path.startswith("/") else 0, len(parts)):
        yield "/".join(parts[start:])


def _difference(path: str, found: str) -> str:
    names = {"another case": str.casefold, "blanks around it": _stripped}
    names["another Unicode form"] = functools.partial(unicodedata.normalize, "NFC")
    for what, fold in names.items():
        if fold(path) == fold(found):
            return what
    if os.path.splitext(path)[0].casefold() == os.path.splitext(found)[0].casefold():  # noqa: PTH122
        return "another extension"
    return "" if path.rpartition("/")[2] != found.rpartition("/")[2] else "in another folder"


def _unexpanded(path: str) -> str:
    if path.startswith("~"):
        return "~ is not expanded: write the home folder in full"
    return "variables are not expanded: write their value" if re.search(r"\$\{?\w|%\w+%", path) else ""


def _stripped(path: str) -> str:
    return "/".join(part.strip() for part in path.split("/")).strip("'\" ")


def _folded(name: str) -> str:
    """Equal for names that people take for the same."""
    return unicodedata.normalize("NFC", _stripped(name)).casefold()


@dataclass(frozen=True, slots=True)
class _Names:
    """The names in a folder, as they are looked for.

    Attributes:
      exact: every name.
      folded: a name for each `_folded` one.
      stems: a name for each `_folded` one without its extension.
    """

    exact: frozenset[str]
    folded: Mapping[str, str]
    stems: Mapping[str, str]

    @staticmethod
    def of(names: list[str]) -> _Names:
        """The names, of which the first counts among those that look the same."""
        names = sorted(names, reverse=True)
        stems = {os.path.splitext(_folded(name))[0]: name for name in names}  # noqa: PTH122
        return _Names(frozenset(names), {_folded(name): name for name in names}, stems)

    def like(self, name: str, is_last: bool = True) -> str:
        """The name that is most like this one; "" for none. Only the last one has an extension."""
        if name in self.exact:
            return name
        folded = _folded(name)
        stem = os.path.splitext(folded)[0]  # noqa: PTH122
        return self.folded.get(folded, "") or (self.stems.get(stem) or self.stems.get(folded, "") if is_last else "")


def _loosely(path: str, root: str, storage: Storage) -> str:
    """The file below the root, or of an absolute path, that is written most like `path`; "" for none."""
    uri = uris.absolute(path, root)
    if uris.is_gcs(uri):
        folder, _, name = uri.rpartition("/")
        found = _objects(folder, storage).like(name)
        return f"{path[: len(path) - len(name)]}{found}" if found else ""
    place, found_parts = "/" if path.startswith("/") else root, []
    parts = [part for part in path.split("/") if part not in ("", ".")]
    for number, part in enumerate(parts, start=1):
        names = _files(place, _changed(place))
        like = part if part == ".." else names.like(part, number == len(parts))
        if not like:
            return ""
        found_parts.append(like)
        place = uris.join(place, like)
    # A folder is not the file that was meant.
    if not found_parts or not os.path.isfile(place):  # noqa: PTH113
        return ""
    return ("/" if path.startswith("/") else "") + "/".join(found_parts)


def _changed(folder: str) -> int:
    """When the folder was changed: what is known of it holds until then."""
    try:
        return os.stat(folder).st_mtime_ns  # noqa: PTH116
    except (OSError, ValueError):
        return 0


@functools.lru_cache(maxsize=64)  # rows of a manifest look into few folders
def _files(folder: str, changed: int) -> _Names:
    try:
        return _Names.of(os.listdir(folder) if changed else [])  # noqa: PTH208
    except OSError:
        return _Names.of([])


@functools.lru_cache(maxsize=64)
def _objects(folder: str, storage: Storage) -> _Names:
    try:
        listed = storage.list_objects(folder, MAX_LISTED)
    except (UserError, StorageError, OSError):  # may not be listed: then nothing is known of it
        return _Names.of([])
    return _Names.of([uris.below(folder, each.uri) for each in listed])


def forget() -> None:
    """Has every folder looked into again."""
    _files.cache_clear()
    _objects.cache_clear()
