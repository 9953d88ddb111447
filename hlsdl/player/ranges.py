"""Byte ranges of a GET (RFC 9110 §14), as a pure decision.

One range is honoured. Several at once are not: a server may ignore a Range header (§14.2), and answering
ten thousand overlapping ranges is a known way to make one work for nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_RANGE = re.compile(r"bytes=[ \t]*(\d*)-(\d*)[ \t]*", re.ASCII | re.IGNORECASE)
_MORE_THAN_ANY_FILE = 2**63


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The bytes to send."""

    start: int
    length: int


def choose_range(values: list[str], size: int) -> Slice | Literal["whole", "unsatisfiable"]:
    """Decide what a GET with these Range header values gets from a file of `size` bytes.

    Returns a `Slice` (206), `"unsatisfiable"` (416), or `"whole"` (200) when there is no Range header, it is
    malformed, or it asks for several ranges.
    """
    match = _RANGE.fullmatch(values[0]) if len(values) == 1 else None
    if match is None:
        return "whole"
    first, last = match.groups()
    if not first:
        return _suffix(last, size)
    start = _bounded(first)
    end = _bounded(last) if last else _MORE_THAN_ANY_FILE
    if end < start:
        return "whole"
    if start >= size:
        return "unsatisfiable"
    return Slice(start=start, length=min(end + 1, size) - start)


def _suffix(last: str, size: int) -> Slice | Literal["whole", "unsatisfiable"]:
    if not last:
        return "whole"
    length = min(_bounded(last), size)
    return Slice(start=size - length, length=length) if length else "unsatisfiable"


def _bounded(digits: str) -> int:
    """Return the number, without the cost of reading a number that is longer than any file."""
    significant = digits.lstrip("0")
    return int(significant or "0") if len(significant) < 19 else _MORE_THAN_ANY_FILE
