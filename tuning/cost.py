"""What tuning will cost: tokens × epochs × price, told as a range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from transforms import limits
from transforms.errors import UserError
from tuning.providers.base import BaseModel, Facts, Provider

TABLE_EPOCHS = (1, 2, 3, 4, 5)


@dataclass(slots=True)
class Tokens:
    """Tokens of some examples.

    Attributes:
      expected: audio at Google's documented rate, text at four characters a token.
      upper: audio at the highest rate seen, text at a token a byte.
      unknown_audio: examples whose audio is elsewhere (a gs:// URI) and therefore not counted.
      lower: audio under the lowest rate seen, text at ten characters a token.
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
        """The same, where the audio that was unknown lasts so many seconds on average."""
        seconds = self.unknown_audio * mean_seconds
        return Tokens(
            self.expected + round(seconds * limits.TOKENS_PER_SECOND),
            self.upper + round(seconds * limits.MAX_TOKENS_PER_SECOND),
            0,
            self.lower + int(seconds * limits.MIN_TOKENS_PER_SECOND),
        )


@dataclass(frozen=True, slots=True)
class Price:
    """What a million training tokens cost.

    Attributes:
      per_million: US dollars; None if not known.
      note: who says so.
    """

    per_million: float | None
    note: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """The cost of one tuning job.

    Attributes:
      base_model: its name.
      epochs: passes over the training examples.
      lower_tokens: a bound from below, all epochs.
      tokens: expected training tokens, all epochs.
      upper_tokens: a bound from above.
      price_per_million: US dollars; None if not known.
      lower_cost: a bound from below, in US dollars; None where the price is not known.
      cost: expected.
      upper_cost: a bound from above.
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
        """The cost in short."""
        if self.lower_cost is None or self.upper_cost is None:
            return "price not known"
        return f"${self.lower_cost:,.2f}–${self.upper_cost:,.2f}"

    def line(self) -> str:
        """One line for people."""
        tokens = f"{self.lower_tokens:,}–{self.upper_tokens:,} tokens in {self.epochs} epochs"
        if self.cost is None:
            return f"{self.base_model}: {tokens}; its price is not known (--price_per_million or --prices tells it)"
        return f"{self.base_model}: {tokens}, {self.range} ({self.note})"

    def refuse_over(self, max_cost: float) -> None:
        """Holds the upper bound against what the user would pay.

        Raises:
          UserError: it is over `max_cost`, or nobody knows.
        """
        if self.upper_cost is None:
            raise UserError(
                f"max_cost {max_cost:g} cannot be held: the price of {self.base_model} is not known; "
                f"give it by --price_per_million, or leave --max_cost out"
            )
        if self.upper_cost > max_cost:
            raise UserError(
                f"max_cost must be at least the upper bound, ${self.upper_cost:,.2f}, got {max_cost:g}; "
                f"raise it, or tune in fewer --epochs or with a cheaper --base_model"
            )


def estimate(train: Tokens, provider: Provider, model: BaseModel, epochs: int, price: Price | None = None) -> Estimate:
    """Prices a tuning job.

    Args:
      train: of the training split.
      provider: whose model it is.
      model: its own price is used where `price` is None.
      epochs: passes over the split.
      price: from the user.
    """
    told = price or own_price(provider, model)
    each = told.per_million
    return Estimate(
        base_model=model.name,
        epochs=epochs,
        lower_tokens=train.lower * epochs,
        tokens=train.expected * epochs,
        upper_tokens=train.upper * epochs,
        price_per_million=each,
        lower_cost=None if each is None else train.lower * epochs * each / 1e6,
        cost=None if each is None else train.expected * epochs * each / 1e6,
        upper_cost=None if each is None else train.upper * epochs * each / 1e6,
        note=told.note,
    )


def table(train: Tokens, provider: Provider, prices: Mapping[str, Price]) -> list[Estimate]:
    """Every model of a provider in one to five epochs."""
    return [
        estimate(train, provider, model, epochs, prices.get(model.name))
        for model in provider.models.values()
        for epochs in TABLE_EPOCHS
    ]


def own_price(provider: Provider, model: BaseModel) -> Price:
    """What the table of models says; never a guess."""
    if model.price_per_million is None:
        return Price(None, "not known")
    source = provider.sources["price_per_million"]
    told = f"${model.price_per_million:g} a million tokens, {source.mark} by users, {source.read:%Y-%m}"
    return Price(model.price_per_million, f"{told}; not Google's word")


def given_prices(provider: Provider, file: str | None, base_model: str, per_million: float | None) -> dict[str, Price]:
    """Prices from the user, by model: those of a file, and that of a flag, which wins.

    Args:
      provider: whose models they are.
      file: JSON, {"gemini-3.5-flash": 4.5, …}, US dollars for a million training tokens; None without one.
      base_model: the model that `per_million` is of.
      per_million: US dollars; None without the flag.

    Raises:
      UserError: the file is none, or not of this form.
    """
    prices = (
        {name: Price(each, f"price given by {file}") for name, each in _read_prices(provider, file).items()}
        if file
        else {}
    )
    if per_million is not None:
        prices[base_model] = Price(per_million, "price given by --price_per_million")
    return prices


def _read_prices(provider: Provider, file: str) -> dict[str, float]:
    try:
        tree = orjson.loads(Path(file).read_bytes())
    except OSError as fault:
        raise UserError(f"prices {file}: {fault.strerror}") from None
    except orjson.JSONDecodeError as fault:
        raise UserError(f"prices {file}: not JSON ({fault})") from None
    if not isinstance(tree, dict):
        raise UserError(f'prices {file}: must be an object such as {{"{provider.default_model}": 3.0}}')
    for name, each in tree.items():
        provider.find(name)
        if isinstance(each, bool) or not isinstance(each, int | float) or not 0 < each < 1e6:
            raise UserError(f"prices {file}: {name} must be US dollars for a million tokens, got {each!r}")
    return tree
