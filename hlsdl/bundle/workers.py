"""Workers: the two threads that hash and write, and how a coroutine waits for them.

Each worker does its work in the order given. Answers to the event loop are gathered: while the loop has not yet looked,
further answers ride along, so that many small objects cost few wake-ups.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import cycle
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")
Answer = tuple["asyncio.Future[object]", object, BaseException | None]


class Worker:
    """One thread with a queue. Start is lazy; `stop` waits for what is queued."""

    def __init__(self, number: int) -> None:
        self._name = f"hlsdl-disk-{number}"
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._answers: deque[Answer] = deque()
        self._awaited_by: asyncio.AbstractEventLoop | None = None

    async def run(self, work: Callable[[], T]) -> T:
        """Do `work` in the thread and return what it returns, or raise what it raises.

        A cancelled caller does not stop work that was handed over: what comes later on this worker finds it finished.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def job() -> None:
            result: object = None
            failure: BaseException | None = None
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 - it is handed to the caller, whatever it is
                failure = error
            self._answer(loop, (future, result, failure))  # type: ignore[arg-type]  # T is an object

        self.post(job)
        return await future

    def post(self, job: Callable[[], None]) -> None:
        """Do `job` in the thread, after what is queued; it must not raise."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        self._queue.put(job)

    def stop(self) -> None:
        """Finish what is queued, then end the thread. Later work would start it again."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            job()

    def _answer(self, loop: asyncio.AbstractEventLoop, answer: Answer) -> None:
        self._answers.append(answer)
        if self._awaited_by is not loop:
            self._awaited_by = loop
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        # Cleared first: an answer that comes now either is taken below or asks for another call.
        self._awaited_by = None
        while self._answers:
            future, result, failure = self._answers.popleft()
            if future.done() or future.get_loop().is_closed():  # cancelled, or of a loop that has ended
                continue
            if failure is None:
                future.set_result(result)
            else:
                future.set_exception(failure)


class Workers:
    """Two workers; each object is given one of them and stays with it."""

    def __init__(self) -> None:
        self._workers = (Worker(1), Worker(2))
        self._turn = cycle(self._workers)

    def next(self) -> Worker:
        """The worker for the next object."""
        return next(self._turn)

    def stop(self) -> None:
        """Finish what is queued and end both threads."""
        for worker in self._workers:
            worker.stop()
