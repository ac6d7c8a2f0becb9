"""What makes two shards, runs or datasets the same: every field of every record, but for those that are named.

A digest that passes over a field takes the files of another run for its own.
"""

from dataclasses import replace
from typing import Any

import pytest

from tests.changes import CLIP, OTHER_SETTINGS, OTHER_TASK, OUTCOME, SETTINGS, changed, names
from transforms import clip
from transforms.audio import builds
from transforms.clip import Clip, Outcome
from transforms.dataset import assign, ledger, output
from transforms.dataset.plan import Plan, make_plan
from transforms.dataset.sidecar import Sidecar, fingerprint
from transforms.report.counts import Count, SplitCount
from transforms.settings import Settings, Task

ROWS = pytest.mark.parametrize(
    ("row", "name"), [(row, name) for row in (CLIP, OUTCOME) for name in names(row)], ids=lambda value: str(value)[:20]
)


def is_digested(row, name):
    """These decide no byte, and the original row has them: that they come from another column is seen by its name."""
    return not (isinstance(row, Clip) and name in ("language", "kept_columns"))


PLAN = Plan(3, "digest", {"train": 2, "validation": 1, "rejected": 1}, frozenset({1}), {"": 1}, 0)
OTHER_PLAN: dict[str, Any] = {
    "rows": 4,
    "rows_digest": "another",
    "num_shards": {"train": 3, "validation": 1, "rejected": 1},
}
# Follow from the rows and the settings.
DERIVED = {"validation_share", "remarks", "validation_keys", "prompts", "torn_groups", "doubled", "nuls"}
# Is in `checksums.json`: the places of rows decide sidecars and ledger only, so other places make no other dataset.
COMPARED = {"sources_digest"}


def test_every_setting_has_another_value():
    assert list(OTHER_SETTINGS) == names(Settings)
    assert list(OTHER_TASK) == names(Task)


@ROWS
def test_every_field_of_a_row_is_in_its_shards_fingerprint(row, name):
    assert (fingerprint([changed(row, name)], SETTINGS) != fingerprint([row], SETTINGS)) == is_digested(row, name)


@pytest.mark.parametrize("name", names(Settings))
def test_every_setting_is_in_every_shards_fingerprint(name):
    assert fingerprint([CLIP], changed(SETTINGS, name)) != fingerprint([CLIP], SETTINGS)


@pytest.mark.parametrize("name", names(Task))
def test_every_field_of_a_task_is_in_every_shards_fingerprint(name):
    other = replace(SETTINGS, tasks=(changed(SETTINGS.tasks[0], name),))
    assert fingerprint([CLIP], other) != fingerprint([CLIP], SETTINGS)


def test_the_number_and_the_order_of_the_rows_are_in_a_shards_fingerprint():
    orders: list[list[Clip | Outcome]] = [[], [CLIP], [CLIP, CLIP], [CLIP, OUTCOME], [OUTCOME, CLIP], [OUTCOME]]
    assert len({fingerprint(rows, SETTINGS) for rows in orders}) == len(orders)


@pytest.mark.parametrize("decoder", sorted(builds.builds()))
def test_every_decoder_is_in_every_fingerprint(decoder, monkeypatch):
    before = fingerprint([CLIP], SETTINGS), output.describe(PLAN, SETTINGS)
    others = {**builds.builds(), decoder: "another build"}
    monkeypatch.setattr(builds, "builds", lambda: others)
    after = fingerprint([CLIP], SETTINGS), output.describe(PLAN, SETTINGS)
    assert [one != two for one, two in zip(before, after, strict=True)] == [True, True]


def digest_of(row):
    return make_plan([row, replace(CLIP, clip_id="another")], SETTINGS).rows_digest


@ROWS
def test_every_field_of_a_row_is_in_the_digest_of_the_rows_but_its_line(row, name):
    assert (digest_of(changed(row, name)) != digest_of(row)) == (name != "source" and is_digested(row, name))


@ROWS
def test_every_field_of_a_row_is_in_the_digest_of_rows_and_their_places(row, name):
    digests = {make_plan([row, CLIP], SETTINGS).sources_digest for row in (row, changed(row, name))}
    assert len(digests) == 1 + is_digested(row, name)


def test_the_digest_of_rows_and_their_places_does_not_depend_on_their_order():
    one, two = (replace(CLIP, clip_id=name, source=f"m:{name}") for name in "12")
    swapped = [replace(one, source=two.source), replace(two, source=one.source)]
    digests = [make_plan(rows, SETTINGS).sources_digest for rows in ([one, two], [two, one], swapped)]
    assert digests[0] == digests[1] != digests[2]


def test_how_often_a_row_is_there_is_in_the_digest_of_the_rows():
    assert len({make_plan([CLIP] * times, SETTINGS).rows_digest for times in range(4)}) == 4


@pytest.mark.parametrize("name", names(Settings))
def test_every_setting_is_in_a_runs_description(name):
    assert output.describe(PLAN, changed(SETTINGS, name)) != output.describe(PLAN, SETTINGS)


def test_every_fact_of_a_plan_is_in_a_runs_description_or_follows_from_one_that_is():
    assert OTHER_PLAN.keys() | DERIVED | COMPARED == set(names(Plan))
    for name, value in OTHER_PLAN.items():
        assert output.describe(replace(PLAN, **{name: value}), SETTINGS) != output.describe(PLAN, SETTINGS)


def fingerprint_of(*outcomes):
    count = Count({assign.TRAIN: SplitCount(), assign.VALIDATION: SplitCount()}, 16_000)
    for outcome in outcomes:
        count.add(outcome)
    return count.digest.hexdigest()


def test_a_datasets_fingerprint_is_of_its_lines_their_splits_and_their_order():
    one, two = (replace(OUTCOME, line_sha256=digest, num_samples=1) for digest in ("1", "2"))
    moved = replace(two, split="validation")
    datasets = [(), (one,), (two,), (one, one), (one, two), (two, one), (one, moved), (moved,)]
    assert len({fingerprint_of(*outcomes) for outcomes in datasets}) == len(datasets)


def test_a_datasets_fingerprint_is_not_of_what_was_refused():
    one = replace(OUTCOME, line_sha256="1", num_samples=1)
    refused = replace(OUTCOME, status="rejected", reason="silent")
    assert fingerprint_of(refused, one) == fingerprint_of(one)


@ROWS
def test_every_field_crosses_the_shuffle(row, name):
    sent = changed(row, name)
    assert clip.unpack(clip.pack(clip.dump(sent))) == [sent]


@pytest.mark.parametrize("name", names(Outcome))
def test_every_field_of_an_outcome_is_in_its_sidecar(name):
    sidecar = Sidecar("f", 1, "s", (changed(OUTCOME, name),))
    assert Sidecar.load(sidecar.dump()) == sidecar


# A file of another version is none, as test_sidecar.py says.
@pytest.mark.parametrize("name", [name for name in names(Sidecar) if name != "format_version"])
def test_every_field_of_a_sidecar_is_in_its_file(name):
    sidecar = Sidecar("f", 1, "s", (OUTCOME,))
    values: dict[str, Any] = {"bytes": 2, "outcomes": ()}
    other = replace(sidecar, **{name: values.get(name, "another")})
    assert Sidecar.load(other.dump()) == other != sidecar


def test_every_field_of_an_outcome_is_a_column_of_the_ledger_but_the_row_itself():
    assert [*ledger.SCHEMA.names, "row"] == names(Outcome)


def test_the_fingerprints_are_what_they_were(monkeypatch):
    """Else no run that an earlier version began is gone on with."""
    monkeypatch.setattr(builds, "builds", lambda: {"libsndfile": "1"})
    assert fingerprint([CLIP, OUTCOME], SETTINGS) == "7e3373553fd2e226694b410b5951bcc7"
    assert (
        make_plan([CLIP, OUTCOME], SETTINGS).rows_digest
        == "c6bc62614ea36641eb03a015f7d72fb11470f6205332a335a02f2574fb7decf4"
    )
    assert (
        fingerprint_of(replace(OUTCOME, line_sha256="1"))
        == "0a49bde2c933989a43929e602c5411a0e0500f27f9549c8293ff611679d495a2"
    )
