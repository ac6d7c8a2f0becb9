"""The builds of the native libraries that decide bytes, found out without loading them: a rerun asks, too."""

from __future__ import annotations

import ctypes
import functools
import importlib.metadata
import importlib.util
import subprocess
from pathlib import Path


@functools.cache
def builds() -> dict[str, str]:
    """The version of each library that decides samples or bytes."""
    return {
        "libsndfile": _libsndfile() or _libsndfile_loaded(),
        "soundfile": importlib.metadata.version("soundfile"),
        "soxr": importlib.metadata.version("soxr"),
        "numpy": importlib.metadata.version("numpy"),
        "ffmpeg": _ffmpeg_version(),
    }


def _libsndfile() -> str:
    """What the libsndfile of soundfile's wheel calls itself; "" if the wheel brings none, or several."""
    data = importlib.util.find_spec("_soundfile_data")
    folder = Path(data.origin).parent if data and data.origin else None
    libraries = list(folder.glob("libsndfile*")) if folder else []
    if len(libraries) != 1:
        return ""
    version = ctypes.CDLL(str(libraries[0])).sf_version_string
    version.restype = ctypes.c_char_p
    return str(version().decode()).removeprefix("libsndfile-")


def _libsndfile_loaded() -> str:
    """What the libsndfile that soundfile finds calls itself."""
    import soundfile  # noqa: PLC0415 -- it loads numpy

    return str(soundfile.__libsndfile_version__)


@functools.cache
def ffmpeg() -> str:
    """The ffmpeg of the imageio-ffmpeg wheel, which is pinned."""
    import imageio_ffmpeg  # noqa: PLC0415 -- slow to import, and this is asked once

    return str(imageio_ffmpeg.get_ffmpeg_exe())


def _ffmpeg_version() -> str:
    """What the binary calls itself, e.g. "7.0.2-static"."""
    banner = subprocess.run([ffmpeg(), "-version"], capture_output=True, check=True, text=True).stdout
    return banner.split()[2]
