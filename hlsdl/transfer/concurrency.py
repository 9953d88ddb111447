"""How many requests one host gets at once, decided by what comes of them.

Pure: what was observed goes in, a number comes out, the clock is an argument. Small segments on a long line need dozens
of connections to fill it, large ones a handful, and a server that says 429 wants fewer than it got. So: start with a
few, and while each round of requests is short and brings clearly more bytes per second than the round before, let every
answer bring in several more (as TCP's slow start does); where objects take their time, double and look. Go back where
more brought nothing; halve when the host complains, and then climb one by one, no further than where it complained.
Waiting for a place is `patience`'s business.
"""

from __future__ import annotations

START = 8
MOST = 64
MOST_LARGE = 16
"""Of large objects: a few fill any line, and each takes memory for its blocks."""
LARGE = 2 << 20
"""Bytes (2 MiB) from which an object is large."""

OTHER_DESCRIPTORS = 20
"""Open files that are no request's: standard streams, journal, folders, the event loop's own."""
DESCRIPTORS_EACH = 3
"""Of a request: its connection, and a file in its folder."""

UNREAD = 64 << 10
"""Bytes (64 KiB) of an answer that may have come before any of them is read."""

GAIN = 1.1
"""Goodput must grow by this factor for more connections to have been worth it."""
STRIDE = 8
"""At the start: so many times what has proven itself may be tried at once. A job of 400 small segments far away lasts
about ten rounds, so it cannot wait for many of them."""
SHORTEST_ROUND = 0.02
"""Seconds that a level is looked at, at least, while starting; later `SHORTEST_LOOK`."""
LONGEST_ROUND = 0.5
"""Seconds after which a round is no short one: starting is over."""
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


def most_at_rate(rate: int | None) -> int:
    """The most requests at once where so many bytes per second may come (None: any number), at least one.

    The kernel takes the beginning of each answer before it is read, so that many at once would be a flood first.
    """
    return MOST if rate is None else max(1, min(MOST, rate // UNREAD))


class Concurrency:
    """The number for one host."""

    def __init__(self, *, start: int = START, most: int = MOST) -> None:
        self.allowed = start
        """Requests at once, now."""
        self._most = most
        self._is_starting = start < most
        self._is_idle = True
        """While starting: whether there was too little to do when the look began."""
        self._bytes = self._finished = self._looks = 0
        self._since: float | None = None
        self._level = start
        """What was allowed when the look began."""
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

    def finished(self, now: float, *, demand: int) -> None:
        """A request came to a good end.

        `demand`: how many there were until now, those that wait for a place included. Where it does not fill the
        places, more of them could not have mattered.
        """
        self._finished += 1
        if self._since is None or demand < self._level:
            self._is_idle = True
            self._begin(now)
            return
        passed = now - self._since
        if self._is_starting:
            self._start_up(passed, now)
        elif passed >= LONGEST_LOOK or (passed >= SHORTEST_LOOK and self._finished >= self._level):
            self._judge(self._bytes / passed, now)
            self._begin(now)

    @property
    def _most_of_these(self) -> int:
        """The most for objects as large as those of this look, in which some may have come in part, and be counted."""
        are_large = self._bytes > LARGE * max(self._finished, self._level / 8)
        return min(self._most, MOST_LARGE) if are_large else self._most

    def complained(self, now: float) -> None:
        """The host said 429 or 503, or let us wait in vain: halve, once for everything that was under way."""
        if now - self._complained_at < LONGEST_LOOK:
            return
        self._complained_at = now
        self._is_starting = False
        self._ceiling, self._ceiling_until = max(1, self.allowed - 1), now + REMEMBERED
        self.allowed = self._proven = max(1, self.allowed // 2)
        self._proven_rate, self._looks, self._held_until = 0.0, 0, float("-inf")
        self._since = None

    def _begin(self, now: float) -> None:
        self._since, self._bytes, self._finished, self._level = now, 0, 0, self.allowed

    def _start_up(self, passed: float, now: float) -> None:
        """Grow with each answer of a short round, and judge the round when all of its places have had one."""
        if passed > LONGEST_ROUND or self._most_of_these < self._most:
            self._is_starting = False
            self.allowed = self._proven
            self._begin(now)
            return
        if self._is_idle:
            # There was little to do when this look began: the answer that ends the lull begins the first that counts.
            self._is_idle = False
            self._begin(now)
        self.allowed = min(self.allowed + STRIDE - 1, STRIDE * self._proven, self._most)
        if passed < SHORTEST_ROUND or self._finished < self._level:
            return
        rate = self._bytes / passed
        if rate >= GAIN * self._proven_rate:
            self._proven, self._proven_rate, self._looks = self._level, rate, 0
            self._is_starting = self._level < self._most
        elif self._looks + 1 < LOOKS:
            self._looks += 1
        else:
            self._is_starting = False
            self._give_back(now)
        self._begin(now)

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
            self._give_back(now)

    def _give_back(self, now: float) -> None:
        """More brought nothing: back to what did, for a while."""
        self.allowed, self._looks = self._proven, 0
        self._held_until = now + self._hold
        self._hold = min(LONGEST_HOLD, 2 * self._hold)

    def _try_more(self, now: float) -> None:
        wanted = self.allowed + 1 if self._climbs(now) else 2 * self.allowed
        most = min(self._most_of_these, self._ceiling) if self._climbs(now) else self._most_of_these
        self.allowed = max(1, min(wanted, max(most, self._proven)))
        self._proven = min(self._proven, self.allowed)
        self._looks = 0

    def _climbs(self, now: float) -> bool:
        """Whether a complaint is remembered: one by one then, and not up to where it came."""
        return now < self._ceiling_until
