"""The tasks that work off one queue in its order, as many at a time as are wanted at the moment.

How many that is, `concurrency` decides; what is done with an item is the caller's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

SPARE = 4
"""Items that may be stored, or wait for a place, besides those that are fetched."""


class Crew(Generic[T]):
    """Workers in a task group; they end with the queue."""

    def __init__(
        self,
        group: asyncio.TaskGroup,
        queue: Iterator[T],
        work: Callable[[T], Awaitable[None]],
        *,
        wanted: Callable[[], int],
    ) -> None:
        """`wanted` says how many workers there should be, at least one."""
        self._group, self._queue, self._work, self._wanted = group, queue, work, wanted
        self._size = 0

    def fill(self) -> None:
        """Start those that are missing."""
        while self._size < self._wanted():
            self._size += 1
            self._group.create_task(self._work_off())

    async def _work_off(self) -> None:
        for item in self._queue:
            await self._work(item)
            wanted = self._wanted()
            if self._size > wanted:
                break
            if self._size < wanted:
                self.fill()
        self._size -= 1
