"""How far a download is: pure arithmetic over what is planned and what is journalled.

The clock is an argument. "Done" counts finished objects only; bytes in flight only feed the rate.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from hlsdl.planning.plan import DownloadPlan, Resource
from hlsdl.session.events import Progressed

RATE_WINDOW = 5.0
"""Seconds over which the rate is averaged."""
SEGMENTS_THAT_TELL = 8
"""After so many segments the declared bitrate no longer counts in the estimate."""
RATE_SLICE = 0.1
"""Seconds of arrivals that are counted together: thousands of segments a second must cost nothing here."""


@dataclass(slots=True)
class Progress:
    """The running sums of one download."""

    task: str
    estimated_bytes: int
    is_exact: bool
    segments_total: int
    seconds_total: float
    """The sum of the durations of all segments of all streams: what the estimate is scaled by."""
    segments_done: int = 0
    completed_bytes: int = 0
    seconds_done: float = 0.0
    _arrivals: deque[list[float]] = field(default_factory=deque)
    """[time, bytes] of the last seconds, in slices of a tenth of a second."""

    @classmethod
    def of(cls, plan: DownloadPlan, task: str) -> Progress:
        """The progress of a plan of which nothing is stored yet."""
        estimate = plan.estimate()
        return cls(
            task=task,
            estimated_bytes=estimate.bytes,
            is_exact=estimate.is_exact,
            segments_total=plan.segments,
            seconds_total=_seconds(resource for stream in plan.streams for resource in stream.resources),
        )

    def finished(self, resource: Resource, size: int) -> None:
        """One object is stored."""
        self.completed_bytes += size
        if resource.kind == "segment":
            self.segments_done += 1
            self.seconds_done += float(resource.duration)

    def arrived(self, size: int, now: float) -> None:
        """Bytes came in; `now` is a monotonic time in seconds."""
        if self._arrivals and now - self._arrivals[-1][0] < RATE_SLICE:
            self._arrivals[-1][1] += size
            return
        self._arrivals.append([now, size])
        while self._arrivals[0][0] < now - RATE_WINDOW:
            self._arrivals.popleft()

    def total_bytes(self) -> int:
        """The size of the whole: exact when known, else the estimate corrected by what has come so far."""
        if self.is_exact:
            return self.estimated_bytes
        if self.segments_done == self.segments_total:
            return self.completed_bytes
        share = self.seconds_done / self.seconds_total if self.seconds_total else 0.0
        if share <= 0:
            return max(self.estimated_bytes, self.completed_bytes)
        measured = self.completed_bytes / share
        # The first few segments say little about a film; after that what was measured knows better than the playlist.
        weight = min(1.0, self.segments_done / SEGMENTS_THAT_TELL)
        return max(int(weight * measured + (1 - weight) * self.estimated_bytes), self.completed_bytes)

    def rate(self, now: float) -> float:
        """Bytes per second over the last few seconds."""
        recent = [(then, size) for then, size in self._arrivals if then >= now - RATE_WINDOW]
        if not recent:
            return 0.0
        return sum(size for _, size in recent) / max(now - recent[0][0], 0.25)

    def event(self, now: float) -> Progressed:
        """The state as an event."""
        total = self.total_bytes()
        rate = self.rate(now)
        left = max(total - self.completed_bytes, 0)
        return Progressed(
            task=self.task,
            completed_bytes=self.completed_bytes,
            total_bytes=total,
            total_is_estimate=not self.is_exact and self.segments_done < self.segments_total,
            fraction=round(min(self.completed_bytes / total, 1.0), 4) if total else 1.0,
            segments_done=self.segments_done,
            segments_total=self.segments_total,
            rate=round(rate, 1),
            eta=round(left / rate, 1) if rate > 0 else None,
        )


def _seconds(resources: Iterable[Resource]) -> float:
    return float(sum(resource.duration for resource in resources if resource.kind == "segment"))
