"""The base models that can be tuned, as data.

`SOURCES` names the source of every field of `BaseModel`, and the day on which it was read.
Nothing here was tried against the live service.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from datetime import date
from types import MappingProxyType

from transforms.errors import UserError
from transforms.limits import DOCS, TUNING_DOCS, Source
from tuning.providers.base import BaseModel

_TUNING = Source("documented", TUNING_DOCS)
_LIFECYCLE = Source("documented", f"{DOCS}/learn/model-versions")
_USERS = Source("reported", "users' bills and forum posts")
SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        "name": _TUNING,
        "adapter_sizes": _TUNING,
        "locations": _TUNING,
        "serving_locations": _TUNING,
        "price_per_million": _USERS,
        "thinking": Source("documented", f"{DOCS}/thinking"),
        "cmek": _TUNING,
        "retired_for_new": _LIFECYCLE,
        "shut_down": _LIFECYCLE,
    }
)

_ALL_SIZES = (1, 2, 4, 8, 16)
_TWO_REGIONS = ("us-central1", "europe-west4")
_US_EU = ("us", "eu")
_RETIRED = date(2026, 10, 20)
_LEVEL: Mapping[str, str | int] = {"thinking_level": "MINIMAL"}
_BUDGET: Mapping[str, str | int] = {"thinking_budget": 0}
_LEAST_BUDGET: Mapping[str, str | int] = {"thinking_budget": 128}  # the Pro model always thinks

MODELS: Mapping[str, BaseModel] = MappingProxyType(
    {
        model.name: model
        for model in (
            BaseModel("gemini-3.5-flash", _ALL_SIZES, _TWO_REGIONS, _US_EU, None, _LEVEL),
            BaseModel("gemini-3.1-flash-lite", _ALL_SIZES, _TWO_REGIONS, _US_EU, 3.0, _LEVEL, cmek=False),
            BaseModel("gemini-3.5-flash-lite", _ALL_SIZES, _TWO_REGIONS, _US_EU, None, _LEVEL),
            BaseModel("gemini-2.5-flash", _ALL_SIZES, (), (), 5.0, _BUDGET, True, _RETIRED, date(2027, 3, 31)),
            BaseModel("gemini-2.5-flash-lite", _ALL_SIZES, (), (), 1.5, _BUDGET, True, _RETIRED, date(2027, 1, 28)),
            BaseModel("gemini-2.5-pro", (1, 2, 4, 8), (), (), 25.0, _LEAST_BUDGET, True, _RETIRED, date(2027, 3, 31)),
        )
    }
)
DEFAULT_MODEL = "gemini-3.1-flash-lite"


def find(name: str) -> BaseModel:
    """The model of this name.

    Raises:
      UserError: no model of this name is known; the message names the known models.
    """
    if name in MODELS:
        return MODELS[name]
    close = difflib.get_close_matches(name, MODELS, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(MODELS)}"
    raise UserError(f"base_model {name!r} is not known to support tuning on audio; {hint}")


def check_location(location: str) -> str:
    """Returns the location if it has the form of one.

    A location becomes part of the host name to which credentials are sent.

    Raises:
      UserError: it does not have the form of a location.
    """
    if not re.fullmatch(r"[a-z]+(-[a-z]+)*[0-9]*", location):
        raise UserError(f"location must be the name of a region such as us-central1, got {location!r}")
    return location


def location_of(name: str) -> tuple[str, str]:
    """Project and location of a resource name.

    Raises:
      UserError: `name` is not a resource name.
    """
    found = re.match(r"projects/([^/]+)/locations/([^/]+)/", name)
    if not found:
        raise UserError(f"{name!r} must be projects/…/locations/…/endpoints/…")
    return found.group(1), check_location(found.group(2))


def refuse_wrong(
    model: BaseModel,
    location: str,
    adapter_size: int | None,
    today: date,
    kms_key: str | None = None,
    allow_retired: bool = False,
) -> None:
    """Refuses what the service would refuse, before money is spent.

    Args:
      model: the model to tune.
      location: where to tune it.
      adapter_size: rank of the adapter; None for the service's default.
      today: the day, which decides whether the model is retired.
      kms_key: a customer-managed key; None without one.
      allow_retired: whether the project has tuned the retired model before, as the user says.

    Raises:
      UserError: the location, adapter size or key is wrong, or the model is retired; the message says what to do.
    """
    check_location(location)
    _refuse_location(model, location)
    if adapter_size is not None and adapter_size not in model.adapter_sizes:
        sizes = ", ".join(map(str, model.adapter_sizes))
        raise UserError(f"adapter_size of {model.name} must be one of {sizes}, got {adapter_size}")
    if model.shut_down and today >= model.shut_down:
        raise UserError(f"{model.name} was shut down on {model.shut_down}; use --base_model {DEFAULT_MODEL}")
    if model.retired_for_new and today >= model.retired_for_new and not allow_retired:
        raise UserError(
            f"{model.name} is retired since {model.retired_for_new} for projects that never tuned it; use "
            f"--base_model {DEFAULT_MODEL}, or --allow_retired if this project has"
        )
    if kms_key is not None:
        _refuse_key(model, location, kms_key)


def _refuse_location(model: BaseModel, location: str) -> None:
    places = " or ".join(model.locations or _TWO_REGIONS)
    if location == "global" or (location in _US_EU):
        raise UserError(f"location {location!r} cannot tune, only a region can; use --location {places}")
    if model.locations and location not in model.locations:
        raise UserError(f"{model.name} cannot be tuned in location {location!r}; use --location {places}")


def _refuse_key(model: BaseModel, location: str, kms_key: str) -> None:
    if not model.cmek:
        names = ", ".join(other.name for other in MODELS.values() if other.cmek and not other.retired_for_new)
        raise UserError(f"{model.name} takes no kms_key; leave it out, or use another --base_model: {names}")
    found = re.fullmatch(r"projects/[^/]+/locations/([^/]+)/keyRings/[^/]+/cryptoKeys/[^/]+", kms_key)
    if not found:
        raise UserError(f"kms_key must be projects/…/locations/…/keyRings/…/cryptoKeys/…, got {kms_key!r}")
    if found.group(1) != location:
        raise UserError(f"kms_key must be in the job's location {location!r}, got {found.group(1)!r}; use a key there")
