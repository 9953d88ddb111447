"""The grammar below a tag: attribute lists, integers, durations, byte ranges, resolutions (RFC 8216 §4.2).

Each reader returns a value or raises PlaylistError; which failures may be tolerated is for its caller to say.
`index` is always the 0-based line, and errors show it as 1-based.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

from hlsdl.errors import PlaylistError
from hlsdl.playlist.lines import BLANKS, PlaylistLimits, items_in, over_limit
from hlsdl.playlist.notes import Notes, shown

LONGEST_NUMBER = 64
"""Characters; a longer one is no number that anything meant."""

UNKNOWN_DURATION = -1
"""What M3U files from before HLS write for a duration they do not know."""

_PLAIN_ATTRIBUTE = re.compile(r"""([A-Z0-9-]+)=(?:"([^"]*)"|([^"',\s]+))(?:,|$)""")
_INTEGER = re.compile(r"[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_DURATION = re.compile(_NUMBER.pattern + r"(?=[,; \t]|$)")
_RESOLUTION = re.compile(r"([0-9]{1,9})[xX×]([0-9]{1,9})")
_BYTE_RANGE = re.compile(r"([0-9]+)(?:@([0-9]+))?")
_HEXADECIMAL = re.compile(r"0[xX][0-9a-fA-F]+")
_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9](?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:?[0-9]{2})"
)


def read_attributes(line: str, index: int, notes: Notes) -> dict[str, str]:
    """The attribute list of a tag we know, NAME -> value without quotes (RFC 8216 §4.2).

    An unclosed or stray quote, and a name that occurs twice with different values, are a PlaylistError: either
    could hide which URI or key is meant.
    """
    values = _plain_list(line)
    if values is not None:
        return values
    values = {}
    for item in items_in(line):
        raw, rest = line[item.value_start : item.value_end], line[item.value_end : item.end].strip()
        what = f"attribute `{shown(item.name)}`" if item.name else "an item without a name"
        if '"' in rest or raw.count('"') % 2:
            raise PlaylistError(f"{what} has an unclosed quote", line=index + 1)
        if not item.name:
            if raw or rest:
                notes.add("text that is no attribute is ignored", index)
            continue
        value = _unquoted(raw, item.name, index, notes)
        if values.setdefault(item.name, value) != value:
            raise PlaylistError(f"{what} is given twice", line=index + 1)
        if rest:
            notes.add(f"text after the closing quote of `{shown(item.name)}` is ignored", index)
    return values


def _plain_list(line: str) -> dict[str, str] | None:
    """The attributes of a list that follows the grammar to the letter, as nearly all do; else None.

    A playlist may hold 100,000 different keys, and this takes a third of the time.
    """
    position, last = line.find(":") + 1, len(line.rstrip(BLANKS))
    values: dict[str, str] = {}
    while position < last:
        match = _PLAIN_ATTRIBUTE.match(line, position, last)
        if match is None:
            return None
        name, quoted, bare = match.groups()
        if name in values:
            return None
        values[name] = bare if quoted is None else quoted
        position = match.end()
    return values


def _unquoted(raw: str, name: str, index: int, notes: Notes) -> str:
    if len(raw) >= 2 and raw[0] == raw[-1] == '"':
        return raw[1:-1]
    if '"' in raw:
        raise PlaylistError(f"attribute `{shown(name)}` has an unclosed quote", line=index + 1)
    if len(raw) >= 2 and raw[0] == raw[-1] == "'":
        notes.add(f"attribute `{shown(name)}` is in single quotes, read as double ones", index)
        return raw[1:-1]
    return raw


def read_integer(text: str, what: str, index: int, limits: PlaylistLimits) -> int:
    """A decimal integer (RFC 8216 §4.2); LimitError past `max_integer`."""
    if not _INTEGER.fullmatch(text):
        raise PlaylistError(f"{what} `{shown(text)}` is not a decimal integer", line=index + 1)
    # Python refuses to convert thousands of digits, and far fewer are already over the limit.
    if len(text) > LONGEST_NUMBER or (number := int(text)) > limits.max_integer:
        over_limit("max_integer", limits.max_integer, index)
    return number


def read_number(text: str, what: str, index: int) -> Decimal:
    """A decimal number, with sign and a small exponent tolerated; never NaN nor infinite."""
    if len(text) > LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        raise PlaylistError(f"{what} `{shown(text)}` is not a decimal number", line=index + 1)
    return Decimal(text)


def read_float(text: str, what: str, index: int) -> float:
    """A decimal number as a finite float, for values that are only compared (FRAME-RATE, SCORE)."""
    number = float(read_number(text, what, index))
    if not math.isfinite(number):
        raise PlaylistError(f"{what} `{shown(text)}` is out of range", line=index + 1)
    return number


def read_duration(value: str, index: int, limits: PlaylistLimits, notes: Notes) -> Decimal:
    """The duration of an EXTINF value `<duration>,[<title>]` in seconds (RFC 8216 §4.3.2.1).

    `-1` (unknown, as old M3U files write it) is read as 0, and text between number and comma is ignored,
    each with a note; everything else that is no number from 0 is a PlaylistError.
    """
    match = _DURATION.match(value)
    if match is None or match.end() > LONGEST_NUMBER:
        raise PlaylistError(
            f"`EXTINF` duration `{shown(value.partition(',')[0])}` is not a decimal number", line=index + 1
        )
    seconds = Decimal(match[0])
    if seconds < UNKNOWN_DURATION:
        raise PlaylistError(f"`EXTINF` duration `{shown(match[0])}` is negative", line=index + 1)
    if seconds > limits.max_duration:
        over_limit("max_duration", limits.max_duration, index)
    if value[match.end() :].partition(",")[0].strip():
        notes.add("`EXTINF` has text between duration and comma, which is ignored", index)
    if seconds.is_signed() and seconds:
        notes.add("`EXTINF` has a negative duration, read as 0", index)
        return Decimal(0)
    return abs(seconds)


def read_byte_range(text: str, what: str, index: int, limits: PlaylistLimits) -> tuple[int, int | None]:
    """`<n>[@<o>]` as (length, offset or None) (RFC 8216 §4.3.2.2); a length of 0 is a PlaylistError."""
    match = _BYTE_RANGE.fullmatch(text)
    if match is None:
        raise PlaylistError(f"{what} `{shown(text)}` is not `length@offset`", line=index + 1)
    length = read_integer(match[1], what, index, limits)
    offset = read_integer(match[2], what, index, limits) if match[2] is not None else None
    if length == 0:
        raise PlaylistError(f"{what} has the length 0", line=index + 1)
    if length + (offset or 0) > limits.max_integer:
        over_limit("max_integer", limits.max_integer, index)
    return length, offset


def read_resolution(text: str, index: int) -> tuple[int, int]:
    """`<width>x<height>` in pixels (RFC 8216 §4.2); `X` and `×` are tolerated."""
    match = _RESOLUTION.fullmatch(text)
    if match is None:
        raise PlaylistError(f"`RESOLUTION` `{shown(text)}` is not `width x height`", line=index + 1)
    return int(match[1]), int(match[2])


def read_hexadecimal(text: str, what: str, index: int, *, digits: int) -> str:
    """A hexadecimal sequence with its `0x`, as written (RFC 8216 §4.2), of at most `digits` digits."""
    if not _HEXADECIMAL.fullmatch(text) or len(text[2:].lstrip("0")) > digits:
        raise PlaylistError(f"{what} is not `0x` and up to {digits} hexadecimal digits", line=index + 1)
    return text


def is_date_time(text: str) -> bool:
    """Whether this is a full ISO 8601 date and time with a zone, as RFC 8216 §4.3.2.6 wants it."""
    return bool(_DATE_TIME.fullmatch(text))


def read_list(text: str) -> tuple[str, ...]:
    """A comma-separated list inside a quoted string (CODECS, CHARACTERISTICS), blanks dropped."""
    return tuple(part for item in text.split(",") if (part := item.strip()))
