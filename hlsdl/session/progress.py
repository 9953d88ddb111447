"""How far a download is: pure arithmetic over what is planned and what is journalled.

The clock is an argument. "Done" counts finished objects only; bytes in flight only feed the rate.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from hlsdl.planning.plan import DownloadPlan, Resource
from hlsdl.session.events import Progressed
from hlsdl.session.rate import Rate

SEGMENTS_THAT_TELL = 8
"""After so many segments the declared bitrate no longer counts in the estimate."""


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
    guessed_bytes: int = 0
    """What of the estimate nothing in the playlists speaks for."""
    rate: Rate = field(default_factory=Rate)

    @classmethod
    def of(cls, plan: DownloadPlan, task: str) -> Progress:
        """The progress of a plan of which nothing is stored yet."""
        estimate = plan.estimate()
        return cls(
            task=task,
            estimated_bytes=estimate.bytes,
            is_exact=estimate.is_exact,
            guessed_bytes=estimate.guessed,
            segments_total=plan.segments,
            seconds_total=_seconds(resource for stream in plan.streams for resource in stream.resources),
        )

    def finished(self, resource: Resource, size: int) -> None:
        """One object is stored."""
        self.completed_bytes += size
        if resource.kind == "segment":
            self.segments_done += 1
            self.seconds_done += float(resource.duration)

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

    def bytes_needed(self) -> int:
        """What is still to come, as far as the playlists or the first segments speak for it: no guess is a reason to
        refuse a download."""
        guessed = self.guessed_bytes if self.segments_done < SEGMENTS_THAT_TELL else 0
        return max(0, self.total_bytes() - guessed - self.completed_bytes)

    def event(self, now: float) -> Progressed:
        """The state as an event."""
        total = self.total_bytes()
        rate = self.rate.per_second(now)
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
