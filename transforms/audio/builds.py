"""The builds of the native libraries that decide bytes, found out without loading them: a rerun asks, too."""

from __future__ import annotations

import ctypes
import functools
import importlib.metadata
import importlib.util
import subprocess
from collections.abc import Mapping
from pathlib import Path

from transforms.errors import UserError


@functools.cache
def builds() -> dict[str, str]:
    """The version of each library that decides samples or bytes."""
    return {
        "libsndfile": _libsndfile(),
        "soundfile": importlib.metadata.version("soundfile"),
        "soxr": importlib.metadata.version("soxr"),
        "numpy": importlib.metadata.version("numpy"),
        "av": importlib.metadata.version("av"),
        "libav": _libav(),
        "ffmpeg": _ffmpeg_version(),
    }


def refuse_others(expected: Mapping[str, str]) -> None:
    """Refuses to work beside other builds, which would make other bytes of the same clips.

    Args:
      expected: as `builds` says of the machine that began the work; {} if it is this one.

    Raises:
      UserError: names each library that differs, and both its versions.
    """
    ours = builds() if expected else {}
    differ = [
        f"{name} {ours.get(name)}, not {version}" for name, version in expected.items() if ours.get(name) != version
    ]
    if differ:
        raise UserError(
            f"a worker has other decoders than the command that sent it the job: {'; '.join(differ)}; give the workers"
            " the same packages, or run the command where they are the same (docs/dataflow.md)"
        )


def _libsndfile() -> str:
    """What the libsndfile that soundfile uses calls itself, e.g. "1.2.2"."""
    version = _asked("_soundfile_data", "", "libsndfile*", "sf_version_string")
    if not version:
        import soundfile  # noqa: PLC0415 -- slow to import

        version = str(soundfile.__libsndfile_version__)
    return version.removeprefix("libsndfile-")


def _libav() -> str:
    """The version of FFmpeg whose libraries are in the wheel of PyAV, e.g. "8.1.2"."""
    version = _asked("av", "../av.libs", "libavutil*", "av_version_info")
    if not version:
        import av  # noqa: PLC0415 -- slow to import

        version = str(av.ffmpeg_version_info)
    return version


def _asked(package: str, folder: str, library: str, function: str) -> str:
    """The version that a library in a wheel tells; "" if the wheel does not hold exactly one of this name.

    Args:
      package: of the wheel. It is not imported, because that takes longer than all else that a rerun does.
      folder: of the library, from the package's own.
      library: pattern of its file name.
      function: of the library; takes nothing and returns text.
    """
    found = importlib.util.find_spec(package)
    files = list(Path(found.origin).parent.joinpath(folder).glob(library)) if found and found.origin else []
    if len(files) != 1:
        return ""
    version = ctypes.CDLL(str(files[0]))[function]
    version.restype = ctypes.c_char_p
    return str(version().decode())


@functools.cache
def ffmpeg() -> str:
    """The ffmpeg of the imageio-ffmpeg wheel, which is pinned."""
    import imageio_ffmpeg  # noqa: PLC0415 -- slow to import, and this is asked once

    return str(imageio_ffmpeg.get_ffmpeg_exe())


def _ffmpeg_version() -> str:
    """What the binary calls itself, e.g. "7.0.2-static"."""
    banner = subprocess.run([ffmpeg(), "-version"], capture_output=True, check=True, text=True).stdout
    return banner.split()[2]
