"""`--fail_if`: conditions on an evaluation, for those who let a machine decide.

condition = sum compare sum
compare   = "<" | "<=" | ">" | ">="
sum       = ["-"] term { ("+" | "-") term }
term      = NUMBER ["%"] | METRIC [".low" | ".high"] "(" SYSTEM ["," TASK] ")"
TASK      = its name, in quotation marks (") if it has spaces, commas, brackets, < or >
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from transforms.errors import UsageError

FIELD = "fail_if"
MAX_CHARS = 1_000
# A rate is rarely over this: who writes a greater number may have meant per cent.
MOST_RATE = 1.0
_DIGITS = 12  # 0.3 less 0.1 is 0.2
_NUMBER = r"(?P<number>\d+(?:\.\d*)?|\.\d+)\s*(?P<percent>%)?"
_TASK = r'(?P<task>[^\s()<>",]+)|"(?P<quoted>[^"]+)"'
_VALUE = (
    r"(?P<metric>\w+(?:\.(?:low|high))?)\s*"
    rf"\(\s*(?P<system>[^(),]+?)\s*(?:,\s*(?:{_TASK})\s*)?\)"
)
_TERM = re.compile(rf"\s*(?:{_VALUE}|{_NUMBER})\s*")
_QUOTED = re.compile(r"[\s()<>,]")
_MINUS = re.compile(r"\s*-")
_SIGN = re.compile(r"[+-]")
_COMPARED = re.compile(r'"[^"]*"|(?P<compare><=|>=|<|>)')  # none within the quotes of a name
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip

# What an evaluation tells, by metric, system and task; "" for the task where no other has the metric. None where there
# is no value.
Values = Mapping[tuple[str, str, str], float | None]


@dataclass(frozen=True, slots=True)
class Term:
    """A number, or the value of a metric.

    Attributes:
      sign: 1 or -1.
      number: of a number; 0 for a metric.
      metric: its name, with ".low" or ".high" behind it for an end of its interval; "" for a number.
      system: name of the system.
      task: name of the task; "" for the only one that has the metric.
    """

    sign: int
    number: float = 0.0
    metric: str = ""
    system: str = ""
    task: str = ""

    @property
    def shown(self) -> str:
        """As the user writes it."""
        return f"{self.metric}({self.system}{f', {_quoted(self.task)}' if self.task else ''})"


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison of two sums.

    Attributes:
      text: as the user wrote it.
      left: terms.
      compare: key of `_COMPARE`.
      right: terms.
    """

    text: str
    left: tuple[Term, ...]
    compare: str
    right: tuple[Term, ...]

    def check(self, metrics: Mapping[str, Iterable[str]], systems: Iterable[str]) -> None:
        """Refuses names that there are not.

        Args:
          metrics: names of the metrics of each task; under "" those that need no task beside them.
          systems: names of the systems.

        Raises:
          UsageError: which one, and what is alike.
        """
        of_task = {task: [*names] for task, names in metrics.items()}
        every = [*dict.fromkeys(name for names in of_task.values() for name in names)]
        for term in (term for term in (*self.left, *self.right) if term.metric):
            name = term.metric.partition(".")[0]
            _require(term.system, [*systems], "system", term)
            _require(name, every, "metric", term)
            if term.task:
                _require(term.task, [task for task in of_task if task], "task", term)
                _require(name, of_task[term.task], f"metric of {term.task}", term)
            elif name not in of_task[""]:
                task = next(task for task, names in of_task.items() if name in names)
                hint = f"several tasks have {name}; say which one: {term.metric}({term.system}, {_quoted(task)})"
                raise UsageError(f"{FIELD}: {term.shown}: {hint}", FIELD)

    def holds(self, values: Values) -> bool | None:
        """Whether it holds; None if a metric has no value.

        Args:
          values: of all metrics that it names.
        """
        left, right = _sum(self.left, values), _sum(self.right, values)
        return None if left is None or right is None else _COMPARE[self.compare](left, right)

    def absent(self, values: Values) -> list[str]:
        """The metrics without a value, as the user writes them."""
        terms = (term for term in (*self.left, *self.right) if term.metric)
        return [term.shown for term in terms if values.get((term.metric, term.system, term.task)) is None]

    def great(self, rates: Collection[str]) -> float | None:
        """A number that is no likely rate, beside nothing but rates; None if there is none.

        Args:
          rates: names of the metrics that are rates.
        """
        terms = (*self.left, *self.right)
        if not all(term.metric.partition(".")[0] in rates for term in terms if term.metric):
            return None
        return next((term.number for term in terms if not term.metric and term.number > MOST_RATE), None)


def _quoted(task: str) -> str:
    return f'"{task}"' if _QUOTED.search(task) else task


def _require(name: str, known: list[str], what: str, term: Term) -> None:
    if name in known:
        return
    alike = difflib.get_close_matches(name[:100], known, n=1)
    hint = f"did you mean {alike[0]!r}?" if alike else f"there are {', '.join(known[:20])}"
    raise UsageError(f"{FIELD}: {term.shown}: {name!r} is no {what}; {hint}", FIELD)


def _sum(terms: Iterable[Term], values: Values) -> float | None:
    total = 0.0
    for term in terms:
        number = values.get((term.metric, term.system, term.task)) if term.metric else term.number
        if number is None:
            return None
        total += term.sign * number
    return round(total, _DIGITS)


def parse(text: str) -> Condition:
    """A condition as the user writes it, such as "wer(tuned) > wer(base) + 1%".

    Raises:
      UsageError: it is none.
    """
    found = [match for match in _COMPARED.finditer(text) if match["compare"]] if len(text) <= MAX_CHARS else []
    if len(found) != 1:
        _refuse(text)
    (compared,) = found
    left, right = (tuple(_terms(side, text)) for side in (text[: compared.start()], text[compared.end() :]))
    if not any(term.metric for term in (*left, *right)):
        _refuse(text)
    return Condition(text, left, compared["compare"], right)


def _terms(side: str, text: str) -> Iterable[Term]:
    first = _MINUS.match(side)
    place, sign = (first.end(), -1) if first else (0, 1)
    while True:
        match = _TERM.match(side, place)
        if match is None:
            _refuse(text)
        yield _term(match, sign)
        if match.end() == len(side):
            return
        operation = _SIGN.match(side, match.end())
        if operation is None:
            _refuse(text)
        place, sign = operation.end(), -1 if operation[0] == "-" else 1


def _term(match: re.Match[str], sign: int) -> Term:
    if match["metric"]:
        return Term(sign, 0.0, match["metric"], match["system"], match["task"] or match["quoted"] or "")
    return Term(sign, float(match["number"]) / (100 if match["percent"] else 1))


def _refuse(text: str) -> NoReturn:
    sums = "METRIC(SYSTEM), METRIC(SYSTEM, TASK) and numbers, or sums of them"
    rule = f'{sums}, on both sides of < <= > or >=, as "wer(tuned) > wer(base)"'
    raise UsageError(f"{FIELD} must be {rule}, got {text[:MAX_CHARS]!r}", FIELD)
