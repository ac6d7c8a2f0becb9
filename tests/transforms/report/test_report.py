"""`report.json` as a record: what is written is read, and what is damaged is refused."""

import orjson
import pytest

from transforms.report.report import ReasonReport, RepeatedAudio, Report, SplitReport, TaskReport

REPORT = Report(
    1,
    rows=3,
    accepted=2,
    rejected=1,
    fingerprint="f0",
    splits={"train": SplitReport(2, 200, 24_000, 1.5, 48, 9, 1), "validation": SplitReport(0, 0, 0, 0.0, 0, 0, 0)},
    durations={"0": 1, "1": 1},
    source_formats={"wav/pcm_16": 2},
    tasks={"t": TaskReport(2, 1)},
    reasons={"silent": ReasonReport(1, "Listen.", ("m:3: no sound",))},
    repeated_audio=RepeatedAudio(1, (("m:1", "m:2"),)),
    warnings=("the validation split is empty",),
)


def test_what_is_written_is_read():
    assert Report.load(REPORT.dump()) == REPORT
    assert next(iter(orjson.loads(REPORT.dump()))) == "format_version"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"format_version": 2}, "format_version must be 1, got 2"),
        ({"rows": "3"}, "rows: expected int, got str"),
        ({"tasks": {"t": {"examples": 2}}}, "tasks.*.prompts: missing"),
    ],
)
def test_a_damaged_file_names_the_field_and_the_rule(change, fault):
    with pytest.raises(ValueError) as found:
        Report.load(orjson.dumps({**orjson.loads(REPORT.dump()), **change}))
    assert str(found.value) == fault
