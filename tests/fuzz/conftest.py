"""How many mutants there are, and which: `--fuzz` of them, the same for the same `--seed`."""

import random

import pytest

# Of a hundred mutants. A file takes some milliseconds, a row and a tasks file one.
SHARES = {"files": 30, "rows": 60, "tasks": 10}
BATCHES = 8


def pytest_generate_tests(metafunc):
    if "batch" in metafunc.fixturenames:
        metafunc.parametrize("batch", range(BATCHES))


@pytest.fixture
def mutants(pytestconfig, batch):
    """The mutants of one kind in one batch: a name that finds it again, and its random generator."""
    seed, total = pytestconfig.getoption("seed"), pytestconfig.getoption("fuzz")

    def numbered(kind):
        print(f"--seed={seed} --fuzz={total}: {kind}, batch {batch}")
        for number in range(batch, total * SHARES[kind] // 100, BATCHES):
            yield f"seed {seed} number {number}", random.Random(f"{seed} {kind} {number}")

    return numbered
