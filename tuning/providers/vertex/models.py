"""The base models that can be tuned, as data.

`SOURCES` names the source of every field of `BaseModel`, and the day of the newest copy that says so.
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
_THINKING = Source("documented", f"{DOCS}/thinking")
_PRICES = Source("transcribed", "Google's pricing page, as others have copied it")
_FACTOR = Source("documented", f"{DOCS}/models/gemini-reinforcement-tuning; two older pages say: the same price")
_BASE = Source("reported", "users' requests in five tuning regions, all answered with 404")
_LIFECYCLE = Source("reported", "Google's e-mail to its customers, as users quote it")
SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        "name": _TUNING,
        "adapter_sizes": _TUNING,
        "locations": _TUNING,
        "serving_locations": _TUNING,
        "base_locations": _BASE,
        "price_per_million": _PRICES,
        "tuned_prices": _PRICES,
        "tuned_factor": _FACTOR,
        "thinking": _THINKING,
        "cmek": _TUNING,
        "retired_for_new": _LIFECYCLE,
        "shut_down": _LIFECYCLE,
        "remark": Source("reported", "users' posts, and two pages of the documentation that contradict each other"),
    }
)

_ALL_SIZES = (1, 2, 4, 8, 16)
_SHOWN_CHARS = 100
_TWO_REGIONS = ("us-central1", "europe-west4")
# Each covers the regions whose name begins with what stands beside it.
MULTI_REGIONS: Mapping[str, str] = MappingProxyType({"us": "us-", "eu": "europe-"})
_US_EU = tuple(MULTI_REGIONS)
_ANYWHERE = ("global", *_US_EU)
_RETIRED = date(2026, 10, 20)
_LEVEL: Mapping[str, str | int] = {"thinking_level": "MINIMAL"}
_BUDGET: Mapping[str, str | int] = {"thinking_budget": 0}
_LEAST_BUDGET: Mapping[str, str | int] = {"thinking_budget": 128}  # the Pro model always thinks
_HANGS = (
    "it is closed to projects that are new or were inactive, and users saw its jobs stay in RUNNING for 2 to 22 hours"
)
_DOUBT = "it is not certain that it can be tuned: one page of the documentation says no, a newer one lists it"


def _third(  # Gemini 3: tuned in two regions, answers in multi-regions, its tuned models cost half as much again
    name: str, price: float | None, tuned_prices: tuple[float, float] | None
) -> BaseModel:
    return BaseModel(name, _ALL_SIZES, _TWO_REGIONS, _US_EU, _ANYWHERE, price, tuned_prices, 1.5, _LEVEL, cmek=False)


def _second(  # Gemini 2.5: all of it in the region where it is tuned
    name: str, sizes: tuple[int, ...], price: float, thinking: Mapping[str, str | int], shut_down: date
) -> BaseModel:
    return BaseModel(name, sizes, (), (), (), price, None, 1.0, thinking, None, _RETIRED, shut_down, remark=_HANGS)


MODELS: Mapping[str, BaseModel] = MappingProxyType(
    {
        model.name: model
        for model in (
            _third("gemini-3.5-flash", 10.0, (2.25, 13.50)),
            _third("gemini-3.1-flash-lite", 3.0, (0.375, 2.25)),
            BaseModel("gemini-3.5-flash-lite", None, None, None, _ANYWHERE, None, None, 1.5, _LEVEL, remark=_DOUBT),
            _second("gemini-2.5-flash", _ALL_SIZES, 5.0, _BUDGET, date(2027, 3, 31)),
            _second("gemini-2.5-flash-lite", _ALL_SIZES, 1.5, _BUDGET, date(2027, 1, 28)),
            _second("gemini-2.5-pro", (1, 2, 4, 8), 25.0, _LEAST_BUDGET, date(2027, 3, 31)),
        )
    }
)
DEFAULT_MODEL = "gemini-3.1-flash-lite"
# Those that every project can tune, as long as nothing else is announced. A suggestion is one of them.
OPEN = tuple(model.name for model in MODELS.values() if not (model.retired_for_new or model.shut_down))
# What older models became, by a word of their names: the small ones and all others.
_SUCCESSORS = (("lite", DEFAULT_MODEL), ("gemini", "gemini-3.5-flash"))
_PUBLISHED = re.compile(r"((projects/[^/]+/locations/[^/]+/)?publishers/google/)?models/|google/|vertex_ai/")
_TYPO_CUTOFF = 0.85


def find(name: str) -> BaseModel:
    """The model of this name, which may be spelt as a resource: publishers/google/models/….

    Raises:
      UserError: no model of this name is known; the message names one that every project can tune.
    """
    plain = _plain(name)
    if plain in MODELS:
        return MODELS[plain]
    suggested = _suggestion(plain.partition("@")[0])
    hint = f"did you mean {suggested}?" if suggested else f"known: {', '.join(OPEN)}"
    raise UserError(f"base_model {name[:_SHOWN_CHARS]!r} is not known to support tuning on audio; {hint}")


def _plain(name: str) -> str:
    """A base model's name alone, without what other places write around it."""
    text = name.strip()
    published = _PUBLISHED.match(text)
    return (text[published.end() :] if published else text).lower()


def _suggestion(name: str) -> str:
    """The open model that is meant: of the same version where there is one, else what the model became; "" for none."""
    version = _version(name)
    same = [model for model in OPEN if version and _version(model) == version]
    close = difflib.get_close_matches(name, same, n=1) or difflib.get_close_matches(name, OPEN, 1, _TYPO_CUTOFF)
    of_family = [successor for word, successor in _SUCCESSORS if word in name]
    if same and close:
        return close[0]
    return (of_family or close or [""])[0]


def _version(name: str) -> str:
    found = re.search(r"\d+(\.\d+)?", name)
    return found.group() if found else ""


def check_location(location: str) -> str:
    """Returns the location if it has the form of one.

    A location becomes part of the host name to which credentials are sent.

    Raises:
      UserError: it does not have the form of a location.
    """
    if not re.fullmatch(r"[a-z]+(-[a-z]+)*[0-9]*", location):
        raise UserError(f"location must be the name of a region such as us-central1, got {location!r}")
    return location


def base_location(model: BaseModel, location: str) -> str:
    """Where a base model can be asked that is tuned in `location`: there, or as near as it answers."""
    if not model.base_locations or location in model.base_locations:
        return location
    return next(place for place in (_multi_region(location), *model.base_locations) if place in model.base_locations)


def lands_in(location: str) -> tuple[str, ...]:
    """The locations of what was tuned in `location`. Of Gemini 3, two sources contradict each other: both are here."""
    around = _multi_region(location)
    return (location, around) if around else (location,)


def _multi_region(location: str) -> str | None:
    return next((name for name, start in MULTI_REGIONS.items() if location.startswith(start)), None)


def location_of(name: str) -> tuple[str, str]:
    """Project and location of a resource name.

    Raises:
      UserError: `name` is not a resource name.
    """
    found = re.match(r"projects/([^/]+)/locations/([^/]+)/", name)
    if not found:
        raise UserError(f"{name!r} must be projects/…/locations/…/endpoints/…")
    return found.group(1), check_location(found.group(2))


def location_of_endpoint(name: str) -> tuple[str, str]:
    """Project and location of an endpoint, the one kind of resource that can be asked.

    Raises:
      UserError: `name` is something else; the message says what, and what to give instead.
    """
    if re.fullmatch(r"projects/[^/]+/locations/[^/]+/endpoints/[^/@:\s]+", name):
        return location_of(name)
    shown = repr(name[:_SHOWN_CHARS])
    for pattern, what in _NOT_ENDPOINTS:
        if re.fullmatch(pattern, _resource(name)):
            raise UserError(f"{shown} is {what}")
    raise UserError(f"{shown} must be {_ENDPOINT}, or base; without --model, the dataset's own tuned model is asked")


def _resource(name: str) -> str:
    """The name without the address of a service around it."""
    return re.sub(r"^(https?:)?//[^/]*/(v1\w*/)?", "", name.strip()).rstrip("/")


_ENDPOINT = "projects/…/locations/…/endpoints/…"
_ITS = f"{_ENDPOINT}, as cliptune jobs lists it; without --model, the dataset's own tuned model is asked"
# The names of resources that are given where an endpoint is needed.
_NOT_ENDPOINTS = (
    (r"(.*/)?(publishers/.*|models/[a-z].*|gemini.*)", "a base model; --model base asks the one that was tuned"),
    (r"(.*/)?models/.+", f"a model; ask its endpoint, {_ITS}"),
    (r"(.*/)?tuningJobs/.+", f"a tuning job; ask the endpoint of its model, {_ITS}"),
    (r"(.*/)?checkpoints/.+|\d{1,6}", "a checkpoint; give it by --checkpoint, without --model"),
    (r"(.*/)?endpoints/.+|\d+", f"not the whole name of an endpoint, {_ENDPOINT}, without version or address"),
)


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
    if adapter_size is not None and model.adapter_sizes is not None and adapter_size not in model.adapter_sizes:
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
    if model.cmek is False or model.adapter_sizes is None:  # of the latter, nothing is known for certain
        raise UserError(f"{model.name} takes no kms_key, got {kms_key[:_SHOWN_CHARS]!r}; leave it out")
    found = re.fullmatch(r"projects/[^/]+/locations/([^/]+)/keyRings/[^/]+/cryptoKeys/[^/]+", kms_key)
    if not found:
        raise UserError(f"kms_key must be projects/…/locations/…/keyRings/…/cryptoKeys/…, got {kms_key!r}")
    if found.group(1) != location:
        raise UserError(f"kms_key must be in the job's location {location!r}, got {found.group(1)!r}; use a key there")
