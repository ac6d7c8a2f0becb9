"""Work in flight: order, bound, and what becomes of it when something fails."""

import threading
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor

import pytest

from transforms import ordered


def test_map_ordered_keeps_the_order_and_bounds_what_is_in_flight():
    started: list[int] = []

    def call(value):
        started.append(value)
        return value

    with ThreadPoolExecutor(3) as executor:
        results = ordered.map_ordered(executor, call, range(100), window=5)
        assert [next(results) for _ in range(10)] == list(range(10))
        assert len(started) <= 10 + 5
        assert list(results) == list(range(10, 100))


def test_a_window_of_calls_runs_at_once():
    """Each call waits for the others: fewer than the window at a time would wait for ever."""
    all_here = threading.Barrier(4, timeout=30)

    def call(value):
        all_here.wait()
        return value

    with ThreadPoolExecutor(4) as executor:
        assert list(ordered.map_ordered(executor, call, range(8), window=4)) == list(range(8))


def test_what_fails_is_raised_in_its_place_and_what_waits_is_cancelled():
    futures: list[Future[int]] = [Future() for _ in range(5)]
    futures[0].set_result(7)
    futures[1].set_exception(KeyError("x"))
    done = ordered.when_done(iter(futures), window=4)
    assert next(done).result() == 7
    failed = next(done)  # not raised: it is the consumer who knows whose fault it is
    with pytest.raises(KeyError):
        failed.result()
    done.close()
    assert [future.cancelled() for future in futures] == [False, False, True, True, True]


def test_a_shutdown_wakes_whoever_waits():
    running, release = threading.Event(), threading.Event()

    def call(value):
        running.set()
        release.wait(30)
        return value

    with ThreadPoolExecutor(1) as waiting:
        executor = ThreadPoolExecutor(1)
        results = ordered.map_ordered(executor, call, range(3), window=3)
        consumed = waiting.submit(list, results)
        assert running.wait(30)
        executor.shutdown(wait=False, cancel_futures=True)
        release.set()
        with pytest.raises((CancelledError, RuntimeError)):
            consumed.result(30)
