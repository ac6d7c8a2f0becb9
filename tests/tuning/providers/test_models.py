import re
from contextlib import nullcontext
from dataclasses import fields
from datetime import date

import pytest

from transforms import limits
from transforms.errors import UserError
from tuning.cost import Price, Tokens, estimate
from tuning.providers.base import BaseModel, Facts
from tuning.providers.vertex import PROVIDER as VERTEX
from tuning.providers.vertex import models

TODAY = date(2026, 10, 1)
PREVIEW = models.MODELS["gemini-3.1-flash-lite"]
CMEK = models.MODELS["gemini-2.5-flash"]
RETIRED = models.MODELS["gemini-2.5-pro"]
KEY = "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gemini-3.1-flash-lit", "did you mean gemini-3.1-flash-lite"),
        ("gpt-5", "known: gemini-3.5-flash"),
        ("", "known"),
    ],
)
def test_an_unknown_model_is_refused_with_a_suggestion(name, told):
    with pytest.raises(UserError, match=told):
        models.find(name)


FLASH, LITE = "gemini-3.5-flash", "gemini-3.1-flash-lite"


@pytest.mark.parametrize(
    ("name", "suggested"),
    [
        ("gemini-2.0-flash-001", FLASH),  # it is nearest to gemini-2.5-flash, which few can tune
        ("gemini-2.0-flash", FLASH),
        ("gemini-2.0-flash-lite-001", LITE),
        ("gemini-1.5-flash-002", FLASH),
        ("gemini-1.5-pro-002", FLASH),
        ("gemini-1.0-pro", FLASH),
        ("gemini-pro", FLASH),
        ("gemini-flash-latest", FLASH),
        ("gemini-2.5-flash-preview-04-17", FLASH),
        ("gemini-2.5-flash@001", FLASH),
        ("gemini-2.5-flahs", FLASH),
        ("gemini-2.5-flash-lit", FLASH),
        ("gemini-2.5-por", FLASH),
        ("gemini-3-pro-preview", FLASH),
        ("gemni-3.5-flash", FLASH),
        ("3.5-flash", FLASH),
        ("gemini-3.5-flash-001", FLASH),
        ("gemini-3.5-flash-lit", "gemini-3.5-flash-lite"),
        ("gemini-3.1-flash", LITE),
        ("gemini-3.1-flash-lite@default", LITE),
        ("gemini-3.1-flash-lite-preview", LITE),
        ("publishers/google/models/gemini-2.0-flash-001", FLASH),
        ("projects/p/locations/us-central1/publishers/google/models/gemini-2.0-flash-lite", LITE),
        ("vertex_ai/gemini-2.0-flash", FLASH),
        ("flash-lite", LITE),
        ("text-bison@002", None),
        ("llama-3.1-8b", None),
        ("", None),
        ("x" * 100_000, None),
    ],
)
def test_what_is_suggested_can_be_tuned_by_every_project(name, suggested):
    with pytest.raises(UserError) as fault:
        models.find(name)
    told = str(fault.value)
    assert len(told) < 300
    hint = told.rpartition("; ")[2]
    assert hint == (f"did you mean {suggested}?" if suggested else f"known: {', '.join(models.OPEN)}")
    for open_model in models.OPEN:
        found = models.MODELS[open_model]
        where = found.locations[0] if found.locations else "us-central1"
        models.refuse_wrong(found, where, None, date(2100, 1, 1))  # nothing is announced of it


def test_the_default_can_be_tuned_by_every_project():
    assert models.DEFAULT_MODEL in models.OPEN


@pytest.mark.parametrize(
    "name",
    [
        FLASH,
        "Gemini-3.5-Flash",
        " gemini-3.5-flash\n",
        "models/gemini-3.5-flash",
        "publishers/google/models/gemini-3.5-flash",
        "projects/p/locations/us-central1/publishers/google/models/gemini-3.5-flash",
        "google/gemini-3.5-flash",
    ],
)
def test_a_model_is_found_by_every_spelling_of_its_name(name):
    assert models.find(name) is models.MODELS[FLASH]


PLACE = "projects/p/locations/us-central1"
ADDRESS = "https://us-central1-aiplatform.googleapis.com/v1"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (f"{PLACE}/models/123", "is a model; ask its endpoint, projects/…/locations/…/endpoints/…"),
        (f"{PLACE}/models/123@1", "is a model; ask its endpoint"),  # as the job reports it
        (f"{PLACE}/models/123@default", "is a model; ask its endpoint"),
        (f"{PLACE}/models/123/", "is a model; ask its endpoint"),
        (f"{PLACE}/models/123/checkpoints/2", "is a model; ask its endpoint"),
        (f"{ADDRESS}/{PLACE}/models/123@1", "is a model; ask its endpoint"),
        ("models/123", "is a model; ask its endpoint"),
        ("models/123@1", "is a model; ask its endpoint"),
        (f"{PLACE}/tuningJobs/9", "is a tuning job; ask the endpoint of its model"),
        ("tuningJobs/9", "is a tuning job; ask the endpoint of its model"),
        ("2", "is a checkpoint; give it by --checkpoint"),
        ("gemini-3.5-flash", "is a base model; --model base"),
        ("publishers/google/models/gemini-3.5-flash", "is a base model; --model base"),
        ("models/gemini-3.5-flash", "is a base model; --model base"),
        ("endpoints/123", "is not the whole name of an endpoint"),
        (f"{PLACE}/endpoints/123@1", "is not the whole name of an endpoint"),
        (f"{ADDRESS}/{PLACE}/endpoints/123", "is not the whole name of an endpoint"),
        ("1234567890123456789", "is not the whole name of an endpoint"),
        (f"{PLACE}/customJobs/1", "must be projects/…/locations/…/endpoints/…, or base"),
        ("projects/p/locations/evil.example#/endpoints/1", "location must be the name of a region"),
        ("x" * 100_000, "must be projects/…/locations/…/endpoints/…, or base"),
    ],
)
def test_what_is_no_endpoint_cannot_be_asked_and_the_message_says_what_can(name, told):
    with pytest.raises(UserError, match=re.escape(told)) as fault:
        models.location_of_endpoint(name)
    assert len(str(fault.value)) < 400


def test_an_endpoint_has_a_place():
    assert models.location_of_endpoint(f"{PLACE}/endpoints/123") == ("p", "us-central1")


@pytest.mark.parametrize(
    ("model", "location", "adapter_size", "today", "told"),
    [
        (PREVIEW, "global", 4, TODAY, "use --location us-central1 or europe-west4"),
        (PREVIEW, "asia-east1", 4, TODAY, "cannot be tuned in location 'asia-east1'"),
        (PREVIEW, "us-central1", 3, TODAY, "must be one of 1, 2, 4, 8, 16, got 3"),
        (PREVIEW, "eu", 4, TODAY, "'eu' cannot tune, only a region can; use --location us-central1 or europe-west4"),
        (RETIRED, "us-central1", 16, TODAY, "must be one of 1, 2, 4, 8, got 16"),
        (RETIRED, "us-central1", 8, date(2027, 3, 31), "was shut down on 2027-03-31; use --base_model gemini"),
        (RETIRED, "global", 8, TODAY, "global"),
    ],
)
def test_what_the_service_would_refuse_is_refused_here(model, location, adapter_size, today, told):
    with pytest.raises(UserError, match=told):
        models.refuse_wrong(model, location, adapter_size, today)


@pytest.mark.parametrize("location", ["", "us central1", "us/central1", "evil.example#", "a.b", "us-central1\n"])
@pytest.mark.parametrize("model", [PREVIEW, RETIRED], ids=lambda model: model.name)
def test_what_is_no_location_is_refused(model, location):
    """It becomes part of the host that the credentials are sent to; an empty one becomes 'global'."""
    with pytest.raises(UserError, match="location"):
        models.refuse_wrong(model, location, None, TODAY)


@pytest.mark.parametrize(
    ("today", "allowed", "refused"),
    [
        (date(2026, 10, 19), False, False),
        (date(2026, 10, 20), False, True),
        (date(2026, 10, 20), True, False),
        (date(2027, 3, 30), True, False),
        (date(2027, 3, 31), True, True),  # nobody can any more
    ],
)
def test_a_model_that_retires_is_refused_to_those_who_never_tuned_it(today, allowed, refused):
    with pytest.raises(UserError, match=r"--base_model|shut down") if refused else nullcontext():
        models.refuse_wrong(RETIRED, "asia-east1", 8, today, allow_retired=allowed)


@pytest.mark.parametrize(
    ("model", "key", "told"),
    [
        (PREVIEW, KEY, "gemini-3.1-flash-lite takes no kms_key, got 'projects/"),
        (CMEK, "my-key", "must be projects/…/locations/…/keyRings/…/cryptoKeys/…, got 'my-key'"),
        (
            CMEK,
            KEY.replace("us-central1", "europe-west4"),
            "must be in the job's location 'us-central1', got 'europe-west4'",
        ),
        (CMEK, KEY, None),
        (models.MODELS["gemini-3.5-flash"], KEY, "gemini-3.5-flash takes no kms_key"),
        (models.MODELS["gemini-3.5-flash-lite"], KEY, "takes no kms_key"),  # nothing is known of it
        (PREVIEW, None, None),
    ],
)
def test_a_key_of_ones_own(model, key, told):
    with pytest.raises(UserError, match=told) if told else nullcontext():
        models.refuse_wrong(model, "us-central1", 4, TODAY, key)


def test_a_good_choice_is_not_refused():
    models.refuse_wrong(PREVIEW, "europe-west4", None, TODAY)


def test_every_fact_has_a_source_with_its_date():
    assert {field.name for field in fields(BaseModel)} == set(models.SOURCES)
    facts = {name for name in vars(limits) if name.isupper() and name[0] != "_" and "CHARS" not in name}
    assert facts - {"FACTS_DATE", "DOCS", "TUNING_DOCS", "SOURCES"} == set(limits.SOURCES)
    for source in (*models.SOURCES.values(), *limits.SOURCES.values()):
        assert source.mark in ("documented", "transcribed", "reported", "unverified")
        assert (source.as_of, bool(source.where)) == (limits.FACTS_DATE, True)


def tokens():
    train = Tokens()
    train.add(Facts(seconds=1_000.0, text_chars=4_000, text_bytes=4_000, audio="x"))
    train.add(Facts(text_chars=4, text_bytes=4, audio="gs://b/x"))
    return train


def test_the_estimate_is_tokens_times_epochs_times_price():
    cost = estimate(tokens(), VERTEX, PREVIEW, epochs=3)
    assert (cost.tokens, cost.upper_tokens) == (3 * (32_000 + 1_000 + 1), 3 * (35_000 + 4_000 + 4))
    assert (cost.cost, cost.upper_cost) == pytest.approx((99_003 * 3e-6, 117_012 * 3e-6))
    assert "transcribed, Google's pricing page" in cost.line()
    assert tokens().unknown_audio == 1


def test_the_users_own_price_wins():
    cost = estimate(tokens(), VERTEX, PREVIEW, 1, Price(10.0, "price given by --price_per_million"))
    assert cost.cost == pytest.approx(0.33001)
    assert "--price_per_million" in cost.note


def test_an_unknown_price_is_said_and_never_guessed():
    cost = estimate(tokens(), VERTEX, models.MODELS["gemini-3.5-flash-lite"], epochs=1)
    assert (cost.cost, cost.upper_cost) == (None, None)
    assert "not known" in cost.line()


@pytest.mark.parametrize(
    ("model", "location", "asked_at"),
    [
        (PREVIEW, "us-central1", "us"),
        (PREVIEW, "europe-west4", "eu"),
        (PREVIEW, "asia-east1", "global"),
        (PREVIEW, "eu", "eu"),
        (CMEK, "us-central1", "us-central1"),  # Gemini 2.5 answers in its region
        (CMEK, "asia-east1", "asia-east1"),
    ],
)
def test_a_base_model_is_asked_where_it_answers(model, location, asked_at):
    assert models.base_location(model, location) == asked_at


@pytest.mark.parametrize(
    ("location", "places"),
    [
        ("us-central1", ("us-central1", "us")),
        ("europe-west4", ("europe-west4", "eu")),
        ("asia-east1", ("asia-east1",)),
        ("us", ("us",)),
    ],
)
def test_a_tuned_model_lies_in_the_region_or_in_the_multi_region_around_it(location, places):
    assert models.lands_in(location) == places


_ALL = (1, 2, 4, 8, 16)
_REGIONS, _US_EU, _ANYWHERE = ("us-central1", "europe-west4"), ("us", "eu"), ("global", "us", "eu")
# Name, sizes; where tuned, where the tuned one answers, and the untuned; $ training, in and out; factor; CMEK; dates.
TABLE = [
    ("gemini-3.5-flash", _ALL, _REGIONS, _US_EU, _ANYWHERE, 10, (2.25, 13.5), 1.5, False, None, None),
    ("gemini-3.1-flash-lite", _ALL, _REGIONS, _US_EU, _ANYWHERE, 3, (0.375, 2.25), 1.5, False, None, None),
    ("gemini-3.5-flash-lite", None, None, None, _ANYWHERE, None, None, 1.5, None, None, None),
    ("gemini-2.5-flash", _ALL, (), (), (), 5, None, 1, None, "2026-10-20", "2027-03-31"),
    ("gemini-2.5-flash-lite", _ALL, (), (), (), 1.5, None, 1, None, "2026-10-20", "2027-01-28"),
    ("gemini-2.5-pro", (1, 2, 4, 8), (), (), (), 25, None, 1, None, "2026-10-20", "2027-03-31"),
]


def test_the_models_are_those_of_the_documentation():
    found = [
        (
            *(model.name, model.adapter_sizes, model.locations, model.serving_locations, model.base_locations),
            *(model.price_per_million, model.tuned_prices, model.tuned_factor, model.cmek),
            *(day and str(day) for day in (model.retired_for_new, model.shut_down)),
        )
        for model in models.MODELS.values()
    ]
    assert found == TABLE


def test_no_fact_says_that_it_is_newer_than_the_newest_copy():
    newest = date(2026, 9, 25)
    assert all(source.as_of <= newest for source in (*models.SOURCES.values(), *limits.SOURCES.values()))
