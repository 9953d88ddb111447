"""The lossless line model: what a playlist's bytes are, line by line, and where each attribute value stands.

Whoever writes a playlist edits these lines; what it does not edit survives byte for byte, tags that
nobody knows included. The meaning of values is left to `attributes` and `parsing`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn

from hlsdl.errors import LimitError, PlaylistError, redact

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaylistLimits:
    """How much of a playlist is believable; one past any of these is a `LimitError` that names it."""

    max_bytes: int = 32 * MIB
    """Bytes of one playlist, also after EXT-X-DEFINE substitution."""
    max_lines: int = 4_000_000
    max_line: int = 64 * 1024
    """Bytes of one line, without its terminator."""
    max_data_line: int = MIB
    """Bytes of one line that holds a `data:` URI."""
    max_segments: int = 1_000_000
    max_renditions: int = 500
    """Variants, renditions and trick-play entries together."""
    max_duration: int = 24 * 3600
    """Seconds of one segment; a film's subtitles are often a single one."""
    max_total_duration: int = 100 * 24 * 3600
    """Seconds of all segments together."""
    max_url: int = 8192
    """Characters of one resolved URL; `data:` URLs are bounded by their line instead."""
    max_integer: int = 2**63 - 1
    """Any decimal integer, sequence numbers and byte offsets included."""


DEFAULT_LIMITS = PlaylistLimits()
"""The limits that hold when nothing else is said."""

FETCHABLE = ("URI", "X-ASSET-URI", "X-ASSET-LIST", "SERVER-URI")
"""Attributes whose value a player fetches, in whatever tag they stand."""

PLAIN_TAGS = frozenset(
    {
        "EXTM3U",
        "EXTINF",
        "EXT-X-VERSION",
        "EXT-X-TARGETDURATION",
        "EXT-X-MEDIA-SEQUENCE",
        "EXT-X-DISCONTINUITY-SEQUENCE",
        "EXT-X-DISCONTINUITY",
        "EXT-X-ENDLIST",
        "EXT-X-PLAYLIST-TYPE",
        "EXT-X-I-FRAMES-ONLY",
        "EXT-X-IMAGES-ONLY",
        "EXT-X-INDEPENDENT-SEGMENTS",
        "EXT-X-ALLOW-CACHE",
        "EXT-X-BYTERANGE",
        "EXT-X-PROGRAM-DATE-TIME",
        "EXT-X-GAP",
        "EXT-X-BITRATE",
    }
)
"""Tags without an attribute list: what looks like one there (a title, say) is text."""

BLANKS = " \t\r\n"
"""What may stand around a line's content without a meaning."""

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_TAG = re.compile(r"#(EXT[^ \t\n:]*)[ \t]*:?")
_ATTRIBUTE = re.compile(r'([^=,"]*)=[ \t]*("[^"]*"|[^,]*)')
_NAMELESS = re.compile(r'[^,"]*(?:"[^"]*")?')
_UNWRITABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class PlaylistText:
    """A playlist as its lines, each with its terminator; joined they are the playlist again."""

    lines: tuple[str, ...] = field(repr=False)
    """Each line with its `\\n` or `\\r\\n`; the last may have none. Only LF and CRLF end a line (RFC 8216 §4.1)."""

    @classmethod
    def decode(cls, data: bytes, *, url: str | None = None, limits: PlaylistLimits = DEFAULT_LIMITS) -> PlaylistText:
        """Read `data` as UTF-8 lines that begin with `#EXTM3U`; a byte order mark is dropped (RFC 8216 §4.1).

        Raises PlaylistError for anything that is no playlist, LimitError for one that is too big.
        """
        try:
            return cls(_decoded_lines(data, limits))
        except (PlaylistError, LimitError) as error:
            error.url = redact(url) if url is not None else None
            raise

    def encode(self) -> bytes:
        """The bytes of the playlist."""
        return "".join(self.lines).encode("utf-8")


def over_limit(name: str, limit: int, index: int | None = None) -> NoReturn:
    """Raise the LimitError for `PlaylistLimits.<name>`, met at the 0-based line `index`."""
    place = "" if index is None else f"line {index + 1}: "
    raise LimitError(f"{place}the playlist is over the limit `{name}` of {limit}")


def content(line: str) -> str:
    """The line without its terminator."""
    if line.endswith("\n"):
        return line[:-2] if line.endswith("\r\n") else line[:-1]
    return line


def tag_name(line: str) -> str | None:
    """The exact name of the tag in this line, without `#`; None for comments, blanks and URIs."""
    text = line.strip(BLANKS)
    match = _TAG.match(text)
    return match[1] if match else None


def is_uri(line: str) -> bool:
    """Whether this is a URI line: neither blank, nor a comment, nor a tag."""
    text = line.strip(BLANKS)
    return bool(text) and not text.startswith("#")


def tag_value(line: str) -> str:
    """What stands after the tag's colon, without blanks around it; empty when there is nothing."""
    return line.partition(":")[2].strip(BLANKS)


class Attribute(NamedTuple):
    """One `NAME=value` of an attribute list (RFC 8216 §4.2), by its place in the line."""

    name: str
    """Empty for an item that is none (`items_in`)."""
    start: int
    """Where the item begins, blanks after the comma included."""
    value_start: int
    value_end: int
    end: int
    """Where the item ends: at the comma, or at the end of the list."""


def items_in(line: str) -> Iterator[Attribute]:
    """Every item of the line's attribute list in order; one that cannot be an attribute has an empty name.

    `attributes.read_attributes` judges; this finds, so that a writer sees whatever a lenient player would.
    """
    opening = line.find("#")
    match = _TAG.match(line, opening) if opening >= 0 and not line[:opening].strip(BLANKS) else None
    if match is None or match[1] in PLAIN_TAGS:
        return
    position, last = match.end(), len(line.rstrip(BLANKS))
    while position < last:
        found = _ATTRIBUTE.match(line, position, last)
        after = found.end() if found else _end_of(line, position, last)
        comma = line.find(",", after, last)
        end = last if comma < 0 else comma
        start = found.start(2) if found else position
        name = found[1].strip(" \t") if found else ""
        yield Attribute(name, position, start, start + len(line[start:after].rstrip(BLANKS)), end)
        position = end + 1


def attributes_in(line: str) -> Iterator[Attribute]:
    """Every attribute of the line in order, read leniently: what cannot be an attribute is passed over."""
    return (item for item in items_in(line) if item.name)


def attribute_spans(line: str) -> dict[str, tuple[int, int]]:
    """NAME -> span of its raw value in the line, quotes included; of a repeated name, the last."""
    return {item.name: (item.value_start, item.value_end) for item in attributes_in(line)}


def set_attribute(line: str, name: str, raw_value: str) -> str:
    """The line with attribute `name` set to `raw_value` (quotes included by the caller); all other bytes stay.

    A repeated name is set everywhere, a missing one is appended, and text after the old value's closing quote,
    which no reader gives a meaning, goes with that value. A line that is no tag cannot have attributes, a value
    cannot hold control characters, and behind a quote that is never closed nothing would read back as it was
    written: all three are a PlaylistError.
    """
    tag = tag_name(line)
    if tag is None or tag in PLAIN_TAGS or _UNWRITABLE.search(raw_value):
        raise PlaylistError(f"attribute `{name}` cannot be written there")
    places = [item for item in attributes_in(line) if item.name == name]
    if not places:
        head = line.rstrip(BLANKS)
        joint = "" if head.endswith((":", ",")) else "," if tag_value(line) else ":"
        line = f"{head}{joint}{name}={raw_value}{line[len(head) :]}"
    for item in reversed(places):
        last = item.end if line[item.value_end : item.end].strip(BLANKS) else item.value_end
        line = line[: item.value_start] + raw_value + line[last:]
    if {line[i.value_start : i.value_end] for i in attributes_in(line) if i.name == name} != {raw_value}:
        raise PlaylistError(f"attribute `{name}` would not read back from there")
    return line


def remove_attribute(line: str, name: str) -> str:
    """The line without attribute `name` and one comma beside it; all other bytes stay."""
    for item in reversed([item for item in attributes_in(line) if item.name == name]):
        last = len(line.rstrip(BLANKS))
        start, end = item.start, item.end
        if end < last:
            end += 1
        elif line[start - 1] == ",":
            start -= 1
        line = line[:start] + line[end:]
    return line


def fetchable_attributes(line: str) -> tuple[str, ...]:
    """Names of the attributes in this line that a player would fetch, unknown tags included.

    An empty value names nothing to fetch and is left out.
    """
    found = {
        i.name for i in attributes_in(line) if i.name in FETCHABLE and line[i.value_start : i.value_end].strip('"')
    }
    return tuple(name for name in FETCHABLE if name in found)


def _end_of(line: str, position: int, last: int) -> int:
    """Where an item that is no attribute ends; a comma inside quotes does not end it."""
    match = _NAMELESS.match(line, position, last)
    return match.end() if match else last


def _decoded_lines(data: bytes, limits: PlaylistLimits) -> tuple[str, ...]:
    if len(data) > limits.max_bytes:
        over_limit("max_bytes", limits.max_bytes)
    if data.count(b"\n") > limits.max_lines:
        over_limit("max_lines", limits.max_lines)
    lines = tuple(_LINE.findall(_decoded(data)))
    first = next((index for index, line in enumerate(lines) if line.strip(BLANKS)), None)
    if first is None:
        raise PlaylistError("the playlist is empty")
    if tag_name(lines[first]) != "EXTM3U":
        if lines[first].lstrip(BLANKS).startswith("<"):
            raise PlaylistError("this is HTML or XML, not a playlist", line=first + 1)
        raise PlaylistError("this is not a playlist: the first line must be `#EXTM3U`", line=first + 1)
    if max(map(len, lines)) * 4 > limits.max_line:
        for index, line in enumerate(lines):
            check_line(line, index, limits)
    return lines


def check_line(line: str, index: int, limits: PlaylistLimits) -> None:
    """Raise LimitError when the line is longer than a line may be."""
    size = len(content(line).encode("utf-8"))
    if size > limits.max_line and ("data:" not in line or size > limits.max_data_line):
        name = "max_data_line" if "data:" in line else "max_line"
        over_limit(name, getattr(limits, name), index)


def _decoded(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:2]:
        raise PlaylistError("the playlist is UTF-16 text, but HLS is UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PlaylistError("the playlist is not UTF-8 text", line=line) from None
