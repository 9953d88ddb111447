"""Workers: the threads that hash and write, and how a coroutine waits for them.

Two of them do one piece of work after another, each in the order given. A third takes together all that waits for it,
so that what can be shared is done once. Answers to the event loop are gathered: while the loop has not yet looked,
further answers ride along, so that many small objects cost few wake-ups.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import cycle
from queue import SimpleQueue
from typing import Generic, TypeVar

from hlsdl.bundle.threads import started

TOGETHER = 32
"""Items that are done together at most: the first of them waits for the last."""

T = TypeVar("T")
Item = TypeVar("Item")
Result = TypeVar("Result")
Told = Callable[[Result | BaseException], None]
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

        if self._thread is None:
            self._thread = started(self._work, self._name, daemon=True)
        self._queue.put(job)
        return await future

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


class Gatherer(Generic[Item, Result]):
    """One thread that takes all that waits, does it together, and wakes everybody who waits by one call.

    Whoever works beside the event loop waits for it at each call to the system, and it for them; the fewer of these
    meetings there are for an object, the better.
    """

    def __init__(self, name: str, work: Callable[[list[Item]], Sequence[Result | Exception]]) -> None:
        """`work` gives an answer for each item, in their order; an exception is for whoever gave the item."""
        self._name = name
        self._do = work
        self._queue: SimpleQueue[tuple[Item, Told[Result], asyncio.AbstractEventLoop] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    async def put(self, item: Item) -> Result:
        """Have one item done. A cancelled caller does not stop it."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

        def told(answer: Result | BaseException) -> None:
            if future.done():  # cancelled
                return
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)

        self.post(item, told)
        return await future

    def post(self, item: Item, told: Told[Result]) -> None:
        """Have one item done, and `told` called with what came of it, on this event loop."""
        if self._thread is None:
            self._thread = started(self._work, self._name, daemon=True)
        self._queue.put((item, told, asyncio.get_running_loop()))

    def stop(self) -> None:
        """Finish what waits, then end the thread. A later item would start it again."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        while True:
            taken: list[tuple[Item, Told[Result], asyncio.AbstractEventLoop]] = []
            one = self._queue.get()
            while one is not None:
                taken.append(one)
                if len(taken) == TOGETHER or self._queue.empty():
                    break
                one = self._queue.get()
            if taken:
                self._do_together(taken)
            if one is None:
                return

    def _do_together(self, taken: list[tuple[Item, Told[Result], asyncio.AbstractEventLoop]]) -> None:
        answers: Sequence[Result | BaseException]
        try:
            answers = self._do([item for item, _, _ in taken])
        except BaseException as error:  # noqa: BLE001 - it is handed to those who wait, whatever it is
            answers = [error] * len(taken)
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Told[Result], Result | BaseException]]] = {}
        for (_, told, loop), answer in zip(taken, answers, strict=True):
            by_loop.setdefault(loop, []).append((told, answer))
        for loop, together in by_loop.items():
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_tell, together)


def _tell(together: list[tuple[Told[Result], Result | BaseException]]) -> None:
    left = iter(together)
    for told, answer in left:
        try:
            told(answer)
        except BaseException:
            _tell([*left])  # each of these happens, whatever another one raises
            raise


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
