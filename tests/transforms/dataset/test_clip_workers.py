"""What a worker has died of is the reason of its clip's row."""

import signal
from contextlib import closing

import pytest
import soundfile

from tests import misbehaving
from tests.sounds import tone
from transforms import reasons
from transforms.clip import Clip
from transforms.dataset import clip_workers
from transforms.dataset.clip_workers import ClipWorkers
from transforms.dataset.sources import Stored
from transforms.errors import ClipRejected
from transforms.settings import Settings
from transforms.storage import Storage
from transforms.workers import bounds
from transforms.workers.pool import WorkerDied


@pytest.mark.parametrize(
    ("exit_code", "num_bytes", "reason"),
    [
        (bounds.OUT_OF_MEMORY, clip_workers._LARGE_BYTES, reasons.DECODER_FAULT),
        (bounds.OUT_OF_MEMORY, clip_workers._LARGE_BYTES + 1, reasons.FILE_TOO_LARGE),
        (-signal.SIGSEGV, clip_workers._LARGE_BYTES + 1, reasons.DECODER_FAULT),
        (-signal.SIGBUS, 8, reasons.UNREADABLE),  # a file became shorter under its map
    ],
)
def test_the_reason_of_a_death(tmp_path, monkeypatch, exit_code, num_bytes, reason):
    path = tmp_path / "a.wav"
    with path.open("wb") as file:
        file.truncate(num_bytes)
    source = Stored(str(path), Storage())
    with closing(ClipWorkers(Settings(), verify=False, size=1)) as workers:

        def die(*_):
            raise WorkerDied("it died", hopeless=False, exit_code=exit_code)

        monkeypatch.setattr(workers._pool, "run", die)
        with pytest.raises(ClipRejected) as refusal:
            workers.convert(Clip("a", str(path), "words"), source)
    assert refusal.value.reason == reason


def test_a_file_that_becomes_shorter_under_its_map_is_read_again_as_it_is_now(tmp_path, monkeypatch):
    died, death = [], bounds.death

    def noted(code, limits):
        died.append(code)
        return death(code, limits)

    monkeypatch.setattr(bounds, "death", noted)
    monkeypatch.setattr(clip_workers, "_Work", misbehaving.Cutter)
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(440, 16_000, 60.0), 16_000)
    clip = Clip("a", str(path), "words", offset=1.0, duration=2.0)
    with closing(ClipWorkers(Settings(), verify=False, size=1)) as workers, pytest.raises(ClipRejected) as refusal:
        workers.convert(clip, Stored(str(path), Storage()))
    assert (died, refusal.value.reason) == ([-signal.SIGBUS], reasons.EMPTY_FILE)
