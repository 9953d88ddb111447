"""What of an asset is stored and playable, as exact ranges of time.

A moment is loaded when every stream that a player needs for it has its segment. Calculated from the plan when somebody
wants to know, so that nothing is computed for each segment.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal

from hlsdl.planning.plan import DownloadPlan, StreamPlan


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class TimeRange:
    """A stretch of the asset's time (CMTimeRange), in seconds as the playlists give them: exact decimals."""

    start: Decimal
    duration: Decimal

    @property
    def end(self) -> Decimal:
        """The first moment after it."""
        return self.start + self.duration


def loaded_ranges(plan: DownloadPlan, stored: Collection[str], streams: Collection[str] = ()) -> tuple[TimeRange, ...]:
    """Return the ranges in which every one of `streams` (ids; empty: all of the plan) is stored.

    A segment that the source itself declares absent (EXT-X-GAP) counts as loaded, and so does the time after the end
    of a shorter stream: nothing more will come of either. I-frame and image streams do not count: a film plays without
    them.
    """
    whole = expected_range(plan, streams)
    common = [whole] if whole.duration else []
    for one in _played(plan, streams):
        common = _both(common, _of_stream(one, stored, until=whole.end))
    return tuple(common)


def expected_range(plan: DownloadPlan, streams: Collection[str] = ()) -> TimeRange:
    """Return the range that will be loaded in the end: that of the longest stream."""
    duration = max((one.playlist.duration for one in _played(plan, streams)), default=Decimal(0))
    return TimeRange(start=Decimal(0), duration=duration)


def _played(plan: DownloadPlan, streams: Collection[str]) -> list[StreamPlan]:
    wanted = [one for one in plan.streams if not streams or one.id in streams]
    return [one for one in wanted if one.source.kind in _PLAYED] or wanted


_PLAYED = frozenset({"video", "audio", "subtitles"})


def newly_loaded(before: Iterable[TimeRange], now: Iterable[TimeRange]) -> tuple[TimeRange, ...]:
    """Return what is in `now` and not in `before`; both in order and without overlaps."""
    left: list[TimeRange] = []
    known = list(before)
    for one in now:
        start = one.start
        for other in known:
            if other.end <= start or other.start >= one.end:
                continue
            if other.start > start:
                left.append(TimeRange(start=start, duration=other.start - start))
            start = max(start, other.end)
        if start < one.end:
            left.append(TimeRange(start=start, duration=one.end - start))
    return tuple(left)


def is_complete(plan: DownloadPlan, stored: Collection[str], streams: Collection[str]) -> bool:
    """Whether every object of these streams (ids) is stored."""
    return all(resource.path in stored for one in plan.streams if one.id in streams for resource in one.resources)


def _of_stream(stream: StreamPlan, stored: Collection[str], *, until: Decimal) -> list[TimeRange]:
    ranges: list[TimeRange] = []
    start = end = Decimal(0)
    for segment in stream.playlist.segments:
        moment, end = end, end + segment.duration
        if segment.gap or f"{stream.id}/{stream.files[segment.line]}" in stored:
            continue
        if moment > start:
            ranges.append(TimeRange(start=start, duration=moment - start))
        start = end
    end = max(end, until)
    if end > start:
        ranges.append(TimeRange(start=start, duration=end - start))
    return ranges


def _both(some: list[TimeRange], others: list[TimeRange]) -> list[TimeRange]:
    """What is in both; streams whose segments end at other moments overlap in part."""
    common: list[TimeRange] = []
    at = 0
    for one in some:
        while at < len(others) and others[at].end <= one.start:
            at += 1
        position = at
        while position < len(others) and others[position].start < one.end:
            start, end = max(one.start, others[position].start), min(one.end, others[position].end)
            if end > start:
                common.append(TimeRange(start=start, duration=end - start))
            position += 1
    return common
