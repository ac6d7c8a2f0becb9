"""Work for worker processes that goes wrong in every way, by the words of its task. Workers import this file."""

import ctypes
import os
import pickle
import signal
import subprocess
import sys
import time

from transforms import reasons, region
from transforms.dataset import clip_workers
from transforms.errors import ClipRejected, StorageError, UserError
from transforms.workers import shortage


def crash():
    ctypes.string_at(0)


def hang_in_native_code():
    """Blocked for ever, in C, with the interpreter's lock held: no Python code can interrupt it."""
    ctypes.PyDLL(None).pause()


def hang_in_a_loop():
    while True:
        pass


def bomb():
    hoard = []
    while True:
        hoard.append(bytes(16 << 20))


def fail_for_memory():
    """As a decoder whose allocation fails; `region.closed` makes a refusal of it."""
    with region.closed():
        raise MemoryError


def hang_with_a_child():
    """As a decoder in a process of its own would: the child lives on if nobody ends it."""
    subprocess.Popen(["sleep", "1000"])
    hang_in_native_code()


def kill(number):
    os.kill(os.getpid(), number)
    time.sleep(60)


FAULTS = {
    "StorageError": StorageError("the disk is away"),
    "UserError": UserError("mend it"),
    "ClipRejected": ClipRejected(reasons.SILENT, "nothing to hear"),
    "ZeroDivisionError": ZeroDivisionError("a mistake of ours"),
}
DEEDS = {
    "crash": crash,
    "abort": os.abort,
    "hang in native code": hang_in_native_code,
    "hang in a loop": hang_in_a_loop,
    "hang with a child": hang_with_a_child,
    "bomb": bomb,
    "no memory": fail_for_memory,
    "exit": lambda: os._exit(3),
    "killed": lambda: kill(signal.SIGKILL),
    "stopped": lambda: kill(signal.SIGSTOP),
}


def work(task, parent):
    """What a task says: a deed, "pid", "ask X", or anything else, which comes back."""
    words = task.decode()
    if words in DEEDS:
        DEEDS[words]()
    if words.startswith("once "):  # the deed, unless this file says that it was done
        deed, path = words.removeprefix("once ").split(" at ")
        if not os.path.exists(path):  # noqa: PTH110
            with open(path, "w", encoding="utf-8"):
                DEEDS[deed]()
    if words.startswith("take "):
        bytearray(int(words.split()[1]) << 20)
    if words.startswith("hide a lack of "):  # as a native library that tells a lack of memory as damage
        try:
            bytearray(int(words.split()[4]) << 20)
        except MemoryError:
            shortage.note()
            return [b"damaged"]
        return [b"it was enough"]
    if words.startswith("raise "):
        raise FAULTS[words.removeprefix("raise ")]
    if words.startswith("ask "):
        return [parent.ask(task[4:]), parent.ask(b"more")]
    if words == "big":
        return [bytes(5_000_000), b"", bytes(range(256)) * 10_000]
    if words == "print":
        print("chatter", flush=True)
        print("chatter", file=sys.stderr, flush=True)
    return [str(os.getpid()).encode() if words == "pid" else task]


class Saboteur(clip_workers._Work):
    """Converts clips, but for those whose id names a deed: "crash-17"."""

    def __call__(self, task, parent):
        clip, *_ = clip_workers.unpacked(task)
        deed = DEEDS.get(clip.clip_id.rpartition("-")[0])
        if deed is not None:
            deed()
        return super().__call__(task, parent)


class Fragile(clip_workers._Work):
    """Dies of every payload of an earlier run."""

    def __call__(self, task, parent):
        if isinstance(pickle.loads(task), clip_workers._Noted):
            crash()
        return super().__call__(task, parent)


class Cutter(clip_workers._Work):
    """Converts a segment of a file that becomes shorter while it is mapped into memory."""

    def __call__(self, task, parent):
        from transforms.audio import joined  # noqa: PLC0415 -- decoders are for workers only

        clip, *_ = clip_workers.unpacked(task)
        follow = joined.following

        def cut(content, form, start=0):
            os.truncate(clip.uri, 0)
            return follow(content, form, start)

        joined.following = cut
        return super().__call__(task, parent)
