"""What asking a model will cost, and what it did cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from transforms import limits
from transforms.errors import UserError
from tuning.predictions import Prediction
from tuning.providers.base import Answer, Provider
from tuning.requests import ROOM_TOKENS

_MILLION = 1_000_000


def output_limit(longest_target_chars: int) -> int:
    """The most tokens of one answer. A looping answer would otherwise run to the model's own maximum."""
    return 2 * longest_target_chars + ROOM_TOKENS


@dataclass(frozen=True, slots=True)
class AskingPrice:
    """The prices of a model's tokens, in US dollars a million.

    Attributes:
      read: of a question; None if not known.
      written: of an answer; None if not known.
      note: where they are from.
    """

    read: float | None
    written: float | None
    note: str

    def of(self, read: float, written: float) -> float | None:
        """US dollars for so many tokens; None if a price is not known."""
        if self.read is None or self.written is None:
            return None
        return (read * self.read + written * self.written) / _MILLION


def price_of(
    provider: Provider, base_model: str, tuned: bool, read: float | None = None, written: float | None = None
) -> AskingPrice:
    """The price of asking a model.

    Args:
      provider: the model's provider.
      base_model: the model, or the one that it was tuned from; "" if not known.
      tuned: whether the tuned model is asked. Its tokens may cost more.
      read: the user's own price of a question's tokens; None for the known one.
      written: likewise, of an answer's.
    """
    known = provider.models.get(base_model)
    prices: tuple[float | None, float | None] = (None, None)
    note = "not known"
    if known is not None and known.tuned_prices is not None:
        factor = 1.0 if tuned else known.tuned_factor
        own = [price / factor for price in known.tuned_prices]
        prices = own[0], own[1]
        kind = f"tuned, {known.tuned_factor:g} × the base model" if tuned else "the base model"
        told = " / ".join(f"${price:g}" for price in own)
        note = f"{told} a million tokens read / written ({kind}), {provider.sources['tuned_prices']}"
    if read is not None or written is not None:
        note = f"--input_price and --output_price before: {note}"
    return AskingPrice(prices[0] if read is None else read, prices[1] if written is None else written, note)


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a question, and of the answer that is hoped for.

    Attributes:
      seconds: of its audio.
      text_bytes: of its prompt, at most.
      target_chars: of the answer.
    """

    seconds: float
    text_bytes: int
    target_chars: int


@dataclass(frozen=True, slots=True)
class AskingEstimate:
    """The cost of questions that have not been asked yet.

    Attributes:
      questions: their number.
      cost: expected US dollars; None if the price is not known.
      upper_cost: upper bound, if every answer is as long as it may be; None if the price is not known.
      price: of the model.
    """

    questions: int
    cost: float | None
    upper_cost: float | None
    price: AskingPrice

    @staticmethod
    def of(sizes: Iterable[Size], max_output_tokens: int, price: AskingPrice) -> AskingEstimate:
        """Adds up the questions that will be asked."""
        questions, read, upper_read, written = 0, 0, 0.0, 0
        for size in sizes:
            questions += 1
            read += limits.expected_tokens(size.seconds, size.text_bytes)
            upper_read += size.seconds * limits.MAX_TOKENS_PER_SECOND + size.text_bytes
            written += -(-size.target_chars // limits.CHARS_PER_TOKEN)
        upper = price.of(upper_read, questions * max_output_tokens)
        return AskingEstimate(questions, price.of(read, written), upper, price)

    def line(self) -> str:
        """The estimate as one line for people."""
        what = f"asking {self.questions:,} question{'s' * (self.questions != 1)}"
        if self.cost is None or self.upper_cost is None:
            return f"{what}: the price of this model is not known (--input_price and --output_price tell it)"
        return f"{what}: about {dollars(self.cost)}, at most {dollars(self.upper_cost)} ({self.price.note})"

    def refuse_over(self, max_cost: float) -> None:
        """Refuses questions that may cost more than the user allows.

        Raises:
          UserError: the upper bound is over `max_cost`, or the price is not known.
        """
        if self.upper_cost is None:
            raise UserError(
                f"max_cost {max_cost:g} cannot be held: the price of asking this model is not known; "
                f"give it by --input_price and --output_price, or leave --max_cost out"
            )
        if self.upper_cost > max_cost:
            raise UserError(
                f"max_cost must be at least the upper bound, {dollars(self.upper_cost)}, got {max_cost:g}; "
                f"raise it, or ask with a smaller --limit or --max_output_tokens ({self.price.note})"
            )


@dataclass(slots=True)
class Spent:
    """The tokens that the service has counted.

    Attributes:
      read: of questions.
      written: of answers, thoughts included.
      uncounted: answers of which it has said nothing.
    """

    read: int = 0
    written: int = 0
    uncounted: int = 0

    def add(self, answer: Answer | Prediction) -> None:
        """Counts one answer."""
        if answer.input_tokens is None or answer.output_tokens is None:
            self.uncounted += 1
            return
        self.read += answer.input_tokens
        self.written += answer.output_tokens

    def line(self, price: AskingPrice) -> str:
        """What was spent, as one line for people."""
        cost = price.of(self.read, self.written)
        told = "its price is not known" if cost is None else f"{dollars(cost)} ({price.note})"
        rest = f"; of {self.uncounted:,} answers it has not said them" if self.uncounted else ""
        return f"the service counted {self.read:,} tokens read and {self.written:,} written: {told}{rest}"


def dollars(amount: float) -> str:
    """An amount of money: to the cent, and to a hundredth of it below a dollar."""
    return f"${amount:,.2f}" if amount >= 1 else f"${amount:.4f}"
