"""Local playlists that grow: what a player may have of a stream while it is being stored.

The text is that of the finished playlist up to the last segment that follows the others without a hole, as an EVENT
(RFC 8216 §4.3.3.5, §6.2.1): between two requests it only gets longer, and nothing in it changes. Only the seal ends it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

from hlsdl.planning.local_playlists import local_media_playlist
from hlsdl.planning.plan import StreamPlan, stored_key_path
from hlsdl.playlist import lines
from hlsdl.playlist.models import Segment

EVENT = "#EXT-X-PLAYLIST-TYPE:EVENT"
FROM_THE_START = "#EXT-X-START:TIME-OFFSET=0"
"""Without it a player would begin near the end of what is there, as with a live stream."""
_SAID_OTHERWISE = frozenset({"EXT-X-TARGETDURATION", "EXT-X-PLAYLIST-TYPE", "EXT-X-ENDLIST"})
"""Lines of the finished playlist that are said in another way, or not yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowingPlaylist:
    """One stream's local playlist, and where it may be cut."""

    lines: tuple[str, ...] = field(repr=False)
    ends: tuple[int, ...] = field(repr=False)
    """For each segment: how many lines there are up to and with its URI."""
    needs: tuple[tuple[str, ...], ...] = field(repr=False)
    """For each segment: the stored objects without which it does not play, relative to the bundle."""

    @property
    def segments(self) -> int:
        """How many there will be."""
        return len(self.ends)

    def ready(self, is_stored: Callable[[str], bool], known: int = 0) -> int:
        """How many segments from the beginning are there without a hole.

        Args:
            is_stored: whether an object is whole.
            known: how many there were the last time; they are not asked about again.
        """
        for number in range(known, len(self.needs)):
            if not all(map(is_stored, self.needs[number])):
                return number
        return len(self.needs)

    def text(self, ready: int) -> str:
        """The playlist with its first `ready` segments."""
        return "".join(self.lines[: self.ends[ready - 1] if ready else 0])


def growing_playlist(stream: StreamPlan) -> GrowingPlaylist:
    """Prepare the playlist of one stream; linear in its length, and asked for once."""
    first, *rest = (f"{line}\n" for line in local_media_playlist(stream).split("\n")[:-1])
    ending = first[len(lines.content(first)) :]
    header = [f"#EXT-X-TARGETDURATION:{_target(stream)}", EVENT]
    header += [] if any(lines.tag_name(line) == "EXT-X-START" for line in rest) else [FROM_THE_START]
    written = [first, *(line + ending for line in header)]
    ends: list[int] = []
    needs: list[tuple[str, ...]] = []
    coming = deque(stream.playlist.segments)
    for line in rest:
        if lines.tag_name(line) in _SAID_OTHERWISE:
            continue
        written.append(line)
        if coming and lines.content(line) == stream.files[coming[0].line]:
            ends.append(len(written))
            needs.append(_needs(stream, coming.popleft()))
    return GrowingPlaylist(lines=tuple(written), ends=tuple(ends), needs=tuple(needs))


def _target(stream: StreamPlan) -> int:
    """A target duration that every segment to come keeps: it must not change (RFC 8216 §4.3.3.1, §6.2.1)."""
    longest = max((one.duration for one in stream.playlist.segments), default=Decimal(1))
    return max(stream.playlist.target_duration or 1, int(longest.to_integral_value(ROUND_HALF_UP)))


def _needs(stream: StreamPlan, segment: Segment) -> tuple[str, ...]:
    if segment.gap:
        return ()
    names, keys = [stream.files[segment.line]], list(segment.keys)
    if segment.init is not None and segment.init.line in stream.files:
        names.append(stream.files[segment.init.line])
        keys += segment.init.keys
    paths = dict.fromkeys(stored_key_path(key) for key in keys)
    return (*(f"{stream.id}/{name}" for name in names), *(path for path in paths if path is not None))
