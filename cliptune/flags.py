"""Flags that several commands share, and how a request is made of them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import fields
from typing import TypeVar

from tuning import providers
from tuning.providers import PROVIDERS
from tuning.requests import DEFAULT_EPOCHS

R = TypeVar("R")


def make(request: type[R], args: argparse.Namespace, **others: object) -> R:
    """The request whose fields are flags of the same names.

    Args:
      request: a dataclass.
      args: has a value for each of its fields, but those in `others`.
      others: values of fields that are no single flag.

    Raises:
      UsageError: a field breaks a rule.
    """
    names = (field.name for field in fields(request) if field.name not in others)  # type: ignore[arg-type]
    return request(**{name: getattr(args, name) for name in names}, **others)


def names_of(add_flags: Callable[[argparse.ArgumentParser], None]) -> list[str]:
    """All flags that a command adds, for suggestions."""
    parser = argparse.ArgumentParser(add_help=False)
    add_flags(parser)
    return list(parser._option_string_actions)


def add_dataset(parser: argparse.ArgumentParser) -> None:
    """The dataset that a command is about."""
    parser.add_argument("dataset", metavar="OUT", help="dataset folder of cliptune prepare, local or gs://")
    add_billing(parser)


def add_billing(parser: argparse._ActionsContainer) -> None:
    """Who pays for requests to buckets."""
    parser.add_argument(
        "--billing_project", default="", metavar="P", help="project that pays for requests to requester-pays buckets"
    )


def add_provider(parser: argparse._ActionsContainer) -> None:
    """Whose service, models and rules."""
    known = ", ".join(f"{name} ({provider.summary})" for name, provider in PROVIDERS.items())
    parser.add_argument(
        "--provider", default=providers.DEFAULT, metavar="NAME", help=f"tuning service: {known} (default: %(default)s)"
    )


def add_price(group: argparse._ArgumentGroup) -> None:
    """The model, its epochs and its price."""
    known = ", ".join(name for provider in PROVIDERS.values() for name in provider.models)
    default = " or ".join(provider.default_model for provider in PROVIDERS.values())
    group.add_argument("--base_model", default="", metavar="NAME", help=f"default: {default}; known: {known}")
    group.add_argument(
        "--epochs",
        type=whole_number,
        default=DEFAULT_EPOCHS,
        metavar="N",
        help="passes over the training split, always sent: the service may choose dozens (default: %(default)s)",
    )
    group.add_argument(
        "--price_per_million",
        type=number,
        metavar="USD",
        help="price of a million training tokens of --base_model, from your contract",
    )
    group.add_argument("--prices", metavar="FILE", help='JSON of such prices: {"gemini-3.5-flash": 4.5}')


def add_waiting(group: argparse._ArgumentGroup) -> None:
    """How long a job is waited for."""
    group.add_argument(
        "--timeout", type=number, metavar="SECONDS", help="stop waiting then; the job goes on (default: never)"
    )
    group.add_argument(
        "--default_checkpoint",
        metavar="ID",
        help="once tuned, make this checkpoint the one that answers (default: last)",
    )


def add_place(group: argparse._ArgumentGroup) -> None:
    """Where jobs are."""
    default = " or ".join(provider.default_location for provider in PROVIDERS.values())
    group.add_argument("--project", metavar="P", help="Google Cloud project that pays")
    group.add_argument("--location", metavar="L", help=f"where to tune (default: {default})")


def add_service(group: argparse._ArgumentGroup) -> None:
    """Which service is asked."""
    where = group.add_mutually_exclusive_group()
    where.add_argument("--emulator", action="store_true", help="use a local emulator of the service: it trains nothing")
    where.add_argument("--api_endpoint", metavar="URL", help="use another server, with throw-away credentials")
    add_provider(group)


def whole_number(text: str) -> int:
    """An int; argparse names this function in its message."""
    return int(text)


def number(text: str) -> float:
    """A float; argparse names this function in its message."""
    return float(text)


whole_number.__name__ = "whole number"
