"""Workers: whatever a task does to its process, the task alone pays."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests import misbehaving, processes
from transforms import reasons
from transforms.errors import BrokenPromiseError, ClipRejected, StorageError, UserError
from transforms.workers import pool as pools
from transforms.workers.bounds import Bounds
from transforms.workers.nursery import Nursery
from transforms.workers.pool import Pool, WorkerDied

ROOT = Path(__file__).parents[3]
BOUNDS = Bounds(cpu_seconds=0.2, wall_seconds=0.5, memory_bytes=64 << 20)


@pytest.fixture(scope="module")
def nursery():
    """One for all tests here."""
    with pools.running():
        yield


@pytest.fixture
def pool(nursery):
    with closing(Pool(misbehaving.work, 1, BOUNDS)) as pool:
        yield pool


def run(pool, words, answer=None):
    return pool.run(words.encode(), answer)


def alive(pid):
    """Whether a process runs, a zombie not counted."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def all_gone(pids):
    """Whether the processes end within a while."""
    deadline = time.monotonic() + 30
    while any(map(alive, pids())):
        if time.monotonic() > deadline:
            return False
    return True


def test_a_worker_serves_many_tasks(pool):
    assert run(pool, "hello") == [b"hello", b"", b""]
    assert len({run(pool, "pid")[0] for _ in range(5)}) == 1


def test_a_default_timeout_of_the_program_is_none_of_its_workers():
    """Beam's clients of Google set one, and so do notebooks: the nursery's own socket would not block then."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(60)
    try:
        with pools.running(), closing(Pool(misbehaving.work, 1, BOUNDS)) as pool:
            assert run(pool, "hello") == [b"hello", b"", b""]
    finally:
        socket.setdefaulttimeout(before)


def test_results_come_back_whole(pool):
    assert run(pool, "big") == [bytes(5_000_000), b"", bytes(range(256)) * 10_000]


@pytest.mark.parametrize(
    ("deed", "detail"),
    [
        ("crash", "its process was ended by SIGSEGV"),
        ("abort", "its process was ended by SIGABRT"),
        ("killed", "its process was ended by SIGKILL"),
        ("exit", "its process ended with status 3"),
        ("bomb", "it needs more than the limit of 64 MiB of memory"),
        ("no memory", "it needs more than the limit of 64 MiB of memory"),
        ("hang in a loop", "it took longer than the limit of 0.2 s of processor time"),
        ("hang in native code", "it took longer than the limit of 0.5 s"),
    ],
)
def test_what_kills_a_worker_is_told_and_the_next_task_finds_another_one(pool, deed, detail):
    before = run(pool, "pid")[0]
    with pytest.raises(WorkerDied) as death:
        run(pool, deed)
    assert death.value.detail == detail
    assert run(pool, "pid")[0] != before
    assert not alive(int(before))


def test_what_a_worker_has_started_dies_with_it(pool, monkeypatch, tmp_path):
    """Found by a variable in the environment, which a new nursery has."""
    pools.stop()
    monkeypatch.setenv("CLIPTUNE_TEST", str(tmp_path))
    with pytest.raises(WorkerDied):
        run(pool, "hang with a child")
    left = [pid for pid in marked(f"CLIPTUNE_TEST={tmp_path}") if Path(f"/proc/{pid}/comm").read_text() == "sleep\n"]
    assert all_gone(lambda: left)


def test_a_worker_that_does_not_answer_is_ended(nursery, monkeypatch):
    monkeypatch.setattr(pools, "SILENT_SECONDS", 1)
    with closing(Pool(misbehaving.work, 1, BOUNDS)) as pool:
        pid = int(run(pool, "pid")[0])
        with pytest.raises(WorkerDied, match="it did not answer within 1 s"):
            run(pool, "stopped")  # its timers stand still, too
        assert not alive(pid)


@pytest.mark.parametrize("deed", ["crash", "killed", "exit", "bomb", "no memory"])
def test_a_task_that_is_not_to_blame_gets_a_second_try(pool, tmp_path, deed):
    words = f"once {deed} at {tmp_path / 'done'}"
    assert run(pool, words) == [words.encode(), b"", b""]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (StorageError, "the disk is away"),
        (UserError, "mend it"),
        (BrokenPromiseError, "ZeroDivisionError: a mistake of ours"),
    ],
)
def test_exceptions_of_the_work_are_raised_here(pool, kind, message):
    before = run(pool, "pid")
    name = "ZeroDivisionError" if kind is BrokenPromiseError else kind.__name__
    with pytest.raises(kind, match=message):
        run(pool, f"raise {name}")
    assert run(pool, "pid") == before


def test_a_refusal_of_the_work_keeps_its_reason(pool):
    with pytest.raises(ClipRejected) as refusal:
        run(pool, "raise ClipRejected")
    assert (refusal.value.reason, refusal.value.detail) == (reasons.SILENT, "nothing to hear")


def test_what_a_worker_asks_is_answered(pool):
    assert run(pool, "ask this", lambda question: question.upper()) == [b"THIS", b"MORE", b""]


def test_time_in_which_a_worker_waits_for_an_answer_is_not_its_own(pool):
    def slow(question):
        time.sleep(BOUNDS.wall_seconds + 0.1)
        return question

    assert run(pool, "ask this", slow) == [b"this", b"more", b""]


def test_a_refused_question_ends_the_task_and_not_the_worker(pool):
    def refuse(question):
        raise ClipRejected(reasons.NOT_FOUND, "there is no such file")

    before = run(pool, "pid")
    with pytest.raises(ClipRejected, match="there is no such file"):
        run(pool, "ask this", refuse)
    assert run(pool, "pid") == before


def test_a_fault_of_the_answer_ends_the_task(pool):
    def fail(question):
        raise StorageError("the network is away")

    with pytest.raises(StorageError, match="the network is away"):
        run(pool, "ask this", fail)
    assert run(pool, "hello") == [b"hello", b"", b""]


def test_closing_a_pool_is_no_fault_of_the_tasks_under_way(nursery):
    begun = threading.Event()

    def answer(question):
        begun.set()
        closed.wait(30)
        return question

    closed = threading.Event()
    pool = Pool(misbehaving.work, 2, BOUNDS)
    with ThreadPoolExecutor(3) as executor:
        asking = executor.submit(run, pool, "ask this", answer)
        assert begun.wait(30)
        pool.close()
        closed.set()
        with pytest.raises(CancelledError):
            asking.result(30)
        with pytest.raises(CancelledError):  # none waits for a worker that will not come
            executor.submit(run, pool, "hello").result(30)


def test_a_dead_nursery_is_replaced(pool):
    before = run(pool, "pid")
    os.kill(pools.started()._process.pid, signal.SIGKILL)
    assert all_gone(lambda: [int(before[0])])
    assert run(pool, "pid") != before


@pytest.mark.parametrize(("killed", "runs"), [(pools.STARTS - 1, True), (1_000_000, False)])
def test_a_worker_that_is_killed_before_it_begins_is_started_anew(nursery, monkeypatch, killed, runs):
    fork, left = Nursery.fork, [killed]

    def deadly(self):
        pid, connection = fork(self)
        if left[0]:
            left[0] -= 1
            os.kill(pid, signal.SIGKILL)
        return pid, connection

    monkeypatch.setattr(Nursery, "fork", deadly)
    with closing(Pool(misbehaving.work, 1, BOUNDS)) as pool:
        if runs:
            assert run(pool, "pid")
        else:
            with pytest.raises(StorageError, match=r"no process can be started|killed again and again"):
                run(pool, "pid")


def test_a_nursery_that_another_thread_has_stopped_is_a_dead_one():
    nursery = Nursery([])
    nursery.stop()
    for ask in (nursery.fork, lambda: nursery.wait(1), lambda: nursery.kill(1)):
        with pytest.raises(ConnectionError, match="has died"):
            ask()


def test_a_nursery_that_cannot_start_leaves_no_socket(monkeypatch):
    pair = socket.socketpair()
    monkeypatch.setattr(socket, "socketpair", lambda: pair)
    monkeypatch.setenv("TOO_LONG", "x" * (128 << 10))  # the system starts no process with it
    with pytest.raises(OSError, match="Argument list too long"):
        Nursery([])
    assert [end.fileno() for end in pair] == [-1, -1]


def kill_the_nursery():
    pools.started()._process.kill()
    pools.started()._process.wait(30)


@pytest.mark.parametrize("times", [pools.NURSERIES - 1, pools.NURSERIES])
def test_a_task_does_not_pay_for_the_end_of_the_nursery(pool, times):
    left = [kill_the_nursery] * times

    def answer(question):
        if left:
            left.pop()()
        return question

    if times < pools.NURSERIES:
        assert run(pool, "ask this", answer) == [b"this", b"more", b""]
    else:
        with pytest.raises(StorageError, match="killed again and again"):
            run(pool, "ask this", answer)
    assert run(pool, "hello") == [b"hello", b"", b""]


def test_a_system_that_starts_no_more_processes_is_the_worlds_fault_and_others_go_on(nursery, monkeypatch):
    def refuse(self):
        raise OSError("the system does not let a worker process start")

    with closing(Pool(misbehaving.work, 1, BOUNDS)) as first, closing(Pool(misbehaving.work, 1, BOUNDS)) as second:
        before = run(first, "pid")
        with monkeypatch.context() as patch:
            patch.setattr(Nursery, "fork", refuse)
            with pytest.raises(StorageError, match="the system does not let a worker process start"):
                run(second, "hello")
        assert run(first, "pid") == before
        assert run(second, "hello") == [b"hello", b"", b""]


def test_libraries_do_not_speak_to_the_terminal(pool, capfd):
    run(pool, "print")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_who_ends_all_processes_of_a_service_does_not_blame_the_clips(pool, number):
    before = run(pool, "pid")
    os.kill(int(before[0]), number)
    os.kill(pools.started()._process.pid, number)
    assert run(pool, "pid") == before


def test_many_threads_share_a_pool(nursery):
    with closing(Pool(misbehaving.work, 3, BOUNDS)) as pool, ThreadPoolExecutor(8) as executor:
        words = ["crash" if n % 7 == 0 else str(n) for n in range(100)]
        results = [executor.submit(run, pool, word) for word in words]
        for word, result in zip(words, results, strict=True):
            if word == "crash":
                assert isinstance(result.exception(30), WorkerDied)
            else:
                assert result.result(30)[0] == word.encode()


PROGRAM = """
import sys, threading
from tests import misbehaving
from transforms.workers import pool
from transforms.workers.pool import Pool
workers = Pool(misbehaving.work, 2)
print(pool.started()._process.pid, *[workers.run(b"pid", None)[0].decode() for _ in range(1)], flush=True)
for deed in sys.argv[1:]:
    threading.Thread(target=workers.run, args=(deed.encode(), None), daemon=True).start()
threading.Event().wait(60)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("deeds", [[], ["hang with a child", "hang in a loop"]], ids=["idle", "busy"])
def test_no_process_outlives_its_program(number, deeds, tmp_path):
    """Found by a variable in the environment, which all its processes have."""
    mark = f"CLIPTUNE_TEST={tmp_path}"
    words = [sys.executable, "-c", PROGRAM, *deeds]
    environment = {**os.environ, "CLIPTUNE_TEST": str(tmp_path), "PYTHONPATH": str(ROOT)}
    with processes.running(words, stdout=subprocess.PIPE, env=environment, cwd=ROOT) as program:
        assert program.stdout is not None
        pids = [int(pid) for pid in program.stdout.readline().split()]
        assert all(map(alive, pids))
        program.send_signal(number)
        program.wait(30)
    assert all_gone(lambda: marked(mark))


def marked(mark):
    """The processes of this machine that have a variable in their environment."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                yield int(folder.name)
        except OSError:
            continue


def test_a_forked_copy_of_the_program_does_not_keep_its_workers_alive(nursery):
    pool = Pool(misbehaving.work, 1, BOUNDS)
    pid = int(run(pool, "pid")[0])
    copy = os.fork()
    if copy == 0:
        time.sleep(60)
        os._exit(0)
    try:
        pools.stop()
        assert not alive(pid)
    finally:
        os.kill(copy, signal.SIGKILL)
        os.waitpid(copy, 0)
        pool.close()
