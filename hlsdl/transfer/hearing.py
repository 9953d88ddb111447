"""Whether the other system gets what is sent to it: what one door sees of that, beyond any single request.

A request can be lost where nobody is told: a server's queue of new connections has overflowed, a router has forgotten a
connection. TCP sends it again, at growing intervals that follow the round trip; when nothing comes, for this request
or any other, and it was sent again several times in vain, another connection may do. Only time tells a slow line from
a dead one, so each wave of such requests lets the next one wait twice as long, until something comes.
"""

from __future__ import annotations

from hlsdl.access.urls import SourceOrigin
from hlsdl.transfer.descriptors import times_sent_again

UNHEARD_AFTER = 1.5
"""Seconds without a word, for this request or any other, after which it is looked whether it has arrived. On a crowded
line it takes long to hear of that, but something comes all the time."""
IN_VAIN = 3
"""So many times it was sent again by then. With round trips of some milliseconds that takes 1.4 s, with those of a
satellite (0.6 s) 12 s."""
KEPT_IDLE = 118
"""Seconds that a connection may have been idle and be used again: libcurl's own default."""
KEPT_IDLE_UNHEARD = 1
"""The same, to origins that a request did not reach, also when they are heard again: what was idle then may be
forgotten as well. (Whole seconds: libcurl has nothing finer.)"""


class Hearing:
    """Of the requests of one door."""

    def __init__(self) -> None:
        self._came = 0.0
        """When it was seen last that something had come, of whatever request."""
        self._has_ended = False
        """Whether one has ended since."""
        self._waves = 0
        """Of requests that did not arrive, since something came."""
        self._wave_began = float("-inf")
        self._unheard: set[SourceOrigin] = set()
        self._anew: set[SourceOrigin] = set()
        """Those of them of which nothing has come since."""

    def ended(self) -> None:
        """A request has ended, by whatever the other system or ours said; a time-out is nobody's word."""
        self._has_ended = True

    def look(self, now: float, *, has_come: bool) -> None:
        """Told a few times for each time-out: whether something has come of a request that is under way."""
        if has_come or self._has_ended:
            self._came, self._has_ended, self._waves = now, False, 0
            self._anew.clear()

    def is_unheard(self, origin: SourceOrigin, descriptor: int, now: float) -> bool:
        """Whether to give up a request that was sent on this connection: the other system does not get it."""
        if now - self._came < UNHEARD_AFTER:
            return False
        is_another = now - self._wave_began >= UNHEARD_AFTER
        before = self._waves if is_another else self._waves - 1
        if times_sent_again(descriptor) < IN_VAIN + max(0, before):
            return False
        if is_another:
            self._waves, self._wave_began = self._waves + 1, now
        self._unheard.add(origin)
        self._anew.add(origin)
        return True

    def wants_anew(self, origin: SourceOrigin) -> bool:
        """Whether to ask `origin` on a new connection only: what is kept may be as dead."""
        return bool(self._anew) and origin in self._anew

    def kept_idle(self, origin: SourceOrigin) -> int:
        """Seconds that a connection to `origin` may have been idle and still be used."""
        return KEPT_IDLE_UNHEARD if self._unheard and origin in self._unheard else KEPT_IDLE
