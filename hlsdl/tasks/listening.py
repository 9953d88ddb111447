"""Listening to a task: what it tells, to each who asked, from the moment of asking on."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from hlsdl.session.events import Event

Queue = asyncio.Queue[Event | None]
"""None: there will be no more."""


class Listeners:
    """Whoever listens to one task."""

    def __init__(self) -> None:
        self._queues: list[Queue] = []

    def tell(self, event: Event | None) -> None:
        """Hand an event to each of them; None is the last one."""
        for queue in tuple(self._queues):
            with suppress(RuntimeError):  # whoever waited was on a loop that is closed; what was told is in the queue
                queue.put_nowait(event)

    def add(self, *, is_over: bool) -> Heard:
        """One more; `is_over`: there is nothing to hear any more."""
        heard = Heard(self._queues)
        if is_over:
            heard.end()
        return heard


class Heard:
    """The events, in their order: an asynchronous iterator. It is forgotten when it is dropped or closed."""

    __slots__ = ("_queue", "_queues")

    def __init__(self, queues: list[Queue]) -> None:
        """Joins those of `queues`."""
        self._queue: Queue = asyncio.Queue()
        self._queues = queues
        queues.append(self._queue)

    def __aiter__(self) -> Heard:
        return self

    async def __anext__(self) -> Event:
        event = await self._queue.get()
        if event is None:
            self.end()
            raise StopAsyncIteration
        return event

    def end(self) -> None:
        """Hear no more: whoever asks for the next event learns that there is none."""
        self._leave()
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)

    async def aclose(self) -> None:
        """As for a generator."""
        self.end()

    def __del__(self) -> None:
        self._leave()

    def _leave(self) -> None:
        with suppress(ValueError):
            self._queues.remove(self._queue)
