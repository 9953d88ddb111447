"""Whose turn it is to be tried again, where an origin is so sick that only one thing is.

How long each turn takes, `patience` says.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from heapq import heappop, heappush
from itertools import count


class SlowLane:
    """One at a time, and whoever has failed most often first.

    The first segment of a dead origin that fails for the last time says as much as all of them, and in turn they would
    all come to that late.
    """

    def __init__(self) -> None:
        self._is_taken = False
        self._order = count()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        """A heap: failures (negative), then who came first."""

    @asynccontextmanager
    async def alone(self, failures: int) -> AsyncIterator[None]:
        """Wait for one's turn, and have it until the end of the block."""
        if self._is_taken:
            turn = asyncio.get_running_loop().create_future()
            heappush(self._waiting, (-failures, next(self._order), turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._pass_on()  # it was given a turn that it cannot take
                raise
        self._is_taken = True
        try:
            yield
        finally:
            # In a moment: who has failed once more is here again by then, and is the one who has failed most often.
            asyncio.get_running_loop().call_soon(self._pass_on)

    def _pass_on(self) -> None:
        while self._waiting:
            turn = heappop(self._waiting)[2]
            if not turn.done():
                turn.set_result(None)
                return
        self._is_taken = False
