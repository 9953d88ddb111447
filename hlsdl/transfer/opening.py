"""New connections to a host nearby are opened a few at a time, as it answers them.

A server takes connections out of a queue, and that of many small ones (Python's among them) holds six. What does not
fit is dropped without a word, and TCP tries again after one, three and seven seconds: so a host that answers within
milliseconds, of which 64 connections are wanted at once, can hold a job up for longer than all of its segments take.
Where answers come quickly, waiting for one before opening the next connection costs nothing; far away it would cost
round trips, and nobody waits there.

Pure: what happened goes in, what may begin comes out, the clock is an argument. Connections that are kept and used
again are no business of this.
"""

from __future__ import annotations

from collections.abc import Hashable
from itertools import islice
from typing import Generic, TypeVar

R = TypeVar("R", bound=Hashable)

AT_ONCE = 5
"""Connections of which nothing has come yet, at first. The shortest queue in use holds one more."""
ONE_MORE = 500
"""Answers on new connections, all of them soon, after which there may be one more at once: so many come only of hosts
that close each connection, and some of those take many at once."""
NEAR = 0.02
"""Seconds from asking to the first byte of the answer, connecting included, within which a host is near."""
DROPPED = 0.5
"""Seconds that tell of a queue that did not hold another one."""


class Opening(Generic[R]):
    """The requests of one door to one host. `R` is a request."""

    def __init__(self) -> None:
        self._is_near = False
        self._at_once, self._soon, self._grows = AT_ONCE, 0, True
        """New ones that may be without an answer, those answered soon since, and whether that makes it more."""
        self._kept = 0
        """Connections that nobody uses."""
        self._begun: set[R] = set()
        """Those begun just now, of which it is not known yet whether they use one of these."""
        self._has_opened = False
        """Whether any other of those begun just now had one opened."""
        self.new: set[R] = set()
        """Those under way, each on a connection of which nothing has come yet."""
        self.held: dict[R, None] = {}
        """Those that wait, in their order."""
        self._is_moving = False
        """Whether any of them has begun since they were looked at."""

    def may_begin(self, request: R) -> bool:
        """Whether `request` begins now; otherwise it is held, until `due` or `overdue` gives it back."""
        # Most find a connection that was kept: thousands a second come by here.
        if self._is_near and len(self._begun) >= self._kept and not self._room:
            self._is_moving = self._is_moving or not self.held
            self.held[request] = None
            return False
        self._begun.add(request)
        return True

    def opened(self, request: R) -> None:
        """A connection is being opened for a request that has begun."""
        self._begun.discard(request)
        self._has_opened = True
        self.new.add(request)

    def settled(self) -> None:
        """Those that have begun and had none opened use one that was kept. What was not used all the same was none."""
        left = self._kept - len(self._begun)
        self._kept = 0 if left < 0 or self._has_opened else left
        self._begun.clear()
        self._has_opened = False

    def heard(self, request: R, after: float) -> None:
        """Something has come of `request`, one of `new`, after so many seconds."""
        self.new.discard(request)
        if 0 < after <= NEAR:
            self._is_near = True
            self._soon += 1
            if self._grows and self._soon >= ONE_MORE:
                self._soon, self._at_once = 0, self._at_once + 1
        elif after >= DROPPED:
            self._at_once, self._grows = AT_ONCE, False

    def ended(self, request: R, *, is_kept: bool) -> None:
        """A request is over, or was given up; `is_kept`: its connection can be used again."""
        if is_kept:
            self._kept += 1
        self.new.discard(request)
        self._begun.discard(request)
        if self.held:
            self.held.pop(request, None)

    def due(self) -> list[R]:
        """Those that begin now, for which a connection is there or may be opened."""
        return self._begin(self._room) if self.held else []

    def overdue(self) -> list[R]:
        """Those that begin in any case, where none has since this was asked the last time: a quarter of a second ago,
        say. A host that has become slow gets all that is wanted, though not in one rush."""
        was_moving, self._is_moving = self._is_moving, False
        return self._begin(AT_ONCE) if self.held and not was_moving else []

    @property
    def _room(self) -> int:
        """How many may begin."""
        return max(0, self._kept + max(0, self._at_once - len(self.new)) - len(self._begun))

    def _begin(self, most: int) -> list[R]:
        begun = [*islice(self.held, most)]
        self._is_moving = self._is_moving or bool(begun)
        for request in begun:
            del self.held[request]
        self._begun.update(begun)
        return begun
