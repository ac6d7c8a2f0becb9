"""What may stand in the place of a file of state."""

import os
import socket

from transforms import bounds


def nothing(path):
    path.unlink()


def folder(path):
    path.unlink()
    path.mkdir()


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def a_socket(path):
    path.unlink()
    with socket.socket(socket.AF_UNIX) as end:
        os.chdir(path.parent)  # the name of a socket is short
        end.bind(path.name)


def half(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def too_long(path):
    """Longer than any file that is read whole, on paper."""
    os.truncate(path, bounds.MAX_WHOLE_BYTES + 1)
