"""The flags that several commands share, and the request that is made from flags."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import TYPE_CHECKING, TypeVar

from transforms.errors import UsageError
from tuning import providers
from tuning.providers import PROVIDERS
from tuning.requests import DEFAULT_EPOCHS

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

R = TypeVar("R", bound="DataclassInstance")


def make(request: type[R], args: argparse.Namespace, **others: object) -> R:
    """The request whose fields are flags of the same names.

    Args:
      request: the class of the request, a dataclass.
      args: the parsed flags, with a value for each field that is not in `others`.
      others: values of the fields that do not come from a single flag.

    Raises:
      UsageError: a field breaks a rule.
    """
    names = (field.name for field in fields(request) if field.name not in others)
    return request(**{name: getattr(args, name) for name in names}, **others)


def names_of(add_flags: Callable[[argparse.ArgumentParser], None]) -> list[str]:
    """The flags that a command adds, from which misspelt flags are corrected."""
    parser = argparse.ArgumentParser(add_help=False)
    add_flags(parser)
    return list(parser._option_string_actions)


def add_dataset(parser: argparse.ArgumentParser) -> None:
    """Adds the dataset folder, and the flag for who pays."""
    parser.add_argument("dataset", metavar="OUT", help="dataset folder of cliptune prepare, local or gs://")
    add_billing(parser)


def add_billing(parser: argparse._ActionsContainer) -> None:
    """Adds the flag for the project that pays for requests to buckets."""
    parser.add_argument(
        "--billing_project", default="", metavar="P", help="project that pays for requests to requester-pays buckets"
    )


def add_provider(parser: argparse._ActionsContainer) -> None:
    """Adds the flag for the tuning service."""
    known = ", ".join(f"{name} ({provider.summary})" for name, provider in PROVIDERS.items())
    parser.add_argument(
        "--provider", default=providers.DEFAULT, metavar="NAME", help=f"tuning service: {known} (default: %(default)s)"
    )


def add_price(group: argparse._ArgumentGroup) -> None:
    """Adds the flags for the model, its epochs and its price."""
    known = ", ".join(name for provider in PROVIDERS.values() for name in provider.models)
    default = " or ".join(provider.default_model for provider in PROVIDERS.values())
    group.add_argument("--base_model", default="", metavar="NAME", help=f"default: {default}; known: {known}")
    group.add_argument(
        "--epochs",
        type=whole_number,
        default=DEFAULT_EPOCHS,
        metavar="N",
        help="passes over the training split, 100 at most, always sent: the service may choose dozens "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--price_per_million",
        type=number,
        metavar="USD",
        help="price of a million training tokens of --base_model, from your contract",
    )
    group.add_argument("--prices", metavar="FILE", help='JSON of such prices: {"gemini-3.5-flash": 4.5}')


def add_run(group: argparse.ArgumentParser | argparse._ArgumentGroup, default: str) -> None:
    """Adds the flag that names a tuning run of the dataset."""
    group.add_argument(
        "--run", metavar="NAME", help=f"run of the dataset, as cliptune jobs OUT lists them (default: {default})"
    )


def add_predictions(parser: argparse.ArgumentParser, what: str) -> None:
    """Adds the flag that names files of answers."""
    parser.add_argument("--predictions", action="append", default=[], metavar="NAME=FILE", help=what)


def pairs_of(texts: Iterable[str], flag: str = "predictions", form: str = "NAME=FILE") -> tuple[tuple[str, str], ...]:
    """The names and files of `--predictions`, or what another flag pairs.

    Raises:
      UsageError: one is no pair.
    """
    return tuple(_pair(text, flag, form) for text in texts)


def _pair(text: str, flag: str, form: str) -> tuple[str, str]:
    name, equals, other = text.partition("=")
    if not (equals and name and other):
        raise UsageError(f"{flag} must be {form}, got {text!r}", flag)
    return name, other


def add_waiting(group: argparse._ArgumentGroup) -> None:
    """Adds the flags for following a job to its end."""
    group.add_argument(
        "--timeout", type=number, metavar="SECONDS", help="stop waiting then; the job goes on (default: never)"
    )
    group.add_argument(
        "--default_checkpoint",
        metavar="ID",
        help="once tuned, make this checkpoint the one that answers (default: last)",
    )


def add_place(group: argparse._ArgumentGroup) -> None:
    """Adds the flags for project and location."""
    default = " or ".join(provider.default_location for provider in PROVIDERS.values())
    group.add_argument("--project", metavar="P", help="Google Cloud project that pays")
    group.add_argument("--location", metavar="L", help=f"where to tune (default: {default})")


def add_service(group: argparse._ArgumentGroup) -> None:
    """Adds the flags that choose the provider's service, another server or an emulator."""
    where = group.add_mutually_exclusive_group()
    where.add_argument("--emulator", action="store_true", help="use a local emulator of the service: it trains nothing")
    where.add_argument("--api_endpoint", metavar="URL", help="use another server, with throw-away credentials")
    add_provider(group)


def whole_number(text: str) -> int:
    """Parses an int. argparse names this function in its message."""
    return int(text)


def number(text: str) -> float:
    """Parses a float. argparse names this function in its message."""
    return float(text)


whole_number.__name__ = "whole number"
