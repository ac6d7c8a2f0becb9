"""What a finished run tells people and machines."""

import io
from dataclasses import replace

import pytest

from beam_pipeline.job import Spread
from beam_pipeline.prepare import Prepared
from cliptune import summary
from cliptune.console import Console
from transforms.report.report import ReasonReport, RepeatedAudio, Report, SplitReport, TrimReport


def reason(name, rows):
    return ReasonReport(rows, f"Mend {name}.", (f"m:{rows}: it is {name}", "m:99: another"))


SPLITS = {
    "train": SplitReport(1_234, 1_234_567, 1_440_000, 90.0, 2_880, 9_000, 20),
    "validation": SplitReport(0, 0, 0, 0.0, 0, 0, 0),
}
FLAWLESS = Report(
    1, 1_234, 1_234, 0, "f0", SPLITS, {"0": 1_234}, {"wav/pcm_16": 1_234}, {}, {}, RepeatedAudio(0, ()), ()
)


REASONS = {
    name: reason(name, rows) for name, rows in (("silent", 9), ("too_long", 5), ("truncated", 3), ("bad_row", 1))
}
REJECTED = replace(FLAWLESS, rows=1_252, rejected=18, reasons=REASONS)


def told(report, output="out", reused=0, width=200, cpu=None):
    file = io.StringIO()
    summary.show(Prepared(output, report, reused, too_many_rejected=False, cpu=cpu or {}), Console(file, width))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_a_run_without_a_flaw_is_told_in_six_lines():
    assert told(FLAWLESS) == [
        "split       examples  shards    audio      bytes",
        "train          1,234      20  1.5 min  1,234,567",
        "validation         0       0  0.0 min          0",
        "1,234 accepted + 0 rejected = 1,234 manifest rows",
        "report:  out/report.html",
        "dataset: out",
    ]


def test_the_three_commonest_reasons_and_where_the_others_are():
    assert told(REJECTED, "gs://b/out/")[3:] == [
        "1,234 accepted + 18 rejected = 1,252 manifest rows",
        "  9 × silent: Mend silent.",
        "      m:9: it is silent",
        "  5 × too_long: Mend too_long.",
        "      m:5: it is too_long",
        "  3 × truncated: Mend truncated.",
        "      m:3: it is truncated",
        "  all of them: gs://b/out/rejected.jsonl",
        "report:  gs://b/out/report.html",
        "dataset: gs://b/out/",
    ]


def test_what_was_trimmed_is_told_with_an_example():
    some, most = TrimReport(1_600, 0.1, 0.0011, 0, ()), TrimReport(16_000, 1.0, 0.011, 2, ("m:3: 0.2 s", "m:4: 0.1 s"))
    assert told(replace(FLAWLESS, trimmed=some))[4:-2] == [
        "0.1% of the audio was trimmed from the ends of clips; 0 clips lost more than half"
    ]
    assert told(replace(FLAWLESS, trimmed=most))[4:-2] == [
        "1.1% of the audio was trimmed from the ends of clips; 2 clips lost more than half",
        "      m:3: 0.2 s",
    ]


def test_warnings_and_what_was_reused_are_told():
    lines = told(replace(FLAWLESS, warnings=("the train split is empty", "another")), reused=1_000)
    assert "1,000 of 1,234 clips were ready from an earlier run and reused" in lines
    assert lines[-4:-2] == ["warning: the train split is empty", "warning: another"]


@pytest.mark.parametrize("reused", [0, 1])
def test_reuse_is_told_only_where_there_was_some(reused):
    assert any("reused" in line for line in told(FLAWLESS, reused=reused)) == bool(reused)


def test_what_looks_like_markup_is_printed_as_it_stands():
    odd = ReasonReport(1, "Mend [it].", ("m[1].csv:2: no such file: [bold]a[/bold].wav",))
    lines = told(replace(FLAWLESS, rejected=1, reasons={"not_found": odd}), "out[1]", width=20)
    assert "      m[1].csv:2: no such file: [bold]a[/bold].wav" in lines  # nor cut at the screen's edge
    assert lines[-1] == "dataset: out[1]"


def test_machines_are_told_how_often_a_reason_was_given():
    tree = Prepared("out", REJECTED, 7, too_many_rejected=False).as_dict()
    reasons = {name: reason.rows for name, reason in REASONS.items()}
    assert tree == {"output": "out", **REJECTED.as_dict(), "reused": 7, "reasons": reasons}
    assert next(iter(tree)) == "output"


def test_where_the_processor_time_went_is_told_if_clips_were_converted():
    cpu = {"decode": Spread(4, 10_000, 5_400), "write": Spread(4, 200, 90)}
    line = "processor time of a clip in ms, mean (longest): decode 2.5 (5), write 0.1 (0)"
    assert line in told(FLAWLESS, cpu=cpu)
    assert not any("processor time" in line for line in told(FLAWLESS))
