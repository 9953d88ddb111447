"""EXT-X-DEFINE: collect a playlist's variables and write their values where they are referred to.

Values may be tokens (QUERYPARAM reads the playlist's own query), so they never appear in a message.
A variable is known from its EXT-X-DEFINE line on, and values are not searched for references again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote

from hlsdl.errors import PlaylistError
from hlsdl.playlist.attributes import read_attributes
from hlsdl.playlist.lines import (
    PLAIN_TAGS,
    PlaylistLimits,
    PlaylistText,
    attributes_in,
    check_line,
    is_uri,
    over_limit,
    tag_name,
)
from hlsdl.playlist.notes import Notes, shown
from hlsdl.playlist.survey import KNOWN_TAGS

_REFERENCE = re.compile(r"\{\$([A-Za-z0-9_-]+)\}")
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\"\u2028\u2029]")


def substitute(
    text: PlaylistText, *, requested_url: str, imported: Mapping[str, str] | None, limits: PlaylistLimits, notes: Notes
) -> tuple[PlaylistText, dict[str, str]]:
    """Return the text with every reference replaced, and the variables it defines.

    `requested_url` is the playlist's URL as it was asked for, whose query QUERYPARAM reads; `imported` are the
    multivariant playlist's variables, or None where there is no such playlist. Raises PlaylistError for an
    undefined reference, a second definition of a name, and a value that cannot stand in a playlist.
    """
    if not any("{$" in line or "EXT-X-DEFINE" in line for line in text.lines):
        return text, {}
    variables: dict[str, str] = {}
    lines: list[str] = []
    size = 0
    for index, line in enumerate(text.lines):
        written = _substituted(line, index, variables, limits) if "{$" in line else line
        if written is not line:
            check_line(written, index, limits)
        size += len(written)
        if size > limits.max_bytes:
            over_limit("max_bytes", limits.max_bytes, index)
        if tag_name(written) == "EXT-X-DEFINE":
            name, value = _definition(written, index, requested_url, imported, notes)
            if name in variables:
                raise PlaylistError(f"variable `{shown(name)}` is defined twice", line=index + 1)
            variables[name] = value
        lines.append(written)
    return PlaylistText(tuple(lines)), variables


def _substituted(line: str, index: int, variables: Mapping[str, str], limits: PlaylistLimits) -> str:
    """The line with the references in its URI, or in its attribute values, replaced (RFC 8216bis §4.3)."""
    if is_uri(line):
        written = _REFERENCE.sub(_Values(variables, index, limits, strict=True), line)
        if not is_uri(written):
            raise PlaylistError("a URI line is none any more once its variables are replaced", line=index + 1)
        return written
    tag = tag_name(line)
    if tag is None or tag in PLAIN_TAGS:
        return line
    values = _Values(variables, index, limits, strict=tag in KNOWN_TAGS)
    parts: list[str] = []
    done = 0
    for item in attributes_in(line):
        parts += (line[done : item.value_start], _REFERENCE.sub(values, line[item.value_start : item.value_end]))
        done = item.value_end
    return "".join(parts) + line[done:]


class _Values:
    """Answers the references of one line, and counts what they add before it can fill the memory."""

    def __init__(self, variables: Mapping[str, str], index: int, limits: PlaylistLimits, *, strict: bool) -> None:
        self._variables, self._index, self._limits = variables, index, limits
        self._strict = strict
        """Whether an undefined reference is an error; in a tag that nobody knows it may be no reference."""
        self._added = 0

    def __call__(self, match: re.Match[str]) -> str:
        value = self._variables.get(match[1])
        if value is None:
            if self._strict:
                raise PlaylistError(f"variable `{shown(match[1])}` is not defined", line=self._index + 1)
            return match[0]
        self._added += len(value)
        if self._added > self._limits.max_data_line:
            over_limit("max_data_line", self._limits.max_data_line, self._index)
        return value


def _definition(
    line: str, index: int, requested_url: str, imported: Mapping[str, str] | None, notes: Notes
) -> tuple[str, str]:
    """The name and value of one EXT-X-DEFINE (RFC 8216bis §4.4.2.3)."""
    attributes = read_attributes(line, index, notes)
    kinds = [kind for kind in ("NAME", "IMPORT", "QUERYPARAM") if kind in attributes]
    if len(kinds) != 1:
        raise PlaylistError("`EXT-X-DEFINE` needs exactly one of `NAME`, `IMPORT` and `QUERYPARAM`", line=index + 1)
    name = attributes[kinds[0]]
    if not _NAME.fullmatch(name):
        raise PlaylistError(f"`{shown(name)}` is not a variable name", line=index + 1)
    value: str | None
    if kinds[0] == "NAME":
        value, missing = attributes.get("VALUE"), "has no `VALUE`"
    elif kinds[0] == "IMPORT":
        value, missing = (imported or {}).get(name), "is not defined by the multivariant playlist"
    else:
        value, missing = _query_value(requested_url, name), "has no value in the query of the playlist's URL"
    if value is None:
        raise PlaylistError(f"variable `{shown(name)}` {missing}", line=index + 1)
    if _UNFIT.search(value):
        raise PlaylistError(f"variable `{shown(name)}` has a value that cannot stand in a playlist", line=index + 1)
    return name, value


def _query_value(url: str, name: str) -> str | None:
    """The percent-decoded value of the first query parameter `name`; None when it is missing or empty.

    `+` stays `+`, as RFC 3986 has it: tokens in base 64 would break otherwise.
    """
    query = url.partition("#")[0].partition("?")[2]
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        if unquote(key) == name and value:
            return unquote(value)
    return None
