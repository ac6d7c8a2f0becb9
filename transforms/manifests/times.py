"""Times in a row: numbers, "00:01:02.5", "1.5 s", what Parquet and pandas make of them; in seconds."""

from __future__ import annotations

import math
import re
from datetime import date, time, timedelta
from decimal import Decimal

from transforms.manifests.row import UNITS

# Seconds since 1970, and all that is no place in a recording.
MAX_SECONDS = 1e9
_CLOCK = re.compile(r"(?:(\d+) days? )?(?:(\d+):)?(\d{1,2}):(\d{2}(?:[.,]\d*)?)")
_WITH_UNIT = re.compile(r"([\d.]+(?:e[+-]?\d+)?)\s*([a-z]+)")
# "0,5", as half of Europe writes it. "1,500" may be a thousand and a half of anything, so it is no time.
_DECIMAL_COMMA = re.compile(r"0,\d+|\d+,(?!\d{3}$)\d+")
_ISO = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")
_DATE = re.compile(r"\d{4}[-/]\d{2}[-/]\d{2}.*|\d{1,2}[./]\d{1,2}[./]\d{4}.*")


def seconds(value: object, per_second: int = 1) -> float | None:
    """A time in seconds.

    Args:
      value: of a row's field; a number or a text.
      per_second: what a bare number counts: 1 for seconds, 1,000 for milliseconds.

    Returns:
      None for nothing: null, an empty cell, NaN.

    Raises:
      ValueError: no time from 0 on.
    """
    if value is None or value == "" or (isinstance(value, (float, Decimal)) and math.isnan(value)):
        return None
    found = _seconds(value, per_second)
    if not 0 <= found < MAX_SECONDS:
        raise ValueError("out of range")
    return found


def _seconds(value: object, per_second: int) -> float:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, time):
        return value.hour * 3600 + value.minute * 60 + value.second + value.microsecond / 1e6
    if isinstance(value, str):
        return _parsed(value.strip(), per_second)
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        return _scaled(float(value), per_second)
    raise ValueError("no time")


def _scaled(number: float, per_second: int) -> float:
    return number if per_second == 1 else number / per_second


def _parsed(text: str, per_second: int) -> float:
    if clock := _CLOCK.fullmatch(text):
        days, hours, minutes, rest = clock.groups()
        whole = int(days or 0) * 86_400 + int(hours or 0) * 3_600 + int(minutes) * 60
        return round(whole + float(rest.replace(",", ".")), 9)
    if (iso := _ISO.fullmatch(text)) and any(iso.groups()):
        days, hours, minutes, rest = iso.groups()
        return int(days or 0) * 86_400 + int(hours or 0) * 3_600 + int(minutes or 0) * 60 + float(rest or 0)
    if (worded := _WITH_UNIT.fullmatch(text.lower())) and worded[2] in UNITS:
        return _scaled(float(worded[1]), UNITS[worded[2]])
    if "_" in text:  # which Python would pass over
        raise ValueError("no time")
    if _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    return _scaled(float(text), per_second)


def is_date(value: object) -> bool:
    """Whether a field is a point of time in the world, such as when a call began: none in a recording."""
    if isinstance(value, date):  # datetime is one too
        return True
    if isinstance(value, str):
        return bool(_DATE.fullmatch(value.strip()))
    return isinstance(value, (int, float)) and value >= MAX_SECONDS
