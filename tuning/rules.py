"""Rules of single fields that requests share: each refuses a value by the field's name, the rule and the value."""

from __future__ import annotations

import math
import operator
import re
from fractions import Fraction
from urllib.parse import urlsplit

from transforms.errors import UsageError, require

# US dollars for a million tokens: the dearest known is 25.
MAX_PRICE = 1e6
_SYSTEM = re.compile(r"[\w.@-]{1,128}")
# Google Cloud's rules for labels (documented).
LABEL_RULE = "KEY=VALUE of lower-case letters, digits, - and _, 63 at most each, the key begins with a letter"


def require_systems(pairs: tuple[tuple[str, str], ...], field: str = "predictions", what: str = "FILE") -> None:
    """Each name of a system, and its file or run; raises UsageError for a name that is none, or is given twice."""
    names = [name for name, _ in pairs]
    for name in names:
        require(bool(_SYSTEM.fullmatch(name)), field, f"NAME={what}, NAME of letters, digits, . _ @ and -", name)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{field}: {twice!r} names two systems", field)


def require_positive(name: str, value: float | None) -> None:
    """A number above 0, or None; raises UsageError for others."""
    require(value is None or (is_number(value) and 0 < value < math.inf), name, "above 0", value)


def require_price(name: str, value: float | None) -> None:
    """US dollars for a million tokens, or None; raises UsageError for others."""
    require_positive(name, value)
    rule = f"US dollars for a million tokens, below {MAX_PRICE:,.0f}"
    require(value is None or value < MAX_PRICE, name, rule, value)


def is_number(value: object) -> bool:
    """Whether a value is a number, which True is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def whole(name: str, value: object) -> int:
    """The value as an int. A notebook may give one of numpy's, or no whole number at all.

    Raises:
      UsageError: it is none.
    """
    try:
        require(not isinstance(value, bool), name, "a whole number", value)
        return operator.index(value)  # type: ignore[arg-type]  # whoever calls from Python may pass anything
    except TypeError:
        raise UsageError(f"{name} must be a whole number, got {value!r}", name) from None


def is_url(text: str) -> bool:
    """Whether a text is the address of a server."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and " " not in text
    except ValueError:
        return False


def is_label(key: str, value: str) -> bool:
    """Whether a job may bear a label."""
    fits = re.fullmatch(r"[^\W\d_][\w-]{0,62}", key) and re.fullmatch(r"[\w-]{0,63}", value)
    return bool(fits) and (key + value) == (key + value).lower()


def is_fraction(text: str) -> bool:
    """Whether `fraction` takes a text."""
    try:
        return bool(fraction("predictions", text))
    except UsageError:
        return False


def fraction(name: str, value: object) -> Fraction:
    """A fraction, which may be given as text: 1/8 or 0.125.

    Raises:
      UsageError: it is none, or not above 0 and at most 1.
    """
    text = str(value)
    found = Fraction(text) if re.fullmatch(r"\d{1,9}(\.\d{1,9}|/0*[1-9]\d{0,8})?|\.\d{1,9}", text, re.ASCII) else None
    if found is None or not 0 < found <= 1:
        raise UsageError(f"{name} must be above 0 and at most 1, such as 1/8 or 0.125, got {text!r:.60}", name)
    return found
