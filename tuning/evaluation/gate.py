"""`--fail_if`: conditions on an evaluation, for those who let a machine decide.

condition  = operand compare operand
operand    = METRIC "(" SYSTEM ")" | NUMBER
compare    = "<" | "<=" | ">" | ">="
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from transforms.errors import UsageError

FIELD = "fail_if"
_NUMBER = r"\d+(?:\.\d+)?"
_CONDITION = re.compile(
    rf"\s*(?P<left>[\w]+\([^()]+\)|{_NUMBER})\s*(?P<compare><=|>=|<|>)\s*(?P<right>[\w]+\([^()]+\)|{_NUMBER})\s*"
)
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison of two numbers.

    Attributes:
      text: as the user wrote it.
      left: "METRIC(SYSTEM)", or a number.
      compare: key of `_COMPARE`.
      right: likewise.
    """

    text: str
    left: str
    compare: str
    right: str

    def holds(self, values: Mapping[tuple[str, str], float | None]) -> bool:
        """Whether it holds.

        Args:
          values: by (metric, system); None where there is no value, which no condition fulfils.

        Raises:
          UsageError: it names a metric or a system that there is not.
        """
        left, right = self._number(self.left, values), self._number(self.right, values)
        return left is not None and right is not None and _COMPARE[self.compare](left, right)

    def _number(self, operand: str, values: Mapping[tuple[str, str], float | None]) -> float | None:
        if re.fullmatch(_NUMBER, operand):
            return float(operand)
        metric, _, system = operand.removesuffix(")").partition("(")
        if (metric, system.strip()) not in values:
            known = ", ".join(f"{one}({other})" for one, other in values)
            raise UsageError(f"{FIELD}: {operand!r} is none of {known}", FIELD)
        return values[metric, system.strip()]


def parse(text: str) -> Condition:
    """A condition as the user writes it, such as "wer(tuned) > wer(base)".

    Raises:
      UsageError: it is none.
    """
    match = _CONDITION.fullmatch(text)
    if match is None:
        rule = 'METRIC(SYSTEM) or a number, one of < <= > >=, and another, as "wer(tuned) > wer(base)"'
        raise UsageError(f"{FIELD} must be {rule}, got {text!r}", FIELD)
    return Condition(text, match["left"], match["compare"], match["right"])
