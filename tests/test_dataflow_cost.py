"""docs/dataflow.md: its table is what the model says, which a simulation confirms; its defaults are the code's."""

import re
from pathlib import Path

import pytest

from beam_pipeline import dataflow
from benchmarks import clip, dataflow_cost
from benchmarks.dataflow_cost import Assumed, machines, predict, simulate
from transforms.dataset import plan, shard

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/dataflow.md").read_text(encoding="utf-8")


def test_the_tables_are_what_the_benchmark_prints():
    rows = [line for line in PAGE.splitlines() if re.search(r"\| \d+ min \| \d+ min \|", line)]
    assert rows == [*dataflow_cost.table(), *dataflow_cost.by_format()]


@pytest.mark.parametrize("clips", [10_000, 100_000])
@pytest.mark.parametrize("delay", [0.0, 0.05, 0.2])
def test_the_formula_is_within_a_sixth_of_the_simulation(clips, delay):
    """With delays at which the reads are hidden, and at which they are what takes the time."""
    assumed = Assumed(delay_seconds=max(delay, 1e-9))
    formula, simulated = predict(clips, machines(clips), assumed), simulate(clips, machines(clips), assumed)
    assert formula.seconds == pytest.approx(simulated.seconds, rel=1 / 6)
    assert formula.vcpu_hours == pytest.approx(simulated.vcpu_hours, rel=1 / 4)


def test_every_format_was_measured():
    assert {*dataflow_cost.CORE_MS} == {form.name for form in clip.FORMATS}
    assert [*dataflow_cost.CORE_MS.values()] == sorted(dataflow_cost.CORE_MS.values())


def test_the_model_has_the_numbers_of_the_code():
    assert (dataflow_cost.CLIPS_PER_SHARD, dataflow_cost.VCPUS) == (plan.CLIPS_PER_SHARD, dataflow.VCPUS)
    assert dataflow_cost.SHARDS_PER_VCPU == dataflow.SHARDS_PER_VCPU
    for default in (dataflow.MACHINE_TYPE, f"| {dataflow.DISK_GB} |", f"{dataflow.MAX_WORKERS} at most"):
        assert default in PAGE


def test_the_counters_that_the_page_names_are_those_of_the_code():
    stages = {f"cpu_us_{stage}" for stage in shard.STAGES}
    named = {*re.findall(r"`(cpu_us_\w+|clips_\w+|audio_samples)`", PAGE)}
    assert named - stages == {"clips_accepted", "clips_rejected_REASON", "clips_reused", "audio_samples"}


MESSAGES = re.findall(r"^\| `([^`]+)` \|", PAGE.partition("## Troubleshooting")[2], re.MULTILINE)


@pytest.mark.parametrize("message", MESSAGES)
def test_every_message_that_the_page_names_is_one_that_a_test_expects(message):
    tests = [path for room in ("dataflow", "beam_pipeline") for path in (ROOT / "tests" / room).glob("test_*.py")]
    expected = "\n".join(path.read_text(encoding="utf-8") for path in tests)
    parts = [part.strip() for part in re.split(r"…|ID|\(.*\)", message) if len(part.strip()) > 5]
    assert parts
    assert not [part for part in parts if part not in expected]
