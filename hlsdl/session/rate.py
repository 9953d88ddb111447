"""How fast bytes come: an average over the last few seconds. The clock is an argument."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

RATE_WINDOW = 5.0
"""Seconds over which the rate is averaged."""
RATE_SLICE = 0.1
"""Seconds of arrivals that are counted together: thousands of segments a second must cost nothing here."""


@dataclass(slots=True)
class Rate:
    """Bytes per second, as they were lately."""

    _arrivals: deque[list[float]] = field(default_factory=deque)
    """[time, bytes] of the last seconds, slice by slice."""

    def arrived(self, size: int, now: float) -> None:
        """Bytes came in; `now` is a monotonic time in seconds."""
        if self._arrivals and now - self._arrivals[-1][0] < RATE_SLICE:
            self._arrivals[-1][1] += size
            return
        self._arrivals.append([now, size])
        while self._arrivals[0][0] < now - RATE_WINDOW:
            self._arrivals.popleft()

    def per_second(self, now: float) -> float:
        """Bytes per second over the last few seconds."""
        recent = [(then, size) for then, size in self._arrivals if then >= now - RATE_WINDOW]
        if not recent:
            return 0.0
        return sum(size for _, size in recent) / max(now - recent[0][0], 0.25)
