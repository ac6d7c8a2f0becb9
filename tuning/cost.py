"""Estimates what tuning will cost: tokens × epochs × price, as a range."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from transforms import limits
from transforms.errors import UserError
from transforms.storage import Storage, uris
from tuning.providers.base import BaseModel, Facts, Provider

TABLE_EPOCHS = (1, 2, 3, 4, 5)
TABLE_EXAMPLES = (1_000, 10_000)


@dataclass(slots=True)
class Tokens:
    """The tokens of some examples.

    Attributes:
      expected: audio at Google's documented rate, text at four characters a token.
      upper: audio above the highest reported rate, text at one token a byte.
      unknown_audio: number of examples whose audio is not counted, because it is behind a gs:// URI.
      lower: audio below the lowest reported rate, text at ten characters a token.
    """

    expected: int = 0
    upper: int = 0
    unknown_audio: int = 0
    lower: int = 0

    def add(self, facts: Facts) -> None:
        """Counts one example."""
        self.expected += facts.tokens
        self.upper += facts.max_tokens
        self.lower += facts.min_tokens
        self.unknown_audio += facts.seconds is None and facts.audio is not None

    def with_audio(self, mean_seconds: float) -> Tokens:
        """The tokens with the unknown audio counted at a mean duration."""
        seconds = self.unknown_audio * mean_seconds
        return Tokens(
            self.expected + round(seconds * limits.TOKENS_PER_SECOND),
            self.upper + round(seconds * limits.MAX_TOKENS_PER_SECOND),
            0,
            self.lower + int(seconds * limits.MIN_TOKENS_PER_SECOND),
        )

    def scaled(self, factor: float) -> Tokens:
        """The tokens of so many times as many examples of the same kind. Bounds are rounded outwards."""
        lower, upper = math.floor(self.lower * factor), math.ceil(self.upper * factor)
        return Tokens(round(self.expected * factor), upper, round(self.unknown_audio * factor), lower)


@dataclass(frozen=True, slots=True)
class Price:
    """The price of a million training tokens.

    Attributes:
      per_million: US dollars; None if not known.
      note: where the price is from.
    """

    per_million: float | None
    note: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """The estimated cost of one tuning job.

    Attributes:
      base_model: name of the model.
      epochs: passes over the training examples.
      lower_tokens: lower bound of the training tokens of all epochs.
      tokens: expected training tokens of all epochs.
      upper_tokens: upper bound of the training tokens of all epochs.
      price_per_million: US dollars for a million tokens; None if not known.
      lower_cost: lower bound in US dollars; None if the price is not known.
      cost: expected cost in US dollars; None if the price is not known.
      upper_cost: upper bound in US dollars; None if the price is not known.
      note: where the price is from.
    """

    base_model: str
    epochs: int
    lower_tokens: int
    tokens: int
    upper_tokens: int
    price_per_million: float | None
    lower_cost: float | None
    cost: float | None
    upper_cost: float | None
    note: str

    @property
    def range(self) -> str:
        """The range of the cost, such as "$1.00–$2.00"."""
        if self.lower_cost is None or self.upper_cost is None:
            return "price not known"
        return f"${self.lower_cost:,.2f}–${self.upper_cost:,.2f}"

    def line(self) -> str:
        """The estimate as one line for people."""
        tokens = f"{self.lower_tokens:,}–{self.upper_tokens:,} tokens in {self.epochs} epochs"
        if self.cost is None:
            return f"{self.base_model}: {tokens}; its price is not known (--price_per_million or --prices tells it)"
        return f"{self.base_model}: {tokens}, {self.range} ({self.note})"

    def beside(self, billable: int) -> str:
        """The estimate beside what the service counted, as one line for people.

        Args:
          billable: tokens of the training data, which are documented as those of one epoch. A count that fits only
            all epochs together is taken for one of all.
        """
        lower, upper = self.lower_tokens // self.epochs, -(-self.upper_tokens // self.epochs)
        parts = self.epochs
        if not lower <= billable <= upper and self.lower_tokens <= billable <= self.upper_tokens:
            lower, upper, parts = self.lower_tokens, self.upper_tokens, 1
        price = self.price_per_million
        cost = "" if price is None else f", in {self.epochs} epochs ${billable * parts * price / 1e6:,.2f}"
        source = "" if price is None else f"; {self.note}"
        counted = f"the service counted {billable:,} billable tokens{cost}"
        told = f"{counted}; estimated were {lower:,}–{upper:,}, {self.range}"
        if lower <= billable <= upper:
            return told + source
        expected = self.tokens / parts
        times = f", {billable / expected:.3g} times what was expected" if expected else ""
        return f"{told}: outside of the estimate{times}{source}"

    def refuse_over(self, max_cost: float) -> None:
        """Refuses a job that may cost more than the user allows.

        Raises:
          UserError: the upper bound is over `max_cost`, or the price is not known.
        """
        if self.upper_cost is None:
            raise UserError(
                f"max_cost {max_cost:g} cannot be held: the price of {self.base_model} is not known; "
                f"give it by --price_per_million, or leave --max_cost out"
            )
        if self.upper_cost > max_cost:
            raise UserError(
                f"max_cost must be at least the upper bound, ${self.upper_cost:,.2f}, got {max_cost:g}; "
                f"raise it, or tune in fewer --epochs or with a cheaper --base_model ({self.note})"
            )


@dataclass(frozen=True, slots=True)
class Scale:
    """What tuning on another number of examples of the same kind would cost.

    Attributes:
      examples: their number.
      estimates: the cost of every model in one to five epochs.
    """

    examples: int
    estimates: tuple[Estimate, ...]


def estimate(train: Tokens, provider: Provider, model: BaseModel, epochs: int, price: Price | None = None) -> Estimate:
    """Estimates the cost of a tuning job.

    Args:
      train: the tokens of the training split.
      provider: the model's provider.
      model: the model to tune.
      epochs: passes over the split.
      price: the user's price; None for the known price of the model.
    """
    price = price or own_price(provider, model)
    per_million = price.per_million
    return Estimate(
        base_model=model.name,
        epochs=epochs,
        lower_tokens=train.lower * epochs,
        tokens=train.expected * epochs,
        upper_tokens=train.upper * epochs,
        price_per_million=per_million,
        lower_cost=None if per_million is None else train.lower * epochs * per_million / 1e6,
        cost=None if per_million is None else train.expected * epochs * per_million / 1e6,
        upper_cost=None if per_million is None else train.upper * epochs * per_million / 1e6,
        note=price.note,
    )


def table(train: Tokens, provider: Provider, prices: Mapping[str, Price]) -> list[Estimate]:
    """The estimates of every model of a provider in one to five epochs."""
    return [
        estimate(train, provider, model, epochs, prices.get(model.name))
        for model in provider.models.values()
        for epochs in TABLE_EPOCHS
    ]


def scales(train: Tokens, examples: int, provider: Provider, prices: Mapping[str, Price]) -> tuple[Scale, ...]:
    """The same table for a thousand and ten thousand examples like these; () if there are none to go by."""
    if not examples:
        return ()
    return tuple(
        Scale(count, tuple(table(train.scaled(count / examples), provider, prices))) for count in TABLE_EXAMPLES
    )


def own_price(provider: Provider, model: BaseModel) -> Price:
    """The price in the provider's table of models. An unknown price is never guessed."""
    if model.price_per_million is None:
        return Price(None, "not known")
    source = provider.sources["price_per_million"]
    return Price(model.price_per_million, f"${model.price_per_million:g} a million tokens, {source}")


def given_prices(provider: Provider, file: str | None, base_model: str, per_million: float | None) -> dict[str, Price]:
    """The user's prices, by model. The price of the flag wins over that of the file.

    Args:
      provider: the provider of the models.
      file: JSON such as {"gemini-3.5-flash": 4.5}, in US dollars for a million training tokens; None without one.
      base_model: the model of `per_million`.
      per_million: US dollars; None without the flag.

    Raises:
      UserError: the file cannot be read or has another form, or a model is not known.
    """
    read = _read_prices(provider, file) if file else {}
    prices = {name: Price(dollars, f"price given by {file}") for name, dollars in read.items()}
    if per_million is not None:
        prices[provider.find(base_model).name] = Price(per_million, "price given by --price_per_million")
    return prices


def _read_prices(provider: Provider, file: str) -> dict[str, float]:
    try:
        tree = orjson.loads(Storage().read_settings(uris.absolute(file, str(Path.cwd())), f"prices {file}"))
    except orjson.JSONDecodeError as fault:
        raise UserError(f"prices {file}: not JSON ({fault})") from None
    if not isinstance(tree, dict):
        raise UserError(f'prices {file}: must be an object such as {{"{provider.default_model}": 3.0}}')
    prices = {}
    for name, dollars in tree.items():
        prices[provider.find(name).name] = dollars
        if isinstance(dollars, bool) or not isinstance(dollars, int | float) or not 0 < dollars < 1e6:
            raise UserError(f"prices {file}: {name} must be US dollars for a million tokens, got {dollars!r}")
    return prices
