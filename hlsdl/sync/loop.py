"""An event loop in a thread of its own, for code that blocks: what is asked of it is done or refused, never lost."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from hlsdl.errors import UsageError
from hlsdl.tasks.asset_session import SessionInvalidated

T = TypeVar("T")


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="hlsdl session", daemon=True)
        self._gate = threading.RLock()
        """Reentrant: a signal's handler may call while its thread is calling."""
        self._is_open = True
        self._process = os.getpid()
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether `close` has not been called, and this is not a forked child, which has no such thread."""
        return self._is_open and os.getpid() == self._process

    def call(self, work: Callable[[], T]) -> T:
        """Run a function there, and return what it returns; here, when the thread has ended."""

        async def run() -> T:
            return work()

        try:
            return self.wait(run)
        except LoopEnded:
            return work()

    def wait(self, work: Callable[[], Coroutine[Any, Any, T]], timeout: float | None = None) -> T:
        """Run a coroutine there, and wait for its end; TimeoutError after `timeout` seconds, and it goes on.

        Raises:
            SessionInvalidated: the thread has ended, or ends meanwhile.
        """
        self._must_be_elsewhere()
        try:
            return self._started(work()).result(timeout)
        except concurrent.futures.CancelledError:
            raise LoopEnded from None

    def start(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Run a coroutine there, and do not wait for it to end; whoever asks waits for what it brings."""
        self._must_be_elsewhere()
        self._started(work())

    def close(self) -> None:
        """End what is still being waited for there, and the thread."""
        with self._gate:
            if not self._is_open:
                return
            self._is_open = False
            ending = asyncio.run_coroutine_threadsafe(_end_everything(), self._loop)
        ending.result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _started(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        with self._gate:
            if self._is_open:
                # A signal's handler may have closed it since: the gate lets its own thread pass. That is told below.
                with suppress(RuntimeError):
                    return asyncio.run_coroutine_threadsafe(work, self._loop)
        work.close()
        raise LoopEnded

    def _must_be_elsewhere(self) -> None:
        if os.getpid() != self._process:
            raise SessionInvalidated(
                "a session stays in the process that made it", hint="make a session after the fork"
            )
        if threading.current_thread() is self._thread:
            raise UsageError(
                "a delegate's method cannot call its own session's blocking functions",
                hint="hand the call to another thread, or use the session of `hlsdl` with async methods",
            )


class LoopEnded(SessionInvalidated):
    """Nobody is there any more who could do it."""

    def __init__(self) -> None:
        super().__init__("the session has ended")


async def _end_everything() -> None:
    """As `asyncio.run` does at its end."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for one in others:
        one.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()


def at_once(outcome: Coroutine[Any, Any, T]) -> T:
    """What a coroutine gives that has nothing to wait for: the end of a session is the end of its tasks, too."""
    try:
        outcome.send(None)
    except StopIteration as ended:
        value: T = ended.value
        return value
    outcome.close()
    raise LoopEnded
