"""Time and processor hours of `prepare` on Dataflow: a formula, and a simulation of workers that checks it.

python -m benchmarks.dataflow_cost         prints the tables of docs/dataflow.md

Nothing here was measured on Dataflow. Processor time is that of `benchmarks.clip_cost`, on two cores of another machine
that were busy otherwise, too. The simulation has what the formula leaves out: machines that come one after the
other, delays that vary from request to request, and shards that do not end together.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass

CLIPS_PER_SHARD = 64
READS_AHEAD = 16
VCPUS, SHARDS_PER_VCPU = 4, 32
# Of a shard in a bucket: its file, its sidecar, and what is asked before and after.
REQUESTS_PER_SHARD = 8
SIDECARS_AT_A_TIME = 16
# Milliseconds of a core for a clip of seven seconds, from a bucket to a bucket, by `benchmarks.clip_cost`.
CORE_MS = {
    "wav 16k mono": 7.1,
    "flac 16k mono": 7.5,
    "wav 44.1k stereo": 13.2,
    "wav 48k 24-bit mono": 14.1,
    "mp3": 16.1,
    "flac 44.1k stereo": 17.1,
    "m4a aac": 18.9,
    "ogg vorbis": 23.0,
    "webm opus": 28.7,
}
# A vCPU is one of two threads of a core, and they share it.
VCPU_MS_OF_CORE_MS = 2.0
USUAL = "mp3"


@dataclass(frozen=True)
class Assumed:
    """What the figures rest on.

    Attributes:
      cpu_seconds: of a clip, on a vCPU; by default of MP3, which is in the middle.
      delay_seconds: mean of a request to the bucket.
      start_seconds: from the submission to the first machine at work, with a prebuilt image.
      step_seconds: between two decisions of the autoscaler, which doubles the machines.
      sidecar_seconds: processor time of a sidecar at the end, which is read on one machine.
    """

    cpu_seconds: float = VCPU_MS_OF_CORE_MS * CORE_MS[USUAL] / 1_000
    delay_seconds: float = 0.050
    start_seconds: float = 180.0
    step_seconds: float = 60.0
    sidecar_seconds: float = 0.004


@dataclass(frozen=True)
class Cost:
    """What a job takes.

    Attributes:
      seconds: from the submission to the finished dataset.
      vcpu_hours: of all machines, from their start to the job's end.
    """

    seconds: float
    vcpu_hours: float


def machines(clips: int, most: int = 100) -> int:
    """As `beam_pipeline.dataflow.workers_for`: so many shards for each processor."""
    shards = -(-clips // CLIPS_PER_SHARD)
    return max(1, min(most, -(-shards // (SHARDS_PER_VCPU * VCPUS))))


def arrivals(number: int, assumed: Assumed) -> list[float]:
    """When each machine is at work: one, then twice as many at each step."""
    found: list[float] = []
    step = 0
    while len(found) < number:
        more = max(1, len(found))
        found += [assumed.start_seconds + step * assumed.step_seconds] * min(more, number - len(found))
        step += 1
    return found


def shard_seconds(assumed: Assumed) -> float:
    """Of one process for one shard: reads wait for each other only if the processor is faster than they are.

    The first read, the last request, and now and then a slow read in between hide behind nothing.
    """
    converting = CLIPS_PER_SHARD * assumed.cpu_seconds
    reading = CLIPS_PER_SHARD * assumed.delay_seconds / READS_AHEAD
    return max(converting, reading) + 3 * assumed.delay_seconds


def finish_seconds(clips: int, assumed: Assumed) -> float:
    """Of the end, on one machine: every sidecar is read, sixteen at a time."""
    shards = -(-clips // CLIPS_PER_SHARD)
    return shards * max(assumed.sidecar_seconds, assumed.delay_seconds / SIDECARS_AT_A_TIME)


def predict(clips: int, number: int, assumed: Assumed = Assumed()) -> Cost:
    """By formula: the work is shared evenly from the moment that each machine arrives."""
    begin = arrivals(number, assumed)
    work = -(-clips // CLIPS_PER_SHARD) * shard_seconds(assumed) / VCPUS
    # The moment at which machines that began at these times have done all the work.
    here = 0
    end = begin[0]
    for here in range(1, number + 1):
        end = (work + sum(begin[:here])) / here
        if here == number or end <= begin[here]:
            break
    end += finish_seconds(clips, assumed)
    busy = sum(end - each for each in begin[:here])
    return Cost(end, busy * VCPUS / 3600)


def simulate(clips: int, number: int, assumed: Assumed = Assumed(), seed: int = 0) -> Cost:
    """Shard by shard, with delays drawn at random; a machine is paid for until the job's end."""
    drawn = random.Random(seed)
    begin = arrivals(number, assumed)
    free = [(each, index) for index, each in enumerate(begin) for _ in range(VCPUS)]
    heapq.heapify(free)
    used: set[int] = set()
    end = 0.0
    for _ in range(-(-clips // CLIPS_PER_SHARD)):
        now, machine = heapq.heappop(free)
        used.add(machine)
        ended = now + _shard(drawn, assumed)
        end = max(end, ended)
        heapq.heappush(free, (ended, machine))
    end += finish_seconds(clips, assumed)
    return Cost(end, sum(end - begin[machine] for machine in used) * VCPUS / 3600)


def _shard(drawn: random.Random, assumed: Assumed) -> float:
    """One shard: its reads go sixteen at a time, and each clip is converted when its read is there."""
    reads = [0.0] * READS_AHEAD
    now = 0.0
    for _ in range(CLIPS_PER_SHARD):
        there = heapq.heappop(reads) + drawn.expovariate(1 / assumed.delay_seconds)
        heapq.heappush(reads, there)
        now = max(now, there) + assumed.cpu_seconds * drawn.uniform(0.2, 1.8)
    # The requests at its end overlap with the next shard, but for about one of them.
    return now + drawn.expovariate(1 / assumed.delay_seconds)


SIZES = (10_000, 100_000, 1_000_000)


def table() -> list[str]:
    """The rows of docs/dataflow.md."""
    rows = []
    for clips in SIZES:
        usual = machines(clips)
        for number in sorted({max(1, usual // 4), usual, min(100, 4 * usual)}):
            formula, simulated = predict(clips, number), simulate(clips, number)
            rows.append(
                f"| {clips:,} | {number} | {formula.seconds / 60:.0f} min | {simulated.seconds / 60:.0f} min |"
                f" {formula.vcpu_hours:.1f} | {simulated.vcpu_hours:.1f} |"
            )
    return rows


def by_format() -> list[str]:
    """The rows of the second table: what a recording is, and 100,000 clips with the usual machines."""
    rows = []
    clips = SIZES[1]
    for name, milliseconds in CORE_MS.items():
        assumed = Assumed(cpu_seconds=VCPU_MS_OF_CORE_MS * milliseconds / 1_000)
        formula, simulated = (model(clips, machines(clips), assumed) for model in (predict, simulate))
        rows.append(
            f"| {name} | {1_000 * assumed.cpu_seconds:.0f} ms | {formula.seconds / 60:.0f} min |"
            f" {simulated.seconds / 60:.0f} min | {formula.vcpu_hours:.1f} | {simulated.vcpu_hours:.1f} |"
        )
    return rows


def main() -> None:
    """Prints the tables."""
    print("\n".join([*table(), "", *by_format()]))


if __name__ == "__main__":
    main()
