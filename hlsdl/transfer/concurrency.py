"""How many requests one host gets at once, decided by what comes of them.

Pure: what was observed goes in, a number comes out, the clock is an argument. Small segments on a long line need dozens
of connections to fill it, large ones a handful, and a server that says 429 wants fewer than it got. So: start with a
few, double while that brings clearly more bytes per second, go back where it does not, halve when the host complains,
and then climb one by one, no further than where it complained. Waiting for a place is `patience`'s business.
"""

from __future__ import annotations

START = 8
MOST = 64

OTHER_DESCRIPTORS = 20
"""Open files that are no request's: standard streams, journal, folders, the event loop's own."""
DESCRIPTORS_EACH = 3
"""Of a request: its connection, and a file in its folder."""

GAIN = 1.1
"""Goodput must grow by this factor for more connections to have been worth it."""
SHORTEST_LOOK = 0.1
"""Seconds that a level is looked at, at least, and then until each connection has come to an end once."""
LONGEST_LOOK = 1.0
"""Seconds after which bytes alone decide, since large objects take their time."""
LOOKS = 2
"""At a new level: the first look sees connections being opened, so one more is allowed to show a gain."""
HOLD = 5.0
"""Seconds until another attempt where more brought nothing; doubled each time."""
LONGEST_HOLD = 60.0
REMEMBERED = 60.0
"""Seconds that a complaint's ceiling stands."""


def most_within(descriptors: int | None) -> int:
    """The most requests at once where a process may have so many open files (None: any number), at least one."""
    if descriptors is None:
        return MOST
    return max(1, min(MOST, (descriptors - OTHER_DESCRIPTORS) // DESCRIPTORS_EACH))


class Concurrency:
    """The number for one host."""

    def __init__(self, *, start: int = START, most: int = MOST) -> None:
        self.allowed = start
        """Requests at once, now."""
        self._most = most
        self._bytes = self._finished = self._looks = 0
        self._since: float | None = None
        self._proven = start
        """The level to go back to."""
        self._proven_rate = 0.0
        """Bytes per second there."""
        self._hold = HOLD
        self._held_until = float("-inf")
        self._ceiling = most
        self._ceiling_until = float("-inf")
        self._complained_at = float("-inf")

    def received(self, size: int) -> None:
        """Bytes came from the host."""
        self._bytes += size

    def finished(self, now: float, *, is_full: bool) -> None:
        """A request came to a good end; `is_full`: all places were taken, so that more of them could have mattered."""
        self._finished += 1
        if self._since is None:
            self._begin(now)
            return
        passed = now - self._since
        if not is_full:
            self._begin(now)
        elif passed >= LONGEST_LOOK or (passed >= SHORTEST_LOOK and self._finished >= self.allowed):
            self._judge(self._bytes / passed, now)
            self._begin(now)

    def complained(self, now: float) -> None:
        """The host said 429 or 503, or let us wait in vain: halve, once for everything that was under way."""
        if now - self._complained_at < LONGEST_LOOK:
            return
        self._complained_at = now
        self._ceiling, self._ceiling_until = max(1, self.allowed - 1), now + REMEMBERED
        self.allowed = self._proven = max(1, self.allowed // 2)
        self._proven_rate, self._looks, self._held_until = 0.0, 0, float("-inf")
        self._since = None

    def _begin(self, now: float) -> None:
        self._since, self._bytes, self._finished = now, 0, 0

    def _judge(self, rate: float, now: float) -> None:
        if self.allowed == self._proven:
            self._proven_rate = rate
            if now >= self._held_until:
                self._try_more(now)
        elif rate >= GAIN * self._proven_rate or self._climbs(now):
            self._proven, self._proven_rate, self._hold = self.allowed, rate, HOLD
            self._try_more(now)
        elif self._looks + 1 < LOOKS:
            self._looks += 1
        else:
            self.allowed = self._proven
            self._held_until = now + self._hold
            self._hold = min(LONGEST_HOLD, 2 * self._hold)

    def _try_more(self, now: float) -> None:
        wanted = self.allowed + 1 if self._climbs(now) else 2 * self.allowed
        self.allowed = max(1, min(wanted, self._most, self._ceiling if self._climbs(now) else self._most))
        self._proven = min(self._proven, self.allowed)
        self._looks = 0

    def _climbs(self, now: float) -> bool:
        """Whether a complaint is remembered: one by one then, and not up to where it came."""
        return now < self._ceiling_until
