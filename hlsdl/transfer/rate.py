"""--limit-rate: bytes pass when they are due, over all connections of a job together.

An account of time, and no bucket: what passes late because the machine was busy is made good, so that the average is
the rate that was asked for and not whatever the wake-ups left of it. How many bytes pass at once, `client` decides.
"""

from __future__ import annotations

import asyncio

from hlsdl.transfer.patience import Clock

MADE_GOOD = 0.5
"""Seconds of lateness that may be made good by passing bytes early; what was not used for longer is lost."""


class Schedule:
    """When bytes are due at a constant rate. Pure: the time is an argument."""

    def __init__(self, rate: float) -> None:
        """`rate`: bytes per second."""
        self._rate = rate
        self._due: float | None = None
        """When all that passed so far was due."""

    def take(self, size: float, now: float) -> float:
        """Enter `size` bytes; returns the seconds until they may pass. The first ones are paid for like all others."""
        since = now if self._due is None else max(self._due, now - MADE_GOOD)
        self._due = since + size / self._rate
        return max(0.0, self._due - now)


class SteadyRate:
    """Holds bytes back, first come first served; safe to use from many tasks of one event loop."""

    def __init__(self, rate: float, clock: Clock, *, at_once: float) -> None:
        """`rate` bytes per second, in portions of at most `at_once` bytes."""
        self.max_rate = at_once
        self._schedule, self._clock = Schedule(rate), clock
        self._line = asyncio.Lock()

    async def acquire(self, amount: float = 1) -> None:
        """Wait until `amount` bytes may pass."""
        async with self._line:
            wait = self._schedule.take(amount, self._clock.now())
            if wait > 0:
                await self._clock.sleep(wait)
