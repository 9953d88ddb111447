"""How settings are written: texts and numbers of flags, variables and the file made into values.

Every value goes through the same reader wherever it was written. A ValueError says what is wrong, without repeating
what may be secret; whose value it is, and by which name, is known to `config`.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path

from hlsdl.access.cookies import GIVEN_AS_TEXT, HOW_TO_GIVE, are_cookies
from hlsdl.errors import UsageError
from hlsdl.planning.preferences import ALL, DEFAULT, NONE
from hlsdl.transfer.cookie_file import MOST_COOKIE_BYTES
from hlsdl.transfer.options import LONGEST_TIME

DECIMAL_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3}
BINARY_UNITS = {"ki": 1024, "mi": 1024**2, "gi": 1024**3}
LARGE_UNITS = {"t": 1000**4, "ti": 1024**4}
SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}
TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
FALSE = frozenset({"false", "f", "no", "n", "off", "0"})
LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
MOST_BYTES = 1024 * 1024
"""Of a file of headers or settings."""


def parse_bitrate(value: object) -> int:
    """Read `500k`, `2M` or a plain number as bits per second."""
    return _quantity(value, DECIMAL_UNITS, "a bitrate such as `500k` or `2M` (bits per second)")


def parse_rate(value: object) -> int:
    """Read `500k`, `5M` or `5Mi` (units of 1024) as bytes per second."""
    return _quantity(value, DECIMAL_UNITS | BINARY_UNITS, "a rate such as `500k` or `5M` (bytes per second)")


def parse_size(value: object) -> int:
    """Read `5G`, `500Mi` (units of 1024) or a plain number as bytes."""
    return _quantity(value, DECIMAL_UNITS | BINARY_UNITS | LARGE_UNITS, "a size such as `5G` or `500Mi` (bytes)")


def parse_time(value: object) -> float:
    """Read `90`, `90s`, `5m` or `1h` as seconds, greater than 0."""
    seconds = float(_amount(value, SECONDS, "a time such as `90`, `90s`, `5m` or `1h`"))
    if seconds > LONGEST_TIME:
        raise ValueError(f"`{value}` is more than {LONGEST_TIME:.0f} seconds")
    return seconds


def parse_count(value: object) -> int:
    """Read a whole number."""
    if isinstance(value, bool) or re.fullmatch(r"[0-9]{1,9}", str(value).strip()) is None:
        raise ValueError(f"`{value}` is not a whole number")
    return int(str(value))


def count_in(least: int, most: int) -> Callable[[object], int]:
    """Return what reads a whole number between two others."""

    def read(value: object) -> int:
        number = parse_count(value)
        if not least <= number <= most:
            raise ValueError(f"`{number}` is not between {least} and {most}")
        return number

    return read


def parse_switch(value: object) -> bool:
    """Read true or false, `1` or `0`, `yes` or `no`, `on` or `off`."""
    for meaning, words in ((True, TRUE), (False, FALSE)):
        if str(value).strip().lower() in words:
            return meaning
    raise ValueError("it is neither `true` nor `false`")


def parse_text(value: object) -> str:
    """Read a text, which may be a secret."""
    if not isinstance(value, str):
        raise ValueError("it must be a text")
    return value


def one_of(*words: str) -> Callable[[object], str]:
    """Return what reads one of these words."""

    def read(value: object) -> str:
        if value not in words:
            raise ValueError(f"it is none of {', '.join(f'`{word}`' for word in words)}")
        return str(value)

    return read


def parse_frame_size(value: object) -> tuple[int, int]:
    """Read `1280x720` as (width, height) in pixels."""
    match = re.fullmatch(r"([0-9]{1,5})\s*[xX×]\s*([0-9]{1,5})", str(value).strip())
    if match is None or "0" in {match[1].lstrip("0") or "0", match[2].lstrip("0") or "0"}:
        raise ValueError(f"`{value}` is not a size such as `1280x720`")
    return int(match[1]), int(match[2])


def parse_languages(value: object) -> tuple[str, ...]:
    """Read `default`, `all`, `none` or language tags (`en,pt-BR`) as the tuple that `Preferences` wants."""
    names = split_list(value)
    words = [name.lower() for name in names if name.lower() in {DEFAULT, ALL, NONE}]
    if words and len(names) > 1:
        raise ValueError(f"`{words[0]}` stands alone, without other languages")
    if not names:
        raise ValueError("it names no language; write `none` for none")
    wrong = [name for name in names if not words and LANGUAGE.fullmatch(name) is None]
    if wrong:
        raise ValueError(f"`{wrong[0]}` is not a language tag such as `en` or `pt-BR`")
    return tuple(words) or names


def parse_headers(value: object) -> tuple[tuple[str, str], ...]:
    """Read `Name: value` lines, or `@file` with one per line (blank lines and lines that begin with `#` are left out).

    Messages never repeat a header's value: it is likely to be a secret.
    """
    lines = value.splitlines() if isinstance(value, str) else _texts(value)
    headers: list[tuple[str, str]] = []
    for line in lines:
        if line.startswith("@"):
            headers.extend(parse_headers(_header_file(home_expanded(line[1:]))))
        elif line.strip():
            headers.append(_header(line))
    return tuple(headers)


def split_list(value: object) -> tuple[str, ...]:
    """Read `a,b` or a list of such texts as one tuple, without blanks and repetitions."""
    texts = [value] if isinstance(value, str) else _texts(value)
    return tuple(dict.fromkeys(part.strip() for text in texts for part in text.split(",") if part.strip()))


def parse_conditions(value: object) -> tuple[str, ...]:
    """Read one expression on each line, or a list of them, as the qualifiers that `Preferences` wants."""
    from hlsdl.planning.qualifiers import where_texts  # what reads expressions is loaded when there is one

    texts = [line for line in value.splitlines() if line.strip()] if isinstance(value, str) else _texts(value)
    try:
        return where_texts(texts)
    except UsageError as error:
        raise ValueError(error.message) from error


def home_expanded(text: str) -> Path:
    """Read a path, in which `~` and `~user` stand for their folders."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError(f"`{text}` begins in the folder of somebody who has none here") from None


def existing_file(value: object) -> Path:
    """Read a path whose file must be there and readable: a regular one, since it is opened more than once."""
    path = home_expanded(str(value))
    if not path.exists():
        raise ValueError(f"there is no file `{path}`")
    if not path.is_file():
        raise ValueError(f"`{path}` is no regular file")
    if not os.access(path, os.R_OK):
        raise ValueError(f"`{path}` is not readable")
    return path


def read_given(path: Path, *, limit: int = MOST_BYTES) -> bytes:
    """Read a file of at most `limit` bytes once: a regular one, a device such as `/dev/null`, or a pipe, which is how a
    shell's `<(…)` gives what no file shall hold."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError:
        raise ValueError(f"there is no file `{path}`") from None
    except OSError as error:
        raise ValueError(f"`{path}` is not readable: {error.strerror}") from error
    if len(data) > limit:
        raise ValueError(f"`{path}` has more than {limit} bytes")
    return data


def cookie_file(value: object) -> Path | str:
    """Read the path of a cookie file, or the text of one that can be read only once, such as a pipe.

    What looks like cookies themselves is not repeated.
    """
    path = home_expanded(str(value))
    try:
        if path.is_fifo() or path.is_char_device():
            return read_given(path, limit=MOST_COOKIE_BYTES).decode(errors="replace")
        return existing_file(value)
    except (ValueError, OSError):  # OSError: many cookies are longer than a path can be
        if not are_cookies(str(value)):
            raise
    raise ValueError(GIVEN_AS_TEXT) from UsageError(GIVEN_AS_TEXT, hint=HOW_TO_GIVE)


def folder(value: object) -> Path:
    """Read the path of a folder, which need not be there yet."""
    path = home_expanded(str(value))
    if path.exists() and not path.is_dir():
        raise ValueError(f"`{path}` is not a folder")
    return path


def _quantity(value: object, units: Mapping[str, int], what: str) -> int:
    return math.ceil(_amount(value, units, what))


def _amount(value: object, units: Mapping[str, int], what: str) -> Decimal:
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)", str(value).strip())
    if match is None or isinstance(value, bool) or match[2].lower() not in units or len(match[1]) > 18:
        raise ValueError(f"`{value}` is not {what}")
    try:
        amount = Decimal(match[1]) * units[match[2].lower()]
    except InvalidOperation as error:
        raise ValueError(f"`{value}` is not {what}") from error
    if amount <= 0:
        raise ValueError(f"`{value}` must be more than 0")
    return amount


def _texts(value: object) -> list[str]:
    if not isinstance(value, Iterable) or isinstance(value, Mapping):
        raise ValueError("it must be a text or a list of texts")
    return [str(item) for item in value]


def _header_file(path: Path) -> list[str]:
    try:
        text = read_given(path).decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"`{path}` is not UTF-8 text") from error
    return [line for line in text.splitlines() if line.strip() and not line.startswith(("#", "@"))]


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    name, value = name.strip(), value.strip()
    if not colon:
        raise ValueError("a header is written `Name: value`, or `@file`")
    if HEADER_NAME.fullmatch(name) is None:
        raise ValueError("a header's name has characters that HTTP does not allow")
    if any((ord(character) < 0x20 and character != "\t") or ord(character) == 0x7F for character in value):
        raise ValueError(f"the value of header `{name}` has control characters")
    return name, value
