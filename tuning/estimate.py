"""What tuning will cost: tokens × epochs × price, told as a range."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tuning.models import FACTS_DATE, BaseModel
from tuning.rows import Facts


@dataclass(slots=True)
class Tokens:
    """Tokens of some examples.

    Attributes:
      expected: audio at Google's documented rate, text at four characters a token.
      upper: audio at the highest rate seen, text at a token a byte.
      unknown_audio: examples whose audio is elsewhere (a gs:// URI) and therefore not counted.
    """

    expected: int = 0
    upper: int = 0
    unknown_audio: int = 0

    def add(self, facts: Facts) -> None:
        """Counts one example."""
        self.expected += facts.tokens
        self.upper += facts.max_tokens
        self.unknown_audio += facts.seconds is None and facts.audio is not None


@dataclass(frozen=True, slots=True)
class Estimate:
    """The cost of one tuning job.

    Attributes:
      base_model: its name.
      epochs: passes over the training examples.
      tokens: expected training tokens, all epochs.
      upper_tokens: a bound from above.
      price_per_million: US dollars; None if not known.
      cost: expected US dollars; None where the price is not known.
      upper_cost: a bound from above.
      note: where the price is from.
    """

    base_model: str
    epochs: int
    tokens: int
    upper_tokens: int
    price_per_million: float | None
    cost: float | None
    upper_cost: float | None
    note: str

    def as_dict(self) -> dict[str, Any]:
        """For the line of JSON on stdout."""
        return asdict(self)

    def line(self) -> str:
        """One line for people."""
        tokens = f"{self.tokens:,}–{self.upper_tokens:,} tokens in {self.epochs} epochs"
        if self.cost is None or self.upper_cost is None:
            return f"{self.base_model}: {tokens}; its price is not known (--price_per_million tells it)"
        return f"{self.base_model}: {tokens}, ${self.cost:,.2f}–${self.upper_cost:,.2f} ({self.note})"


def estimate(train: Tokens, model: BaseModel, epochs: int, price_per_million: float | None = None) -> Estimate:
    """Prices a tuning job.

    Args:
      train: of the training split.
      model: its own price is used where `price_per_million` is None.
      epochs: passes over the split.
      price_per_million: US dollars for a million tokens, from the user.
    """
    price = model.price_per_million if price_per_million is None else price_per_million
    told = "price given by --price_per_million"
    known = f"${price or 0:g} a million tokens, reported by users, {FACTS_DATE:%Y-%m}; not Google's word"
    tokens, upper = train.expected * epochs, train.upper * epochs
    return Estimate(
        base_model=model.name,
        epochs=epochs,
        tokens=tokens,
        upper_tokens=upper,
        price_per_million=price,
        cost=None if price is None else tokens * price / 1e6,
        upper_cost=None if price is None else upper * price / 1e6,
        note=told if price_per_million is not None else known,
    )
