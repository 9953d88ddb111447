"""The survey: our own single walk over the lines, before m3u8 sees any of them.

It says what kind of playlist this is, refuses what must not be read at all, and makes m3u8's copy: one line for
each of ours, so that line numbers agree, holding only tags that m3u8 reads well and only values that it reads
without failing. Everything else is HIDDEN there, and read from the source lines by `media` and `multivariant`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from hlsdl.errors import PlaylistError
from hlsdl.playlist.addresses import encode
from hlsdl.playlist.attributes import read_attributes, read_duration, read_float, read_integer, read_resolution
from hlsdl.playlist.lines import BLANKS, PlaylistLimits, over_limit
from hlsdl.playlist.notes import Notes, shown

HIDDEN = "#"
"""A line that m3u8 must not see; one character, so that 100,000 of them are one string."""

PAIRED = "#URI"
"""The URI line of a segment of which m3u8 could say nothing but the URI: no DISCONTINUITY and no GAP belongs to it.

To m3u8 it is one more `#` line, which `media` takes with its hook. Comparing a URI with the names of forty tags, and
asking for twenty things that m3u8 never sees in its copy, was most of the time that a long playlist took.
"""

NEWEST_VERSION = 13
"""The protocol version of RFC 8216bis that this was written against."""

MULTIVARIANT_TAGS = frozenset(
    {
        "EXT-X-MEDIA",
        "EXT-X-STREAM-INF",
        "EXT-X-I-FRAME-STREAM-INF",
        "EXT-X-IMAGE-STREAM-INF",
        "EXT-X-SESSION-DATA",
        "EXT-X-SESSION-KEY",
        "EXT-X-CONTENT-STEERING",
    }
)
MEDIA_TAGS = frozenset(
    {
        "EXTINF",
        "EXT-X-BYTERANGE",
        "EXT-X-DISCONTINUITY",
        "EXT-X-KEY",
        "EXT-X-MAP",
        "EXT-X-PROGRAM-DATE-TIME",
        "EXT-X-GAP",
        "EXT-X-BITRATE",
        "EXT-X-PART",
        "EXT-X-DATERANGE",
        "EXT-X-TILES",
        "EXT-X-SKIP",
        "EXT-X-PRELOAD-HINT",
        "EXT-X-RENDITION-REPORT",
        "EXT-X-TARGETDURATION",
        "EXT-X-MEDIA-SEQUENCE",
        "EXT-X-DISCONTINUITY-SEQUENCE",
        "EXT-X-ENDLIST",
        "EXT-X-PLAYLIST-TYPE",
        "EXT-X-I-FRAMES-ONLY",
        "EXT-X-IMAGES-ONLY",
        "EXT-X-PART-INF",
        "EXT-X-SERVER-CONTROL",
    }
)
KNOWN_TAGS = MULTIVARIANT_TAGS | MEDIA_TAGS | {"EXT-X-DEFINE", "EXT-X-START"}
"""Tags whose attributes must be right; in any other tag, text is left alone."""

M3U8_READS = frozenset({"EXT-X-STREAM-INF", "EXT-X-MEDIA", "EXT-X-I-FRAME-STREAM-INF", "EXT-X-IMAGE-STREAM-INF"})
"""Entries that count as renditions, and whose attributes m3u8 reads."""

TRICK_PLAY = frozenset({"EXT-X-I-FRAME-STREAM-INF", "EXT-X-IMAGE-STREAM-INF"})
"""Variants whose URI is an attribute; m3u8 cannot take one without it, and neither can a player."""

MARKS = frozenset({"EXT-X-DISCONTINUITY", "EXT-X-GAP"})
"""Tags that m3u8 reads and that belong to the next segment."""

_PLAIN_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_NAME = re.compile(r"[A-Z0-9-]+")
_FLAGS = {
    name: f"#{name}"
    for name in (
        "EXTM3U",
        "EXT-X-ENDLIST",
        "EXT-X-I-FRAMES-ONLY",
        "EXT-X-IMAGES-ONLY",
        "EXT-X-INDEPENDENT-SEGMENTS",
        "EXT-X-DISCONTINUITY",
        "EXT-X-GAP",
    )
}


@dataclass(slots=True)
class Survey:
    """What the walk found out about the lines of one playlist."""

    copy: list[str] = field(default_factory=list)
    """m3u8's copy: as many lines as the source, without terminators."""
    uris: list[int] = field(default_factory=list)
    """Indexes of the URI lines."""
    paired: list[str] = field(default_factory=list)
    """The URIs, encoded, that are PAIRED in the copy, in order."""
    first: dict[str, int] = field(default_factory=dict)
    """Tag name -> index of its first line."""
    entries: dict[str, list[int]] = field(default_factory=dict)
    """Multivariant tag name -> indexes of all its lines."""
    durations: dict[str, Decimal] = field(default_factory=dict)
    """EXTINF line of the copy -> its exact seconds; m3u8 itself knows only floats."""
    is_multivariant: bool = False


def survey(lines: tuple[str, ...], limits: PlaylistLimits, notes: Notes) -> Survey:
    """Walk over the lines of a playlist once; see the module for what comes out.

    Raises PlaylistError for what must not be read: tags of both kinds in one playlist, a URI line that
    nothing announces, a delta update, a malformed or late sequence number, control characters in a URI.
    """
    walk = _Walk(limits, notes)
    for index, line in enumerate(lines):
        text = line.strip(BLANKS)
        if not text:
            walk.found.copy.append(HIDDEN)
        elif text[0] != "#":
            walk.uri(text, index)
        elif text.startswith("#EXTINF:"):
            walk.plain_extinf(text, index)
        elif text.startswith("#EXT"):
            walk.tag(text, index)
        else:
            walk.found.copy.append(HIDDEN)
    return walk.finish()


class _Walk:
    """The walk's memory: which tag waits for its URI line, and what was found so far."""

    def __init__(self, limits: PlaylistLimits, notes: Notes) -> None:
        self.found = Survey()
        self._limits = limits
        self._notes = notes
        self._waiting: str | None = None
        self._is_marked = False
        """Whether something stands before the next URI line that m3u8 remembers for it."""
        self._announced = 0
        self._orphan: int | None = None
        self._renditions = 0
        self._numbers: dict[str, str] = {}
        self._seen_durations: dict[str, str] = {}

    def uri(self, text: str, index: int) -> None:
        if self._waiting is None and self._orphan is None:
            self._orphan = index
        is_paired = self._waiting == "EXTINF" and not self._is_marked
        self._waiting, self._is_marked = None, False
        uris = self.found.uris
        uris.append(index)
        if len(uris) > self._limits.max_segments:
            over_limit("max_segments", self._limits.max_segments, index)
        uri = encode(text, index)
        if is_paired:
            self.found.paired.append(uri)
            uri = PAIRED
        self.found.copy.append(uri)

    def tag(self, text: str, index: int) -> None:
        head, _, value = text.partition(":")
        name = head[1:]
        if " " in name or "\t" in name:
            name = name.split()[0]
        if name not in self.found.first:
            self.found.first[name] = index
        flag = _FLAGS.get(name)
        if flag is not None:
            self.found.copy.append(flag)
            self._is_marked = self._is_marked or name in MARKS
            return
        handler = _HANDLERS.get(name)
        self.found.copy.append(HIDDEN if handler is None else handler(self, name, value.strip(" \t"), text, index))

    def plain_extinf(self, text: str, index: int) -> None:
        """What `tag` would do for an EXTINF written as it should be: half of the lines of a long playlist."""
        self.found.first.setdefault("EXTINF", index)
        known = self._seen_durations.get(text[8:-1]) if self._waiting is None and text[-1] == "," else None
        if known is not None:
            self._waiting, self._announced = "EXTINF", index
            self.found.copy.append(known)
            return
        self.found.copy.append(self.extinf("EXTINF", text[8:].strip(" \t"), text, index))

    def finish(self) -> Survey:
        found = self.found
        master, media = (
            min((found.first[tag] for tag in tags if tag in found.first), default=None)
            for tags in (MULTIVARIANT_TAGS, MEDIA_TAGS)
        )
        if master is not None and media is not None:
            reason = "tags of a multivariant and of a media playlist stand in one playlist"
            raise PlaylistError(reason, line=max(master, media) + 1)
        found.is_multivariant = master is not None
        if self._orphan is not None:
            tag = "EXT-X-STREAM-INF" if found.is_multivariant else "EXTINF"
            raise PlaylistError(f"a URI line has no `{tag}` before it", line=self._orphan + 1)
        if self._waiting == "EXT-X-STREAM-INF":
            last = found.entries[self._waiting][-1]
            raise PlaylistError("`EXT-X-STREAM-INF` has no URI line", line=last + 1)
        if self._waiting == "EXTINF":
            self._notes.add("`EXTINF` without a URI line is ignored", self._announced)
        return found

    def extinf(self, _name: str, value: str, _text: str, index: int) -> str:
        if self._waiting == "EXTINF":
            self._notes.add("`EXTINF` without a URI line is ignored", self._announced)
        self._waiting, self._announced = "EXTINF", index
        head = value.partition(",")[0]
        line = self._seen_durations.get(head)
        if line is None:
            seconds = read_duration(value, index, self._limits, self._notes)
            line = f"#EXTINF:{seconds},"
            self.found.durations[line] = seconds
            # An odd one is read each time, so that each is noted.
            if _PLAIN_NUMBER.fullmatch(head):
                self._seen_durations[head] = line
        return line

    def version(self, name: str, value: str, _text: str, index: int) -> str:
        number = self._tolerant_integer(name, value, index, round_up=False)
        if number is not None and number > NEWEST_VERSION:
            self._notes.add(f"protocol version {number} is newer than {NEWEST_VERSION}", index)
        return HIDDEN if number is None else f"#{name}:{number}"

    def target_duration(self, name: str, value: str, _text: str, index: int) -> str:
        number = self._tolerant_integer(name, value, index, round_up=True)
        return HIDDEN if number is None else f"#{name}:{number}"

    def sequence(self, name: str, value: str, _text: str, index: int) -> str:
        """Sequence numbers decide initialization vectors and identities, so nothing about them is guessed."""
        if self.found.uris:
            raise PlaylistError(f"`{name}` stands after the first segment", line=index + 1)
        line = f"#{name}:{read_integer(value, f'`{name}`', index, self._limits)}"
        if self._numbers.setdefault(name, line) != line:
            raise PlaylistError(f"`{name}` is given twice", line=index + 1)
        return line

    def playlist_type(self, name: str, value: str, _text: str, index: int) -> str:
        if value.upper() in {"VOD", "EVENT"}:
            return f"#{name}:{value.upper()}"
        self._notes.add(f"`{name}` `{shown(value)}` is unknown and ignored", index)
        return HIDDEN

    def skip(self, name: str, _value: str, _text: str, index: int) -> str:
        raise PlaylistError(f"this is a delta update (`{name}`), not a whole playlist", line=index + 1)

    def stream_inf(self, name: str, value: str, text: str, index: int) -> str:
        if self._waiting == name:
            raise PlaylistError(f"`{name}` has no URI line", line=self.found.entries[name][-1] + 1)
        self._waiting = name
        return self.entry(name, value, text, index)

    def entry(self, name: str, _value: str, text: str, index: int) -> str:
        """A tag of a multivariant playlist, with its attributes made safe for m3u8 (numbers right, all else quoted)."""
        self.found.entries.setdefault(name, []).append(index)
        if name in M3U8_READS:
            self._renditions += 1
            if self._renditions > self._limits.max_renditions:
                over_limit("max_renditions", self._limits.max_renditions, index)
        if name == "EXT-X-SESSION-KEY":
            return HIDDEN
        attributes = read_attributes(text, index, self._notes)
        if name.endswith("STREAM-INF") and "BANDWIDTH" not in attributes:
            self._notes.add(f"`{name}` without `BANDWIDTH`, read as 0", index)
            attributes["BANDWIDTH"] = "0"
        if name in TRICK_PLAY and not attributes.get("URI"):
            raise PlaylistError(f"`{name}` has no `URI`", line=index + 1)
        # m3u8 folds names, so `AVERAGE_BANDWIDTH`, which nobody knows, would become one that it does.
        known = ((key, value) for key, value in attributes.items() if _NAME.fullmatch(key))
        written = (self._attribute(key, value, index) for key, value in known)
        return f"#{name}:" + ",".join(item for item in written if item)

    def _attribute(self, key: str, value: str, index: int) -> str | None:
        if key in {"BANDWIDTH", "AVERAGE-BANDWIDTH", "SAMPLE-RATE", "BIT-DEPTH"}:
            number = self._tolerant_integer(key, value, index, round_up=False)
            if number is None:
                return "BANDWIDTH=0" if key == "BANDWIDTH" else None
            return f"{key}={number}"
        if key in {"FRAME-RATE", "SCORE", "RESOLUTION"}:
            return self._measure(key, value, index)
        if key in {"URI", "SERVER-URI"}:
            if not value:
                self._notes.add(f"an empty `{key}` is ignored", index)
                return None
            value = encode(value, index)
        # m3u8 ends lines at every character that Python calls a line boundary, and wants an integer as PROGRAM-ID.
        return None if key == "PROGRAM-ID" else f'{key}="{" ".join(value.splitlines())}"'

    def _measure(self, key: str, value: str, index: int) -> str | None:
        try:
            if key == "RESOLUTION":
                width, height = read_resolution(value, index)
                return f'{key}="{width}x{height}"'
            return f"{key}={read_float(value, f'`{key}`', index)!r}"
        except PlaylistError as error:
            self._notes.add(f"{error.reason}, ignored", index)
            return None

    def _tolerant_integer(self, name: str, value: str, index: int, *, round_up: bool) -> int | None:
        """An integer that changes no bytes when it is wrong: fractions are rounded, nonsense is None, with a note."""
        try:
            return read_integer(value, f"`{name}`", index, self._limits)
        except PlaylistError as error:
            reason = error.reason
        try:
            number = read_float(value, f"`{name}`", index)
        except PlaylistError:
            self._notes.add(f"{reason}, ignored", index)
            return None
        if number < 0 or number > self._limits.max_integer:
            self._notes.add(f"`{name}` `{shown(value)}` is out of range, ignored", index)
            return None
        rounded = math.ceil(number) if round_up else int(number)
        self._notes.add(f"{reason}, read as {rounded}", index)
        return rounded


_HANDLERS: dict[str, Callable[[_Walk, str, str, str, int], str]] = {
    "EXTINF": _Walk.extinf,
    "EXT-X-VERSION": _Walk.version,
    "EXT-X-TARGETDURATION": _Walk.target_duration,
    "EXT-X-MEDIA-SEQUENCE": _Walk.sequence,
    "EXT-X-DISCONTINUITY-SEQUENCE": _Walk.sequence,
    "EXT-X-PLAYLIST-TYPE": _Walk.playlist_type,
    "EXT-X-SKIP": _Walk.skip,
    "EXT-X-STREAM-INF": _Walk.stream_inf,
    "EXT-X-MEDIA": _Walk.entry,
    "EXT-X-I-FRAME-STREAM-INF": _Walk.entry,
    "EXT-X-IMAGE-STREAM-INF": _Walk.entry,
    "EXT-X-SESSION-DATA": _Walk.entry,
    "EXT-X-SESSION-KEY": _Walk.entry,
    "EXT-X-CONTENT-STEERING": _Walk.entry,
}
