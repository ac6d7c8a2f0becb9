"""Memory of one process of a worker, whatever the threads of the runner's harness: a table of docs/dataflow.md.

    python -m benchmarks.harness                    some minutes, and 2 GiB of the disk
    python -m benchmarks.harness --threads 12 --scenes waiting

As in Beam's harness, every thread has the step that writes shards for itself, made anew from the same pickle, and is
given shards until there are none. Recordings are in a bucket (an emulator, which is not counted), where they cost most:

- waiting: recordings of 3.9 MB, just below the size at which they are read before their turn.
- large: recordings of 240 to 500 MiB, one a shard, which are read when they are decoded.
"""

from __future__ import annotations

import argparse
import os
import pickle
import queue
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import soundfile

from beam_pipeline import claims, prepare
from beam_pipeline.job import Job
from beam_pipeline.pipeline import ReadManifests
from beam_pipeline.requests import PrepareRequest
from beam_pipeline.write_shards import WriteShards
from benchmarks import memory, processes
from transforms.clip import Clip, Outcome, dump, pack
from transforms.dataset.plan import ShardKey

ROOT = Path(__file__).parents[1]
_MIB = 1 << 20
# The second is what a process may take on any runner (`transforms.workers.budget`).
PROMISED_MIB = {"waiting": 1_024, "large": 1_536}
_SHARDS = {"waiting": 24, "large": 4}
_CLIPS_PER_SHARD = {"waiting": 16, "large": 1}


def main() -> int:
    """Prints a table; the exit status tells whether the promises hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 4, 12])
    parser.add_argument("--scenes", nargs="+", choices=[*PROMISED_MIB], default=[*PROMISED_MIB])
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        scene, manifest, threads = args.one
        print(_peak_mib(scene, manifest, int(threads)))
        return 0
    broken = 0
    print(f"| recordings |{''.join(f' {threads} harness threads |' for threads in args.threads)}")
    print(f"|---|{'---|' * len(args.threads)}")
    with tempfile.TemporaryDirectory() as folder, memory.emulator(["gs"]):
        for scene in args.scenes:
            manifest = memory.manifest(_recordings(scene, Path(folder)), Path(folder), "gs")
            peaks = [_measured(scene, manifest, threads) for threads in args.threads]
            print(f"| {scene} |{''.join(f' {peak:,} MiB |' for peak in peaks)}", flush=True)
            broken += max(peaks) > PROMISED_MIB[scene]
    return int(broken > 0)


def _recordings(scene: str, folder: Path) -> list[str]:
    if scene == "large":
        return memory.SCENES["large"](folder)[: _SHARDS[scene]]
    soundfile.write(folder / "waiting.wav", memory.sound(3.9e6 / 96_000, 1), 48_000, subtype="PCM_16")
    return ["waiting.wav"] * (_SHARDS[scene] * _CLIPS_PER_SHARD[scene])


def _measured(scene: str, manifest: str, threads: int) -> int:
    """Measured by a process of its own, of which the emulator is no child."""
    words = [sys.executable, "-m", "benchmarks.harness", "--one", scene, manifest, str(threads)]
    return int(subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True).stdout)


def _peak_mib(scene: str, manifest: str, threads: int) -> int:
    program = f"from benchmarks.harness import work; work({scene!r}, {manifest!r}, {threads})"
    measured = processes.measure([sys.executable, "-c", program], ROOT, os.environ, sample=True)
    assert measured.memory is not None
    return measured.memory.tree // _MIB


def work(scene: str, manifest: str, threads: int) -> None:
    """A worker's process from its first bundle to its last."""
    with tempfile.TemporaryDirectory() as folder:
        job = prepare.make_job(PrepareRequest((manifest,), f"{folder}/out", beam_options=("--runner=FlinkRunner",)))
        job = prepare.for_elsewhere(job, PrepareRequest((manifest,), f"{folder}/out"), threads=1)
        shards: queue.SimpleQueue[tuple[ShardKey, list[bytes]]] = queue.SimpleQueue()
        for index, rows in enumerate(_batches(job, _CLIPS_PER_SHARD[scene])):
            shards.put((("train", index), [pack(b"".join(map(dump, rows)))]))
        staged = pickle.dumps(WriteShards(job.claimed(claims.take(job))).step())
        harness = [threading.Thread(target=_bundles, args=(staged, shards)) for _ in range(threads)]
        for thread in harness:
            thread.start()
        for thread in harness:
            thread.join()


def _batches(job: Job, size: int) -> list[list[Clip | Outcome]]:
    reader = ReadManifests(job.manifest_settings, job.manifest_storage())
    rows = [row for manifest in job.manifests for row in reader.rows(manifest)]
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _bundles(staged: bytes, shards: queue.SimpleQueue[tuple[ShardKey, list[bytes]]]) -> None:
    """One thread of the harness: a bundle of a few shards at a time."""
    step = pickle.loads(staged)
    step.setup()
    while not shards.empty():
        for _ in range(4):
            try:
                element = shards.get_nowait()
            except queue.Empty:
                break
            list(step.process(element))
        list(step.finish_bundle())
    step.teardown()


if __name__ == "__main__":
    sys.exit(main())
