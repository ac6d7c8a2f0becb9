"""`make bench` computes what it says, and cannot rot; and a clip costs no more than is recorded."""

import base64
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks import bare_calls, chart, corpus, figures, guard, one_process, page, performance, processes
from benchmarks.contestants import LOOP, OURS, PROCESSES, THREADS, Contestant, WrongOutputError
from benchmarks.corpus import KINDS, MIX, Corpus, Recording
from benchmarks.figures import Figure, cpu, wall
from benchmarks.peers import environments
from benchmarks.peers.environments import PEERS
from benchmarks.processes import CommandFailedError, Cost, Peaks
from tests import forked
from tests.processes import run

ROOT = Path(__file__).parents[1]
BENCH = Contestant("test", "", ())


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    return Corpus(tmp_path_factory.mktemp("corpus"), clips_a_format=1)


def cost(seconds, processor=1.0, tree=0):
    return Cost(seconds, processor, Peaks(tree << 20, tree << 19))


# Figures


@pytest.mark.parametrize(
    ("values", "at_most", "holds"),
    [
        ((1.0, 1.2, 9.0), True, True),  # the median, not the mean; the limit itself holds
        ((1.0, 1.21, 9.0), True, False),
        ((0.1, 1.2, 9.0), False, True),
        ((0.1, 1.19, 9.0), False, False),
    ],
)
def test_a_target_is_for_the_median(values, at_most, holds):
    assert Figure("", values, 1.2, at_most).holds is holds
    assert Figure("", values).holds is None


def test_ratios_are_within_a_round():
    slow, fast = {("a", 2): cost(10, 4), ("b", 2): cost(5, 1)}, {("a", 2): cost(2, 3), ("b", 2): cost(4, 2)}
    assert figures.ratios([slow, fast], wall, ("a", 2), ("b", 2)) == (2.0, 0.5)
    assert figures.ratios([slow, fast], cpu, ("a", 2), ("b", 2)) == (4.0, 1.5)
    assert figures.ratios([slow, {("a", 2): cost(1)}], wall, ("a", 2), ("b", 2)) == (2.0,)  # the other did not run


def test_cores_are_busy_with_the_clips_beyond_the_first_few():
    rounds = [{("a", 2): cost(1.0, 1.0), ("a", 700): cost(4.0, 6.4)}]
    assert figures.cores_busy(rounds, ("a", 2), ("a", 700), cores=2) == pytest.approx((90.0,))


# The page


@pytest.fixture
def measured():
    def of(wall_seconds, processor):
        found = {(name, rows): cost(rows / 10, 1.0, 50) for name in (THREADS.name, "Daft") for rows in (2, 700)}
        ours = {2: cost(1.0, 1.0, 60), 700: cost(wall_seconds, processor, 300)}
        found |= {(OURS.name, rows): each for rows, each in ours.items()}
        return {**found, (page.RERUN, 700): cost(5.0)}

    formats = [dict.fromkeys((kind.name for kind in KINDS), 1.1)] * 2
    return page.Measured((2, 700), of(70, 1.5), [of(63, 1.5), of(77, 1.6)], formats, {"Ray Data": "not installed"})


class Noting(performance.Bench):
    """Runs nothing; notes what it would run. Daft fails."""

    def prepare(self, contestant, rows, first=False):
        if contestant is DAFT:
            raise CommandFailedError("it ended without a word")
        return {(contestant.name, rows): cost(1.0)}


DAFT = next(peer.contestant for peer in PEERS if peer.title == "Daft")


def test_long_runs_are_in_the_first_rounds_only(tmp_path):
    tasks = [(OURS, page.SOME), (THREADS, page.MANY)]
    for number, many in ((performance.LONG_ROUNDS, True), (performance.LONG_ROUNDS + 1, False)):
        found = performance.one_round(Noting(tmp_path, []), tasks, number)
        assert ((THREADS.name, page.MANY) in found, (OURS.name, page.SOME) in found) == (many, True)


def test_another_tool_that_fails_is_left_out_of_the_round(tmp_path, capsys):
    found = performance.one_round(Noting(tmp_path, []), [(DAFT, page.SOME), (OURS, page.SOME)], 1)
    assert [*found] == [(OURS.name, page.SOME)]
    assert "is left out of round 1: it ended without a word" in capsys.readouterr().err


def test_the_tables_say_what_was_measured(measured, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert page.targets(measured).splitlines() == [
        "| what | median | spread | rounds | target | holds |",
        "|---|---|---|---|---|---|",
        "| CPU of 700 clips to the bare calls | 1.55 | 1.50–1.60 | 2 | ≤ 1.6× | yes |",
        "| wall time of 700 clips to Daft | 1.00 | 0.90–1.10 | 2 | ≤ 0.9× | **no** |",
        "| CPU of m4a-aac to libav in one process | 1.10 | 1.10–1.10 | 2 | ≤ 1.3× | yes |",
        "| CPU of webm-opus to libav in one process | 1.10 | 1.10–1.10 | 2 | ≤ 1.3× | yes |",
        "| CPU of ogg-opus to libav in one process | 1.10 | 1.10–1.10 | 2 | ≤ 1.3× | yes |",
        "| cores busy while 700 clips are prepared | 0.8 | 0.8–0.8 | 2 | ≥ 95 % | **no** |",
        "| wall time of 2 clips to the bare calls | 5.00 | 5.00–5.00 | 2 | ≤ 5.7× | yes |",
        "| wall time of 700 clips to their rerun | 14.00 | 12.60–15.40 | 2 | ≥ 8× | yes |",
        "| peak memory of 700 clips | 300 | 300–300 | 1 | ≤ 400 MiB | yes |",
    ]
    assert page.contestants(measured).splitlines()[2:] == [
        "| Cliptune | 1.00 (0.90–1.10) | 1.55 (1.50–1.60) | 5.00 (5.00–5.00) | 300 | 150 |",
        "| bare calls, 2 threads | 1.00 (1.00–1.00) | 1.00 (1.00–1.00) | 1.00 (1.00–1.00) | 50 | 25 |",
        "| Daft | 1.00 (1.00–1.00) | 1.00 (1.00–1.00) | 1.00 (1.00–1.00) | 50 | 25 |",
        "| Ray Data: not installed | – | – | – | – | – |",
    ]
    assert "| wav-16k | 1.10 | 1.10–1.10 |" in page.formats(measured)
    assert PEERS[0].requirements.split()[0].replace("==", " ") in page.machine(measured)


def test_tables_go_between_the_marks_of_the_page(measured, monkeypatch, tmp_path):
    kept = page.PAGE.read_text(encoding="utf-8")
    monkeypatch.setattr(page, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(page, "PLOT", tmp_path / "plot.svg")
    page.PAGE.write_text(kept, encoding="utf-8")
    page.write(measured)
    written = page.PAGE.read_text(encoding="utf-8")
    assert page.targets(measured) in written
    assert written.partition(page.BEGIN)[0] == kept.partition(page.BEGIN)[0]
    assert written.partition(page.END)[2] == kept.partition(page.END)[2]
    assert page.put(written, "new") == page.put(kept, "new")  # no matter how often
    assert page.PLOT.read_text(encoding="utf-8").count("<rect") == 1 + 4 * 3
    for wrong in ("no marks", kept * 2):
        with pytest.raises(ValueError, match="marks once"):
            page.put(wrong, "new")


def test_bars_are_as_long_as_their_values():
    svg = chart.panels([chart.Panel("a & b", (chart.Bar("one", 1.0, 0.5, 2.0), chart.Bar("two", 2.0, 2.0, 2.0)))])
    assert 'width="210.0"' in svg
    assert 'width="420.0"' in svg
    assert "a &amp; b" in svg


# Processes

BURN = "import time\nwhile time.process_time() < 0.3: pass"
# Two generations that nobody waits for: the first ends at once.
FORSAKEN = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {BURN!r}])"
# As Ray does: the system then keeps no account of them.
UNHEARD = f"""import os, signal, subprocess, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
subprocess.Popen([sys.executable, '-c', {BURN.replace("0.3", "1.0")!r}])
try:
    os.waitpid(-1, 0)
except ChildProcessError:
    pass"""


def measure(code, sample):
    found = processes.measure([sys.executable, "-c", code], Path.cwd(), os.environ, sample)
    print(json.dumps([found.cpu, found.memory and [found.memory.tree, found.memory.largest]]))
    assert not processes.children(os.getpid())


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not adopt processes")
@pytest.mark.parametrize("code", [FORSAKEN, UNHEARD])
def test_the_time_of_processes_that_nobody_waited_for_counts(tmp_path, code):
    processor, memory = json.loads(forked.run(measure, code, False, folder=tmp_path).stdout)
    assert processor >= 0.3
    assert memory is None


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no /proc")
def test_memory_is_that_of_all_processes(tmp_path):
    hold = "x = b'x' * (64 << 20)\nimport time\nwhile time.process_time() < 0.5: pass"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}])"
    _, (tree, largest) = json.loads(forked.run(measure, code, True, folder=tmp_path).stdout)
    assert tree > largest > 64 << 20


def failing():
    try:
        measure("import sys; sys.exit('what was wrong')", False)
    except CommandFailedError as fault:
        print(fault)


def test_a_command_that_fails_tells_why(tmp_path):
    told = forked.run(failing, folder=tmp_path).stdout
    assert "status 1" in told
    assert "what was wrong" in told


# Recordings and contestants


def test_the_recordings_are_the_same_bytes_each_time_and_each_is_another(recordings, tmp_path):
    again = Corpus(tmp_path, clips_a_format=1)
    first, second = ([each.path.read_bytes() for each in corpus_.of(KINDS)] for corpus_ in (recordings, again))
    assert first == second
    assert len(set(first)) == len(KINDS)


def test_the_recordings_are_as_long_as_is_said(recordings):
    for recording in recordings.of([kind for kind in KINDS if kind.extension in {"wav", "flac"}]):
        assert soundfile.info(recording.path).duration == pytest.approx(recording.seconds, abs=1e-3)
    assert np.linspace(*corpus.SECONDS, corpus.CLIPS_A_FORMAT).mean() == pytest.approx(7.2)


def test_a_manifest_repeats_recordings_under_new_ids(tmp_path):
    corpus.write_manifest(tmp_path / "m.jsonl", [Recording(Path("a"), 1.0), Recording(Path("b"), 1.0)], rows=3)
    rows = [json.loads(line) for line in (tmp_path / "m.jsonl").read_text().splitlines()]
    assert [row["audio_path"] for row in rows] == list(corpus.paths_of(tmp_path / "m.jsonl")) == ["a", "b", "a"]
    assert len({row["id"] for row in rows}) == len({row["text"] for row in rows}) == 3


@pytest.mark.parametrize("variant", ["threads", "processes", "loop"])
def test_the_bare_programs_do_the_work(recordings, tmp_path, variant):
    made = recordings.of(MIX)
    corpus.write_manifest(tmp_path / "m.jsonl", made, len(made))
    words = [sys.executable, "-m", "benchmarks.bare_calls", variant, tmp_path / "m.jsonl", tmp_path / "out"]
    assert run(words, cwd=ROOT).returncode == 0
    BENCH.check(tmp_path / "out", len(made), sum(each.seconds for each in made))


def test_lines_keep_their_order_beyond_the_window(tmp_path):
    paths = []
    for number in range(40):
        paths.append(str(tmp_path / f"{number}.wav"))
        soundfile.write(paths[-1], np.full(160, number, np.int16), 16_000)
    assert list(bare_calls.lines("threads", paths)) == [bare_calls.prepare(path) for path in paths]


@pytest.mark.parametrize(
    ("rate", "channels", "rows", "seconds", "wrong"),
    [
        (16_000, 1, 2, 2.0, ""),
        (16_000, 1, 2, 2.0 / 0.951, ""),
        (16_000, 1, 2, 2.0 / 0.949, "0.949 of the audio's seconds"),
        (16_000, 1, 2, 2.0 / 1.021, "1.021 of the audio's seconds"),
        (16_000, 1, 3, 3.0, "2 lines for 3 rows"),
        (8_000, 1, 2, 2.0, "8000"),
        (16_000, 2, 2, 2.0, "channels: 2"),
    ],
)
def test_an_output_is_checked(tmp_path, rate, channels, rows, seconds, wrong):
    soundfile.write(tmp_path / "a.flac", np.zeros((rate, channels), np.int16), rate)
    data = base64.b64encode((tmp_path / "a.flac").read_bytes()).decode()
    (tmp_path / "out").write_text((json.dumps(bare_calls.example(data)) + "\n") * 2)
    if not wrong:
        BENCH.check(tmp_path / "out", rows, seconds)
        return
    with pytest.raises(WrongOutputError, match=wrong):
        BENCH.check(tmp_path / "out", rows, seconds)


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_peer_has_a_program_and_pinned_requirements(peer):
    assert (ROOT / f"benchmarks/peers/{peer.name}.py").is_file()
    assert all(line.count("==") == 1 for line in peer.requirements.splitlines())
    assert len(peer.requirements.splitlines()) > 1


def test_a_peer_is_installed_as_long_as_its_requirements_are(monkeypatch, tmp_path):
    monkeypatch.setattr(environments, "FOLDER", tmp_path)
    peer = PEERS[0]
    peer.folder.mkdir()
    assert not peer.installed
    peer.ready.write_text(peer.requirements)
    assert peer.installed
    peer.ready.write_text(peer.requirements.replace("==", "==0.", 1))
    assert not peer.installed


def test_libraries_of_a_wheel_get_their_usual_names(tmp_path):
    wheel, links = tmp_path / "wheel", tmp_path / "links"
    wheel.mkdir()
    for name in ("libavcodec-5e6b81c2.so.62.28.102", "libmp3lame-8f9e436f.so.0.0.0"):
        (wheel / name).write_text(name)
    environments._link_libraries(wheel, links)
    assert (links / "libavcodec.so.62").read_text() == "libavcodec-5e6b81c2.so.62.28.102"
    assert (links / "libmp3lame.so.0").read_text() == (links / "libmp3lame-8f9e436f.so.0.0.0").read_text()


# The guard


def test_a_clip_costs_what_is_recorded():
    ended = run([sys.executable, "-m", "benchmarks.guard"], cwd=ROOT)
    assert ended.returncode == 0, ended.stderr


def test_the_guard_sees_work_done_twice(recordings):
    paths = guard.paths(recordings)

    def twice(path):
        one_process.ours(path)
        return one_process.ours(path)

    usual = guard.measured(paths, 3)
    assert "more than a fifth more" in guard.verdict(paths, usual, 3, twice)


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        ([1.2], False),
        ([1.21, 1.2], False),  # other work was to blame
        ([1.21, 1.21], True),
    ],
)
def test_the_guard_on_both_sides_of_its_limit(monkeypatch, found, wrong):
    answers = iter(found)
    monkeypatch.setattr(guard, "measured", lambda *_: next(answers))
    assert bool(guard.verdict([], 1.0)) == wrong
    assert next(answers, None) is None


def test_a_recorded_ratio_is_read_again(monkeypatch, tmp_path):
    assert 1 < guard.recorded() < 2
    monkeypatch.setattr(guard, "RECORDED", tmp_path / "recorded.json")
    guard.record(1.23456)
    assert guard.recorded() == 1.235


# All of it


@pytest.mark.sweep
def test_make_bench_runs():
    words = [sys.executable, "-m", "benchmarks.performance", "smoke", "1"]
    ended = run(words, cwd=ROOT)
    assert ended.returncode == 0, ended.stderr
    for name in (OURS.name, THREADS.name, PROCESSES.name, LOOP.name):
        assert f"\n| {name} | " in ended.stdout
    assert "round 1 of 1 is done" in ended.stderr
