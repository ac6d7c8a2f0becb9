"""Reasons: one row each, with what is wrong and what to do."""

from transforms.reasons import REASONS


def test_every_reason_has_a_remedy():
    assert len(REASONS) == 35
    for reason in REASONS.values():
        assert all(text.endswith(".") and len(text) > 20 for text in (reason.meaning, reason.remedy))
