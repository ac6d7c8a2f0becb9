"""What makes two requests the same: decided for every field of a request, so that none is forgotten."""

from dataclasses import fields, replace
from typing import Any

import pytest

from tuning.providers.base import REQUEST_LABEL, SchemaError, TuningRequest
from tuning.providers.vertex.tuner import VertexTuner

REQUEST = TuningRequest(
    project="p",
    location="us-central1",
    base_model="gemini-3.1-flash-lite",
    fingerprint="f",
    train_uri="gs://b/train.jsonl",
    validation_uri="gs://b/validation.jsonl",
    epochs=3,
    adapter_size=4,
    learning_rate_multiplier=0.5,
    display_name="ours",
    from_model="projects/p/locations/us-central1/models/1",
    from_checkpoint="1",
    export_last_checkpoint_only=False,
    kms_key="projects/p/locations/us-central1/keyRings/r/cryptoKeys/k",
    service_account="one@p.iam.gserviceaccount.com",
    labels={"team": "speech"},
)
# Another value of each field that decides what is tuned, where, or what it costs.
DECIDES: dict[str, Any] = {
    "project": "q",
    "location": "europe-west4",
    "base_model": "gemini-3.5-flash",
    "fingerprint": "g",
    "epochs": 4,
    "adapter_size": 8,
    "learning_rate_multiplier": 1.0,
    "from_model": "projects/p/locations/us-central1/models/2",
    "from_checkpoint": "2",
    "export_last_checkpoint_only": True,
    "kms_key": "projects/p/locations/us-central1/keyRings/r/cryptoKeys/l",
    "train_examples": 100,
}
# Where the files lie, who reads them and what things are called: the model is the same.
DOES_NOT_DECIDE: dict[str, Any] = {
    "train_uri": "gs://c/train.jsonl",
    "validation_uri": "gs://c/validation.jsonl",
    "display_name": "theirs",
    "service_account": "two@p.iam.gserviceaccount.com",
    "labels": {"team": "text"},
}
OTHER = {**DECIDES, **DOES_NOT_DECIDE}
# In the service's own words there is no fingerprint: the digest, which is a label, stands for it.
NOT_SENT = {"fingerprint", "train_examples"}
OPTIONAL = {field.name for field in fields(TuningRequest) if "None" in str(field.type)} - {
    "validation_uri",
    "train_examples",
}


def test_of_every_field_it_is_decided_whether_it_changes_the_request():
    names = {field.name for field in fields(TuningRequest)}
    assert DECIDES.keys() | DOES_NOT_DECIDE.keys() == names
    assert not DECIDES.keys() & DOES_NOT_DECIDE.keys()


@pytest.mark.parametrize("name", DECIDES)
def test_what_decides_the_model_is_in_the_digest(name):
    assert replace(REQUEST, **{name: DECIDES[name]}).digest != REQUEST.digest


@pytest.mark.parametrize("name", sorted(OPTIONAL & DECIDES.keys()))
def test_the_services_own_choice_is_another_request_than_ours(name):
    assert replace(REQUEST, **dict[str, Any]({name: None})).digest != REQUEST.digest


@pytest.mark.parametrize("name", DOES_NOT_DECIDE)
def test_what_does_not_decide_the_model_is_not_in_the_digest(name):
    assert replace(REQUEST, **{name: DOES_NOT_DECIDE[name]}).digest == REQUEST.digest


def test_whether_there_is_a_validation_file_is_in_the_digest_and_its_place_is_not():
    assert replace(REQUEST, validation_uri=None).digest != REQUEST.digest


def test_no_two_changes_give_one_digest():
    digests = {replace(REQUEST, **{name: value}).digest for name, value in DECIDES.items()}
    assert len(digests | {REQUEST.digest}) == len(DECIDES) + 1


def test_the_digest_is_what_it_was():
    """A job that an earlier version submitted is found by it."""
    assert REQUEST.digest == "0d63b7a12e7abdabc39119547ddca7f975de9706"


def sent(request):
    """What goes to the service, without the label that would change with anything."""
    tree = VertexTuner(request.project, request.location).body(request)
    del tree["body"]["labels"][REQUEST_LABEL]
    return tree


@pytest.mark.parametrize("name", sorted(OTHER.keys() - NOT_SENT))
def test_every_field_reaches_the_service(name):
    # Of a tuned model that is tuned further, the service knows what it was tuned from.
    request = replace(REQUEST, from_model=None) if name == "base_model" else REQUEST
    assert sent(replace(request, **{name: OTHER[name]})) != sent(request)


def test_what_the_schemas_refuse_has_a_rule_and_a_detail():
    refusal = SchemaError("field", "x is not a field")
    assert (refusal.rule, refusal.detail) == refusal.args == ("field", "x is not a field")
