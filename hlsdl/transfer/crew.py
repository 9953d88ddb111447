"""The tasks that work off one queue in its order, as many at a time as are wanted at the moment.

How many that is, `concurrency` decides; what is done with an item is the caller's. Some items may be done without a
task: they have a seat like the others, and whoever does them says when it is free.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Generic, TypeVar

T = TypeVar("T")

SPARE = 4
"""Items that may be stored, or wait for a place, besides those that are fetched."""


def _never(_item: object) -> bool:
    return False


class Crew(Generic[T]):
    """The tasks, in a task group, and seats for them; it ends with the queue."""

    def __init__(
        self,
        group: asyncio.TaskGroup,
        queue: Iterator[T],
        work: Callable[[T], Awaitable[None]],
        *,
        wanted: Callable[[], int],
    ) -> None:
        """`wanted` says how many seats there should be, at least one."""
        self._group, self._queue, self._work, self._wanted = group, queue, work, wanted
        self.quick: Callable[[T], bool] = _never
        """Begins with an item that needs no task, and says True. `free` is to be called when it is done, or `take_over`
        when it needs one after all."""
        self._size = 0
        self._empty: asyncio.Future[None] | None = None
        self._is_stopping = False

    def fill(self) -> None:
        """Give each seat that is free to the next item."""
        while self._size < self._wanted() and not self._is_stopping:
            item = next(self._queue, None)
            if item is None:
                return
            self._size += 1
            if not self.quick(item):
                self._group.create_task(self._do(partial(self._work, item)))

    def free(self) -> None:
        """An item is done: its seat is for the next one."""
        self._size -= 1
        self.fill()
        if not self._size and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    def take_over(self, work: Callable[[], Awaitable[None]]) -> None:
        """A quick item needs a task, for `work`: it keeps its seat. Where everything is being given up, it is too."""
        if not self._is_stopping:
            self._group.create_task(self._do(work))

    async def attend(self) -> None:
        """Wait until every seat is free; for a crew with quick items, which no task group waits for."""
        if self._size:
            self._empty = asyncio.get_running_loop().create_future()
            try:
                await self._empty
            finally:
                self._is_stopping = True

    async def _do(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except BaseException:
            self._is_stopping = True
            raise
        self.free()
