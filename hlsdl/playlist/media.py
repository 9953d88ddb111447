"""Media playlists: m3u8 walks over the lines and reads what it reads well, this adds what it gets wrong or leaves out.

Ours: exact durations, sequence numbers, implicit byte range offsets, key sets, init sections with the keys in
force where they stand, sticky bitrates, date ranges. Tags are judged where they stand and segments where their
URI line stands, so a KEY between EXTINF and URI applies to that segment. m3u8 pairs segments with their URIs where
one of its tags stands before them; plain ones, which are nearly all, its hook takes.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hlsdl.drafts import draft_of
from hlsdl.errors import PlaylistError
from hlsdl.playlist.addresses import Base
from hlsdl.playlist.attributes import is_date_time, read_attributes, read_byte_range, read_integer, read_number
from hlsdl.playlist.keys import IDENTITY, KeysInForce, read_key
from hlsdl.playlist.lines import PlaylistLimits, PlaylistText, over_limit, tag_name, tag_value
from hlsdl.playlist.models import ByteRange, DateRange, InitSection, Key, MediaPlaylist, Segment
from hlsdl.playlist.notes import Notes
from hlsdl.playlist.reading import read_with_m3u8
from hlsdl.playlist.survey import HIDDEN, PAIRED, Survey


def read_media(text: PlaylistText, found: Survey, base: Base, limits: PlaylistLimits, notes: Notes) -> MediaPlaylist:
    """The media playlist that the surveyed lines make."""
    if not found.uris:
        raise PlaylistError("the playlist has no segments")
    reader = _Reader(text.lines, found, base, limits, notes)
    data = read_with_m3u8(found.copy, reader.see_tag)
    reader.take_segments(data)
    if len(reader.segments) != len(found.uris):
        raise PlaylistError(f"{len(found.uris)} URI lines, but {len(reader.segments)} segments, were read")
    if "targetduration" not in data:
        notes.add("`EXT-X-TARGETDURATION` is missing")
    kind = data["playlist_type"]
    if kind and kind.upper() == "VOD" and not data["is_endlist"]:
        notes.add("`EXT-X-ENDLIST` is missing where nothing more can come: the playlist may have been cut")
    return MediaPlaylist(
        url=base.url,
        text=text,
        segments=tuple(reader.segments),
        inits=tuple(reader.inits),
        keys=tuple(reader.every_key),
        date_ranges=tuple(reader.date_ranges),
        version=data.get("version", 1),
        target_duration=data.get("targetduration"),
        media_sequence=data["media_sequence"],
        discontinuity_sequence=data.get("discontinuity_sequence", 0),
        ended=data["is_endlist"],
        playlist_type=kind.upper() if kind else None,
        iframes_only=data["is_i_frames_only"],
        images_only=data["is_images_only"],
        warnings=notes.sentences(),
    )


_Draft = draft_of(Segment)


class _Reader:
    """What is in force at the present line, and the segments so far."""

    def __init__(self, lines: tuple[str, ...], found: Survey, base: Base, limits: PlaylistLimits, notes: Notes) -> None:
        self.segments: list[Segment] = []
        self.inits: list[InitSection] = []
        self.every_key: list[Key] = []
        self.date_ranges: list[DateRange] = []
        self._lines, self._found, self._base, self._limits, self._notes = lines, found, base, limits, notes
        self._paired = iter(found.paired)
        self._in_force = KeysInForce()
        self._init: InitSection | None = None
        self._bitrate: int | None = None
        self._discontinuities = 0
        self._total = Decimal(0)
        self._most = Decimal(limits.max_total_duration)
        # What belongs to the next segment only.
        self._duration = Decimal(0)
        self._range: tuple[int, int | None, int] | None = None
        self._date_time: str | None = None

    def see_tag(self, line: str, lineno: int, data: dict[str, Any], state: dict[str, Any]) -> bool:
        """m3u8's hook: called at every `#` line of its copy, in order; says whether m3u8 must not read it."""
        if data["segments"]:
            self.take_segments(data)
        if line == PAIRED:
            # What m3u8 does at a URI line, less what leads to nothing here.
            state["expect_segment"] = False
            del state["segment"]
            self._take(next(self._paired), data, discontinuity=False, gap=False)
            return True
        duration = self._found.durations.get(line)
        if duration is not None:
            # As m3u8's documentation has it for a hook that reads EXTINF itself: the next URI line makes a segment. Its
            # own way there takes 2 µs, for a float that we do not use.
            self._duration = duration
            if "segment" not in state:
                state["segment"] = {}
            state["expect_segment"] = True
            return True
        if line != HIDDEN:
            if line == "#EXT-X-DISCONTINUITY":
                # Each tag counts, two in a row too (RFC 8216 §6.2.1).
                self._discontinuities += 1
            return False
        index = lineno - 1
        source = self._lines[index]
        # Nearly every tag begins its line and has a colon; `tag_name` knows the rest.
        handler = _HANDLERS.get(source.partition(":")[0][1:]) or _HANDLERS.get(tag_name(source) or "")
        if handler is not None:
            handler(self, source, index)
        return True

    def take_segments(self, data: dict[str, Any]) -> None:
        """Turn what m3u8 has finished into segments, and let it forget them: it needs 1 KB for each."""
        for part in data["segments"]:
            # An EXTINF at the end, without a URI, leaves a segment that is none.
            if part.get("uri") is not None:
                self._take(part["uri"], data, discontinuity=part["discontinuity"], gap=bool(part["gap_tag"]))
        data["segments"].clear()

    def _take(self, encoded: str, data: dict[str, Any], *, discontinuity: bool, gap: bool) -> None:
        """One more segment, with all that is in force where its URI line stands."""
        count = len(self.segments)
        if count >= len(self._found.uris):
            raise PlaylistError("more segments than URI lines were read")
        index = self._found.uris[count]
        draft = _Draft()
        draft.uri = uri = self._base.resolve_encoded(encoded, index)
        draft.byte_range = byte_range = None if self._range is None else self._byte_range(self._range, uri)
        self._total += self._duration
        if self._total > self._most:
            over_limit("max_total_duration", self._limits.max_total_duration, index)
        draft.duration = self._duration
        draft.sequence = data["media_sequence"] + count
        draft.discontinuity_sequence = data.get("discontinuity_sequence", 0) + self._discontinuities
        draft.keys = self._in_force.keys
        draft.init = self._init
        draft.discontinuity = discontinuity
        draft.gap = gap
        draft.bitrate = self._bitrate if byte_range is None else None
        draft.program_date_time = self._date_time
        draft.line = index
        draft.__class__ = Segment
        self.segments.append(draft)
        self._date_time = self._range = None

    def _byte_range(self, given: tuple[int, int | None, int], uri: str) -> ByteRange:
        """The segment's range; without an offset it goes on where the one before ended (RFC 8216 §4.3.2.2)."""
        length, offset, index = given
        if offset is None:
            previous = self.segments[-1] if self.segments else None
            if previous is None or previous.byte_range is None or previous.uri != uri:
                reason = "a byte range has no offset, and the segment before is no range of the same resource"
                raise PlaylistError(reason, line=index + 1)
            offset = previous.byte_range.end
        if offset + length > self._limits.max_integer:
            over_limit("max_integer", self._limits.max_integer, index)
        return ByteRange(offset=offset, length=length)

    def key(self, line: str, index: int) -> None:
        key = read_key(read_attributes(line, index, self._notes), "EXT-X-KEY", index, self._base, self._notes)
        if key is not None:
            self.every_key.append(key)
        self._in_force.put(key)

    def map(self, line: str, index: int) -> None:
        attributes = read_attributes(line, index, self._notes)
        uri = attributes.get("URI")
        if not uri:
            raise PlaylistError("`EXT-X-MAP` has no `URI`", line=index + 1)
        byte_range = None
        if (range_text := attributes.get("BYTERANGE")) is not None:
            length, offset = read_byte_range(range_text, "`BYTERANGE`", index, self._limits)
            if offset is None:
                raise PlaylistError("the byte range of `EXT-X-MAP` has no offset", line=index + 1)
            byte_range = ByteRange(offset=offset, length=length)
        keys = self._in_force.keys
        if any(key.method == "AES-128" and key.keyformat == IDENTITY and key.iv is None for key in keys):
            # There is no media sequence number that could stand in for it (RFC 8216 §4.3.2.5).
            raise PlaylistError("an encrypted `EXT-X-MAP` needs a key with an `IV`", line=index + 1)
        self._init = InitSection(uri=self._base.resolve(uri, index), byte_range=byte_range, keys=keys, line=index)
        self.inits.append(self._init)

    def byte_range(self, line: str, index: int) -> None:
        length, offset = read_byte_range(tag_value(line), "`EXT-X-BYTERANGE`", index, self._limits)
        if self._range is not None:
            self._notes.add("a second `EXT-X-BYTERANGE` for one segment replaces the first", index)
        self._range = (length, offset, index)

    def program_date_time(self, line: str, index: int) -> None:
        self._date_time = tag_value(line)
        if not is_date_time(self._date_time):
            self._notes.add("`EXT-X-PROGRAM-DATE-TIME` is not a full ISO 8601 date and time, kept as it is", index)

    def bitrate(self, line: str, index: int) -> None:
        try:
            self._bitrate = 1000 * read_integer(tag_value(line), "`EXT-X-BITRATE`", index, self._limits)
        except PlaylistError as error:
            self._notes.add(f"{error.reason}, ignored", index)

    def date_range(self, line: str, index: int) -> None:
        attributes = read_attributes(line, index, self._notes)
        if not attributes.get("ID"):
            self._notes.add("`EXT-X-DATERANGE` has no `ID`", index)
        uri, many = attributes.get("X-ASSET-URI"), attributes.get("X-ASSET-LIST")
        self.date_ranges.append(
            DateRange(
                id=attributes.get("ID", ""),
                group=attributes.get("CLASS"),
                start=attributes.get("START-DATE"),
                end=attributes.get("END-DATE"),
                duration=self._seconds(attributes.get("DURATION"), index),
                asset_uri=self._base.resolve(uri, index) if uri else None,
                asset_list=self._base.resolve(many, index) if many else None,
                line=index,
            )
        )

    def _seconds(self, text: str | None, index: int) -> Decimal | None:
        if text is None:
            return None
        try:
            return read_number(text, "`DURATION`", index)
        except PlaylistError as error:
            self._notes.add(f"{error.reason}, ignored", index)
            return None


_HANDLERS: dict[str, Callable[[_Reader, str, int], None]] = {
    "EXT-X-KEY": _Reader.key,
    "EXT-X-MAP": _Reader.map,
    "EXT-X-BYTERANGE": _Reader.byte_range,
    "EXT-X-PROGRAM-DATE-TIME": _Reader.program_date_time,
    "EXT-X-BITRATE": _Reader.bitrate,
    "EXT-X-DATERANGE": _Reader.date_range,
}
