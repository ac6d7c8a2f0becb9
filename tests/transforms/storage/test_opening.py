"""A file is read if what was opened lies in the allowed folders, whatever its name leads to before and after."""

import errno
import fcntl
import os
import socket
import stat
import threading
from pathlib import Path

import pytest

from transforms import reasons
from transforms.errors import ClipRejected, NotARegularFileError, OutsideError
from transforms.storage import Storage, opening

SECRET = b"secret"
CALLS = ("open", "stat", "lstat", "readlink", "fstat")


@pytest.fixture(params=["by handle", "by walking"])
def way(request, monkeypatch):
    """As Linux opens, and as systems that tell no names of what is open."""
    if request.param == "by walking":
        monkeypatch.setattr(opening, "_tells_names", lambda: False)
    elif not opening._tells_names():
        pytest.skip("this system tells no names of what is open")


@pytest.fixture
def root(tmp_path):
    for path, content in {"root/a": b"mine", "root/sub/b": b"mine", "also/c": b"mine", "secret/b": SECRET}.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    (tmp_path / "root-neighbour").symlink_to("secret")
    return tmp_path / "root"


def link(path, target):
    path.unlink(missing_ok=True)
    path.symlink_to(target)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("path", "links", "reason"),
    [
        ("a", {}, None),
        ("sub/b", {}, None),
        ("sub/../a", {}, None),
        ("l", {"l": "a"}, None),
        ("l", {"l": "sub/../sub/b"}, None),
        ("l/b", {"l": "sub"}, None),
        ("l", {"l": "m", "m": "../also/c"}, None),  # into another allowed folder
        ("../also/c", {}, None),
        ("l/root/a", {"l": ".."}, None),  # out and back in
        ("l", {"l": "/proc/self/cwd/a"}, None),
        ("../secret/b", {}, "path_not_allowed"),
        ("../root-neighbour/b", {}, "path_not_allowed"),
        ("l", {"l": "../secret/b"}, "path_not_allowed"),
        ("l", {"l": "m", "m": "../secret/b"}, "path_not_allowed"),
        ("l/b", {"l": "../secret"}, "path_not_allowed"),
        ("sub/l/b", {"sub/l": "../l", "l": "../secret"}, "path_not_allowed"),
        ("l/secret/b", {"l": "/proc/self/cwd/.."}, "path_not_allowed"),
        ("l", {"l": "/proc/self/environ"}, "path_not_allowed"),
        ("l", {"l": "/dev/zero"}, "path_not_allowed"),
        ("l", {"l": "/dev/stdin"}, "path_not_allowed"),
        ("l", {"l": "/"}, "path_not_allowed"),
        ("l", {"l": "."}, "not_a_regular_file"),
        ("l", {"l": "l"}, "not_a_regular_file"),
        ("l", {"l": "nothing"}, "not_found"),
        ("a/b", {}, "not_found"),
        ("a\0b", {}, "not_found"),
    ],
)
@pytest.mark.parametrize("parts", [False, True])
def test_links_are_followed_within_the_allowed_folders(root, monkeypatch, path, links, reason, parts):
    monkeypatch.chdir(root)
    for name, target in links.items():
        (root / name).symlink_to(target)
    storage = Storage().within([str(root), str(root.parent / "also")])
    try:
        uri = f"{root}/{path}"
        with storage.open_audio(uri) if parts else storage.open_read(uri) as file:
            found, content = None, file.read()
        assert content == storage.read_audio(uri, 9) == b"mine"
    except ClipRejected as refusal:
        found = refusal.reason.name
    except OutsideError:
        found = "path_not_allowed"
    except (IsADirectoryError, NotARegularFileError):
        found = "not_a_regular_file"
    except FileNotFoundError:
        found = "not_found"
    assert found == reason


@pytest.mark.usefixtures("way")
def test_an_allowed_folder_may_itself_be_a_link_or_the_whole_disk(root):
    link(root.parent / "name", "root")
    for folder in (root.parent / "name", f"{root}/", f"{root}/sub/..", "/"):
        assert Storage().within([str(folder)]).read_bytes(str(root.parent / "name/sub/b")) == b"mine"
    for folder in ("gs://bucket/root", str(root / "none")):
        with pytest.raises(OutsideError):
            Storage().within([folder]).read_bytes(str(root / "a"))


@pytest.mark.usefixtures("way")
def test_a_folder_that_has_two_names_is_one(root, monkeypatch):
    """As on disks on which case does not count: what was allowed as one name is opened as another."""
    real = opening._identity
    shouted = str(root.parent / "ROOT")
    monkeypatch.setattr(opening, "_identity", lambda path: real(str(path).replace(shouted, str(root))))
    assert Storage(folders=(shouted,)).read_bytes(str(root / "sub/b")) == b"mine"
    with pytest.raises(OutsideError):
        Storage(folders=(shouted,)).read_bytes(str(root.parent / "secret/b"))


@pytest.mark.usefixtures("way")
def test_what_is_no_file_is_refused_with_its_kind(root):
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(root / "socket"))
        for path, kind in {"pipe": "a pipe or device", "socket": "a socket"}.items():
            for storage in (Storage(), Storage().within([str(root)])):
                with pytest.raises(NotARegularFileError, match=f"{kind}, not a regular file"):
                    storage.open_read(str(root / path))


@pytest.mark.skipif(not opening._tells_names(), reason="only a system with handles can look before it opens")
def test_a_device_is_looked_at_and_never_opened(monkeypatch):
    opened, real = [], os.open

    def noted(path, flags, **more):
        opened.append(flags)
        return real(path, flags, **more)

    monkeypatch.setattr(os, "open", noted)
    with pytest.raises(NotARegularFileError):
        Storage().open_read("/dev/zero")
    assert [bool(flags & os.O_PATH) for flags in opened] == [True]


def swapping(monkeypatch, swaps):
    """Calls one of `swaps` before each call of the system with its number, across all that look at a path."""
    number = 0

    def counted(real):
        def call(*args, **options):
            nonlocal number
            number += 1
            swaps.pop(number, lambda: None)()
            return real(*args, **options)

        return call

    for name in CALLS:
        monkeypatch.setattr(os, name, counted(getattr(os, name)))


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("what", ["file", "folder", "into", "and back"])
@pytest.mark.parametrize("call", ["open_read", "read_audio", "open_audio"])
def test_a_link_swapped_in_at_any_call_of_the_system_gives_no_secret(root, monkeypatch, what, call):
    """And one that is swapped out again at any later call."""
    path, target = {"file": ("sub/b", "../../secret/b"), "into": ("sub/b", "../../secret/b")}.get(
        what, ("sub", "../secret")
    )
    storage, place = Storage().within([str(root)]), root / path
    away = place.with_name("away")
    seen = set()

    def swap_in():
        if place.is_symlink():
            return
        place.rename(away)
        place.symlink_to(target)

    def swap_out():
        if place.is_symlink():
            place.unlink()
            away.rename(place)

    for first in range(1, 40):
        for second in range(first + 1, 42) if what in ("and back", "into") else (0,):
            if what == "into":  # the link is there at first
                swap_in()
                swaps = {first: swap_out, second: swap_in}
            else:
                swaps = {first: swap_in, second: swap_out}
            with monkeypatch.context() as patch:
                swapping(patch, swaps)
                try:
                    seen.add(_content(storage, call, str(root / "sub/b")))
                except (ClipRejected, OutsideError, OSError) as refusal:
                    seen.add(type(refusal).__name__)
            swap_out()
    assert b"mine" in seen
    assert {ClipRejected.__name__, OutsideError.__name__} & seen
    assert SECRET not in seen


def _content(storage, call, path):
    if call == "read_audio":
        return storage.read_audio(path, 99)
    with getattr(storage, call)(path) as file:
        return file.read()


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_of_many_reads_while_a_link_comes_and_goes_none_is_of_the_secret(root, what):
    storage, done = Storage().within([str(root)]), threading.Event()
    place, target = (root / "sub/b", "../../secret/b") if what == "file" else (root / "sub", "../secret")
    real, fake = place.with_name("real"), place.with_name("fake")
    fake.symlink_to(target)

    def swap():
        while not done.is_set():
            place.rename(real)
            fake.rename(place)
            place.rename(fake)
            real.rename(place)

    swapper = threading.Thread(target=swap)
    swapper.start()
    seen: list[object] = []
    try:
        for _ in range(3_000):
            try:
                seen.append(storage.read_audio(str(root / "sub/b"), 99))
            except ClipRejected as refusal:
                seen.append(refusal.reason)
    finally:
        done.set()
        swapper.join()
    assert {each for each in seen if isinstance(each, bytes)} == {b"mine"}
    assert {each for each in seen if not isinstance(each, bytes)} <= {
        reasons.NOT_FOUND,
        reasons.PATH_NOT_ALLOWED,
        reasons.NOT_A_FILE,
    }


@pytest.mark.usefixtures("way")
def test_a_file_that_was_replaced_after_it_was_opened_is_read_as_it_was(root):
    with Storage().within([str(root)]).open_read(str(root / "a")) as file:
        link(root / "a", "../secret/b")
        assert file.read() == b"mine"


def test_no_descriptor_is_left_open(root):
    before = len(list(Path("/dev/fd").iterdir()))
    os.mkfifo(root / "pipe")
    link(root / "l", "../secret/b")
    for name in ("a", "l", "pipe", "sub", "none"):
        for way in (opening._by_handle, opening._by_walking):
            try:
                os.close(way(str(root / name), (os.path.realpath(root),)))
            except OSError as fault:
                assert fault.errno in (errno.ELOOP, errno.EINVAL, errno.EISDIR, errno.ENOENT)
    assert len(list(Path("/dev/fd").iterdir())) == before


@pytest.mark.parametrize("size", [3, 5, 4])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_file_that_changes_while_it_is_read_is_read_again_and_then_refused(root, monkeypatch, size, times):
    real, left = os.fstat, [False, True] * times  # after the look before each read

    def fstat(descriptor):
        status = real(descriptor)
        if stat.S_ISREG(status.st_mode) and _is_read(descriptor) and left and left.pop():
            (root / "a").write_bytes(b"x" * size)
            os.utime(root / "a", ns=(0, len(left)))
        return status

    monkeypatch.setattr(os, "fstat", fstat)
    if times == 3:
        with pytest.raises(ClipRejected, match="changed while it was read") as refusal:
            Storage().read_audio(str(root / "a"), 99)
        assert refusal.value.reason == reasons.UNREADABLE
    else:
        assert Storage().read_audio(str(root / "a"), 99) == b"x" * size


def _is_read(descriptor):
    return not fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_PATH


@pytest.mark.skipif(not Path("/proc/sys/kernel/random/uuid").exists(), reason="no such file on this system")
def test_a_file_that_does_not_tell_its_size_is_read_in_parts():
    """Asked for 512 MiB at once, this one would say that there is no memory."""
    assert len(Storage().read_audio("/proc/sys/kernel/random/uuid", 1 << 29)) == 37
    with pytest.raises(ClipRejected, match="longer than the limit of 36 bytes"):
        Storage().read_audio("/proc/sys/kernel/random/uuid", 36)


WRITES = {
    "write": lambda storage, uri: storage.write_bytes(uri, b"new"),
    "write_once": lambda storage, uri: storage.write_once(uri, b"new", "text/plain"),
    "create": lambda storage, uri: storage.create(uri, b"new"),
    "concatenate": lambda storage, uri: storage.concatenate([], uri),
    "delete": lambda storage, uri: storage.delete(uri),
    "age": lambda storage, uri: storage.age(uri),
    "size": lambda storage, uri: storage.size(uri),
    "exists": lambda storage, uri: storage.exists(uri),
    "list_files": lambda storage, uri: storage.list_files(uri.rpartition("/")[0]),
}


@pytest.mark.parametrize("call", WRITES)
@pytest.mark.parametrize("path", ["l/b", "l/new", "l/deep/new", "../secret/b", "../secret/new"])
def test_nothing_is_written_looked_up_or_deleted_through_a_folder_that_leads_out(root, call, path):
    link(root / "l", "../secret")
    with pytest.raises(OutsideError):
        WRITES[call](Storage().within([str(root)]), f"{root}/{path}")
    assert {path.name: path.read_bytes() for path in (root.parent / "secret").iterdir()} == {"b": SECRET}


@pytest.mark.parametrize("call", ["write", "write_once", "concatenate", "delete"])
@pytest.mark.parametrize("target", ["../secret/b", "../secret/new", "a", "l"])
def test_a_link_in_place_of_a_file_is_replaced_or_removed_and_not_written_through(root, call, target):
    link(root / "l", target)
    WRITES[call](Storage().within([str(root)]), str(root / "l"))
    assert not (root / "l").is_symlink()
    assert (root / "l").exists() == (call != "delete")
    assert (root / "a").read_bytes() == b"mine"
    assert {path.name: path.read_bytes() for path in (root.parent / "secret").iterdir()} == {"b": SECRET}


def test_folders_within_are_written_to_through_links(root):
    link(root / "l", "sub")
    storage = Storage().within([str(root)])
    storage.write_bytes(str(root / "l/new"), b"new")
    assert storage.create(str(root / "l/other"), b"new")
    assert storage.list_files(str(root / "l")) == [str(root / "l" / name) for name in ("b", "new", "other")]


@pytest.mark.skipif(not opening._tells_names(), reason="only such a system knows where a new file is")
def test_a_folder_swapped_for_a_link_before_a_file_is_made_gets_nothing(root, monkeypatch):
    def swapped(self, *_, **__):
        monkeypatch.undo()
        (root / "sub").rename(root / "away")
        (root / "sub").symlink_to("../secret")

    monkeypatch.setattr(Path, "mkdir", swapped)
    with pytest.raises(OutsideError):
        Storage().within([str(root)]).write_bytes(str(root / "sub/new"), b"new")
    assert [path.name for path in (root.parent / "secret").iterdir()] == ["b"]
