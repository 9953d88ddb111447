"""The seats for what is under way of one queue, given away in its order, as many as are wanted at the moment.

How many that is, `concurrency` decides; what is done with an item is the caller's. Most ways to do it are coroutines,
each in a task; some items are done without one (`lane`): they have a seat like the others, and whoever does them says
when it is free.
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
        stopped: Callable[[], bool],
    ) -> None:
        """`wanted` says how many seats there should be, at least one; once `stopped` does, nothing more is begun."""
        self._group, self._queue, self._work, self._wanted, self._stopped = group, queue, work, wanted, stopped
        self.quick: Callable[[T], bool | None] = _never
        """Begins with an item that needs no task: True. `free` is to be called when it is done, or `take_over` when it
        needs one after all. None: not now, but when something under way has come further; then `fill` is called."""
        self._size = 0
        self._held: T | None = None
        """The next item, for which there was no place."""
        self._empty: asyncio.Future[None] | None = None
        self._is_stopping = False

    def fill(self) -> None:
        """Give each seat that is free to the next item."""
        while self._size < self._wanted() and not self._is_stopping and not self._stopped():
            item = next(self._queue, None) if self._held is None else self._held
            self._held = None
            if item is None:
                return
            is_begun = self.quick(item)
            if is_begun is None and self._size:
                self._held = item
                return
            self._size += 1
            if not is_begun:
                self._start(partial(self._work, item))

    def free(self) -> None:
        """An item is done: its seat is for the next one."""
        self._size -= 1
        self.fill()
        if not self._size and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    def take_over(self, work: Callable[[], Awaitable[None]]) -> None:
        """A quick item needs a task, for `work`: it keeps its seat. Where everything is being given up, it is too."""
        if not self._is_stopping:
            self._start(work)

    async def attend(self) -> None:
        """Wait until every seat is free; for a crew with quick items, which no task group waits for."""
        if self._size:
            self._empty = asyncio.get_running_loop().create_future()
            try:
                await self._empty
            finally:
                self._is_stopping = True

    def _start(self, work: Callable[[], Awaitable[None]]) -> None:
        task = self._do(work)
        try:
            self._group.create_task(task)
        except RuntimeError:  # the group is being given up
            task.close()
            self._is_stopping = True

    async def _do(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except BaseException:
            self._is_stopping = True
            raise
        finally:
            self.free()
