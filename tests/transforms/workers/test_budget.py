"""One budget of memory for all tasks of a process: first come, first served, and no result depends on who else runs."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest

from tests import misbehaving
from transforms.workers import pool as pools
from transforms.workers.bounds import Bounds
from transforms.workers.budget import MAX_SHARE_BYTES, MIN_SHARE_BYTES, TASK_BYTES, TASKS, Budget
from transforms.workers.pool import Pool, WorkerDied


def test_no_more_is_held_than_there_is_and_who_wants_more_gets_all():
    budget, most = Budget(10), []

    def hold(amount):
        with budget.holding(amount):
            most.append(budget.total - budget.free)

    with ThreadPoolExecutor(16) as executor:
        list(executor.map(hold, [1, 3, 7, 10, 25] * 40))
    assert len(most) == 200
    assert max(most) == 10
    assert budget.free == 10


def test_a_large_task_is_not_overtaken_by_small_ones_that_come_after_it():
    budget, order = Budget(10), []

    def hold(name, amount):
        with budget.holding(amount):
            order.append(name)

    with ExitStack() as first, ThreadPoolExecutor(2) as executor:
        first.enter_context(budget.holding(5))
        large = executor.submit(hold, "large", 10)
        while len(budget._waiting) < 1:
            threading.Event().wait(0.001)
        small = executor.submit(hold, "small", 1)
        while len(budget._waiting) < 2:
            threading.Event().wait(0.001)
        first.close()
        large.result(30)
        small.result(30)
    assert order == ["large", "small"]


@pytest.mark.parametrize(
    ("tasks", "share"), [(1, MAX_SHARE_BYTES), (8, TASK_BYTES // 8), (64, MIN_SHARE_BYTES)]
)  # fmt: skip
def test_the_share_of_a_task(tasks, share):
    assert TASKS.share(tasks) == share


def no_answer(question):
    raise AssertionError(question)


@pytest.fixture
def nursery():
    with pools.running():
        yield


def test_a_task_that_needs_more_than_its_share_gets_it(nursery):
    limits = Bounds(memory_bytes=640 << 20)
    with closing(Pool(misbehaving.work, 16, limits)) as pool:
        before = pool.run(b"pid", no_answer)[0]
        assert pool.run(b"take 200 MiB", no_answer)[0] == b"take 200 MiB"
        assert pool.run(b"take 200 MiB", no_answer, 300 << 20)[0] == b"take 200 MiB"
        assert pool.run(b"pid", no_answer)[0] != before  # what has taken more keeps nothing
        with pytest.raises(WorkerDied, match="more than the limit of 640 MiB"):
            pool.run(b"take 2000 MiB", no_answer)


def test_a_library_that_takes_lack_of_memory_for_damage_is_asked_again(nursery):
    limits = Bounds(memory_bytes=400 << 20)
    with closing(Pool(misbehaving.work, 16, limits)) as pool:
        assert pool.run(b"hide a lack of 200 MiB", no_answer)[0] == b"it was enough"
        assert pool.run(b"hide a lack of 900 MiB", no_answer)[0] == b"damaged"
