"""Patience: waiting between tries, and leaving a host alone that asks for it.

How long is decided in `policy`; this module counts, waits and remembers. One `Patience` serves a whole job, so that a
dead host costs a bounded number of requests however many resources are left. The pauses that hosts ask for may be
shared by several jobs (`pauses`); how many requests at once a host can take, each job finds for itself.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Protocol, TypeVar

from hlsdl.errors import NetworkError
from hlsdl.transfer.concurrency import MOST, START, Concurrency, most_within
from hlsdl.transfer.doors import Setback
from hlsdl.transfer.pauses import Pause, Pauses
from hlsdl.transfer.policy import RetryPolicy
from hlsdl.transfer.slow_lane import SlowLane

T = TypeVar("T")

SLOW_LOOK = 1.0
"""Seconds after which somebody who waits for a sick origin looks whether it is one still."""

SUCCESSES_TO_GROW = 20
"""Successes in a row after which a throttled host gets one more request at once."""


class Clock(Protocol):
    """Time and chance, so that tests need neither."""

    def now(self) -> float:
        """Monotonic seconds."""
        ...

    def wall(self) -> float:
        """Seconds since the epoch."""
        ...

    def chance(self) -> float:
        """A random number in [0, 1)."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""
        ...


class SystemClock:
    """The real one."""

    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def chance(self) -> float:
        """Jitter; not a secret."""
        return random.random()  # noqa: S311 - spreads retries, protects nothing

    async def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""
        await asyncio.sleep(seconds)


def _too_late() -> NetworkError:
    return NetworkError("it was not asked for, since something else had failed for good", retryable=True)


def _never() -> bool:
    return False


def _descriptors() -> int | None:
    """How many files this process may have open; None where nobody says."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


class HostPace:
    """What one host can take: a pause that it asked for, and how many requests at once.

    A 429 or 503 pauses the host for every resource of the job and halves the number of requests at once. With a number
    that the user fixed, twenty successes in a row give one back; without one, `concurrency` finds it.
    """

    def __init__(self, most: int | None, pause: Pause | None = None, *, ceiling: int = MOST) -> None:
        """`most` requests at once, or None: as many as serve best; never more than `ceiling`. `pause` may be that of
        other jobs too."""
        fitting = min(most_within(_descriptors()), ceiling)
        most = None if most is None else min(most, ceiling)
        self._adaptive = Concurrency(start=min(START, fitting), most=fitting) if most is None else None
        self.most = fitting if most is None else most
        self.allowed = min(START, fitting) if most is None else most
        self.busy = 0
        self.pause = pause or Pause()
        self._throttled_until = 0.0
        """The end of the last pause that made this job ask for less."""
        self.tells_lengths = True
        """Whether it may be asked for the length of a body that it sent without one."""
        self._successes = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._demand = 0
        """The most that were here or waited, when places were taken last: answers that come together leave them empty
        for a moment, and say nothing of what there is to do."""
        self._is_emptied = True
        """Whether one has been given back since."""

    @property
    def has_room(self) -> bool:
        """Whether there is a free place that nobody waits for."""
        return self.busy + len(self._waiting) < self.allowed

    async def enter(self) -> None:
        """Wait for a free place."""
        while self.busy >= self.allowed:
            place = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            try:
                await place
            except BaseException:
                self._waiting.remove(place)
                self._wake()  # a place that was given to this one, or would have been, goes to the next one in line
                raise
            self._waiting.remove(place)
        self.take()

    def take(self) -> None:
        """Take a place that is free."""
        self.busy += 1
        demand = self.busy + len(self._waiting)
        if self._is_emptied or demand > self._demand:
            self._demand, self._is_emptied = demand, False

    def leave(self) -> None:
        """Give the place back."""
        self.busy -= 1
        self._is_emptied = True
        self._wake()

    async def within(self, attempt: Callable[[], Awaitable[T]], *, has_place: bool = False) -> T:
        """Make an attempt in a place of its own, which it may have already, and give the place back."""
        if not has_place:
            if self.busy >= self.allowed:
                await self.enter()
            else:
                self.take()
        try:
            return await attempt()
        finally:
            self.leave()

    def _wake(self) -> None:
        free = self.allowed - self.busy
        if not self._waiting:
            return
        if free == 1:  # as after each answer
            place = self._waiting[0]
            if not place.done():
                place.set_result(None)
            return
        for place in tuple(islice(self._waiting, max(0, free))):
            if not place.done():
                place.set_result(None)

    def throttle(self, *, now: float, until: float) -> None:
        """Pause, and halve; answers that were under way when the pause began do not count again."""
        self.pause.until = max(self.pause.until, until)
        self.crowded(now=now, until=self.pause.until)

    def crowded(self, *, now: float, until: float) -> None:
        """Halve, once until then: there were too many, here or at a host to which this one sends them on."""
        is_known = self.is_throttled(now)
        self._throttled_until = max(self._throttled_until, until)
        if self._adaptive is not None:
            self._adaptive.complained(now)
            self.allowed = self._adaptive.allowed
        elif not is_known:
            self.allowed = max(1, self.allowed // 2)
        self._successes = 0

    def is_throttled(self, now: float) -> bool:
        """Whether this job has taken notice of the pause that is on."""
        return now < self._throttled_until

    def timed_out(self, now: float) -> None:
        """A request waited in vain: perhaps there are too many."""
        if self._adaptive is not None:
            self._adaptive.complained(now)
            self.allowed = self._adaptive.allowed

    def received(self, size: int) -> None:
        """Bytes came."""
        if self._adaptive is not None:
            self._adaptive.received(size)

    def succeed(self, now: float) -> None:
        """Count a success, whose place was given back just now."""
        self.pause.fruitless = 0
        if self._adaptive is not None:
            # Its own place counts: it was taken until now. Those just woken have not taken theirs yet.
            self._adaptive.finished(now, demand=max(self._demand, self.busy + 1 + len(self._waiting)))
            if self._adaptive.allowed != self.allowed:
                self.allowed = self._adaptive.allowed
                self._wake()
        elif self.allowed < self.most:
            self._successes += 1
            if self._successes >= SUCCESSES_TO_GROW:
                self._successes = 0
                self.allowed += 1
                self._wake()


class Patience:
    """Retries for a whole job.

    Each resource may fail `RetryPolicy.retries` times. The job has `tokens` for retries, which successes refill; while
    they are spent, retries happen one at a time and far apart, so that a sick origin is not hammered. Where the origin
    itself said when (429, 503), its pause does that: one wave of such answers to everything under way costs nothing.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        clock: Clock,
        *,
        connections: int | None,
        ceiling: int = MOST,
        pauses: Pauses | None = None,
    ) -> None:
        """`pauses`: those that are known already and shared with other jobs of the same clock."""
        self._policy, self._clock, self._connections, self._ceiling = policy, clock, connections, ceiling
        self._pauses = pauses or Pauses()
        self._tokens = policy.tokens
        self._hosts: dict[str, HostPace] = {}
        self._slow_lane = SlowLane()

    @property
    def clock(self) -> Clock:
        """The job's clock."""
        return self._clock

    def host(self, name: str) -> HostPace:
        """The pace of one host."""
        pace = self._hosts.get(name)
        if pace is None:
            pace = self._hosts[name] = HostPace(self._connections, self._pauses.of(name), ceiling=self._ceiling)
        return pace

    @property
    def places(self) -> int:
        """Requests that the busiest host may get at once."""
        most = 0
        for pace in self._hosts.values():  # asked for each resource, and there is one host: a generator costs more
            most = max(most, pace.allowed)
        return most or self._connections or START

    @property
    def allowed(self) -> int:
        """Requests that all hosts together may get at once."""
        return sum(pace.allowed for pace in self._hosts.values())

    def is_paused(self, name: str) -> bool:
        """Whether `wait_for` would wait."""
        until = self._pauses.of(name).until
        return until > 0 and until > self._clock.now()

    async def wait_for(self, name: str) -> None:
        """Wait until the host called `name` may be asked again."""
        pause = self._pauses.of(name)
        while pause.until and (left := pause.until - self._clock.now()) > 0:
            await self._clock.sleep(left)

    def throttled(self, name: str, *, retry_after: float | None, url: str, status: int) -> float:
        """Note a 429 or 503: returns the seconds to wait; NetworkError when the server asks for too many."""
        pace = self.host(name)
        if retry_after is not None and retry_after > self._policy.longest_retry_after:
            raise NetworkError(
                f"the server asks to be left alone for {retry_after:.0f} seconds",
                hint="run the same command again after that time",
                url=url,
                http_status=status,
            )
        now = self._clock.now()
        if not retry_after:
            # "At once", or a date that has passed, answers nothing: all tries would be over in an instant.
            if pace.is_throttled(now):
                return pace.pause.until - now  # others have begun this pause already
            if pace.pause.until > now:
                retry_after = pace.pause.until - now  # another job has: this one asks for less from now on, too
            else:
                retry_after = self._policy.pause(pace.pause.complained(of_one=pace.allowed == 1))
        pace.throttle(now=now, until=now + retry_after)
        return retry_after

    def succeeded(self, pace: HostPace) -> None:
        """Count a success at the host with this pace."""
        self._tokens = min(self._policy.tokens, self._tokens + self._policy.refund)
        pace.succeed(self._clock.now())

    async def persist(
        self,
        host: str,
        attempt: Callable[[], Awaitable[T]],
        *,
        has_place: bool = False,
        given_up: Callable[[], bool] = _never,
    ) -> T:
        """Make attempts until one succeeds; raises the last Setback's error when patience is spent.

        `has_place`: the first one has its place at the host already. `given_up`: whether something else has failed for
        the last time, so that what is under way may still come, but is not tried again.
        """
        failures = of_kinds = 0  # all of them, and those that are worth fewer tries than usual
        slow = False
        last: Setback | None = None
        pace = self.host(host)

        async def once_more() -> T:
            if given_up():
                raise last or Setback(_too_late())
            return await attempt()

        while True:
            try:
                if slow:
                    result = await self._slowly(pace, once_more, failures, given_up)
                else:
                    had_place, has_place = has_place, False
                    result = await pace.within(attempt if had_place else once_more, has_place=had_place)
            except Setback as setback:
                last = setback
                if given_up():
                    raise setback.error from setback.__cause__
                failures += not setback.progressed
                if setback.timed_out:
                    pace.timed_out(self._clock.now())
                if setback.retries is not None:
                    of_kinds += not setback.progressed
                if failures > self._policy.retries or (setback.retries is not None and of_kinds > setback.retries):
                    raise setback.error from setback.__cause__
                if setback.wait is not None:
                    continue
                slow = self._tokens < 1
                self._tokens = max(0.0, self._tokens - 1)
                if failures and not slow:  # the slow lane has waits of its own
                    await self._clock.sleep(self._policy.delay(failures, self._clock.chance()))
            else:
                self.succeeded(pace)
                return result

    async def _slowly(
        self,
        pace: HostPace,
        attempt: Callable[[], Awaitable[T]],
        failures: int,
        given_up: Callable[[], bool],
    ) -> T:
        """One retry at a time, far apart, until others find that the origin is well again."""
        async with self._slow_lane.alone(failures):
            left = self._clock.chance() * self._policy.slow_delay
            while left > 0 and self._tokens < 1 and not given_up():
                await self._clock.sleep(min(left, SLOW_LOOK))
                left -= SLOW_LOOK
            return await pace.within(attempt)
